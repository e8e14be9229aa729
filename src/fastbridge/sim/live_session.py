"""The simulated GPT-Live service: one session, without sockets and without a clock of its own.

Text frames of the client go in with `receive`, those of the service come out of `poll` when they are due; time is a
number the caller passes in, in milliseconds, never going back. The session is strict: what the real service would
refuse is refused, and kept in `errors`, so that a test run can fail on it. There are no responses and no ends of turns:
audio flows at the pace of time, silence included, from the first of the caller's on until the session is closed.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from . import audio_format, live_grammar, live_refusals, live_wire
from .live_backend import Backend
from .live_delegations import Delegation, Delegations
from .live_ear import Ear
from .live_line import Line
from .live_refusals import (
    ALREADY_STARTED,
    CLOSING,
    FIXTURE_ACTIVE,
    FIXTURE_TOO_LONG,
    MAX_APPEND_TOKENS,
    MAX_FIXTURE_MS,
    NO_ID_WITH_RESPONSES,
    NOT_JSON,
    NOT_STARTED,
    decoded,
    needs_decisions,
    too_many_tokens,
    unknown_delegation,
)
from .live_session_object import LiveSettings
from .live_talk import Talk
from .live_voice import Utterance, Voice
from .scenario import Scenario
from .timeline import Steps
from .wire import MULAW_BYTES_PER_MS, Event, Ids, Json, Problem, text_tokens

FIXTURE_FORMAT: Json = {"type": "audio/pcm", "rate": 24_000}
ID_LENGTH = 32

State = Literal["opening", "starting", "started", "closing"]


class LiveSession:
    """One session, from the handshake on.

    `serial` tells the sessions of one scenario apart: their ids differ, their course is reproducible. `unix_s` is the
    wall clock at `now_ms`, shown in `expires_at`. With `stored` it is a fork of that session.
    """

    def __init__(
        self,
        scenario: Scenario,
        now_ms: float,
        *,
        serial: int = 0,
        unix_s: float = 1_800_000_000.0,
        stored: "LiveSession | None" = None,
    ) -> None:
        self.scenario = scenario
        self.live = scenario.live
        self.errors: list[str] = []
        """What the real service would have refused, in words. Empty after a good run."""
        self.benign_errors: list[str] = []
        """Refusals that a correct client can run into."""
        self.client_closed: tuple[int | None, str | None] | None = None
        """Close code and reason of the connection, once it is gone; set by the server around the session."""
        self.received: Counter[str] = Counter()
        """Events by type."""
        self.requests: list[Json] = []
        """Every client event but audio, in order."""
        self.output = bytearray()
        """All that was sent, as 8 kHz mu-law: silence, too."""
        self.stored = stored
        self.state: State = "opening"

        ids = Ids(f"{scenario.seed}/{serial}/live")
        self._shape = random.Random(f"{scenario.seed}/{serial}/live-shape")
        self._line = Line(ids, now_ms, 1 + self.live.drift_ppm / 1e6)
        self._started_ms = now_ms
        expires_at_s = int(unix_s + self.live.max_session_ms / 1000)
        inherited = stored.settings if stored is not None else None
        self.settings: LiveSettings = LiveSettings(ids.new("live", ID_LENGTH), expires_at_s, inherited)
        self.voice = Voice(self.live.noise_dbfs)
        """What it has said, and is about to say."""
        talked = stored._talk if stored is not None else None
        self._talk: Talk = Talk(scenario, self._line, self.settings, self.voice, talked)
        self._delegations = Delegations(scenario, self._line, self.settings, self._talk)
        self._talk.delegate = self._delegations.delegate

    # The three verbs.

    def receive(self, text: str, now_ms: float) -> None:
        """Take one text frame of the client. Nothing raises, whatever it holds."""
        self._line.advance(now_ms)
        event = self._parsed(text) if self.closed is None else None
        if event is None:
            return
        self.received[event["type"]] += 1
        if event["type"] != "session.input_audio.append":
            self.requests.append(event)
        problem = self._out_of_order(event["type"]) or _HANDLERS[event["type"]](self, event)
        if problem is not None:
            self._refuse(problem, event)

    def receive_binary(self, data: bytes, now_ms: float) -> None:
        """Take one binary frame: always refused."""
        self._line.advance(now_ms)
        if self.closed is None:
            self._refuse(Problem("invalid_event", f"Expected a text frame, got {len(data)} bytes of binary."), {})

    def refuse(self, problem: Problem, event: Json, now_ms: float) -> None:
        """Answer a client event with an error, whatever it holds: a disruption's doing, and so benign."""
        self._line.advance(now_ms)
        if self.closed is None:
            self.received[str(event.get("type"))] += 1
            self.requests.append(event)
            self._note(self.benign_errors, problem, event)

    def poll(self, now_ms: float) -> list[str]:
        """The text frames that are due by now, in order."""
        self._line.advance(now_ms)
        self.errors += self._delegations.mistakes
        self._delegations.mistakes.clear()
        return self._line.take()

    def next_due_ms(self) -> float | None:
        """When to poll next; None when only the client can bring anything about."""
        return self._line.next_due_ms()

    # What a test reads.

    @property
    def id(self) -> str:
        """The session's, by which it can be forked."""
        value: str = self.settings.settings["id"]
        return value

    @property
    def closed(self) -> tuple[int, str] | None:
        """Close code and reason, once the service wants to close."""
        return self._line.closed

    @property
    def sent(self) -> Counter[str]:
        """Events by type."""
        return self._line.sent

    @property
    def clock_ms(self) -> float:
        """The session's own clock."""
        return self._line.clock_ms

    @property
    def speaking(self) -> bool:
        """Whether the model is, or is about to."""
        return self.voice.speaking

    @property
    def conversation(self) -> list[Json]:
        """What was said and done, in the shapes of Realtime's items."""
        return self._talk.conversation

    @property
    def delegations(self) -> list[Delegation]:
        """Every task that the model handed on."""
        return self._delegations.made

    @property
    def backend(self) -> Backend:
        """Who does that work, where it is the service's own."""
        return self._delegations.backend

    @property
    def ear(self) -> Ear | None:
        """What the session hears; None before it has started."""
        return self._talk.ear

    @property
    def input_audio(self) -> bytes:
        """All the caller's audio, as 8 kHz mu-law."""
        return bytes(self.ear.audio) if self.ear is not None else b""

    @property
    def tool_outputs(self) -> dict[str, str]:
        """What the client answered to each call id."""
        return {call_id: call.output for call_id, call in self.backend.calls.items() if call.output is not None}

    @property
    def billed_seconds(self) -> int:
        """Whole seconds since the session started, silence included."""
        return int((self._line.now_ms - self._started_ms) / 1000) if self.state != "opening" else 0

    # The way in, and its refusals.

    def _parsed(self, text: str) -> Json | None:
        try:
            event = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            self._refuse(NOT_JSON, {})
            return None
        problem = live_grammar.check(event, fork=self.stored is not None)
        if problem is not None:
            self._refuse(problem, event if isinstance(event, dict) else {})
            return None
        checked: Json = event
        return checked

    def _out_of_order(self, kind: str) -> Problem | None:
        if kind == "session.start":
            return None if self.state == "opening" else ALREADY_STARTED
        if self.state in ("opening", "starting"):
            return NOT_STARTED
        return CLOSING if self.state == "closing" else None

    def _refuse(self, problem: Problem, event: Json) -> None:
        self._note(self.benign_errors if live_refusals.is_benign(problem) else self.errors, problem, event)

    def _note(self, notes: list[str], problem: Problem, event: Json) -> None:
        """Send the error event and keep a note of it."""
        notes.append(f"{event.get('type', 'session')}: {problem.code}: {problem.message}")
        event_id = event.get("event_id")
        self._line.send(live_wire.error(problem, event_id if isinstance(event_id, str) else None))

    # The beginning and the end.

    def _on_start(self, event: Json) -> Problem | None:
        problem = self.settings.start(event["session"])
        if problem is None:
            self.state = "starting"
            self._started_ms = self._line.now_ms
            self._talk.ear = Ear(self.scenario.hears or self.settings.audio_format, self.live.turn_silence_ms)
            self._line.later(self._starting(event))
        return problem

    def _starting(self, event: Json) -> Steps:
        yield self.scenario.update_ms, live_wire.answering("session.started", event, {"session": self.settings.view()})
        self.state = "started"
        self._line.later(self._closing(self.live.end_reason, {}, self.live.max_session_ms))
        self._line.later(self._usage())
        if not self.live.waits_for_input:
            self._line.begin_stream(self._stream())

    def _usage(self) -> Steps:
        while True:
            yield self.live.usage_ms, None
            yield 0.0, live_wire.usage_updated(self.billed_seconds)

    def _on_close(self, event: Json) -> Problem | None:
        self.state = "closing"
        self._line.later(self._closing("close_requested", event, self.live.close_ms))
        return None

    def _closing(self, reason: str, command: Json, delay_ms: float) -> Steps:
        yield delay_ms, None
        closed = live_wire.session_closed(reason, self.settings.view(), self.billed_seconds)
        yield 0.0, live_wire.answering(closed.type, command, closed.body)
        self._line.closed = (1000, "")

    def _on_update(self, event: Json) -> Problem | None:
        problem = self.settings.update(event["session"])
        if problem is None:
            updated = live_wire.answering("session.updated", event, {"session": self.settings.view()})
            self._line.later(iter([(self.scenario.update_ms, updated)]))
        return problem

    # The stream.

    def _stream(self) -> Steps:
        while True:
            count = self._piece()
            yield count / MULAW_BYTES_PER_MS / self._line.rate, None
            for edge in self.ear.pass_time(self.clock_ms) if self.ear is not None else ():
                self._talk.on_edge(edge)
            yield from self._delta(count)

    def _delta(self, count: int) -> Steps:
        taken = self.voice.take(count)
        self.output += taken.audio
        for fragment in taken.fragments:
            yield 0.0, live_wire.transcript_delta(live_wire.OUTPUT_TRANSCRIPT, *fragment)
        speaks = self.scenario.speaks or self.settings.audio_format
        yield 0.0, live_wire.audio_delta(audio_format.encode(taken.audio, speaks))
        yield from ((0.0, event) for each in taken.ended for event in _told_of(each))

    def _piece(self) -> int:
        """The samples of the next delta."""
        most = int(self.live.delta_ms * MULAW_BYTES_PER_MS)
        return self._shape.randint(1, most) if self.live.odd_sizes else most

    # Audio of the client's.

    def _on_append(self, event: Json) -> Problem | None:
        audio = decoded(event["audio"], self.settings.audio_format)
        if isinstance(audio, Problem):
            return audio
        if not self._line.streaming:
            self._line.begin_stream(self._stream())
        assert self.ear is not None
        for edge in self.ear.hear(audio, self.clock_ms, dropped=self.voice.fixture_active):
            self._talk.on_edge(edge)
        return None

    def _on_mute(self, event: Json) -> Problem | None:
        assert self.ear is not None
        self.ear.muted = event["type"] == "session.input_audio.mute"
        self._line.send(live_wire.answering(f"{event['type']}d", event))
        return None

    def _on_fixture(self, event: Json) -> Problem | None:
        audio = decoded(event["audio"], FIXTURE_FORMAT)
        if isinstance(audio, Problem):
            return audio
        if self.voice.fixture_active:
            return FIXTURE_ACTIVE
        ulaw = audio_format.Decoder(FIXTURE_FORMAT).feed(audio)
        if len(ulaw) / MULAW_BYTES_PER_MS > MAX_FIXTURE_MS:
            return FIXTURE_TOO_LONG
        self.voice.play(ulaw).item = event
        self._line.send(live_wire.answering("session.output_audio.fixture.playing", event))
        return None

    # Words of the client's.

    def _on_context(self, event: Json) -> Problem | None:
        """Commentary, thinking or instructions."""
        problem = self._context_refusal(event)
        if problem is not None:
            return problem
        kind = event["type"].removeprefix("session.").removesuffix(".append")
        if kind != "instructions":
            self._delegations.on_context()
        if kind == "thinking":
            self._talk.learn(event["content"])
        self._line.in_stream(self._acknowledging(f"session.{kind}.appended", event))
        delay_ms = {"commentary": self.live.commentary_ms, "instructions": self.live.instructions_ms}.get(kind)
        if delay_ms is not None:
            self._line.in_stream(self._talk.told_to_speak(event, delay_ms))
        return None

    def _context_refusal(self, event: Json) -> Problem | None:
        tokens = text_tokens(event["content"])
        if tokens > MAX_APPEND_TOKENS:
            return too_many_tokens("content", tokens, MAX_APPEND_TOKENS)
        delegation_id = event["delegation_id"]
        if delegation_id is not None and self.settings.delegation == "responses":
            return NO_ID_WITH_RESPONSES
        if delegation_id is not None and not self._delegations.knows(delegation_id):
            return unknown_delegation(delegation_id)
        return FIXTURE_ACTIVE if self.voice.fixture_active else None

    def _acknowledging(self, kind: str, event: Json) -> Steps:
        start_ms = int(self.clock_ms)
        yield self.live.append_ms, None
        yield 0.0, live_wire.answering(kind, event, {"start_ms": start_ms, "end_ms": int(self.clock_ms)})

    def _on_item_create(self, event: Json) -> Problem | None:
        return self._delegations.create_item(event)

    def _on_response_create(self, event: Json) -> Problem | None:
        return self._delegations.create_response(event)

    def _on_decision(self, event: Json) -> Problem | None:
        return needs_decisions(event["type"])


_HANDLERS: dict[str, Callable[[LiveSession, Json], Problem | None]] = {
    "session.start": LiveSession._on_start,
    "session.update": LiveSession._on_update,
    "session.input_audio.append": LiveSession._on_append,
    "session.input_audio.mute": LiveSession._on_mute,
    "session.input_audio.unmute": LiveSession._on_mute,
    "session.output_audio.fixture.play": LiveSession._on_fixture,
    "session.instructions.append": LiveSession._on_context,
    "session.thinking.append": LiveSession._on_context,
    "session.commentary.append": LiveSession._on_context,
    "decision.create": LiveSession._on_decision,
    "decision.item.create": LiveSession._on_decision,
    "decision.item.delete": LiveSession._on_decision,
    "response.item.create": LiveSession._on_item_create,
    "response.create": LiveSession._on_response_create,
    "session.close": LiveSession._on_close,
}


def _told_of(ended: Utterance) -> list[Event]:
    """What the client is told of something that has been played to its end: of speech nothing."""
    return [live_wire.answering("session.output_audio.fixture.played", ended.item)] if ended.is_fixture else []


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
