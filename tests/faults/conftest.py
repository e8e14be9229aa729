"""Every performance of a fault test is checked at its end: nothing left behind, nothing asked twice, no fuse blown.

Each test is run in both dialects of the model, as far as `dialects` does not say why not.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.register_assert_rewrite("plays", "stage")

from dialects import REALTIME, dialects_of  # noqa: E402
from plays import Play  # noqa: E402
from stage import Stage  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "speeds: how fast audio comes; GPT-Live has its own pace, and is run once")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`dialect`, and `speed` beside it, where a test is marked with speeds."""
    if "dialect" not in metafunc.fixturenames:
        return
    found = dialects_of(metafunc.function.__name__)
    marker = metafunc.definition.get_closest_marker("speeds")
    if marker is None:
        metafunc.parametrize("dialect", found)
        return
    pairs = [(each, speed) for each in found for speed in (marker.args if each == REALTIME else marker.args[:1])]
    metafunc.parametrize(("dialect", "speed"), pairs)


@pytest.fixture(autouse=True)
def whole_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.fixture
def perform(dialect: str) -> Iterator[Callable[..., Stage]]:
    """`perform(fault, phase)`: the play, performed with this fault; what there is to know of it is the stage's."""
    stages: list[Stage] = []

    def run(*arguments: Any, **options: Any) -> Stage:
        play = Play(*arguments, dialect=dialect, **options)
        stages.append(play.stage())
        stages[-1].play = play
        return play.perform(stages[-1])

    yield run
    for stage in stages:
        stage.shut()
