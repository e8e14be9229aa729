"""The players themselves: held to code that neither they nor the node were made of.

These plays keep real time, by the telephone's own clock. One scene: `pytest tests/e2e/strangers -k NAME`; a scene that
fails tells its story, second by second: what the caller heard, what the node asked, what the model did, the call's log.
"""

from typing import Any

from openai.types.live import ServerEvent
from openai.types.realtime import RealtimeServerEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from e2e.dialects import both
from e2e.strangers.live import extras_of

HOUSE = "answers and floor"
REALTIME_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
LIVE_EVENTS: TypeAdapter[Any] = TypeAdapter(ServerEvent)
RESPONSE_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
"""Made here, since it takes a second, in which all scenes would stand still."""


@both
async def test_the_models_events_are_those_that_the_sdk_knows(house):
    async def answer(r):
        match r.number:
            case 1:
                await r.say("One moment.", 400)
                await r.call("look_up", {"what": "today"})
            case 2:
                await r.say("Three rooms are free today.", 4000)
            case 3 if not house.live:
                await r.say("This is only", 800, part=0.5)
                r.stop("failed", error={"type": "server_error", "code": "rate_limit_exceeded", "message": "Too many."})
            case _:
                await r.say("Once more.", 400)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(600)
        await call.phone.hears("Three rooms", ms=400)
        await call.phone.speak(600)
        await call.phone.hears("Once more.")
        call.model.session.error(None, "An error that ends nothing.")
    known = LIVE_EVENTS if house.live else REALTIME_EVENTS
    told = [event for event in call.model.session.sent if "at" in event]
    for event in told:
        read = known.validate_python({key: value for key, value in event.items() if key != "at"})
        assert read.type == event["type"]
        if house.live:
            assert [extra for extra in extras_of(read) if not extra.startswith(".session.")] == []
    behind = [event["event"] for event in told if event["type"] == "response.event"]
    for event in behind:
        assert RESPONSE_EVENTS.validate_python(event).type == event["type"]
    assert len({event["type"] for event in told + behind}) >= (15 if house.live else 18)


@both
async def test_the_ear_knows_what_it_hears(house):
    async def answer(r):
        await r.say("Numbered.", 1000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(600)
        await call.phone.hears("Numbered.")
    [number] = [number for number, words in call.phone.names.items() if words == "Numbered."]
    heard = [frame.index for frame in call.phone.heard if frame.what == number]
    assert heard == list(range(50))
    assert call.phone.first_sound(call.phone.last_spoke()) == call.phone.first_heard("Numbered.")
    assert 500 <= call.phone.silence_ms(call.phone.last_spoke()) < 3000
