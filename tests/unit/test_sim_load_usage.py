import os
import subprocess
import sys

import pytest

from fastbridge.errors import ConfigError
from fastbridge.sim.load_usage import CoreTime, core_time, family, first_in_line, foreign_share, pinned, usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")

CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"


def test_our_own_usage_grows_as_we_work():
    before = usage(os.getpid())
    sum(number * number for number in range(300_000))
    after = usage(os.getpid())
    assert after.cpu_ms > before.cpu_ms > 0
    assert after.rss_kb > 1000
    assert after.tasks >= 1
    assert after.voluntary >= before.voluntary


def test_a_process_counts_with_its_children():
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(family(process.pid)) == 2
        assert usage(process.pid).tasks >= 2
        process.communicate(b"\n")
    assert usage(process.pid).tasks == 0, "it is gone"


def test_a_core_and_one_that_is_not_there():
    cpu = min(os.sched_getaffinity(0))
    assert core_time(cpu).total_ms > core_time(cpu).busy_ms > 0
    assert core_time(9999) == CoreTime()


def test_what_others_used_of_a_core():
    before, after = CoreTime(100, 0, 1000), CoreTime(700, 0, 2000)
    assert foreign_share(before, after, 500) == pytest.approx(0.1)
    assert foreign_share(before, after, 900) == 0
    assert foreign_share(before, before, 0) == 0


def test_a_child_runs_where_it_was_pinned():
    mine = os.sched_getaffinity(0)
    with pinned({min(mine)}):
        shown = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"], capture_output=True)
    assert shown.stdout.decode().strip() == str({min(mine)})
    assert os.sched_getaffinity(0) == mine


def test_without_the_right_to_real_time_it_says_so(monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with pytest.raises(ConfigError, match="root"):
        first_in_line()
