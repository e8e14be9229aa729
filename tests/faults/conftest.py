"""Every performance of a fault test is checked at its end: nothing left behind, nothing asked twice, no fuse blown."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("plays", "stage")

from plays import Play  # noqa: E402
from stage import Stage  # noqa: E402


@pytest.fixture(autouse=True)
def whole_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def perform() -> Iterator[Callable[..., Stage]]:
    """`perform(fault, phase)`: the play, performed with this fault; what there is to know of it is the stage's."""
    stages: list[Stage] = []

    def run(*arguments: Any, **options: Any) -> Stage:
        play = Play(*arguments, **options)
        stages.append(play.stage())
        stages[-1].play = play
        return play.perform(stages[-1])

    yield run
    for stage in stages:
        stage.shut()
