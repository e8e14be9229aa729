"""The hold tone: what a caller hears who waits for a human. Two soft notes, a rest, and again, made here.

One bar at a time is in the lane, and only where nothing else is to be heard: that bounds it, and it stops at once. From
one bar's notes to the next there is never as much as 3 s.
"""

import functools
import math
import struct
from collections.abc import Callable
from typing import Protocol

from fastbridge import _mulaw
from fastbridge._assistant import AssistantLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.call.local_sound import give_way, play, plays
from fastbridge.model.port import LOCAL_ID, Model

TONE_ID = f"{LOCAL_ID}hold_tone"
RATE = 8000
BAR_SECONDS = 2.0
NOTES = ((523.25, 0.0), (659.26, 0.32))
"""Hz, and when in the bar."""
NOTE_SECONDS = 0.7
PEAK = 1600
"""Of 32767: -26 dB."""
LOOK_SECONDS = 0.25
REST_SECONDS = 0.4
"""Silence before a bar: between two words of the assistant's there is none."""
AFTERWARDS_SECONDS = 5.0
"""How long it is heard behind the wait, until the model speaks."""


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def assistant_speaks(self) -> bool: ...


class HoldTone:
    """One call's. look(): at each look, while it is on."""

    def __init__(
        self, *, clock: Clock, facts: Moment, assistant: AssistantLane, session: Model, look: Callable[[], object]
    ) -> None:
        self.bars = 0
        self._clock = clock
        self._facts = facts
        self._assistant = assistant
        self._session = session
        self._each_look = look
        self._check = Deadline(clock, self._look)
        self._end = Deadline(clock, self.stop)

    def begin(self) -> None:
        """From now on, where it is quiet."""
        self._end.clear()
        self._look()

    def stop(self) -> None:
        """At once."""
        self.close()
        lane, responses = self._assistant, self._session.responses
        if plays(lane, TONE_ID):
            lane.clear()
            if responses.running and responses.response_id is not None:
                lane.begin_response(responses.response_id)

    def end_soon(self) -> None:
        """When the model speaks, and soon in any case."""
        self._end.set(AFTERWARDS_SECONDS)

    def give_way(self, response_id: str) -> None:
        """The model begins to be heard."""
        give_way(self._assistant, TONE_ID, response_id)

    def close(self) -> None:
        self._check.clear()
        self._end.clear()

    def _look(self) -> None:
        self._each_look()
        silent_ns = self._clock.now_ns() - self._assistant.schedule.play_end_ns
        if not self._facts.assistant_speaks and silent_ns >= REST_SECONDS * 1e9:
            self.bars += 1
            play(self._assistant, self._session, f"{TONE_ID}_{self.bars}", bar())
        self._check.set(LOOK_SECONDS)


@functools.cache
def bar() -> bytes:
    """One bar as base64 of mu-law."""
    samples = [sum(_note(index / RATE - begin, hertz) for hertz, begin in NOTES) for index in range(_samples())]
    return _mulaw.b64encode(_mulaw.encode(struct.pack(f"{len(samples)}h", *(round(sample) for sample in samples))))


def _samples() -> int:
    return round(BAR_SECONDS * RATE)


def _note(at_seconds: float, hertz: float) -> float:
    """It swells for 30 ms, and fades."""
    if not 0 <= at_seconds < NOTE_SECONDS:
        return 0.0
    left = 1 - at_seconds / NOTE_SECONDS
    return PEAK / len(NOTES) * min(at_seconds / 0.03, 1.0) * left * left * math.sin(2 * math.pi * hertz * at_seconds)
