"""What a process costs, as Linux counts it: CPU time, memory, context switches; and who else used its core.

CPU is the scheduler's own sum over all tasks, in nanoseconds; the kernel's work in a process's system calls is in it.
Read from /proc before and after a window. A process that is gone counts nothing.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastbridge.errors import ConfigError

REALTIME_PRIORITY = 5
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and all its descendants, since each began. `cpu_ms` is exact, user and system are in ticks."""

    cpu_ms: float = 0.0
    user_ms: float = 0.0
    system_ms: float = 0.0
    voluntary: int = 0
    involuntary: int = 0
    rss_kb: int = 0
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class CoreTime:
    """One CPU's time since boot. Niced work is left out of `busy_ms`: it gives way to all other."""

    busy_ms: float = 0.0
    steal_ms: float = 0.0
    total_ms: float = 0.0


def usage(pid: int) -> Usage:
    """What the process and its descendants have used so far."""
    cpu_ns = voluntary = involuntary = rss_kb = tasks = 0
    ticks = [0, 0]
    for each in family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = _stat(each)
            ticks = [ticks[0] + int(fields[11]), ticks[1] + int(fields[12])]
            rss_kb += _number(Path(f"/proc/{each}/status"), "VmRSS")
        for task in _tasks(each):
            with contextlib.suppress(OSError, ValueError):
                cpu_ns += int((task / "schedstat").read_text().split()[0])
                voluntary += _number(task / "status", "voluntary_ctxt_switches")
                involuntary += _number(task / "status", "nonvoluntary_ctxt_switches")
                tasks += 1
    return Usage(cpu_ns / 1e6, ticks[0] * TICK_MS, ticks[1] * TICK_MS, voluntary, involuntary, rss_kb, tasks)


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def core_time(cpu: int) -> CoreTime:
    """How one CPU has spent its time. Zeros where there is no such CPU."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name == f"cpu{cpu}":
            user, nice, system, idle, waiting, irq, softirq, steal = (int(value) * TICK_MS for value in values[:8])
            busy = user + system + irq + softirq
            return CoreTime(busy, steal, busy + nice + idle + waiting + steal)
    return CoreTime()


def foreign_share(before: CoreTime, after: CoreTime, own_ms: float) -> float:
    """The share of a CPU that was used by anybody else, in a time in which we used `own_ms` of it."""
    total = after.total_ms - before.total_ms
    return max(0.0, (after.busy_ms - before.busy_ms - own_ms) / total) if total > 0 else 0.0


@contextlib.contextmanager
def pinned(cpus: set[int], realtime: bool = False) -> Iterator[None]:
    """What is started within runs on these CPUs, and before all else there if `realtime`: children inherit both.

    ConfigError without the right to it.
    """
    before = os.sched_getaffinity(0)
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setaffinity(0, cpus)
    try:
        if realtime:
            first_in_line()
        yield
    finally:
        if realtime:
            os.sched_setscheduler(0, policy, priority)
        os.sched_setaffinity(0, before)


def first_in_line() -> None:
    """This thread goes before all ordinary ones. ConfigError without the right to it."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REALTIME_PRIORITY))
    except PermissionError:
        raise ConfigError("--realtime needs the right to real-time scheduling (root, or CAP_SYS_NICE).") from None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything: state, parent, ..."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _number(path: Path, key: str) -> int:
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    return 0
