"""The one creator of responses: at most one is under way, and every state that is not at rest has a deadline.

The model creates a response after a caller's turn; greeting, tool results and the like are created here, one by one,
each when the last has ended and the floor is ours. Every create carries its event id as metadata, which the model shows
in what it creates: whose a response is, is read there, never guessed from what came last (unless the service shows no
metadata). Whatever arrives late, twice or out of order finds its row in the table or is counted. How a response is
asked for, and taken back, is the dialect's: a subclass says it.
"""

from collections import Counter, deque
from collections.abc import Callable

from fastbridge.base.clock import Clock, Deadline, Standstill
from fastbridge.base.machine import Machine
from fastbridge.model.floor import Floor
from fastbridge.model.port import OWN_TURN, Create, Wish
from fastbridge.model.response_states import (
    ANSWERS,
    DEADLINES_SECONDS,
    ENDED,
    EXPIRIES,
    LAST_WORDS,
    LOOK_SECONDS,
    MOOT,
    REACTIONS,
    TRANSITIONS,
    Event,
    Listener,
    State,
)

RETRY_SECONDS = 0.25
MAX_REFUSALS = 8  # in a row, without any response in sight; then the session is not as it should be
FUSE_SECONDS = 1.0
"""A create that could be sent and waits all the same: our fault, and nobody else's."""
MAX_OVER = 64  # responses that are over and still known as that; the oldest are forgotten
MAX_WAITING = 8  # creates that wait for their turn; one more is dropped and counted as create_overflow
METADATA_KEY = "fastbridge"
"""Under it a response shows whose it is, where the dialect has such a place."""


class ResponseControl(Machine[State, Event]):
    """To be inherited: `_ask` and `_take_back` are the dialect's. progress(): any number that changes while a response
    makes headway."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(self, *, clock: Clock, progress: Callable[[], object], listener: Listener) -> None:
        super().__init__(clock, State.IDLE)
        self.response_id: str | None = None
        self.serving = OWN_TURN
        self.counters: Counter[str] = Counter()
        self.patience_seconds = DEADLINES_SECONDS[State.ACTIVE]
        """In its place for a model that thinks before it speaks."""
        self._listener = listener
        self._standstill = Standstill(clock, progress)
        self._waiting: deque[Create] = deque()
        self._requested: Create | None = None  # until it is known to be under way, or to have come to nothing
        self._unwanted = False  # the one requested was cancelled before it began
        self._request_id = self._refusals = 0
        self._shows_metadata = False
        self.suspended = False
        """There is no session to ask."""
        self._last_word = False  # asked for: what the model begins itself is not wanted any more
        self.refused_by_us = False
        """Of the response that ended last: it was cancelled, and by us."""
        self.floor = Floor(clock, self._pump)
        self._over: deque[str] = deque(maxlen=MAX_OVER)  # responses of which the model has said that they ended
        self._retry = Deadline(clock, self._pump)
        self._fuse = Deadline(clock, self._stranded)

    @property
    def purpose(self) -> str:
        return self.serving.purpose

    @property
    def resting(self) -> bool:
        return self.state not in DEADLINES_SECONDS

    @property
    def generating(self) -> bool:
        """The model has begun a response and not ended it: `response_id`."""
        return self.state in (State.ACTIVE, State.CANCELLING)

    @property
    def running(self) -> bool:
        """It is generating, and nobody has taken it back."""
        return self.state is State.ACTIVE

    @property
    def busy(self) -> bool:
        """A response is under way or waits for its turn."""
        return not self.resting or bool(self._waiting)

    @property
    def wanted(self) -> bool:
        """Busy, and the caller waits for it: not with the question whether he is there."""
        create = self.serving if self.generating else self._requested
        return any(each is not None and each.purpose != "silence" for each in (create, *self._waiting))

    @property
    def says_last_word(self) -> bool:
        """A firm response waits, is requested or under way."""
        serving = self.serving if self.generating else None
        return any(create.firm for create in (*self._waiting, self._requested, serving) if create is not None)

    def awaits(self, *purposes: str) -> bool:
        """Whether a create for one of these waits for its turn."""
        return any(create.purpose in purposes for create in self._waiting)

    # --- what is asked for ---

    def create(self, purpose: str, wish: Wish | None = None, *, firm: bool = False) -> None:
        """Ask for a response, when the one under way has ended and, unless it is firm, the caller does not speak and
        has had his answer. A firm one is the last word: nothing else waits any more."""
        if firm:
            self._waiting.clear()
            self._last_word = True
        self._wait(Create(purpose, wish, firm))
        self._pump()
        self._listener.on_asked()

    def drop(self, *purposes: str) -> None:
        """What waits for one of these is not said any more, unless it is the last word."""
        self._waiting = deque(create for create in self._waiting if create.firm or create.purpose not in purposes)

    def answer_turn(self) -> None:
        """The model does not answer the caller's turn by itself: ask, unless what waits will do it."""
        if not (self._last_word or self.awaits("turn", *REACTIONS, *LAST_WORDS)):
            self._wait(OWN_TURN, first=True)
        self.floor.answered()
        self._pump()
        self._listener.on_asked()

    def speech_started(self) -> None:
        """The caller has the floor."""
        self.floor.speaks()
        self._waiting = deque(create for create in self._waiting if create.purpose not in MOOT)
        if self.state is State.REQUESTED and self._requested is not None and self._requested.purpose in MOOT:
            self._unwanted = True

    def speech_stopped(self) -> None:
        """The caller is owed an answer."""
        self.floor.stops()

    def took_in(self, *, told: bool) -> None:
        """A response has begun that answers all that was said before. told: and all that the model was told."""
        done = ANSWERS | REACTIONS | LAST_WORDS if told else ANSWERS
        self.drop(*done)
        overtaken = self._requested if self._requested is not self.serving else None
        if overtaken is not None and overtaken.purpose in done and not overtaken.firm:
            self._unwanted = True

    def _wait(self, create: Create, *, first: bool = False) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.counters["create_overflow"] += 1
        elif first:
            self._waiting.appendleft(create)
        else:
            self._waiting.append(create)

    def cancel(self) -> bool:
        """Cancel the response under way: once, by its id. One that is only requested is cancelled when it begins, and
        none of it is heard. What was to be said after a lost connection is not said any more."""
        if self.suspended:
            self._waiting = deque(create for create in self._waiting if create.purpose not in ANSWERS)
            return False
        if self.state is State.REQUESTED and not self._unwanted:
            self._unwanted = True
            return True
        if self.state is not State.ACTIVE:
            return False
        self._send_cancel(Event.CANCEL)
        return True

    def give_way(self) -> None:
        """Nobody wants what is under way or waits, nor an answer to what was said."""
        self._waiting.clear()
        self.cancel()
        self.floor.settle()

    def suspend(self) -> Create | None:
        """The connection is gone, and with it what was under way: that, if it had begun and was wanted. One only
        requested waits again, in front; nothing is asked for until `resume`."""
        self.suspended = True
        begun, generating, requested = self.state is State.ACTIVE, self.generating, self._requested
        if requested is not None and not self._unwanted and self.serving is not requested:
            self._waiting.appendleft(requested)
        self._forget_request()
        self._retry.clear()
        self._refusals = 0
        self._shows_metadata = False
        self.refused_by_us = self.state is State.CANCELLING
        if not self.resting:
            self._to(Event.LINK_LOST)
        self.floor.line_lost()
        if generating and self.response_id is not None:
            self._listener.on_response_lost(self.response_id)
        return self.serving if begun else None

    def forget(self) -> None:
        """Another session: its responses may have the ids of the last one's."""
        self._over.clear()

    def resume(self) -> None:
        self.suspended = False
        self._pump()

    def close(self) -> None:
        self._waiting.clear()
        self.floor.close()
        for deadline in (self._state_deadline, self._retry, self._fuse):
            deadline.clear()

    # --- what the model says ---

    def knows(self, response_id: str) -> bool:
        """Whether this response is under way, or over."""
        return (self.generating and response_id == self.response_id) or response_id in self._over

    def created(self, response_id: str, metadata: object = None) -> str | None:
        """The model has begun a response: the purpose it serves (`turn`: the model's own). None for one that was told
        before, and for one that nobody wants any more, which is being cancelled."""
        if self.knows(response_id):
            self.counters["duplicate_created"] += 1
            return None
        unannounced = self.response_id if self.generating else None
        if unannounced is not None:
            self.refused_by_us = self.state is State.CANCELLING
            # The one before ended without a word: the model runs at most one at a time.
            self.counters["unannounced_end"] += 1
            if self._requested is self.serving:
                self._forget_request()
            self._to(Event.WAS_FAILED)
        create, wanted = self._served_by(metadata)
        self._refusals = 0
        self.serving = create
        self._to(Event.CREATED)
        self.response_id = response_id
        if unannounced is not None:
            self._listener.on_response_lost(unannounced)
        if wanted:
            if create.purpose == "turn":
                self.floor.answered()
            return self.purpose
        self._forget_request()
        self.counters["late_created"] += 1
        self._send_cancel(Event.CANCEL)
        return None

    def _served_by(self, metadata: object) -> tuple[Create, bool]:
        """Whose the response just begun is, and whether it is still wanted."""
        event_id = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
        requested = self._requested
        if event_id is not None:
            self._shows_metadata = True
            if requested is None or event_id != self._event_id():
                return OWN_TURN, False
        elif self._shows_metadata or self.state is not State.REQUESTED or requested is None:
            return OWN_TURN, not self._last_word
        return requested, not self._unwanted

    def finished(self, response_id: str, status: str) -> bool:
        """`response.done`. False for one that is not under way (late, duplicate or unknown)."""
        self._over.append(response_id)
        if response_id != self.response_id or not self.generating:
            self.counters["stray_done"] += 1
            return False
        if self._requested is not None and self._requested is not self.serving and not self._unwanted:
            self._waiting.appendleft(self._requested)  # neither begun nor refused: it was overtaken
        self._forget_request()
        self.refused_by_us = self.state is State.CANCELLING
        self._to(ENDED.get(status, Event.WAS_FAILED))
        self._pump()
        return True

    def refused(self, event_id: str | None) -> None:
        """A create met a response already active. Ours waits for that one to end; so does the model's own, which it
        gives up: a caller's turn that was committed while the assistant still spoke gets its answer from us."""
        self.counters["create_refused"] += 1
        ours = self._requested is not None and event_id == self._event_id()
        if self.state is State.REQUESTED and (ours or event_id is None):
            self._to(Event.REFUSED)
            ours = True
        if ours and self._requested is not None:
            self._ask_again(self._requested)
        elif event_id is None:
            self.answer_turn()

    def _ask_again(self, create: Create) -> None:
        wanted = not self._unwanted
        self._forget_request()
        if self.generating:
            # Another's `created` had come before this refusal: that one was the model's own.
            self.serving = OWN_TURN
            if wanted and create.purpose not in ANSWERS:
                self._waiting.appendleft(create)
            return
        self._refusals += 1
        if not wanted:
            self._pump()
        elif self._refusals > MAX_REFUSALS:
            self._refusals = 0
            self.counters["creates_given_up"] += 1
            self._listener.on_create_failed(create, "create_refused")
        else:
            self._waiting.appendleft(create)
            self._retry.set(RETRY_SECONDS)

    def rejected(self, event_id: str | None, code: str) -> bool:
        """The model answered a client event with an error that is no refusal: True if that event was our create."""
        create = self._requested
        if create is None or self.state is not State.REQUESTED or event_id != self._event_id():
            return False
        wanted = not self._unwanted
        self._forget_request()
        self._to(Event.REJECTED)
        self.counters["create_rejected"] += 1
        if wanted:
            self._listener.on_create_failed(create, code)
        self._pump()
        return True

    def _ask(self, create: Create) -> None:
        """Ask the model for this response, in the dialect's words."""
        raise NotImplementedError

    def _take_back(self) -> None:
        """Nobody wants the response under way any more: tell the model, in the dialect's words."""
        raise NotImplementedError

    # --- inside ---

    def _event_id(self) -> str:
        return f"create_{self._request_id}"

    def _forget_request(self) -> None:
        self._requested = None
        self._unwanted = False

    def _send_cancel(self, event: Event) -> None:
        self._to(event)
        self._take_back()
        self._listener.on_response_refused(self.response_id or "")

    def _next(self) -> Create | None:
        """What may be asked for now."""
        if not self.resting or self.suspended:
            return None
        return next((create for create in self._waiting if create.firm or self.floor.is_ours), None)

    def _pump(self) -> None:
        create = self._next()
        if create is None:
            return
        self._waiting.remove(create)
        self._requested = create
        self._request_id += 1
        self._to(Event.CREATE)
        self._ask(create)
        self.counters["creates"] += 1

    def _to(self, event: Event) -> None:
        super()._to(event)
        self._retry.clear()
        self._fuse.clear()
        if self._next() is not None:
            self._fuse.set(FUSE_SECONDS)
        if not self.resting:
            self._standstill.begin()
        if self.state is State.ACTIVE:
            self._state_deadline.set(LOOK_SECONDS)

    def _stranded(self) -> None:
        """At rest for a while: nothing that waits can be waiting for anything."""
        if self._next() is not None:
            self.counters["safety_fuse"] += 1
            self._pump()

    def _expired(self) -> None:
        if self.state is State.ACTIVE and self._standstill.look() < self.patience_seconds - LOOK_SECONDS / 2:
            self._state_deadline.set(LOOK_SECONDS)
            return
        self.counters[EXPIRIES[self.state]] += 1
        expired, create, wanted = self.state, self._requested, not self._unwanted
        if expired is State.ACTIVE:
            self._send_cancel(Event.EXPIRED)
            self._listener.on_response_stuck(self.response_id or "", self.serving)
            return
        self.refused_by_us = expired is State.CANCELLING
        self._forget_request()
        self._to(Event.EXPIRED)
        if expired is State.CANCELLING and self.response_id is not None:
            self._listener.on_response_lost(self.response_id)
        elif create is not None and wanted:
            self._listener.on_create_failed(create, "unanswered")
        self._pump()
