"""Streams that cannot become calls. Nobody is put on a dead line without a word: the caller hears why, the operator
reads it, and the books have it."""

import re
import time

import pytest

from e2e.strangers.house import House
from e2e.strangers.phone import until

SETTINGS = {"FASTBRIDGE_START_DEADLINE_SECONDS": "2"}

WRONG = {
    "its format": (
        {"mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1}},
        "format|x-l16|16000|mulaw",
    ),
    "its account": ({"accountSid": "AC" + "6" * 32}, "account"),
    "its call": ({"callSid": "CA" + "6" * 32}, "call|sid"),
}


async def nothing(r):
    await r.say("Hello?", 600)


async def is_told(call, why):
    """A stream that was refused: a sentence for the caller, a line for the operator, a record for the books."""
    phone = call.phone
    assert await phone.over(8) == "node"
    assert re.search("<(Say|Play|Dial)", phone.after), phone.after
    record = await call.record()
    assert record["call_sid"] == phone.call_sid
    assert record["end_reason"] not in ("customer_hangup", "")
    await until(lambda: call.node.stored(phone.call_sid), 8, "the row in the database")
    told = [line for line in call.lines if re.search(why, line.partition("] ")[2].replace(phone.call_sid, ""), re.I)]
    assert len(told) >= 1, call.lines
    assert len([line for line in call.lines if re.search(" (WARNING|ERROR) ", line)]) <= 1, call.lines


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_stream_that_is_refused_for_what_it_says_of_itself(house, wrong):
    start, why = WRONG[wrong]
    async with house.call(nothing, dialled=False, balanced=False) as call:
        await call.phone.dial(**start)
        await is_told(call, why)


async def test_a_stream_that_never_starts(house):
    async with house.call(nothing, dialled=False, balanced=False) as call:
        await call.phone.ask()
        await call.phone.connect()
        await is_told(call, "start")


async def test_no_parameters_at_all_are_none(house):
    async with house.call(nothing, dialled=False, greets=False) as call:
        await call.phone.dial(customParameters=None)
        await call.phone.hears("Hello?")
        assert not call.phone.ended_by


async def test_a_call_that_comes_again_after_its_stream_is_a_call_again(house):
    async with house.call(nothing) as call:
        await call.phone.hears("Good morning.")
        await call.phone.end_stream()
        await call.record()
        assert "<Stream" in await call.phone.ask(), call.phone.twiml
        await call.phone.connect()
        await call.phone.start()
        await call.phone.hears("Hello?")


@pytest.mark.parametrize("live", [False, True], ids=["that was refused", "beside one that lives"])
def test_the_node_does_not_wait_for_a_call(tmp_path, live):
    async def refused(house):
        async with house.call(nothing, dialled=False, balanced=False) as call:
            call.phone.reports = False
            await call.phone.dial(accountSid="AC" + "6" * 32)
            await call.phone.over(8)

    async def play(house):
        await refused(house)
        if live:
            async with house.call(nothing) as call:
                await call.phone.hears("Good morning.")
                house.node.terminate()
                await call.phone.speak(800)
                await call.phone.hears("Hello?")
        else:
            house.node.terminate()

    with House(tmp_path, {}) as house:
        house.play(play(house))
        begin = time.monotonic()
        house.node.wait(8)
        assert time.monotonic() - begin < 6
