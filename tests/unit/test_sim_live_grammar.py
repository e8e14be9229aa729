from typing import Any

import pytest

from fastbridge.sim import live_grammar
from helpers import spoiled
from live_client import PCMU, sdk_takes
from live_events import ACCEPTED, HISTORY, append, item, pcm, start


def kind_of(event: dict[str, Any]) -> str:
    return str(event["type"])


@pytest.mark.parametrize("event", ACCEPTED, ids=kind_of)
def test_what_the_service_takes(event: dict[str, Any]) -> None:
    assert live_grammar.check(event) is None
    assert sdk_takes(event)


@pytest.mark.parametrize("event", ACCEPTED, ids=kind_of)
def test_no_object_takes_an_unknown_key(event: dict[str, Any]) -> None:
    """Everywhere but in what is free by definition: the schema of a tool."""

    for path, made in spoiled(event, lambda place: "parameters" in place):
        problem = live_grammar.check(made)
        assert problem is not None, path
        assert problem.code == "unknown_parameter" or path[-1] in {"voice", 0}, path


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"type": "session.start"}, "missing_required_parameter", "session"),
    ({"type": "session.start", "session": {}}, "missing_required_parameter", "session.model"),
    (start(turn_detection=None), "unknown_parameter", "session.turn_detection"),
    (start(tools=[]), "unknown_parameter", "session.tools"),
    (start(audio={"format": {"type": "audio/pcmu"}}), "missing_required_parameter", "session.audio.format.rate"),
    (start(audio={"format": {"type": "audio/pcmu", "rate": 16_000}}), "integer_above_max_value", None),
    (pcm(8000), "invalid_value", "session.audio.format.rate"),
    (start(input=[{"role": "user", "content": []}]), "invalid_value", "session.input[0].content"),
    (start(input=HISTORY * 33), "array_above_max_length", "session.input"),
    (append("commentary", content="x"), "missing_required_parameter", "delegation_id"),
    (append("commentary", content=["x"], delegation_id=None), "invalid_type", "content"),
    ({"type": "decision.create"}, "missing_required_parameter", "event_id"),
    ({"type": "response.create", "response": {}}, "unknown_parameter", "response"),
    (item(type="function_call_output", output=""), "missing_required_parameter", "item.call_id"),
    ({"type": "input_audio_buffer.append", "audio": "////"}, "invalid_value", "type"),
    ({"type": "session.input_audio.commit"}, "invalid_value", "type"),
]


@pytest.mark.parametrize(("event", "code", "param"), REFUSED)
def test_what_it_does_not_take(event: dict[str, Any], code: str, param: str | None) -> None:
    problem = live_grammar.check(event)
    assert problem is not None
    assert problem.code == code
    assert param is None or problem.param == param


def test_an_unknown_event_is_answered_with_those_there_are() -> None:
    problem = live_grammar.check({"type": "session.input_audio.commit"})
    assert problem is not None
    assert all(f"'{kind}'" in problem.message for kind in live_grammar.CLIENT_EVENTS)


@pytest.mark.parametrize("event", [None, [], "session.start", 7])
def test_an_event_is_an_object(event: Any) -> None:
    problem = live_grammar.check(event)
    assert problem is not None
    assert problem.code == "invalid_event"


def test_a_fork_starts_with_what_differs() -> None:
    for session in ({}, {"store": False}, {"audio": {"format": PCMU}}, {"delegation": {"type": "responses"}}):
        event = {"type": "session.start", "session": session}
        assert live_grammar.check(event, fork=True) is None
        assert sdk_takes(event, fork=True)
    for session in ({"model": "gpt-live-1"}, {"instructions": "i"}, {"audio": {"output": {"voice": "ash"}}}):
        problem = live_grammar.check({"type": "session.start", "session": session}, fork=True)
        assert problem is not None
        assert problem.code == "unknown_parameter"
