"""The model of a load run: what it answers, what it says unasked, and what it finds in the audio it gets."""

import sys
from base64 import b64decode

import pytest

from fastbridge._loadmodel import SCRIPT_NAMES
from fastbridge.sim import load_events
from load_rig import Rig

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


both = pytest.mark.parametrize("live", [False, True], ids=["realtime", "live"])


def test_every_occasion_has_a_script():
    assert set(SCRIPT_NAMES) == load_events.scripts().keys()


def test_a_session_is_configured_as_the_client_wants_it():
    with Rig() as rig:
        session = rig.configure()["session"]
        assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert session["object"] == "realtime.session"
        assert rig.players.configured == 1
        assert rig.players.live == 1


@both
def test_frames_that_arrive_are_measured(live):
    with Rig(live=live) as rig:
        rig.configure()
        rig.relay(5)
        counts = rig.until("frames_arrived", 5)
        assert (counts["frames_altered"], counts["frames_unknown"], counts["appends"]) == (0, 0, 5)
        assert rig.players.histograms["uplink"].count == 5
        assert 0 < rig.players.histograms["uplink"].max_ns < 5e9


@both
def test_a_frame_may_come_in_pieces_or_with_others(live):
    with Rig(live=live) as rig:
        rig.configure()
        audio = b"".join(b64decode(rig.carrier.next("media")["media"]["payload"]) for _ in range(3))
        for part in (audio[:100], audio[100:]):
            rig.append(part)
        assert rig.until("frames_arrived", 3)["frames_altered"] == 0


@both
def test_a_frame_altered_twice_or_of_nobody_is_counted(live):
    with Rig(live=live) as rig:
        rig.configure()
        good = b64decode(rig.carrier.next("media")["media"]["payload"])
        altered = good[:150] + b"\x00" + good[151:]
        for frame in (altered, good, b"\x00" * 160):
            rig.append(frame)
        rig.relay()
        counts = rig.until("frames_arrived", 2)
        assert (counts["frames_altered"], counts["frames_repeated"], counts["frames_reordered"]) == (1, 1, 1)
        assert rig.players.integrity()["uplink_skipped"] > 0


def test_a_response_has_all_its_events_in_order():
    with Rig() as rig:
        rig.configure()
        rig.model.send(type="response.create")
        kinds = []
        while not kinds or kinds[-1] != "rate_limits.updated":
            event = rig.model.next()
            assert list(event)[:2] == ["type", "event_id"]
            kinds.append(event["type"])
            if event["type"] == "response.done":
                done = event["response"]
    assert kinds[:4] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert kinds.count("response.output_audio.delta") == 3
    assert kinds[-7:-1] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "conversation.item.done",
        "response.done",
    ]
    assert (done["status"], done["output"][0]["status"]) == ("completed", "completed")
    assert done["usage"]["total_tokens"] == 253


def test_a_response_is_cancelled_while_it_is_made_and_not_after():
    with Rig(talk_ms=200, speed=0.5) as rig:
        rig.configure()
        rig.model.send(type="response.create")
        rig.model.next("response.output_audio.delta")
        rig.model.send(type="response.create")
        assert rig.model.next("error")["error"]["code"] == "conversation_already_has_active_response"
        rig.model.send(type="response.cancel")
        done = rig.model.next("response.done")["response"]
        assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
        rig.model.send(type="response.cancel")
        assert rig.model.next("error")["error"]["code"] == "response_cancel_not_active"


def test_it_answers_whatever_a_client_may_ask():
    with Rig() as rig:
        rig.configure()
        rig.model.send(type="conversation.item.truncate", item_id="item_x", content_index=0, audio_end_ms=120)
        event = rig.model.next("conversation.item.truncated")
        assert (event["item_id"], event["audio_end_ms"]) == ("item_x", 120)
        rig.model.send(type="conversation.item.delete", item_id="item_y")
        assert rig.model.next("conversation.item.deleted")["item_id"] == "item_y"
        item = {"id": "item_z", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "ü"}]}
        rig.model.send(type="conversation.item.create", item=item)
        assert rig.model.next("conversation.item.added")["item"] == item
        rig.model.send(type="input_audio_buffer.clear")
        rig.model.next("input_audio_buffer.cleared")
        rig.model.send(type="input_audio_buffer.commit")
        rig.model.next("input_audio_buffer.committed")
        rig.model.send(type="nonsense")
        rig.model.send_text(b"{}")
        assert rig.until("malformed")["other_model"] == 1


def test_it_speaks_unasked_after_a_caller_who_did():
    with Rig() as rig:
        rig.configure()
        kinds = [rig.model.next()["type"] for _ in range(7)]
    assert kinds[:2] == ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"]
    assert kinds[2:6] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]


@both
def test_frames_out_of_order_by_pulse_are_lost_frames(live):
    with Rig(live=live, exact=False) as rig:
        rig.configure()
        for number in range(60):
            payload = rig.carrier.next("media")["media"]["payload"]
            if number not in (7, 8):
                rig.append(b64decode(payload))
        counts = rig.until("frames_arrived", 58)
        assert (counts["frames_inserted"], counts["frames_repeated"]) == (0, 0)
