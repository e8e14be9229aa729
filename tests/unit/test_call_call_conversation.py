"""fastbridge.call.call in whole conversations with the simulated carrier and the simulated model, byte for byte."""

import pytest

from conversation import Conversation
from fastbridge.agent import Agent
from fastbridge.sim.items import Item
from fastbridge.sim.response import TRANSCRIPT_LEAD
from fastbridge.sim.scenario import CallTool, Fail, Say, Scenario, babble

GREETING = Say("Hello, how can I help you?")
ANSWER = Say("We are open from nine to five, every day but Sunday.")
LONG = Say("Let me tell you all about it. " * 8)
QUESTION = babble("When are you open?")


def agent(*, lock: bool = True, greeting: str = "Hello!") -> Agent:
    made = Agent(greeting=greeting, greeting_lock=lock)

    @made.tool
    async def hours(day: str) -> str:
        """When we are open."""
        return f"{day}: nine to five"

    return made


@pytest.fixture
def begin():
    begun = []

    def make(*turns, lock=True, greeting="Hello!", **scenario):
        made = Conversation(
            Scenario(greeting=GREETING, turns=turns or (ANSWER,), **scenario), agent(lock=lock, greeting=greeting)
        )
        begun.append(made)
        return made.begin_call()

    yield make
    for made in begun:
        made.shut()


def padded(audio: bytes) -> bytes:
    return audio + b"\xff" * (-len(audio) % 160)


def spoken(talk: Conversation) -> list[Item]:
    """The assistant's items, in order."""
    return [item for response in talk.session.responses for item in response.items if item.audio]


def answered(talk: Conversation, responses: int) -> None:
    """Until that many responses have been made and heard."""
    talk.run_until(lambda: len(talk.session.responses) >= responses and not talk.session.active)
    talk.run_until(lambda: not talk.call.assistant.playing)
    talk.run(0.1)


def test_greeting_question_answer_and_hang_up(begin):
    talk = begin()
    answered(talk, 1)
    talk.says(QUESTION)
    answered(talk, 2)
    talk.hang_up()
    record = talk.call.record()
    assert record["end_reason"] == "customer_hangup"
    assert [(turn["role"], turn["text"]) for turn in record["turns"]] == [
        ("assistant", GREETING.transcript),
        ("caller", "Hi, I have a question."),
        ("assistant", ANSWER.transcript),
    ]
    assert [response.status for response in talk.session.responses] == ["completed", "completed"]
    assert (record["responses"], record["barge_ins"], record["errors"]) == ({"count": 2, "creates": 1}, [], [])
    assert record["tokens"]["total_tokens"] > 0
    assert talk.session.benign_errors == []


def test_the_assistants_lane_byte_for_byte(begin):
    talk = begin(ANSWER, LONG)
    answered(talk, 1)
    for number in (2, 3):
        talk.says(QUESTION)
        answered(talk, number)
    assert bytes(talk.stream.received) == b"".join(padded(bytes(item.audio)) for item in spoken(talk))
    # Each response reached the ear in one piece, at its natural speed.
    assert [span.length for span in talk.stream.spans] == [len(padded(bytes(item.audio))) for item in spoken(talk)]
    assert max(talk.stream.depth_ms) <= 180
    assert talk.call.record()["pacing"]["underruns"] == 0


def test_the_callers_lane_byte_for_byte(begin):
    talk = begin(lock=False, greeting="")
    talk.says(QUESTION)
    answered(talk, 1)
    assert talk.session.input_audio == bytes(talk.stream.said)
    books = talk.call.record()["accounting"]
    assert (books["dropped"], books["frames_in"]) == (0, len(talk.stream.said) // 160)
    assert books["peak_waiting"] > 0  # the first frames came before the session


def test_the_greeting_lock_keeps_the_caller_out_until_it_was_heard(begin):
    talk = begin()
    talk.says(babble("I talk over every greeting. " * 2))
    talk.run_until(lambda: talk.call.greeting.locked)
    talk.run_until(lambda: not talk.call.greeting.locked)
    greeting = spoken(talk)[0]
    assert len(talk.stream.heard) - talk.stream.spans[0].ear >= len(greeting.audio)
    talk.run(0.5)
    locked = talk.call.record()["accounting"]["by_reason"]["greeting_lock"]
    assert talk.session.input_audio == bytes(talk.stream.said)[160 * locked :]
    assert talk.stream.clears == []


def test_all_marks_come_back_and_say_what_was_heard(begin):
    talk = begin()
    answered(talk, 1)
    marks = talk.stream.marks
    assert [mark.cleared for mark in marks] == [False] * len(marks)
    assert talk.call.record()["pacing"]["marks_played"] == len(marks) == talk.call.assistant.marks_sent
    item = spoken(talk)[0]
    assert marks[0].name == f"0:{item.id}:160"
    assert marks[-1].name == f"0:{item.id}:{len(item.audio) // 8}"


@pytest.mark.parametrize("speed", [1.5, 6.0, 1000.0])
@pytest.mark.parametrize("after_seconds", [0.3, 1.0, 4.0])
def test_an_interruption(begin, speed, after_seconds):
    talk = begin(LONG, ANSWER, speed=speed)
    answered(talk, 1)
    talk.says(QUESTION)
    talk.run_until(lambda: len(talk.session.responses) == 2 and talk.call.assistant.playing)
    talk.run(after_seconds)
    said_ms = talk.now_ms
    talk.says(QUESTION)
    talk.run_until(lambda: talk.stream.clears)
    assert talk.now_ms - said_ms <= 220  # five frames, and the beginning of a word is not loud
    (barge_in,) = talk.call.stats.barge_ins
    (item,) = spoken(talk)[1:]

    # What the model believes was heard is what the ear got, to a packet.
    played = sum(span.length for span in talk.stream.spans[1:])
    talk.run(0.05)
    assert item.audio_end_ms is not None
    assert abs(item.audio_end_ms - played // 8) <= 20
    (cut,) = barge_in.items
    assert (cut["item_id"], cut["heard_ms"]) == (item.id, item.audio_end_ms)
    assert cut["heard_ms"] < cut["received_ms"] <= len(item.audio) // 8

    # Nothing of it goes out any more, and the next answer is heard whole.
    received = len(talk.stream.received)
    answered(talk, 3)
    assert bytes(talk.stream.received[received:]) == padded(bytes(spoken(talk)[2].audio))
    assert len(talk.stream.clears) == 1
    turns = [turn["text"] for turn in talk.call.record()["turns"] if turn["role"] == "assistant"]
    assert len(turns) == 3
    assert LONG.transcript.startswith(turns[1])
    heard = item.audio_end_ms * 8 / len(LONG.sound())
    assert heard - 0.1 < len(turns[1]) / len(LONG.transcript) < heard / TRANSCRIPT_LEAD + 0.1


def test_an_interruption_while_it_is_generated_cancels_it(begin):
    talk = begin(LONG, ANSWER, speed=1.5)
    answered(talk, 1)
    talk.says(QUESTION)
    talk.run_until(lambda: len(talk.session.responses) == 2 and talk.call.assistant.playing)
    talk.says(QUESTION)
    talk.run_until(lambda: talk.stream.clears)
    talk.run(0.2)
    assert talk.session.responses[1].status == "cancelled"
    assert talk.call.record()["responses"]["cancels"] == 1


def test_a_tool_and_then_the_answer(begin):
    talk = begin(CallTool("hours", {"day": "Monday"}), ANSWER)
    answered(talk, 1)
    talk.says(QUESTION)
    answered(talk, 3)
    assert list(talk.session.tool_outputs.values()) == ["Monday: nine to five"]
    assert [response.status for response in talk.session.responses] == ["completed"] * 3
    assert bytes(spoken(talk)[1].audio) == ANSWER.sound()
    assert talk.call.record()["tools"] == [{"name": "hours", "outcome": "ok", "elapsed_ms": 0}]


def test_two_tools_at_once_are_answered_and_asked_on_once(begin):
    both = (CallTool("hours", {"day": "Monday"}), CallTool("hours", {"day": "Friday"}))
    talk = begin(both, ANSWER)
    answered(talk, 1)
    talk.says(QUESTION)
    answered(talk, 3)
    assert sorted(talk.session.tool_outputs.values()) == ["Friday: nine to five", "Monday: nine to five"]
    assert talk.session.received["response.create"] == 2
    assert len(talk.session.responses) == 3


@pytest.mark.parametrize("arguments", ["{", '"text"', '{"day": 7, "night": 8}'])
def test_a_tool_with_bad_arguments_is_still_answered(begin, arguments):
    talk = begin(CallTool("hours", arguments), ANSWER)
    answered(talk, 1)
    talk.says(QUESTION)
    answered(talk, 3)
    assert ['"error"' in output for output in talk.session.tool_outputs.values()] == [True]


def test_after_a_failed_response_the_caller_hears_the_answer_all_the_same(begin):
    talk = begin(Fail("rate_limit_exceeded"), ANSWER)
    answered(talk, 1)
    talk.says(QUESTION)
    answered(talk, 3)
    assert talk.call.record()["errors"] == ["rate_limit_exceeded"]
    assert bytes(spoken(talk)[1].audio) == ANSWER.sound()


def test_lost_frames_reach_the_model_as_silence(begin):
    talk = begin(lock=False, greeting="")
    talk.run(1)
    for _ in range(10):
        talk.stream.lose(b"\xff" * 160)
    talk.run(1)
    assert talk.session.input_audio == bytes(talk.stream.said)
    assert talk.call.record()["accounting"]["concealed"] == 10


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0, 2.5])
def test_a_hang_up_at_any_moment(begin, seconds):
    talk = begin()
    talk.run(seconds)
    talk.hang_up()
    record = talk.call.record()
    assert record["end_reason"] == "customer_hangup"
    pacing = record["pacing"]
    assert pacing["frames_enqueued"] == pacing["tx"] + sum(pacing["flushed"].values())


def test_ten_minutes_with_many_turns_keep_every_book(begin):
    talk = begin(ANSWER, CallTool("hours", {"day": "Monday"}), LONG, Say("Yes."), speed=4.0)
    answered(talk, 1)
    for turn in range(40):
        before = len(talk.session.responses)
        talk.says(QUESTION)
        talk.run_until(lambda before=before: len(talk.session.responses) > before)
        talk.run(0.4 if turn % 3 == 0 else 6.0)
    talk.run(20)
    talk.hang_up()
    record = talk.call.record()
    assert record["model_events"].keys() <= {
        "other_events",
        "error_response_cancel_not_active",
        "error_conversation_already_has_active_response",
    }
    assert "safety_fuse" not in record["responses"]
    assert len(record["barge_ins"]) == len(talk.stream.clears) > 0
    assert record["pacing"]["tx_late_frames"] == record["pacing"]["tx_schedule_resets"] == 0
