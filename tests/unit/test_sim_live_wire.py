import json

from fastbridge.sim import live_wire
from fastbridge.sim.wire import Event, Problem
from live_client import assert_valid


def test_every_event_has_an_id_but_audio() -> None:
    assert live_wire.encode(Event("info", {"a": 1}), "event_1") == '{"type":"info","event_id":"event_1","a":1}'
    frame = live_wire.encode(live_wire.audio_delta(b"\xff\xff\xff"), "event_1")
    assert frame == '{"type":"session.output_audio.delta","delta":"////"}'


def test_an_answer_has_the_id_that_the_client_gave_and_only_then() -> None:
    given = live_wire.answering("session.input_audio.muted", {"event_id": "mine"})
    assert given.body == {"client_event_id": "mine"}
    assert live_wire.answering("session.input_audio.muted", {}).body == {}


def test_an_error_names_the_command_and_always_has_a_code() -> None:
    event = live_wire.error(Problem(None, "Sorry.", type="server_error"), "mine")
    assert event.body["error"]["code"] == "server_error"
    assert event.body["error"]["client_event_id"] == "mine"
    assert_valid(live_wire.encode(event, "event_1"))


def test_times_are_whole_milliseconds() -> None:
    event = live_wire.transcript_delta(live_wire.INPUT_TRANSCRIPT, " Hi", 20.7, 99.9)
    assert event.body == {"delta": " Hi", "start_ms": 20, "end_ms": 99}
    assert_valid(live_wire.encode(event, "event_1"))


def test_a_delegation_to_the_client_has_no_response() -> None:
    event = live_wire.delegation_created("item_1", "client", None, 12.5)
    assert event.body == {"offset_ms": 12, "delegation": {"id": "item_1", "type": "delegation", "target": "client"}}
    assert_valid(live_wire.encode(event, "event_1"))


def test_an_event_of_the_backend_is_in_an_envelope() -> None:
    nested = Event("response.output_text.done", {"item_id": "msg_1", "output_index": 0, "content_index": 0})
    nested.body.update(text="Hi.", logprobs=[])
    event = live_wire.response_event(nested, 3, "item_1")
    assert json.dumps(event.body).startswith(
        '{"delegation_id": "item_1", "event": {"type": "response.output_text.done"'
    )
    assert_valid(live_wire.encode(event, "event_1"))
