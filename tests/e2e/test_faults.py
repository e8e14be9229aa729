"""The service goes wrong behind real sockets: the same node as in earnest, and what its caller hears.

The matrix of all faults in all phases is played on virtual time (tests/faults); here a few of each kind prove that
sockets, resets, handshakes and clocks behave as they do there. How long a caller waits is judged with room for a busy
machine, unless FASTBRIDGE_E2E_STRICT=1.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, NamedTuple, Self

import pytest

from e2e.dialects import LIVE, REALTIME, both, model_of
from fastbridge.sim import (
    HangUp,
    Interrupt,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
    faults,
    live_faults,
)
from fastbridge.sim.disruption import On
from fastbridge.sim.ear import LONGEST_WAIT_MS, Span, sounds, waits
from fastbridge.sim.faults import ALWAYS, AUDIO, Fault
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.live_wire import OUTPUT_TRANSCRIPT
from fastbridge.sim.model import ModelSession
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import ResponseRequest, Turn, babble
from fastbridge.sim.script import AfterAssistant, Step

STRICT = os.environ.get("FASTBRIDGE_E2E_STRICT") == "1"
WAIT_MS = LONGEST_WAIT_MS if STRICT else 2 * LONGEST_WAIT_MS
GREETING = Say("Good morning to you.")
ANSWER = Say("We open at nine, and close at five.")
QUESTION = babble("When do you open?")
ASK: list[Step] = [Speak(QUESTION, AfterAssistant(500)), HangUp(AfterAssistant(900))]
ASK_LIVE: list[Step] = [Speak(QUESTION, AfterAssistant(500)), HangUp(AfterAssistant(3500))]
"""What is asked for in words comes two seconds later."""
SPEAKING = On(AUDIO, 6)
SPEAKING_LIVE = On(OUTPUT_TRANSCRIPT, 7)
"""Three words of the answer have begun: the greeting has four."""

Run = Callable[..., "Told"]


class Told(NamedTuple):
    """One call, from all sides."""

    report: CallReport
    sessions: list[ModelSession] | list[LiveSession]
    attempts: int
    record: dict[str, Any]
    log: str

    @property
    def waits(self) -> list[Span]:
        return waits(self.report.said, self.report.heard, WAIT_MS)


def script(request: ResponseRequest) -> Turn:
    return GREETING if request.is_greeting else ANSWER


class House:
    """One node and one service for several calls in one dialect, each with a fault of its own."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._fault: Callable[[int], Scenario] = faults.CATALOGUE[0]()
        self._before = 0
        self._model = ModelServer(lambda attempt: self._fault(attempt - self._before))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._runner = stack.enter_context(asyncio.Runner())
            self._node = self._runner.run(self._open(stack))
            self._stack = stack.pop_all()
        return self

    async def _open(self, stack: ExitStack) -> NodeProcess:
        await self._model.__aenter__()
        stack.callback(lambda: self._runner.run(self._model.__aexit__(None, None, None)))
        settings = {"FASTBRIDGE_GREETING": GREETING.transcript, **model_of(self._dialect)}
        node = await NodeProcess(self._model.base_url, settings=settings).__aenter__()
        stack.callback(lambda: self._runner.run(node.__aexit__(None, None, None)))
        return node

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def call(self, fault: Fault, steps: list[Step] | None = None, speed: float = 2.0) -> Told:
        """A whole call with this fault, and what must hold of every call."""
        steps = steps or (ASK_LIVE if self._dialect == LIVE else ASK)
        told = self._runner.run(self._hold(fault(Scenario(script=script, speed=speed)), steps))
        assert told.waits == []
        assert told.record["responses"].get("safety_fuse", 0) == 0
        assert "internal" not in told.record["errors"]
        books = told.record["accounting"]
        assert books["frames_in"] == books["forwarded"] + books["dropped"]
        return told

    async def _hold(self, fault: Callable[[int], Scenario], steps: list[Step]) -> Told:
        node, model = self._node, self._model
        self._fault, self._before = fault, model.attempts
        sessions: Any = model.live_sessions if self._dialect == LIVE else model.sessions
        seen, logged, refused = len(sessions), len(node.log()), len(model.errors)
        caller = SimulatedCaller(
            node.url, steps, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=40.0
        )
        report = await caller.call()
        record = await node.record(caller.call_sid)
        assert record is not None, node.log()[logged:]
        assert model.errors[refused:] == []
        return Told(report, sessions[seen:], model.attempts - self._before, record, node.log()[logged:])


@pytest.fixture(scope="module")
def house_of() -> Iterator[Callable[[str], House]]:
    with ExitStack() as stack:
        yield cache(lambda dialect: stack.enter_context(House(dialect)))


@pytest.fixture
def call(house_of: Callable[[str], House], dialect: str) -> Run:
    """`call(fault)`, on the node of all."""
    return house_of(dialect).call


@pytest.fixture
def call_alone(dialect: str) -> Iterator[Run]:
    """`call_alone(fault)`, on a node of its own: what it learns of the service is nobody else's trouble."""
    with House(dialect) as house:
        yield house.call


def assert_answered(told: Told) -> None:
    assert told.report.errors == []
    assert told.report.ended_by == "caller"
    assert any(ANSWER.transcript in turn["text"] for turn in told.record["turns"] if turn["role"] == "assistant")
    question = [line for line in sounds(told.report.said) if line.length_ms > 500][-1]
    assert any(sound.start_ms >= question.end_ms for sound in sounds(told.report.heard))


def assert_apologised(told: Told) -> None:
    """Something was said, and then the carrier was sent on by the node."""
    assert told.report.ended_by == "server"
    assert sounds(told.report.heard) != []
    assert [error for error in told.report.errors if not error.startswith("caller waited 15 s in vain to Speak")] == []
    assert told.record["end_reason"].startswith("model_")
    assert "[HANGUP]" in told.log


def in_a_dialect(*faults_in: tuple[str, Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("dialect", "fault"), [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in faults_in]
    )


@in_a_dialect(
    (REALTIME, faults.unreachable()),
    (REALTIME, faults.refused(429, "rate_limit_exceeded")),
    (REALTIME, faults.closed_at_once(1008)),
    (LIVE, faults.unreachable()),
    (LIVE, live_faults.closed_at_once(1008)),
    (LIVE, live_faults.start_refused("rate_limit_exceeded")),
)
def test_connecting_is_tried_again(call: Run, fault: Fault) -> None:
    told = call(fault)
    assert_answered(told)
    assert told.attempts == 2


@in_a_dialect(
    (REALTIME, faults.refused(401, "invalid_api_key", ALWAYS)),
    (REALTIME, faults.unreachable(times=ALWAYS)),
    (LIVE, faults.refused(401, "invalid_api_key", ALWAYS)),
)
def test_what_lasts_is_told_and_the_carrier_goes_on(call_alone: Run, fault: Fault) -> None:
    told = call_alone(fault)
    assert_apologised(told)
    assert told.attempts <= 4


@in_a_dialect(
    (REALTIME, faults.dropped(SPEAKING)),
    (REALTIME, faults.dropped(faults.CALLER_SPEAKING, 1011, "internal error")),
    (REALTIME, faults.expired(SPEAKING)),
    (LIVE, faults.dropped(SPEAKING_LIVE)),
    (LIVE, faults.dropped(live_faults.CALLER_SPEAKING, 1011, "internal error")),
    (LIVE, live_faults.dead(SPEAKING_LIVE)),
)
def test_the_call_goes_on_in_a_new_session(call: Run, fault: Fault) -> None:
    told = call(fault)
    assert_answered(told)
    assert len(told.sessions) == 2
    assert told.record["model_line"]["reconnects"] == 1
    first, *requests = told.sessions[1].requests
    assert first["session"].get("input") or any(each["type"] == "conversation.item.create" for each in requests)


@in_a_dialect((REALTIME, faults.fails("rate_limit_exceeded")), (REALTIME, faults.silent()))
def test_a_response_is_asked_for_again(call: Run, fault: Fault) -> None:
    told = call(fault)
    assert_answered(told)
    assert len(told.sessions) == 1


@both
def test_a_voice_in_another_format_is_cut_off(call: Run, dialect: str) -> None:
    told = call(faults.speaks_pcm())
    assert_answered(told)
    assert len(told.sessions) == 2
    assert told.record["answers"]["format_mismatch"] == 1
    spoken = GREETING.sound() + ANSWER.sound()
    assert GREETING.sound() in told.report.received
    assert ANSWER.sound() in told.report.received
    more_seconds = 8 if dialect == LIVE else 3  # a stream's silence is a sound as well, six times as long in 24 kHz
    assert len(told.report.received) < len(spoken) + more_seconds * 8000, "no more than a filler besides"


@in_a_dialect((REALTIME, faults.rubbish(SPEAKING)))
def test_rubbish_is_not_heard(call: Run, fault: Fault) -> None:
    told = call(fault)
    assert_answered(told)
    assert len(told.sessions) == 1
    assert abs(len(told.report.received) - len(GREETING.sound() + ANSWER.sound())) < 2 * 160


@in_a_dialect((REALTIME, faults.flood()))
def test_after_a_flood_an_interruption_silences_at_once(call: Run, fault: Fault) -> None:
    steps: list[Step] = [
        Speak(QUESTION, AfterAssistant(500)),
        Interrupt(babble("No, wait."), 700),
        HangUp(AfterAssistant(900)),
    ]
    told = call(fault, steps)
    assert told.report.errors == []
    assert len(told.report.clears) >= 1
    assert all(each.latency_ms < (200 if STRICT else 1000) for each in told.report.interruptions())
