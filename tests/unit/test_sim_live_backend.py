from collections.abc import Sequence
from typing import Any

import pytest

from fastbridge.sim import live_wire
from fastbridge.sim.live_backend import Backend, Part, Run
from fastbridge.sim.scenario import CallTool, Fail, Incomplete, Say, Stuck
from fastbridge.sim.wire import Ids, Problem
from live_client import assert_valid

LOOKUP = CallTool("lookup", {"day": "Monday", "month": "May"})


def made(call_id: str | None = None) -> Backend:
    return Backend(Ids("seed"), 100.0, call_id)


def events(backend: Backend, run: Run) -> list[dict[str, Any]]:
    """Each of the run's events, proven to be one of the SDK's."""
    sent = [event for _, event in backend.steps(run, "gpt-5.5") if event is not None]
    return [assert_valid(live_wire.encode(event, "event_1"))["event"] for event in sent]


def ran(backend: Backend, parts: Sequence[Part]) -> list[dict[str, Any]]:
    return events(backend, backend.run(parts, "item_1"))


def output(call_id: str, text: Any = "9") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def test_a_call_is_whole_when_its_item_is_done() -> None:
    made_events = ran(made(), [LOOKUP])
    done = next(event for event in made_events if event["type"] == "response.output_item.done")
    deltas = [event["delta"] for event in made_events if event["type"].endswith("arguments.delta")]
    assert "".join(deltas) == done["item"]["arguments"] == '{"day":"Monday","month":"May"}'
    assert done["item"]["status"] == "completed"
    assert made_events[-1]["type"] == "response.completed"
    assert made_events[-1]["response"]["output"] == []
    assert [event["sequence_number"] for event in made_events] == list(range(len(made_events)))


def test_text_comes_as_a_message() -> None:
    made_events = ran(made(), [Say("At nine.")])
    assert [event["type"] for event in made_events] == [
        *("response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"),
        *("response.output_text.delta", "response.output_text.delta", "response.output_text.done"),
        *("response.content_part.done", "response.output_item.done", "response.completed"),
    ]


@pytest.mark.parametrize(("ending", "status"), [(Fail("server_error"), "failed"), (Incomplete(), "incomplete")])
def test_a_run_may_end_badly(ending: Any, status: str) -> None:
    backend = made()
    made_events = ran(backend, [ending])
    assert made_events[-1]["type"] == f"response.{status}"
    assert backend.active is None


def test_a_run_that_is_stuck_never_ends() -> None:
    backend = made()
    ran(backend, [LOOKUP, Stuck()])
    assert backend.active is backend.runs[0]
    refusal = backend.refusal()
    assert refusal is not None
    assert refusal.code == "response_in_progress"


def test_a_response_needs_something_new_and_every_output() -> None:
    def why(problem: Problem | None) -> str | None:
        return problem.code if problem is not None else None

    backend = made()
    assert why(backend.refusal()) == "response_without_input"
    ran(backend, [LOOKUP, LOOKUP])
    first, second = backend.calls
    assert backend.waiting
    assert backend.create(output(first)) is None
    assert why(backend.refusal()) == "missing_tool_output"
    assert backend.create(output(second, [{"type": "input_text", "text": "10"}])) is None
    assert backend.refusal() is None
    assert [call.output for call in backend.calls.values()] == ["9", "10"]
    ran(backend, [Say("Done.")])
    assert not backend.waiting
    assert why(backend.refusal()) == "response_without_input"


def test_an_output_is_for_a_call_and_there_is_one() -> None:
    backend = made("call_0")
    problem = backend.create(output("call_0"))
    assert problem is not None
    assert problem.code == "invalid_tool_call_id"
    ran(backend, [LOOKUP])
    for _ in range(2):
        assert backend.create(output("call_0")) is None
    assert backend.mistakes == ["response.item.create: a second output for call id 'call_0'"]


def test_a_message_asks_for_a_response_of_its_own() -> None:
    backend = made()
    assert backend.create({"type": "message", "role": "user", "content": "Hi."}) is None
    assert backend.refusal() is None
    assert (backend.delegation_id, backend.waiting) == (None, False)
