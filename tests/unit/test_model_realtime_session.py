"""model.realtime.session: one session with the model, against a real assistant lane and a listener that writes down."""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge._assistant import AssistantLane
from fastbridge.agent import Agent
from fastbridge.config import Settings
from fastbridge.errors import ModelUnavailable
from fastbridge.model import history
from fastbridge.model.realtime import session as realtime_module
from fastbridge.model.realtime.errors import EXPECTED_ERRORS, FATAL_ERRORS
from fastbridge.model.realtime.session import Session
from fastbridge.model.realtime.session_config import session_config
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble
from helpers import SID, base64_text, delta_json, read_messages
from virtual import VirtualLoop

AUDIO = bytes(range(160)) * 10


class Listener:
    """Writes down what a session tells its call."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __call__(self, event: Any) -> None:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self.told.append((name, *event))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [entry[1:] for entry in self.told if entry[0] == kind]


class SessionRig:
    def __init__(self, agent: Agent | None = None, **settings: Any) -> None:
        self.loop = VirtualLoop()
        self.listener = Listener()
        self.sent: list[dict[str, Any]] = []
        self.downlink: list[bytes] = []
        self.stats = CallStats()
        self.lane = AssistantLane(
            pacer=self.loop.pacer,
            clock=self.loop.clock.now_ns,
            on_event=lambda message: self.session.on_event(message),
            on_first_frame=lambda response_id: None,
            on_played=lambda response_id: None,
            on_full=lambda full: None,
            on_bad_frame=lambda number, size: None,
            on_words=lambda item_id, words: self.session.on_words(item_id, words),
        )
        self.lane.start(SID, self.downlink.append)
        self.session = Session(
            agent=agent or Agent(),
            settings=Settings.model_construct(**settings),
            lane=self.lane,
            clock=self.loop.clock,
            tell=self.listener,
            trouble=Trouble(CallLog("CA1"), self.stats),
        )

    def close(self) -> None:
        self.session.close()
        self.lane.close()
        failures, timers = self.loop.failures, self.loop.pending_timers()
        self.loop.close()
        assert (failures, timers) == ([], [])

    def connect(self) -> None:
        self.loop.do(self.session.connected, lambda message: self.sent.append(json.loads(message)))

    def event(self, kind: str, **fields: Any) -> None:
        self.text(json.dumps({"type": kind, "event_id": "event_1", **fields}).encode())

    def text(self, message: bytes) -> None:
        self.loop.do(self.session.on_event, message)

    def updated(self, given: str = "audio/pcmu", taken: str = "audio/pcmu") -> None:
        audio = {"input": {"format": {"type": given}}, "output": {"format": {"type": taken}}}
        self.event("session.updated", session={"audio": audio})

    def error(self, code: str | None, **fields: Any) -> None:
        self.event("error", error={"type": "invalid_request_error", "code": code, "message": "Words.", **fields})

    def begin(self, response_id: str = "resp_1", item_id: str = "item_1") -> None:
        self.event("response.created", response={"id": response_id})
        self.event(
            "response.output_item.added",
            response_id=response_id,
            item={"id": item_id, "type": "message", "role": "assistant"},
        )

    def say(self, text: str, item_id: str = "item_1", response_id: str = "resp_1") -> None:
        self.event("response.output_audio_transcript.done", response_id=response_id, item_id=item_id, transcript=text)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.session.counters)


WORDS = (
    b'{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"resp_1","item_id":"item_1",'
    b'"output_index":0,"content_index":0,"delta":"%s"}'
)


@pytest.mark.parametrize("end", ["disconnected", "close"])
def test_words_that_came_before_the_end_are_in_the_history(up, end):
    up.begin()
    up.lane.feed_message(WORDS % b"Good ")
    up.lane.feed_message(WORDS % b"day")
    assert up.session.turns["item_1"].text == ""
    up.loop.do(getattr(up.session, end))
    assert up.session.turns["item_1"].text == "Good day"


@pytest.fixture
def rig():
    rig = SessionRig()
    yield rig
    rig.close()


@pytest.fixture
def up(rig):
    """A session that is ready."""
    rig.connect()
    rig.event("session.created", session={"id": "sess_1"})
    rig.updated()
    rig.sent.clear()
    rig.listener.told.clear()
    return rig


class TestOpening:
    def test_the_update_follows_session_created(self, rig):
        rig.connect()
        assert rig.sent == []
        rig.event("session.created", session={"id": "sess_1"})
        assert rig.sent == [{"type": "session.update", "session": session_config(Agent(), Settings.model_construct())}]
        assert rig.session.session_id == "sess_1"

    def test_session_created_may_come_before_the_socket_is_ours(self, rig):
        rig.event("session.created", session={"id": "sess_1"})
        assert rig.sent == []
        rig.connect()
        assert rig.kinds() == ["session.update"]

    def test_a_session_without_an_id_is_a_session(self, rig):
        rig.event("session.created", session={})
        rig.connect()
        assert rig.kinds() == ["session.update"]

    def test_only_the_confirmation_opens_the_gate_and_once(self, rig):
        rig.connect()
        rig.event("session.created", session={"id": "sess_1"})
        assert (rig.session.ready, rig.listener.told) == (False, [])
        rig.updated()
        rig.updated()
        assert (rig.session.ready, rig.listener.told) == (True, [("session_ready",)])
        rig.loop.advance(60)
        assert (rig.kinds(), len(rig.listener.told)) == (["session.update"], 1)

    def test_unconfirmed_it_is_sent_again_after_3_s_and_given_up_after_8(self, rig):
        rig.connect()
        rig.event("session.created", session={"id": "sess_1"})
        sent = []
        for seconds in (2.99, 0.02, 2.98, 0.02, 1.98):
            rig.loop.advance(seconds)
            sent.append(len(rig.sent))
        assert sent == [1, 2, 2, 3, 3]
        assert rig.listener.told == []
        rig.loop.advance(0.02)
        ((error,),) = rig.listener.of("session_failed")
        assert isinstance(error, ModelUnavailable)
        assert error.code == "session_update_timeout"

    def test_a_model_that_says_nothing_is_given_up_too(self, rig):
        rig.connect()
        rig.loop.advance(8.01)
        assert len(rig.listener.of("session_failed")) == 1
        assert [event["type"] for event in rig.sent] == ["session.update"] * 2

    def test_a_server_that_creates_sessions_without_a_word_is_asked_all_the_same(self, rig):
        rig.connect()
        rig.loop.advance(2.9)
        assert rig.sent == []
        rig.loop.advance(0.2)
        rig.updated()
        assert len(rig.listener.of("session_ready")) == 1

    @pytest.mark.parametrize(("given", "taken"), [("audio/pcm", "audio/pcmu"), ("audio/pcmu", "audio/pcm")])
    def test_the_wrong_format_does_not_open_the_gate(self, rig, given, taken):
        rig.connect()
        rig.event("session.created", session={"id": "sess_1"})
        rig.updated(given, taken)
        assert rig.listener.told == []
        assert rig.counters == {"format_mismatch": 1}
        rig.loop.advance(3.01)
        assert len(rig.sent) == 2
        rig.updated()
        assert rig.listener.told == [("session_ready",)]

    def test_a_confirmation_without_formats_does_not_open_the_gate(self, rig):
        rig.connect()
        rig.event("session.updated", session={"audio": {"input": {}, "output": None}})
        assert (rig.session.ready, rig.counters) == (False, {"malformed_events": 1})


class TestEvents:
    def test_speech(self, up):
        up.event("input_audio_buffer.speech_started", audio_start_ms=1, item_id="item_u")
        up.event("input_audio_buffer.speech_stopped", audio_end_ms=2, item_id="item_u")
        assert up.listener.told == [("speech_started",), ("speech_stopped",)]

    def test_speech_that_is_told_late_or_twice(self, up):
        for kind in ("speech_stopped", "speech_started", "committed", "speech_stopped", "committed"):
            up.event(f"input_audio_buffer.{kind}", item_id="item_u")
        assert up.listener.told == [("speech_stopped",), ("turn_committed",)]
        assert up.counters["stray_speech"] == 3
        up.event("input_audio_buffer.speech_started", item_id="item_v", audio_start_ms=1)
        up.event("input_audio_buffer.speech_started", item_id="item_v", audio_start_ms=2)
        assert up.listener.told[2:] == [("speech_started",)]
        assert (up.session.speech_start_ms, up.counters["stray_speech"]) == (1, 4)

    def test_a_response_that_is_over_does_not_begin_again(self, up):
        for kind, status in (("created", "in_progress"), ("done", "completed"), ("created", "in_progress")):
            up.event(f"response.{kind}", response={"id": "resp_1", "status": status})
        assert [told[0] for told in up.listener.told] == ["response_beginning", "response_created", "response_done"]

    def test_a_response_from_beginning_to_end(self, up):
        up.begin()
        up.lane.feed_message(delta_json("resp_1", "item_1", base64_text(AUDIO)))
        usage = {"total_tokens": 30, "input_tokens": 10, "output_tokens": 20, "input_token_details": {}}
        up.event("response.done", response={"id": "resp_1", "status": "completed", "usage": usage})
        up.event("response.created", response={"id": "resp_2"})
        up.event("response.done", response={"id": "resp_2", "status": "completed", "usage": usage})
        assert [told for told in up.listener.told if told != ("response_beginning",)] == [
            ("response_created", "resp_1", "turn"),
            ("message_begun",),
            ("response_done", "resp_1", "completed", None),
            ("response_created", "resp_2", "turn"),
            ("response_done", "resp_2", "completed", None),
        ]
        assert (up.session.usage.input_tokens, up.session.usage.output_tokens) == (20, 40)
        assert up.lane.frames_enqueued == 10

    def test_its_purpose_is_told(self, up):
        up.loop.do(up.session.responses.create, "greeting")
        up.begin()
        assert up.listener.told == [
            ("response_asked",),
            ("response_beginning",),
            ("response_created", "resp_1", "greeting"),
            ("message_begun",),
        ]

    def test_a_failed_response_tells_its_code(self, up):
        up.begin()
        details = {"type": "failed", "error": {"type": "x", "code": "rate_limit_exceeded", "message": "Too much."}}
        up.event("response.done", response={"id": "resp_1", "status": "failed", "status_details": details})
        ((*which, error),) = up.listener.of("response_done")
        assert which == ["resp_1", "failed"]
        assert (str(error), error.kind) == ("a response failed: Too much. (rate_limit_exceeded)", "x")

    def test_a_stray_end_is_told_to_nobody(self, up):
        up.event("response.done", response={"id": "resp_9", "status": "completed", "usage": {"total_tokens": 9}})
        assert up.listener.told == []
        assert up.session.usage.total_tokens == 0

    def test_a_response_lost_is_told_as_lost(self, up):
        up.begin()
        up.lane.feed_message(delta_json("resp_1", "item_1", base64_text(AUDIO[:100])))
        up.loop.advance(19.1)  # 8 s, 8 more since a delta came, 3 for the cancellation
        assert up.listener.of("response_done") == [("resp_1", "lost", None)]
        assert up.lane.frames_enqueued == 1  # padded: nothing more can come

    def test_deltas_of_a_response_not_begun_are_refused(self, up):
        up.lane.feed_message(delta_json("resp_1", "item_1", base64_text(AUDIO)))
        assert (up.lane.refused_deltas, up.lane.frames_enqueued) == (1, 0)

    def test_a_delta_in_an_unknown_layout_is_the_same_audio(self, up):
        up.begin()
        up.event(
            "response.output_audio.delta", delta=base64_text(AUDIO).decode(), item_id="item_1", response_id="resp_1"
        )
        up.loop.advance(1)
        messages = read_messages(up.downlink, masked=False)
        assert [message["event"] for message in messages].count("media") == 10
        assert up.counters == {}

    def test_a_function_call_is_told_of_when_its_item_is_complete(self, up):
        item = {"id": "item_f", "type": "function_call", "name": "hours", "call_id": "call_1"}
        up.begin()
        up.listener.told.clear()
        up.event("response.output_item.added", response_id="resp_1", item=item)
        up.event(
            "response.function_call_arguments.done", response_id="resp_1", call_id="call_1", arguments='{"day":"x"}'
        )
        assert up.listener.told == []
        up.event("response.output_item.done", response_id="resp_1", item={**item, "status": "completed"})
        ((response_id, call, more),) = up.listener.of("tool_called")
        assert (call.name, call.arguments, response_id, more) == ("hours", '{"day":"x"}', "resp_1", False)

    def test_one_of_a_refused_response_is_not_run_and_the_model_told(self, up):
        item = {"id": "item_f", "type": "function_call", "name": "hang_up", "call_id": "call_1", "arguments": ""}
        up.begin()
        up.event("response.output_item.added", response_id="resp_1", item=item)
        up.loop.do(up.session.responses.cancel)
        up.event("response.output_item.done", response_id="resp_1", item={**item, "status": "completed"})
        assert up.listener.of("tool_called") == []
        assert up.listener.of("tool_not_run") == [("hang_up", "the response was taken back before it was complete")]
        assert "not run" in up.sent[-1]["item"]["output"]

    @pytest.mark.parametrize(
        "kind",
        [
            "conversation.created",
            "conversation.item.truncated",
            "conversation.item.input_audio_transcription.segment",
            "mcp_list_tools.in_progress",
            "response.tomorrow",
            "",
        ],
    )
    def test_unknown_ones_are_ignored_and_counted(self, up, kind):
        up.event(kind)
        assert (up.listener.told, up.sent, up.counters) == ([], [], {"other_events": 1})


class TestMalformed:
    @pytest.mark.parametrize(
        "message",
        [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"1" * 5000, b"[" * 100_000, b'{"type":"response.done"'],
    )
    def test_what_is_no_object_is_counted(self, up, message):
        up.text(message)
        assert up.counters == {"malformed_events": 1}

    @pytest.mark.parametrize("kind", sorted(realtime_module.Session.handlers))
    @pytest.mark.parametrize(
        "value", [None, [], "", 7, {}, {"id": None}, [[]], "\ud800", {"id": "\ud800", "type": "message"}]
    )
    def test_known_events_with_any_content_never_raise(self, up, kind, value):
        fields = ("session", "response", "item", "error", "item_id", "response_id", "delta", "transcribed", "call_id")
        up.event(kind)
        up.event(kind, **dict.fromkeys(fields, value))
        up.event("input_audio_buffer.speech_started")
        assert up.listener.told[-1] == ("speech_started",)

    @given(data=st.data())
    def test_any_event_never_raises(self, data):
        json_values = st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=3)
            | st.sampled_from(["resp_1", "item_1", "message"]),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "id",
                            "type",
                            "audio",
                            "input",
                            "format",
                            "error",
                            "code",
                            "usage",
                            "status",
                            "call_id",
                            "name",
                        ]
                    ),
                    inner,
                )
            ),
            max_leaves=8,
        )
        names = ["session", "response", "item", "error", "item_id", "response_id", "transcribed", "arguments", "delta"]
        events = st.fixed_dictionaries(
            {"type": st.sampled_from(sorted(realtime_module.Session.handlers))},
            optional=dict.fromkeys(names, json_values),
        )
        told = data.draw(st.lists(events, max_size=8))
        with contextlib.closing(SessionRig()) as rig:
            rig.connect()
            for event in told:
                rig.text(json.dumps(event).encode())


class TestErrors:
    @pytest.mark.parametrize("code", sorted(EXPECTED_ERRORS - {"conversation_already_has_active_response"}))
    def test_expected_ones_are_counted_and_harmless(self, up, code, caplog):
        up.begin()
        up.listener.told.clear()
        up.error(code)
        assert (up.listener.told, up.sent) == ([], [])
        assert up.counters == {f"error_{code}": 1}
        assert [record for record in caplog.records if record.levelname != "DEBUG"] == []

    @pytest.mark.parametrize("code", sorted(FATAL_ERRORS))
    def test_fatal_ones_end_the_session(self, up, code):
        up.error(code)
        ((error,),) = up.listener.of("session_failed")
        assert (type(error), error.code, error.kind, error.words) == (
            ModelUnavailable,
            code,
            "invalid_request_error",
            "Words.",
        )

    def test_a_response_already_active_makes_ours_wait(self, up):
        up.loop.do(up.session.responses.create, "greeting")
        up.error("conversation_already_has_active_response", event_id="create_1")
        up.begin("resp_own")
        up.event("response.done", response={"id": "resp_own", "status": "completed"})
        assert up.kinds() == ["response.create", "response.create"]

    @pytest.mark.parametrize("code", [None, "server_error", "unknown_parameter"])
    def test_others_are_warnings_and_leave_the_session_open(self, up, code, caplog):
        up.error(code, param="session.voice")
        assert (up.listener.told, up.counters) == ([], {"error_other": 1})
        assert [record.levelname for record in caplog.records] == ["WARNING"]

    def test_codes_cannot_fill_the_counters(self, up):
        for number in range(50):
            up.error(f"code_{number}")
        assert up.counters == {"error_other": 50}


class TestTruncate:
    def test_says_what_was_heard(self, up):
        up.session.truncate("item_1", 1500, 3000)
        assert up.sent == [
            {"type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 1500}
        ]

    @pytest.mark.parametrize(("heard_ms", "received_ms", "sent_ms"), [(3001, 3000, 3000), (1, 1, 1), (90_000, 20, 20)])
    def test_never_more_than_was_received(self, up, heard_ms, received_ms, sent_ms):
        up.session.truncate("item_1", heard_ms, received_ms)
        assert up.sent[0]["audio_end_ms"] == sent_ms

    @pytest.mark.parametrize(("heard_ms", "received_ms"), [(0, 3000), (-5, 3000), (5, 0), (0, 0)])
    def test_what_was_not_heard_was_never_said(self, up, heard_ms, received_ms):
        up.begin()
        up.say("Hello there.")
        up.session.truncate("item_1", heard_ms, received_ms)
        assert up.sent == [{"type": "conversation.item.delete", "item_id": "item_1"}]
        assert up.session.turns["item_1"].text == ""

    def test_cuts_the_transcript_to_what_was_heard(self, up):
        up.begin()
        up.say("Hello there, how are you today?")
        up.session.truncate("item_1", 1500, 3000)
        turn = up.session.turns["item_1"]
        assert (turn.text, turn.heard_ms, turn.heard_share) == ("Hello there,", 1500, 0.5)

    def test_cuts_a_transcript_that_comes_later(self, up):
        up.begin()
        up.session.truncate("item_1", 1500, 3000)
        up.say("Hello there, how are you today?")
        assert up.session.turns["item_1"].text == "Hello there,"

    def test_nothing_heard_leaves_nothing_of_a_transcript_that_comes_later(self, up):
        up.begin()
        up.session.truncate("item_1", 0, 3000)
        up.say("Hello there.")
        assert up.session.turns["item_1"].text == ""

    def test_an_item_is_cut_once(self, up):
        up.begin()
        up.say("Hello there, how are you today?")
        for _ in range(2):
            up.session.truncate("item_1", 1500, 3000)
        assert len(up.sent) == 1
        assert up.session.turns["item_1"].text == "Hello there,"

    def test_an_item_without_a_turn_is_cut_too(self, up):
        up.session.truncate("item_1", 1500, 3000)
        up.say("Hello there, how are you today?")
        assert up.session.turns["item_1"].text == "Hello there,"


class TestTranscripts:
    def test_are_in_the_order_of_the_conversation_whenever_they_come(self, up):
        up.event("input_audio_buffer.committed", item_id="item_u")
        up.begin()
        up.say("Of course.")
        up.event("conversation.item.input_audio_transcription.completed", item_id="item_u", transcript=" Please. \n")
        assert [(turn.role, turn.text) for turn in up.session.turns.values()] == [
            ("caller", "Please."),
            ("assistant", "Of course."),
        ]
        assert [turn.text for (turn,) in up.listener.of("transcribed")] == ["Of course.", "Please."]

    def test_that_fail_are_turns_all_the_same(self, up):
        up.event("input_audio_buffer.committed", item_id="item_u")
        for _ in range(2):
            up.event("conversation.item.input_audio_transcription.failed", item_id="item_u", error={})
        (((turn,)),) = up.listener.of("transcribed")
        assert (turn.failed, turn.text, up.counters["transcription_failed"]) == (True, "", 2)

    def test_are_kept_by_item_not_by_last(self, up):
        for item_id in ("item_a", "item_b"):
            up.event("input_audio_buffer.committed", item_id=item_id)
        for item_id in ("item_b", "item_a"):
            up.event("conversation.item.input_audio_transcription.completed", item_id=item_id, transcript=item_id[-1])
        assert [turn.text for turn in up.session.turns.values()] == ["a", "b"]

    def test_a_second_one_of_an_item_of_the_assistants_changes_nothing(self, up):
        up.begin()
        up.say("First.")
        up.say("Second.")
        assert up.session.turns["item_1"].text == "First."

    def words(self, up, *words, item_id="item_1"):
        for word in words:
            up.event("response.output_audio_transcript.delta", response_id="resp_1", item_id=item_id, delta=word)

    def test_what_was_said_is_there_before_its_end(self, up):
        up.begin()
        self.words(up, "Of", " course,")
        assert up.session.turns["item_1"].text == "Of course,"
        assert up.listener.of("transcribed") == []
        up.say("Of course, Sir.")
        self.words(up, " too late")
        assert up.session.turns["item_1"].text == "Of course, Sir."
        assert len(up.listener.of("transcribed")) == 1

    @pytest.mark.parametrize("at_the_end", ["", "one two three four five"])
    def test_what_was_cut_off_is_kept_although_the_model_forgets_it(self, up, at_the_end):
        up.begin()
        self.words(up, "one", " two", " three", " four")
        up.session.truncate("item_1", 500, 1000)
        self.words(up, " five")
        up.say(at_the_end)
        assert up.session.turns["item_1"].text == "one two"
        ((turn,),) = up.listener.of("transcribed")
        assert turn.text == "one two"

    def test_an_end_without_words_leaves_those_that_came(self, up):
        up.begin()
        self.words(up, "one", " two")
        up.say("")
        assert up.session.turns["item_1"].text == "one two"

    def test_words_are_progress(self, up):
        up.begin()
        for _ in range(5):
            up.loop.advance(7)
            self.words(up, "so ")
        assert up.session.responses.counters["safety_fuse"] == 0

    def test_turns_are_bounded(self, up, monkeypatch):
        monkeypatch.setattr(history, "MAX_TURNS", 2)
        for number in range(3):
            up.event("input_audio_buffer.committed", item_id=f"item_{number}")
            up.event("conversation.item.input_audio_transcription.completed", item_id=f"item_{number}", transcript="x")
        up.say("y", "item_9")
        assert list(up.session.turns) == ["item_0", "item_1"]
        assert up.counters == {"transcript_overflow": 3}


class TestSending:
    def test_a_tool_result(self, up):
        call = up.session.history.add_call("call_1", "look", "{}")
        up.session.tool_result(call, '{"a":1}')
        item = {"id": "told_1", "type": "function_call_output", "call_id": "call_1", "output": '{"a":1}'}
        assert up.sent == [{"type": "conversation.item.create", "item": item}]

    def test_text_of_any_language_and_half_characters(self, up):
        up.session.tool_result(up.session.history.add_call("call_1", "look", "{}"), "שלום \ud800")
        assert up.sent[0]["item"]["output"] == "שלום ?"

    def test_before_the_socket_and_after_the_end_to_nobody(self, rig):
        rig.session.send({"type": "x"})
        rig.connect()
        rig.session.close()
        rig.session.send({"type": "x"})
        assert rig.sent == []


class TestClose:
    def test_no_event_counts_any_more(self, up):
        up.session.close()
        up.begin()
        up.error("insufficient_quota")
        up.loop.advance(60)
        assert (up.listener.told, up.sent, up.counters) == ([], [], {})

    def test_its_timers_are_gone(self, rig):
        rig.connect()
        rig.event("session.created", session={"id": "sess_1"})
        rig.session.close()
        assert rig.loop.pending_timers() == []
