"""What a conversation is made of: turns, and between them calls of tools and notes."""

from dataclasses import dataclass


@dataclass
class Turn:
    """What one side said. Where the caller interrupted the assistant, or the call ended, `heard_ms` and `heard_share`
    (of its audio) are set and the text is cut to what was heard."""

    role: str
    item_id: str
    text: str = ""
    heard_ms: int | None = None
    heard_share: float | None = None
    ended: bool = False
    """Nothing more will be said of it."""
    failed: bool = False
    """Somebody spoke, and nobody could write it down."""
    cut: bool = False
    """Its last words may have been lost with the connection."""
    previous_item_id: str | None = None
    response_id: str = ""
    private: bool = False
    """Its words are nobody's."""
    blank: str = ""
    """What was left out behind its text: words that come late stand behind that."""


@dataclass(eq=False)
class ToolCall:
    """One call of a tool. `position`: how many turns came before it. `output`: None until it has answered. Known by
    itself: some services give every call the same id."""

    call_id: str
    name: str
    arguments: str
    position: int
    output: str | None = None


@dataclass(frozen=True)
class Note:
    """Something that the model was told and nobody spoke. role: `user` for what the caller did, or `system`.
    `position`: how many turns came before it."""

    role: str
    text: str
    position: int
