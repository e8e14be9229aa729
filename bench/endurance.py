"""Ten thousand calls through one node, wave after wave: `python bench/endurance.py`. Does its memory stay flat?

Each wave is brought up call by call as in `bench/load.py`, talks for a few seconds, and hangs up. When the node says
that no call is left, its resident memory is read. Without TLS. Everything stays on this machine and stops by itself.
"""

import argparse
import asyncio
import contextlib
import json
import math
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from fastbridge.errors import FastbridgeError
from fastbridge.sim import load, load_bridge
from fastbridge.sim.load import Options, Places
from fastbridge.sim.load_setup import Door, SetupError, configured, place_call
from fastbridge.sim.load_usage import usage
from fastbridge.sim.node import NodeProcess

EMPTY_SECONDS = 15.0
"""For a wave to be off the books."""


async def wave(node: NodeProcess, door: Door, options: Options, cpu: int) -> int:
    """One wave; how many of its calls came up."""
    [calls], up = options.calls, 0
    players = door.stage = load.make_players(options, calls)
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as http:
        async with load.playing(players, cpu, False, load.limit_seconds(options, calls)):
            for number in range(calls):
                door.caller = number
                with contextlib.suppress(SetupError):
                    await place_call(http, load_bridge.target_of(node), players, number)
                    up += await configured(players, up + 1)
            await asyncio.sleep(options.seconds)
            players.hang_up()
            await asyncio.sleep(load.GOODBYE_SECONDS)
        await emptied(http, node)
    return up


async def emptied(http: httpx2.AsyncClient, node: NodeProcess) -> None:
    """Wait until no call is on the node's books."""
    for _ in range(int(EMPTY_SECONDS * 10)):
        families = text_string_to_metric_families((await http.get(f"{node.url}/metrics")).text)
        if [family.samples[0].value for family in families if family.name == "fastbridge_calls_live"] == [0]:
            return
        await asyncio.sleep(0.1)
    raise FastbridgeError(f"Calls of a wave were still live {EMPTY_SECONDS:.0f} s after they had hung up.")


async def measure(arguments: argparse.Namespace) -> list[dict[str, float]]:
    options = Options(calls=(arguments.at_once,), seconds=arguments.seconds, tls=False)
    environment = load_bridge.settings(arguments.at_once, dsp=True, greeting=False)
    places, rows, done = Places.here(), [], 0
    async with (
        Door(load.make_players(options, arguments.at_once)) as door,
        load_bridge.started("fastbridge", f"http://127.0.0.1:{door.port}/v1", places.bridge, environment, ()) as node,
    ):
        for _ in range(math.ceil(arguments.calls / arguments.at_once)):
            up = await wave(node, door, options, places.players)
            if not up:
                raise FastbridgeError("No call of a wave came up.")
            done += up
            rows.append({"calls": done, "rss_mb": round(usage(node.pid).rss_kb / 1024, 1)})
            print(f"{done:6} calls  {rows[-1]['rss_mb']:7.1f} MB", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=250)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each wave talks")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    arguments = parser.parse_args()
    load.check(Options(calls=(arguments.at_once,), tls=False))
    rows = asyncio.run(measure(arguments))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows) + "\n")
    first, last = rows[len(rows) // 2], rows[-1]
    grown, calls = last["rss_mb"] - first["rss_mb"], last["calls"] - first["calls"]
    print(f"in the second half: {grown:+.1f} MB over {calls:.0f} calls")


if __name__ == "__main__":
    main()
