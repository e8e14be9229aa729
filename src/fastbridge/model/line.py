"""A call's line to the model: dialled, opened, kept, lost, dialled again, renewed; and given up within a bound.

One Attempt per try, so that what an old socket still says is told apart by its owner, never by order. A new session is
told what was said in the old one, then what was under way goes on. While the line is down the caller's audio waits in
its lane, and the assistant's audio that has come plays on. Nothing here decides what the caller hears meanwhile.
"""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge._websocket import TextSink
from fastbridge.base.clock import CallClock, Deadline
from fastbridge.base.machine import Machine
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.attempt import Attempt, Feed, ModelLink
from fastbridge.model.backoff import next_delay_seconds
from fastbridge.model.breaker import Breaker
from fastbridge.model.errors import is_busy, is_hopeless
from fastbridge.model.farewell import part
from fastbridge.model.port import LineChanged, LineLost, LineUp, ModelChanged, ModelGivenUp, Opening, Session, Tell
from fastbridge.model.renewal import Boundary, Renewal
from fastbridge.model.untaken import Untaken
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble


class LineFacts(Boundary, Protocol):
    """What the line asks of its call: see `call.facts`."""

    @property
    def overdue_seconds(self) -> float: ...


HEALTHY_SECONDS = 10.0
"""A session that lasted this long was one: tries are counted anew."""
BLOCKED_SECONDS = 5.0
"""The socket takes no audio for this long: it is dead, and nobody has said so."""

UNAVAILABLE, LOST = "model_unavailable", "model_lost"
"""Why a call ends that the model failed: there never was a session, or there is none any more."""


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


class ModelLine(Machine[State, Event]):
    """dial(attempt): start connecting; it ends in `on_model_connected` or `on_model_failed` of the attempt. sink: where
    a socket's messages go. breaker: shared by all calls."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self,
        *,
        clock: CallClock,
        settings: Settings,
        session: Session,
        caller: CallerLane,
        assistant: AssistantLane,
        sink: TextSink | Feed,
        stats: CallStats,
        log: CallLog,
        trouble: Trouble,
        facts: LineFacts,
        tell: Tell,
        dial: Callable[[Attempt], object],
        breaker: Breaker,
    ) -> None:
        super().__init__(clock, State.IDLE)
        self.link: ModelLink | None = None
        self.tries = 0
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._settings = settings
        self._session = session
        self._caller = caller
        self._assistant = assistant
        self._sink = sink
        self._stats = stats
        self._log = log
        self._trouble = trouble
        self._facts = facts
        self._tell = tell
        self._dial_out = dial
        self._breaker = breaker
        self._attempt: Attempt | None = None
        self._model = ""  # that of the session in use, where it is not the one the call began with
        self._busy_tries = 0
        self._down_since_ns = clock.began_ns
        self._ring_full = False
        self._untaken = Untaken(clock)
        self._connected_ns: int | None = None  # a session is in use since then
        self._connected_before_ns = 0
        self._renewal = Renewal(self, clock=clock, settings=settings, session=session, facts=facts)
        self._pause = Deadline(clock, self._dial)
        self._outage = Deadline(clock, self._outage_expired)
        self._healthy = Deadline(clock, self._is_healthy)
        self._blocked = Deadline(clock, self._blocked_too_long)

    @property
    def up(self) -> bool:
        return self.state is State.UP

    @property
    def returning(self) -> bool:
        """There was a session, and another is being tried for."""
        return self.state in DEADLINES_SECONDS and self._stats.ready_ms is not None

    @property
    def connected_seconds(self) -> float:
        """For how long the call has had a session, by our clock."""
        now_ns = self._clock.now_ns()
        return (self._connected_before_ns + now_ns - (self._connected_ns or now_ns)) / 1e9

    # --- up ---

    def start(self) -> None:
        self._outage.set(self._settings.outage_seconds)
        self._dial()

    def _dial(self) -> None:
        self.tries += 1
        self._to(Event.DIAL)
        self._attempt = Attempt(self, self._sink, self._assistant.feed_message, model=self._model)
        self.dial(self._attempt)

    def dial(self, attempt: Attempt) -> None:
        self.counters["dials"] += 1
        self._dial_out(attempt)

    def connected(self, attempt: Attempt, link: ModelLink) -> None:
        if attempt is not self._attempt or self.state is not State.DIALLING:
            link.hang_up()
            return
        self.link = link
        self._to(Event.CONNECTED)
        if self._stats.connect_ms is None:
            self._stats.connect_ms = self._clock.now_ms()
            events.realtime_connected(self._log, self._stats.connect_ms)
        if self._ring_full:
            link.pause_reading()
        self._session.connected(link.send_text)

    def ready(self) -> None:
        """The session is confirmed: it is told what was said, then audio may pass, then goes on what was under way."""
        if self.link is None or self.state is not State.OPENING:
            return
        self._to(Event.READY)
        self._outage.clear()
        self._healthy.set(HEALTHY_SECONDS)
        self._breaker.reset()
        if self._stats.ready_ms is None:
            self._stats.ready_ms = self._clock.now_ms()
        else:
            self._resumed()
        self._carry_on(self.link)

    def _resumed(self) -> None:
        replayed = self._session.replay()
        self.counters["reconnects"] += 1
        self.counters["replayed_items"] += replayed
        down_ms = self._clock.elapsed_ms(self._down_since_ns)
        events.realtime_reconnected(self._log, down_ms, tries=self.tries, replayed=replayed)

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
        if self._attempt is None:  # not begun, lost before, or given up
            return
        self.counters["losses" if self.up else "dial_failures"] += 1
        self._leave_session()
        if self.state is State.DOWN:
            return  # one of those who were told has given it up
        successor = None if is_hopeless(error) else self._renewal.take()
        self._renewal.close()
        if successor is not None:
            self._trouble.lost(error, tries=self.tries)
            self._move(*successor)
            self._resumed()
            self._carry_on(successor[1])
            return
        delay_seconds = self._next_delay(error)
        if delay_seconds is None:
            self._trouble.failed(error)
            self.give_up(error)
            return
        self._to(Event.LOST)
        self._pause.set(delay_seconds)
        self._trouble.lost(error, tries=self.tries)
        self._tell(LineChanged(self._facts.overdue_seconds))

    def _leave_session(self) -> None:
        """What was under way in it is settled."""
        was_up = self.up
        self._drop()
        if was_up:
            self._down_since_ns = self._clock.now_ns()
            self._outage.set(self._settings.outage_seconds)
            self._tell(LineLost())
        self._session.disconnected()

    def _drop(self) -> None:
        """Without a link: caller frames wait."""
        self._count_connected()
        link, self.link, self._attempt = self.link, None, None
        self._healthy.clear()
        self._blocked.clear()
        self._caller.shut()
        if link is not None:
            link.hang_up()

    def _next_delay(self, error: ModelError) -> float | None:
        """Seconds until the next try; None: there is none."""
        if is_hopeless(error):
            return None
        busy = is_busy(error)
        self._busy_tries += busy
        return next_delay_seconds(self.tries, self._busy_tries if busy else 0, lost=self.up)

    def give_up(self, error: ModelError) -> None:
        """No more tries: the caller is told, and the call ends."""
        if self.state in (State.DOWN, State.CLOSED):
            return
        self._to(Event.GIVE_UP)
        self._trouble.given_up(error)
        self._renewal.close()
        self._drop()
        self._session.disconnected()
        self._pause.clear()
        self._outage.clear()
        if is_hopeless(error) and error.code != "format_mismatch":
            self._breaker.trip()
        self._tell(ModelGivenUp(UNAVAILABLE if self._stats.ready_ms is None else LOST, error))

    def _expired(self) -> None:
        """A state has outlived its deadline: the transport or the opening should have spoken first."""
        self.counters["safety_fuse"] += 1
        if self.state is State.PAUSING:
            self._dial()
        else:
            self.lose("the model did not answer in time", "connect_timeout")

    def _outage_expired(self) -> None:
        error = ModelUnavailable(f"no session for {self._settings.outage_seconds:.0f}s", "outage")
        self._trouble.failed(error)
        self.give_up(error)

    # --- back-pressure ---

    def paused(self, attempt: Attempt, paused: bool) -> None:
        """The caller's frames wait, the oldest give way."""
        if attempt is not self._attempt:
            return
        if paused:
            self._caller.pause()
            self._blocked.set(BLOCKED_SECONDS)
        else:
            self._caller.resume()
            self._blocked.clear()

    def check(self) -> None:
        """Once a second: is what we write taken?"""
        if self._untaken.too_long(self.link.untaken_bytes() if self.up and self.link is not None else 0):
            self.lose("the model reads no more", "upload_blocked")

    def ring_full(self, full: bool) -> None:
        """The assistant's ring is full, or half empty again: stop and go for whoever reads from the model."""
        self._ring_full = full
        if self.link is not None:
            (self.link.pause_reading if full else self.link.resume_reading)()

    def _blocked_too_long(self) -> None:
        self.lose("the model's socket takes no audio", "upload_blocked")

    # --- renewal, and the end ---

    def renew(self, attempt: Attempt, link: ModelLink, opening: Opening) -> None:
        """Move to another connection, whose session is confirmed: nothing is generating, nothing is lost."""
        old = self.link
        self._move(attempt, link, opening)
        self._renewed(link, old)

    def _renewed(self, link: ModelLink, old: ModelLink | None = None) -> None:
        self.counters["replayed_items"] += self._session.replay()
        self.counters["renewals"] += 1
        if old is not None:
            part(old, self._clock, self._session.parting())
        self._carry_on(link)
        events.realtime_renewed(self._log, self.counters["renewals"])

    def change_model(self, model: str) -> None:
        """Move to this model, at the next moment in which nobody hears it."""
        self._renewal.change_model(model)

    def change_model_now(self) -> None:
        """To its session, if that stands ready, whoever speaks: what was under way goes on there as after a loss."""
        successor = self._renewal.take() if self.up else None
        if successor is None:
            return
        self._leave_session()
        if self.state is not State.UP:  # one of those who were told has given it up
            successor[1].hang_up()
            return
        self._move(*successor)
        self._renewed(successor[1])

    def renewal_failed(self, error: ModelError) -> None:
        self.counters["renewal_failures"] += 1
        self._trouble.renewal_failed(error, self.counters["renewal_failures"])

    def _move(self, attempt: Attempt, link: ModelLink, opening: Opening) -> None:
        attempt.owner = self
        self._attempt, self.link = attempt, link
        if attempt.model != self._model:
            self._model = attempt.model
            self._tell(ModelChanged(attempt.model))
            self._session.use_model(attempt.model)
        link.redirect(self._sink, self._assistant.feed_message)
        if self._ring_full:
            link.pause_reading()
        self._session.move(opening, link.send_text)
        self._outage.clear()
        self._blocked.clear()
        self._healthy.set(HEALTHY_SECONDS)

    def _carry_on(self, link: ModelLink) -> None:
        """Audio may pass, then goes on what was under way."""
        self._connected_ns = self._connected_ns or self._clock.now_ns()
        self._caller.open(link.write)
        self._renewal.schedule()
        self._tell(LineUp())

    def _count_connected(self) -> None:
        self._connected_before_ns, self._connected_ns = int(self.connected_seconds * 1e9), None

    def close(self) -> None:
        """The call is over."""
        self._count_connected()
        if self.state is not State.CLOSED:
            self._to(Event.CLOSE)
        for deadline in (self._pause, self._outage, self._healthy, self._blocked):
            deadline.clear()
        self._renewal.close()
        link, self.link, self._attempt = self.link, None, None
        if link is not None:
            part(link, self._clock, self._session.parting())
