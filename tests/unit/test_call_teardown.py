import gc
import weakref
from typing import Any

import pytest

from fastbridge import Agent
from fastbridge.call.teardown import PARTS, dismantle
from helpers import LOUD
from virtual import Rig


def agent() -> Agent:
    made = Agent(greeting="Hello")

    @made.tool
    def free(day: str) -> str:
        """Whether there is a table."""
        return "yes"

    return made


def answered(rig: Rig) -> None:
    rig.begin("resp_1", "item_1")
    rig.delta(bytes(8000), "item_1", "resp_1")
    rig.advance(0.5)
    rig.done("resp_1")
    rig.advance(2)


def interrupted(rig: Rig) -> None:
    rig.begin("resp_1", "item_1")
    rig.delta(bytes(32_000), "item_1", "resp_1")
    rig.advance(1)
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_2"})
    rig.caller_says(*[LOUD] * 30)


def with_a_tool(rig: Rig) -> None:
    rig.begin("resp_1")
    rig.tool_call("call_1", "free", '{"day": "friday"}', "resp_1")
    rig.done("resp_1")
    rig.advance(1)


def without_a_model(rig: Rig) -> None:
    rig.lose_model()
    rig.advance(0.5)
    rig.connect()
    rig.open_session(2)
    rig.advance(1)
    rig.lose_model()
    rig.advance(0.1)


def parts_of(call: Any) -> list[Any]:
    found, waiting = [], [call]
    while waiting:
        part = waiting.pop()
        found.append(part)
        waiting += [each for each in vars(part).values() if isinstance(each, PARTS) and each not in found + waiting]
    return found


def lanes() -> int:
    return sum(type(each).__name__ in ("AssistantLane", "CallerLane", "Detector") for each in gc.get_objects())


@pytest.mark.parametrize("story", [lambda rig: None, answered, interrupted, with_a_tool, without_a_model])
def test_nothing_is_left_for_the_collector(story):
    gc.collect()
    before = lanes()
    gc.disable()
    try:
        rig = Rig(agent()).up()
        story(rig)
        call = rig.call
        rig.shut()
        parts = {type(part).__name__: weakref.ref(part) for part in parts_of(call)}
        assert len(parts) > 15
        dismantle(call)
        del call, rig.call
        for kept in (rig.ended, rig.dialled, rig.model_links, rig.tasks):
            kept.clear()
        del rig.carrier_link, rig.model_link
        assert [name for name, part in parts.items() if part() is not None] == []
        assert lanes() == before
    finally:
        gc.enable()
