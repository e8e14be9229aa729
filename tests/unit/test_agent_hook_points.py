"""fastbridge.agent.hook_points: a user's functions, each hooked in once."""

from collections.abc import Callable
from typing import Any

import pytest

from fastbridge import Agent, CallContext
from fastbridge.errors import ConfigError

NAMES = ("on_call", "on_start", "on_transcript", "on_dtmf", "on_end")


@pytest.mark.parametrize("name", NAMES)
def test_each_keeps_the_function_and_gives_it_back(name: str) -> None:
    agent = Agent()

    def function(value: Any) -> None: ...

    assert getattr(agent, name)(function) is function
    assert agent.hooks == {name: function}


@pytest.mark.parametrize("name", NAMES)
def test_one_of_a_kind(name: str) -> None:
    agent = Agent()
    getattr(agent, name)(print)
    with pytest.raises(ConfigError, match=f"already has an {name}"):
        getattr(agent, name)(print)


def test_one_that_could_not_be_called_is_told_at_once() -> None:
    def none() -> None: ...

    def with_context(digits: str, context: CallContext) -> None: ...

    Agent().on_dtmf(with_context)
    wrong: list[Callable[..., Any]] = [none]
    with pytest.raises(ConfigError, match=r"on_dtmf is a function of \(digits\)"):
        Agent().on_dtmf(wrong[0])
