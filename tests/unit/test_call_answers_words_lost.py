"""call.answers in whole calls: what the caller had said is lost with the connection, before it was written down."""

from collections.abc import Iterator
from typing import Any

import pytest

from fastbridge.model.instructions import WORDS_LOST
from virtual import Rig

SECOND = bytes(8000)
COMPLETED = "conversation.item.input_audio_transcription.completed"


@pytest.fixture
def rig(caplog: Any) -> Iterator[Rig]:
    caplog.set_level("INFO", "fastbridge.events")
    rig = Rig(silence_seconds=0).up()
    yield rig
    rig.shut()


def turn(rig: Rig, text: str = "", item_id: str = "item_u") -> None:
    """The caller says something; with text the model has written it down."""
    for kind in ("speech_started", "speech_stopped", "committed"):
        rig.model({"type": f"input_audio_buffer.{kind}", "item_id": item_id})
    if text:
        rig.model({"type": COMPLETED, "item_id": item_id, "transcript": text})


def answers(rig: Rig, text: str = "You are", seconds: int = 1) -> None:
    """It has begun to."""
    rig.begin("resp_1", "item_1")
    rig.model({"type": "response.output_audio_transcript.delta", "item_id": "item_1", "delta": text})
    rig.delta(SECOND * seconds, "resp_1", "item_1")


def next_session(rig: Rig) -> tuple[list[str], list[str]]:
    """What it is told, and what it is asked for."""
    rig.lose_model()
    rig.advance(0.2)
    rig.connect()
    rig.open_session(2)
    told = [event["item"]["content"][0]["text"] for event in rig.sent("conversation.item.create")]
    return told, [event["response"].get("instructions", "") for event in rig.sent("response.create")]


def test_an_answer_to_them_is_continued_without_guessing_and_asks_for_them(rig):
    turn(rig)
    answers(rig)
    told, (asked,) = next_session(rig)
    assert told == [WORDS_LOST, "You are"]
    assert '"You are"' in asked
    assert "ask them to repeat" in asked


def test_without_any_answer_they_are_asked_for(rig):
    turn(rig)
    rig.begin("resp_1", "item_1")
    told, (asked,) = next_session(rig)
    assert told == [WORDS_LOST]
    assert "ask them to repeat" in asked


def test_they_are_in_the_record_and_in_the_log_as_a_turn_that_failed(rig, caplog):
    turn(rig, "Hello?")
    turn(rig, item_id="item_v")
    answers(rig)
    next_session(rig)
    rig.advance(1)
    document = rig.call.record()
    said = [(each["text"], each.get("failed", False)) for each in document["turns"] if each["role"] == "caller"]
    assert (said, document["caller_turns"]) == ([("Hello?", False), ("", True)], 2)
    assert document["model_events"]["words_lost"] == 1
    assert ("words_lost" in document["errors"], document["errors_by_type"]["transcription_failed"]) == (True, 1)
    assert caplog.text.count("[TRANSCRIPT] Customer: (lost with the connection)") == 1


def test_an_answer_to_what_is_known_just_goes_on(rig, caplog):
    turn(rig, "Where am I?")
    answers(rig)
    told, (asked,) = next_session(rig)
    assert told == ["Where am I?", "You are"]
    assert "ask them to repeat" not in asked
    assert "lost with" not in caplog.text


@pytest.mark.parametrize("tool", [True, False])
def test_what_was_said_of_something_else_is_no_answer_to_them(rig, tool):
    """The result of a tool is known, whatever was asked."""
    turn(rig)
    rig.begin("resp_0")
    rig.done("resp_0")
    rig.do(rig.call.session.responses.create, "tool_result" if tool else "say")
    rig.begin_ours("resp_1", "item_1")
    rig.delta(SECOND, "resp_1", "item_1")
    _, asked = next_session(rig)
    assert "Go on from exactly there" in asked[-1]
    assert "ask them to repeat" not in asked[-1]


def test_where_nothing_is_written_down_nothing_is_missed(caplog):
    rig = Rig(silence_seconds=0, transcription_model="").up()
    turn(rig)
    answers(rig)
    told, (asked,) = next_session(rig)
    assert told == ["You are"]
    assert "ask them to repeat" in asked
    assert "lost with the connection" not in caplog.text
    assert rig.call.record()["turns"][0]["role"] == "assistant"
    rig.shut()
