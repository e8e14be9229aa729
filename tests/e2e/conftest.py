"""One node and one model that obeys, for all tests of a file; and nodes of a test's own, with the settings it wants."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from attacker import RunningNode
from environment import clear_environment
from scripted_model import Model


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("node")
    with pytest.MonkeyPatch.context() as monkeypatch:
        clear_environment(monkeypatch, directory)
        yield directory


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with Model() as model:
        yield model


@pytest.fixture(scope="module")
def node(model: Model, environment: Path) -> Iterator[RunningNode]:
    with RunningNode(model.url) as node:
        yield node


@pytest.fixture
def node_with(model: Model, environment: Path) -> Iterator[Callable[..., RunningNode]]:
    """A node of this test's own: `node_with(max_connections=2)`; `script=` gives it a model of its own, too."""
    with ExitStack() as stack:

        def make(*, script: Callable[[Any], None] | None = None, **settings: Any) -> RunningNode:
            url = model.url if script is None else stack.enter_context(Model(script)).url
            return stack.enter_context(RunningNode(url, **settings))

        yield make
