"""Who said what in one call: turns by item id, in the order of the conversation, the assistant's cut to what was heard.

A turn is known by its item id and nothing else: words may come late, twice and in any order. Where the model says which
item comes before another, that is the order; else turns stand as they began. Nothing is ever said of the last one.
"""

from collections import Counter
from dataclasses import dataclass

MAX_TURNS = 2000
"""Turns kept of one call; one more is counted as transcript_overflow and not kept."""


MIN_MS_PER_CHARACTER = 40
"""Nobody speaks faster: a text that is longer than its audio allows has run ahead of the voice."""


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
    previous_item_id: str | None = None
    response_id: str = ""


class Transcript:
    """The turns of one call. `turns` is by item id, as they began."""

    def __init__(self, counters: Counter[str]) -> None:
        self.turns: dict[str, Turn] = {}
        self._counters = counters
        self._previous: dict[str, str] = {}  # of items that are no turns too: they may stand between two

    def turn(self, role: str, item_id: str) -> Turn | None:
        """The turn of an item, begun if it is new; None when there are too many."""
        turn = self.turns.get(item_id)
        if turn is None:
            if len(self.turns) >= MAX_TURNS:
                self._counters["transcript_overflow"] += 1
                return None
            turn = self.turns[item_id] = Turn(role, item_id, previous_item_id=self._previous.get(item_id))
        return turn

    def follows(self, item_id: str, previous_item_id: object) -> None:
        """The model has said which item this one comes after."""
        if not isinstance(previous_item_id, str) or len(self._previous) >= 4 * MAX_TURNS:
            return
        self._previous[item_id] = previous_item_id
        if item_id in self.turns:
            self.turns[item_id].previous_item_id = previous_item_id

    def words(self, turn: Turn | None, text: str) -> None:
        """More of what is being said. What was cut off, or has its whole text, grows no more."""
        if turn is not None and turn.heard_ms is None and not turn.ended:
            turn.text += text

    def whole(self, turn: Turn | None, text: str) -> bool:
        """The whole text of a turn, once: cut, where less was heard. False if it had come before."""
        if turn is None or turn.ended:
            return False
        turn.ended = True
        if turn.heard_share is None:
            turn.text = text or turn.text
        elif not turn.text:
            turn.text = cut_to(text, turn.heard_share)
        return True

    def cut(self, turn: Turn | None, heard_ms: int, received_ms: int) -> None:
        """Of this turn's audio only so much was heard, and no more will be."""
        if turn is None or turn.heard_ms is not None:
            return
        if not turn.ended:
            received_ms = max(received_ms, MIN_MS_PER_CHARACTER * len(turn.text))
        turn.heard_ms = heard_ms
        turn.heard_share = heard_ms / received_ms if heard_ms and received_ms else 0.0
        turn.text = cut_to(turn.text, turn.heard_share)

    def ordered(self) -> list[Turn]:
        """Every turn, in the conversation's order: each behind the one it follows, the rest as they began."""
        after: dict[str | None, list[Turn]] = {}
        for turn in self.turns.values():
            after.setdefault(self._anchor(turn), []).append(turn)
        found: list[Turn] = []
        waiting = list(reversed(after.pop(None, [])))
        while waiting:
            turn = waiting.pop()
            found.append(turn)
            waiting += reversed(after.pop(turn.item_id, []))
        return found + [turn for turns in after.values() for turn in turns]  # a circle: only a broken peer tells of one

    def _anchor(self, turn: Turn) -> str | None:
        """The nearest item before it that is a turn, if the model has said so."""
        seen = {turn.item_id}
        previous = turn.previous_item_id
        while previous is not None and previous not in self.turns and previous not in seen:
            seen.add(previous)
            previous = self._previous.get(previous)
        return previous if previous in self.turns and previous != turn.item_id else None


def cut_to(text: str, share: float) -> str:
    """The part of a text that was heard, by its share of the audio, to whole words."""
    if share >= 1:
        return text
    head = text[: int(len(text) * share)]
    return head if text[len(head) : len(head) + 1].isspace() else head.rpartition(" ")[0]
