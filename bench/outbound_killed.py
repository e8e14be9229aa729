"""A node that is killed, again and again, while it places calls: is each call there once, with one end?

    python bench/outbound_killed.py --kills 50

SIGKILL at random moments, another node in its place, `fastbridge campaign` beside it all the time. The callees are
busy, away, out of order, or take the call and hang up, some of them while no node is there. At the end campaign,
database and what was really dialled are held against each other.
"""

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from fastbridge.sim import CarrierApi, ModelServer, NodeProcess, Say, Scenario
from outbound import CALLEES, FROM, KEY, SHARES, campaign, judge

SETTLE_SECONDS = 150.0
"""After the last kill: what the carrier's callbacks told nobody is asked of it, one look a minute, and a conversation
without a record of its own gets one after another minute."""


async def run(kills: int, rate: float, seed: int) -> int:
    """The number of faults found."""
    dice = random.Random(seed)
    pauses = [dice.uniform(0.5, 8.0) for _ in range(kills)]
    numbers = [f"+1415{2_000_000 + index}" for index in range(int(rate * sum(pauses)))]
    ends = dict(zip(numbers, dice.choices(list(SHARES), list(SHARES.values()), k=len(numbers)), strict=True))
    folder = Path(tempfile.mkdtemp(prefix="fastbridge-killed-"))
    (folder / "list.csv").write_text("to,name\n" + "".join(f"{number},Dana\n" for number in numbers))
    async with ModelServer(Scenario(greeting=Say("Hello!"))) as model:
        node = NodeProcess(model.base_url, log=folder / "node.log")
        callees = {number: CALLEES[end] for number, end in ends.items()}
        async with CarrierApi(node.account_sid, node.auth_token, callees=callees) as api:
            node.set(
                DATABASE_URL=f"sqlite:///{folder / 'x.db'}",
                FASTBRIDGE_API_KEYS=KEY,
                FASTBRIDGE_TWILIO_API_URL=api.url,
                TWILIO_PHONE_NUMBER=FROM,
            )
            async with node:
                began_s = time.monotonic()
                placing = asyncio.create_task(campaign(folder, node.url, rate))
                for number, pause in enumerate(pauses, 1):
                    await asyncio.sleep(pause)
                    await node.kill()
                    await node.start_again()
                    print(f"\rkilled {number} times, {len(api.dialled)} dialled", end="", flush=True)
                code = await asyncio.wait_for(placing, 600)
                took_s = time.monotonic() - began_s
                await asyncio.sleep(SETTLE_SECONDS)
                print(f"\nkilled {kills} times")
                return judge(folder, folder / "x.db", api, ends, took_s, code)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    raise SystemExit(min(asyncio.run(run(given.kills, given.rate, given.seed)), 1))


if __name__ == "__main__":
    main()
