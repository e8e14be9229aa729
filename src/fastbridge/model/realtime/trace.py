"""What the LOG_* flags and the DEBUG level show of a call's inner life.

Looked at from outside: once a second the lanes' own counters, and every model message only where a flag or the level
asks for it, by taking the compiled lane's place before its socket. Without them nothing of this is on any frame's way.
"""

import re
from collections.abc import Callable
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge._caller import FORWARDED, CallerLane
from fastbridge._dsp import HighpassLimiter
from fastbridge._websocket import TextSink
from fastbridge.base.json_text import object_of, parse_event, text_of
from fastbridge.config import Settings
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

FIRST_CHUNKS = 3
CHUNKS_PER_LINE = 100
LEVEL_SECONDS = 10.0
_DELTA = b".delta"
_KIND = re.compile(r"error|[a-z_]+(\.[a-z_]+)+")
_TRANSCRIPT_DELTAS = frozenset(
    {
        *("response.output_audio_transcript.delta", "conversation.item.input_audio_transcription.delta"),
        *("session.output_transcript.delta", "session.input_transcript.delta"),
    }
)


class Trace:
    """One call's. `second` is to be called about once a second, `model_event` for each event that is not audio."""

    def __init__(
        self,
        log: CallLog,
        settings: Settings,
        caller: CallerLane,
        assistant: AssistantLane,
        detector: Detector,
        dsp: HighpassLimiter | None,
    ) -> None:
        self._log = log
        self._flags = settings
        self._dsp = dsp
        self._caller = caller
        self._assistant = assistant
        self._detector = detector
        self._chunks = 0
        self._resets = 0
        self._failures = 0

    @property
    def sink(self) -> TextSink | Callable[[bytes], object]:
        """For the model's socket: the lane itself, or, where every message is to be seen, ourselves before it."""
        flags = self._flags
        wanted = flags.log_transcript_deltas or flags.log_realtime_events or self._log.detailed
        return self._see if wanted else self._assistant.sink

    def model_event(self, message: bytes) -> None:
        """An event of the model's, before it is acted on: its type and size, never what it says."""
        wanted = self._flags.log_realtime_events
        if not (wanted or self._log.detailed) or _DELTA in message[:64]:
            return
        kind = _kind(message)
        if kind.endswith(".delta"):  # within an event of another name
            self._delta(message)
        elif wanted:
            self._log("REALTIME", f"event {kind}", bytes=len(message), free=True)
        else:
            self._log.debug("REALTIME", f"event {kind}", bytes=len(message))

    def second(self) -> None:
        """Look at the lanes' counters."""
        resets = self._assistant.schedule.tx_schedule_resets
        if resets > self._resets:
            self._resets = resets
            events.tx_slow(self._log, "frames left over 200ms late", tx_schedule_resets=resets)
        if self._dsp is not None and self._dsp.failures > self._failures:
            self._failures = self._dsp.failures
            events.dsp_error(self._log)
        if self._log.detailed or self._flags.log_audio_chunks:
            self._chunks_sent(self._caller.outcomes[FORWARDED])
        if self._flags.debug_tx:
            events.audio_drain(self._log, **self._drain())
        if self._log.detailed:
            self._levels()

    def _chunks_sent(self, sent: int) -> None:
        before, self._chunks = self._chunks, sent
        for number in range(before + 1, min(sent, FIRST_CHUNKS) + 1):
            self._log.debug("REALTIME", f"sending audio TO OpenAI, chunk#{number}")
        if self._flags.log_audio_chunks:
            for hundreds in range(before // CHUNKS_PER_LINE + 1, sent // CHUNKS_PER_LINE + 1):
                self._log("REALTIME", f"sending audio TO OpenAI, chunk#{hundreds * CHUNKS_PER_LINE}", free=True)

    def _drain(self) -> dict[str, Any]:
        lane, schedule = self._assistant, self._assistant.schedule
        return {
            "tx": lane.frames_sent,
            "out": lane.frames_unsent,
            "flushed": sum(lane.frames_flushed.values()),
            "frames_enqueued": lane.frames_enqueued + lane.frames_rewound,
            "unheard_ms": lane.unheard_ms,
            "tx_late_frames": schedule.tx_late_frames,
            "tx_schedule_resets": schedule.tx_schedule_resets,
            "underruns": schedule.underruns,
            "interval_max_ms": round(schedule.interval_max_ms, 1),
        }

    def _levels(self) -> None:
        """Audio deltas and levels, at most every 10 s."""
        lane = self._assistant
        if lane.playing and self._log.rate.every("audio_delta", LEVEL_SECONDS):
            self._log.debug("AUDIO_DELTA", deltas=lane.deltas, received_ms=lane.received_bytes // 8)
        if self._log.rate.every("rms", LEVEL_SECONDS):
            level, threshold = self._detector.level_dbfs, self._detector.threshold_dbfs
            self._log.debug("RMS", level_dbfs=round(level, 1), threshold_dbfs=round(threshold, 1))

    def _see(self, message: bytes) -> None:
        is_delta, unread = _DELTA in message[:64], self._assistant.ignored_events
        if is_delta:
            self._delta(message)
        self._assistant.feed_message(message)
        if self._assistant.ignored_events > unread and not is_delta:
            self.model_event(message)

    def _delta(self, message: bytes) -> None:
        """A delta, seen on its way: those of text are shown word for word, all of them by type and size."""
        flags = self._flags
        if not (flags.log_transcript_deltas or flags.log_realtime_events):
            return
        kind = _kind(message)
        if flags.log_transcript_deltas and kind in _TRANSCRIPT_DELTAS:
            events.transcript_delta(self._log, _delta_text(message))
        elif flags.log_realtime_events and self._log.rate.every(kind, LEVEL_SECONDS):
            self._log("REALTIME", f"event {kind}", bytes=len(message), free=True)


def _event(message: bytes) -> dict[str, Any]:
    return parse_event(message) or {}


def _kind(message: bytes) -> str:
    """An event's type, if it looks like one: a name is no place for words. Of the model behind a voice both."""
    event = _event(message)
    kind = _name(event)
    return f"{kind} {_name(object_of(event.get('event')))}" if kind == "response.event" else kind


def _name(event: dict[str, Any]) -> str:
    kind = text_of(event.get("type"))[:100]
    return kind if _KIND.fullmatch(kind) else "unknown"


def _delta_text(message: bytes) -> str:
    return text_of(_event(message).get("delta"))
