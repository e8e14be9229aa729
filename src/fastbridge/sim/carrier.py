"""Twilio's side of one media stream: what it sends, what it plays to the caller's ear, what it would not accept.

A pure core: text in, text out, a clock in milliseconds given by the caller, no socket. Play-out works as a telephone
does: every 20 ms, counted from the start of the stream, one packet of at most 160 bytes goes to the ear, silence where
the buffer is empty. A mark comes back when all audio before it has been played, or at once with `clear`.
What Twilio would reject or ignore is an entry in `errors`, with Twilio's own error code; a run with errors has failed.
The owner calls `receive` and then sends what `poll` returns, before it sends anything else: sequence numbers are given
in that order.

Source: Twilio Media Streams, "WebSocket Messages"; error codes 31931, 31950, 31951.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, SILENCE

BUFFER_BYTES = 600 * 8000
"""Twilio holds ten minutes of unplayed audio; more is discarded, and so is all that follows."""
MAX_ERRORS = 100
FIRST_TIMESTAMP_MS = 155

_FIELDS = {
    "media": ({"event", "streamSid", "media"}, "payload"),
    "mark": ({"event", "streamSid", "mark"}, "name"),
    "clear": ({"event", "streamSid"}, None),
}


class Frame(NamedTuple):
    """One `media` message from the server."""

    arrived_ms: float
    size_bytes: int
    position: int
    """Of its first byte, in all audio received on this stream."""


class Span(NamedTuple):
    """Audio played without a break: `length` bytes from `position` of what was received, at `ear` in `heard`."""

    position: int
    ear: int
    length: int


class Clear(NamedTuple):
    """One `clear`: the bytes `start` to `end` of what was received were never played."""

    arrived_ms: float
    start: int
    end: int


@dataclass(slots=True)
class Mark:
    """One `mark`, and what became of it."""

    name: str
    position: int
    arrived_ms: float
    echoed_ms: float | None = None
    cleared: bool = False


class CarrierStream:
    """One bidirectional media stream, from `connected` to `stop`. Times are milliseconds on the caller's clock.

    `said` and `heard` are mu-law, 160 bytes for every 20 ms since the start, so that byte n of both is the same moment.
    """

    def __init__(
        self,
        *,
        call_sid: str,
        account_sid: str,
        stream_sid: str,
        parameters: dict[str, str] | None = None,
        start_ms: float = 0.0,
    ) -> None:
        self.call_sid = call_sid
        self.account_sid = account_sid
        self.stream_sid = stream_sid
        self.parameters = dict(parameters or {})
        self.start_ms = start_ms
        self.said = bytearray()
        self.heard = bytearray()
        self.received = bytearray()
        self.frames: list[Frame] = []
        self.spans: list[Span] = []
        self.marks: list[Mark] = []
        self.clears: list[Clear] = []
        self.depth_ms: list[int] = []
        """Unplayed audio at each 20 ms packet."""
        self.errors: list[str] = []
        self.started = False
        self.stopped = False
        self._sequence = 0
        self._chunk = 0
        self._taken = 0  # given to the ear, the packet now sounding included
        self._finished = 0  # wholly played
        self._discarding = False
        self._pending: list[Mark] = []
        self._echoes: list[str] = []

    # To the server.

    def start_messages(self) -> list[str]:
        """`connected` and `start`, which open every stream."""
        self.started = True
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        start = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self.parameters,
        }
        number = self._next_sequence()
        opening = {"event": "start", "sequenceNumber": number, "start": start, "streamSid": self.stream_sid}
        return [_compact(connected), _compact(opening)]

    def media(self, frame: bytes) -> str:
        """The next 20 ms of the caller: one `media` message."""
        self.lose(frame)
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(FIRST_TIMESTAMP_MS + (self._chunk - 1) * FRAME_MS),
            "payload": base64.b64encode(frame).decode(),
        }
        number = self._next_sequence()
        return _compact({"event": "media", "sequenceNumber": number, "media": media, "streamSid": self.stream_sid})

    def lose(self, frame: bytes) -> None:
        """The next 20 ms of the caller, dropped on the way (Twilio 31930): the server sees a gap in `chunk`."""
        self.said += frame
        self._chunk += 1

    def dtmf(self, digit: str) -> str:
        """One key of the caller's telephone: 0-9, *, #, A-D."""
        body = {"track": "inbound_track", "digit": digit}
        return _compact(
            {"event": "dtmf", "streamSid": self.stream_sid, "sequenceNumber": self._next_sequence(), "dtmf": body}
        )

    def stop(self) -> str:
        """The call is over; nothing the server still sends counts."""
        self.stopped = True
        body = {"accountSid": self.account_sid, "callSid": self.call_sid}
        return _compact(
            {"event": "stop", "sequenceNumber": self._next_sequence(), "stop": body, "streamSid": self.stream_sid}
        )

    def poll(self, now_ms: float) -> list[str]:
        """Play until `now_ms`; the mark echoes now due."""
        self._play(now_ms)
        echoes, self._echoes = self._echoes, []
        return [
            _compact(
                {
                    "event": "mark",
                    "sequenceNumber": self._next_sequence(),
                    "streamSid": self.stream_sid,
                    "mark": {"name": name},
                }
            )
            for name in echoes
        ]

    def next_due_ms(self) -> float:
        """When the next packet goes to the ear: `poll` again then."""
        return self.start_ms + len(self.heard) // FRAME_BYTES * FRAME_MS

    # From the server.

    def receive(self, message: str | bytes, now_ms: float, arrived_ms: float | None = None) -> None:
        """One message. `arrived_ms`, where the caller knows it better than `now_ms`, is what pacing is judged by."""
        self._play(now_ms)
        if self.stopped:
            return
        try:
            event, value = self._parse(message)
        except ValueError as error:
            self._fail(str(error))
            return
        if event == "media":
            self._take(value, now_ms if arrived_ms is None else arrived_ms)
        elif event == "mark":
            mark = Mark(value, len(self.received), now_ms)
            self.marks.append(mark)
            self._pending.append(mark)
            self._echo_played(now_ms)
        else:
            self._clear(now_ms)

    @property
    def buffered_ms(self) -> int:
        """Audio received and not yet given to the ear."""
        return (len(self.received) - self._taken) // 8

    def _parse(self, message: str | bytes) -> tuple[str, Any]:
        """The event's name and its one value (a payload's bytes, a mark's name). ValueError: Twilio's code and why."""
        if isinstance(message, bytes):
            raise ValueError("31950 binary message")
        if not self.started:
            raise ValueError("31951 message before start")
        try:
            fields = json.loads(message)
        except ValueError:
            raise ValueError(f"31951 not JSON: {message[:60]!r}") from None
        event = fields.get("event") if isinstance(fields, dict) else None
        if not isinstance(event, str) or event not in _FIELDS:
            raise ValueError(f"31951 unknown event: {message[:60]!r}")
        keys, inner = _FIELDS[event]
        if fields.keys() != keys:
            raise ValueError(f"31951 {event} with fields {sorted(fields)}, not {sorted(keys)}")
        if fields["streamSid"] != self.stream_sid:
            raise ValueError(f"31951 {event} for another stream: {fields['streamSid']!r}")
        if inner is None:
            return event, None
        return event, _inner(event, fields[event], inner)

    def _take(self, audio: bytes, arrived_ms: float) -> None:
        if len(self.received) - self._taken + len(audio) > BUFFER_BYTES:
            self._discarding = True
        if self._discarding:
            self._fail("31931 media discarded: over ten minutes unplayed")
            return
        self.frames.append(Frame(arrived_ms, len(audio), len(self.received)))
        self.received += audio

    def _clear(self, now_ms: float) -> None:
        self.clears.append(Clear(now_ms, self._taken, len(self.received)))
        self._taken = self._finished = len(self.received)
        for mark in self._pending:
            mark.cleared = True
        self._echo_played(now_ms)

    def _play(self, now_ms: float) -> None:
        while (due_ms := self.next_due_ms()) <= now_ms:
            self._finished = self._taken
            self._echo_played(due_ms)
            self.depth_ms.append(self.buffered_ms)
            packet = self.received[self._taken : self._taken + FRAME_BYTES]
            if packet:
                self._note_span(len(packet))
                self._taken += len(packet)
            self.heard += packet.ljust(FRAME_BYTES, SILENCE)

    def _note_span(self, length: int) -> None:
        ear = len(self.heard)
        if self.spans:
            last = self.spans[-1]
            if (last.position + last.length, last.ear + last.length) == (self._taken, ear):
                self.spans[-1] = last._replace(length=last.length + length)
                return
        self.spans.append(Span(self._taken, ear, length))

    def _echo_played(self, now_ms: float) -> None:
        while self._pending and self._pending[0].position <= self._finished:
            mark = self._pending.pop(0)
            mark.echoed_ms = now_ms
            self._echoes.append(mark.name)

    def _next_sequence(self) -> str:
        self._sequence += 1
        return str(self._sequence)

    def _fail(self, error: str) -> None:
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(error)


def _inner(event: str, body: object, key: str) -> bytes | str:
    """The one value inside `media` or `mark`."""
    if not isinstance(body, dict) or body.keys() != {key} or not isinstance(body[key], str):
        raise ValueError(f"31951 {event} must hold {{{key!r}: string}} and nothing else")
    value: str = body[key]
    if event == "mark":
        return value
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise ValueError(f"31951 media payload is not base64: {value[:40]!r}") from None


def _compact(message: dict[str, Any]) -> str:
    """JSON as Twilio writes it: no whitespace."""
    return json.dumps(message, separators=(",", ":"))
