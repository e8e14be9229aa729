"""Conversation items and the order they stand in.

An `Item` keeps what goes over the wire and what a test wants to know besides: all the audio it ever produced and
where it was truncated. `Conversation` keeps every item it has ever had; `order` lists those that are still part of
it. Nothing here sends anything.
"""

from base64 import b64encode
from dataclasses import dataclass, field

from .wire import CALL_ID_LENGTH, MULAW_BYTES_PER_MS, Ids, Json, Problem, text_tokens

INPUT_MS_PER_AUDIO_TOKEN = 100
OUTPUT_MS_PER_AUDIO_TOKEN = 50


@dataclass(slots=True)
class Item:
    """One item. `fields` are its wire keys after type and status, in order: role and content, or those of a call."""

    id: str
    type: str
    fields: Json
    status: str = "completed"
    audio: bytearray = field(default_factory=bytearray)
    """8 kHz mu-law: what the assistant produced so far, or what the caller said."""
    audio_end_ms: int | None = None
    """Where the client truncated it."""
    previous_item_id: str | None = None
    deleted: bool = False

    @classmethod
    def of_client(cls, body: Json, ids: Ids) -> "Item":
        """The item that a checked `conversation.item.create` or `response.input` describes."""
        kind = body["type"]
        if kind == "message":
            fields = {"role": body["role"], "content": [dict(part) for part in body["content"]]}
        elif kind == "function_call":
            call_id = body.get("call_id") or ids.new("call", CALL_ID_LENGTH)
            fields = {"name": body["name"], "call_id": call_id, "arguments": body["arguments"]}
        else:
            fields = {"call_id": body["call_id"], "output": body["output"]}
        return cls(body.get("id") or ids.new("item"), kind, fields)

    @property
    def role(self) -> str | None:
        """user, system or assistant for a message, else None."""
        role: str | None = self.fields.get("role")
        return role

    @property
    def says_something(self) -> bool:
        """Words or sound of the assistant's."""
        parts = self.fields.get("content", ()) if self.role == "assistant" else ()
        return bool(parts) and (bool(self.audio) or any(part.get("text") or part.get("transcript") for part in parts))

    @property
    def part(self) -> Json:
        """The only content part of a message made by the service."""
        part: Json = self.fields["content"][0]
        return part

    @property
    def audio_ms(self) -> int:
        """How much audio the conversation holds: produced, and not truncated away. Whole milliseconds, floor."""
        produced_ms = len(self.audio) // MULAW_BYTES_PER_MS
        return produced_ms if self.audio_end_ms is None else min(produced_ms, self.audio_end_ms)

    def view(self) -> Json:
        """The item on the wire now; later changes do not reach it."""
        fields = dict(self.fields)
        if "content" in fields:
            fields["content"] = [dict(part) for part in fields["content"]]
        return {"id": self.id, "type": self.type, "status": self.status, **fields}

    def full_view(self) -> Json:
        """The view with audio, as `conversation.item.retrieved` has it."""
        view = self.view()
        if self.audio and view.get("content"):
            kept = bytes(self.audio[: self.audio_ms * MULAW_BYTES_PER_MS])
            view["content"][0]["audio"] = b64encode(kept).decode()
        return view

    def truncate(self, content_index: int, audio_end_ms: int) -> Problem | None:
        """Forget the audio after `audio_end_ms` and the transcript with it; a problem changes nothing."""
        if self.role != "assistant" or not self.audio:
            return Problem("unsupported_content_type", "Only model output audio messages can be truncated")
        if content_index != 0:
            return Problem("invalid_value", f"Content at index {content_index} not found.", "content_index")
        if audio_end_ms > self.audio_ms:
            message = f"Audio content of {self.audio_ms}ms is already shorter than {audio_end_ms}ms"
            return Problem("invalid_value", message, "audio_end_ms")
        self.audio_end_ms = audio_end_ms
        self.part["transcript"] = None
        return None

    def tokens(self) -> tuple[int, int]:
        """Text and audio tokens of this item as input, roughly as the service counts."""
        written = [part.get("text") or part.get("transcript") or "" for part in self.fields.get("content", ())]
        written += [str(self.fields.get(key, "")) for key in ("name", "arguments", "output")]
        if self.audio:
            return 0 if self.role == "user" else text_tokens(
                "".join(written)
            ), self.audio_ms // INPUT_MS_PER_AUDIO_TOKEN
        return text_tokens("".join(written)), 0


class Conversation:
    """The default conversation of a session."""

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.items: dict[str, Item] = {}
        self.order: list[str] = []

    def add(self, item: Item, previous_item_id: str | None = None) -> None:
        """Insert after `previous_item_id` (which must be present), at the front for "root", else at the end."""
        if previous_item_id is None:
            index = len(self.order)
        elif previous_item_id == "root":
            index = 0
        else:
            index = self.order.index(previous_item_id) + 1
        item.previous_item_id = self.order[index - 1] if index else None
        self.order.insert(index, item.id)
        self.items[item.id] = item

    def create(self, item: Item, previous_item_id: str | None) -> Problem | None:
        """Add an item of the client, if the service would."""
        if item.id in self.items:
            return Problem("invalid_value", f"An item with id '{item.id}' already exists.", "item.id")
        if previous_item_id not in (None, "root") and previous_item_id not in self.order:
            return Problem("invalid_value", f"Item '{previous_item_id}' not found.", "previous_item_id")
        if item.type == "function_call_output" and not self._has_call(item.fields["call_id"]):
            call_id = item.fields["call_id"]
            return Problem("invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.")
        self.add(item, previous_item_id)
        return None

    def find(self, item_id: str, verb: str) -> Item | Problem:
        """The item, if it is part of the conversation now."""
        if item_id in self.order:
            return self.items[item_id]
        return Problem(f"item_{verb}_invalid_item_id", f"Item '{item_id}' not found.", "item_id")

    def delete(self, item: Item) -> None:
        """Take it out; it stays in `items`, marked."""
        self.order.remove(item.id)
        item.deleted = True

    def present(self) -> list[Item]:
        """The items in order."""
        return [self.items[item_id] for item_id in self.order]

    @property
    def spoken(self) -> bool:
        """Whether the assistant has said or done anything in it."""
        return any(item.says_something or item.type == "function_call" for item in self.present())

    def tokens(self) -> tuple[int, int]:
        """Text and audio tokens of everything present, as input of the next response."""
        counts = [item.tokens() for item in self.present()]
        return sum(text for text, _ in counts), sum(audio for _, audio in counts)

    def _has_call(self, call_id: str) -> bool:
        return any(item.type == "function_call" and item.fields["call_id"] == call_id for item in self.present())
