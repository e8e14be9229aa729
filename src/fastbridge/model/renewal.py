"""A session's planned successor: made before the old one breaks, and put in its place where nobody can hear it.

The model ends every session after an hour. Some time before, a second connection is dialled and opened beside the
first; at the next turn boundary (nothing generated, played, run or spoken) the call moves over. A failure here costs
nothing: it is tried again, and if it never succeeds the loss is handled as any other. In the same way a call goes over
to another model, at once.
"""

import time
from enum import StrEnum
from typing import Protocol

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.json_text import Malformed, encode_event, parse_event, text_of
from fastbridge.base.machine import Machine
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.attempt import Attempt, ModelLink
from fastbridge.model.port import Opening, Session


class Renewed(Protocol):
    """The line, as its renewal sees it."""

    def dial(self, attempt: Attempt) -> None: ...
    def renewal_failed(self, error: ModelError) -> None: ...
    def renew(self, attempt: Attempt, link: ModelLink, opening: Opening) -> None: ...


class Boundary(Protocol):
    """What it asks of its call: see `call.facts`."""

    @property
    def between_responses(self) -> bool: ...
    @property
    def between_turns(self) -> bool: ...


BEFORE_EXPIRY_SECONDS = 300.0
MAX_SESSION_SECONDS = 86_400.0
"""An expiry further away, or past, is a clock that is wrong: ours or theirs."""
RETRY_SECONDS = 30.0
BOUNDARY_SECONDS = 0.1
"""How often a boundary is looked for, once there is somewhere to go."""
PATIENCE_SECONDS = 240.0
"""After this long without a boundary, a moment in which nothing is generated will do."""
OPEN_SECONDS = 12.0


class State(StrEnum):
    OFF = "off"
    SCHEDULED = "scheduled"
    OPENING = "opening"
    READY = "ready"


class Event(StrEnum):
    SCHEDULE = "schedule"
    DIAL = "dial"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    STOP = "stop"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.OFF: {Event.SCHEDULE: State.SCHEDULED, Event.STOP: State.OFF},
    State.SCHEDULED: {Event.SCHEDULE: State.SCHEDULED, Event.DIAL: State.OPENING, Event.STOP: State.OFF},
    State.OPENING: {Event.CONFIRMED: State.READY, Event.FAILED: State.SCHEDULED, Event.STOP: State.OFF},
    State.READY: {Event.FAILED: State.SCHEDULED, Event.STOP: State.OFF},
}


class Renewal(Machine[State, Event]):
    """One call's; `line` is what it renews."""

    transitions = TRANSITIONS

    def __init__(self, line: Renewed, *, clock: Clock, settings: Settings, session: Session, facts: Boundary) -> None:
        super().__init__(clock, State.OFF)
        self._line = line
        self._clock = clock
        self._settings = settings
        self._session = session
        self._facts = facts
        self._attempt: Attempt | None = None
        self._link: ModelLink | None = None
        self._opening: Opening | None = None
        self._model = ""
        """Whose the next session is; empty: that of the model the call began with."""
        self._changing = False
        self._ready_ns = 0
        self._deadline = Deadline(clock, self._due)

    def schedule(self) -> None:
        """A session has begun: the time for its successor is known."""
        seconds = self._settings.session_renew_seconds
        expires_at_s = self._session.expires_at_s
        if expires_at_s is not None:
            left = expires_at_s - time.time()
            if BEFORE_EXPIRY_SECONDS < left <= MAX_SESSION_SECONDS:
                seconds = min(seconds, left - BEFORE_EXPIRY_SECONDS)
        self._to(Event.SCHEDULE)
        self._deadline.set(0.0 if self._changing else seconds)

    def change_model(self, model: str) -> None:
        """The next session is to be this model's, and soon."""
        self._model, self._changing = model, True
        if self.state in (State.OPENING, State.READY):
            self._to(Event.FAILED)
            self._forget(hang_up=True)
        if self.state is State.SCHEDULED:
            self._deadline.set(0.0)

    def close(self) -> None:
        self._to(Event.STOP)
        self._forget(hang_up=True)

    def take(self) -> tuple[Attempt, ModelLink, Opening] | None:
        """The successor, for a line that has just lost its session; None where none stands ready."""
        attempt, link, opening = self._attempt, self._link, self._opening
        if self.state is not State.READY or attempt is None or link is None or opening is None:
            return None
        self._to(Event.STOP)
        self._forget(hang_up=False)
        self._changing = False
        return attempt, link, opening

    # --- the second connection ---

    def _due(self) -> None:
        if self.state is State.READY:
            self._look()
        elif self.state is State.OPENING:
            self._fail(ModelError("no session in time", "session_update_timeout"))
        else:
            self._to(Event.DIAL)
            self._deadline.set(OPEN_SECONDS)
            self._opening = self._session.new_opening(self._confirmed, self._fail, self._model)
            self._attempt = Attempt(self, self._feed, self._feed, self._continued(), model=self._model)
            self._line.dial(self._attempt)

    def _continued(self) -> str:
        """This very session, where the service has stored it, and the model stays."""
        return self._session.stored_id if self._settings.live_store and not self._changing else ""

    def connected(self, attempt: Attempt, link: ModelLink) -> None:
        if attempt is not self._attempt or self._opening is None:
            link.hang_up()
            return
        self._link = link
        self._opening.connected(lambda event: link.send_text(encode_event(event)))

    def failed(self, attempt: Attempt, error: ModelError) -> None:
        if attempt is not self._attempt:
            return
        if self.state is State.OPENING and self._opening is not None:
            self._opening.fail(error)  # what cannot be continued is begun anew the next time
        else:
            self._fail(error)

    def paused(self, attempt: Attempt, paused: bool) -> None:
        """Nothing flows yet."""

    def _feed(self, message: bytes) -> None:
        """A message of the second session. Of those before the move only the opening's count."""
        event = parse_event(message) or {}
        opening = self._opening
        if opening is None:
            return
        try:
            opening.feed(event)
        except Malformed as error:
            self._session.malformed(text_of(event.get("type")), str(error))

    def _confirmed(self) -> None:
        self._to(Event.CONFIRMED)
        self._ready_ns = self._clock.now_ns()
        self._look()

    def _fail(self, error: ModelError) -> None:
        self._line.renewal_failed(error)
        self._to(Event.FAILED)
        self._forget(hang_up=True)
        self._deadline.set(RETRY_SECONDS)

    def _forget(self, *, hang_up: bool) -> None:
        self._deadline.clear()
        link, opening = self._link, self._opening
        self._attempt = self._link = self._opening = None
        if hang_up and opening is not None:
            opening.close()
        if hang_up and link is not None:
            link.hang_up()

    # --- the move ---

    def _look(self) -> None:
        """Move at a boundary, else look again in a moment."""
        attempt, link, opening = self._attempt, self._link, self._opening
        facts = self._facts
        impatient = self._clock.now_ns() - self._ready_ns > PATIENCE_SECONDS * 1e9
        boundary = facts.between_responses if impatient else facts.between_turns
        if attempt is None or link is None or opening is None or not boundary:
            self._deadline.set(BOUNDARY_SECONDS)
            return
        self._to(Event.STOP)
        self._forget(hang_up=False)
        self._changing = False
        self._line.renew(attempt, link, opening)
