"""Scenes are coroutines that take the `house`. Those of a file are played together, so that a file takes as long as its
longest scene; each test then waits for its own."""

import inspect
from collections.abc import Iterator

import pytest

from e2e.strangers.house import House


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The file's house, with its SETTINGS, COMMAND and FILES if it has any; its chosen scenes have begun."""
    settings = getattr(request.module, "SETTINGS", {})
    command = getattr(request.module, "COMMAND", None)
    folder = tmp_path_factory.mktemp("house")
    for name, text in getattr(request.module, "FILES", {}).items():
        (folder / name).write_text(text)
    with House(folder, settings, command) as house:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.module is request.module and is_scene(item.obj):
                house.begin(item.nodeid, item.obj(house, **parameters(item)))
        yield house


def is_scene(function: object) -> bool:
    return inspect.iscoroutinefunction(function)


def parameters(item: pytest.Function) -> dict[str, object]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_scene(pyfuncitem.obj):
        return None
    pyfuncitem.funcargs["house"].result(pyfuncitem.nodeid)
    return True
