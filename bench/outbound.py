"""Calls out by the thousand, with everything going wrong that can: does each end once, and as it should?

    python bench/outbound.py --calls 2000 --rate 20

A node, its API, `fastbridge campaign` in a process of its own, and the simulated REST API, of whose requests a share
meets each fault, and of whose callbacks a share is late, doubled, overtaken or lost. At the end the campaign's results,
the database's records and what was really dialled are held against each other. What calls beside it notice of a
campaign is measured by outbound_beside.py.
"""

import argparse
import asyncio
import csv
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fastbridge.sim import CarrierApi, ModelServer, NodeProcess, Say, Scenario
from fastbridge.sim.callee import Callee
from fastbridge.sim.twilio_callbacks import Mishaps
from fastbridge.sim.twilio_faults import RESET, RESET_AFTER, Fault

KEY = "bench-key-of-twenty-four"
FROM = "+14155550100"
CALLEES = {
    "completed": Callee(rings_seconds=0.3, hangs_up_after_seconds=1.0),
    "busy": Callee(rings_seconds=0.2, outcome="busy"),
    "no-answer": Callee(rings_seconds=0.2, outcome="no-answer"),
    "failed": Callee(rings_seconds=0.2, outcome="failed", error_code=13224),
}
SHARES = {"completed": 1, "busy": 3, "no-answer": 3, "failed": 3}
MOST_SECONDS = 300.0
"""Beyond what its rate takes: lost answers and callbacks are each waited for."""
REASONS = {"busy": "busy", "no-answer": "no_answer", "failed": "failed"}


async def run(calls: int, rate: float, share: float, seed: int) -> int:
    dice = random.Random(seed)
    numbers = [f"+1415{2_000_000 + index}" for index in range(calls)]
    ends = dict(zip(numbers, dice.choices(list(SHARES), list(SHARES.values()), k=calls), strict=True))
    folder = Path(tempfile.mkdtemp(prefix="fastbridge-outbound-"))
    faults: dict[Fault, float] = {429: share, 500: share, 503: share, RESET: share, RESET_AFTER: share}
    fates = Mishaps(seed, delayed=share, reordered=share, doubled=share, dropped=share)
    (folder / "list.csv").write_text("to,name\n" + "".join(f"{number},Dana\n" for number in numbers))
    async with ModelServer(Scenario(greeting=Say("Hello!"))) as model:
        node = NodeProcess(model.base_url)
        async with CarrierApi(
            node.account_sid,
            node.auth_token,
            callees={number: CALLEES[end] for number, end in ends.items()},
            fault_shares=faults,
            callback_fate=fates,
            seed=seed,
        ) as api:
            database = folder / "x.db"
            node.set(
                DATABASE_URL=f"sqlite:///{database}",
                FASTBRIDGE_API_KEYS=KEY,
                FASTBRIDGE_TWILIO_API_URL=api.url,
                TWILIO_PHONE_NUMBER=FROM,
            )
            async with node:
                began_s = time.monotonic()
                code = await campaign(folder, node.url, rate, limit_seconds=calls / rate + MOST_SECONDS)
                took_s = time.monotonic() - began_s
                await asyncio.sleep(75)  # conversations without a record of their own get one
                return judge(folder, database, api, ends, took_s, code)


async def campaign(folder: Path, url: str, rate: float, *, at_once: int = 500, limit_seconds: float = 3600.0) -> int:
    """`fastbridge campaign list.csv` of that folder: its exit code."""
    command = ["campaign", "list.csv", "--rate", str(rate), "--at-once", str(at_once), "--hours", "any"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fastbridge", *command, "--retry", "busy:0:1", "--node", url),
        cwd=folder,
        env={"FASTBRIDGE_API_KEY": KEY, "PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1"},
    )
    try:
        return await asyncio.wait_for(process.wait(), limit_seconds)
    except TimeoutError:
        process.terminate()
        print("the campaign did not end")
        return await process.wait()


def judge(folder: Path, database: Path, api: CarrierApi, ends: dict[str, str], took_s: float, code: int) -> int:
    """Prints what it finds; the number of faults."""
    with (folder / "list.results.csv").open(newline="") as file:
        results = list(csv.DictReader(file))
    with sqlite3.connect(database) as connection:
        documents = [json.loads(text) for (text,) in connection.execute("select record from fastbridge_calls")]
    records = Counter(document["outbound_id"] for document in documents)
    by_id: dict[str, dict[str, Any]] = {document["outbound_id"]: document for document in documents}
    dialled = Counter(api.dialled)
    wrong: Counter[str] = Counter()
    for row in results:
        to, outcome = row["to"], row["outcome"]
        placed, found = dialled[to], by_id.get(row["id"])
        wrong["dialled twice"] += placed > 1
        wrong["another outcome"] += outcome != (ends[to] if placed else "failed")
        wrong["not one record"] += records[row["id"]] != 1
        if found is not None and outcome in REASONS:
            wrong["another end in its record"] += found["end_reason"] != REASONS[outcome]
    print(f"{len(results)} calls in {took_s:.0f} s, {len(results) / took_s:.1f} a second; exit code {code}")
    print("outcomes", dict(Counter(row["outcome"] for row in results)))
    print("of these never placed", sum(not dialled[row["to"]] for row in results))
    print("callbacks", dict(Counter(str(fate) for fate, _ in api.callbacks.fates)))
    print("wrong", {name: count for name, count in wrong.items() if count} or "nothing")
    return sum(wrong.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--share", type=float, default=0.1, help="of each failure")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    raise SystemExit(min(asyncio.run(run(given.calls, given.rate, given.share, given.seed)), 1))


if __name__ == "__main__":
    main()
