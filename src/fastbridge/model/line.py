"""A call's line to the model: dialled, opened, kept, lost, dialled again, renewed; and given up within a bound.

One Attempt per try, so that what an old socket still says is told apart by its owner, never by order. A new session is
told what was said in the old one, then what was under way goes on. While the line is down the caller's audio waits in
its lane, and the assistant's audio that has come plays on. Nothing here decides what the caller hears meanwhile.
"""

import random
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from fastbridge.base.clock import Deadline
from fastbridge.errors import IllegalEvent, ModelError, ModelUnavailable
from fastbridge.model.attempt import Attempt, ModelLink
from fastbridge.model.realtime.errors import FATAL_ERRORS
from fastbridge.model.renewal import Renewal
from fastbridge.observe import events

if TYPE_CHECKING:
    from fastbridge.call.call import Call
    from fastbridge.model.breaker import Breaker
    from fastbridge.model.realtime.handshake import Opening

MAX_TRIES = 4
HEALTHY_SECONDS = 10.0
"""A session that lasted this long was one: tries are counted anew."""
BACKOFF_SECONDS = (0.1, 0.5, 1.0)
BUSY_BACKOFF_SECONDS = (0.5, 1.5)
"""For a service that says it is too busy: fewer tries, further apart."""
BLOCKED_SECONDS = 5.0
"""The socket takes no audio for this long: it is dead, and nobody has said so."""
UNTAKEN_BYTES = 32_768
"""Written and not taken: about 2 s of audio."""
UNTAKEN_SECONDS = 3.0
"""So much, and not getting less for this long: nobody reads."""

UNAVAILABLE, LOST = "model_unavailable", "model_lost"
"""Why a call ends that the model failed: there never was a session, or there is none any more."""

_RETRIED_STATUSES = frozenset({"http_408", "http_409", "http_425", "http_429"})
_BUSY_CODES = frozenset({"http_429", "rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"})
_HOPELESS = (FATAL_ERRORS - {"session_expired"}) | {"format_mismatch"}


class State(StrEnum):
    IDLE = "idle"
    DIALLING = "dialling"
    OPENING = "opening"
    UP = "up"
    PAUSING = "pausing"
    DOWN = "down"
    CLOSED = "closed"


class Event(StrEnum):
    DIAL = "dial"
    CONNECTED = "connected"
    READY = "ready"
    LOST = "lost"
    GIVE_UP = "give_up"
    CLOSE = "close"


_OUT = {Event.GIVE_UP: State.DOWN, Event.CLOSE: State.CLOSED}
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.IDLE: {Event.DIAL: State.DIALLING, Event.CLOSE: State.CLOSED},
    State.DIALLING: {Event.CONNECTED: State.OPENING, Event.LOST: State.PAUSING, **_OUT},
    State.OPENING: {Event.READY: State.UP, Event.LOST: State.PAUSING, **_OUT},
    State.UP: {Event.LOST: State.PAUSING, **_OUT},
    State.PAUSING: {Event.DIAL: State.DIALLING, **_OUT},
    State.DOWN: {Event.CLOSE: State.CLOSED},
    State.CLOSED: {},
}

DEADLINES_SECONDS = {State.DIALLING: 4.0, State.OPENING: 9.0, State.PAUSING: 2.0}
"""Beyond those of the transport (3 s) and of the opening (8 s), which come first, and beyond the longest pause."""


class ModelLine:
    """dial(attempt): start connecting; it ends in `on_model_connected` or `on_model_failed` of the attempt."""

    def __init__(self, call: "Call", dial: Callable[[Attempt], object], breaker: "Breaker") -> None:
        self.state = State.IDLE
        self.link: ModelLink | None = None
        self.tries = 0
        self.counters: Counter[str] = Counter()
        self._call = call
        self._dial_out = dial
        self._breaker = breaker
        self._attempt: Attempt | None = None
        self._busy_tries = 0
        self._down_since_ns = call.started_ns
        self._ring_full = False
        self._untaken_bytes = 0
        self._untaken_ns = 0
        self._renewal = Renewal(call, self)
        self._deadline = Deadline(call.clock, self._expired)
        self._pause = Deadline(call.clock, self._dial)
        self._outage = Deadline(call.clock, self._outage_expired)
        self._healthy = Deadline(call.clock, self._is_healthy)
        self._blocked = Deadline(call.clock, lambda: self.lose("the model's socket takes no audio", "upload_blocked"))

    @property
    def up(self) -> bool:
        return self.state is State.UP

    # --- up ---

    def start(self) -> None:
        self._outage.set(self._call.settings.outage_seconds)
        self._dial()

    def _dial(self) -> None:
        self.tries += 1
        self._to(Event.DIAL)
        self._attempt = Attempt(self, self._call.trace.sink, self._call.assistant.feed_message)
        self.dial(self._attempt)

    def dial(self, attempt: Attempt) -> None:
        self.counters["dials"] += 1
        self._dial_out(attempt)

    def connected(self, attempt: Attempt, link: ModelLink) -> None:
        if attempt is not self._attempt or self.state is not State.DIALLING:
            link.hang_up()
            return
        call = self._call
        self.link = link
        self._to(Event.CONNECTED)
        if call.stats.connect_ms is None:
            call.stats.connect_ms = call.now_ms()
            events.realtime_connected(call.log, call.stats.connect_ms)
        if self._ring_full:
            link.pause_reading()
        call.session.connected(link.send_text)

    def ready(self) -> None:
        """The session is confirmed: it is told what was said, then audio may pass, then goes on what was under way."""
        if self.link is None or self.state is not State.OPENING:
            return
        call = self._call
        self._to(Event.READY)
        self._outage.clear()
        self._healthy.set(HEALTHY_SECONDS)
        self._breaker.reset()
        if call.stats.ready_ms is None:
            call.stats.ready_ms = call.now_ms()
        else:
            self._resumed()
        self._carry_on(self.link)

    def _resumed(self) -> None:
        call = self._call
        replayed = call.session.replay()
        self.counters["reconnects"] += 1
        self.counters["replayed_items"] += replayed
        down_ms = call.clock.elapsed_ms(self._down_since_ns)
        events.realtime_reconnected(call.log, down_ms, tries=self.tries, replayed=replayed)

    def _is_healthy(self) -> None:
        self.tries = self._busy_tries = 0

    # --- lost ---

    def failed(self, attempt: Attempt, error: ModelError) -> None:
        if attempt is self._attempt:
            self._lose(error)

    def lose(self, message: str, code: str | None) -> None:
        """This session is no good any more, whatever its socket says."""
        self._lose(ModelUnavailable(message, code))

    def session_failed(self, error: ModelError) -> None:
        """The model said so itself."""
        self._lose(error)

    def _lose(self, error: ModelError) -> None:
        if self.state not in (State.DIALLING, State.OPENING, State.UP):
            return
        call = self._call
        was_up = self.up
        self.counters["losses" if was_up else "dial_failures"] += 1
        successor = self._renewal.take() if was_up and not is_hopeless(error) else None
        self._drop()
        if was_up:
            self._down_since_ns = call.clock.now_ns()
            self._outage.set(call.settings.outage_seconds)
            call.answers.line_lost()
        call.session.disconnected()
        if successor is not None:
            call.trouble.lost(error, tries=self.tries)
            self._succeed(*successor)
            return
        delay_seconds = self._next_delay(error)
        if delay_seconds is None:
            call.model_error(error)
            self.give_up(error)
            return
        self._to(Event.LOST)
        self._pause.set(delay_seconds)
        call.trouble.lost(error, tries=self.tries)
        call.waiting.review(call.answers.overdue_seconds)

    def _succeed(self, attempt: Attempt, link: ModelLink, opening: "Opening") -> None:
        """The session is lost, and its successor stood ready: no dial, no pause."""
        self._move(attempt, link, opening)
        self._outage.clear()
        self._healthy.set(HEALTHY_SECONDS)
        self._resumed()
        self._carry_on(link)

    def _drop(self) -> None:
        """Without a link: caller frames wait."""
        link, self.link, self._attempt = self.link, None, None
        for deadline in (self._healthy, self._blocked):
            deadline.clear()
        self._renewal.close()
        self._call.caller.shut()
        if link is not None:
            link.hang_up()

    def _next_delay(self, error: ModelError) -> float | None:
        """Seconds until the next try; None: there is none."""
        if is_hopeless(error) or self.tries >= MAX_TRIES:
            return None
        if is_busy(error):
            self._busy_tries += 1
            if self._busy_tries > len(BUSY_BACKOFF_SECONDS):
                return None
            return random.uniform(0.5, 1.0) * BUSY_BACKOFF_SECONDS[self._busy_tries - 1]
        longest = BACKOFF_SECONDS[min(max(self.tries - 1, 0), len(BACKOFF_SECONDS) - 1)]
        return random.uniform(0.5, 1.0) * (BACKOFF_SECONDS[0] if self.up else longest)

    def give_up(self, error: ModelError) -> None:
        """No more tries: the caller is told, and the call ends."""
        if self.state in (State.DOWN, State.CLOSED):
            return
        self._to(Event.GIVE_UP)
        self._call.trouble.given_up(error)
        self._drop()
        self._call.session.disconnected()
        self._pause.clear()
        self._outage.clear()
        if is_hopeless(error) and error.code != "format_mismatch":
            self._breaker.trip()
        self._call.ladder.give_up(UNAVAILABLE if self._call.stats.ready_ms is None else LOST, error)
        self._call.waiting.review()

    def _expired(self) -> None:
        """A state has outlived its deadline: the transport or the opening should have spoken first."""
        self.counters["safety_fuse"] += 1
        if self.state is State.PAUSING:
            self._dial()
        else:
            self.lose("the model did not answer in time", "connect_timeout")

    def _outage_expired(self) -> None:
        error = ModelUnavailable(f"no session for {self._call.settings.outage_seconds:.0f}s", "outage")
        self._call.model_error(error)
        self.give_up(error)

    # --- back-pressure ---

    def paused(self, attempt: Attempt, paused: bool) -> None:
        """The caller's frames wait, the oldest give way."""
        if attempt is not self._attempt:
            return
        if paused:
            self._call.caller.pause()
            self._blocked.set(BLOCKED_SECONDS)
        else:
            self._call.caller.resume()
            self._blocked.clear()

    def check(self) -> None:
        """Once a second: is what we write taken?"""
        now, before = self._call.clock.now_ns(), self._untaken_bytes
        self._untaken_bytes = self.link.untaken_bytes() if self.up and self.link is not None else 0
        if before < UNTAKEN_BYTES or self._untaken_bytes < max(before, UNTAKEN_BYTES):
            self._untaken_ns = now
        elif now - self._untaken_ns > UNTAKEN_SECONDS * 1e9:
            self._untaken_ns = now
            self.lose("the model reads no more", "upload_blocked")

    def ring_full(self, full: bool) -> None:
        """The assistant's ring is full, or half empty again: stop and go for whoever reads from the model."""
        self._ring_full = full
        if self.link is not None and full:
            self.link.pause_reading()
        elif self.link is not None:
            self.link.resume_reading()

    # --- renewal, and the end ---

    def renew(self, attempt: Attempt, link: ModelLink, opening: "Opening") -> None:
        """Move to another connection, whose session is confirmed: nothing is generating, nothing is lost."""
        old = self.link
        self._move(attempt, link, opening)
        self.counters["replayed_items"] += self._call.session.replay()
        self.counters["renewals"] += 1
        self._blocked.clear()
        if old is not None:
            old.hang_up()
        self._carry_on(link)

    def _move(self, attempt: Attempt, link: ModelLink, opening: "Opening") -> None:
        call = self._call
        attempt.owner = self
        self._attempt, self.link = attempt, link
        link.redirect(call.trace.sink, call.assistant.feed_message)
        if self._ring_full:
            link.pause_reading()
        call.session.move(opening, link.send_text)

    def _carry_on(self, link: ModelLink) -> None:
        """Audio may pass, then goes on what was under way."""
        self._call.caller.open(link.write)
        self._renewal.schedule()
        self._call.answers.line_up()

    def close(self) -> None:
        """The call is over."""
        if self.state is not State.CLOSED:
            self._to(Event.CLOSE)
        for deadline in (self._pause, self._outage, self._healthy, self._blocked):
            deadline.clear()
        self._renewal.close()
        link, self.link, self._attempt = self.link, None, None
        if link is not None:
            link.hang_up()

    def _to(self, event: Event) -> None:
        row = TRANSITIONS[self.state]
        if event not in row:
            raise IllegalEvent(f"model line: {event} in state {self.state}")
        self.state = row[event]
        self._deadline.clear()
        if self.state in DEADLINES_SECONDS:
            self._deadline.set(DEADLINES_SECONDS[self.state])


def is_hopeless(error: ModelError) -> bool:
    """No retry can cure it: our key, our account, our settings."""
    code = error.code or ""
    return code in _HOPELESS or (code.startswith("http_4") and code not in _RETRIED_STATUSES)


def is_busy(error: ModelError) -> bool:
    """The service is there, and has no time."""
    return (error.code or "") in _BUSY_CODES or (error.code or "").startswith("http_5")
