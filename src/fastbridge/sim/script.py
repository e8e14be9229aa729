"""What the simulated caller says and when, judged only by what reaches its ear.

A pure core: every 20 ms `Conversation.tick` is given the packet that was just heard and says what the caller does now.
The caller knows nothing of the node or the model. "The assistant speaks" means that its ear hears more than
AUDIBLE_DBFS.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, SILENCE, level_dbfs, speech, to_frames

AUDIBLE_DBFS = -50.0
PATIENCE_MS = 15_000
DIGIT_MS = 200
STILL_SPEAKING_MS = 300
"""A pause in the assistant's speech up to this long is a breath, not an end."""

QUIET_FRAME = SILENCE * FRAME_BYTES


@dataclass(frozen=True, slots=True)
class AfterAssistant:
    """When the assistant has been heard since the caller's last step, and then was silent for `silence_ms`."""

    silence_ms: int = 700


@dataclass(frozen=True, slots=True)
class WhileAssistant:
    """While the assistant speaks, `after_ms` after it was first heard since the caller's last step."""

    after_ms: int = 2500


@dataclass(frozen=True, slots=True)
class AfterMs:
    """`ms` after the caller's last step ended (or the stream started), whatever is heard."""

    ms: int


When = AfterAssistant | WhileAssistant | AfterMs


@dataclass(frozen=True, slots=True)
class Speak:
    """Say something: mu-law audio, or the name of a shipped clip. `text` is for people who look at the report."""

    audio: bytes | str
    when: When = field(default_factory=AfterAssistant)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Press keys, one every 200 ms."""

    digits: str
    when: When = field(default_factory=AfterAssistant)


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call. A script without it ends the call 1 s after its last step."""

    when: When = field(default_factory=AfterAssistant)


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Speak over the assistant, `after_ms` into what it is saying."""

    audio: bytes | str
    after_ms: int = 2500
    text: str = ""

    @property
    def when(self) -> When:
        return WhileAssistant(self.after_ms)


Step = Speak | Interrupt | Dtmf | HangUp


class Action(NamedTuple):
    """What the caller does in one tick of 20 ms."""

    frame: bytes
    digit: str | None = None
    hang_up: bool = False


class Conversation:
    """One caller going through a script. `tick` is called once every 20 ms, from the start of the stream."""

    def __init__(self, script: Sequence[Step], patience_ms: int = PATIENCE_MS) -> None:
        self._steps = list(script)
        if not self._steps or not isinstance(self._steps[-1], HangUp):
            self._steps.append(HangUp(AfterMs(1000)))
        self._patience_ms = patience_ms
        self._frames: list[bytes] = []
        self._digits: list[str] = []
        self._ticks = 0
        self._waited_ms = 0
        self._heard_ms = 0
        self._quiet_ms = 0
        self.events: list[tuple[int, str, str]] = []
        """(ms since the start, kind, text); kind is speak, speak_end, dtmf, hang_up or error."""
        self.errors: list[str] = []

    @property
    def speaking(self) -> bool:
        return bool(self._frames)

    @property
    def lines(self) -> int:
        """How many times the caller has begun to speak."""
        return sum(kind == "speak" for _, kind, _ in self.events)

    def tick(self, heard: bytes) -> Action:
        """`heard` is the packet the ear got last."""
        self._listen(heard)
        at_ms = self._ticks * FRAME_MS
        self._ticks += 1
        if self._frames:
            return self._say(at_ms)
        if self._digits:
            return self._press(at_ms)
        if not self._steps:
            return Action(QUIET_FRAME, hang_up=True)
        self._waited_ms += FRAME_MS
        if self._due(self._steps[0].when):
            return self._begin(self._steps.pop(0), at_ms)
        if self._waited_ms >= self._patience_ms:
            return self._give_up(at_ms)
        return Action(QUIET_FRAME)

    def _listen(self, heard: bytes) -> None:
        if level_dbfs(heard) > AUDIBLE_DBFS:
            self._quiet_ms = 0
            self._heard_ms += FRAME_MS
        else:
            self._quiet_ms += FRAME_MS
            self._heard_ms += FRAME_MS if self._heard_ms else 0

    def _due(self, when: When) -> bool:
        if isinstance(when, AfterMs):
            return self._waited_ms >= when.ms
        if isinstance(when, WhileAssistant):
            return self._heard_ms >= when.after_ms and self._quiet_ms < STILL_SPEAKING_MS
        return self._heard_ms > 0 and self._quiet_ms >= when.silence_ms

    def _begin(self, step: Step, at_ms: int) -> Action:
        if isinstance(step, HangUp):
            self.events.append((at_ms, "hang_up", ""))
            return Action(QUIET_FRAME, hang_up=True)
        if isinstance(step, Dtmf):
            self._digits = list(step.digits)
            return self._press(at_ms)
        audio = speech(step.audio) if isinstance(step.audio, str) else step.audio
        self._frames = to_frames(audio)[::-1]
        self.events.append((at_ms, "speak", step.text))
        return self._say(at_ms)

    def _say(self, at_ms: int) -> Action:
        frame = self._frames.pop() if self._frames else QUIET_FRAME
        if not self._frames:
            self.events.append((at_ms + FRAME_MS, "speak_end", ""))
            self._step_over()
        return Action(frame)

    def _press(self, at_ms: int) -> Action:
        if at_ms % DIGIT_MS or not self._digits:
            return Action(QUIET_FRAME)
        digit = self._digits.pop(0)
        self.events.append((at_ms, "dtmf", digit))
        if not self._digits:
            self._step_over()
        return Action(QUIET_FRAME, digit=digit)

    def _give_up(self, at_ms: int) -> Action:
        step = self._steps[0]
        why = "nothing was heard since its last step"
        if isinstance(step.when, AfterMs):
            why = "its patience is shorter than that"
        elif isinstance(step.when, WhileAssistant):
            why = f"the assistant did not speak for {step.when.after_ms} ms"
        elif self._heard_ms:
            why = "the assistant did not fall silent"
        waited = f"caller waited {self._patience_ms / 1000:g} s in vain to {type(step).__name__}: {why}"
        self.errors.append(waited)
        self.events.append((at_ms, "error", waited))
        return Action(QUIET_FRAME, hang_up=True)

    def _step_over(self) -> None:
        self._waited_ms = self._heard_ms = self._quiet_ms = 0
