"""The simulated GPT-Live against the types of the official SDK, which we did not write: what those allow the grammar
knows, what the grammar allows they hold, and whatever a client sends, in whatever order, what comes back is of them."""

import json
import types
from base64 import b64encode
from copy import deepcopy
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.live import (
    ClientEvent,
    DecisionItemCreateEvent,
    ForkSessionStartEvent,
    ResponseItemCreateEvent,
)
from openai.types.responses import EasyInputMessage
from openai.types.responses.response_input_item import FunctionCallOutput

from fastbridge.sim import live_grammar
from fastbridge.sim.live_script import Live
from fastbridge.sim.scenario import CallTool, Cancelled, Fail, Incomplete, Say, Scenario, Stuck, Turn, babble
from live_client import LiveClient, sdk_takes
from live_events import ACCEPTED, TOOL, append, item

NARROWER = {
    *("invalid_value", "invalid_type", "integer_below_min_value", "integer_above_max_value"),
    "array_above_max_length",
}
"""What the grammar may say of what the types hold: they do not know how large a number is, or which rate is whose."""
JUNK: list[Any] = [None, True, 0, -1, 1.5, 1 << 40, "", "x", [], {}, [None], {"type": "message"}]
words = st.sampled_from(["", "a", "gpt-live-1", "message", "Hello there."])
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: words,
    int: st.sampled_from([0, 16, 8000, 24_000, 1 << 40]),
    bool: st.booleans(),
    object: st.none() | words,
    type(None): st.none(),
}


def values(annotation: Any) -> st.SearchStrategy[Any]:
    """JSON values of a type of the SDK."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(arguments[0])
    if origin in (Union, types.UnionType):
        return st.one_of([values(each) for each in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(words, values(arguments[1]), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return objects(annotation)
    return PLAIN.get(annotation, words)


def objects(model: type[pydantic.BaseModel]) -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects of a class of the SDK, with any of what is optional, and nothing of that null."""
    fields = {name: values(field.annotation) for name, field in model.model_fields.items()}
    optional = {name for name, field in model.model_fields.items() if not field.is_required()}
    return st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name not in optional},
        optional={name: fields[name].filter(lambda value: value is not None) for name in sorted(optional)},
    )


def completed(event: dict[str, Any]) -> dict[str, Any]:
    """With what the service demands and the types call optional."""
    if event["type"].endswith(".append") and "content" in event:
        event.setdefault("delegation_id", None)
    return event


KINDS = [*get_args(get_args(ClientEvent)[0]), ForkSessionStartEvent]
WITH_ITEMS = (ResponseItemCreateEvent, DecisionItemCreateEvent)


@pytest.mark.parametrize("model", [each for each in KINDS if each not in WITH_ITEMS], ids=lambda model: model.__name__)
@given(data=st.data())
@settings(max_examples=50)
def test_the_grammar_knows_what_the_types_hold(model: type[pydantic.BaseModel], data: st.DataObject) -> None:
    event = completed(data.draw(objects(model)))
    problem = live_grammar.check(event, fork=model is ForkSessionStartEvent)
    assert problem is None or problem.code in NARROWER, problem


@given(objects(EasyInputMessage) | objects(FunctionCallOutput).filter(lambda each: "call_id" in each))
def test_the_grammar_knows_the_items_that_are_simulated(made: dict[str, Any]) -> None:
    problem = live_grammar.check({"type": "response.item.create", "item": made})
    assert problem is None or problem.code in NARROWER, problem


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to everything in it."""
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in within for found in places(each, (*path, key)))]


@st.composite
def spoiled(draw: st.DrawFn) -> dict[str, Any]:
    """An event that the service takes, with something gone, added or changed."""
    event = deepcopy(draw(st.sampled_from(ACCEPTED)))
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(places(event)[1:]))
        target: Any = event
        for step in way:
            target = target[step]
        change = draw(st.sampled_from(["gone", "changed", "added"]))
        if change == "gone":
            del target[last]
        else:
            target[last if change == "changed" or isinstance(target, list) else "surprise"] = deepcopy(
                draw(st.sampled_from(JUNK))
            )
        if not places(event)[1:]:
            break
    return event


@given(spoiled())
@settings(max_examples=400)
def test_the_types_hold_what_the_grammar_takes(event: dict[str, Any]) -> None:
    if live_grammar.check(event) is None:
        assert sdk_takes(event), event


SPEECH = babble("When are you open?")
OUTPUT = item(type="function_call_output", call_id="call_0", output="9")
START: dict[str, Any] = {
    "model": "gpt-live-1",
    "audio": {"format": {"type": "audio/pcmu", "rate": 8000}},
    "store": True,
}
BACKED = {**START, "delegation": {"type": "responses", "responses": {"model": "gpt-5.5", "tools": [TOOL]}}}
turns: st.SearchStrategy[Turn] = st.sampled_from(
    [
        Say("We open at nine."),
        Say("", b""),
        (Say("One moment."), CallTool("f", {"day": "Monday"})),
        (CallTool("f"), CallTool("f", "no JSON")),
        Fail(),
        (CallTool("f"), Fail()),
        (CallTool("f"), Stuck()),
        (CallTool("f"), Incomplete()),
        Cancelled(),
    ]
)
habits = st.builds(
    Live,
    delta_ms=st.sampled_from([20.0, 33.3, 100.0]),
    odd_sizes=st.booleans(),
    drift_ppm=st.sampled_from([-500.0, 0.0, 500.0]),
    noise_dbfs=st.none() | st.just(-60.0),
    waits_for_input=st.booleans(),
    acknowledgement=st.sampled_from(["", "One moment."]),
    interruptible=st.booleans(),
    speaks_over_ms=st.none() | st.just(100.0),
    max_session_ms=st.sampled_from([5_000.0, 7_200_000.0]),
    usage_ms=st.just(1000.0),
)
scenarios = st.builds(
    Scenario,
    turns=st.lists(turns, min_size=1, max_size=3),
    live=habits,
    call_id=st.just("call_0"),
    endless_turns=st.sampled_from([(), (0,)]),
    unanswered_turns=st.sampled_from([(), (0,)]),
)
fixtures = st.sampled_from([0, 100, 1000]).map(lambda ms: b64encode(b"\x10\x27" * 24 * ms).decode())
steps = st.one_of(
    st.sampled_from(ACCEPTED),
    st.sampled_from(["", "{", "7", '{"type":[]}', '{"type":"response.create","event_id":7}']),
    st.sampled_from([START, BACKED]).map(lambda session: {"type": "session.start", "session": session}),
    st.sampled_from([append("commentary", content="Yes?", delegation_id=None), OUTPUT, {"type": "response.create"}]),
    fixtures.map(lambda audio: {"type": "session.output_audio.fixture.play", "audio": audio}),
    st.binary(max_size=3),
    st.sampled_from([0.0, 7.0, 300.0, 2500.0]),
    st.sampled_from(["speech", "silence"]),
)


def do(made: LiveClient, step: Any) -> None:
    if isinstance(step, bytes):
        made.session.receive_binary(step, made.now_ms)
    elif isinstance(step, float):
        made.run(step)
    elif step in ("speech", "silence"):
        made.hear(SPEECH if step == "speech" else b"\xff" * 4000)
    else:
        made.send_text(step if isinstance(step, str) else json.dumps(step))


@given(scenarios, st.booleans(), st.lists(steps, max_size=25))
@settings(max_examples=100)
def test_whatever_comes_each_event_is_one_of_the_service_s(scenario: Scenario, early: bool, script: list[Any]) -> None:
    made = LiveClient(scenario)
    if early:
        made.start(delegation=BACKED["delegation"])
    for step in script:
        do(made, step)
    made.run(3000)
    session = made.session
    starts = [event["start_ms"] for event in made.of("session.output_transcript.delta")]
    assert starts == sorted(starts)
    assert session.sent["session.closed"] == (session.closed is not None)
    if session.closed is None:
        behind_ms = session.clock_ms - len(session.output) / 8
        assert -0.01 < behind_ms < scenario.live.delta_ms + 0.2
