"""One Call resource: its states and how it is shown."""

from email.utils import parsedate_to_datetime

import pytest

from fastbridge.sim.twilio_call import STATES, TERMINAL, Call, rfc2822

NOW = 1_700_000_000.0


def call(*states: str) -> Call:
    made = Call("AC" + "0" * 32, "+14155550100", "+14155550101", NOW)
    for after, state in enumerate(states, 1):
        made.move(state, NOW + after)
    return made


@pytest.mark.parametrize("state", sorted(STATES))
def test_what_may_follow(state: str) -> None:
    ways = {"queued": (), "initiated": ("initiated",), "ringing": ("initiated", "ringing")}
    talks = ("initiated", "ringing", "in-progress")
    way = ways.get(state) or (talks if state == "in-progress" else ())
    for other in STATES:
        made = call(*way)
        made.state = state
        if other in STATES[state]:
            made.move(other, NOW)
        else:
            with pytest.raises(ValueError, match="does not become"):
                made.move(other, NOW)


def test_the_ends() -> None:
    assert {"completed", "busy", "no-answer", "failed", "canceled"} == TERMINAL
    assert call("initiated", "busy").over
    assert not call("initiated").over


def test_how_it_is_shown() -> None:
    shown = call("initiated", "ringing", "in-progress", "completed").view()
    assert (shown["status"], shown["duration"], shown["direction"]) == ("completed", "1", "outbound-api")
    assert shown["date_created"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    times = [parsedate_to_datetime(str(shown[name])).timestamp() - NOW for name in ("start_time", "end_time")]
    assert times == [1, 4]
    assert str(shown["uri"]).endswith(f"/Calls/{shown['sid']}.json")


def test_it_is_queued_until_it_rings_and_lasts_from_the_answer() -> None:
    assert call("initiated").view()["status"] == "queued"
    missed = call("initiated", "ringing", "busy").view()
    assert (missed["duration"], missed["end_time"] is None) == (None, False)


def test_what_every_webhook_says() -> None:
    told = Call("AC1", "+1", "+2", NOW, parent="CA9", direction="outbound-dial").parameters()
    assert (told["From"], told["Caller"], told["To"], told["Called"]) == ("+1", "+1", "+2", "+2")
    assert (told["ParentCallSid"], told["Direction"]) == ("CA9", "outbound-dial")
    assert "ParentCallSid" not in call().parameters()
    assert rfc2822(None) is None
