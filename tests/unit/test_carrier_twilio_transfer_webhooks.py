"""carrier.twilio.transfer_webhooks: what the human hears and answers, over ASGI, signed as Twilio signs."""

import asyncio
from typing import Any

import pytest

from fastbridge.carrier.port import LegTerms
from fastbridge.carrier.twilio.transfers import TwilioTransfers
from front_desk import ACCOUNT, CALL, URL, exchange, make_node, post

HUMAN = "CA" + "2b" * 16
TERMS = LegTerms(ACCOUNT, CALL, "+14155550188", "+14155550123", "Dana, about her bill.", "en", 25)


class Listener:
    """Answers as it is told to."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.wanted = self.well = True
        self.hands = 0
        self.leg: Any = None

    def answered(self) -> bool:
        self.told.append(("answered",))
        self.hands = self.leg.hands
        return self.wanted

    async def accepted(self) -> bool:
        await asyncio.sleep(0)
        self.told.append(("accepted",))
        self.hands = self.leg.hands
        return self.well

    def declined(self, outcome: str) -> None:
        self.told.append(("declined", outcome))
        self.hands = self.leg.hands

    def ended(self, outcome: str) -> None:
        self.told.append(("ended", outcome))

    def joined(self) -> bool:
        self.told.append(("joined",))
        return self.well

    def parted(self) -> bool:
        self.told.append(("parted",))
        return self.well

    def caller_over(self) -> None:
        self.told.append(("caller_over",))


class Rig:
    def __init__(self, **settings: Any) -> None:
        self.node = make_node(**settings)
        self.node.transfers = TwilioTransfers(self.node.settings, lambda task: task.close())
        self.listener = Listener()
        self.leg = self.listener.leg = self.node.transfers.open(TERMS, self.listener)

    def ask(self, step: str, url: str = "", call_sid: str = HUMAN, **given: str) -> Any:
        target = (url or self.leg.url(step)).removeprefix(URL)
        return post(self.node, target, {"CallSid": call_sid, "AccountSid": ACCOUNT, **given})

    @property
    def told(self) -> list[tuple[Any, ...]]:
        return self.listener.told


@pytest.fixture
def rig():
    return Rig()


def test_somebody_who_answers_hears_the_brief_and_is_asked(rig):
    answer = rig.ask("answer")
    assert answer.verbs == ["Gather", "Gather", "Say", "Hangup"]
    first = answer.xml.find("Gather")
    assert [each.text for each in first][1] == "Dana, about her bill."
    assert first.get("action") == rig.leg.url("key")
    assert (rig.told, rig.leg.call_sid, rig.leg.answered, rig.leg.hands) == ([("answered",)], HUMAN, True, 0)


def test_or_that_nobody_is_waiting(rig):
    rig.listener.wanted = False
    answer = rig.ask("answer")
    assert answer.verbs == ["Say", "Hangup"]
    assert "not waiting any more" in answer.xml[0].text
    assert rig.listener.hands == 1  # so that he hears it by this, and not by a request besides


@pytest.mark.parametrize("given", [{"Digits": "1"}, {"SpeechResult": "Yes, sure."}])
def test_a_yes_leads_to_the_conference(rig, given):
    answer = rig.ask("key", **given)
    assert rig.told == [("accepted",)]
    assert answer.verbs == ["Dial", "Say", "Hangup"]
    assert answer.xml.find("Dial/Conference").text == rig.leg.conference
    assert answer.xml.find("Dial").get("action") is None
    assert (rig.listener.hands, rig.leg.hands) == (1, 0)


def test_where_the_caller_has_not_come_it_leads_to_a_goodbye(rig):
    rig.listener.well = False
    answer = rig.ask("key", Digits="1")
    assert answer.verbs == ["Say", "Hangup"]
    assert "could not be connected" in answer.xml[0].text


@pytest.mark.parametrize("given", [{"Digits": "2"}, {"SpeechResult": "no thanks"}])
def test_a_no_is_thanked_for(rig, given):
    answer = rig.ask("key", **given)
    assert (rig.told, rig.listener.hands) == ([("declined", "declined")], 1)
    assert answer.xml[0].text == "Thank you. Goodbye."


@pytest.mark.parametrize("given", [{"Digits": "7"}, {"SpeechResult": "What?"}, {}])
def test_what_is_neither_is_asked_again(rig, given):
    assert rig.ask("key", **given).verbs[0] == "Gather"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"CallStatus": "ringing"}, []),
        ({"CallStatus": "in-progress"}, []),
        ({"CallStatus": "busy"}, [("ended", "busy")]),
        ({"CallStatus": "no-answer"}, [("ended", "no_answer")]),
        ({"CallStatus": "failed"}, [("ended", "failed")]),
        ({"CallStatus": "completed"}, [("ended", "declined")]),
        ({"AnsweredBy": "human"}, []),
        ({"AnsweredBy": "unknown"}, []),
        ({"AnsweredBy": "machine_start"}, [("declined", "machine")]),
        ({"AnsweredBy": "fax"}, [("declined", "machine")]),
        ({"CallStatus": "nonsense", "AnsweredBy": "x"}, []),
    ],
)
def test_how_his_call_goes(rig, given, told):
    assert rig.ask("status", **given).status == 204
    assert (rig.told, rig.leg.call_sid) == (told, HUMAN)


def test_the_caller_is_led_to_the_same_conference_and_asked_about_behind_it(rig):
    answer = rig.ask("join", call_sid=CALL)
    assert answer.verbs == ["Dial", "Hangup"]
    assert answer.xml.find("Dial/Conference").text == rig.leg.conference
    assert answer.xml.find("Dial").get("action") == rig.leg.url("over")


@pytest.mark.parametrize("step", ["join", "over"])
def test_a_caller_who_is_led_to_nobody_hears_an_apology(rig, step):
    rig.listener.well = False
    assert rig.ask(step, call_sid=CALL).verbs == ["Say", "Hangup"]


@pytest.mark.parametrize("step", ["join", "over"])
def test_or_gets_somebody_else(step):
    rig = Rig(fallback_number="+14155550199")
    rig.listener.well = False
    assert rig.ask(step, call_sid=CALL).xml.find("Dial").text == "+14155550199"


def test_behind_a_conversation_the_call_is_over(rig):
    assert rig.ask("over", call_sid=CALL).verbs == ["Hangup"]


UNKNOWN = [
    ("answer", ["Say", "Hangup"]),
    ("key", ["Say", "Hangup"]),
    ("join", ["Say", "Hangup"]),
    ("over", ["Hangup"]),
]


@pytest.mark.parametrize(("step", "verbs"), UNKNOWN)
@pytest.mark.parametrize("wrong", ["key", "caller", "nobody"])
def test_what_is_not_known_is_over(rig, step, verbs, wrong):
    url = rig.leg.url(step)
    if wrong == "key":
        url = url.replace(rig.leg.key, "x" * 22)
    elif wrong == "caller":
        url = url.replace(CALL, HUMAN)
    else:
        rig.node.transfers = None
    assert rig.ask(step, url, Digits="1").verbs == verbs
    assert rig.told == []


def test_nor_is_anything_said_of_its_status(rig):
    url = rig.leg.url("status").replace(rig.leg.key, "x" * 22)
    assert rig.ask("status", url, CallStatus="busy").status == 204
    assert rig.told == []


@pytest.mark.parametrize("step", ["answer", "key", "status", "join", "over"])
def test_only_twilio_is_let_in(rig, step):
    target = rig.leg.url(step).removeprefix(URL)
    assert post(rig.node, target, headers={"X-Twilio-Signature": "x"}).status == 403
    assert exchange(rig.node, "PUT", target).status == 405
    assert rig.told == []


@pytest.mark.parametrize("step", ["answer", "key", "join", "over"])
def test_a_bug_of_ours_ends_in_a_goodbye(rig, step, monkeypatch):
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    for name in ("answered", "accepted", "joined", "parted"):
        monkeypatch.setattr(rig.listener, name, fails)
    answer = rig.ask(step, Digits="1")
    assert answer.verbs == ["Say", "Hangup"]
    assert rig.leg.hands == 0
