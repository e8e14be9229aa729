"""carrier.twilio.transfers: what is asked of Twilio's API for a human's call, and that nobody is left in a line."""

import asyncio
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from fastbridge.carrier.port import LegTerms, Placed, PlacedCall, Refused, TryLater, Uncertain
from fastbridge.carrier.twilio import transfers as module
from fastbridge.carrier.twilio.transfers import KEEP_SECONDS, MAX_LEGS, RETRY_SECONDS, TwilioTransfers, transfers
from fastbridge.config import Settings
from spawning import Spawning

ACCOUNT, CALLER, HUMAN = "AC" + "0" * 32, "CA" + "c" * 32, "CA" + "d" * 32
TERMS = LegTerms(ACCOUNT, CALLER, "+14155550188", "+14155550100", "Dana.", "de", 25)
SETTINGS = Settings.model_construct(public_url="https://x.example", twilio_account_sid=ACCOUNT)


class Rig(Spawning):
    """A leg, and the API as `TwilioCalls` has it: answers are given by name, the last one again and again."""

    def __init__(self, settings: Settings = SETTINGS, **answers: list[Any]) -> None:
        super().__init__()
        self.asked: list[tuple[Any, ...]] = []
        given: dict[str, list[Any]] = {
            "place": [Placed(HUMAN, "queued")],
            "look_up": [None],
            "find": [None],
            "end": [True],
            "change": [True],
        }
        self._answers = given | answers
        api: Any = SimpleNamespace(close=self._nothing, **{name: self._answering(name) for name in given})
        self.transfers = TwilioTransfers(settings, self.spawn, api)
        leg = self.transfers.open(TERMS, self)  # type: ignore[arg-type]
        assert leg is not None
        self.leg = leg

    async def _nothing(self) -> None:
        pass

    def _answering(self, name: str) -> Any:
        async def answer(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            answers = self._answers[name]
            return answers.pop(0) if len(answers) > 1 else answers[0]

        return answer

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def does(self, *names: str) -> None:
        for name in names:
            self.loop.do(getattr(self.leg, name))
        self.loop.advance(sum(RETRY_SECONDS) + 1)

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.asked]

    def end(self) -> None:
        self.loop.run_until_complete(self.transfers.close())
        self.shut(lambda: None)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.end()


class TestPlacing:
    def test_the_call_is_asked_for_with_urls_that_name_caller_and_key(self, rig):
        assert rig.run(rig.leg.place()) is True
        ((_, placement),) = rig.asked
        assert (placement.to_number, placement.from_number) == (TERMS.to_number, TERMS.from_number)
        assert (placement.ring_seconds, placement.machine) == (25, True)
        for url, step in ((placement.answer_url, "answer"), (placement.status_url, "status")):
            parts = urlsplit(url)
            assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"https://x.example/webhook/transfer_{step}"
            assert parse_qs(parts.query) == {"call": [CALLER], "transfer": [rig.leg.key]}
        assert rig.leg.call_sid == HUMAN

    @pytest.mark.parametrize(
        ("answers", "placed", "asked"),
        [
            ([Refused(21211, "no")], False, 1),
            ([Uncertain("lost")], None, 1),
            ([TryLater(2.0, "busy"), Placed(HUMAN, "queued")], True, 2),
            ([TryLater(2.0, "busy")], False, 2),
            ([TryLater(2.0, "busy"), Uncertain("lost")], None, 2),
        ],
    )
    def test_what_comes_of_it(self, answers, placed, asked):
        rig = Rig(place=answers)
        assert rig.run(rig.leg.place()) is placed
        assert rig.names == ["place"] * asked
        rig.end()

    def test_nobody_tries_again_for_whom_nobody_waits(self):
        rig = Rig(place=[TryLater(2.0, "busy")])
        rig.does("release")
        assert rig.run(rig.leg.place()) is False
        assert rig.names == ["place"]
        rig.end()

    def test_nor_if_nobody_waits_any_more_when_it_is_time(self):
        rig = Rig(place=[TryLater(2.0, "busy"), Placed(HUMAN, "queued")])
        placing = rig.spawn(rig.leg.place())
        rig.loop.advance(1)
        rig.does("release")
        assert (placing.result(), rig.names) == (False, ["place"])
        rig.end()

    @pytest.mark.parametrize(("found", "there"), [(None, None), ([], False), ([PlacedCall(HUMAN, "ringing")], True)])
    def test_whether_it_is_there(self, found, there):
        rig = Rig(find=[found])
        assert rig.run(rig.leg.is_there()) is there
        assert rig.asked[0][1:3] == (TERMS.to_number, TERMS.from_number)
        rig.end()

    def test_how_it_goes(self):
        rig = Rig(look_up=[PlacedCall(HUMAN, "ringing"), None, PlacedCall(CALLER, "completed")])
        assert rig.run(rig.leg.look()) is None
        assert rig.asked == []
        rig.loop.do(rig.leg.learn, HUMAN)
        assert rig.run(rig.leg.look()) == "ringing"
        assert rig.run(rig.leg.look()) is None
        assert rig.run(rig.leg.look_at_caller()) == "completed"
        assert [sid for _, sid in rig.asked] == [HUMAN, HUMAN, CALLER]
        rig.end()


class TestMoving:
    @pytest.mark.parametrize("well", [True, False, None])
    def test_the_caller_is_led_to_a_url_of_ours(self, well):
        rig = Rig(change=[well])
        assert rig.run(rig.leg.move()) is well
        assert rig.asked == [("change", CALLER, {"Url": rig.leg.url("join"), "Method": "POST"})]
        rig.end()

    def test_one_who_was_led_to_nobody_is_told_so_until_that_is_done(self):
        rig = Rig(change=[None, False, True])
        rig.does("excuse")
        assert rig.names == ["change", "look_up"] * 2 + ["change"]
        assert "<Say" in rig.asked[0][2]["Twiml"]
        rig.end()

    def test_or_until_he_has_hung_up(self):
        rig = Rig(change=[False], look_up=[PlacedCall(CALLER, "completed")])
        rig.does("excuse")
        assert rig.names == ["change", "look_up"]
        rig.end()

    def test_the_fallback_number_is_dialled_where_there_is_one(self):
        rig = Rig(SETTINGS.model_copy(update={"fallback_number": "+14155550199"}))
        rig.does("excuse")
        assert "<Dial>+14155550199</Dial>" in rig.asked[0][2]["Twiml"]
        rig.end()


class TestLettingGo:
    def test_a_telephone_that_rings_rings_no_longer(self, rig):
        rig.run(rig.leg.place())
        rig.does("release")
        assert rig.asked[1:] == [("end", HUMAN)]

    def test_who_has_answered_is_told_first(self, rig):
        rig.run(rig.leg.place())
        rig.leg.answered = True
        rig.does("release")
        ((name, call_sid, form),) = rig.asked[1:]
        assert (name, call_sid) == ("change", HUMAN)
        assert "Der Anrufer wartet nicht mehr" in form["Twiml"]

    def test_again_and_again_until_it_is_done(self):
        rig = Rig(change=[None, False, False], end=[False, True])
        rig.run(rig.leg.place())
        rig.leg.answered = True
        rig.does("release")
        assert rig.names[1:] == ["change", "change", "end", "change", "end"]
        rig.end()

    def test_but_not_for_ever(self):
        rig = Rig(end=[False])
        rig.run(rig.leg.place())
        rig.does("release")
        assert rig.names[1:] == ["end"] * len(RETRY_SECONDS)
        rig.end()

    def test_one_that_is_found_later_is_let_go_then(self, rig):
        rig.does("release")
        assert rig.asked == []
        rig.loop.do(rig.leg.learn, HUMAN)
        rig.loop.advance(1)
        rig.loop.do(rig.leg.learn, "CA" + "e" * 32)
        rig.loop.advance(1)
        assert (rig.asked, rig.leg.call_sid) == ([("end", HUMAN)], HUMAN)

    def test_who_is_being_answered_hears_it_by_that(self, rig):
        rig.loop.do(rig.leg.learn, HUMAN)
        rig.leg.hands = 1
        rig.does("release")
        assert rig.asked == []

    def test_a_call_that_is_over_is_left_alone(self, rig):
        rig.loop.do(rig.leg.learn, HUMAN)
        rig.leg.is_over()
        rig.does("release")
        assert rig.asked == []


class TestAll:
    def test_keys_are_not_to_be_guessed_and_find_their_leg(self, rig):
        other = rig.transfers.open(TERMS, rig)
        assert other.key != rig.leg.key
        assert len(rig.leg.key) >= 21
        assert rig.transfers.leg(rig.leg.key) is rig.leg
        assert rig.transfers.leg("") is None
        assert other.conference != rig.leg.conference

    def test_one_that_is_done_is_known_for_a_while(self, rig):
        rig.loop.do(rig.leg.close)
        rig.loop.advance(KEEP_SECONDS - 1)
        assert rig.transfers.leg(rig.leg.key) is rig.leg
        rig.loop.advance(2)
        assert rig.transfers.leg(rig.leg.key) is None

    def test_there_are_only_so_many(self, rig, monkeypatch):
        monkeypatch.setattr(module, "MAX_LEGS", 3)
        assert [rig.transfers.open(TERMS, rig) is None for _ in range(3)] == [False, False, True]
        assert (rig.transfers.peak_legs, rig.transfers.refused) == (3, 1)
        assert MAX_LEGS == 1000

    def test_a_callers_end_is_told_to_his_own(self, rig):
        told = []
        for call_sid in (CALLER, HUMAN):
            terms = LegTerms(ACCOUNT, call_sid, "+1", "+1", "", "", 25)
            listener = SimpleNamespace(caller_over=lambda call_sid=call_sid: told.append(call_sid))
            rig.transfers.open(terms, listener)
        rig.transfers._legs.pop(rig.leg.key)
        rig.transfers.caller_over(CALLER)
        assert told == [CALLER]

    def test_there_are_none_without_credentials(self):
        assert transfers(Settings.model_construct(twilio_account_sid=ACCOUNT), lambda task: None) is None
        key = Settings.model_construct(twilio_api_key="SK1", twilio_api_secret=SecretStr("x"))
        assert transfers(key, lambda task: None) is None

    def test_the_client_is_made_when_it_is_needed(self):
        settings = Settings.model_construct(
            public_url="https://x.example", twilio_account_sid=ACCOUNT, twilio_auth_token=SecretStr("x")
        )
        made = transfers(settings, lambda task: None)
        assert made is not None
        assert made._client is None
        assert made._calls() is made._calls()
        asyncio.run(made.close())


class TestWords:
    def test_a_brief_is_said_in_its_language_between_words_of_ours(self, rig):
        text = rig.transfers.phrases.question(TERMS, "https://x.example/key")
        assert text.index("Guten Tag") < text.index("Dana.") < text.index("drücken Sie die 1")
        assert text.count("<Gather") == 2
        assert 'language="de-DE" method="POST"' in text

    def test_a_recording_is_played(self, rig):
        terms = LegTerms(ACCOUNT, CALLER, "+1", "+1", "https://x.example/brief.mp3", "en", 25)
        assert "<Play>https://x.example/brief.mp3</Play>" in rig.transfers.phrases.question(terms, "https://x/key")

    def test_without_one_there_are_our_words_alone(self, rig):
        terms = LegTerms(ACCOUNT, CALLER, "+1", "+1", "", "en", 25)
        assert rig.transfers.phrases.question(terms, "https://x/key").count("<Say") == 4
