"""The plugin that pytest loads beside every project: two fixtures, and nothing until one is asked for."""

import subprocess
import sys
from pathlib import Path

ALONE = """
import sys

def test_nothing_is_loaded():
    heavy = {"numpy", "pydantic", "openai", "twilio", "httpx2", "websockets", "fastbridge.sim", "fastbridge.agent"}
    assert "fastbridge.pytest_plugin" in sys.modules
    assert not heavy & sys.modules.keys()
"""
USED = """
from fastbridge.sim import AfterMs, HangUp, Say, Scenario

def test_it_answers(fastbridge_model, fastbridge_node):
    fastbridge_model.scenario = Scenario(greeting=Say("Hello."))
    node = fastbridge_node("beside:agent", FASTBRIDGE_SILENCE_SECONDS="7")
    report = node.call([HangUp(AfterMs(1500))])
    assert not report.errors and not fastbridge_model.errors
    assert node.record(report)["end_reason"] == "customer_hangup"
    assert fastbridge_model.sessions
    assert "[CALL_END]" in node.log()
"""


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", "-W", "error"]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_unused_it_costs_nothing_and_adds_two_names(tmp_path: Path) -> None:
    (tmp_path / "test_alone.py").write_text(ALONE)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
    names = [line for line in pytest_in(tmp_path, "--fixtures").stdout.splitlines() if line.startswith("fastbridge_")]
    assert [line.split()[0] for line in names] == ["fastbridge_model", "fastbridge_node"]


def test_a_plain_function_calls_an_agent_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from fastbridge import Agent\nagent = Agent(greeting='Hello.')\n")
    (tmp_path / "test_used.py").write_text(USED)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
