"""The Responses backend of a GPT-Live session: what the client gave it, what it asked for, and what it makes of that.

A run is one response: its events, in the envelope of `response.event`, with the delays between them. The backend knows
which calls are without an output, and so when a response may be asked for. It decides nothing about who speaks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import live_wire
from .live_refusals import NOTHING_TO_ANSWER, in_progress, no_output, unknown_call
from .response import ARGUMENT_DELTA_CHARACTERS, WORD_MS, words
from .scenario import CallTool, Ending, Fail, Incomplete, Output, Say, Stuck
from .timeline import Steps
from .wire import CALL_ID_LENGTH, Event, Ids, Json, Problem, text_tokens

Part = Output | Ending
_SNAPSHOT: Json = {
    "created_at": 0,
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "instructions": None,
    "error": None,
    "incomplete_details": None,
    "usage": None,
}
"""What a response's snapshot says at any time: what would make it large is left out of it."""


@dataclass(slots=True)
class Call:
    """A function call of the backend's, and its output once the client gave one."""

    name: str
    arguments: str
    output: str | None = None


class Run:
    """One response. `text` is what it says, `calls` its function calls once they are whole, `done` whether its last
    event has gone out."""

    def __init__(self, response_id: str, delegation_id: str | None, parts: Sequence[Part]) -> None:
        self.id = response_id
        self.delegation_id = delegation_id
        self.parts = parts
        self.text: list[Say] = [part for part in parts if isinstance(part, Say)]
        self.calls: list[Json] = []
        self.done = False


class Backend:
    """`items` is what the client created, `calls` every function call by its id, `runs` every response."""

    def __init__(self, ids: Ids, first_ms: float, call_id: str | None = None) -> None:
        self.items: list[Json] = []
        self.calls: dict[str, Call] = {}
        self.runs: list[Run] = []
        self.mistakes: list[str] = []
        """What the service takes and a correct client does not do."""
        self._ids = ids
        self._first_ms = first_ms
        self._call_id = call_id
        self._fresh = False
        self._sequence_number = 0

    # What the client does.

    def create(self, item: Json) -> Problem | None:
        """An item of the client's."""
        if item["type"] == "function_call_output":
            call_id = item["call_id"]
            if call_id not in self.calls:
                return unknown_call(call_id)
            if self.calls[call_id].output is not None:
                self.mistakes.append(f"response.item.create: a second output for call id '{call_id}'")
            self.calls[call_id].output = _text(item["output"])
        self.items.append(item)
        self._fresh = True
        return None

    def refusal(self) -> Problem | None:
        """Why no response may be asked for now."""
        if self.active is not None:
            return in_progress(self.active.id)
        missing = next((call_id for call_id, call in self.calls.items() if call.output is None), None)
        if missing is not None:
            return no_output(missing)
        return None if self._fresh else NOTHING_TO_ANSWER

    # What the backend does.

    @property
    def active(self) -> Run | None:
        """The response that is being made."""
        return next((run for run in self.runs if not run.done), None)

    @property
    def delegation_id(self) -> str | None:
        """Whose the last response is."""
        return self.runs[-1].delegation_id if self.runs else None

    @property
    def waiting(self) -> bool:
        """Whether the last response ended with calls, and so goes on in the next."""
        return bool(self.runs) and any(isinstance(part, CallTool) for part in self.runs[-1].parts)

    def run(self, parts: Sequence[Part], delegation_id: str | None) -> Run:
        """A response that makes these outputs; `steps` has its events."""
        run = Run(self._ids.new("resp"), delegation_id, parts)
        self.runs.append(run)
        self._fresh = False
        return run

    def steps(self, run: Run, model: str) -> Steps:
        """The events of a run."""
        self._sequence_number = 0
        yield 0.0, self._lifecycle(run, "created", "in_progress", model)
        yield 0.0, self._lifecycle(run, "in_progress", "in_progress", model)
        yield self._first_ms, None
        outputs = [part for part in run.parts if isinstance(part, Say | CallTool)]
        for index, part in enumerate(outputs):
            yield from self._message(run, index, part) if isinstance(part, Say) else self._call(run, index, part)
        ending = next((part for part in run.parts if not isinstance(part, Say | CallTool)), None)
        if not isinstance(ending, Stuck):
            yield 0.0, self._end(run, ending, model)
            run.done = True

    def _call(self, run: Run, index: int, part: CallTool) -> Steps:
        call_id = self._call_id or self._ids.new("call", CALL_ID_LENGTH)
        call = self.calls[call_id] = Call(part.name, part.arguments_text())
        item = {"id": self._ids.new("fc"), "type": "function_call", "status": "in_progress", "arguments": ""}
        item |= {"call_id": call_id, "name": call.name}
        where = {"item_id": item["id"], "output_index": index}
        yield 0.0, self._event(run, "output_item.added", {"output_index": index, "item": dict(item)})
        for at in range(0, len(call.arguments), ARGUMENT_DELTA_CHARACTERS):
            piece = call.arguments[at : at + ARGUMENT_DELTA_CHARACTERS]
            yield WORD_MS, self._event(run, "function_call_arguments.delta", {**where, **self._ids.obfuscated(piece)})
        yield 0.0, self._event(run, "function_call_arguments.done", {**where, "arguments": call.arguments})
        item |= {"status": "completed", "arguments": call.arguments}
        run.calls.append(item)
        yield 0.0, self._event(run, "output_item.done", {"output_index": index, "item": item})

    def _message(self, run: Run, index: int, part: Say) -> Steps:
        item: Json = {"id": self._ids.new("msg"), "type": "message", "status": "in_progress", "role": "assistant"}
        where = {"item_id": item["id"], "output_index": index, "content_index": 0}
        yield 0.0, self._event(run, "output_item.added", {"output_index": index, "item": {**item, "content": []}})
        yield 0.0, self._event(run, "content_part.added", {**where, "part": _output_text("")})
        for word in words(part.transcript):
            delta = {**where, **self._ids.obfuscated(word), "logprobs": []}
            yield WORD_MS, self._event(run, "output_text.delta", delta)
        yield 0.0, self._event(run, "output_text.done", {**where, "text": part.transcript, "logprobs": []})
        yield 0.0, self._event(run, "content_part.done", {**where, "part": _output_text(part.transcript)})
        item |= {"status": "completed", "content": [_output_text(part.transcript)]}
        yield 0.0, self._event(run, "output_item.done", {"output_index": index, "item": item})

    def _end(self, run: Run, ending: Ending | None, model: str) -> Event:
        if isinstance(ending, Fail):
            error = {"code": ending.code or "server_error", "message": ending.message}
            return self._lifecycle(run, "failed", "failed", model, error=error)
        if isinstance(ending, Incomplete):
            details = {"reason": ending.reason}
            return self._lifecycle(run, "incomplete", "incomplete", model, incomplete_details=details)
        return self._lifecycle(run, "completed", "completed", model, usage=_usage(run.parts))

    def _lifecycle(self, run: Run, kind: str, status: str, model: str, **fields: Any) -> Event:
        response = {"id": run.id, "object": "response", "status": status, "model": model, **_SNAPSHOT, **fields}
        return self._event(run, kind, {"response": response})

    def _event(self, run: Run, kind: str, body: Json) -> Event:
        self._sequence_number += 1
        return live_wire.response_event(Event(f"response.{kind}", body), self._sequence_number - 1, run.delegation_id)


def _output_text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(parts: Sequence[Part]) -> Json:
    written = sum(
        text_tokens(part.transcript if isinstance(part, Say) else part.arguments_text())
        for part in parts
        if isinstance(part, Say | CallTool)
    )
    return {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": written,
    }


def _text(output: str | list[Mapping[str, Any]]) -> str:
    """An output as text: its parts joined, where it has parts."""
    return output if isinstance(output, str) else "".join(str(part.get("text", "")) for part in output)
