import json
from typing import Any

import pytest

from fastbridge import _mulaw
from fastbridge.sim.scenario import CallTool, Fail, ResponseRequest, Say, Scenario, Turn, babble


def request(**changes: Any) -> ResponseRequest:
    defaults: dict[str, Any] = {
        "index": 0,
        "reply_index": 0,
        "is_greeting": False,
        "trigger": "vad",
        "params": {},
        "conversation": [],
    }
    return ResponseRequest(**{**defaults, **changes})


def test_greeting_then_the_turns_over_and_over() -> None:
    scenario = Scenario(greeting=Say("hi"), turns=(Say("one"), Say("two")))
    assert scenario.turn_for(request(is_greeting=True)) == (Say("hi"),)
    replies = [scenario.turn_for(request(reply_index=index))[0] for index in range(3)]
    assert replies == [Say("one"), Say("two"), Say("one")]


def test_a_turn_may_have_several_parts() -> None:
    parts: Turn = (CallTool("a"), CallTool("b"), Fail())
    assert Scenario(turns=(parts,)).turn_for(request()) == parts


def test_a_script_decides_instead() -> None:
    def script(asked: ResponseRequest) -> Turn:
        return Say(f"{asked.trigger} {asked.index}")

    scenario = Scenario(script=script)
    assert scenario.turn_for(request(is_greeting=True, index=4)) == (Say("vad 4"),)


@pytest.mark.parametrize(("arguments", "text"), [({"a": 1}, '{"a":1}'), ("not json", "not json"), ({}, "{}")])
def test_arguments_go_out_as_text(arguments: Any, text: str) -> None:
    assert CallTool("f", arguments).arguments_text() == text


def test_caller_transcripts_go_round_and_may_be_missing() -> None:
    scenario = Scenario(caller_transcripts=("a", "b"))
    assert [scenario.caller_transcript(index) for index in range(3)] == ["a", "b", "a"]
    assert Scenario(caller_transcripts=()).caller_transcript(0) == ""


def test_babble_is_audible_as_long_as_its_text_and_tells_texts_apart() -> None:
    sound = babble("Hello there, how are you?")
    assert len(sound) == 25 * 60 * 8
    assert _mulaw.rms(sound) > 1000
    assert babble("Hello there, how are you!") != sound
    assert len(babble("")) == 400 * 8


def test_say_without_sound_and_say_with_its_own() -> None:
    assert Say("x", b"").sound() == b""
    assert Say("x", b"abc").sound() == b"abc"
    assert Say("x").sound() == babble("x")


def test_default_scenario_is_plain_speech() -> None:
    scenario = Scenario()
    parts = scenario.turn_for(request(is_greeting=True)) + scenario.turn_for(request())
    assert all(isinstance(part, Say) and part.transcript for part in parts)
    assert json.dumps(scenario.caller_transcript(0))
