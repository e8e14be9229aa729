"""Answers that are broken off: by the caller, with work in them that must not be done, or by the model, with somebody
waiting for the rest."""

import pytest

from e2e.dialects import both
from e2e.strangers.phone import until

HOUSE = "answers and floor"
SAID = "Of course, I am listening."
DEAD_AIR_MS = 3300


async def interrupted(house, work, check):
    """The model speaks, begins `work` in the same response, and is interrupted. It answers the caller's turn by itself,
    and the line stays open."""

    async def answer(r):
        if r.number == 1:
            await r.say("Well then, I shall do that now, goodbye.", 5000)
            await work(r)
            await r.hold()
        elif r.cause != "work":  # which is done, and need not be spoken of
            await r.say(SAID)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(1000)
        await call.phone.hears("Well then", ms=800)
        await until(lambda: call.model.session.calls(), 5, "the call of the function")
        await call.phone.speak(1500)
        await call.phone.hears(SAID)
        await call.phone.rest(2000)
        assert house.live or call.model.events("response.cancel")
        assert call.phone.ms_of("Well then") < 4000
        assert (call.phone.ended_by, call.api) == ("", [])
        assert call.phone.ms_of(SAID) == 800
        await check(call)
        assert call.model.creates == []


async def is_told_that_it_was_not_run(call):
    assert call.ran == []
    assert len(call.model.outputs()) == 1
    told = call.model.outputs()[0].lower()
    assert any(word in told for word in ("not ", "n't", "interrupt", "cancel", "incomplete", "cut")), told


UNFINISHED = {
    "hang_up": lambda r: r.call("hang_up", finish=False),
    "transfer": lambda r: r.call("transfer_call", '{"destination": "rece', finish=False, part=99),
    "tool": lambda r: r.call("look_up", finish=False),
    "half its arguments": lambda r: r.call("look_up", '{"what": "frid', finish=False, part=99),
    "all its arguments": lambda r: r.call("look_up", {"what": "friday"}, finish=False, part=99),
}


@both
@pytest.mark.parametrize("work", UNFINISHED)
async def test_work_that_was_not_ordered_to_its_end_is_not_done(house, work):
    await interrupted(house, UNFINISHED[work], is_told_that_it_was_not_run)


@both
async def test_work_that_was_ordered_before_the_interruption_is_done_and_answered(house):
    async def check(call):
        assert call.ran == ["look_up friday"]
        assert ["friday" in output for output in call.model.outputs()] == [True]

    await interrupted(house, lambda r: r.call("look_up", {"what": "friday"}), check)


@both
async def test_a_goodbye_that_was_ordered_is_taken_back_by_who_interrupts_it(house):
    async def check(call):
        assert len(call.model.outputs()) == 1

    await interrupted(house, lambda r: r.call("hang_up"), check)


async def broken_off(house, breaks, check=None):
    """The first answer ends too soon, the second is whole. The caller waits for neither long."""

    async def answer(r):
        if r.number == 1:
            await breaks(r)
        else:
            await r.say("Here it is, then.")

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(1000)
        await call.phone.hears("Here it is, then.", seconds=14)
        assert call.phone.silence_ms(call.phone.last_spoke()) < DEAD_AIR_MS
        assert len(call.model.creates) == (0 if house.live else 1)
        assert call.ran == []
        if check is not None:
            await check(call)


@pytest.mark.parametrize("spoken", [0, 0.5], ids=["before a word", "after half a sentence"])
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("incomplete", "max_output_tokens"),
        ("incomplete", "content_filter"),
        ("cancelled", "turn_detected"),
        ("cancelled", "client_cancelled"),
    ],
)
async def test_an_answer_that_the_model_breaks_off_is_followed_by_another(house, status, reason, spoken):
    async def breaks(r):
        if spoken:
            await r.say("The rooms that are free on Friday are these.", 1600, part=spoken)
        r.stop(status, reason)

    await broken_off(house, breaks)


@both
@pytest.mark.parametrize("arguments", ['{"what": "frid', '{"what": "friday"}'], ids=["half", "whole"])
async def test_work_in_an_answer_that_is_cut_by_its_length_is_not_done(house, arguments):
    async def breaks(r):
        await r.call("look_up", arguments, finish=False, part=99)
        r.stop("incomplete", "max_output_tokens")

    await broken_off(house, breaks, is_told_that_it_was_not_run)


async def test_work_in_an_answer_that_the_node_gave_up_is_not_done(house):
    async def breaks(r):
        await r.call("look_up", finish=False)
        await r.hold()

    await broken_off(house, breaks, is_told_that_it_was_not_run)


@both
async def test_answers_that_are_always_empty_end_in_a_goodbye(house):
    async def answer(r):  # in a stream, nothing
        r.stop("incomplete", "content_filter")

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(1000)
        await call.phone.over(45 if house.live else 25)
        assert call.phone.silence_ms(call.phone.last_spoke()) < (4000 if house.live else DEAD_AIR_MS)
        assert "en/apology" in call.phone.recordings() or "<Say" in call.phone.after
        assert len(call.model.creates) <= (8 if house.live else 5)


@both
async def test_call_ids_that_come_again_are_calls_again(house):
    async def answer(r):
        if r.number % 2:
            await r.call("look_up", {"what": str(r.number)}, call_id="call_0")
        else:
            await r.say(f"Answer {r.number}.")

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        for number in (2, 4, 6):
            await call.phone.speak(800)
            await call.phone.hears(f"Answer {number}.")
        assert call.ran == ["look_up 1", "look_up 3", "look_up 5"]
        assert len(call.model.outputs("call_0")) == 3
        assert call.phone.silence_ms(call.phone.last_spoke()) < DEAD_AIR_MS
