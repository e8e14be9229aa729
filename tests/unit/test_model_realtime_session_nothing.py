"""model.realtime.session where the model says nothing: null, missing, or no text. Never a name of nothing."""

import json
from typing import Any

import pytest

from helpers import delta_json
from virtual import Rig

COMPLETED = "conversation.item.input_audio_transcription.completed"
NOTHING = [None, 7, [], {}, True]


@pytest.fixture
def rig(caplog):
    caplog.set_level("DEBUG", "fastbridge.events")
    rig = Rig().up()
    yield rig
    rig.shut()
    assert "None" not in json.dumps(rig.call.document["turns"])
    assert rig.call.document["errors"] == []
    assert "malformed_events" not in rig.call.session.counters


def warnings(caplog: Any) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("nothing", NOTHING)
class TestWords:
    def test_a_callers_transcript(self, rig, nothing, caplog):
        rig.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
        rig.model({"type": COMPLETED, "item_id": "item_u", "transcript": nothing})
        rig.respond(bytes(1600), 1, "Yes?")
        rig.advance(1.1)
        assert "Customer" not in caplog.text
        assert [turn.text for turn in rig.call.session.turns.values()] == ["", "Yes?"]
        assert warnings(caplog) == []

    def test_the_assistants_transcript(self, rig, nothing):
        rig.begin("resp_1", "item_1")
        rig.delta(bytes(1600), "resp_1", "item_1")
        event = {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_1"}
        rig.model({**event, "delta": nothing})
        rig.model({**event, "delta": "Hello."})
        done = {"type": "response.output_audio_transcript.done", "response_id": "resp_1", "item_id": "item_1"}
        rig.model({**done, "transcript": nothing})
        rig.done("resp_1")
        assert rig.call.session.turns["item_1"].text == "Hello."

    def test_audio(self, rig, nothing):
        rig.begin("resp_1", "item_1")
        event = {"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_1"}
        rig.model({**event, "delta": nothing})
        assert (rig.call.assistant.malformed_deltas, rig.call.assistant.received_bytes) == (0, 0)
        rig.model(delta_json("resp_1", "item_1", b"AAAA"))
        assert rig.call.assistant.received_bytes == 3

    def test_what_a_tool_is_given(self, rig, nothing):
        rig.begin("resp_1")
        item = {"id": "item_f", "type": "function_call", "name": nothing, "call_id": "call_1"}
        rig.model({"type": "response.output_item.added", "response_id": "resp_1", "item": item})
        done = {"type": "response.function_call_arguments.done", "response_id": "resp_1", "call_id": "call_1"}
        rig.model({**done, "name": nothing, "arguments": nothing})
        rig.done("resp_1")
        (call,) = rig.call.session.tool_calls
        given = "" if nothing is None else json.dumps(nothing)  # some servers give no text, but the object itself
        assert (call.name, call.arguments) == ("", given)

    def test_how_a_response_ended(self, rig, nothing, caplog):
        rig.begin("resp_1")
        ended = {"id": "resp_1", "status": nothing, "usage": nothing, "status_details": nothing}
        rig.model({"type": "response.done", "response": ended})
        assert not rig.call.session.responses.generating
        assert "[RESPONSE_DONE] response_id=resp_1, status=unknown" in caplog.text


@pytest.mark.parametrize("start", [{}, *({"audio_start_ms": value} for value in (None, "7", 7.5, [], True))])
def test_speech_that_begins_nobody_says_where(rig, start):
    rig.model({"type": "input_audio_buffer.speech_started", "audio_start_ms": 1, "item_id": "item_u"})
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_v", **start})
    assert rig.call.session.speech_start_ms is None


@pytest.mark.parametrize("nothing", [None, "", [], True])
class TestIds:
    """Some servers give their items none."""

    def test_an_item_without_one_is_no_warning(self, rig, nothing, caplog):
        for item in ({"id": nothing, "type": "message"}, {"type": "message"}, nothing):
            rig.model({"type": "conversation.item.added", "item": item, "previous_item_id": "item_0"})
            rig.model({"type": "response.output_item.added", "response_id": "resp_1", "item": item})
        assert rig.call.session.turns == {}
        assert warnings(caplog) == []

    def test_a_turn_of_the_callers_without_one_is_answered_all_the_same(self, rig, nothing):
        rig.model({"type": "input_audio_buffer.committed", "item_id": nothing})
        assert rig.call.turns.owed
        assert rig.call.session.turns == {}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created", "response": {"id": None}},
        {"type": "response.done", "response": {"id": None, "status": "completed"}},
        {"type": "response.created", "response": None},
        {"type": "response.function_call_arguments.done", "call_id": None, "name": "x", "arguments": "{}"},
        {"type": "response.output_audio_transcript.done", "item_id": None, "transcript": "x"},
        {"type": COMPLETED, "item_id": None, "transcript": "x"},
    ],
)
def test_what_needs_a_name_and_has_none_is_malformed_and_says_so(event, caplog):
    rig = Rig().up()
    rig.model(event)
    rig.model(event)
    sid = rig.call.call_sid
    (line, again) = warnings(caplog)
    assert line == again
    assert line.startswith(f"[REALTIME] malformed {event['type']}: ")
    assert line.endswith(f", call_sid={sid}")
    assert rig.call.session.counters["malformed_events"] == 2
    assert rig.call.session.turns == {}
    assert rig.call.session.tool_calls == []
    rig.shut()
    assert rig.call.document["errors_by_type"] == {"malformed_event": 2}


class TestErrors:
    def reported(self, caplog: Any, event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        rig = Rig().up()
        rig.model({"type": "error", "event_id": "event_1", **event})
        rig.shut()
        (line,) = warnings(caplog)
        assert line.endswith(f", call_sid={rig.call.call_sid}")
        return line.partition(", call_sid")[0], rig.call.document

    def test_one_without_a_code_has_its_type_and_its_words(self, caplog):
        error = {"type": "server_error", "code": None, "message": "Something went wrong.", "param": None}
        line, document = self.reported(caplog, {"error": error})
        assert line == "[REALTIME] the model reports an error: Something went wrong, type=server_error"
        assert (document["errors"], document["errors_by_type"]) == (["server_error"], {"server_error": 1})

    @pytest.mark.parametrize(
        ("event", "words"),
        [({"error": "boom"}, ": boom"), ({"message": "boom"}, ": boom"), ({"error": None}, ""), ({}, "")],
    )
    def test_one_in_another_shape(self, caplog, event, words):
        line, _ = self.reported(caplog, event)
        assert line == f"[REALTIME] the model reports an error{words}, type=error"

    def test_a_create_that_was_rejected_is_one_line_with_the_cause(self, caplog):
        rig = Rig().up()
        rig.do(rig.call.session.responses.create, "greeting")
        error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "No.", "param": "response.x"}
        rig.model({"type": "error", "error": {**error, "event_id": "create_1"}})
        assert [line.partition(", call_sid")[0] for line in warnings(caplog)] == [
            "[SERVER_ERROR] a response was rejected: No, code=unknown_parameter, type=invalid_request_error, "
            "param=response.x"
        ]
        assert rig.call.stats.errors == ["unknown_parameter"]
        rig.shut()

    def test_a_response_that_failed_is_one_line_with_the_cause(self, caplog):
        rig = Rig().up()
        rig.begin("resp_1")
        error = {"type": "requests", "code": "rate_limit_exceeded", "message": "Slow down."}
        rig.done("resp_1", "failed", status_details={"type": "failed", "error": error})
        assert [line.partition(", call_sid")[0] for line in warnings(caplog)] == [
            "[SERVER_ERROR] a response failed: Slow down, code=rate_limit_exceeded, type=requests, response_id=resp_1"
        ]
        assert rig.call.record()["errors_by_type"] == {"requests": 1}
        rig.shut()


def test_what_it_says_before_it_has_confirmed_the_format_is_no_response():
    rig = Rig().connected()
    rig.begin("resp_1", "item_1")
    rig.delta(bytes(1600), "resp_1", "item_1")
    session = rig.call.session
    assert (session.responses.generating, session.counters["unconfirmed_responses"]) == (False, 1)
    assert rig.call.assistant.received_bytes == 0
    rig.shut()
