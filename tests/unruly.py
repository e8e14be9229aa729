"""A model on virtual time that does as it likes, of either dialect: and what the service will charge for it.

It is no part of the simulation, and obeys nothing that it is not told to obey. `Habits` are of the one that speaks
Realtime: how many times faster than it is heard its audio comes, how long its answers are, whether it stops when it is
cancelled, and how it tells what it has cost.
"""

from dataclasses import dataclass
from typing import Any

from call_rig import CallRig
from fastbridge.agent import Agent

TICK_SECONDS = 0.02
FRAME = bytes(range(160))
READ_TEXT = 100
"""Tokens of what it is told at the start, and reads each time."""
ASKED = 20
"""Tokens of each question of the caller's."""


@dataclass
class Habits:
    """tells: see `Unruly.told`. seconds: of audio, by answer; the last one goes on."""

    speed: int = 10
    seconds: tuple[float, ...] = (4.0,)
    obeys: bool = True
    tells: str = "well"


class Unruly(CallRig):
    """A call with it. `true`: the tokens it has really used, of all kinds; `usd` what they cost."""

    def __init__(self, habits: Habits, price: dict[str, float], **settings: Any) -> None:
        super().__init__(Agent(instructions="x" * 4 * READ_TEXT), silence_seconds=0, **settings)
        self.habits = habits
        self.price = price
        self.true = dict.fromkeys(("text_in", "audio_in", "text_out", "audio_out"), 0)
        self.text, self.audio = READ_TEXT, 0  # of the conversation
        self.answers = 0
        self._left = 0.0  # frames of the answer under way
        self._response = ""
        self._of: dict[str, int] = {}
        self._read = 0  # of the journal
        self._late: list[dict[str, Any]] = []
        self._wishes: list[dict[str, Any]] = []
        self.quiet_ticks = 0

    @property
    def tokens(self) -> int:
        return sum(self.true.values())

    @property
    def usd(self) -> float:
        return sum(count * self.price[kind] for kind, count in self.true.items()) / 1e6

    def hold(self, seconds: float = 300.0) -> dict[str, Any]:
        """The caller asks whenever there is quiet, until the call is over: its record."""
        self.up()
        for tick in range(round(seconds / TICK_SECONDS)):
            self._obey()
            self._speak()
            if tick % 10 == 0:  # it looks through all that was written
                self.echo_marks()
            if not self.call.live:
                break
            self.quiet_ticks = self.quiet_ticks + 1 if self._at_rest else 0
            if self.quiet_ticks > 50:
                self._asks()
            self.advance(TICK_SECONDS)
        assert self.call.document is not None, "it has never come to an end"
        return self.call.document

    @property
    def _at_rest(self) -> bool:
        return not (self._response or self._wishes or self.call.facts.assistant_speaks or self.call.facts.leaving)

    def _asks(self) -> None:
        self.quiet_ticks = 0
        self.caller_turn("And then?", f"item_u{self.answers}")
        self.audio += ASKED
        self._begins(None)

    def _obey(self) -> None:
        fresh, self._read = self.journal[self._read :], len(self.journal)
        for entry in fresh:
            if entry.to == "model" and entry.kind == "response.create":
                self._wishes.append(entry.message["response"].get("metadata"))
            elif entry.to == "model" and entry.kind == "response.cancel" and self.habits.obeys:
                self._ends("cancelled")
        if self._wishes and not self._response:
            self._begins(self._wishes.pop(0))

    def _begins(self, metadata: Any) -> None:
        seconds = self.habits.seconds[min(self.answers, len(self.habits.seconds) - 1)]
        self.answers += 1
        self._response = f"resp_{self.answers}"
        self._left = seconds * 50
        self._of = {"text_in": self.text, "audio_in": self.audio, "text_out": 0, "audio_out": 0}
        response = {"id": self._response, **({"metadata": metadata} if metadata else {})}
        self.model({"type": "response.created", "response": response})
        item = {"id": f"item_{self.answers}", "type": "message", "role": "assistant"}
        self.model({"type": "response.output_item.added", "response_id": self._response, "item": item})

    def _speak(self) -> None:
        for _ in range(self.habits.speed):
            if self._response and self._left > 0:
                self._left -= 1
                self._of["audio_out"] += 1  # frames, for now
                self.delta(FRAME, self._response, f"item_{self.answers}")
                self._obey()
        if self._response and self._left <= 0:
            self._ends("completed")

    def _ends(self, status: str) -> None:
        if not self._response:
            return
        self._of["audio_out"] = round(self._of["audio_out"] * 0.4)
        self._of["text_out"] = self._of["audio_out"] // 4
        for kind, count in self._of.items():
            self.true[kind] += count
        self.text += self._of["text_out"]
        self.audio += self._of["audio_out"]
        response_id, self._response = self._response, ""
        self._tell(response_id, status, dict(self._of))

    def _tell(self, response_id: str, status: str, of: dict[str, int]) -> None:
        done = {"id": response_id, "status": status}
        tells = self.habits.tells
        if tells == "never":
            self.model({"type": "response.done", "response": done})
        elif tells == "late":
            late, self._late = self._late, [done | {"usage": usage(of)}]
            self.model({"type": "response.done", "response": done})
            for each in late:
                self.model({"type": "response.done", "response": each})
        else:
            for given in told(tells, of):
                self.model({"type": "response.done", "response": done | {"usage": given}})


def usage(of: dict[str, int]) -> dict[str, Any]:
    """As the service tells it."""
    given, made = of["text_in"] + of["audio_in"], of["text_out"] + of["audio_out"]
    return {
        "total_tokens": given + made,
        "input_tokens": given,
        "output_tokens": made,
        "input_token_details": {"text_tokens": of["text_in"], "audio_tokens": of["audio_in"]},
        "output_token_details": {"text_tokens": of["text_out"], "audio_tokens": of["audio_out"]},
    }


def told(how: str, of: dict[str, int]) -> list[dict[str, Any]]:
    """What a service may say of this, once for each `response.done` that it sends."""
    well = usage(of)
    nonsense = {"nan": float("nan"), "negative": -5, "huge": 10**15, "text": "many"}
    if how in nonsense:
        return [everywhere(well, nonsense[how])]
    if how == "twice":
        return [well, well]
    if how == "less and less":
        return [well, usage({kind: count // 2 for kind, count in of.items()})]
    if how == "sums alone":
        return [{"total_tokens": well["total_tokens"]}]
    return [well]


def everywhere(value: Any, what: object) -> Any:
    """This, in the place of each number."""
    return {name: everywhere(each, what) for name, each in value.items()} if isinstance(value, dict) else what
