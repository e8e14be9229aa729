"""Every unit test of a compiled module runs on both twins; hypothesis runs under a named profile."""

import os
from collections.abc import Generator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import loops
from controller import ControllerRig
from twins import Twin

SLOW_ON_PURPOSE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("default", max_examples=100, deadline=None, suppress_health_check=SLOW_ON_PURPOSE)
settings.register_profile("ci", max_examples=500, deadline=None, print_blob=True, suppress_health_check=SLOW_ON_PURPOSE)
settings.register_profile(
    "thorough", max_examples=10_000, deadline=None, print_blob=True, suppress_health_check=SLOW_ON_PURPOSE
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)

SEED: int | None = None
LONGEST_NAME = 200
"""Characters of a test's parameter."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--compiled",
        action="store_true",
        help="only the tests that touch a compiled module: what the checked build runs",
    )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A long text is named by its length: as a name it would cost memory in every worker, and minutes when checked."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_NAME:
        return f"{argname} of {len(val)}"
    return None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--compiled"):
        kept = [item for item in items if touches_compiled(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def touches_compiled(item: pytest.Item) -> bool:
    """Not through others: it is given a compiled twin, or its file imports something of a compiled module."""
    assert isinstance(item, pytest.Function)
    if "twin" in item.fixturenames:
        return item.callspec.params.get("twin") != "oracle"
    modules = [value.__name__ for value in vars(item.module).values() if isinstance(value, ModuleType)]
    names = [getattr(value, "__module__", None) or "" for value in vars(item.module).values()]
    return any(name.startswith("fastbridge._") for name in (*modules, *names))


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed here, so that the header can print it and `--hypothesis-seed` can bring it back."""
    global SEED
    if getattr(config.option, "hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(int.from_bytes(os.urandom(4), "big"))
    SEED = config.option.hypothesis_seed


def pytest_report_header(config: pytest.Config) -> str:
    return f"hypothesis: HYPOTHESIS_PROFILE={PROFILE} --hypothesis-seed={SEED}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Half a character in a captured line would break the way from a worker to its runner."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture
def virtual_loops() -> Generator[None, None, None]:
    """What `loops.virtual` makes is closed behind the test."""
    yield
    while loops.VIRTUAL:
        loops.VIRTUAL.pop().close()


@pytest.fixture
def controller() -> Generator[ControllerRig, None, None]:
    """The response controller on a loop of its own; it leaves no timer behind."""
    loop = loops.VirtualLoop()
    rig = ControllerRig(loop)
    yield rig
    rig.close()
    assert (loop.failures, loop.pending_timers()) == ([], [])
    loop.close()


@pytest.fixture(params=list(loops.FACTORIES))
def on_loop(request: pytest.FixtureRequest) -> loops.OnLoop:
    """Runs a coroutine on a loop of each kind."""
    return loops.runner(request.param)


@pytest.fixture(scope="session", params=["oracle", "compiled"])
def twin(request: pytest.FixtureRequest) -> Twin:
    return Twin(request.param)


@pytest.fixture(scope="session")
def mulaw(twin: Twin) -> Any:
    return twin.mulaw


@pytest.fixture(scope="session")
def framing(twin: Twin) -> Any:
    return twin.framing


@pytest.fixture(scope="session")
def websocket(twin: Twin) -> Any:
    return twin.websocket


@pytest.fixture(scope="session")
def pacing(twin: Twin) -> Any:
    return twin.pacing


@pytest.fixture(scope="session")
def bargein(twin: Twin) -> Any:
    return twin.bargein


@pytest.fixture(scope="session")
def dsp(twin: Twin) -> Any:
    return twin.dsp


@pytest.fixture(scope="session")
def assistant(twin: Twin) -> Any:
    return twin.assistant


@pytest.fixture(scope="session")
def caller(twin: Twin) -> Any:
    return twin.caller


@pytest.fixture(scope="session")
def measure(twin: Twin) -> Any:
    return twin.measure


@pytest.fixture(scope="session")
def peer(twin: Twin) -> Any:
    return twin.peer
