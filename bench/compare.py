"""Is every kernel still as much faster than its slow twin as it was? Ratios within one run, never times.

    compare.py build/bench/kernels.json [--load LOAD.json]

Prints kernel, time of the oracle, time of the compiled module, and their ratio; exits with 1 when a ratio lies under
its floor. The floors are generous, a quarter or less of what was measured: they catch a kernel that lost its point (a
table rebuilt per call, a Python call in a loop), not a bad day of the machine. Twins run one behind the other, and the
fastest round counts: noise only ever adds.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

KERNEL_FLOORS = {
    "scan twilio media": 15.0,
    "scan realtime delta": 5.0,
    "base64 decode frame": 5.0,
    "base64 decode delta": 5.0,
    "base64 encode frame": 0.8,
    "mulaw decode frame": 80.0,
    "rms frame": 80.0,
    "detector frame": 5.0,
    "append message": 7.0,
    "media message": 3.0,
    "ring append delta": 4.0,
    "ring copy frame": 0.8,
    "websocket frame in": 80.0,
    "websocket frame out": 0.8,
    "websocket masked frame out": 60.0,
    "dsp frame": 100.0,
    "caller lane frame": 50.0,
    "caller lane frame with dsp": 50.0,
    "assistant lane delta": 2.5,
    "pacer tick, 1 lane": 6.0,
    "pacer tick, 100 lanes": 6.0,
    "pacer tick, 400 lanes": 5.0,
    "pacer idle tick, 400 lanes": 5.0,
}
"""Kernel -> the least ratio oracle / compiled. Encoding, the ring and an unmasked frame are C in Python, too."""

LOAD_FLOORS = {"cpu_50_calls": 1.5, "cpu_100_calls": 1.5}
"""Name of a ratio in the load report -> its least value."""


class Kernel(NamedTuple):
    name: str
    oracle_us: float
    compiled_us: float

    @property
    def ratio(self) -> float:
        return self.oracle_us / self.compiled_us


def read_kernels(report: Mapping[str, Any]) -> list[Kernel]:
    """The kernels of a pytest-benchmark report, in the order of their floors; what ran on one twin only is left out."""
    times: dict[str, dict[str, float]] = {}
    for benchmark in report["benchmarks"]:
        parameters = dict(benchmark["params"] or {})
        twin = parameters.pop("twin", "")
        name = benchmark["name"].partition("[")[0].removeprefix("bench_").replace("_", " ")
        name += "".join(f", {value} {key}" if value != 1 else f", 1 {key[:-1]}" for key, value in parameters.items())
        calls = benchmark["extra_info"].get("calls", 1)
        times.setdefault(name, {})[twin] = benchmark["stats"]["min"] * 1e6 / calls
    both = [name for name, twins in times.items() if twins.keys() >= {"oracle", "compiled"}]
    order = [*KERNEL_FLOORS, *both]
    return [Kernel(name, times[name]["oracle"], times[name]["compiled"]) for name in sorted(both, key=order.index)]


def below_floor(ratios: Mapping[str, float], floors: Mapping[str, float]) -> list[str]:
    """One sentence for each ratio under its floor, and for each floor whose ratio was not measured.

    Ratios are this run's: larger is better, 1.0 is "as good as the rival". The same for kernels (oracle / compiled) and
    for a load report (rival / fastbridge, for whatever both were measured on).
    """
    missing = [f"{name}: not measured" for name in floors if name not in ratios]
    return missing + [
        f"{name}: ratio {ratio:.2f} is under its floor {floors[name]:g}"
        for name, ratio in ratios.items()
        if name in floors and not ratio >= floors[name]
    ]


def table(kernels: list[Kernel]) -> str:
    width = max((len(kernel.name) for kernel in kernels), default=0)
    lines = [f"{'kernel':<{width}}  {'oracle us':>10}  {'compiled us':>11}  {'ratio':>7}  {'floor':>5}"]
    for kernel in kernels:
        floor = KERNEL_FLOORS.get(kernel.name)
        lines.append(
            f"{kernel.name:<{width}}  {kernel.oracle_us:>10.2f}  {kernel.compiled_us:>11.3f}  {kernel.ratio:>7.1f}"
            f"  {'' if floor is None else format(floor, 'g'):>5}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Print the kernels' table; fail on a gross regression.")
    parser.add_argument("kernels", type=Path, help="the JSON report of pytest-benchmark")
    parser.add_argument("--load", type=Path, help='a load report: JSON with "ratios": {name: rival / fastbridge}')
    options = parser.parse_args(arguments)
    kernels = read_kernels(json.loads(options.kernels.read_text()))
    print(table(kernels))
    complaints = below_floor({kernel.name: kernel.ratio for kernel in kernels}, KERNEL_FLOORS)
    complaints += [f"{kernel.name}: has no floor" for kernel in kernels if kernel.name not in KERNEL_FLOORS]
    if options.load is not None:
        ratios = json.loads(options.load.read_text())["ratios"]
        complaints += below_floor(ratios, LOAD_FLOORS)
        print("".join(f"\nload: {name}: {ratio:.2f}" for name, ratio in ratios.items()))
    for complaint in complaints:
        print(f"REGRESSION {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
