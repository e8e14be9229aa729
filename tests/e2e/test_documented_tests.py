"""The tests that docs/testing-your-agent.md shows, with the README's agent, under plain pytest: they pass, in both
dialects, and without the agent they do not. Of the faults one is enough here; tests/e2e/test_faults.py has them all."""

import re
import subprocess
import sys
from pathlib import Path

import documented
from e2e.dialects import LIVE, MODELS, both

TESTS = [block for block in documented.blocks("python") if block.is_test]
COUNT = sum(len(re.findall(r"^(?:async )?def test_", block.text, re.MULTILINE)) for block in TESTS)
AGENT = next(block for block in documented.blocks("python") if "TABLES" in block.text)
ENOUGH = "not never_left_alone or 429"


def run(folder: Path, dialect: str = "") -> subprocess.CompletedProcess[str]:
    """In GPT-Live but for one word: whose sessions they are."""
    for number, block in enumerate(TESTS):
        text = documented.program([block])
        text = text.replace("model.sessions", "model.live_sessions") if dialect == LIVE else text
        (folder / f"test_page_{number}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "3", "-k", ENOUGH]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


@both
def test_they_pass(tmp_path: Path, dialect: str) -> None:
    agent = AGENT.text.replace('voice="marin"', f'voice="marin", model="{MODELS[dialect]}"')
    (tmp_path / "my_agent.py").write_text(agent)
    done = run(tmp_path, dialect)
    assert done.returncode == 0, done.stdout
    assert f"{COUNT} passed" in done.stdout


def test_they_fail_where_there_is_no_agent(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"{COUNT} failed" in done.stdout
