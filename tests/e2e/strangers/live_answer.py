"""One answer of GPT-Live's: what a scenario says in it, as sound in the stream, and the work that it hands on, as the
events of the model behind the voice. The scenario's verbs are those of `response.Response`."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

from e2e.strangers.response import DELTA_SECONDS, NUMBERS, StoppedError, perform
from e2e.strangers.sound import answer, frames

if TYPE_CHECKING:
    from e2e.strangers.live import LiveSession

Event = dict[str, Any]
WORD_FRAMES = 8
"""A fragment of the transcript for each so much sound."""


class Utterance:
    """Sound on its way into the stream, with its words."""

    def __init__(self, audio: bytes, words: str) -> None:
        self._frames = frames(audio)
        count = max(1, -(-len(self._frames) // WORD_FRAMES))
        split = words.split(" ")
        cuts = [" ".join(split[len(split) * n // count : len(split) * (n + 1) // count]) for n in range(count)]
        self._words = {n * WORD_FRAMES: text for n, text in enumerate(cuts) if text}
        self._next = 0
        self.done = asyncio.Event()

    @property
    def over(self) -> bool:
        return self._next >= len(self._frames)

    def next(self) -> tuple[bytes, str]:
        """A frame, and the words that are told with it."""
        at, self._next = self._next, self._next + 1
        words = self._words.get(at, "")
        return self._frames[at], f" {words}" if words and at else words


class Work:
    """A response of the model behind the voice, in the events of the Responses API."""

    def __init__(self, session: "LiveSession", delegation_id: str) -> None:
        self.session = session
        self.delegation_id = delegation_id
        self.id = session.name("resp")
        self.open_calls: set[str] = set()
        self.ended = False
        self._sequence = 0
        self._output: list[Event] = []
        self._unfinished: list[Event] = []

    def begin(self) -> None:
        self.session.works.append(self)
        self.emit("response.created", response=self._public("in_progress"))

    def emit(self, kind: str, **body: Any) -> None:
        event = {"type": kind, "sequence_number": self._sequence, **body}
        self._sequence += 1
        self.session.emit("response.event", delegation_id=self.delegation_id, event=event)

    def call(self, name: str, arguments: str, call_id: str, *, finish: bool, part: int | None) -> None:
        item = {"type": "function_call", "id": self.session.name("fc"), "call_id": call_id, "name": name}
        item |= {"arguments": "", "status": "in_progress"}
        self._output.append(item)
        self.session.items[str(item["id"])] = item
        place = {"output_index": len(self._output) - 1}
        self.emit("response.output_item.added", **place, item=dict(item))
        piece = arguments if part is None else arguments[:part]
        if piece and (finish or part is not None):
            item["arguments"] = piece
            named = {"item_id": item["id"], **place}
            self.emit("response.function_call_arguments.delta", **named, delta=piece)
        if finish:
            self._finish(item, "completed")
        else:
            self._unfinished.append(item)

    def _finish(self, item: Event, status: str) -> None:
        item["status"] = status
        place = {"output_index": self._output.index(item)}
        if status == "completed":
            named = {"item_id": item["id"], **place}
            self.emit("response.function_call_arguments.done", **named, name=item["name"], arguments=item["arguments"])
        self.open_calls.add(item["call_id"])
        self.emit("response.output_item.done", **place, item=dict(item))

    def say(self, text: str) -> None:
        """What it has found, in words."""
        content = [{"type": "output_text", "text": text, "annotations": []}]
        item = {"type": "message", "id": self.session.name("msg"), "role": "assistant", "status": "completed"}
        self._output.append(item | {"content": content})
        place = {"output_index": len(self._output) - 1}
        self.emit("response.output_item.added", **place, item=item | {"status": "in_progress", "content": []})
        self.emit("response.output_item.done", **place, item=item | {"content": content})

    def end(self, status: str = "completed", reason: str | None = None, error: Event | None = None) -> None:
        if self.ended:
            return
        status = "incomplete" if self._unfinished and status == "completed" else status
        for item in self._unfinished:
            self._finish(item, "incomplete")
        self._unfinished.clear()
        self.ended = True
        kind = {"cancelled": "incomplete"}.get(status, status)
        self.emit(f"response.{kind}", response=self._public(kind, reason, error))

    def _public(self, status: str, reason: str | None = None, error: Event | None = None) -> Event:
        """As the service has it here: without what was asked and what came of it."""
        response: Event = {"id": self.id, "object": "response", "created_at": 1.0, "model": "gpt-5.5", "output": []}
        response |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "status": status}
        if status == "incomplete":
            known = reason if reason in ("max_output_tokens", "content_filter") else "max_output_tokens"
            response["incomplete_details"] = {"reason": known}
        if error:
            response["error"] = {"code": "server_error", "message": error.get("message", "")}
        if status != "in_progress":
            usage: Event = {"input_tokens": 30, "output_tokens": 10, "total_tokens": 40}
            usage |= {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
            response["usage"] = usage | {"output_tokens_details": {"reasoning_tokens": 0}}
        return response


class Answer:
    """number: of the call, the greeting is 0. cause: `create`, for what it was asked to say, `turn`, or `work`, for
    what came of what it handed on. request: the words it was asked in."""

    def __init__(self, session: "LiveSession", number: int, cause: str, request: Event, work: Work | None) -> None:
        self.session = session
        self.number = number
        self.cause = cause
        self.request = request
        self.status = "in_progress"
        self.output: list[Event] = []
        self.id = session.name("said")
        self._work = work
        self._said: list[Utterance] = []
        self._task: asyncio.Task[None] | None = None

    # --- its life ---

    def begin(self) -> None:
        self._task = asyncio.create_task(self._play())

    async def _play(self) -> None:
        await perform(self)
        for utterance in self._said:
            await utterance.done.wait()
        if self.status == "in_progress":
            self.end()

    def cancel(self) -> None:
        """The voice gave way. Work that was handed on goes on."""
        if self.status == "in_progress":
            self.abandon()
            self.end()

    def abandon(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def end(self, status: str = "completed", reason: str | None = None, error: Event | None = None) -> None:
        self.status = status
        if self._work is not None:
            self._work.end(status, reason, error)
        self.session.ended(self)

    def stop(self, status: str, reason: str | None = None, error: Event | None = None) -> None:
        """It ends here, and the work in it as the status says."""
        self.end(status, reason, error)
        raise StoppedError

    # --- what is in it ---

    async def say(self, text: str, ms: int = 800, *, part: float = 1.0, pace: float = DELTA_SECONDS) -> Event:
        """Speak: sound that the ear knows by these words. part: how much of it comes at all. pace: the scenario goes on
        after so many seconds for each 250 ms, while it is still being said."""
        if self._work is not None and self.cause == "work" and not self.output and not self._work.ended:
            self._work.say(text)
            self._work.end()
        number = next(NUMBERS)
        self.session.case.names[number] = text
        words = text.split(" ")
        said = " ".join(words[: max(1, round(len(words) * part))])
        utterance = Utterance(answer(number, int(ms * part) // 20 * 20), said)
        if part:
            self.session.voice.append(utterance)
            self._said.append(utterance)
            await asyncio.sleep(pace * ms * part / 250)
        return {"id": str(number), "said": said}

    async def call(
        self, name: str, arguments: Any = None, *, call_id: str = "", finish: bool = True, part: int | None = None
    ) -> str:
        """Have the model behind the voice call a function; its call id. As in `Response.call`."""
        if self._work is None or self._work.ended:
            self._work = self.delegate()
        text = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
        call_id = call_id or self.session.name("call")
        self._work.call(name, text, call_id, finish=finish, part=part)
        self.output.append({"type": "function_call", "call_id": call_id})
        await asyncio.sleep(0)
        return call_id

    def delegate(self) -> Work:
        """Hand something on."""
        work = Work(self.session, self.session.name("dlg"))
        delegation = {"id": work.delegation_id, "target": "responses", "type": "delegation", "response_id": work.id}
        self.session.emit("session.delegation.created", offset_ms=self.session.ms, delegation=delegation)
        work.begin()
        return work

    async def hold(self) -> None:
        """Nothing more comes, until the caller speaks."""
        await asyncio.Event().wait()

    def emit(self, kind: str, of: Event | None = None, **body: Any) -> None:
        """An event that no rule of the API's has been asked about."""
        self.session.emit(kind, **body)
