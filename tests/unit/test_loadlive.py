"""The model of a load run of GPT-Live: the stream, what is said in it, and what it answers."""

import sys
import time
from base64 import b64decode

import pytest

from fastbridge._loadlive import LIVE_SCRIPT_NAMES
from fastbridge.sim import load_live_events
from load_rig import SILENCE, STOP, End, Rig, connected

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")

AUDIO = "session.output_audio.delta"


def test_every_occasion_has_a_script():
    assert set(LIVE_SCRIPT_NAMES) == load_live_events.scripts().keys()


def test_a_session_is_started_as_the_client_wants_it_and_not_before():
    with Rig(live=True) as rig:
        time.sleep(0.1)  # a service that spoke first would have
        started = rig.configure()
        assert list(started)[:2] == ["type", "event_id"]
        assert started["session"]["audio"]["format"] == {"type": "audio/pcmu", "rate": 8000}
        assert (started["session"]["status"], started["session"]["model"]) == ("active", "gpt-live-1")
        until = time.monotonic() + 5
        while rig.players.configured == 0 and time.monotonic() < until:
            time.sleep(0.01)  # counted behind the answer
        assert (rig.players.configured, rig.players.live) == (1, 1)


@pytest.mark.parametrize("delta_bytes", [160, 777, 1600])
def test_the_stream_comes_at_the_pace_of_real_time_and_never_pauses(delta_bytes):
    with Rig(live=True, delta_bytes=delta_bytes, period_ms=10_000) as rig:
        rig.configure()
        rig.model.next(AUDIO)
        began, sizes = time.monotonic(), list[int]()
        while sum(sizes) < 8000:
            event = rig.model.next()
            assert event.keys() == {"type", "delta"}
            sizes.append(len(b64decode(event["delta"])))
        assert set(sizes) == {delta_bytes}
        assert time.monotonic() - began == pytest.approx(sum(sizes) / 8000, abs=0.15)


@pytest.mark.parametrize("delta_bytes", [160, 777])
def test_what_it_is_told_to_say_begins_with_a_frame_and_is_whole(delta_bytes):
    with Rig(live=True, delta_bytes=delta_bytes, period_ms=10_000, request_ms=500) as rig:
        rig.configure()
        before = b"".join(b64decode(rig.model.next(AUDIO)["delta"]) for _ in range(3))
        rig.say("commentary")
        audio = before + rig.streamed(4000)
        spoken = audio.strip(SILENCE)
        assert len(spoken) == 4000
        assert (len(audio) - len(audio.lstrip(SILENCE))) % 160 == 0
        for at in range(0, 800, 160):
            rig.carrier.next("media")
            rig.play_on(spoken[at : at + 160])
        rig.until("media", 5)
        assert rig.players.integrity()["faults"] == 0
        assert rig.players.histograms["response_to_first_frame"].count == 1


def test_a_stream_goes_on_where_two_sessions_came_in_another_order_than_their_calls():
    with Rig(live=True, calls=2, period_ms=10_000) as rig:
        rig.configure()
        (ours, carriers), (others, models) = connected(), connected()
        carrier, other = End(ours, masked=False), Rig.__new__(Rig)
        other.live, other.model = True, End(others, masked=True)
        sid = b"MZ" + b"2" * 32
        rig.players.adopt_caller(1, carriers.detach(), stream_sid=sid, started_ns=time.monotonic_ns(), stop=STOP)
        rig.players.adopt_model(models.detach(), 1)
        other.configure()
        for _ in range(5):  # the second caller's frames come to the first session
            rig.append(b64decode(carrier.next("media")["media"]["payload"]))
        time.sleep(0.3)
        began = time.monotonic()
        heard = sum(len(b64decode(other.model.next(AUDIO)["delta"])) for _ in range(50))
        assert heard == 8000
        assert time.monotonic() - began < 3
        carrier.close()
        other.model.close()


def test_words_have_their_place_by_the_sessions_clock():
    with Rig(live=True, period_ms=10_000) as rig:
        rig.configure()
        rig.say("instructions")
        assert "client_event_id" not in rig.model.next("session.instructions.appended")
        words = [rig.model.next("session.output_transcript.delta") for _ in range(3)]
        starts = [word["start_ms"] for word in words]
        assert starts == [starts[0], starts[0] + 400, starts[0] + 800]
        assert [word["end_ms"] - word["start_ms"] for word in words] == [400] * 3
        assert {word["delta"] for word in words} == {" word"}


def test_it_speaks_unasked_after_a_caller_who_did():
    with Rig(live=True) as rig:
        rig.configure()
        kinds = list[str]()
        while kinds.count("session.output_transcript.delta") < 1:
            kinds.append(rig.model.next()["type"])
        assert [kind for kind in kinds if kind != AUDIO] == [
            "session.input_transcript.delta",
            "session.input_transcript.delta",
            "session.output_transcript.delta",
        ]
        assert kinds.count(AUDIO) == pytest.approx(125, abs=30)


def test_it_stops_by_itself_when_it_hears_the_caller():
    with Rig(live=True, barge=True, talk_ms=4000, period_ms=10_000, barge_after_ms=0) as rig:
        rig.configure()
        heard = b""
        while not heard.lstrip(SILENCE).endswith(SILENCE * 160):
            event = rig.model.next()
            if event["type"] == AUDIO:
                frame = b64decode(event["delta"])
                heard += frame
                if frame != SILENCE * 160:
                    rig.play_on(frame)
                rig.relay()
        assert 160 < len(heard.strip(SILENCE)) < 16_000
        assert rig.until("barges")["clears"] == 0


def test_it_answers_whatever_a_client_may_ask():
    with Rig(live=True) as rig:
        rig.configure()
        rig.say("thinking", event_id="thought")
        assert rig.model.next("session.thinking.appended")["client_event_id"] == "thought"
        rig.model.send(type="session.update", event_id="sign_1", session={})
        assert rig.model.next("session.updated")["client_event_id"] == "sign_1"
        rig.model.send(type="nonsense")
        rig.model.send_text(b"{}")
        assert rig.until("malformed")["other_model"] == 1
        rig.model.send(type="session.close")
        closed = rig.model.next("session.closed")
        assert (closed["reason"], closed["usage"]) == ("close_requested", {"seconds": 0})
        while (frame := rig.model.frame())[0] != 8:
            pass
        assert frame[1] == b"\x03\xe8"


def test_silence_before_speech_is_no_gap_and_silence_within_it_is_one():
    with Rig(live=True, period_ms=10_000) as rig:
        rig.configure()
        spoken = rig.ask()
        for audio in (spoken[:160], spoken[160:320]):
            rig.carrier.next("media")
            rig.play_on(audio)
        time.sleep(0.15)
        rig.play_on(SILENCE * 160)
        assert rig.until("media", 3)["spacing_long"] >= 1
        rig.play_on(spoken[320:])
        before = rig.until("media", 4)["spacing_long"]
        time.sleep(1.2)
        rig.play_on(SILENCE * 160)
        assert rig.until("media", 5)["spacing_long"] == before
