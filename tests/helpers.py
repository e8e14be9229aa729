"""What several test files share: feeding a parser in every way, a settable clock, reading WebSocket frames back."""

import json
import math
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from oracle import mulaw

MS = 1_000_000
FRAME_BYTES = 160
SID = b"MZ0123456789abcdef0123456789abcdef"
FOREIGN_SID = b"MZffffffffffffffffffffffffffffffff"
_EVENTS = count(1)


def chunkings(data: bytes) -> Iterator[list[bytes]]:
    """Whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    for cut in range(1, len(data)):
        yield [data[:cut], data[cut:]]


def assert_split_anywhere(parser: Callable[[list[bytes]], Any], data: bytes, expected: Any) -> None:
    """`parser(chunks)` makes a fresh parser, feeds it the chunks and says what came out: `expected`, however cut.

    Trailing junk may not change what came before it: with the first byte of a message behind, the same comes out.
    """
    for chunks in chunkings(data):
        assert parser(chunks) == expected, f"fed as {[len(chunk) for chunk in chunks]}"
    junk = data[:1]
    assert parser([data + junk]) == expected
    assert parser([data, junk]) == expected


class Clock:
    """Nanoseconds that move only when told."""

    def __init__(self, now_ns: int = 1_000_000 * MS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, milliseconds: float) -> None:
        self.now_ns += round(milliseconds * MS)


def read_frames(stream: bytes, *, masked: bool) -> list[Frame]:
    """All WebSocket frames of a byte stream, judged and unmasked by `websockets`; the stream must end with the last."""
    reader = StreamReader()
    reader.feed_data(stream)
    frames = []
    while reader.buffer:
        parsing = Frame.parse(reader.read_exact, mask=masked)
        try:
            next(parsing)
        except StopIteration as done:
            frames.append(done.value)
        else:
            raise AssertionError("the stream ends within a frame")
    return frames


def read_messages(writes: list[bytes], *, masked: bool) -> list[dict[str, Any]]:
    """The JSON messages in what a lane wrote; only whole text frames are allowed."""
    frames = read_frames(b"".join(writes), masked=masked)
    assert all(frame.opcode is Opcode.TEXT and frame.fin for frame in frames)
    return [json.loads(bytes(frame.data)) for frame in frames]


def base64_text(audio: bytes) -> bytes:
    return b64encode(audio)


def audio_of(messages: list[dict[str, Any]]) -> bytes:
    """The audio in Twilio `media` or OpenAI `append` messages, in order."""
    payloads = (m["media"]["payload"] if "media" in m else m["audio"] for m in messages if "media" in m or "audio" in m)
    return b"".join(b64decode(payload, validate=True) for payload in payloads)


def media_json(chunk: int, payload: bytes, sid: bytes = SID, timestamp_ms: int | None = None) -> bytes:
    """Twilio's `media` message, byte for byte as captured."""
    timestamp_ms = 20 * chunk if timestamp_ms is None else timestamp_ms
    return (
        b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d","timestamp":"%d","payload":"%s"},'
        b'"streamSid":"%s"}' % (chunk + 1, chunk, timestamp_ms, payload, sid)
    )


def mark_json(name: bytes, sid: bytes = SID) -> bytes:
    return b'{"event":"mark","sequenceNumber":"4","streamSid":"%s","mark":{"name":"%s"}}' % (sid, name)


def delta_json(response_id: str, item_id: str, delta: bytes, event_id: str = "") -> bytes:
    """OpenAI's audio delta, byte for byte as captured; without an event_id each is another event."""
    event_id = event_id or f"event_{next(_EVENTS)}"
    return (
        b'{"type":"response.output_audio.delta","event_id":"%s","response_id":"%s","item_id":"%s",'
        b'"output_index":0,"content_index":0,"delta":"%s"}'
        % (event_id.encode(), response_id.encode(), item_id.encode(), delta)
    )


def tone_complex(pitch_hz: int, level_dbfs: float) -> bytes:
    """One frame of a few harmonics, which goes on seamlessly in the next if 50 Hz divides the pitch."""
    turns = [2 * math.pi * pitch_hz * n / 8000 for n in range(FRAME_BYTES)]
    wave = [math.sin(t) + 0.6 * math.sin(2 * t) + 0.4 * math.sin(3 * t) + 0.3 * math.sin(5 * t) for t in turns]
    gain = 32768 * 10 ** (level_dbfs / 20) / math.sqrt(sum(x * x for x in wave) / FRAME_BYTES)
    return mulaw.encode(struct.pack("=160h", *(max(-32000, min(32000, int(gain * x))) for x in wave)))


def numbered_frame(number: int) -> bytes:
    """A frame that cannot be mistaken for another."""
    return number.to_bytes(4, "big") * (FRAME_BYTES // 4)


LOUD = tone_complex(200, -12.0)
"""A frame of a steady voice: a detector with defaults believes the fifth in a row."""
QUIET = bytes([0xFF]) * FRAME_BYTES


def spoiled(event: Any, is_free: Callable[[tuple[Any, ...]], bool]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """The event with an unknown key in each of its objects in turn, and the place of it; not where one is_free."""

    def places(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from places(each, (*place, index))
        elif isinstance(value, dict) and not is_free(place):
            yield place
            for key, each in value.items():
                yield from places(each, (*place, key))

    for place in places(event, ()):
        made = deepcopy(event)
        target = made
        for step in place:
            target = target[step]
        target["surprise"] = 1
        yield place, made
