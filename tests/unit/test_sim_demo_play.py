"""The play: what the assistant answers by how far the caller has come, and what the caller does."""

from typing import Any

from fastbridge.model.port import exactly
from fastbridge.sim.audio import level_dbfs, speech, to_frames
from fastbridge.sim.demo_play import (
    ASSISTANT_WORDS,
    CALLER_WORDS,
    COMMENTARY,
    OF_COURSE,
    SAY_EXACTLY,
    TOOL,
    TOOL_ARGUMENTS,
    YOURS,
    Play,
    Talk,
)
from fastbridge.sim.report import Event
from fastbridge.sim.scenario import CallTool, ResponseRequest, Say
from fastbridge.sim.script import AfterAssistant, AfterMs, Conversation, HangUp, Interrupt, Speak


def request(*, greeting: bool = False, last: dict[str, Any] | None = None) -> ResponseRequest:
    return ResponseRequest(0, 0, greeting, "vad", {}, [last or {"type": "message"}])


def play_at_line(lines: int) -> Play:
    play = Play((), lambda: 5.0)
    play.caller = Conversation([])
    play.caller.events += [(0, "speak", ""), (1, "speak_end", "")] * lines
    return play


def test_the_play_greets_looks_up_answers_and_says_goodbye() -> None:
    play = play_at_line(1)
    assert play.scenario.script is not None
    answer = play.scenario.script
    assert answer(request(greeting=True)) == Say(ASSISTANT_WORDS["assistant_greeting"], speech("assistant_greeting"))
    assert answer(request()) == CallTool(TOOL, TOOL_ARGUMENTS)
    result = answer(request(last={"type": "function_call_output", "output": "13:00"}))
    assert result == Say(ASSISTANT_WORDS["assistant_times"], speech("assistant_times"))
    kinds = [event.kind for event in play.events]
    assert kinds == ["response", "tool_call", "tool_result", "response"]
    assert play.events[1] == Event(5.0, "tool_call", "check_availability(Thursday, afternoon)")
    for line, name in ((2, "assistant_morning"), (3, "assistant_goodbye")):
        play = play_at_line(line)
        assert play.scenario.script is not None
        assert play.scenario.script(request()) == Say(ASSISTANT_WORDS[name], speech(name))


def test_a_live_model_says_that_it_hands_work_on_and_nothing_twice() -> None:
    play = Play((), lambda: 5.0, live=True)
    answer = play.scenario.script
    assert answer is not None
    said, call = answer(request())  # type: ignore[misc]
    assert (said.transcript, call) == (OF_COURSE, CallTool(TOOL, TOOL_ARGUMENTS))
    assert said.audio == speech("assistant_morning")[: len(said.audio)]
    assert all(level_dbfs(frame) < -40 for frame in to_frames(said.audio)[-2:]), "it ends with the words"
    result = {"type": "function_call_output", "output": "13:00"}
    assert isinstance(answer(request(last=result)), Say)
    told = ResponseRequest(
        0, 0, False, "client", {"type": "session.instructions.append", "content": "React."}, [result]
    )
    assert answer(told) == ()


def test_a_caller_who_pauses_gets_the_times_again_and_no_second_look_up() -> None:
    play = play_at_line(1)
    assert play.scenario.script is not None
    assert isinstance(play.scenario.script(request()), CallTool)
    again = play.scenario.script(request())
    assert isinstance(again, Say)
    assert again.transcript == ASSISTANT_WORDS["assistant_times"]


def test_the_caller_interrupts_once_and_hangs_up_at_the_end() -> None:
    script = Play((), lambda: 0.0).script
    assert [type(step) for step in script] == [Speak, Interrupt, Speak, HangUp]
    assert [step.text for step in script[:3] if not isinstance(step, HangUp)] == list(CALLER_WORDS.values())  # type: ignore[union-attr]


class TestTalk:
    def test_the_model_says_what_the_agent_wants_said_and_makes_the_rest_up(self) -> None:
        talk = Talk((), lambda: 7.0, greeted=True)
        answer = talk.scenario.script
        assert answer is not None
        wanted = ResponseRequest(0, 0, True, "client", {"instructions": f"{SAY_EXACTLY}Rosa's, hello!"}, [])
        assert answer(wanted) == Say("Rosa's, hello!")
        told = ResponseRequest(0, 0, False, "client", {"type": COMMENTARY, "content": "One moment."}, [])
        assert answer(told) == Say("One moment.")
        assert answer(request()) == Say("This is the simulated model, and this its answer number 1.")
        assert [event.kind for event in talk.events] == ["response"] * 3

    def test_it_goes_by_the_words_with_which_the_node_asks(self) -> None:
        assert exactly("Hello.") == f"{SAY_EXACTLY}Hello."

    def test_the_callers_lines_are_the_recordings_or_two_of_ours(self) -> None:
        mine = speech("caller_accepts")
        script = Talk([mine, mine, mine], lambda: 0.0, greeted=True).script
        assert script == [Speak(mine, text=YOURS)] * 3 + [HangUp(AfterAssistant(600))]
        ours = Talk((), lambda: 0.0, greeted=False).script
        assert [type(step) for step in ours] == [Speak, Speak, HangUp]
        assert (ours[0].when, ours[1].when) == (AfterMs(1000), AfterAssistant(700))
