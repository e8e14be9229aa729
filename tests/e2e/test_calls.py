"""Several calls at once through one real bridge: real sockets, signatures and audio, judged from outside.

FASTBRIDGE_E2E_BASELINE=1 sends the same calls through the rival in `bench/baseline`, too: what is compared there must
do the same work. FASTBRIDGE_E2E_CALLS and FASTBRIDGE_E2E_SECONDS make it as long and as wide as you like.
FASTBRIDGE_E2E_STRICT=1 also forbids what a machine that is busy with something else may cause.
"""

import asyncio
import os
import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from e2e.dialects import LIVE, REALTIME, model_of
from fastbridge.model.live.requests import MIN_UNHEARD_MS
from fastbridge.sim import (
    AfterAssistant,
    HangUp,
    Interrupt,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
)
from fastbridge.sim.audio import SILENCE, speech, to_frames
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.model import ModelSession
from fastbridge.sim.report import CallReport
from fastbridge.sim.script import Step
from fastbridge.sim.verdict import SILENCED_MS, Placed, compare_audio, place
from helpers import tone_complex

CALLS = int(os.environ.get("FASTBRIDGE_E2E_CALLS", "4"))
SECONDS = int(os.environ.get("FASTBRIDGE_E2E_SECONDS", "12"))
RAMP_SECONDS = 0.05
STRICT = os.environ.get("FASTBRIDGE_E2E_STRICT") == "1"
SILENCE_LIMIT_MS = SILENCED_MS if STRICT else 5 * SILENCED_MS
HEARD_TOLERANCE_MS = 60 if STRICT else 500
BASELINE = Path(__file__).parents[2] / "bench" / "baseline" / "serve.py"

BRIDGES = [
    pytest.param([], id="fastbridge"),
    pytest.param(
        [sys.executable, str(BASELINE)],
        id="baseline",
        marks=pytest.mark.skipif(os.environ.get("FASTBRIDGE_E2E_BASELINE") != "1", reason="asked for by name"),
    ),
]
IN_A_DIALECT = [pytest.param([], REALTIME, id="fastbridge"), pytest.param([], LIVE, id="fastbridge-live")]
IN_A_DIALECT += [pytest.param(*BRIDGES[1].values, REALTIME, id="baseline", marks=BRIDGES[1].marks)]
QUIET = SILENCE * 160
Record = dict[str, Any]


class Held(NamedTuple):
    """One call, seen from its four sides: the caller's, the model's, and the bridge's own books."""

    report: CallReport
    session: ModelSession
    items: list[Placed]
    record: Record


async def hold(node: NodeProcess, script: Sequence[Step], number: int) -> CallReport:
    await asyncio.sleep(number * RAMP_SECONDS)
    caller = SimulatedCaller(
        node.url, script, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=SECONDS * 2 + 30
    )
    return await caller.call()


async def calls(
    command: list[str], scenario: Callable[[int], Scenario], script: Sequence[Step], dialect: str = REALTIME
) -> tuple[ModelServer, list[tuple[CallReport, Record]]]:
    """CALLS calls at once, each with its books in order: the model, and each call's report and record."""
    settings = {"FASTBRIDGE_GREETING": "Good morning.", **model_of(dialect)}
    async with ModelServer(scenario) as model, NodeProcess(model.base_url, settings=settings, command=command) as node:
        reports = await asyncio.gather(*(hold(node, script, number) for number in range(CALLS)))
        records = [await node.record(report.call_sid) for report in reports]
        await node.stop()
        log = node.log()
        assert model.errors == []
        assert len(model.live_sessions if dialect == LIVE else model.sessions) == CALLS
    alarming = [line for line in log.splitlines() if " WARNING " in line or " ERROR " in line]
    assert not [line for line in alarming if STRICT or not re.search(r"\[(SLA|TX_SLOW)\]", line)]
    ended = []
    for report, record in zip(reports, records, strict=True):
        assert record is not None
        assert_perfect(report, record)
        ended.append((report, record))
    return model, ended


async def run(command: list[str], scenario: Callable[[int], Scenario], script: Sequence[Step]) -> list[Held]:
    """CALLS calls at once, each of them a perfect one."""
    model, ended = await calls(command, scenario, script)
    sessions, held = list(model.sessions), []
    for report, record in ended:
        session = next(one for one in sessions if not compare_audio(report, said(one)))
        sessions.remove(session)  # each session was heard by one caller: byte for byte, as far as nobody interrupted
        held.append(Held(report, session, place(report, said(session)), record))
    return held


class HeldLive(NamedTuple):
    """The same, of a stream. `own`: the session's own sound."""

    report: CallReport
    session: LiveSession
    own: bytes
    record: Record


async def run_live(scenario: Callable[[int], Scenario], script: Sequence[Step]) -> list[HeldLive]:
    """A stream has no items to be compared: each caller heard one session's own sound, and no other's."""
    model, ended = await calls([], scenario, script, LIVE)
    heard_of = [[n for n in range(CALLS) if own_sound(n) in report.heard] for report, _ in ended]
    assert sorted(heard_of) == [[n] for n in range(CALLS)]
    return [
        HeldLive(report, model.live_sessions[number], own_sound(number), record)
        for (report, record), [number] in zip(ended, heard_of, strict=True)
    ]


def own_sound(attempt: int) -> bytes:
    return Random(attempt).randbytes(4000)


def said(session: ModelSession) -> list[Any]:
    return [item for item in session.items.values() if item.role == "assistant"]


def assert_perfect(report: CallReport, record: Record) -> None:
    assert report.errors == []
    assert report.ended_by == "caller"
    assert report.wrong_sizes == []
    assert report.spacing().min_ms >= 18.0
    books, pacing = record["accounting"], record["pacing"]
    assert books["frames_in"] == books["forwarded"] + books["dropped"]
    assert books["dropped"] == sum(books["by_reason"].values())
    assert pacing["tx_schedule_resets"] == 0 or not STRICT
    assert pacing["tx"] == len(report.frames)
    assert pacing["frames_enqueued"] == pacing["tx"] + sum(pacing["flushed"].values())
    assert record["errors"] == []


def conversation(attempt: int) -> Scenario:
    """Each session its own speech, so that one call's audio in another's ear is seen."""
    own = own_sound(attempt)
    return Scenario(
        greeting=Say("Good morning.", speech("assistant_greeting") + own),
        turns=[
            Say("Of course.", own + speech("assistant_morning")),
            Say("Goodbye.", speech("assistant_goodbye") + own),
        ],
    )


@pytest.mark.parametrize(("command", "dialect"), IN_A_DIALECT)
@pytest.mark.timeout(SECONDS * 2 + 90)
def test_calls_at_once_are_each_a_perfect_call(command: list[str], dialect: str) -> None:
    talk = [Speak("caller_accepts", AfterAssistant(700)) for _ in range(max(1, SECONDS // 10))]
    script = [*talk, HangUp(AfterAssistant(800))]
    if dialect == LIVE:
        for live in asyncio.run(run_live(conversation, script)):
            spoken = [item for item in live.session.conversation if item["role"] == "assistant"]
            assert live.report.heard.count(live.own) == len(spoken) == len(talk) + 1
            assert (live.report.clears, live.record["barge_ins"]) == ([], [])
        return
    for call in asyncio.run(run(command, conversation, script)):
        assert call.report.clears == []
        assert call.record["pacing"]["frames_enqueued"] == call.record["pacing"]["tx"]
        assert call.record["barge_ins"] == []


def interrupted_conversation(attempt: int) -> Scenario:
    own = own_sound(attempt)
    return Scenario(
        greeting=Say("Good morning.", own + speech("assistant_greeting")),
        turns=[Say("A long story.", own + speech("assistant_morning") * 4), Say("I see.", own)],
    )


@pytest.mark.parametrize(("command", "dialect"), IN_A_DIALECT)
@pytest.mark.timeout(SECONDS * 2 + 90)
def test_an_interruption_silences_the_assistant_and_the_model_learns_what_was_heard(
    command: list[str], dialect: str
) -> None:
    script = [
        Speak("caller_accepts", AfterAssistant(700)),
        Interrupt("caller_accepts", 1500),
        HangUp(AfterAssistant(800)),
    ]
    if dialect == LIVE:
        for live in asyncio.run(run_live(interrupted_conversation, script)):
            [interruption] = live.report.interruptions()
            assert interruption.latency_ms < SILENCE_LIMIT_MS
            [barge_in] = live.record["barge_ins"]
            assert (len(live.report.clears), barge_in["source"]) == (1, "local")
            told = [each["content"] for each in live.session.requests if each["type"] == "session.thinking.append"]
            [cut] = barge_in["items"]
            unheard = cut["received_ms"] - cut["heard_ms"] >= MIN_UNHEARD_MS  # less is on its way to the ear
            assert [text.startswith("The caller interrupted you") for text in told] == [True] * unheard
            assert live.record["turns"][-1]["text"] == "I see."
        return
    for call in asyncio.run(run(command, interrupted_conversation, script)):
        assert [each.latency_ms < SILENCE_LIMIT_MS for each in call.report.interruptions()] == [True]
        assert len(call.report.clears) == 1
        [barge_in] = call.record["barge_ins"]
        assert barge_in["source"] == "local"
        [cut] = barge_in["items"]
        [placed] = [each for each in call.items if each.unheard]
        heard_ms = (placed.heard - placed.start) / 8
        assert cut["item_id"] == placed.item.id
        assert placed.item.audio_end_ms == cut["heard_ms"] == pytest.approx(heard_ms, abs=HEARD_TOLERANCE_MS)
        assert call.record["pacing"]["flushed"]["barge_in"] == barge_in["frames_unsent"] > 0


MURMUR = tone_complex(200, -45.0) * 8
"""Voice for us, but too soft and too short for the model's ear."""


@pytest.mark.parametrize("command", BRIDGES)
@pytest.mark.timeout(SECONDS * 2 + 90)
def test_what_turns_out_to_be_no_interruption_is_taken_back(command: list[str]) -> None:
    """The assistant stops at once, and half a second later goes on with the frame that was cut off."""
    story = Say("A long story.", Random(7).randbytes(160 * 300))
    scenario = Scenario(greeting=Say("Good morning.", speech("assistant_greeting")), turns=[story])
    script = [
        Speak("caller_accepts", AfterAssistant(700)),
        Interrupt(MURMUR, 1500),
        HangUp(AfterAssistant(800)),
    ]
    for report, record in asyncio.run(calls(command, lambda attempt: scenario, script))[1]:
        assert len(report.clears) == 1
        [barge_in] = record["barge_ins"]
        assert (barge_in["source"], barge_in["outcome"], barge_in["items"]) == ("local", "resumed", [])
        told, heard = to_frames(story.audio), to_frames(report.heard)
        played = [at for at in range(heard.index(told[0]), len(heard)) if heard[at] != QUIET]
        # Where this machine is busy a frame comes late, and a little silence before it: the cut is the longest.
        gaps = [(at - before - 1) * 20 for before, at in pairwise(played)]
        cut = gaps.index(max(gaps)) + 1
        assert 1000 < cut * 20 < 3000
        assert 400 < gaps[cut - 1] < (1500 if STRICT else 4000)
        again = told.index(heard[played[cut]])
        assert cut - 3 <= again <= cut, "with the frame that was cut off, by a clock that is not the carrier's"
        assert [heard[at] for at in played[: cut - 1]] == told[: cut - 1]
        assert [heard[at] for at in played[cut:]][: len(told) - again] == told[again:]
