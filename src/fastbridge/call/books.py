"""What is written down of a call as it happens: moments and counts for its record, lines for its log."""

from collections.abc import Callable
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge.base.clock import CallClock
from fastbridge.base.conversation import Turn
from fastbridge.errors import ModelError
from fastbridge.model.port import LOCAL_ID, Create
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble

MAX_DTMF = 128


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def private(self) -> bool: ...


class Ear(Protocol):
    """The detector."""

    @property
    def quiet_ms(self) -> int | None: ...


class Books:
    """fuses(): how often states of ours outlived their deadlines, by whose they were."""

    def __init__(
        self,
        *,
        clock: CallClock,
        facts: Moment,
        assistant: AssistantLane,
        detector: Ear,
        stats: CallStats,
        log: CallLog,
        trouble: Trouble,
        fuses: Callable[[], dict[str, int]],
    ) -> None:
        self._clock = clock
        self._facts = facts
        self._assistant = assistant
        self._detector = detector
        self._stats = stats
        self._log = log
        self._trouble = trouble
        self._fuses = fuses
        self._speech_stopped_ns = 0
        self._answered_ms = 0

    def speech_started(self) -> None:
        if self._stats.first_speech_ms is None:
            self._stats.first_speech_ms = self._clock.now_ms()

    def speech_stopped(self) -> None:
        self._speech_stopped_ns = self._clock.now_ns()

    def response_created(self, response_id: str, purpose: str) -> None:
        self._stats.responses += 1
        events.response_created(self._log, response_id, purpose)

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        events.response_done(self._log, response_id, status)
        if status == "failed" and error is not None:
            self._trouble.failed(error, response_id=response_id)

    def create_failed(self, create: Create, error: ModelError) -> None:
        self._trouble.failed(error)

    def transcribed(self, turn: Turn) -> None:
        if turn.role == "caller":
            self._stats.turns += 1

    def first_frame(self, response_id: str) -> None:
        if self._assistant.frames_sent == 1:
            events.first_chunk(self._log, self._assistant.first_frame_bytes)
        if response_id.startswith(LOCAL_ID):
            return
        if self._speech_stopped_ns:
            stats = self._stats
            stats.add("responses", stats.response_ms, self._clock.elapsed_ms(self._speech_stopped_ns))
            stats.add("pauses", stats.pause_ms, self._pause_ms())
            self._speech_stopped_ns = 0
        self._answered_ms = self._clock.now_ms()

    def _pause_ms(self) -> int | None:
        """Since the last of his voice, where our ear has heard any since the answer before."""
        quiet_ms = self._detector.quiet_ms
        return quiet_ms if quiet_ms is not None and quiet_ms < self._clock.now_ms() - self._answered_ms else None

    def key(self, digit: str) -> None:
        if len(self._stats.dtmf) < MAX_DTMF:
            self._stats.dtmf += "*" if self._facts.private else digit

    def consented(self) -> None:
        if self._stats.consent_ms is None:
            self._stats.consent_ms = self._clock.now_ms()
            events.consent_given(self._log)

    def second_start(self) -> None:
        events.second_start(self._log)

    def second(self) -> None:
        self._trouble.look(self._fuses())
