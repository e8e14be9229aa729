"""The function calls that the model writes in its responses, and which of them are to be run.

A call comes in pieces; it is whole when the model says that its item is complete, or that its response is. Only a whole
one is run, and none that became whole after its response was refused: a caller who says "no, wait" has taken back what
was about to be done. Calls are known by response and item: a call id may come again in every response. Bounded; nothing
here sends or runs.
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastbridge.base.json_text import id_of, id_text, text_of
from fastbridge.base.machine import step

MAX_OPEN = 256
"""Calls being written; with one more the oldest is forgotten, and never run."""
MAX_REMEMBERED = 256
"""Calls decided, and responses refused or ended, that are known when they come again."""
BROKEN_STATUSES = frozenset({"incomplete", "cancelled", "failed", "lost"})
TAKEN_BACK = "the response was taken back before it was complete"
CUT_OFF = "it was cut off before it was complete"


class State(StrEnum):
    WRITING = "writing"
    WHOLE = "whole"
    BROKEN = "broken"


class Event(StrEnum):
    COMPLETE = "complete"
    BREAK_OFF = "break_off"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.WRITING: {Event.COMPLETE: State.WHOLE, Event.BREAK_OFF: State.BROKEN},
    State.WHOLE: {},
    State.BROKEN: {},
}
"""WRITING lasts as long as its response, which has a deadline."""


@dataclass(eq=False)
class FunctionCall:
    """One call. `arguments`: the JSON text, None as long as it is not known. `why`: one that is broken is not run."""

    response_id: str
    item_id: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str | None = None
    state: State = State.WRITING
    why: str = ""

    def is_named(self, response_id: str, item_id: str, call_id: str) -> bool:
        """Whether an event with these ids is about this call. Some servers leave one of them out."""
        if response_id != self.response_id:
            return False
        return item_id == self.item_id if item_id and self.item_id else call_id == self.call_id

    def to(self, event: Event) -> None:
        self.state = step("function call", TRANSITIONS, self.state, event)


class FunctionCalls:
    """Those of one session. Each verb takes an event's parts and gives the calls that it decides, each call once."""

    def __init__(self) -> None:
        self._open: deque[FunctionCall] = deque(maxlen=MAX_OPEN)
        self._decided: deque[FunctionCall] = deque(maxlen=MAX_REMEMBERED)
        self._refused: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._ended: deque[tuple[str, str]] = deque(maxlen=MAX_REMEMBERED)  # (response id, status)

    def refuse(self, response_id: str) -> None:
        """Nobody wants what this response still brings."""
        self._refused.append(response_id)

    def forget(self) -> None:
        """Another session: nothing more comes of this one's, and its ids say nothing in the next."""
        for known in (self._open, self._decided, self._refused, self._ended):
            known.clear()

    def begun(self, response_id: str, item: dict[str, Any]) -> None:
        """`response.output_item.added`: its arguments are still to come."""
        self._known(response_id, {**item, "arguments": None}, written=False)

    def arguments_done(self, event: dict[str, Any]) -> list[FunctionCall]:
        """`response.function_call_arguments.done`."""
        response_id = id_of(event.get("response_id"))
        call = self._known(response_id, {**event, "id": event.get("item_id")}, written=True)
        status = dict(self._ended).get(response_id)
        if call is None or status is None:
            return []
        return self._decide(call, status)  # it comes late, and no other event will tell

    def item_done(self, response_id: str, item: dict[str, Any]) -> list[FunctionCall]:
        """`response.output_item.done`."""
        call = self._known(response_id, item, written=True)
        return [] if call is None else self._decide(call, text_of(item.get("status")) or "completed")

    def response_ended(self, response_id: str, status: str, output: object = None) -> list[FunctionCall]:
        """`response.done`, or what is as good: no more is written. output: its items, as the model sums them up."""
        decided: list[FunctionCall] = []
        for item in output if isinstance(output, list) else ():
            if isinstance(item, dict) and item.get("type") == "function_call":
                decided += self.item_done(response_id, {**item, "status": item.get("status") or status})
        self._ended.append((response_id, status))
        for call in self._of(response_id):
            if call.arguments is not None or status != "completed":
                decided += self._decide(call, status)
        return decided

    def _of(self, response_id: str) -> list[FunctionCall]:
        return [call for call in self._open if call.response_id == response_id]

    def _known(self, response_id: str, item: dict[str, Any], *, written: bool) -> FunctionCall | None:
        """The call an event is about, with what the event adds; None where it was decided, or has no name."""
        item_id, call_id = (id_text(item.get(name)) for name in ("id", "call_id"))
        if not (item_id or call_id) or _find(self._decided, response_id, item_id, call_id) is not None:
            return None
        call = _find(self._open, response_id, item_id, call_id)
        if call is None:
            call = FunctionCall(response_id)
            self._open.append(call)
        call.item_id, call.call_id = item_id or call.item_id, call_id or call.call_id
        call.name = text_of(item.get("name")) or call.name
        if written:
            call.arguments = _text(item.get("arguments")) or call.arguments or ""
        return call

    def _decide(self, call: FunctionCall, status: str) -> list[FunctionCall]:
        self._open.remove(call)
        self._decided.append(call)
        if call.response_id in self._refused:
            call.why = TAKEN_BACK
        elif status in BROKEN_STATUSES:
            call.why = CUT_OFF
        call.to(Event.BREAK_OFF if call.why else Event.COMPLETE)
        return [call] if call.call_id else []  # without one nobody can be told what came of it


def _find(calls: Iterable[FunctionCall], response_id: str, item_id: str, call_id: str) -> FunctionCall | None:
    return next((call for call in calls if call.is_named(response_id, item_id, call_id)), None)


def _text(arguments: object) -> str:
    """JSON text, as the model gives it; some servers give the object itself, and some nothing."""
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except RecursionError:  # parsed from text, which may be deeper than what can be written
        return ""
