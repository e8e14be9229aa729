"""The line to the model alone: its sockets, its session and its lanes are written down, and dialling is the test's."""

from types import SimpleNamespace
from typing import Any

import pytest

from alone import Alone
from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.attempt import Attempt
from fastbridge.model.line import ModelLine, State
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble

MOMENT = 0.002
OUTAGE_SECONDS, RENEW_SECONDS = 25, 1000
GONE, HOPELESS = ModelUnavailable("gone", "closed_1006"), ModelUnavailable("no", "http_401")


class Link:
    """A socket to the model, by its number: writes down what is done with it."""

    def __init__(self, number: int, journal: list[Any]) -> None:
        self.number = number
        self.untaken = 0
        self.reading = True
        self.hang_ups = 0
        self._journal = journal

    def write(self, frame: bytes) -> None: ...

    def send_text(self, message: bytes) -> None: ...

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def untaken_bytes(self) -> int:
        return self.untaken

    def redirect(self, sink: Any, feed_message: Any) -> None:
        self._journal.append((f"redirect {self.number}", sink, feed_message))

    def hang_up(self) -> None:
        self.hang_ups += 1
        self._journal.append(f"hang_up {self.number}")


class LineScene(Alone):
    """journal: what the line does with the session, the caller's lane and its sockets, in order."""

    overdue_seconds = 0.0
    between_responses = between_turns = False

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads: Any = None  # who reads what a session that we have closed still says
        super().__init__()
        monkeypatch.setattr("fastbridge.model.backoff.random.uniform", lambda low, high: high)
        self.journal: list[Any] = []
        self.dialled: list[Attempt] = []
        self.links: list[Link] = []
        self.confirmed: Any = None
        self.refused: Any = None
        self.trips = self.resets = 0
        self.stats = CallStats()
        note = self.journal.append
        self.opening = SimpleNamespace(
            connected=lambda send: None, close=lambda: note("opening closed"), fail=lambda error: self.refused(error)
        )
        self.session: Any = SimpleNamespace(
            expires_at_s=None,
            connected=lambda send: note(("connected", send)),
            disconnected=lambda: note("disconnected"),
            replay=lambda: self._note("replay", 3),
            parting=lambda: self.reads,
            move=lambda opening, send: note(("move", opening, send)),
            new_opening=self._new_opening,
        )
        caller: Any = SimpleNamespace(
            open=lambda write: note(("open", write)),
            shut=lambda: note("shut"),
            pause=lambda: note("pause"),
            resume=lambda: note("resume"),
        )
        self.feed: Any = lambda message: None
        self.sink: Any = lambda message: None
        assistant: Any = SimpleNamespace(feed_message=self.feed)
        breaker: Any = SimpleNamespace(trip=self._trip, reset=self._reset)
        settings = Settings.model_construct(outage_seconds=OUTAGE_SECONDS, session_renew_seconds=RENEW_SECONDS)
        self.line = ModelLine(
            clock=self.clock,
            settings=settings,
            session=self.session,
            caller=caller,
            assistant=assistant,
            sink=self.sink,
            stats=self.stats,
            log=self.log,
            trouble=Trouble(self.log, self.stats),
            facts=self,
            tell=self._told,
            dial=self._dial,
            breaker=breaker,
        )

    def _note(self, what: str, answer: Any) -> Any:
        self.journal.append(what)
        return answer

    def _told(self, event: Any) -> None:
        self.journal.append(type(event).__name__)
        self.tell(event)

    def _dial(self, attempt: Attempt) -> None:
        self.journal.append("dial")
        self.dialled.append(attempt)

    def _trip(self) -> None:
        self.trips += 1

    def _reset(self) -> None:
        self.resets += 1

    def _new_opening(self, confirmed: Any, fail: Any, model: str = "") -> Any:
        self.confirmed, self.refused = confirmed, fail
        return self.opening

    # --- the world ---

    @property
    def attempt(self) -> Attempt:
        return self.dialled[-1]

    @property
    def link(self) -> Link:
        return self.links[-1]

    def connect(self, attempt: Attempt | None = None) -> Link:
        self.links.append(Link(len(self.links) + 1, self.journal))
        self.do((attempt or self.attempt).on_model_connected, self.link)
        return self.link

    def up(self) -> "LineScene":
        """Connected and confirmed, what was dialled last."""
        self.connect()
        self.do(self.line.ready)
        assert self.line.up
        return self

    def fail(self, error: ModelError = GONE) -> None:
        self.do(self.attempt.on_model_failed, error)

    def at(self, state: State) -> "LineScene":
        if state is State.IDLE:
            return self
        self.do(self.line.start)
        if state is State.PAUSING:
            self.fail()
        elif state is State.DOWN:
            self.fail(HOPELESS)
        elif state is State.CLOSED:
            self.do(self.line.close)
        elif state is State.OPENING:
            self.connect()
        elif state is State.UP:
            self.up()
        assert self.line.state is state
        self.journal.clear()
        self.told.clear()
        return self

    def successor(self) -> Link:
        """It stands ready, and there is no boundary to move at."""
        self.advance(RENEW_SECONDS + MOMENT)
        link = self.connect()
        self.do(self.confirmed)
        self.journal.clear()
        return link

    @property
    def pauses_seconds(self) -> float:
        """Until the next dial."""
        before, began = len(self.dialled), self.loop.time()
        while len(self.dialled) == before:
            self.advance(0.01)
        return round(self.loop.time() - began, 2)

    def end(self) -> None:
        """Of the test: each socket was hung up once."""
        self.shut(self.line.close)
        assert [link.hang_ups for link in self.links] == [1] * len(self.links)
