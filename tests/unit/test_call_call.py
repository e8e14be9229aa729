"""call.call: beginning, both sides' events, and one end from every path. (Barge-in has a file of its own.)"""

import asyncio
import json
import re
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge._caller import OTHER_REASON
from fastbridge.agent import Agent
from fastbridge.base.end_reasons import EndReason
from fastbridge.call import assembly
from helpers import FOREIGN_SID, LOUD, QUIET, SID, audio_of, base64_text, numbered_frame
from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}
FRAMES = [numbered_frame(number) for number in range(1, 11)]


@pytest.fixture
def new():
    """A fresh call, not started."""
    rig = Rig()
    yield rig
    rig.shut()


@pytest.fixture
def rig(new):
    """A live call whose session is ready."""
    return new.up()


@pytest.fixture
def log(caplog):
    """The lines that production shows."""
    caplog.set_level("INFO")
    return lambda: [record.getMessage() for record in caplog.records]


def media(payload: bytes = QUIET, **changes: Any) -> dict[str, Any]:
    """A media message in a layout that is not the carrier's usual one."""
    body = {"payload": base64_text(payload).decode(), "chunk": "1", "timestamp": "20", "track": "inbound", **changes}
    return {"streamSid": SID.decode(), "event": "media", "media": body}


class TestBeginning:
    def test_starting_dials_the_model_once(self, new, log):
        new.started()
        assert len(new.dialled) == 1
        assert log() == [f"[CALL_START] call_sid={new.call.call_sid}, business_id=, direction=inbound, mode=simple"]
        assert new.journal == []

    def test_the_update_waits_for_the_session_and_the_gate_for_its_confirmation(self, new, log):
        new.started()
        new.advance(0.234)
        new.connect()
        assert new.journal == []
        new.model({"type": "session.created", "session": {"id": "sess_1"}})
        assert [event["type"] for event in new.to_model] == ["session.update"]
        new.caller_says(QUIET)
        assert new.uplink == b""
        new.confirm()
        assert len(new.uplink) == 160 * 12
        assert new.call.record()["timings_ms"]["connect"] == 234
        assert new.call.record()["timings_ms"]["ready"] == 254
        assert f"[REALTIME] OpenAI connected in 234ms, call_sid={new.call.call_sid}" in log()

    def test_what_the_caller_said_before_it_comes_first_and_in_order(self, new):
        new.started()
        new.caller_says(*FRAMES[:4])
        new.connect()
        new.model({"type": "session.created", "session": {"id": "sess_1"}})
        new.caller_says(*FRAMES[4:6])
        new.confirm()
        new.caller_says(*FRAMES[6:])
        assert new.uplink == b"".join(FRAMES)

    def test_a_model_that_comes_after_the_end_is_hung_up(self, new):
        new.started()
        new.carrier({"event": "stop", "streamSid": SID.decode()})
        new.connect()
        assert new.model_link.hang_ups == 1
        assert new.journal == []


class TestCarrierMessages:
    def test_media_in_another_layout_is_the_same_audio(self, rig):
        for number, frame in enumerate(FRAMES, 1):
            rig.carrier(media(frame, chunk=str(number)))
        assert rig.uplink == b"".join(FRAMES)
        assert rig.call.caller.frames_in == 10

    @pytest.mark.parametrize(
        "message",
        [
            {"event": "media"},
            {"event": "media", "media": None},
            {"event": "media", "media": {"payload": 7}},
            media(track="outbound"),
            media(payload=b""),
            media() | {"streamSid": FOREIGN_SID.decode()},
            media() | {"streamSid": None},
            media() | {"media": {"payload": "!!!!"}},
            media() | {"media": {"payload": "\ud800"}},
        ],
    )
    def test_media_that_is_none_is_counted_in_and_out(self, rig, message):
        rig.carrier(message)
        assert (rig.call.caller.frames_in, rig.call.caller.outcomes[OTHER_REASON]) == (1, 1)
        assert rig.uplink == b""

    @pytest.mark.parametrize("number", ["x", "-1", "1.5", "٣", "9" * 30, 7, None, [], ""])
    def test_numbers_that_are_none_do_no_harm(self, rig, number):
        rig.carrier(media(LOUD, chunk=number, timestamp=number))
        rig.carrier(media(LOUD, chunk="2"))
        assert rig.uplink == LOUD * 2
        assert rig.call.caller.concealed_frames == 0

    def test_marks_in_another_layout(self, rig):
        rig.respond(SECOND[:1600])
        rig.advance(0.3)
        name = rig.written("mark")[-1].message["mark"]["name"]
        rig.carrier({"mark": {"name": name}, "streamSid": FOREIGN_SID.decode(), "event": "mark"})
        rig.carrier({"mark": None, "streamSid": SID.decode(), "event": "mark"})
        assert rig.call.assistant.marks_played == 0
        rig.carrier({"mark": {"name": name}, "streamSid": SID.decode(), "event": "mark"})
        assert rig.call.assistant.marks_played == 1

    def test_keys(self, rig):
        for digit in ("1", "#", "D", "x", 7, None):
            rig.carrier({"event": "dtmf", "streamSid": SID.decode(), "dtmf": {"digit": digit}})
        assert rig.call.stats.dtmf == "1#D"
        for _ in range(200):
            rig.carrier({"event": "dtmf", "streamSid": SID.decode(), "dtmf": {"digit": "5"}})
        assert len(rig.call.stats.dtmf) == 128

    @pytest.mark.parametrize("event", ["connected", "tomorrow", None, 7, [], {}])
    def test_others_are_ignored(self, rig, event):
        rig.carrier({"event": event})
        assert rig.call.live
        assert rig.call.stats.errors == []

    def test_a_second_start_changes_nothing(self, rig, log):
        rig.carrier({"event": "start", "start": {"streamSid": FOREIGN_SID.decode()}, "streamSid": FOREIGN_SID.decode()})
        rig.caller_says(LOUD)
        assert rig.uplink == LOUD
        assert any("second start" in line for line in log())

    def test_what_is_no_message_is_borne_three_times(self, rig):
        for message in (b"", b"[]", b"\xff"):
            rig.carrier(message)
        assert rig.call.live
        rig.carrier(b"{")
        assert rig.call.end_reason == EndReason.CARRIER_PROTOCOL
        assert rig.call.stats.errors == ["carrier_malformed"] * 4


class TestCarriersHealth:
    def test_a_line_without_audio_is_dead_after_5_s(self, rig):
        rig.advance(3)
        rig.advance(4.9, line=False)
        assert rig.call.live
        rig.advance(1.1, line=False)
        assert rig.call.end_reason == EndReason.STREAM_DEAD

    def test_so_is_one_that_never_had_any(self, rig):
        rig.advance(4.9, line=False)
        assert rig.call.live
        rig.advance(1.2, line=False)
        assert rig.call.end_reason == EndReason.STREAM_DEAD

    def test_audio_keeps_it_alive(self, rig):
        rig.advance(20)
        assert rig.call.live

    def test_a_carrier_that_takes_nothing_for_10_s_is_too_slow(self, rig):
        rig.advance(0.5)
        rig.do(rig.call.on_carrier_paused, True)
        rig.advance(9.9)
        assert rig.call.live
        rig.advance(2.2)
        assert rig.call.end_reason == EndReason.CARRIER_SLOW

    def test_one_that_takes_it_again_in_time_is_not(self, rig):
        rig.respond(SECOND)
        for _ in range(3):
            rig.do(rig.call.on_carrier_paused, True)
            before = len(rig.downlink)
            rig.advance(1.9)
            assert len(rig.downlink) == before
            rig.do(rig.call.on_carrier_paused, False)
            rig.advance(0.2)
        assert rig.call.live
        rig.advance(2)
        assert rig.downlink == SECOND

    def test_no_call_is_for_ever(self):
        rig = Rig(max_call_seconds=30).up()
        rig.advance(29.9)
        assert rig.call.live
        rig.advance(0.2)
        assert rig.call.end_reason == EndReason.MAX_DURATION
        rig.shut()


class TestMediaGap:
    """The model ends a turn on silence that it is sent, not on silence."""

    def test_while_the_caller_speaks_a_gap_is_filled_with_a_second_of_silence(self, rig):
        rig.caller_says(LOUD)
        rig.model(SPEECH_STARTED)
        rig.advance(0.7, line=False)
        assert rig.uplink == LOUD
        rig.advance(0.06, line=False)
        assert rig.uplink == LOUD + QUIET * 50
        assert rig.call.record()["accounting"]["silence"] == 50

    def test_not_while_audio_comes(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 200)
        assert rig.call.caller.silence_frames == 0

    def test_not_when_the_caller_has_stopped(self, rig):
        rig.caller_says(LOUD)
        rig.model(SPEECH_STARTED)
        rig.model(SPEECH_STOPPED)
        rig.advance(2, line=False)
        assert rig.uplink == LOUD


class TestModel:
    def test_a_failed_response_is_an_error_but_not_the_end(self, rig):
        rig.begin("resp_1")
        rig.done("resp_1", "failed", status_details={"error": {"code": "rate_limit_exceeded"}})
        assert rig.call.live
        assert rig.call.record()["errors"] == ["rate_limit_exceeded"]

    def test_its_back_pressure_makes_the_caller_wait(self, rig):
        rig.do(rig.attempt.on_model_paused, True)
        rig.caller_says(*FRAMES)
        assert rig.uplink == b""
        rig.do(rig.attempt.on_model_paused, False)
        assert rig.uplink == b"".join(FRAMES)

    def test_is_not_read_while_the_ring_is_full(self, rig):
        rig.begin("resp_1", "item_1")
        for _ in range(600):
            assert rig.model_link.reading
            rig.delta(SECOND, "resp_1", "item_1")
        assert not rig.model_link.reading
        rig.caller_says(*[LOUD] * 5)
        rig.model(SPEECH_STARTED)
        assert rig.model_link.reading

    def test_a_bug_in_an_event_costs_no_line(self, rig, monkeypatch, log):
        monkeypatch.setattr(rig.call.idle, "speech_started", lambda: 1 / 0)
        rig.model(SPEECH_STARTED)
        assert rig.call.live
        assert rig.call.stats.errors == ["internal"]
        assert any("[SERVER_ERROR]" in line for line in log())
        rig.call.stats.errors.clear()

    def test_a_bug_in_a_message_costs_no_line(self, rig, monkeypatch):
        monkeypatch.setattr(assembly, "read_message", lambda message, stream_sid: 1 / 0)
        rig.carrier({"event": "dtmf"})
        assert rig.call.live
        assert rig.call.stats.errors == ["internal"]
        rig.call.stats.errors.clear()


class TestConversation:
    def test_audio_of_any_cut_is_heard_whole_and_in_order(self, rig):
        rig.begin("resp_1", "item_1")
        whole = bytes(number % 251 for number in range(9001))
        for start, end in ((0, 1), (1, 160), (160, 160), (160, 4001), (4001, 9001)):
            rig.delta(whole[start:end], "resp_1", "item_1")
        rig.done("resp_1")
        rig.advance(1.5)
        assert rig.downlink == whole + b"\xff" * (-len(whole) % 160)
        assert all(len(audio_of([entry.message])) == 160 for entry in rig.written("media"))

    def test_pacing(self, rig):
        rig.respond(SECOND * 4)
        rig.advance(4.2)
        times = [entry.at_ms for entry in rig.written("media")]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert min(gaps) >= 18
        early = [20 * n - at for n, at in enumerate(times)]  # frame n is due 20·n ms after the audio came, at 0
        assert (early[0], min(early[1:]) > 0, max(early)) == (-1, False, 160)

    def test_how_long_the_caller_waited_for_an_answer(self, rig):
        rig.model(SPEECH_STARTED)
        rig.advance(1)
        rig.model(SPEECH_STOPPED)
        rig.advance(0.4)
        rig.respond(SECOND)
        rig.advance(1)
        rig.respond(SECOND, 2)
        rig.advance(1)
        timings = rig.call.record()["timings_ms"]
        assert (timings["responses"], timings["first_speech"]) == ([401], 0)

    @pytest.mark.parametrize("shown", [True, False])
    def test_transcripts(self, shown, log):
        rig = Rig(log_transcripts=shown).up()
        rig.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
        rig.respond(SECOND, 1, "Of course.")
        rig.model(
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "item_u",
                "transcript": "Nine o'clock, please.",
            }
        )
        rig.advance(2.2)
        said = [line for line in log() if "[TRANSCRIPT]" in line]
        if shown:
            assert 'Customer: "Nine o\'clock, please."' in said[0]
            assert 'AI: "Of course."' in said[1]
        else:
            assert "Of course" not in "".join(log())
            assert ("(21 characters)" in said[0], "(10 characters)" in said[1]) == (True, True)
        assert rig.call.record()["turns"] == [
            {"role": "caller", "text": "Nine o'clock, please.", "heard_ms": None},
            {"role": "assistant", "text": "Of course.", "heard_ms": None},
        ]
        assert rig.call.stats.turns == 1
        rig.shut()

    def test_first_chunk_is_logged_once_a_call(self, rig, log):
        rig.respond(SECOND)
        rig.advance(1.2)
        rig.respond(SECOND, 2)
        rig.advance(1.2)
        assert [line for line in log() if "FIRST_CHUNK" in line] == [
            f"[AUDIO_OUT_LOOP] FIRST_CHUNK bytes=160, call_sid={rig.call.call_sid}"
        ]
        assert not any("TX_VALIDATION" in line for line in log())

    def test_first_chunk_says_what_was_sent(self, rig, log, monkeypatch):
        lane = SimpleNamespace(frames_sent=1, first_frame_bytes=159, playing=False, held=False)
        with monkeypatch.context() as patch:
            patch.setattr(rig.call.books, "_assistant", lane)
            rig.do(rig.call.books.first_frame, "resp_1")
        assert any("FIRST_CHUNK bytes=159" in line for line in log())


class TestTools:
    @pytest.fixture
    def rig(self):
        agent = Agent()

        @agent.tool
        async def hours(day: str) -> str:
            """When we are open."""
            return f"{day}: 9 to 5"

        rig = Rig(agent).up()
        yield rig
        rig.shut()

    def test_result_then_exactly_one_create_after_the_response(self, rig, log):
        rig.begin("resp_1")
        for number in (1, 2):
            rig.tool_call(f"call_{number}", "hours", '{"day": "Monday"}')
        rig.advance(0.1)
        assert rig.sent("response.create") == []
        rig.done("resp_1")
        rig.advance(0.1)
        results = [event["item"] for event in rig.sent("conversation.item.create")]
        assert results == [
            {
                "id": f"told_{number}",
                "type": "function_call_output",
                "call_id": f"call_{number}",
                "output": "Monday: 9 to 5",
            }
            for number in (1, 2)
        ]
        assert rig.sent("response.create") == [
            {
                "type": "response.create",
                "event_id": "create_1",
                "response": {"metadata": {"fastbridge": "create_1"}},
            }
        ]
        assert rig.to_model[-1]["type"] == "response.create"
        assert rig.call.record()["tools"] == [{"name": "hours", "outcome": "ok", "elapsed_ms": 0}] * 2
        assert sum("[TOOL_CALL]" in line for line in log()) == sum("[TOOL_RESULT]" in line for line in log()) == 2

    def test_a_call_that_comes_after_its_response_ended_is_answered_too(self, rig):
        rig.begin("resp_1")
        rig.done("resp_1")
        rig.tool_call("call_1", "hours", '{"day": "Monday"}')
        rig.advance(0.1)
        assert [event["type"] for event in rig.to_model[-2:]] == ["conversation.item.create", "response.create"]

    def test_a_response_that_never_ends_does_not_keep_the_model_from_going_on(self, rig):
        rig.begin("resp_1")
        rig.tool_call("call_1", "hours", '{"day": "Monday"}')
        rig.advance(12)
        assert [event["type"] for event in rig.to_model[-2:]] == ["response.cancel", "response.create"]

    def test_nor_does_one_that_ends_without_a_word(self, rig):
        rig.begin("resp_1")
        rig.tool_call("call_1", "hours", '{"day": "Monday"}')
        rig.begin("resp_2")
        rig.done("resp_2")
        rig.advance(0.1)
        assert len(rig.sent("response.create")) == 1

    def test_at_the_end_what_runs_is_forgotten(self, rig):
        rig.begin("resp_1")
        rig.tool_call("call_1", "hours", '{"day": "Monday"}')
        rig.do(rig.call.close, "shutdown")
        rig.advance(1)
        assert rig.call.tools.running == 0


ENDINGS = {
    "stop": (lambda rig: rig.carrier({"event": "stop"}), "customer_hangup"),
    "carrier closed": (lambda rig: rig.do(rig.call.on_carrier_closed), "customer_hangup"),
    "stream ended": (lambda rig: rig.do(rig.call.on_stream_ended), "customer_hangup"),
    "completed": (lambda rig: rig.do(rig.call.on_carrier_status, "completed"), "carrier_status"),
    "failed": (lambda rig: rig.do(rig.call.on_carrier_status, "failed"), "carrier_status"),
    "dead": (lambda rig: rig.advance(6.1, line=False), "stream_dead"),
    "malformed": (lambda rig: [rig.carrier(b"{") for _ in range(4)], "carrier_protocol"),
    "model failed": (lambda rig: (rig.refuse("http_401"), rig.advance(20)), "model_"),
    "model lost": (lambda rig: (rig.lose_model(), rig.advance(40)), "model_"),
    "fatal": (
        lambda rig: (rig.model({"type": "error", "error": {"code": "insufficient_quota"}}), rig.advance(20)),
        "model_",
    ),
    "shutdown": (lambda rig: rig.do(rig.call.close, EndReason.SHUTDOWN), "shutdown"),
}


class TestEnd:
    @pytest.mark.parametrize("path", ENDINGS)
    @pytest.mark.parametrize("moment", ["new", "connected", "ready", "speaking", "tool", "interrupted"])
    def test_from_every_path_at_every_moment_once_and_without_residue(self, path, moment):
        agent = Agent(greeting="Hello!" if moment in ("new", "connected") else "")

        @agent.tool
        async def hang() -> None:
            await asyncio.sleep(5)

        rig = Rig(agent)
        if moment == "new":
            rig.started()
        elif moment == "connected":
            rig.connected()
        else:
            rig.up()
        if moment in ("speaking", "interrupted"):
            rig.begin("resp_1", "item_1")
            rig.delta(SECOND * 9, "resp_1", "item_1")
            rig.caller_says(*([LOUD] * 5 if moment == "interrupted" else [QUIET] * 5))
        elif moment == "tool":
            rig.begin("resp_1")
            rig.tool_call("call_1", "hang")
            rig.advance(0.1)
        end, reason = ENDINGS[path]
        end(rig)
        assert str(rig.call.end_reason).startswith(reason)
        reason = rig.call.end_reason
        rig.loop.advance(0)
        rig.assert_settled()
        written = len(rig.journal)
        for other, _ in ENDINGS.values():
            other(rig)
        rig.respond(SECOND, 3)
        rig.caller_says(LOUD)
        rig.loop.advance(60)
        assert (rig.call.end_reason, len(rig.journal)) == (reason, written)
        assert rig.carrier_link.closed == [(1000, "")]
        rig.shut()

    @pytest.mark.parametrize(
        ("end", "arguments", "line"),
        [
            ("on_carrier_status", ["completed"], "source=call_status, status=completed"),
            ("on_stream_ended", [], "source=stream_ended"),
        ],
    )
    def test_a_webhook_that_ends_it_is_told_of_once(self, rig, log, end, arguments, line):
        for _ in range(3):
            rig.do(getattr(rig.call, end), *arguments)
        told = [each for each in log() if "[WEBHOOK_CLOSE]" in each]
        assert told == [f"[WEBHOOK_CLOSE] {line}, call_sid={rig.call.call_sid}"]

    @pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "in-progress", "answered", "", "nonsense"])
    def test_other_statuses_do_not_end_it(self, rig, status):
        rig.do(rig.call.on_carrier_status, status)
        assert rig.call.live

    def test_back_pressure_after_the_end_is_nothing(self, rig):
        rig.respond(SECOND)
        rig.do(rig.call.close, "shutdown")
        for paused in (True, False):
            rig.do(rig.call.on_carrier_paused, paused)
            rig.do(rig.attempt.on_model_paused, paused)
        assert rig.loop.pacer.active == 0

    def test_the_last_lines(self, rig, log):
        rig.caller_says(*[QUIET] * 100)
        rig.respond(SECOND)
        rig.advance(1.2)
        rig.carrier({"event": "stop"})
        sid = rig.call.call_sid
        accounting, lock, metrics, end = log()[-4:]
        assert accounting == f"Frame accounting OK: 160 = 160 + 0, call_sid={sid}"
        assert lock == f"Greeting lock accounting OK: 0 frames, call_sid={sid}"
        assert metrics.startswith("[CALL_METRICS] greeting_ms=-")
        assert metrics.endswith(f", call_sid={sid}")
        assert "frames_in=160, frames_enqueued=50, tx=50, flushed=0, flushed_barge_in=0, flushed_close=0" in metrics
        assert "cleared=0, rewound=0, tx_late_frames=0, tx_schedule_resets=0, underruns=0" in metrics
        assert "safety_fuse=0, errors=0" in metrics
        assert end == f"[CALL_END] duration=3s, reason=customer_hangup, call_sid={sid}"

    def test_a_quiet_call_is_10_to_30_lines_at_most(self, log):
        rig = Rig(Agent(greeting="Hello!")).up()
        for number in range(1, 5):
            rig.respond(SECOND, number, "Text.")
            rig.advance(1.5)
            rig.echo_marks()
        rig.carrier({"event": "stop"})
        assert len(log()) <= 30
        rig.shut()

    def test_the_record_is_one_json_document(self, rig):
        rig.respond(SECOND, text="Hello.")
        rig.caller_says(*[LOUD] * 5)
        rig.do(rig.call.close, EndReason.SHUTDOWN)
        record = json.loads(json.dumps(rig.call.record()))
        assert set(record) == {
            "version", "call_sid", "stream_sid", "direction", "duration_ms", "end_reason", "timings_ms", "turns",
            "responses", "caller_turns", "silences", "barge_ins", "business_id", "from", "to", "caller_id",
            "started_at", "outbound_id",
            "accounting", "pacing", "tools", "tokens", "cost", "model_events", "errors",
            "model_line", "model_seconds", "answers", "waiting", "log", "transferred_to", "errors_by_type",
            "unlisted",
            "answered_by", "recording", "carrier_recording", "consent_ms", "private", "transfers",
        }  # fmt: skip
        assert (record["version"], record["duration_ms"], record["end_reason"]) == (2, 100, "shutdown")
        assert re.fullmatch("CA[0-9a-f]{32}", record["call_sid"])
        assert record["responses"] == {"count": 1}
        assert record["accounting"]["frames_in"] == record["accounting"]["forwarded"] == 5
        pacing = record["pacing"]
        assert pacing["frames_enqueued"] == pacing["tx"] + sum(pacing["flushed"].values()) == 50


@pytest.mark.parametrize(("setting", "agents", "on"), [(True, None, True), (False, None, False), (True, False, False)])
def test_dsp_is_as_the_setting_says_unless_the_agent_does(setting, agents, on, log):
    rig = Rig(Agent(dsp=agents), enable_min_dsp=setting).up()
    rig.caller_says(*[b"\x90" * 160] * 10)
    assert (rig.uplink != b"\x90" * 1600) is on
    assert len([line for line in log() if "[DSP] enabled: highpass+limiter" in line]) == on
    rig.shut()
