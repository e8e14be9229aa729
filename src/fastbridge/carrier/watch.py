"""Is the carrier's line alive, and does it take what we send? Looked at once a second, and told of back-pressure."""

from typing import TYPE_CHECKING, Any

from fastbridge.base.end_reasons import EndReason
from fastbridge.base.json_text import parse_event
from fastbridge.observe import events

if TYPE_CHECKING:
    from fastbridge.call.call import Call

DEAD_STREAM_SECONDS = 5.0
"""Twilio sends audio 50 times a second, silence too: without any for this long the line is dead."""
SLOW_CARRIER_SECONDS = 10.0
"""So long it may take nothing of what waits for it."""
MAX_VIOLATIONS = 3
"""Messages that are none; one more, and whoever sends them is no carrier."""
MAX_MESSAGES_PER_SECOND = 200
"""Beside audio and marks in their usual form. Twilio sends a few in a call."""


class CarrierWatch:
    """One call's."""

    def __init__(self, call: "Call") -> None:
        self._call = call
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
            self._call.assistant.pause()
        else:
            self._call.assistant.unpause()

    def stalled(self, stalled: bool) -> None:
        """The lane waits: two seconds of audio are under way to the carrier, in our buffers or the kernel's."""
        self._stalled = stalled
        self._blocked_ns = self._blocked_ns if stalled or self._paused else 0
        if stalled:
            events.tx_stalled(self._call.log, self._call.assistant.untaken_bytes)

    def violated(self) -> None:
        """It sent what is no message."""
        self._violations += 1
        self._call.trouble.carrier_malformed()
        if self._violations > MAX_VIOLATIONS:
            self._call.close(EndReason.CARRIER_PROTOCOL)

    def read(self, message: bytes) -> dict[str, Any] | None:
        """A message that is no audio in its usual form, which costs more. None if it is none, or one too many."""
        self._messages += 1
        if self._messages > MAX_MESSAGES_PER_SECOND:
            self._call.trouble.carrier_malformed()
            self._call.close(EndReason.CARRIER_PROTOCOL)
            return None
        parsed = parse_event(message)
        if parsed is None:
            self.violated()
        return parsed

    def check(self) -> None:
        """Once a second."""
        self._messages = 0
        call, now = self._call, self._call.clock.now_ns()
        silent_since = call.caller.last_media_ns or call.started_ns
        if now - silent_since > DEAD_STREAM_SECONDS * 1e9:
            events.watchdog(call.log, f"no media for {DEAD_STREAM_SECONDS:.0f}s")
            call.close(EndReason.STREAM_DEAD)
        elif self._blocked_for(now, call.assistant.untaken_bytes) > SLOW_CARRIER_SECONDS * 1e9:
            events.tx_slow(call.log, f"Twilio has taken no audio for {SLOW_CARRIER_SECONDS:.0f}s")
            call.close(EndReason.CARRIER_SLOW)

    def _blocked_for(self, now_ns: int, untaken_bytes: int) -> int:
        """How long, in ns, it has taken nothing of what waits for it."""
        before, self._untaken_bytes = self._untaken_bytes, untaken_bytes
        if not (self._paused or self._stalled):
            self._blocked_ns = 0
        elif not self._blocked_ns or untaken_bytes < before:
            self._blocked_ns = now_ns
        return now_ns - self._blocked_ns if self._blocked_ns else 0
