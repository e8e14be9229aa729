"""A house that speaks Hebrew says what it has to say by itself in Hebrew, too."""

import re

from e2e.dialects import both
from e2e.strangers.phone import Phone

SETTINGS = {"FASTBRIDGE_LANGUAGE": "he", "FASTBRIDGE_MAX_CALLS": "1", "FASTBRIDGE_OUTAGE_SECONDS": "2"}
HEBREW = re.compile('<Play|<Say[^>]*language="he-IL"[^>]*>[^<]*[\u05d0-\u05ea]')


@both
async def test_what_the_node_says_by_itself_is_hebrew(house):
    async def answer(r):
        await r.say("Shalom.", 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        busy = await Phone(house.node.port).ask()
        assert "<Stream" not in busy
        assert HEBREW.search(busy), busy
    house.service.refuse = 401
    async with house.call(answer) as call:
        await call.phone.over(12)
        assert "he/apology" in call.phone.recordings() or HEBREW.search(call.phone.after), call.phone.recordings()
        assert not any(name.startswith("en/") for name in call.phone.recordings())
    down = await Phone(house.node.port).ask()
    assert "<Stream" not in down
    assert HEBREW.search(down), down
