"""Is the carrier's line alive, and does it take what we send? Looked at once a second, and told of back-pressure."""

from typing import TYPE_CHECKING, Any

from fastbridge import events
from fastbridge.ending import EndReason
from fastbridge.jsontext import parse_event

if TYPE_CHECKING:
    from fastbridge.call import Call

DEAD_STREAM_SECONDS = 5.0
"""Twilio sends audio 50 times a second, silence too: without any for this long the line is dead."""
SLOW_CARRIER_SECONDS = 2.0
MAX_VIOLATIONS = 3
"""Messages that are none; one more, and whoever sends them is no carrier."""
MAX_MESSAGES_PER_SECOND = 200
"""Beside audio and marks in their usual form. Twilio sends a few in a call."""


class CarrierWatch:
    """One call's."""

    def __init__(self, call: "Call") -> None:
        self._call = call
        self._paused_ns = 0  # since when it takes nothing
        self._violations = 0
        self._messages = 0  # in this second

    def paused(self, paused: bool) -> None:
        """Back-pressure of the carrier's transport: frames stay in the ring."""
        call = self._call
        self._paused_ns = call.clock.now_ns() if paused else 0
        if paused:
            call.assistant.pause()
        else:
            call.assistant.unpause()

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
        elif self._paused_ns and now - self._paused_ns > SLOW_CARRIER_SECONDS * 1e9:
            events.tx_slow(call.log, f"Twilio has taken no audio for {SLOW_CARRIER_SECONDS:.0f}s")
            call.close(EndReason.CARRIER_SLOW)
