"""What a call asks of its session: to know what was heard, to know this, to give a sign.

There is no truncate here. The model stops by itself, and is told what the caller heard, in words that are not spoken.
"""

from collections.abc import Callable
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge.base.conversation import ToolCall
from fastbridge.config import Settings
from fastbridge.model.history import History
from fastbridge.model.instructions import TAIL_CHARS
from fastbridge.model.live.delegation import Delegation
from fastbridge.model.live.replay import noted, told_of
from fastbridge.model.live.words import pieces
from fastbridge.model.memory import Memory
from fastbridge.model.port import LOCAL_ID

SIGN_ID = "sign_"
MIN_UNHEARD_MS = 200
"""Less than that is not worth telling: it is on its way to the caller's ear."""
HEARD = 'The caller interrupted you. Of what you were saying they have heard, last: "{heard}" and nothing after it.'
HEARD_NOTHING = "The caller interrupted you before they could hear anything of what you were about to say."
HEARD_SOME = "The caller interrupted you. Of what you were saying they have heard the first {seconds:.1f} seconds."


class Requests(Memory):
    """send(event): a client event to the model; whether there is a session that takes it."""

    settings: Settings
    _delegation: Delegation

    def __init__(self, history: History, lane: AssistantLane, send: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__(history, lane)
        self._ask = send
        self._signs = 0

    def truncate(self, item_id: str, heard_ms: int, received_ms: int) -> bool:
        """What was cut off is cut in the history, once an item, and the model is told what was heard of it. False if
        it was before, and for a recording of ours."""
        if item_id.startswith(LOCAL_ID):
            return False
        cut_off = self.history.cut_off(item_id, heard_ms, received_ms)
        if cut_off is None:
            return False
        turn, heard_ms, received_ms = cut_off
        if turn is not None and received_ms - heard_ms >= MIN_UNHEARD_MS:  # of one too many nothing is known
            self._think(_heard(turn.text, heard_ms))
        return True

    def _think(self, text: str) -> None:
        """The model knows it, and does not say it."""
        for piece in pieces(text):
            self._ask({"type": "session.thinking.append", "content": piece, "delegation_id": None})

    def ask_for_a_sign(self) -> None:
        """Something to which every session answers at once, and that changes nothing: `ModelSign`."""
        self._signs += 1
        self._ask({"type": "session.update", "event_id": f"{SIGN_ID}{self._signs}", "session": {}})

    def take_turn(self) -> None:
        """The caller's turn is over: that it is, nobody can tell the model but by asking for the answer."""

    def tool_result(self, call: ToolCall, output: str) -> None:
        """To who asked for it; or, where that session is no more, to the one that is, in words. Those it knows and does
        not say: commentary would be read out, names and braces and all. What it says of them is asked for."""
        if not self._delegation.answer(call, output):
            self._think(told_of(call))

    def note(self, role: str, text: str, *, lasting: bool = False) -> None:
        """See `port.Model`."""
        self._remember(role, text, lasting)
        self._think(noted(role, text))


def _heard(text: str, heard_ms: int) -> str:
    """Words that are late are not known yet."""
    if text:
        return HEARD.format(heard=text[-TAIL_CHARS:])
    return HEARD_SOME.format(seconds=heard_ms / 1000) if heard_ms >= MIN_UNHEARD_MS else HEARD_NOTHING
