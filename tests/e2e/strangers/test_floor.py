"""Whose turn it is to speak: while the caller does, nobody begins to. And work that the model asks for without end."""

import json

import pytest

from e2e.dialects import both
from e2e.strangers.phone import until

HOUSE = "answers and floor"
MOST_CREATES = 15
DEAD_AIR_MS = 3300


def asked_while_he_spoke(call):
    """The responses that were asked for between the beginning and the end of the caller's last turn."""
    return [event for event in call.model.creates if call.model.began[-1] < event["at"] < call.model.ended[-1]]


async def ceases(call):
    """The caller has done speaking, and the model has noticed."""
    call.phone.talking = False
    await until(lambda: not call.model.session.speaking, 8, "the end of the caller's turn")


async def turn(call, text):
    await call.phone.hears("Good morning.")
    await call.phone.speak(1000)
    await call.phone.hears(text)


async def result_meets_a_sentence(house, answers_turns):
    """A tool works while the caller begins to speak, and is ready before he has done."""

    async def answer(r):
        if r.number == 1:
            await r.say("I am looking.", 400)
            await r.call("slow", {"seconds": 2.0})
        elif r.cause != "work" or not answers_turns:  # which the answer to the turn tells, if there is one
            await r.say("It was slow, and you asked.", 800)

    async with house.call(answer) as call:
        await turn(call, "I am looking.")
        call.model.answers_turns = answers_turns
        call.phone.talking = True
        await until(call.model.outputs, 8, "the output")
        await call.phone.rest(1000)
        await ceases(call)
        await call.phone.hears("you asked.", seconds=8)
        await call.phone.rest(2500)
        assert call.model.outputs() == ["It was slow."]
        created = "response.item.create" if house.live else "conversation.item.create"
        assert call.model.events(created)[-1]["at"] < call.model.ended[-1]
        assert asked_while_he_spoke(call) == []
        assert call.phone.ms_of("you asked.") == 800
        assert len(call.model.creates) == (0 if answers_turns or house.live else 1)
        assert call.phone.silence_ms(call.phone.last_spoke()) < DEAD_AIR_MS


@both
async def test_a_result_that_comes_into_a_sentence_is_in_the_answer_to_it(house):
    await result_meets_a_sentence(house, answers_turns=True)


@both
async def test_a_result_that_comes_into_a_sentence_nobody_answers_is_asked_for_once(house):
    await result_meets_a_sentence(house, answers_turns=False)


@both
async def test_what_a_tool_wants_said_waits_for_the_callers_sentence_and_its_answer(house):
    async def answer(r):
        if r.number == 1:
            await r.call("remind", {"seconds": 3.5, "text": "Your taxi is here."})
        elif "taxi" in json.dumps(r.request):
            await r.say("Your taxi is here.", 600)
        else:
            await r.say("Certainly." if r.cause == "turn" else "I will.", 600)

    async with house.call(answer) as call:
        await turn(call, "I will.")
        call.phone.talking = True
        await until(lambda: "remind" in call.ran, 8, "the reminder")
        await call.phone.rest(800)
        await ceases(call)
        assert asked_while_he_spoke(call) == []
        await call.phone.hears("Certainly.")
        await call.phone.hears("Your taxi is here.")
        assert call.phone.first_heard("Certainly.") < call.phone.first_heard("Your taxi is here.")
        assert call.phone.ms_of("Certainly.") == 600
        assert call.phone.ms_of("Your taxi is here.") == 600


@both
async def test_keys_that_are_pressed_in_a_sentence_are_in_the_answer_to_it(house):
    async def answer(r):
        await r.say("You pressed one.", 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        call.phone.talking = True
        await call.phone.rest(600)
        await call.phone.press("1#")
        await call.phone.rest(1200)
        await ceases(call)
        await call.phone.hears("You pressed one.")
        await call.phone.rest(2500)
        told = [at for at, words in call.model.notes if "1" in words]
        assert len(told) == 1
        assert told[0] < call.model.ended[-1]
        assert call.model.creates == []
        assert call.phone.ms_of("You pressed one.") == 600


@both
@pytest.mark.parametrize("voice", ["loud", "that only the model makes out"])
async def test_who_speaks_is_not_asked_whether_he_is_there(house, voice):
    async def answer(r):
        await r.say("Here I am." if r.cause == "turn" else "Are you still there?", 600)

    async with house.call(answer, kind="silent", hears=voice == "loud") as call:
        await call.phone.hears("Good morning.")
        await call.phone.rest(2400)
        if call.model.hears:
            call.phone.talking = True
        else:
            call.phone.noisy = True
            call.model.session.speech_started()
        await call.phone.rest(1200)
        call.phone.noisy = False
        if not call.model.hears:
            call.model.session.speech_stopped()
        await ceases(call)
        assert asked_while_he_spoke(call) == []
        await call.phone.hears("Here I am.")
        assert call.phone.ms_of("Are you still there?") == 0
        await call.phone.hears("Are you still there?", seconds=8)


@both
async def test_the_notice_of_a_calls_last_half_minute_waits_for_the_caller(house):
    async def answer(r):
        await r.say("Yes." if r.cause == "turn" else "Half a minute is left.", 600)

    async with house.call(answer, kind="short") as call:
        await call.phone.hears("Good morning.")
        await call.phone.rest(2500)
        call.phone.talking = True
        await call.phone.rest(4000)
        await ceases(call)
        assert asked_while_he_spoke(call) == []
        await call.phone.hears("Yes.")
        await call.phone.hears("Half a minute", seconds=8)
        assert call.phone.first_heard("Yes.") < call.phone.first_heard("Half a minute")
        assert call.phone.ms_of("Yes.") == 600


async def test_each_answer_that_comes_into_a_sentence_gives_way_to_it(house):
    """Two of them, the second right behind the first, so that playback does not pause in between."""

    async def answer(r):
        await r.say("The first." if r.number == 1 else "The second.", 4000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        call.phone.talking = True
        await until(lambda: call.model.session.speaking, 8, "his sentence")
        call.model.session.speak_up()
        call.model.session.speak_up()
        await until(lambda: call.phone.ms_of("The second."), 8, "the second answer")
        await call.phone.rest(2500)
        over = sum(1 for heard in call.phone.heard[call.phone.first_heard("The first.") :] if heard.kind) * 20
        assert over < 600, f"{over} ms of the assistant over his own words"
        assert call.model.events("input_audio_buffer.commit") == []


@pytest.mark.parametrize("over", ["an answer", "a filler"])
async def test_who_is_heard_by_the_node_alone_keeps_the_floor(house, over):
    async def answer(r):
        if r.number > 1 or over == "an answer":
            await r.say("A long answer.", 6000)
        await r.hold()

    async with house.call(answer, hears=False) as call:
        await call.phone.hears("Good morning.")
        call.model.session.speech_started()
        await call.phone.speak(800)
        call.model.session.speech_stopped()
        await until(lambda: call.phone.heard[-1].kind, 8, "a sound")
        await call.phone.rest(200)
        begin, creates = len(call.phone.heard), len(call.model.creates)
        await call.phone.speak(3500)
        sounds = [heard for heard in call.phone.heard[begin + 25 : begin + 170] if heard.kind]
        assert len(sounds) < 10, f"{len(sounds) * 20} ms of the assistant over his own words"
        assert call.model.creates[creates:] == []


def may_call(r):
    return r.request.get("tool_choice") != "none" and r.request.get("tools") != []


@pytest.mark.parametrize("tool", ["nothing_such", "look_up"])
async def test_a_model_that_only_calls_tools_is_asked_for_words(house, tool):
    async def answer(r):
        if may_call(r):
            await r.call(tool)
        else:
            await r.say("I could not find it.", 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        for turns in (1, 2):
            await call.phone.speak(800)
            await until(lambda: call.phone.ms_of("I could not find it.") >= 600 * turns, 12, "words")  # noqa: B023
        assert call.phone.silence_ms(call.phone.last_spoke()) < DEAD_AIR_MS
        assert len(call.model.creates) <= 2 * MOST_CREATES
        assert len(call.ran) <= 2 * MOST_CREATES


@both
@pytest.mark.parametrize("tool", ["nothing_such", "look_up"])
async def test_a_model_that_calls_tools_even_when_asked_for_words_is_given_up(house, tool):
    async def answer(r):
        await r.call(tool)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.over(25)
        assert len(call.model.creates) <= MOST_CREATES
        assert call.phone.silence_ms(call.phone.last_spoke()) < DEAD_AIR_MS
        assert "en/apology" in call.phone.recordings() or "<Say" in call.phone.after


@pytest.mark.parametrize("begins", ["noise that never ends", "bursts of noise"])
async def test_the_goodbye_to_a_noisy_line_is_heard_to_its_end(house, begins):
    async def answer(r):
        await r.say("Goodbye then." if "bye" in json.dumps(r.request).lower() else "Pardon?", 1600)

    async with house.call(answer, kind="noisy", hears=begins == "noise that never ends", words=[None] * 99) as call:
        await call.phone.hears("Good morning.")
        call.phone.noisy = True
        while not call.phone.ended_by and len(call.phone.heard) < 50 * 25:
            await call.phone.rest(400)
            if not call.model.hears and not call.phone.ended_by:
                session = call.model.session
                session.speech_stopped() if session.speaking else session.speech_started()
        assert call.phone.ended_by in ("node", "rest")
        assert call.phone.ms_of("Goodbye then.") == 1600
    assert (await call.record())["end_reason"] == "line_noise"
