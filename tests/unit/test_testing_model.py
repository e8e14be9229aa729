"""The service on virtual time: what a dial meets, and what its wire does. The fault tests hold whole calls with it."""

import json
from typing import Any

import pytest

import loops
from fastbridge.errors import ModelError
from fastbridge.model.attempt import Attempt
from fastbridge.sim import Refuse, Scenario, faults
from fastbridge.sim.disruption import Hang, Unreachable
from fastbridge.testing.model import HANDSHAKE_MS, LATENCY_MS, VirtualModel, failure

pytestmark = pytest.mark.usefixtures("virtual_loops")


class Owner:
    """Of an attempt: writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.link: Any = None
        self.errors: list[ModelError] = []

    def connected(self, attempt: Attempt, link: Any) -> None:
        self.told.append("connected")
        self.link = link

    def failed(self, attempt: Attempt, error: ModelError) -> None:
        self.told.append("failed")
        self.errors.append(error)

    def paused(self, attempt: Attempt, paused: bool) -> None:
        self.told.append(f"paused {paused}")


class Line:
    """One dial."""

    def __init__(self, scenario: Any, *, live: bool = False) -> None:
        self.loop = loops.virtual()
        self.model = VirtualModel(self.loop, scenario, live=live)
        self.owner = Owner()
        self.fed: list[bytes] = []
        attempt = Attempt(self.owner, self.fed.append, self.fed.append)
        self.loop.do(self.model.dial, attempt)

    def run(self, milliseconds: float) -> None:
        self.loop.advance(milliseconds / 1000)


def test_a_dial_is_answered_after_a_handshake_and_the_session_tells_of_itself() -> None:
    line = Line(Scenario())
    line.run(HANDSHAKE_MS - 1)
    assert line.owner.told == []
    line.run(2 + LATENCY_MS)
    assert line.owner.told == ["connected"]
    assert b'"session.created"' in line.fed[0]
    assert line.model.attempts == [0.0]
    assert len(line.model.sessions) == 1


def test_what_is_sent_arrives_a_latency_later_and_what_is_wrong_is_refused() -> None:
    line = Line(Scenario())
    line.run(200)
    line.loop.do(line.owner.link.send_text, b'{"type":"no.such.event"}')
    line.run(LATENCY_MS - 1)
    assert line.model.errors == []
    line.run(2)
    assert len(line.model.errors) == 1
    assert line.model.errors[0].startswith("session 0: ")


def test_it_speaks_gpt_live_where_it_is_told_to() -> None:
    line = Line(Scenario(), live=True)
    line.run(200)
    assert (line.owner.told, line.fed, line.model.sessions) == (["connected"], [], [])
    line.loop.do(line.owner.link.send_text, b'{"type":"session.start","session":{"model":"gpt-live-1"}}')
    line.loop.do(line.owner.link.send_text, b'{"type":"no.such.event"}')
    line.run(200)
    assert [json.loads(each)["type"] for each in line.fed] == ["error", "session.started"]
    assert [session.state for session in line.model.live_sessions] == ["started"]
    assert len(line.model.errors) == 1
    line.model.close()
    assert line.model.live_wires[0].over_ms >= 400


def test_each_attempt_has_its_scenario() -> None:
    line = Line(faults.refused(429, times=1)(Scenario()))
    line.run(200)
    assert line.owner.errors[0].code == "http_429"
    line.loop.do(line.model.dial, Attempt(line.owner, line.fed.append, line.fed.append))
    line.run(200)
    assert line.owner.told == ["failed", "connected"]


@pytest.mark.parametrize(
    ("obstacle", "seconds"),
    [(Refuse(503, delay_ms=1000), 1.09), (Unreachable("dns"), 0.02), (Unreachable("refused"), 0.02), (Hang(), 3.0)],
    ids=str,
)
def test_an_obstacle_fails_as_the_nodes_own_dialling_does(obstacle: Any, seconds: float) -> None:
    after, error = failure(obstacle)
    assert after == pytest.approx(seconds)
    assert isinstance(error, Exception)


def test_a_wire_that_is_hung_up_is_silent() -> None:
    line = Line(Scenario())
    line.run(200)
    fed = len(line.fed)
    line.loop.do(line.owner.link.hang_up)
    line.run(5000)
    assert len(line.fed) == fed
    assert line.model.wires[0].over_ms == pytest.approx(200, abs=1)
    assert line.loop.pending_timers() == []


def test_an_end_behind_what_is_not_read_waits_for_it() -> None:
    """And the clock goes on."""
    line = Line(faults.dropped(faults.On("session.created"))(Scenario()))
    line.run(HANDSHAKE_MS + 1)
    line.loop.do(line.owner.link.pause_reading)
    line.run(1000)
    assert line.fed == []
    assert line.model.wires[0].over_ms < 0
    line.loop.do(line.owner.link.resume_reading)
    line.run(50)
    assert len(line.fed) == 1
    assert line.model.wires[0].over_ms >= 1000


def test_closed_it_answers_nobody() -> None:
    line = Line(Scenario())
    line.loop.do(line.model.close)
    line.run(5000)
    assert line.owner.told == []
