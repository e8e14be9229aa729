"""One response of the model's: what a scenario says in it, and the events that make it so, in the API's order."""

import asyncio
import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

from e2e.strangers.sound import answer

if TYPE_CHECKING:
    from e2e.strangers.service import Session

Event = dict[str, Any]
DELTA_BYTES = 2000
DELTA_SECONDS = 0.05
NUMBERS = itertools.count(1)


class StoppedError(Exception):
    """The scenario has ended this response itself."""


async def perform(response: Any) -> None:
    """What the scenario says in it: a `Response`, or a stream's `Answer`."""
    session = response.session
    try:
        if response.number == 0 and session.case.greets:
            await response.say("Good morning.", 600)
        else:
            await session.case.answer(response)
    except StoppedError:
        pass
    except Exception as error:
        session.refused.append(f"the scenario itself failed: {error!r}")


class Response:
    """number: of the call, the greeting is 0. cause: `create` or `turn`. request: what the client wanted of it."""

    def __init__(self, session: "Session", number: int, cause: str, request: Event) -> None:
        self.session = session
        self.number = number
        self.cause = cause
        self.request = request
        self.id = session.name("resp")
        self.status = "in_progress"
        self.output: list[Event] = []
        self._open: list[Event] = []
        self._task: asyncio.Task[None] | None = None

    async def nothing(self) -> None:
        """The answer of a call that no scenario knows."""

    # --- its life ---

    def begin(self) -> None:
        self.session.emit("response.created", response=self._public())
        self._task = asyncio.create_task(self._play())

    async def _play(self) -> None:
        await perform(self)
        if self.status == "in_progress":
            self.end()

    def cancel(self, reason: str = "client_cancelled") -> None:
        """What a cancellation does: the tail of what was being made, and `response.done`."""
        if self.session.case.lag and reason == "client_cancelled":
            asyncio.get_running_loop().call_later(self.session.case.lag, self._end_cancelled, reason)
        else:
            self._end_cancelled(reason)

    def _end_cancelled(self, reason: str) -> None:
        if self.status == "in_progress":
            self.abandon()
            self.end("cancelled", reason)

    def abandon(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def end(self, status: str = "completed", reason: str | None = None, error: Event | None = None) -> None:
        """End it: items that are not whole end as they are, incomplete."""
        for item in list(self._open):
            self._finish(item, "incomplete" if status != "completed" else "completed")
        self.status = status
        details = {"type": status, "reason": reason} if reason else None
        details = {"type": status, "error": error} if error else details
        self.session.emit("response.done", response=self._public(details))
        self.session.ended(self)

    def stop(self, status: str, reason: str | None = None, error: Event | None = None) -> None:
        """The same, from within the scenario: it goes no further."""
        self.end(status, reason, error)
        raise StoppedError

    def _public(self, details: Event | None = None) -> Event:
        settings = self.session.settings
        tokens = {"text_tokens": 10, "audio_tokens": 20}
        usage = {"total_tokens": 60, "input_tokens": 30, "output_tokens": 30, "input_token_details": tokens}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": details,
            "output": [public(item) for item in self.output] if self.status != "in_progress" else [],
            "conversation_id": "conv_1",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": settings["audio"]["output"]},
            "usage": {**usage, "output_token_details": tokens} if self.status != "in_progress" else None,
            "metadata": self.request.get("metadata"),
        }

    # --- what is in it ---

    async def say(self, text: str, ms: int = 800, *, part: float = 1.0, pace: float = DELTA_SECONDS) -> Event:
        """Speak: audio that the ear knows by these words. part: how much of it comes before the scenario goes on, the
        item left open; pace: seconds between deltas of 250 ms."""
        number = next(NUMBERS)
        self.session.case.names[number] = text
        item = self._add({"type": "message", "role": "assistant", "content": []})
        ids = {**self._ids(item), "content_index": 0}
        self._emit("response.content_part.added", ids, part={"type": "audio", "transcript": ""})
        audio = answer(number, ms)
        pieces = [audio[at : at + DELTA_BYTES] for at in range(0, len(audio), DELTA_BYTES)]
        words = text.split(" ")
        for n, piece in enumerate(pieces[: max(1, round(len(pieces) * part))] if part else []):
            cut = slice(len(words) * n // len(pieces), len(words) * (n + 1) // len(pieces))
            if delta := " ".join(words[cut]):
                delta = " " + delta if item["said"] else delta
                item["said"] += delta
                self._emit("response.output_audio_transcript.delta", ids, delta=delta, obfuscation="x9")
            item["audio_ms"] += len(piece) // 8
            self._emit("response.output_audio.delta", ids, delta=base64.b64encode(piece).decode())
            await asyncio.sleep(pace)
        if part == 1.0:
            self._finish(item)
        return item

    async def call(
        self, name: str, arguments: Any = None, *, call_id: str = "", finish: bool = True, part: int | None = None
    ) -> str:
        """Call a function; its call id. arguments: an object, or JSON text as it is. finish: or leave the item open,
        after `part` characters of the arguments."""
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        call_id = call_id or self.session.name("call")
        item = self._add({"type": "function_call", "name": name, "call_id": call_id, "arguments": ""})
        piece = text if part is None else text[:part]
        if piece and (finish or part is not None):
            item["arguments"] = piece
            self._emit("response.function_call_arguments.delta", self._ids(item), call_id=call_id, delta=piece)
        if finish:
            self._finish(item)
        await asyncio.sleep(0)
        return call_id

    async def hold(self) -> None:
        """Nothing more comes, until it is cancelled."""
        await asyncio.Event().wait()

    def emit(self, kind: str, of: Event | None = None, **body: Any) -> None:
        """An event of this response, or of an item of it, that no rule of the API's has been asked about."""
        self._emit(kind, self._ids(of) if of else {"response_id": self.id}, **body)

    # --- the events ---

    def _ids(self, item: Event) -> Event:
        return {"response_id": self.id, "item_id": item["id"], "output_index": self.output.index(item)}

    def _emit(self, kind: str, ids: Event, **body: Any) -> None:
        self.session.emit(kind, **ids, **body)

    def _add(self, item: Event) -> Event:
        item |= {"id": self.session.name("item"), "object": "realtime.item", "status": "in_progress"}
        item |= {"audio_ms": 0, "said": ""}
        self.output.append(item)
        self._open.append(item)
        place = {"response_id": self.id, "output_index": len(self.output) - 1}
        self._emit("response.output_item.added", place, item=public(item))
        previous = next(reversed(self.session.items), None)
        self.session.items[item["id"]] = item
        self.session.emit("conversation.item.added", previous_item_id=previous, item=public(item))
        return item

    def _finish(self, item: Event, status: str = "completed") -> None:
        """The end of an item, whole or not."""
        self._open.remove(item)
        item["status"] = status
        ids = self._ids(item)
        if item["type"] == "function_call":
            named = {"call_id": item["call_id"], "name": item["name"], "arguments": item["arguments"]}
            self._emit("response.function_call_arguments.done", ids, **named)
        else:
            item["content"] = [{"type": "output_audio", "transcript": item["said"]}]
            ids["content_index"] = 0
            self._emit("response.output_audio.done", ids)
            self._emit("response.output_audio_transcript.done", ids, transcript=item["said"])
            part = {"type": "audio", "transcript": item["said"]}
            self._emit("response.content_part.done", ids, part=part)
        place = {"response_id": self.id, "output_index": self.output.index(item)}
        self._emit("response.output_item.done", place, item=public(item))
        if item["id"] in self.session.items:
            previous = None
            self.session.emit("conversation.item.done", previous_item_id=previous, item=public(item))


def public(item: Event) -> Event:
    """An item as the API shows it: without what this file keeps beside it."""
    return {key: value for key, value in item.items() if key not in ("audio_ms", "said", "truncated_ms")}
