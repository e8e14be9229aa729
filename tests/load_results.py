"""Results of load runs that never ran, for tests of what is made of them."""

from typing import Any, NamedTuple

from fastbridge._measure import Histogram
from fastbridge.sim.load_report import Result, summary
from fastbridge.sim.load_usage import CoreTime, Usage

NAMES = (
    "uplink",
    "truncate_error",
    "spacing",
    "lead",
    "late",
    "send_lateness",
    "response_to_first_frame",
    "start_to_first_frame",
    "barge_in",
)
INTEGRITY = [
    "faults",
    "lost",
    "altered",
    "repeated",
    "foreign",
    "padding",
    "silence",
    "resumed",
    "undelivered",
    "marks_overflowed",
    "uplink_skipped",
]


class Moment(NamedTuple):
    at_s: float = 0.0
    bridge: Usage = Usage()
    relay: Usage = Usage()
    own_ms: float = 0.0
    bridge_core: CoreTime = CoreTime()
    players_core: CoreTime = CoreTime()
    lag: dict[float, float] = {}  # noqa: RUF012 - never changed


BEFORE = Moment(100.0, Usage(cpu_ms=1000, rss_kb=90_000), players_core=CoreTime(0, 0, 1))
AFTER = Moment(
    110.0,
    Usage(cpu_ms=3000, user_ms=500, system_ms=1500, voluntary=5000, rss_kb=91_000, tasks=5),
    Usage(),
    2500.0,
    CoreTime(2050, 0, 10_000),
    CoreTime(2600, 0, 10_001),
)


def counts(**changes: int) -> dict[str, int]:
    from fastbridge._loadmodel import Model
    from fastbridge.sim import load_events

    zero = Model(calls=1, scripts=load_events.scripts(), quiet=load_events.quiet(), voice=load_events.voice()).counts
    return {**zero, "frames_sent": 5000, "frames_arrived": 5000, "barges": 4, **changes}


def result(
    bridge: str = "fastbridge",
    calls: int = 100,
    *,
    held: int | None = None,
    changed: dict[str, int] | None = None,
    integrity: dict[str, int] | None = None,
    after: Moment = AFTER,
    shared_core: bool = False,
    **facts: Any,
) -> Result:
    histograms = {name: Histogram() for name in NAMES}
    for each in (900_000, 1_000_000, 1_100_000, 4_000_000):
        histograms["uplink"].add(each)
    for each in (18_700_000, 20_000_000, 20_600_000):
        histograms["spacing"].add(each)
    told = {"seconds": 10.0, "bridge": bridge, "tls": True, "barge": False, "dsp": bridge == "fastbridge", **facts}
    return summary(
        told | {"calls": calls, "held": calls if held is None else held, "setup_failures": []},
        counts=counts(**(changed or {})),
        integrity={**dict.fromkeys(INTEGRITY, 0), **(integrity or {})},
        histograms=histograms,
        idle=Usage(rss_kb=80_000),
        before=BEFORE,
        after=after,
        has_pid=True,
        shared_core=shared_core,
    )
