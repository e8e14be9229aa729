"""Scenes are coroutines that take the `house`. Those of one house are played together, so that all take as long as the
longest; each test then waits for its own. Files that name the same HOUSE share one, in each dialect; those in which the
model streams are played when the others are over, since a stream that waits for the CPU is no stream."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType

import pytest

from e2e.dialects import LIVE, REALTIME
from e2e.strangers.house import House

HERE = Path(__file__).parent
HouseOf = Callable[[pytest.FixtureRequest, str], House]


@pytest.fixture(scope="session")
def house_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HouseOf]:
    """The house of a test's file, with its SETTINGS, COMMAND and FILES if it has any. Its chosen scenes have begun."""
    houses: dict[tuple[str, str], House] = {}
    with ExitStack() as stack:

        def find(request: pytest.FixtureRequest, dialect: str) -> House:
            name = name_of(request.module)
            if (name, dialect) not in houses:
                folder = tmp_path_factory.mktemp("house")
                for file, text in getattr(request.module, "FILES", {}).items():
                    (folder / file).write_text(text)
                settings = getattr(request.module, "SETTINGS", {})
                house = House(folder, settings, getattr(request.module, "COMMAND", None), dialect)
                houses[name, dialect] = stack.enter_context(house)
                begin(house, name, dialect, request.session.items)
            return houses[name, dialect]

        yield find


@pytest.fixture
def dialect() -> str:
    """Of the models in a scene that does not say `both`."""
    return REALTIME


@pytest.fixture
def house(request: pytest.FixtureRequest, house_of: HouseOf, dialect: str) -> House:
    return house_of(request, dialect)


def name_of(module: ModuleType) -> str:
    return getattr(module, "HOUSE", module.__name__)


def begin(house: House, name: str, dialect: str, items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and name_of(item.module) == name and is_scene(item.obj):
            parameters = dict(item.callspec.params) if hasattr(item, "callspec") else {}
            if parameters.pop("dialect", REALTIME) == dialect:
                house.begin(item.nodeid, item.obj(house, **parameters))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each house is one worker's, and in it those with a stream come last."""
    ours = {item for item in items if item.path.parent == HERE}
    for item in ours:
        if isinstance(item, pytest.Function):
            item.add_marker(pytest.mark.xdist_group(name_of(item.module)))
    items.sort(key=lambda item: item in ours and isinstance(item, pytest.Function) and dialect_of(item) == LIVE)


def dialect_of(item: pytest.Function) -> str:
    return str(item.callspec.params.get("dialect", REALTIME)) if hasattr(item, "callspec") else REALTIME


def is_scene(function: object) -> bool:
    return inspect.iscoroutinefunction(function)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_scene(pyfuncitem.obj):
        return None
    pyfuncitem.funcargs["house"].result(pyfuncitem.nodeid)
    return True
