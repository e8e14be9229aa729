"""Fixtures for whoever tests an agent with pytest: `fastbridge_call`, `fastbridge_model` and `fastbridge_node`.

pytest loads this in every project beside which fastbridge is installed: so it imports nothing and registers nothing but
three names, and what they need is loaded when a test asks for one of them. Where that is not installed, the test fails
with one sentence.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastbridge.sim import ModelServer
    from fastbridge.sim.plain import Stage, StartNode
    from fastbridge.testing import VirtualCall


@contextmanager
def _or_one_sentence() -> Iterator[None]:
    from fastbridge.errors import NotInstalledError

    try:
        yield
    except NotInstalledError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture
def fastbridge_call() -> "type[VirtualCall]":
    """`call = fastbridge_call("my_agent:agent", [Speak("caller_appointment"), HangUp()], Scenario(…))`: a call on
    virtual time, held to its end."""
    with _or_one_sentence():
        from fastbridge.testing import VirtualCall

    return VirtualCall


@pytest.fixture
def _fastbridge_stage() -> "Iterator[Stage]":
    with _or_one_sentence():
        from fastbridge.sim.plain import Stage

    with Stage() as stage:
        yield stage


@pytest.fixture
def fastbridge_model(_fastbridge_stage: "Stage") -> "ModelServer":
    """A simulated model; `fastbridge_model.scenario = Scenario(…)` is what it says. `errors`: what it refused."""
    from fastbridge.sim import ModelServer

    return _fastbridge_stage.enter(ModelServer())


@pytest.fixture
def fastbridge_node(_fastbridge_stage: "Stage", fastbridge_model: "ModelServer") -> "StartNode":
    """`node = fastbridge_node("my_agent:agent")` starts a node that talks to `fastbridge_model`;
    `report = node.call([Speak("caller_appointment"), HangUp()])` calls it."""
    from fastbridge.sim.plain import StartNode

    return StartNode(_fastbridge_stage, fastbridge_model)
