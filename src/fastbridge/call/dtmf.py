"""DTMF, the keys a caller presses, gathered: a number is typed one key at a time and means something only whole.

A group ends with the agent's end key, after a pause, or at MAX_DIGITS. What was pressed is the caller's secret as
likely as not: it goes to the agent's hook or to the model, and never to the log. Where the agent's code gathers keys
they go there and nowhere else; and of those that were pressed in private the model is told by nobody.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import Hooks
from fastbridge.base.clock import Clock, Deadline
from fastbridge.call.happenings import CallerTypes
from fastbridge.config import Settings
from fastbridge.model.port import Model, Tell

MAX_DIGITS = 64
MAX_EARLY = 8
"""Messages to the model that wait for its session; one more drops the oldest."""
MAX_GATHERS = 16
"""That wait for keys, one behind the other; one more gets none."""


class Keys:
    """end_key: ends a group and is no part of it; empty for none. pause_seconds: ends it too. deliver(digits)."""

    def __init__(self, clock: Clock, *, end_key: str, pause_seconds: float, deliver: Callable[[str], object]) -> None:
        self.end_key = end_key
        self.pause_seconds = pause_seconds
        self._deliver = deliver
        self._digits = ""
        self._pause = Deadline(clock, self._flush)

    def press(self, digit: str) -> None:
        if digit == self.end_key and self._digits:
            self._flush()
            return
        self._digits += digit
        if len(self._digits) >= MAX_DIGITS:
            self._flush()
        else:
            self._pause.set(self.pause_seconds)

    def close(self) -> None:
        self._pause.clear()
        self._digits = ""

    def _flush(self) -> None:
        self._pause.clear()
        digits, self._digits = self._digits, ""
        if digits:
            self._deliver(digits)

    def take(self) -> str:
        """What there is of a group; it is nobody else's then."""
        self._pause.clear()
        digits, self._digits = self._digits, ""
        return digits


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def private(self) -> bool: ...


@dataclass(eq=False)
class Gather:
    """Keys that the agent's code waits for. answer(digits): once."""

    max_digits: int
    end: str
    timeout_seconds: float
    answer: Callable[[str], object]
    digits: str = ""


class Dtmf(Keys):
    """The keys of one call: to whoever gathers them, to the agent's hook, or to the model in words, to which it
    answers."""

    def __init__(self, agent: Agent, *, clock: Clock, facts: Moment, hooks: Hooks, session: Model, tell: Tell) -> None:
        super().__init__(clock, end_key=agent.keys_end, pause_seconds=agent.keys_end_seconds, deliver=self._gathered)
        self._to_model = agent.keys_to_model
        self._facts = facts
        self._secret = False  # of the group under way
        self._closed = False
        self._gathers: deque[Gather] = deque()
        self._patience = Deadline(clock, self._gathered_enough)
        self._hooks = hooks
        self._session = session
        self._tell = tell
        self._early: list[str] = []

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self.end_key, self.pause_seconds, self._to_model = agent.keys_end, agent.keys_end_seconds, agent.keys_to_model

    def press(self, digit: str) -> None:
        if self._closed:
            return  # the carrier's last packet may have held more than the end
        if self._gathers:
            self._gather_key(digit)
            return
        self._secret = self._secret or self._facts.private
        super().press(digit)

    def gather(self, max_digits: int, end: str, timeout_seconds: float, answer: Callable[[str], object]) -> None:
        """The next keys, and those pressed in private that nobody has had. answer(digits): at the end key, when there
        are enough, when none has come for so long, or at the call's end."""
        if self._closed or len(self._gathers) >= MAX_GATHERS:
            answer("")
            return
        self._gathers.append(Gather(max_digits, end, timeout_seconds, answer))
        if len(self._gathers) == 1:
            self._begin_gathering()

    def close(self) -> None:
        super().close()
        self._closed = True
        while self._gathers:
            self._gathered_enough()

    def _begin_gathering(self) -> None:
        gather = self._gathers[0]
        self._patience.set(gather.timeout_seconds)
        if self._secret:
            self._secret = False
            for digit in self.take():
                self.press(digit)

    def _gather_key(self, digit: str) -> None:
        gather = self._gathers[0]
        if digit != gather.end:
            gather.digits += digit
        if digit == gather.end or len(gather.digits) >= gather.max_digits:
            self._gathered_enough()
        else:
            self._patience.set(gather.timeout_seconds)

    def _gathered_enough(self) -> None:
        self._patience.clear()
        gather = self._gathers.popleft()
        if self._gathers and not self._closed:
            self._begin_gathering()
        gather.answer(gather.digits)

    def ready(self) -> None:
        """The model listens, for the first time or again."""
        early, self._early = self._early, []
        for text in early:
            self._say(text)

    def _gathered(self, digits: str) -> None:
        secret, self._secret = self._secret, False
        if secret:
            self._hooks.emit("on_dtmf", digits)
        elif not self._hooks.emit("on_dtmf", digits, self._understood) and self._to_model:
            self._say(told(digits))

    def _understood(self, result: object) -> None:
        if isinstance(result, str) and result:
            self._say(result)

    def _say(self, text: str) -> None:
        """Something the caller did, in words, to which the model is to answer."""
        if not self._session.ready:
            self._early = [*self._early[1 - MAX_EARLY :], text]
            return
        self._tell(CallerTypes())
        self._session.note("user", text)
        self._session.responses.create("keys")


def told(digits: str) -> str:
    """What the model is told of them."""
    return f"(The caller pressed these keys on the telephone: {' '.join(digits)})"
