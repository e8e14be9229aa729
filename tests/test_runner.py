"""What the tests want of their runner and no test of theirs would say."""

import subprocess
import sys
from pathlib import Path

TESTS = """
import os
import pytest

@pytest.mark.xdist_group("a")
@pytest.mark.parametrize("number", range(4))
def test_group(number):
    print(os.environ["PYTEST_XDIST_WORKER"])
"""


def test_tests_of_a_group_go_to_one_worker(tmp_path: Path) -> None:
    """Without a word, some versions of pytest and pytest-xdist together give each worker some of them."""
    (tmp_path / "test_them.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=True)
    workers = [line for line in done.stdout.splitlines() if line in ("gw0", "gw1")]
    assert len(workers) == 4
    assert len(set(workers)) == 1
