"""`fastbridge serve` with several workers: whole calls over one port, and what is left when one of them is killed."""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.dialects import both, model_of
from fastbridge.node.dispatch import worker_of_call
from fastbridge.sim import AfterAssistant, HangUp, ModelServer, NodeProcess, Say, Scenario, SimulatedCaller, Speak
from fastbridge.sim.audio import speech
from fastbridge.sim.report import CallReport

WORKERS = 2
CALLS = 6
BEFORE_SECONDS = 4.0
"""So long the calls have been going on when a worker is killed: its numbers of 2 s ago are known by then."""
SCRIPT = [Speak("caller_accepts", AfterAssistant(700)), HangUp(AfterAssistant(800))]
SETTINGS = {
    "FASTBRIDGE_WORKERS": str(WORKERS),
    "FASTBRIDGE_METRICS_PUBLIC": "1",
    "FASTBRIDGE_GREETING": "Good morning.",
    "LOG_JSON": "1",
}


def conversation(_: int) -> Scenario:
    return Scenario(
        greeting=Say("Good morning.", speech("assistant_greeting")),
        turns=[Say("Of course.", speech("assistant_morning"))],
    )


async def hold(node: NodeProcess) -> CallReport:
    caller = SimulatedCaller(
        node.url, SCRIPT, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=60
    )
    return await caller.call()


def worker_pids(node: NodeProcess) -> dict[int, int]:
    """By number."""
    children = Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in children}
    return {int(words[words.index(b"--number") + 1]): pid for pid, words in commands.items()}


async def scrape(node: NodeProcess) -> tuple[dict[str, float], dict[str, float]]:
    """Counters, and gauges, by name and labels."""
    async with httpx2.AsyncClient(trust_env=False, timeout=30.0) as http:
        text = (await http.get(f"{node.url}/metrics")).text
    counters, gauges = {}, {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if family.name.startswith("fastbridge_"):
                kind = gauges if family.type == "gauge" else counters
                kind[f"{sample.name}{sorted(sample.labels.items())}"] = sample.value
    return counters, gauges


def assert_perfect(report: CallReport) -> None:
    assert (report.errors, report.ended_by, report.wrong_sizes) == ([], "caller", [])
    assert report.spacing().min_ms >= 18.0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are for Linux")
@both
def test_a_killed_worker_costs_its_own_calls_and_no_others(dialect: str) -> None:
    settings = SETTINGS | model_of(dialect)

    async def scene() -> None:
        async with ModelServer(conversation) as model, NodeProcess(model.base_url, settings=settings) as node:
            while (await scrape(node))[1].get("fastbridge_workers[]") != WORKERS:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            calls = [asyncio.ensure_future(hold(node)) for _ in range(CALLS)]
            await asyncio.sleep(BEFORE_SECONDS)
            counted, gauges = await scrape(node)
            assert gauges["fastbridge_workers[]"] == WORKERS
            assert gauges["fastbridge_calls_live[]"] == CALLS
            pids = worker_pids(node)
            assert sorted(pids) == list(range(WORKERS))

            os.kill(pids[1], signal.SIGKILL)
            at_once, gauges = await scrape(node)
            assert gauges["fastbridge_calls_live[]"] < CALLS
            reports = [*await asyncio.gather(*calls), *await asyncio.gather(*(hold(node) for _ in range(CALLS)))]

            lost = [report for report in reports if report.ended_by != "caller"]
            assert lost, "no call was the dead worker's: what was killed?"
            assert all(report in reports[:CALLS] for report in lost)
            for report in reports:
                mine = worker_of_call(report.call_sid, WORKERS) == 1 and report in reports[:CALLS]
                assert mine is (report in lost)
                if not mine:
                    assert_perfect(report)

            finally_counted, gauges = await scrape(node)
            for earlier, later in ((counted, at_once), (at_once, finally_counted)):
                assert [name for name, value in earlier.items() if later[name] < value] == []
            assert (gauges["fastbridge_workers[]"], gauges["fastbridge_calls_live[]"]) == (WORKERS, 0)
            ended = sum(value for name, value in finally_counted.items() if name.startswith("fastbridge_calls_total"))
            assert ended == 2 * CALLS - len(lost)
            assert set(worker_pids(node).values()) & set(pids.values()) == {pids[0]}

            await node.stop()
            lines = [json.loads(line) for line in node.log().splitlines()]
            alarming = [line["message"] for line in lines if line["level"] not in ("INFO", "DEBUG")]
            assert [message for message in alarming if not message.startswith(("[SLA]", "[TX_SLOW]"))] == [
                "[SERVER_ERROR] a worker ended, and its calls with it, worker=1, exit_code=-9"
            ]  # and the webhooks that waited for its successor did wait
            assert sum("[CALL_END]" in line["message"] for line in lines) == ended
            assert model.errors == []

    asyncio.run(scene())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are for Linux")
def test_a_worker_that_hangs_loses_its_new_calls_to_the_others_at_once() -> None:
    async def scene() -> None:
        async with ModelServer(conversation) as model, NodeProcess(model.base_url, settings=SETTINGS) as node:
            while node.log().count("a worker is ready") < WORKERS:  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(0.05)
            pid = worker_pids(node)[1]
            os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(2.0)
                began = time.monotonic()
                async with httpx2.AsyncClient(trust_env=False, timeout=5) as http:
                    for number in range(20):
                        assert (
                            await http.post(f"{node.url}/webhook/incoming_call", data=webhook(number))
                        ).status_code == 403
                assert time.monotonic() - began < 3
                assert "[NODE] a worker does not answer: new calls go to the others, worker=1" in node.log()
            finally:
                os.kill(pid, signal.SIGCONT)
            reports = await asyncio.gather(*(hold(node) for _ in range(4)))
            for report in reports:
                assert_perfect(report)

    asyncio.run(scene())


def webhook(number: int) -> dict[str, str]:
    """Not signed: whoever answers refuses it."""
    return {"CallSid": f"CA{number:032x}", "AccountSid": "AC" + "0" * 32}
