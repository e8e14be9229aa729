"""The watch on the carrier's line: is it alive, and does it take what we send? Once a second, and by back-pressure."""

from collections.abc import Callable, Mapping
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge.base.clock import CallClock
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.json_text import parse_event
from fastbridge.carrier.port import CarrierStopped
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.trouble import Trouble

DEAD_STREAM_SECONDS = 5.0
"""Twilio sends audio 50 times a second, silence too: without any for this long the line is dead."""
SLOW_CARRIER_SECONDS = 10.0
"""So long it may take nothing of what waits for it."""
MAX_VIOLATIONS = 3
"""Messages that are none; one more, and whoever sends them is no carrier."""
MAX_MESSAGES_PER_SECOND = 200
"""Beside audio and marks in their usual form. Twilio sends a few in a call."""


class CarrierWatch:
    """One call's. read(message): what a message says, as an event of `port`; None for nothing."""

    def __init__(
        self,
        *,
        clock: CallClock,
        assistant: AssistantLane,
        caller: CallerLane,
        read: Callable[[Mapping[str, Any]], object],
        log: CallLog,
        trouble: Trouble,
        tell: Callable[[Any], object],
    ) -> None:
        self._clock = clock
        self._assistant = assistant
        self._caller = caller
        self._read = read
        self._log = log
        self._trouble = trouble
        self._tell = tell
        self._paused = self._stalled = False
        self._blocked_ns = 0  # since when nothing of what waits was taken
        self._untaken_bytes = 0
        self._violations = 0
        self._messages = 0  # in this second

    def paused(self, paused: bool) -> None:
        """Back-pressure of the carrier's transport: frames stay in the ring."""
        self._paused = paused
        self._blocked_ns = self._blocked_ns if paused or self._stalled else 0
        if paused:
            self._assistant.pause()
        else:
            self._assistant.unpause()

    def stalled(self, stalled: bool) -> None:
        """The lane waits: two seconds of audio are under way to the carrier, in our buffers or the kernel's."""
        self._stalled = stalled
        self._blocked_ns = self._blocked_ns if stalled or self._paused else 0
        if stalled:
            events.tx_stalled(self._log, self._assistant.untaken_bytes)

    def violated(self) -> None:
        """It sent what is no message."""
        self._violations += 1
        self._trouble.carrier_malformed()
        if self._violations > MAX_VIOLATIONS:
            self._stop(EndReason.CARRIER_PROTOCOL)

    def message(self, message: bytes) -> None:
        """A message that is no audio in its usual form, which costs more. One too many ends the call."""
        self._messages += 1
        if self._messages > MAX_MESSAGES_PER_SECOND:
            self._trouble.carrier_malformed()
            self._stop(EndReason.CARRIER_PROTOCOL)
            return
        parsed = parse_event(message)
        if parsed is None:
            self.violated()
            return
        event = self._read(parsed)
        if event is not None:
            self._tell(event)

    def check(self) -> None:
        """Once a second."""
        self._messages = 0
        now = self._clock.now_ns()
        silent_since = self._caller.last_media_ns or self._clock.began_ns
        if now - silent_since > DEAD_STREAM_SECONDS * 1e9:
            events.watchdog(self._log, f"no media for {DEAD_STREAM_SECONDS:.0f}s")
            self._stop(EndReason.STREAM_DEAD)
        elif self._blocked_for(now, self._assistant.untaken_bytes) > SLOW_CARRIER_SECONDS * 1e9:
            events.tx_slow(self._log, f"Twilio has taken no audio for {SLOW_CARRIER_SECONDS:.0f}s")
            self._stop(EndReason.CARRIER_SLOW)

    def _blocked_for(self, now_ns: int, untaken_bytes: int) -> int:
        """How long, in ns, it has taken nothing of what waits for it."""
        before, self._untaken_bytes = self._untaken_bytes, untaken_bytes
        if (self._paused or self._stalled) and (not self._blocked_ns or untaken_bytes < before):
            self._blocked_ns = now_ns
        return now_ns - self._blocked_ns if self._blocked_ns else 0

    def _stop(self, reason: EndReason) -> None:
        self._tell(CarrierStopped(reason))
