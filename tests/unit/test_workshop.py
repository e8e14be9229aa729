"""workshop: what `fastbridge demo`, `load` and `tune` are given, and what of it cannot be."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from environment import clear_environment
from fastbridge.cli import app
from fastbridge.errors import ConfigError

AGENTS = """
from fastbridge.agent import Agent

day, night, live = Agent(greeting="Hello."), Agent(), Agent(greeting="Hello.", model="gpt-live-1")
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "workshop_agents.py").write_text(AGENTS)
    monkeypatch.delitem(sys.modules, "workshop_agents", raising=False)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), catch_exceptions=True)


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    """A part of the workshop that only writes down what it is given."""
    module = ModuleType(f"fastbridge.sim.{name}")
    for function, value in functions.items():
        setattr(module, function, value)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_tune_is_handed_its_options_and_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    stand_in(monkeypatch, "tune", run=lambda *files, **options: given.append((files, options)))
    monkeypatch.setenv("BARGE_IN_FRAMES", "7")
    assert run("tune", "call.wav", "--assistant", "it.wav", "--out", "t.png", "--no-echo").exit_code == 0
    assert run("tune", "call.wav", "--frames", "3", "--sensitivity-db", "2").exit_code == 0
    defaults = {"min_level_dbfs": -54.0, "sensitivity_db": 0.0, "frames": 7, "echo": True}
    assert given == [
        ((Path("call.wav"), Path("it.wav"), Path("t.png")), {**defaults, "echo": False}),
        ((Path("call.wav"), None, None), {**defaults, "frames": 3, "sensitivity_db": 2.0}),
    ]


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--out", "there", "--wav", "me.wav", "--wav", "too.wav"], {"out": "there", "wav": ["me.wav", "too.wav"]}),
        (["--model", "live"], {"live": True}),
        (["--model", "realtime"], {}),
        (["workshop_agents:day"], {"agent": "workshop_agents:day"}),
        (["workshop_agents:day", "--model", "live"], {"agent": "workshop_agents:day", "live": True}),
        (["workshop_agents:night"], {"agent": "workshop_agents:night", "greeted": False}),
        (["workshop_agents:live"], {"agent": "workshop_agents:live"}),
        (["workshop_agents:live", "--model", "live"], {"agent": "workshop_agents:live", "live": True}),
    ],
    ids=" ".join,
)
def test_demo_is_handed_its_options(
    monkeypatch: pytest.MonkeyPatch, words: list[str], options: dict[str, object]
) -> None:
    given: list[dict[str, Any]] = []
    stand_in(monkeypatch, "demo", run=lambda **options: given.append(options) or 3)
    assert run("demo", *words).exit_code == 3
    [found] = given
    found = found | {"out": str(found["out"]), "wav": [str(each) for each in found["wav"]]}
    assert found == {
        "out": "fastbridge-demo",
        "wav": [],
        "agent": None,
        "greeted": True,
        "live": False,
        **options,
    }


def test_demo_of_a_call_out_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "demo_outbound", run=lambda out: 3 if str(out) == "there" else 4)
    assert run("demo", "--outbound", "--out", "there").exit_code == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["demo", "workshop_agents:noon"], "workshop_agents has no Agent called 'noon'"),
        (["demo", "workshop_agents:live", "--model", "realtime"], "a model of its own, gpt-live-1"),
        (["demo", "--outbound", "--wav", "me.wav"], "leave out the agent, --model and --wav"),
        (["demo", "--outbound", "--model", "live"], "leave out the agent, --model and --wav"),
        (["load", "--calls", "many"], "--calls takes numbers"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_is_a_sentence(words: list[str], sentence: str) -> None:
    found = run(*words).exception
    assert isinstance(found, ConfigError)
    assert sentence in str(found)


@pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")
def test_load_is_handed_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastbridge.sim import load_command
    from fastbridge.sim.load import Options

    given: list[Any] = []
    monkeypatch.setattr(load_command, "main", lambda options, **paths: given.append((options, paths)) or 3)
    assert run("load").exit_code == run("load", "--model", "live", "--calls", "5", "--json", "x").exit_code == 3
    assert given == [
        (Options(calls=(50, 100)), {"json_path": None, "plot_path": None}),
        (Options(calls=(5,), model="live"), {"json_path": Path("x"), "plot_path": None}),
    ]
    assert given[1][0].delta_bytes == 160
    assert run("load", "--model", "gpt").exit_code == 2
