"""fastbridge._framing, the dialect of a stream that never pauses: its hot message, whole and exact, or left alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle.framing
from fastbridge import _framing

AUDIO = b"fn5+fg=="
DELTA = b'{"type":"session.output_audio.delta","delta":"%s"}' % AUDIO
BEFORE = b'{"type":"session.output_audio.delta","event_id":"ev_1","delta":"%s"}' % AUDIO
BEHIND = b'{"type":"session.output_audio.delta","delta":"%s","event_id":"ev_1"}' % AUDIO


@pytest.mark.parametrize("message", [DELTA, BEFORE, BEHIND, DELTA.replace(AUDIO, b"")])
def test_a_delta_is_its_audio(twin, message):
    assert twin.framing.scan_live(message) == (twin.framing.DELTA, json.loads(message)["delta"].encode())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{}",
        DELTA + b" ",
        DELTA[:-1],
        b" " + DELTA,
        DELTA.replace(b'":"', b'": "'),
        DELTA.replace(b"output_audio", b"input_audio"),
        DELTA.replace(AUDIO, b"no base64!"),
        DELTA.replace(b'"%s"' % AUDIO, b"7"),
        DELTA[:-1] + b',"start_ms":0}',
        BEFORE.replace(b"ev_1", b""),
        BEFORE.replace(b"ev_1", b"two words"),
        BEHIND.replace(b"ev_1", b"x" * 65),
        b'{"delta":"%s","type":"session.output_audio.delta"}' % AUDIO,
        b'{"type":"session.output_transcript.delta","event_id":"e","delta":"Hi","start_ms":0,"end_ms":20}',
    ],
)
def test_anything_else_is_left_to_a_parser(twin, message):
    assert twin.framing.scan_live(message) == (twin.framing.OTHER,)


@given(st.sampled_from([DELTA, BEFORE, BEHIND]), st.integers(0, 120), st.binary(max_size=3))
def test_both_twins_say_the_same_of_a_message_with_a_fault_in_it(message, at, put):
    broken = message[:at] + put + message[at + len(put) :]
    assert _framing.scan_live(broken) == oracle.framing.scan_live(broken)


def test_the_callers_audio(twin):
    message = twin.framing.live_append_message(AUDIO)
    assert message == b'{"type":"session.input_audio.append","audio":"%s"}' % AUDIO
