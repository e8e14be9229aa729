"""The node's own recording of a call: a tape in its lanes, handed on piece by piece to whoever writes it.

It begins when it is known who answers, or when the caller has agreed, and nothing before that is on it. What is private
is silence on both tracks. A piece is handed on when its time is past, so that what is taken back, or comes late, is
settled; while the writer has no room the tape keeps it, within its bound.
"""

from typing import Any, Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge._tape import Tape
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.fields import BY_THE_NODE, RECORD_LOCAL
from fastbridge.base.clock import CallClock
from fastbridge.config import Settings
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

SETTLED_SECONDS = 2.5
"""Older than this nothing changes any more: a frame follows the one before it up to 2 s late."""
PIECE_SECONDS = 4.0
BYTES_PER_SECOND = 8000


class Reel(Protocol):
    """Where it is written, elsewhere."""

    name: str
    failed: bool

    @property
    def has_room(self) -> bool: ...
    def write(self, audio: bytes) -> None: ...
    def look(self) -> None: ...
    def finish(self) -> None: ...


class LocalRecorder(Protocol):
    """Whoever writes, for all calls."""

    def begin(self, call_sid: str, stream_sid: str) -> Reel: ...


class Moment(Protocol):
    """What it asks of its call: see `facts`."""

    @property
    def private(self) -> bool: ...


class LocalRecording:
    """One call's. recorder: None where the node has none."""

    def __init__(
        self,
        *,
        clock: CallClock,
        call_sid: str,
        stream_sid: str,
        facts: Moment,
        assistant: AssistantLane,
        caller: CallerLane,
        recorder: LocalRecorder | None,
        log: CallLog,
    ) -> None:
        self.document: dict[str, Any] | None = None
        """For the record; None where the node did not record."""
        self._clock = clock
        self._sids = call_sid, stream_sid
        self._facts = facts
        self._assistant = assistant
        self._caller = caller
        self._recorder = recorder
        self._log = log
        self._mode = ""
        self._closed = False
        self._began_ms = 0
        self._taken_ns = 0
        self._tape: Tape | None = None
        self._reel: Reel | None = None

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._mode = agent.record
        if agent.record == RECORD_LOCAL:
            self._begin()

    def consented(self) -> None:
        if self._mode in BY_THE_NODE:
            self._begin()

    def hush(self) -> None:
        """What comes is private."""
        if self._tape is not None:
            self._tape.conceal(self._clock.now_ns())

    def unhush(self) -> None:
        if self._tape is not None:
            self._tape.reveal(self._clock.now_ns())

    def second(self) -> None:
        if self._tape is not None and self._reel is not None and self._reel.has_room:
            until_ns = self._clock.now_ns() - round(SETTLED_SECONDS * 1e9)
            if until_ns - self._taken_ns >= PIECE_SECONDS * 1e9:
                self._taken_ns = until_ns
                self._reel.write(self._tape.take(until_ns))
            else:
                self._reel.look()

    def close(self) -> None:
        """The call is over, and the lanes have taken back what nobody will hear."""
        self._closed = True
        tape, self._tape = self._tape, None
        if tape is None or self._reel is None:
            return
        while piece := tape.take(self._clock.now_ns()):
            self._reel.write(piece)
        self._reel.finish()
        self._caller.record(None)
        self._assistant.record(None)
        self.document = {
            "file": None if self._reel.failed else self._reel.name,
            "seconds": round(tape.taken_bytes / BYTES_PER_SECOND, 3),
            "began_ms": self._began_ms,
            "frames": tape.frames,
            "dropped_frames": tape.dropped_frames,
            "private_frames": tape.hidden_frames,
            "peak_ms": tape.peak_bytes * 1000 // BYTES_PER_SECOND,
        }

    def _begin(self) -> None:
        if self._tape is not None or self._closed:
            return
        if self._recorder is None:
            events.not_recorded(self._log, "FASTBRIDGE_RECORDINGS_DIR names no folder for it")
            return
        self._began_ms = self._clock.now_ms()
        self._taken_ns = self._clock.now_ns()
        self._tape = Tape(self._taken_ns)
        self._reel = self._recorder.begin(*self._sids)
        if self._facts.private:
            self.hush()
        self._caller.record(self._tape)
        self._assistant.record(self._tape)
        events.recording_began(self._log, by="node", name=self._reel.name)
