"""Fifty calls in conversation, and a campaign beside them on the same node: does a caller hear that it runs?

    python bench/outbound_beside.py --calls 50 --campaign 500 --rate 20

One node on a CPU of its own; `fastbridge load` plays the live calls and measures them, without the campaign and then
with it. Campaign, callees and the simulated REST API share the other CPU with the players, so that a part of what is
worse with them may be the players' own lateness, which the table has too.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console

from fastbridge.sim import CarrierApi, NodeProcess, load, load_bridge
from fastbridge.sim.load import Options
from fastbridge.sim.load_report import table, verdict
from fastbridge.sim.node import free_port
from outbound import CALLEES, FROM, KEY, campaign


async def run(calls: int, placed: int, rate: float, seconds: float) -> list[dict[str, Any]]:
    """What was measured alone, and beside the campaign."""
    dice = random.Random(1)
    numbers = [f"+1415{2_000_000 + index}" for index in range(placed)]
    ends = dice.choices(list(CALLEES), k=placed)
    folder, port = Path(tempfile.mkdtemp(prefix="fastbridge-beside-")), free_port()
    (folder / "list.csv").write_text("to,name\n" + "".join(f"{number},Dana\n" for number in numbers))
    node = NodeProcess(f"http://127.0.0.1:{port}/v1")
    callees = {number: CALLEES[end] for number, end in zip(numbers, ends, strict=True)}
    async with CarrierApi(node.account_sid, node.auth_token, callees=callees) as api:
        node.set(
            DATABASE_URL=f"sqlite:///{folder / 'x.db'}",
            FASTBRIDGE_API_KEYS=KEY,
            FASTBRIDGE_TWILIO_API_URL=api.url,
            TWILIO_PHONE_NUMBER=FROM,
            **load_bridge.settings(calls + placed, dsp=True, greeting=True),
        )
        cpus = sorted(os.sched_getaffinity(0))
        async with node:
            for thread in os.listdir(f"/proc/{node.pid}/task"):
                os.sched_setaffinity(int(thread), {cpus[0]})
            options = Options(
                calls=(calls,),
                seconds=seconds,
                bridge=node.url,
                pid=node.pid,
                model_port=port,
                auth_token=node.auth_token,
                account_sid=node.account_sid,
                dsp=True,
            )
            alone = await measured(options, calls, None)
            beside = await measured(options, calls, campaign(folder, node.url, rate, at_once=300))
            return [alone, beside]


async def measured(options: Options, calls: int, beside: Coroutine[Any, Any, int] | None) -> dict[str, Any]:
    """beside: begun when the window opens."""
    tasks: list[asyncio.Task[int]] = []

    def progress(step: str, share: float) -> None:
        if step == "measuring" and beside is not None and not tasks:
            tasks.append(asyncio.get_running_loop().create_task(beside))

    result = await load.run(options, calls, progress)
    for task in tasks:
        code = await task
        print(f"the campaign's exit code: {code}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--campaign", type=int, default=500)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results = asyncio.run(run(given.calls, given.campaign, given.rate, given.seconds))
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    Console().print(table(results))
    for name, result in zip(("alone", "beside a campaign"), results, strict=True):
        print(f"{name}: {verdict(result)}")
        spacing, uplink = result["downlink"]["spacing"], result["uplink"]["latency"]
        print(f"  least spacing {spacing['min']:.1f} ms, uplink p50 {uplink['p50']:.2f} ms, p99 {uplink['p99']:.2f} ms")


if __name__ == "__main__":
    main()
