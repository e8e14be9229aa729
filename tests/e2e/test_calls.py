"""Several calls at once through one real node: real sockets, signatures and audio, judged from outside.

FASTBRIDGE_E2E_CALLS and FASTBRIDGE_E2E_SECONDS make it as long and as wide as you like; FASTBRIDGE_E2E_STRICT=1 also
forbids what a machine that is busy with something else may cause.
"""

import asyncio
import os
from random import Random
from typing import Any

import pytest

from fastbridge.sim import AfterAssistant, HangUp, ModelServer, NodeProcess, Say, Scenario, SimulatedCaller, Speak
from fastbridge.sim.audio import speech
from fastbridge.sim.report import CallReport
from fastbridge.sim.verdict import compare_audio

CALLS = int(os.environ.get("FASTBRIDGE_E2E_CALLS", "4"))
SECONDS = int(os.environ.get("FASTBRIDGE_E2E_SECONDS", "12"))
STRICT = os.environ.get("FASTBRIDGE_E2E_STRICT") == "1"
RAMP_SECONDS = 0.05


def scenario(attempt: int) -> Scenario:
    """Each session its own speech, so that one call's audio in another's ear is seen."""
    own = Random(attempt).randbytes(4000)
    return Scenario(
        greeting=Say("Good morning.", speech("assistant_greeting") + own),
        turns=[
            Say("Of course.", own + speech("assistant_morning")),
            Say("Goodbye.", speech("assistant_goodbye") + own),
        ],
    )


def script() -> list[Speak | HangUp]:
    talk = [Speak("caller_accepts", AfterAssistant(700)) for _ in range(max(1, SECONDS // 10))]
    return [*talk, HangUp(AfterAssistant(800))]


async def hold(node: NodeProcess, number: int) -> CallReport:
    await asyncio.sleep(number * RAMP_SECONDS)
    caller = SimulatedCaller(
        node.url,
        script(),
        auth_token=node.auth_token,
        account_sid=node.account_sid,
        limit_seconds=SECONDS * 2 + 30,
    )
    return await caller.call()


async def run() -> None:
    async with (
        ModelServer(scenario) as model,
        NodeProcess(model.base_url, settings={"FASTBRIDGE_GREETING": "Good morning."}) as node,
    ):
        reports = await asyncio.gather(*(hold(node, number) for number in range(CALLS)))
        records = [await node.record(report.call_sid) for report in reports]
        await node.stop()
        log = node.log()
        assert model.errors == []
        assert len(model.sessions) == CALLS
    for report, record in zip(reports, records, strict=True):
        assert report.errors == []
        assert report.ended_by == "caller"
        assert report.wrong_sizes == []
        assert report.spacing().min_ms >= 18.0
        session = next(one for one in model.sessions if not compare_audio(report, said(one)))
        model.sessions.remove(session)  # each session was heard by one caller: whole, and byte for byte
        assert record is not None
        books, pacing = record["accounting"], record["pacing"]
        assert books["frames_in"] == books["forwarded"] + books["dropped"]
        if STRICT:
            assert pacing["tx_schedule_resets"] == 0
        assert pacing["frames_enqueued"] == pacing["tx"] == len(report.frames)
        assert record["errors"] == []
    assert not [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]


def said(session: Any) -> list[Any]:
    return [item for item in session.items.values() if item.role == "assistant"]


@pytest.mark.timeout(SECONDS * 2 + 90)
def test_calls_at_once_are_each_a_perfect_call() -> None:
    asyncio.run(run())
