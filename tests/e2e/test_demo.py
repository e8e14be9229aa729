"""`fastbridge demo` in an empty directory, with either model and with an agent of somebody's own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

OURS = "Maple Street Dental, good morning! How can I help you?"
THEIRS = "Rosa's, good evening! How can I help?"
AGENT = f"""
from fastbridge import Agent

agent = Agent(greeting="{THEIRS}", model="gpt-live-1")
"""
TIMING = "✗ no gap over 40 ms inside a response"
"""On a machine that is busy with other tests."""


@pytest.mark.parametrize(
    ("arguments", "checks", "greeting", "is_live"),
    [([], 12, OURS, False), (["--model", "live"], 12, OURS, True), (["mine.py:agent"], 10, THEIRS, True)],
    ids=["realtime", "live", "own agent"],
)
def test_a_demo_keeps_every_promise(
    tmp_path: Path, arguments: list[str], checks: int, greeting: str, is_live: bool
) -> None:
    (tmp_path / "mine.py").write_text(AGENT)
    command = [sys.executable, "-m", "fastbridge", "demo", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    said = done.stdout.splitlines()
    failed = [line for line in said if line.startswith("✗")]
    assert [line for line in failed if not line.startswith(TIMING)] == [], done.stderr
    [sentence] = [line for line in said if " invariants held in a call of " in line]
    assert sentence.startswith(f"{checks - len(failed)} of {checks} invariants held")
    assert ("that never paused" in sentence) == is_live
    record = json.loads((tmp_path / "fastbridge-demo" / "call.json").read_text())
    assert record["turns"][0]["text"] == greeting
    assert ("utterances" in record["model_events"]) == is_live
