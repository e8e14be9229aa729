"""Scenes are coroutines that take the `house`. Those of one house are played together, so that all take as long as the
longest; each test then waits for its own. Files that name the same HOUSE share one."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import ModuleType

import pytest

from e2e.strangers.house import House


@pytest.fixture(scope="session")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[pytest.FixtureRequest], House]]:
    """The house of a test's file, with its SETTINGS, COMMAND and FILES if it has any. Its chosen scenes have begun."""
    houses: dict[str, House] = {}
    with ExitStack() as stack:

        def find(request: pytest.FixtureRequest) -> House:
            name = name_of(request.module)
            if name not in houses:
                folder = tmp_path_factory.mktemp("house")
                for file, text in getattr(request.module, "FILES", {}).items():
                    (folder / file).write_text(text)
                settings = getattr(request.module, "SETTINGS", {})
                house = House(folder, settings, getattr(request.module, "COMMAND", None))
                houses[name] = stack.enter_context(house)
                begin(house, name, request.session.items)
            return houses[name]

        yield find


@pytest.fixture
def house(request: pytest.FixtureRequest, house_of: Callable[[pytest.FixtureRequest], House]) -> House:
    return house_of(request)


def name_of(module: ModuleType) -> str:
    return getattr(module, "HOUSE", module.__name__)


def begin(house: House, name: str, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and name_of(item.module) == name and is_scene(item.obj):
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            house.begin(item.nodeid, item.obj(house, **parameters))


def is_scene(function: object) -> bool:
    return inspect.iscoroutinefunction(function)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_scene(pyfuncitem.obj):
        return None
    pyfuncitem.funcargs["house"].result(pyfuncitem.nodeid)
    return True
