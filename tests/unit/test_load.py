"""The callers of a load run: real sockets, and a bridge whose part the test plays."""

import json
import sys
from base64 import b64decode

import pytest

from fastbridge._measure import tag
from load_rig import SID, Rig, connected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


def test_a_caller_sends_tagged_frames_in_twilios_form():
    with Rig() as rig:
        first, second = rig.carrier.next(), rig.carrier.next()
    assert first.keys() == {"event", "sequenceNumber", "media", "streamSid"}
    assert (first["event"], first["sequenceNumber"], first["streamSid"]) == ("media", "2", SID)
    assert [(m["media"]["track"], m["media"]["chunk"], m["media"]["timestamp"]) for m in (first, second)] == [
        ("inbound", "1", "0"),
        ("inbound", "2", "20"),
    ]
    assert [tag(b64decode(message["media"]["payload"])) for message in (first, second)] == [(0, 0), (0, 1)]


def test_a_mark_comes_back_when_it_was_played():
    with Rig() as rig:
        rig.play_on(b"\xff" * 480)
        rig.carrier.send(event="mark", streamSid=SID, mark={"name": "1:item:60"})
        frames = 0
        while (message := rig.carrier.next())["event"] != "mark":
            frames += 1
        assert message["mark"] == {"name": "1:item:60"}
        assert frames >= 2


def test_a_clear_brings_every_mark_back_at_once():
    with Rig() as rig:
        rig.play_on(b"\xff" * 80_000)
        for name in ("a", "b"):
            rig.carrier.send(event="mark", streamSid=SID, mark={"name": name})
        rig.carrier.send(event="clear", streamSid=SID)
        assert [rig.carrier.next("mark")["mark"]["name"] for _ in range(2)] == ["a", "b"]
        assert rig.until("clears")["clears_unasked"] == 1


def test_what_is_malformed_is_counted():
    with Rig() as rig:
        for text in (b"{", b"[]", b'{"event":"media","streamSid":"x"}', b"\xff\x00"):
            rig.carrier.send_text(text)
        rig.carrier.send(event="media", streamSid=SID, media={"payload": "not base64"})
        rig.carrier.send(event="nonsense", streamSid=SID)
        counts = rig.until("other_carrier")
        assert (counts["malformed"], counts["wrong_stream"]) == (5, 1)


def test_a_ping_is_answered_and_a_close_is_an_early_one():
    with Rig() as rig:
        rig.carrier.send_text(b"are you there", opcode=9)
        while (answer := rig.carrier.frame())[0] != 10:
            pass
        assert answer == (10, b"are you there")
        rig.carrier.send_text(b"\x03\xe8", opcode=8)
        assert rig.until("early_closes")["broken"] == 0


def test_what_is_no_websocket_ends_the_connection():
    with Rig() as rig:
        rig.carrier.send_text(b"x", opcode=0x70)
        assert rig.until("broken")["early_closes"] == 1


def test_callers_hang_up_as_twilio_does():
    with Rig() as rig:
        sequence = int(rig.carrier.next()["sequenceNumber"])
        rig.players.hang_up()
        stop = rig.carrier.next("stop")
        assert int(stop["sequenceNumber"]) > sequence
        assert rig.carrier.frame() == (8, b"\x03\xe8")
    assert rig.players.counts["early_closes"] == 0


def test_a_response_is_heard_paced_and_whole():
    with Rig() as rig:
        rig.configure()
        audio = rig.ask()
        assert len(audio) == 8000
        for at in range(0, 800, 160):
            rig.carrier.next("media")
            rig.play_on(audio[at : at + 160])
        assert rig.until("media", 5)["media_odd_size"] == 0
        names = ("response_to_first_frame", "start_to_first_frame", "lead")
        assert [rig.players.histograms[name].count for name in names] == [1, 1, 5]
        assert rig.players.histograms["spacing"].count + rig.players.counts["spacing_unjudged"] == 4
        rig.play_on(audio[960:1120])
        rig.until("media", 6)
        assert rig.players.integrity()["lost"] == 160


def test_two_frames_at_once_are_too_close_and_a_batch_is_of_odd_size():
    with Rig() as rig:
        rig.configure()
        audio = rig.ask()
        for part in (audio[:160], audio[160:320], audio[320:800]):
            rig.play_on(part)
        counts = rig.until("media", 3)
        assert counts["spacing_short"] + counts["spacing_unjudged"] == 2
        assert counts["media_odd_size"] == 1


@pytest.mark.parametrize(
    "settings", [{"calls": 0}, {"slot_us": 50}, {"slot_us": 3000}, {"talk_ms": 0}, {"speed": 0.0}, {"period_ms": 10}]
)
def test_what_cannot_be_played(settings):
    with pytest.raises(ValueError, match=r"need|slot"):
        Rig(**settings)


def test_a_caller_is_adopted_once():
    with Rig() as rig:
        rig.carrier.next()
        ours, theirs = connected()
        with ours, theirs, pytest.raises(ValueError, match="caller"):
            rig.players.adopt_caller(0, theirs.fileno(), stream_sid=SID.encode(), started_ns=0, stop=b"")
    assert json.dumps(rig.players.counts)
