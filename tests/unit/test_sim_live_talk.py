from dataclasses import replace
from typing import Any

import pytest

from fastbridge.sim.live_script import Live
from fastbridge.sim.scenario import ResponseRequest, Say, Scenario, Turn, babble
from live_client import LiveClient, started

SPEECH = babble("When are you open?")


class Script:
    """A scenario's script that notes what it is asked."""

    def __init__(self) -> None:
        self.requests: list[ResponseRequest] = []

    def __call__(self, request: ResponseRequest) -> Turn:
        self.requests.append(request)
        return Say(f"Number {request.index}.")


def talk(live: Live | None = None, **fields: Any) -> tuple[LiveClient, Script]:
    script = Script()
    return started(Scenario(script=script, live=live or Live(), **fields)), script


def test_the_script_learns_what_was_said_and_why_it_is_asked() -> None:
    made, script = talk(caller_transcripts=("When are you open?",))
    made.append("commentary", "Greet.")
    made.listen(2500)
    made.hear(SPEECH)
    made.listen(3000)
    made.append("instructions", "Say goodbye.")
    made.listen(3000)
    assert [(each.index, each.reply_index, each.is_greeting, each.trigger) for each in script.requests] == [
        (0, 0, True, "client"),
        (1, 0, False, "vad"),
        (2, 1, False, "client"),
    ]
    assert script.requests[0].params == {"type": "session.commentary.append", "content": "Greet."}
    assert [each["content"][0]["transcript"] for each in script.requests[2].conversation] == [
        *("Number 0.", "When are you open?", "Number 1."),
    ]


def test_the_script_learns_what_the_model_was_told_to_know() -> None:
    made, script = talk()
    made.append("thinking", "They are on another call.")
    made.append("instructions", "Tell the caller.")
    made.listen(3000)
    (told,) = script.requests[0].conversation
    assert (told["role"], told["content"][0]["text"]) == ("system", "They are on another call.")


def test_a_history_with_an_answer_needs_no_greeting() -> None:
    script = Script()
    made = started(Scenario(script=script), input=[{"role": "assistant", "content": [{"text": "Hello."}]}])
    made.append("commentary", "Are you there?")
    made.listen(2500)
    assert (made.said(), script.requests) == ("Are you there?", [])


def test_instructions_may_be_no_reason_to_speak() -> None:
    made, script = talk(Live(instructions_ms=None))
    made.append("instructions", "Be brief.")
    made.listen(4000)
    assert script.requests == []
    assert len(made.of("session.instructions.appended")) == 1


def test_a_word_cut_off_is_in_the_conversation_as_far_as_it_came() -> None:
    made = started(Scenario(greeting=Say("I will read all of this to you now."), turns=(Say("Yes?"),)))
    made.append("commentary", "Go on.")
    made.listen(1500)
    made.hear(SPEECH)
    made.listen(3000)
    (first, *_) = made.session.conversation
    heard = first["content"][0]["transcript"]
    assert heard
    assert "I will read all of this to you now.".startswith(heard)
    assert made.said() == f"{heard}Yes?"


def test_it_takes_the_model_a_moment_to_stop() -> None:
    spoken = []
    for stop_ms in (100.0, 800.0):
        made = started(
            Scenario(greeting=Say("I will read all of this to you now, to the end."), live=Live(stop_ms=stop_ms))
        )
        made.append("commentary", "Go on.")
        made.listen(1500)
        made.hear(SPEECH)
        spoken.append(len(made.audio().strip(b"\xff")))
    assert 700 * 8 - 800 <= spoken[1] - spoken[0] <= 700 * 8 + 800


def test_a_caller_whose_end_is_not_noticed_gets_no_answer() -> None:
    made, script = talk(endless_turns={0})
    made.hear(SPEECH)
    made.listen(5000)
    assert script.requests == []


def test_what_was_held_back_is_said_though_the_turn_has_no_answer() -> None:
    made, _ = talk(unanswered_turns={0})
    made.append("commentary", "Greet.")
    made.listen(2500)
    made.hear(SPEECH[:4000])
    made.append("commentary", "By the way.")
    made.hear(SPEECH * 2)
    made.listen(3000)
    assert made.said() == "Number 0.By the way."


def test_an_empty_transcript_is_told_by_nothing() -> None:
    made, script = talk(caller_transcripts=("",))
    made.hear(SPEECH)
    made.listen(3000)
    assert made.understood() == ""
    assert len(script.requests) == 1


def test_a_word_ends_where_the_caller_stopped() -> None:
    made, _ = talk(caller_transcripts=("Hi.",))
    began_ms = made.session.clock_ms
    made.hear(SPEECH)
    made.listen(2000)
    (word,) = made.of("session.input_transcript.delta")
    assert word["start_ms"] == pytest.approx(began_ms, abs=80)
    assert word["end_ms"] == pytest.approx(began_ms + len(SPEECH) / 8, abs=80)


def test_more_words_than_there_was_time_for_come_once_each() -> None:
    transcript = "One two three four five six seven eight nine ten eleven twelve."
    made, _ = talk(caller_transcripts=(transcript,))
    made.hear(SPEECH[:4000])
    made.listen(4000)
    assert made.understood() == transcript


def test_a_second_turn_begins_its_words_anew() -> None:
    made, _ = talk(caller_transcripts=("One two three.", "Four five."))
    for _ in range(2):
        made.hear(SPEECH)
        made.listen(3000)
    assert made.understood() == "One two three.Four five."


def test_habits_are_the_scenario_s() -> None:
    quick = Scenario(turns=(Say("Yes?"),), live=Live(answer_ms=0.0, turn_silence_ms=200))
    slow = replace(quick, live=replace(quick.live, answer_ms=1500.0))
    starts = []
    for scenario in (quick, slow):
        made = started(scenario)
        made.hear(SPEECH)
        made.listen(3000)
        starts.append(made.of("session.output_transcript.delta")[0]["start_ms"])
    assert 1400 <= starts[1] - starts[0] <= 1600
