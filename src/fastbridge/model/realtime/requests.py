"""What a call asks of its session: to remember no more than was heard, to go on, to know this, to give a sign."""

from collections.abc import Callable
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge.base.conversation import ToolCall
from fastbridge.model.history import History
from fastbridge.model.memory import Memory
from fastbridge.model.realtime.replay import message
from fastbridge.model.realtime.telling import Telling
from fastbridge.model.realtime.truncation import Truncation

SIGN_ID = "sign_"


class Requests(Memory):
    """send(event): a client event to the model; whether there is a session that takes it."""

    stored_id = ""
    """No session of this dialect is continued by another."""
    billed_seconds: float | None = None
    """It is billed by the token."""

    def __init__(self, history: History, lane: AssistantLane, send: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__(history, lane)
        self._ask = send
        self._signs = 0
        self._truncation = Truncation(history, send)
        self._telling = Telling(send)

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """See Truncation."""
        return self._truncation.truncate(item_id, heard_ms, received_ms)

    def ask_for_a_sign(self) -> None:
        """Something to which every session answers at once, and that changes nothing: `ModelSign`."""
        self._signs += 1
        self._ask({"type": "session.update", "event_id": f"{SIGN_ID}{self._signs}", "session": {"type": "realtime"}})

    def take_turn(self) -> None:
        """The caller's turn is over, whatever the model thinks of it."""
        self._ask({"type": "input_audio_buffer.commit"})

    def tool_result(self, call: ToolCall, output: str) -> None:
        """To the model, now or in the session to come."""
        call.output = output
        self._telling.tell({"type": "function_call_output", "call_id": call.call_id, "output": output})

    def note(self, role: str, text: str, *, lasting: bool = False) -> None:
        """See `port.Model`. A message in the conversation."""
        self._remember(role, text, lasting)
        self._telling.tell(message(role, text))
