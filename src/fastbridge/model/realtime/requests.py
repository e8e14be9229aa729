"""What a call asks of its session: to remember no more than was heard, to go on, to know this, to give a sign."""

from collections.abc import Callable
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.model.history import History
from fastbridge.model.instructions import continuation
from fastbridge.model.port import Wish
from fastbridge.model.realtime.telling import Telling
from fastbridge.model.realtime.truncation import Truncation

SIGN_ID = "sign_"


class Requests:
    """send(event): a client event to the model; whether there is a session that takes it."""

    def __init__(self, history: History, lane: AssistantLane, send: Callable[[dict[str, Any]], bool]) -> None:
        self.history = history
        self._lane = lane
        self._ask = send
        self._signs = 0
        self._truncation = Truncation(history, send)
        self._telling = Telling(send)

    @property
    def turns(self) -> dict[str, Turn]:
        return self.history.turns

    @property
    def tool_calls(self) -> list[ToolCall]:
        return self.history.tool_calls

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """See Truncation."""
        return self._truncation.truncate(item_id, heard_ms, received_ms)

    def break_off(self) -> Wish:
        """The answer under way will not be finished in this session: the wish for the response that continues it."""
        return Wish(continuation(self.history.break_off(self._received_ms())), words_only=False)

    def unsay(self, response_id: str) -> None:
        """Nothing of this response was heard, whatever its words were."""
        for turn in self.turns.values():
            if turn.response_id == response_id:
                self.history.cut(turn, 0, 0)

    def stalled(self) -> None:
        """A recording of ours goes between the audio that came of the message under way and the rest of it."""
        self.history.played_before(self.history.speaking_item, self._received_ms())

    def _received_ms(self) -> int:
        """Audio of the message under way that came since the lane began to count it."""
        return sum(ms for item, _, _, ms in self._lane.items() if item == self.history.speaking_item)

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

    def note(self, role: str, text: str) -> None:
        """A message in the conversation that nobody spoke: role `user` or `system`."""
        content = [{"type": "input_text", "text": text}]
        self._telling.tell({"type": "message", "role": role, "content": content})
