"""A carrier for warm transfers on virtual time: one caller, one human who is called, and all that goes wrong between
them by chance. The transfer, its leg and its webhooks are the real ones.
"""

import asyncio
import random
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastbridge.call.transfer_states import OUTCOMES, RING_SECONDS, State
from fastbridge.call.warm_transfer import WarmTransfer
from fastbridge.carrier.port import LegTerms, Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.carrier.twilio.transfer_webhooks import TransferDesk
from fastbridge.carrier.twilio.transfers import TwilioTransfers
from fastbridge.carrier.twilio.webhook import Webhook, own_parameters
from fastbridge.config import Settings
from fastbridge.testing.loop import VirtualLoop

CALLER, HUMAN = "CA" + "c" * 32, "CA" + "d" * 32
ACCOUNT = "AC" + "0" * 32
TERMS = LegTerms(ACCOUNT, CALLER, "+14155550188", "+14155550100", "Dana, about her bill.", "en", RING_SECONDS)
WEBHOOK_SECONDS = 15.0
FAULTS = 4
"""Requests that fail in one schedule, at most; the rest is served."""
LONGEST_HOLD_SECONDS = 175.0
LONGEST_ALONE_SECONDS = 65.0
LIFE_SECONDS = 400.0
OVER = {"busy", "no-answer", "failed", "completed", "canceled"}


class Stage:
    """Writes down what the transfer tells its call."""

    def __init__(self, world: "World") -> None:
        self.returned = world.returned.append
        self.settled = world.settled.append


class World:
    """Plays one schedule after another on one loop. Places of the caller: stream, between, conference, goodbye, gone;
    of the human: nowhere, ringing, asked, conference, goodbye, over."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.loop.threads_hold_time = False
        self.settings = Settings.model_construct(
            public_url="https://x.example", twilio_account_sid=ACCOUNT, fallback_number=None, prompts_dir=None
        )
        self.story: list[str] = []

    @classmethod
    def many(cls) -> "World":
        return cls()

    def close(self) -> None:
        self.loop.close()

    def play(self, chance: random.Random) -> str:
        """The transfer's outcome. AssertionError for what must not be."""
        self.chance = chance
        self.story = []
        self.began = self.loop.time()
        self.caller, self.state = "stream", "queued"
        self.answered = self.placed = False
        self.alone_since: float | None = None
        self.faults = chance.randrange(FAULTS + 1)
        self.returned: list[str] = []
        self.settled: list[str] = []
        self.human_in = self.talked = False
        self.loop.run_until_complete(self._life())
        assert self.loop.failures == [], self.loop.failures
        self._judge()
        return self.settled[0]

    async def _life(self) -> None:
        chance, loop = self.chance, self.loop
        api: Any = SimpleNamespace(
            **{name: getattr(self, name) for name in ("place", "look_up", "find", "end", "change")}
        )
        api.close = self._nothing
        self.transfers = TwilioTransfers(self.settings, loop.spawn, api)
        self.desk = TransferDesk(SimpleNamespace(settings=self.settings, transfers=self.transfers))
        self.transfer = WarmTransfer(Stage(self), clock=loop.clock, spawn=loop.spawn)
        assert self.transfer.begin(self.transfers, TERMS)
        if chance.random() < 0.35:
            loop.call_later(chance.choice((2.0, 12.0, 40.0, 90.0)) * chance.random(), self._caller_hangs_up)
        if chance.random() < 0.06:
            loop.call_later(60 * chance.random(), self.transfer.withdraw)
        await asyncio.sleep(LIFE_SECONDS)
        assert loop.tasks == set(), "something is still at work"
        await self.transfers.close()

    async def _nothing(self) -> None:
        """The client is closed."""

    # --- what became of it ---

    def _note(self, text: str) -> None:
        self.story.append(f"{self.loop.time() - self.began:7.2f} {text}  [{self.transfer.state}]")

    def _judge(self) -> None:
        transfer, outcome = self.transfer, self.transfer.outcome
        assert not transfer.under_way, f"still {transfer.state}"
        assert self.settled == [outcome], self.settled
        assert outcome in OUTCOMES
        assert self.returned == ([outcome] if transfer.state is State.RETURNED else []), self.returned
        assert self.state in OVER or not self.placed, f"the human is still {self.state}"
        assert self.caller != "conference", "the caller is left in the conference"
        assert self.caller != "between"
        if self.caller == "stream":
            assert self.returned, "the caller waits for ever"
        assert (outcome == "connected") <= self.talked or self.blind, "connected, and they never talked"

    # --- chance ---

    def _soon(self) -> float:
        return self.chance.choice((0.05, 0.1, 0.3, 0.3, 1.0, 3.0)) * self.chance.random()

    def _fault(self, share: float = 0.3) -> bool:
        if self.faults and self.chance.random() < share:
            self.faults -= 1
            return True
        return False

    # --- the API: CarrierCalls, and `change` ---

    blind = False

    async def place(self, placement: Placement) -> Any:
        self._placement = placement
        await asyncio.sleep(self._soon())
        if self._fault():
            kind = self.chance.choice(("refused", "later", "lost", "lost", "lost, and done", "lost, and done", "slow"))
            self._note(f"placing: {kind}")
            if kind == "refused":
                return Refused(21211, "no")
            if kind == "later":
                return TryLater(self.chance.random(), "busy")
            if kind != "lost":
                self._ring()
            if kind == "slow":
                await asyncio.sleep(30 * self.chance.random())
                return Placed(HUMAN, "queued")
            await asyncio.sleep(10 * self.chance.random())
            return Uncertain("lost")
        self._ring()
        await asyncio.sleep(self._soon())
        return Placed(HUMAN, "queued")

    async def look_up(self, call_sid: str) -> PlacedCall | None:
        await asyncio.sleep(self._soon())
        over = "completed" if self.caller in ("gone", "goodbye") else "in-progress"
        return None if self._fault() else PlacedCall(call_sid, self.state if call_sid == HUMAN else over)

    async def find(self, to_number: str, from_number: str, since_s: float) -> list[PlacedCall] | None:
        await asyncio.sleep(self._soon())
        if self._fault():
            return None
        return [PlacedCall(HUMAN, self.state)] if self.placed else []

    async def end(self, call_sid: str) -> bool:
        await asyncio.sleep(self._soon())
        if self._fault():
            return False
        self._human_ends("canceled" if not self.answered else "completed")
        return True

    async def change(self, call_sid: str, form: dict[str, str]) -> bool | None:
        await asyncio.sleep(self._soon())
        fault = self.chance.choice(("refused", "lost", "lost, and done")) if self._fault() else ""
        self._note(f"change of {'the caller' if call_sid == CALLER else 'the human'}: {fault or 'well'}")
        if fault == "refused":
            return False
        done = fault != "lost" and self._changed(call_sid, form)
        if fault:
            await asyncio.sleep(10 * self.chance.random())
            return None
        return done

    def _changed(self, call_sid: str, form: dict[str, str]) -> bool:
        if call_sid == HUMAN:
            if not self.answered or self.state in OVER:
                return False
            if self.human_in:
                self.human_in = False
                self._conference("")
            self._human_ends("completed", after=1.0)
            return True
        if self.caller in ("gone", "goodbye"):
            return False
        if "Url" in form:
            self._leave_stream("between")
            self.loop.spawn(self._joins(form["Url"]))
        else:
            self._caller_to("goodbye")
        return True

    # --- the caller ---

    def _caller_hangs_up(self) -> None:
        if self.caller in ("gone", "goodbye"):
            return
        self._note("the caller hangs up")
        self._leave_stream("gone")
        if self.chance.random() < 0.5:
            self.loop.call_later(self._soon(), self.transfers.caller_over, CALLER)

    def _leave_stream(self, to: str) -> None:
        streaming = self.caller == "stream"
        self._caller_to(to)
        if streaming:
            self.loop.call_later(self.chance.choice((0.0, 0.0, 0.02, 1.0)), self.transfer.stream_over)

    def _caller_to(self, to: str) -> None:
        was, self.caller = self.caller, to
        self._conference(was)

    async def _joins(self, url: str) -> None:
        await asyncio.sleep(self._soon())
        if self.caller != "between":
            return
        answer = await self._ask("join", url, CALLER)
        if self.caller != "between":
            return
        self._note(f"the caller is led to {answer}")
        self._caller_to("conference" if answer == "conference" else "goodbye")

    # --- the human ---

    def _ring(self) -> None:
        self.placed, self.state = True, "ringing"
        self._status("ringing")
        self.loop.spawn(self._human())

    async def _human(self) -> None:
        chance = self.chance
        await asyncio.sleep(chance.choice((1.0, 5.0, RING_SECONDS)) * chance.random())
        fate = chance.choices(("answers", "busy", "no-answer", "failed"), (12, 1, 1, 1))[0]
        if self.state != "ringing":
            return
        if fate != "answers":
            self._human_ends(fate)
            return
        self.answered, self.state = True, "in-progress"
        if chance.random() < 0.15:
            self.loop.call_later(40 * chance.random(), self._human_ends, "completed")
        machine = chance.random() < 0.15
        if machine:
            self.loop.call_later(2 + 4 * chance.random(), self._status, "in-progress", "machine_start")
        answer = await self._ask("answer", self._placement.answer_url, HUMAN)
        while answer == "question" and self.state == "in-progress":
            await asyncio.sleep(20 * chance.random())
            if self.state != "in-progress":
                return
            pressed = "" if machine else chance.choice(("1", "1", "1", "1", "2", "7", "", "yes", "no"))
            if not pressed:
                break
            self._note(f"the human says {pressed}")
            given = {"SpeechResult" if pressed.isalpha() else "Digits": pressed}
            answer = await self._ask("key", self._key_url, HUMAN, **given)
        if self.state == "in-progress" and answer == "conference":
            self._note("the human goes to the conference")
            self.human_in = True
            self._conference("")
        else:
            self._human_ends("completed", after=3.0)

    def _human_ends(self, state: str, after: float = 0.0) -> None:
        if after:
            self.loop.call_later(after * self.chance.random(), self._human_ends, state)
        elif self.state not in OVER:
            self._note(f"the human's call is {state}")
            was_in, self.human_in, self.state = self.human_in, False, state
            self._status(state)
            if was_in:
                self._conference("")

    def _status(self, state: str, answered_by: str = "") -> None:
        given = {"AnsweredBy": answered_by} if answered_by else {"CallStatus": state}
        for _ in range(self.chance.choice((0, 1, 1, 1, 2))):
            self.loop.call_later(self._soon(), self._told, given)

    def _told(self, given: dict[str, str]) -> None:
        self.desk.status(self._webhook(self._placement.status_url, HUMAN, given))

    # --- the conference ---

    def _conference(self, caller_was: str) -> None:
        """Who is in it has changed."""
        caller_in = self.caller == "conference"
        assert not (self.human_in and self.caller == "stream"), "the human is there, and the caller with the assistant"
        if caller_in and self.human_in:
            self._note("together")
            self.talked = True
            self.loop.call_later(100 * self.chance.random(), self._conversation_ends)
        elif (caller_was == "conference" or caller_in) and self.talked:
            self.loop.spawn(self._dissolved())
        if caller_in != self.human_in:
            since = self.alone_since = self.loop.time()
            self.loop.call_later(LONGEST_ALONE_SECONDS, self._alone_too_long, since)
        else:
            self.alone_since = None

    def _alone_too_long(self, since: float) -> None:
        if self.alone_since == since:
            self.loop.failures.append({"message": f"somebody is alone in the conference: {self.story}"})

    def _conversation_ends(self) -> None:
        if self.human_in and self.caller == "conference":
            if self.chance.random() < 0.5:
                self._caller_hangs_up()
            else:
                self._human_ends("completed")

    async def _dissolved(self) -> None:
        """One of the two has left: the conference is over for the other."""
        self.alone_since = None
        if self.human_in:
            self.human_in = False
            self._human_ends("completed", after=2.0)
        if self.caller == "conference":
            answer = await self._ask("over", self._over_url, CALLER)
            if self.caller == "conference":
                self._note(f"the caller hears {answer}")
                self.caller = "goodbye"

    # --- webhooks ---

    async def _ask(self, step: str, url: str, call_sid: str, **given: str) -> str:
        """What the TwiML is: question, conference, goodbye."""
        await asyncio.sleep(self._soon() / 3)
        handler = getattr(self.desk, step)
        webhook = self._webhook(url, call_sid, given)
        if self.chance.random() < 0.05:  # Twilio asks twice, where an answer was lost
            self.loop.spawn(self._again(handler, webhook))
        began = self.loop.time()
        answered = handler(webhook)
        response = await answered if asyncio.iscoroutine(answered) else answered
        assert self.loop.time() - began < WEBHOOK_SECONDS, f"{step} was answered too late"
        text = response.body.decode()
        if "<Gather" in text:
            self._key_url = _url_in(text, "action")
            return "question"
        if "<Conference" in text:
            if call_sid == CALLER:
                self._over_url = _url_in(text, "action")
            return "conference"
        assert "<Say" in text or "<Hangup" in text
        return "goodbye"

    async def _again(self, handler: Any, webhook: Webhook) -> None:
        await asyncio.sleep(self._soon() / 3)
        answered = handler(webhook)
        if asyncio.iscoroutine(answered):
            await answered

    def _webhook(self, url: str, call_sid: str, given: dict[str, str]) -> Webhook:
        own = own_parameters(parse_qsl(urlsplit(url).query))
        return Webhook(call_sid, ACCOUNT, given, own)


def _url_in(text: str, attribute: str) -> str:
    return text.partition(f'{attribute}="')[2].partition('"')[0].replace("&amp;", "&")
