"""The plugin that pytest loads beside every project: three fixtures, and nothing until one is asked for."""

import subprocess
import sys
from pathlib import Path

ALONE = """
import sys

def test_nothing_is_loaded():
    heavy = {"numpy", "pydantic", "openai", "twilio", "httpx2", "websockets"}
    heavy |= {"fastbridge.sim", "fastbridge.agent", "fastbridge.testing"}
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
FAST = """
import time
from fastbridge.sim import AfterMs, HangUp, Say, Scenario

def test_it_answers(fastbridge_call):
    began = time.monotonic()
    scenario = Scenario(greeting=Say("Hello."))
    call = fastbridge_call("beside:agent", [HangUp(AfterMs(60_000))], scenario, patience_ms=61_000)
    assert not call.errors and call.report.duration_ms >= 60_000
    assert time.monotonic() - began < 30

async def body(fastbridge_call):
    assert fastbridge_call("beside:agent", [HangUp(AfterMs(3000))]).errors == []

def test_in_an_async_one_it_is_the_same(fastbridge_call):
    import asyncio
    asyncio.run(body(fastbridge_call))
"""


def pytest_in(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", "-W", "error"]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_unused_it_costs_nothing_and_adds_three_names(tmp_path: Path) -> None:
    (tmp_path / "test_alone.py").write_text(ALONE)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
    names = [line for line in pytest_in(tmp_path, "--fixtures").stdout.splitlines() if line.startswith("fastbridge_")]
    assert [line.split()[0] for line in names] == ["fastbridge_call", "fastbridge_model", "fastbridge_node"]


def test_a_plain_function_calls_an_agent_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from fastbridge import Agent\nagent = Agent(greeting='Hello.')\n")
    (tmp_path / "test_used.py").write_text(USED)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_plain_function_calls_it_on_virtual_time(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("from fastbridge import Agent\nagent = Agent(greeting='Hello.')\n")
    (tmp_path / "test_fast.py").write_text(FAST)
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
