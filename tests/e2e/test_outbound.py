"""Calls out through a real node, its API and its commands, to callees that a test gives, with what goes wrong there."""

import asyncio
import csv
import json
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from e2e.dialects import both, model_of
from fastbridge.sim import Callee, CarrierApi, HangUp, Mishaps, ModelServer, NodeProcess, Say, Scenario, Speak
from fastbridge.sim.twilio_faults import RESET, RESET_AFTER, Fault

KEY = "key-of-an-end-to-end-test"
TO = "+14155550101"
TALKS = Callee([Speak("caller_appointment"), HangUp()], rings_seconds=0.5)
SHORT = Callee(rings_seconds=0.3, hangs_up_after_seconds=0.7)
ENDS = {
    "completed": SHORT,
    "busy": Callee(rings_seconds=0.2, outcome="busy"),
    "no-answer": Callee(rings_seconds=0.2, outcome="no-answer"),
    "failed": Callee(rings_seconds=0.2, outcome="failed", error_code=13224),
}
OVER = {"completed", "busy", "no-answer", "failed", "canceled"}
LIMIT_SECONDS = 100.0


class Shop:
    """A node that places calls, and Twilio's API beside it."""

    def __init__(self, folder: Path, node: NodeProcess, api: CarrierApi, http: httpx2.AsyncClient) -> None:
        self.folder = folder
        self.node = node
        self.api = api
        self.http = http

    async def place(self, to: str = TO, **given: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{self.node.url}/calls", json={"to": to, **given})
        assert answer.is_success, answer.text
        call: dict[str, Any] = answer.json()
        return call

    async def over(self, call_id: str) -> dict[str, Any]:
        """The call, when it has ended."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while True:
                call: dict[str, Any] = (await self.http.get(f"{self.node.url}/calls/{call_id}")).json()
                if call["state"] in OVER:
                    return call
                await asyncio.sleep(0.2)

    async def records(self, count: int) -> list[dict[str, Any]]:
        """As soon as there are so many."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < deadline:
            with sqlite3.connect(self.folder / "x.db") as connection:
                found = [json.loads(text) for (text,) in connection.execute("select record from fastbridge_calls")]
            if len(found) >= count:
                break
            await asyncio.sleep(0.2)
        assert len(found) == count
        return found

    async def command(self, *words: str, **variables: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fastbridge", *words),
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "FASTBRIDGE_API_KEY": KEY, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), LIMIT_SECONDS)
        return process.returncode or 0, out.decode(), err.decode()


@asynccontextmanager
async def shop(folder: Path, settings: dict[str, str], **api: Any) -> AsyncIterator[Shop]:
    scenario = Scenario(greeting=Say("Hello, this is the clinic."), turns=[Say("We open at nine.")])
    async with (
        ModelServer(scenario) as model,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}, timeout=30.0) as http,
    ):
        node = NodeProcess(model.base_url, settings=settings)
        async with CarrierApi(node.account_sid, node.auth_token, **{"callees": {}, **api}) as twilio:
            node.set(
                DATABASE_URL=f"sqlite:///{folder}/x.db",
                FASTBRIDGE_API_KEYS=KEY,
                FASTBRIDGE_TWILIO_API_URL=twilio.url,
                TWILIO_PHONE_NUMBER="+14155550100",
            )
            async with node:
                yield Shop(folder, node, twilio, http)


def run(folder: Path, test: Callable[[Shop], Any], settings: dict[str, str] | None = None, **api: Any) -> Any:
    async def live() -> Any:
        async with shop(folder, settings or {}, **api) as found:
            return await test(found)

    return asyncio.run(live())


@both
def test_a_call_that_was_placed_is_a_conversation(tmp_path: Path, dialect: str) -> None:
    async def test(shop: Shop) -> None:
        placed = await shop.place(parameters={"name": "Dana"}, idempotency_key="k")
        again = await shop.place(parameters={"name": "Dana"}, idempotency_key="k")
        assert again["id"] == placed["id"]
        call = await shop.over(placed["id"])
        assert (call["state"], call["call_sid"]) == ("completed", placed["call_sid"])
        (record,) = await shop.records(1)
        assert (record["outbound_id"], record["direction"]) == (placed["id"], "outbound")
        assert [turn["text"] for turn in record["turns"]][:1] == ["Hello, this is the clinic."]
        assert len(record["turns"]) == 3
        assert shop.api.errors == []

    run(tmp_path, test, model_of(dialect), callees={TO: TALKS})


def test_a_node_that_drains_is_there_for_who_answers(tmp_path: Path) -> None:
    """Nobody has answered when it is told to end."""

    async def test(shop: Shop) -> None:
        await shop.place()
        started = time.monotonic()
        os.kill(shop.node.pid, signal.SIGTERM)
        assert await shop.node._process.wait() == 0  # type: ignore[union-attr]
        assert time.monotonic() - started > 3.0
        (record,) = await shop.records(1)
        assert (record["end_reason"], len(record["turns"])) == ("customer_hangup", 3)
        assert "[NODE] no new calls: it ends with the last, calls=1" in shop.node.log()

    run(tmp_path, test, callees={TO: Callee([Speak("caller_appointment"), HangUp()], rings_seconds=3.0)})


def test_the_command_tells_how_it_went(tmp_path: Path) -> None:
    async def test(shop: Shop) -> None:
        code, out, err = await shop.command("call", TO, "--node", shop.node.url, "--variable", "name=Dana")
        assert (code, out.partition(" after")[0]) == (0, "completed")
        assert "queued CA" in err
        code, out, _ = await shop.command("call", "+14155550102", "--node", shop.node.url)
        assert (code, out) == (1, "busy\n")
        code, _, err = await shop.command("call", TO, "--node", shop.node.url, FASTBRIDGE_API_KEY="x" * 24)
        assert (code, "does not take our key" in err, "Traceback" in err) == (2, True, False)

    run(tmp_path, test, callees={TO: SHORT, "+14155550102": ENDS["busy"]})


def test_everything_that_goes_wrong_leaves_one_call_and_one_record_each(tmp_path: Path) -> None:
    numbers = {f"+1415555{number:04d}": end for number, end in enumerate(list(ENDS) * 8)}
    (tmp_path / "list.csv").write_text("to\n" + "".join(f"{number}\n" for number in numbers))
    faults: dict[Fault, float] = {429: 0.1, 503: 0.1, 500: 0.05, RESET: 0.05, RESET_AFTER: 0.05}

    async def test(shop: Shop) -> None:
        words = ("--rate", "20", "--at-once", "40", "--hours", "any", "--retry", "busy:0:1", "--node", shop.node.url)
        code, out, err = await shop.command("campaign", "list.csv", *words)
        assert (code, "32 called" in out) == (1, True), err
        with (tmp_path / "list.results.csv").open(newline="") as file:
            results = list(csv.DictReader(file))
        dialled = Counter(shop.api.dialled)
        assert max(dialled.values()) == 1
        for row in results:
            assert row["outcome"] == (numbers[row["to"]] if dialled[row["to"]] else "failed"), row
        records = await shop.records(32)
        assert len({record["outbound_id"] for record in records}) == 32

    callees = {number: ENDS[end] for number, end in numbers.items()}
    fates = Mishaps(5, delayed=0.1, reordered=0.1, doubled=0.1)
    run(tmp_path, test, callees=callees, fault_shares=faults, callback_fate=fates, seed=5)
