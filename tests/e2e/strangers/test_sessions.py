"""A session that ends before the call does: the caller is not left alone, and what was said is known to the next."""

import json

import pytest

from e2e.dialects import both
from e2e.strangers.phone import until

SETTINGS = {"FASTBRIDGE_SESSION_RENEW_SECONDS": "10", "FASTBRIDGE_LIVE_STORE": "1"}
STORY = "It was a dark and stormy night in which nobody could sleep at all."


async def ends(session, how):
    if how == "drops":
        session.refused.clear()
        await session.drop()
    elif session.case.live:
        await session.close("expired")
    else:
        session.error("session_expired", "Your session hit the maximum duration of 60 minutes.")
        await session.drop(1001)


@both
@pytest.mark.parametrize("how", ["drops", "expires"])
async def test_a_session_that_ends_in_an_answer_has_a_successor_that_knows_it(house, how):
    async def answer(r):
        if len(r.session.case.sessions) > 1:
            await r.say("The rest of it.", 2000)
        else:
            await r.say(STORY, 4000, part=1.0 if house.live else 0.5)
            await r.hold()

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears("dark and stormy", ms=1000)
        await ends(call.model.session, how)
        await call.phone.hears("The rest of it.", ms=1000)
        assert call.phone.silence_ms(call.phone.last_spoke()) < 4000
        assert len(call.model.sessions) == 2
        assert "turn 1" in json.dumps(call.model.session.events)
    record = await call.record()
    assert (record["end_reason"], record["model_line"]["reconnects"]) == ("customer_hangup", 1)
    assert [turn["role"] for turn in record["turns"]][:3] == ["assistant", "caller", "assistant"]


@both
async def test_a_tool_over_which_a_session_is_lost_runs_once_and_the_next_session_tells_of_it(house):
    async def answer(r):
        if len(r.session.case.sessions) == 1:
            await r.call("slow", {"seconds": 1.5})
        else:
            await r.say("There it is.", 1000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await until(lambda: any("[TOOL_CALL]" in line for line in call.lines), 8, "the tool")
        await ends(call.model.session, "drops")
        await call.phone.hears("There it is.", ms=1000)
        await call.phone.rest(1000)
        assert call.ran == ["slow"]
        assert len(call.model.sessions) == 2
        assert "It was slow." in json.dumps(call.model.session.events)
    record = await call.record()
    assert [(tool["name"], tool["outcome"]) for tool in record["tools"]] == [("slow", "ok")]


@both
async def test_a_session_that_is_renewed_is_followed_by_one_that_knows_all(house):
    async def answer(r):
        await r.say(f"Answer {r.number}.", 800)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears("Answer 1.")
        await until(lambda: len(call.model.sessions) == 2, 20, "another session")
        await call.phone.rest(1500)
        await call.phone.speak(800)
        await call.phone.hears("Answer 2.")
        first, second = call.model.sessions
        if house.live:
            assert second.fork is first
            assert first.sent[-1]["type"] == "session.closed"
        else:
            assert "turn 1" in json.dumps(second.events)
    record = await call.record()
    assert (record["model_line"]["renewals"], record["model_line"].get("losses", 0)) == (1, 0)
    if house.live:
        told = [[event["usage"]["seconds"] for event in each.sent if "usage" in event][-1] for each in (first, second)]
        assert abs(record["model_seconds"]["billed"] - sum(told)) <= 2
