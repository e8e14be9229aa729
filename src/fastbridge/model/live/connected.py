"""The socket's side of a session: opened, moved, lost, told again what was said, renewed, closed.

The session's events and its audio are somebody else's (`model/live/session.py`). What a session is told of the
conversation it is told before it starts, and once; what has come since is told when the call moves over.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge.agent.definition import Agent
from fastbridge.base.clock import Clock
from fastbridge.base.json_text import object_of, parse_event
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model import port
from fastbridge.model.exchange import Exchange
from fastbridge.model.history import History
from fastbridge.model.live.caller_turns import CallerTurns
from fastbridge.model.live.opening import Opening
from fastbridge.model.live.replay import Said, in_words, items_of, said
from fastbridge.model.live.requests import Requests
from fastbridge.model.live.responses import ResponseController
from fastbridge.model.live.seconds import Seconds
from fastbridge.model.live.session_config import fork_config, session_config
from fastbridge.model.live.spoken import Spoken
from fastbridge.model.live.stream_watch import StreamWatch
from fastbridge.model.port import Tell
from fastbridge.model.usage import Usage
from fastbridge.observe.trouble import Trouble


class Connected(Exchange, Requests):
    """To be inherited. send(message): one JSON text to the socket, set by `connected`. The gate for the caller's
    audio opens at `SessionReady`, which only a checked `session.started` tells."""

    caller_turns: CallerTurns
    spoken: Spoken
    responses: ResponseController
    _opening: Opening
    _stream: StreamWatch

    def __init__(
        self,
        *,
        agent: Agent,
        settings: Settings,
        lane: AssistantLane,
        clock: Clock,
        tell: Tell,
        trouble: Trouble,
    ) -> None:
        self.counters: Counter[str] = Counter()
        super().__init__(History(self.counters), lane, self.send)
        self.usage = Usage()
        self._seconds = Seconds()
        self.closed = False
        self.settings = settings
        self._agent: Agent | None = agent
        self._clock = clock
        self._tell = tell
        self._trouble = trouble
        self._send: Callable[[bytes], object] | None = None
        self._current = ""  # the utterance under way
        self._base_frames = 0  # of the stream, before this session
        self._before_ms = 0  # of this session's stream, before it was in use
        self._forks_fail = False
        self._told: list[Said] | None = None  # what the session was told of when it started
        self._parting: Callable[[bytes], bool] | None = None
        self._opening = self._own_opening()

    @property
    def handed_on(self) -> bool:
        return self._delegation.at_work

    @property
    def late_item(self) -> str:
        return self.caller_turns.late_item

    @property
    def stored_id(self) -> str:
        """Of the session under way, for another to continue it; empty where none may, or one could not."""
        return self._opening.session_id if self.settings.live_store and self.ready and not self._forks_fail else ""

    def new_opening(
        self, ready: Callable[[], object], failed: Callable[[ModelError], object], model: str = ""
    ) -> Opening:
        """For a connection: this session's settings, and what was said, to be confirmed there."""
        model = model or self.settings.model
        continues = bool(self.stored_id) and model == self.settings.model

        def on_failed(error: ModelError) -> None:
            self._forks_fail = self._forks_fail or continues  # the next one begins anew
            failed(error)

        return Opening(
            clock=self._clock,
            config=self._fork if continues else lambda: self._start(model),
            ready=ready,
            failed=on_failed,
            trouble=self._trouble,
        )

    def _own_opening(self) -> Opening:
        return Opening(
            clock=self._clock,
            config=lambda: self._start(self.settings.model),
            ready=self._on_ready,
            failed=lambda error: self._tell(port.SessionFailed(error)),
            trouble=self._trouble,
        )

    def use_model(self, model: str) -> None:
        self.settings = self.settings.model_copy(update={"model": model})

    def _start(self, model: str) -> dict[str, Any] | None:
        if self._agent is None:
            return None
        self._told = self._said()
        return session_config(self._agent, self.settings, items_of(self._told)) | {"model": model}

    def _fork(self) -> dict[str, Any] | None:
        self._told = self._said()
        return fork_config()

    def _said(self) -> list[Said]:
        return said(self.history.ordered(), self.tool_calls, self.history.notes)

    @property
    def turn_end_seconds(self) -> float:
        """How long after the caller's last sound his words may go on coming before something is wrong."""
        return 2.5

    @property
    def turn_told_seconds(self) -> float:
        """How long after that sound the end of the turn is told; later is late: words take a while to come."""
        return 1.1

    @property
    def billed_seconds(self) -> float | None:
        """Of all sessions of the call, by the model's own account; None before it has given one."""
        return self._seconds.total

    def connected(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._opening.connected(self._send_now)

    def disconnected(self) -> None:
        """The connection is gone: the next one will be opened from the beginning, and told what was said here."""
        self.caller_turns.forget()
        self.responses.suspend()
        self._opening.close()
        self._opening = self._own_opening()
        self._send = None
        self._forget()

    def move(self, opening: Opening, send: Callable[[bytes], object]) -> None:
        """Go on, at rest, on another connection, which is open and confirmed."""
        self._take_leave()
        self.caller_turns.forget()
        self._opening.close()
        self._opening = opening
        self._send = send
        self._forget()
        self._begin_stream(opening.streamed_ms, opening.started_ns)

    def _forget(self) -> None:
        """Ids, and the clock, of a session say nothing in the next."""
        self._seconds.session_over()
        self._stream.close()
        self._lane.reset_stream()
        self._current = ""
        self.spoken.forget()
        self._delegation.forget()
        self.responses.forget()

    def _on_ready(self) -> None:
        self._begin_stream()
        self._tell(port.SessionReady())

    def _begin_stream(self, before_ms: int = 0, started_ns: int | None = None) -> None:
        self._lane.reset_stream()
        gate = self._lane.gate
        self._base_frames, self._before_ms = gate.frames_in if gate is not None else 0, before_ms
        self._stream.begin(started_ns)

    def replay(self) -> int:
        """A new session was told at its start what had been said; here, what has come since. The number of turns."""
        told = Counter(self._told or [])
        since: list[Said] = []
        for each in self._said():  # what has changed as well: a tool that was at work has answered
            if told[each]:
                told[each] -= 1
            else:
                since.append(each)
        if since:
            self._think(in_words(since))
        return len(items_of(self._told or [])) + len(since)

    def hold(self) -> None:
        """`session.start` waits for `configure`: who answers is not known yet."""
        self._agent = None

    def configure(self, agent: Agent, settings: Settings) -> None:
        """This agent answers, with these settings: `session.start` says so."""
        self._agent, self.settings = agent, settings
        self.caller_turns.writes = bool(settings.transcription_model)
        self._opening.configure()

    def close(self) -> None:
        self._count_stream()
        self.caller_turns.close()
        if self.ready:
            self._take_leave()
        self.closed = True
        self._send = None
        self._stream.close()
        self._delegation.close()
        self._opening.close()
        self.responses.close()

    def _take_leave(self) -> None:
        """The session is closed by us, and is to tell what it has lasted."""
        if self._send is None:
            return
        self._send_now({"type": "session.close"})
        account = self._seconds.session

        def reads(message: bytes) -> bool:
            event = parse_event(message) or {}
            kind = event.get("type")
            if kind in ("session.closed", "session.usage.updated"):
                account.tell(object_of(event.get("usage")))
            if kind == "session.closed":
                self._tell(port.Accounted())
            return kind == "session.closed"

        self._parting = reads

    def parting(self) -> Callable[[bytes], bool] | None:
        reads, self._parting = self._parting, None
        return reads

    def _count_stream(self) -> None:
        """What the gate made of the stream, for the record."""
        gate = self._lane.gate
        if gate is not None and not self.closed:
            self.counters["utterances"] = gate.utterances
            self.counters["silent_frames"] = gate.frames_silent
            self.counters["refused_frames"] = gate.frames_refused
            self.counters["peak_backlog_ms"] = 20 * gate.peak_backlog_frames
