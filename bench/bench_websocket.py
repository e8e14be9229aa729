"""One text frame of a WebSocket: in from Twilio (masked, about 400 bytes), out to Twilio and to the model (masked)."""

from collections import deque

from helpers import SID


def bench_websocket_frame_in(twin, each, media_messages):
    reader = twin.websocket.FrameReader(
        server=True,
        max_size_bytes=65_536,
        on_text=deque(maxlen=1).append,
        on_other=lambda data: True,
        on_bad_text=lambda: None,
    )
    each(reader.feed, [twin.websocket.text_frame(message, mask=True) for message in media_messages])
    assert not reader.passthrough


def bench_websocket_frame_out(twin, each, frames):
    text_frame = twin.websocket.text_frame
    messages = [twin.framing.media_message(SID, frame) for frame in frames]
    each(lambda message: text_frame(message, mask=False), messages)


def bench_websocket_masked_frame_out(twin, each, payloads):
    text_frame = twin.websocket.text_frame
    messages = [twin.framing.append_message(payload) for payload in payloads]
    each(lambda message: text_frame(message, mask=True), messages)
