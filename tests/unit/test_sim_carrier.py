"""Twilio's side of a media stream: message shapes, play-out, marks, clear, and what it would not accept."""

import base64
import json
from typing import Any

import pytest

from fastbridge.sim import carrier as carrier_module
from fastbridge.sim.carrier import CarrierStream, Clear, Frame, Span

CALL, ACCOUNT, STREAM = "CA" + "1" * 32, "AC" + "2" * 32, "MZ" + "3" * 32


def stream(start_ms: float = 1000.0, *, started: bool = True) -> CarrierStream:
    carrier = CarrierStream(
        call_sid=CALL, account_sid=ACCOUNT, stream_sid=STREAM, parameters={"a": "1"}, start_ms=start_ms
    )
    if started:
        carrier.start_messages()
    return carrier


def media(audio: bytes) -> str:
    return json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": base64.b64encode(audio).decode()}})


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})


def clear() -> str:
    return json.dumps({"event": "clear", "streamSid": STREAM})


def names(messages: list[str]) -> list[str]:
    return [json.loads(message)["mark"]["name"] for message in messages]


def test_a_stream_opens_with_connected_and_start_in_twilios_layout() -> None:
    connected, start = stream(started=False).start_messages()
    assert connected == '{"event":"connected","protocol":"Call","version":"1.0.0"}'
    assert start == (
        f'{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{ACCOUNT}","streamSid":"{STREAM}",'
        f'"callSid":"{CALL}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,'
        f'"channels":1}},"customParameters":{{"a":"1"}}}},"streamSid":"{STREAM}"}}'
    )


def test_media_dtmf_and_stop_have_twilios_layout_and_one_sequence() -> None:
    carrier = stream()
    payload = base64.b64encode(b"\x10" * 160).decode()
    assert carrier.media(b"\x10" * 160) == (
        '{"event":"media","sequenceNumber":"2","media":{"track":"inbound","chunk":"1","timestamp":"155",'
        f'"payload":"{payload}"}},"streamSid":"{STREAM}"}}'
    )
    assert carrier.dtmf("#") == (
        f'{{"event":"dtmf","streamSid":"{STREAM}","sequenceNumber":"3","dtmf":{{"track":"inbound_track","digit":"#"}}}}'
    )
    second: dict[str, Any] = json.loads(carrier.media(b"\x20" * 160))
    assert (second["sequenceNumber"], second["media"]["chunk"], second["media"]["timestamp"]) == ("4", "2", "175")
    assert carrier.stop() == (
        f'{{"event":"stop","sequenceNumber":"5","stop":{{"accountSid":"{ACCOUNT}","callSid":"{CALL}"}},'
        f'"streamSid":"{STREAM}"}}'
    )
    assert bytes(carrier.said) == b"\x10" * 160 + b"\x20" * 160


def test_a_lost_caller_frame_leaves_a_gap_in_chunk_and_timestamp_only() -> None:
    carrier = stream()
    carrier.media(b"\x10" * 160)
    carrier.lose(b"\x20" * 160)
    after = json.loads(carrier.media(b"\x30" * 160))
    assert (after["sequenceNumber"], after["media"]["chunk"], after["media"]["timestamp"]) == ("3", "3", "195")
    assert len(carrier.said) == 480


def test_the_ear_gets_a_packet_every_20_ms_and_silence_otherwise() -> None:
    carrier = stream(1000)
    assert carrier.next_due_ms() == 1000
    carrier.poll(1000)
    carrier.receive(media(b"\x10" * 320), 1005)
    assert carrier.buffered_ms == 40
    carrier.poll(1019.9)
    assert bytes(carrier.heard) == b"\xff" * 160
    carrier.poll(1020)
    carrier.poll(1085)
    assert bytes(carrier.heard) == b"\xff" * 160 + b"\x10" * 320 + b"\xff" * 320
    assert carrier.depth_ms == [0, 40, 20, 0, 0]
    assert carrier.spans == [Span(0, 160, 320)]
    assert carrier.frames == [Frame(1005, 320, 0)]
    assert carrier.next_due_ms() == 1100


def test_a_short_packet_is_filled_up_and_breaks_the_span() -> None:
    carrier = stream(0)
    carrier.receive(media(b"\x10" * 100), -5)
    carrier.poll(0)
    carrier.receive(media(b"\x20" * 160), 1)
    carrier.poll(20)
    assert bytes(carrier.heard) == b"\x10" * 100 + b"\xff" * 60 + b"\x20" * 160
    assert carrier.spans == [Span(0, 0, 100), Span(100, 160, 160)]


def test_a_mark_comes_back_when_the_audio_before_it_has_been_played_to_its_end() -> None:
    carrier = stream(0)
    carrier.receive(media(b"\x10" * 160), -1)
    carrier.receive(mark("one"), -1)
    assert carrier.poll(0) == []
    assert carrier.poll(19.9) == []
    [echo] = carrier.poll(20)
    assert echo == f'{{"event":"mark","sequenceNumber":"2","streamSid":"{STREAM}","mark":{{"name":"one"}}}}'
    assert (carrier.marks[0].position, carrier.marks[0].echoed_ms, carrier.marks[0].cleared) == (160, 20, False)


def test_a_mark_on_an_empty_buffer_comes_back_at_once() -> None:
    carrier = stream(0)
    carrier.poll(0)
    carrier.receive(mark("now"), 3)
    assert names(carrier.poll(3)) == ["now"]
    assert carrier.marks[0].echoed_ms == 3


def test_a_mark_behind_the_packet_now_sounding_waits_for_its_end() -> None:
    carrier = stream(0)
    carrier.receive(media(b"\x10" * 160), -1)
    carrier.poll(0)
    carrier.receive(mark("end"), 5)
    assert carrier.poll(6) == []
    assert names(carrier.poll(20)) == ["end"]


def test_marks_keep_their_order_with_the_audio_between_them() -> None:
    carrier = stream(0)
    for name in ("a", "b"):
        carrier.receive(media(b"\x10" * 160), -1)
        carrier.receive(mark(name), -1)
    assert names(carrier.poll(20)) == ["a"]
    assert names(carrier.poll(40)) == ["b"]


def test_clear_empties_the_buffer_and_returns_every_pending_mark_at_once() -> None:
    carrier = stream(0)
    for name in ("a", "b", "c"):
        carrier.receive(media(b"\x10" * 160), -1)
        carrier.receive(mark(name), -1)
    carrier.poll(20)  # one played, the second sounding
    carrier.receive(clear(), 25)
    assert names(carrier.poll(25)) == ["b", "c"]
    assert [m.cleared for m in carrier.marks] == [False, True, True]
    carrier.receive(media(b"\x40" * 160), 30)
    carrier.poll(60)
    assert bytes(carrier.heard) == b"\x10" * 320 + b"\x40" * 160 + b"\xff" * 160
    assert carrier.clears == [Clear(25, 320, 480)]
    assert carrier.spans == [Span(0, 0, 320), Span(480, 320, 160)]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"\x00", "31950 binary"),
        (b'{"event":"clear"}', "31950 binary"),
        ("{", "31951 not JSON"),
        ("[1]", "31951 unknown event"),
        ('{"event":["media"]}', "31951 unknown event"),
        ('{"event":"stop"}', "31951 unknown event"),
        ('{"event":"clear"}', "31951 clear with fields"),
        (clear().replace("}", ',"extra":1}'), "31951 clear with fields"),
        (clear().replace(STREAM, "MZ0"), "31951 clear for another stream: 'MZ0'"),
        (media(b"\x10").replace('"payload"', '"pay"'), "31951 media must hold"),
        (media(b"\x10").replace('"payload":', '"x":1,"payload":'), "31951 media must hold"),
        (mark("a").replace('"a"', "7"), "31951 mark must hold"),
        (mark("a").replace('{"name": "a"}', '"a"'), "31951 mark must hold"),
        (media(b"\x10" * 160).replace("EBAQ", "EB*Q", 1), "31951 media payload is not base64"),
        (media(b"\x10" * 160).replace("==", ""), "31951 media payload is not base64"),
        (media(b"\x10" * 12).replace("EBAQ", "EBAQ  EBAQ", 1), "31951 media payload is not base64"),
    ],
)
def test_what_twilio_would_not_accept_is_an_error_and_changes_nothing(message: str | bytes, error: str) -> None:
    carrier = stream(0)
    carrier.receive(message, 1)
    assert len(carrier.errors) == 1
    assert carrier.errors[0].startswith(error)
    assert (carrier.received, carrier.marks, carrier.clears) == (bytearray(), [], [])


def test_nothing_may_come_before_start_and_nothing_counts_after_stop() -> None:
    carrier = stream(0, started=False)
    carrier.receive(clear(), 1)
    assert carrier.errors == ["31951 message before start"]
    carrier.start_messages()
    carrier.stop()
    carrier.receive(media(b"\x10" * 160), 2)
    carrier.receive("nonsense", 2)
    assert (len(carrier.errors), carrier.frames) == (1, [])


def test_errors_are_bounded() -> None:
    carrier = stream(0)
    for _ in range(carrier_module.MAX_ERRORS + 10):
        carrier.receive("nonsense", 1)
    assert len(carrier.errors) == carrier_module.MAX_ERRORS


def test_over_ten_minutes_unplayed_is_discarded_and_so_is_all_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carrier_module, "BUFFER_BYTES", 480)
    carrier = stream(0)
    carrier.receive(media(b"\x10" * 480), -1)
    carrier.receive(media(b"\x20"), -1)
    carrier.poll(100)
    carrier.receive(media(b"\x30" * 160), 101)
    assert carrier.errors == ["31931 media discarded: over ten minutes unplayed"] * 2
    assert bytes(carrier.received) == b"\x10" * 480


def test_arrival_is_as_the_caller_knows_it_while_playout_goes_by_now() -> None:
    carrier = stream(0)
    carrier.receive(media(b"\x10" * 160), 22, arrived_ms=19.5)
    assert carrier.frames == [Frame(19.5, 160, 0)]
    carrier.poll(40)
    assert bytes(carrier.heard) == b"\xff" * 320 + b"\x10" * 160
