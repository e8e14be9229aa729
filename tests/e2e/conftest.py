"""One node and one model that obeys, for all tests of a file; and nodes of a test's own, with the settings it wants.

Most of these tests wait for deadlines, six at once: `-n 6 --dist loadgroup -m "not (alone or four)"`. Those that hold
calls in real time bear three others beside them: `-n 4 --dist loadgroup -m four`. Those that judge when each frame
comes need the machine: `-m alone`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from attacker import RunningNode
from environment import clear_environment
from scripted_model import Model

ALONE = {"test_attacks_beside_calls", "test_documented_tests"}
FOUR = {"test_calls", "test_demo", "test_load", "test_transfer", "test_uvicorn", "test_workers"}
SHARE_A_NODE = {"test_attacks", "test_attacks_http", "test_attacks_model"}
"""Their tests count what the node of their file has seen: those stay together that have no node of their own."""
TIMEOUT_SECONDS = 300.0
"""A machine that is three times slower is no failure: what must come in time says so itself."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))
        if item.path.stem in ALONE:
            item.add_marker("alone")
        elif item.path.stem in FOUR or item.path.parent.name == "strangers":  # whose scenes are many calls at once
            item.add_marker("four")
        elif item.path.stem in SHARE_A_NODE and shares_a_node(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


def shares_a_node(item: pytest.Item) -> bool:
    names = item.fixturenames if isinstance(item, pytest.Function) else []
    return "node_with" not in names or "node" in names


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
