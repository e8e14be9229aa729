"""The human's side of warm transfers, by Twilio's REST API: called, asked, connected, let go. Nothing raises.

Each leg has a key that nobody can guess, which every URL of its webhooks carries beside the caller's call: by that they
find the process that has the call, and by the key the leg, whatever answer of the API was lost. At most MAX_LEGS at
once, those included that are over for less than KEEP_SECONDS: later nothing is known of them any more.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

from fastbridge.base.transfer_words import spoken_in, words_in
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.port import CarrierCalls, LegListener, LegTerms, Placed, Placement, TryLater, Uncertain
from fastbridge.carrier.twilio.announcements import Announcer, speaker
from fastbridge.carrier.twilio.calls_out import TwilioCalls, twilio_calls
from fastbridge.carrier.twilio.rest import credentials
from fastbridge.carrier.twilio.twiml import (
    Spoken,
    conference_twiml,
    dial_twiml,
    farewell_twiml,
    question_twiml,
)
from fastbridge.config import Settings

MAX_LEGS = 1000
KEEP_SECONDS = 120.0
RETRY_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Before each try to let somebody go, or to tell a caller that he was led to nobody."""
SKEW_SECONDS = 60.0
"""What the carrier's clock may differ from ours by."""
PARAMETERS = ("call", "transfer")
"""Of each webhook's URL: the caller's call, and the key."""


class Phrases:
    """The TwiML of warm transfers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._announcer = Announcer(settings)

    def question(self, terms: LegTerms, action_url: str) -> str:
        words = words_in(terms.language)
        address = terms.brief if terms.brief.startswith("https://") else ""
        brief = Spoken(terms.brief, *speaker(self._settings, {}, terms.language), url=address)
        said = [self._say(terms, words.introduction), *([brief] if terms.brief else []), self._say(terms, words.choice)]
        again, last = self._say(terms, words.choice), self._say(terms, words.thanks)
        return question_twiml(action_url, said, again, last, hear=words.hear)

    def farewell(self, terms: LegTerms | None, which: str) -> str:
        """which: thanks, gone or failed."""
        language = terms.language if terms is not None else self._settings.language
        text = getattr(words_in(language), which)
        return farewell_twiml(Spoken(text, *speaker(self._settings, {}, spoken_in(language))))

    def together(self, terms: LegTerms, name: str) -> str:
        """For the human."""
        return conference_twiml(name, last=self._say(terms, words_in(terms.language).over))

    def excuse(self, terms: LegTerms | None) -> str:
        """For the caller who was led to nobody: somebody else, if there is somebody, or at least an apology."""
        number = self._settings.fallback_number
        if number is not None:
            return dial_twiml(number)
        return self._announcer.twiml("apology", language=terms.language if terms is not None else "")

    def _say(self, terms: LegTerms, text: str) -> Spoken:
        return Spoken(text, *speaker(self._settings, {}, spoken_in(terms.language)))


class TwilioLeg:
    """A CarrierLeg. calls(): the API's client. url(step): of a webhook."""

    def __init__(
        self,
        terms: LegTerms,
        listener: LegListener,
        *,
        key: str,
        url: Callable[[str], str],
        calls: Callable[[], CarrierCalls],
        change: Callable[[str, dict[str, str]], Awaitable[bool | None]],
        phrases: Phrases,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        closed: Callable[[], object],
    ) -> None:
        self.terms = terms
        self.listener = listener
        self.key = key
        self.url = url
        self.call_sid = ""
        self.answered = False
        self.hands = 0
        """Webhooks of the human's that are being answered: what he is to hear, he hears by that."""
        self._calls = calls
        self._change = change
        self._phrases = phrases
        self._spawn = spawn
        self._closed = closed
        self._unwanted = self._over = False
        self._since_s = time.time() - SKEW_SECONDS

    @property
    def conference(self) -> str:
        return f"transfer-{self.key}"

    def learn(self, call_sid: str) -> None:
        """A word of the carrier's names the call."""
        if not self.call_sid:
            self.call_sid = call_sid
            self._let_go()

    def is_over(self) -> None:
        self._over = True

    async def place(self) -> bool | None:
        terms = self.terms
        placement = Placement(
            to_number=terms.to_number,
            from_number=terms.from_number,
            answer_url=self.url("answer"),
            status_url=self.url("status"),
            ring_seconds=terms.ring_seconds,
            machine=True,
        )
        placed = await self._calls().place(placement)
        if isinstance(placed, TryLater) and not self._unwanted:
            await asyncio.sleep(placed.seconds)
            if not self._unwanted:  # by now
                placed = await self._calls().place(placement)
        if isinstance(placed, Placed):
            self.learn(placed.call_sid)
            return True
        return None if isinstance(placed, Uncertain) else False

    async def is_there(self) -> bool | None:
        found = await self._calls().find(self.terms.to_number, self.terms.from_number, self._since_s)
        return None if found is None else bool(found)

    async def look(self) -> str | None:
        return await self._state_of(self.call_sid)

    async def look_at_caller(self) -> str | None:
        return await self._state_of(self.terms.call_sid)

    async def _state_of(self, call_sid: str) -> str | None:
        seen = await self._calls().look_up(call_sid) if call_sid else None
        return seen.state if seen is not None else None

    async def move(self) -> bool | None:
        return await self._change(self.terms.call_sid, {"Url": self.url("join"), "Method": "POST"})

    def release(self) -> None:
        self._unwanted = True
        self._let_go()

    def excuse(self) -> None:
        self._spawn(self._excuse())

    def close(self) -> None:
        self._closed()

    def _let_go(self) -> None:
        if self._unwanted and self.call_sid and not (self.hands or self._over):
            self._spawn(self._released())

    async def _released(self) -> None:
        """Who has answered is told so first, if that can be done."""
        for seconds in RETRY_SECONDS:
            await asyncio.sleep(seconds)
            if self._over:
                return
            told = self.answered and await self._change(
                self.call_sid, {"Twiml": self._phrases.farewell(self.terms, "gone")}
            )
            if told or (told is False and await self._calls().end(self.call_sid)):
                return

    async def _excuse(self) -> None:
        for seconds in RETRY_SECONDS:
            await asyncio.sleep(seconds)
            if await self._change(self.terms.call_sid, {"Twiml": self._phrases.excuse(self.terms)}):
                return
            if await self.look_at_caller() in TERMINAL_STATUSES:
                return


class TwilioTransfers:
    """CarrierLegs of one process. calls: for tests, a client in place of its own, which is made when it is needed."""

    def __init__(
        self,
        settings: Settings,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        calls: TwilioCalls | None = None,
    ) -> None:
        self.phrases = Phrases(settings)
        self.peak_legs = self.refused = 0
        self._settings = settings
        self._spawn = spawn
        self._client = calls
        self._legs: dict[str, TwilioLeg] = {}
        self._timers: set[asyncio.TimerHandle] = set()

    def open(self, terms: LegTerms, listener: LegListener) -> TwilioLeg | None:
        if len(self._legs) >= MAX_LEGS:
            self.refused += 1
            return None
        key = secrets.token_urlsafe(16)
        given = dict(zip(PARAMETERS, (terms.call_sid, key), strict=True))
        base = f"{self._settings.public_url}/webhook/transfer_"
        leg = self._legs[key] = TwilioLeg(
            terms,
            listener,
            key=key,
            url=lambda step: f"{base}{step}?{urlencode(given)}",
            calls=self._calls,
            change=lambda call_sid, form: self._calls().change(call_sid, form),
            phrases=self.phrases,
            spawn=self._spawn,
            closed=lambda: self._forget_later(key),
        )
        self.peak_legs = max(self.peak_legs, len(self._legs))
        return leg

    def leg(self, key: str) -> TwilioLeg | None:
        return self._legs.get(key)

    def caller_over(self, call_sid: str) -> None:
        """The carrier says that a call is over, which may be one whose stream we had."""
        for leg in list(self._legs.values()):
            if leg.terms.call_sid == call_sid:
                leg.listener.caller_over()

    async def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._client is not None:
            await self._client.close()

    def _calls(self) -> TwilioCalls:
        if self._client is None:
            self._client = twilio_calls(self._settings)
        assert self._client is not None  # `transfers` makes none without credentials
        return self._client

    def _forget_later(self, key: str) -> None:
        def forget() -> None:
            self._timers.discard(timer)
            self._legs.pop(key, None)

        timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, forget)
        self._timers.add(timer)


def transfers(settings: Settings, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> TwilioTransfers | None:
    """None without credentials, or where the account is not named."""
    if settings.twilio_account_sid is None or credentials(settings) is None:
        return None
    return TwilioTransfers(settings, spawn)
