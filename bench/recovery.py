"""What a caller hears when the model's connection breaks in the middle of a sentence, and when a session is renewed.

    python bench/recovery.py                # some two minutes; prints two tables
    python bench/recovery.py --calls 12

Real sockets, a real node in a process of its own, the simulated caller and model. Unlike `bench/load.py` it takes no
clock of the kernel: what it tells is tens of milliseconds, not microseconds.

Drops: the assistant speaks on and on, a steady tone, hardly faster than it is played, so that there is no supply to
live on; its connection is reset again and again. A gap is the time at the caller's ear without that tone.

Renewals: caller and assistant take turns, once with sessions that live for 10 s and once with one that lasts. The gap
of a renewal is how much longer callers waited for their answers. Every answer has sound of its own, so that one that is
heard twice, or not at all, is seen; so is audio of the caller that reached neither session.
"""

import argparse
import asyncio
import itertools
import math
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from fastbridge._mulaw import encode
from fastbridge.sim import (
    AfterAssistant,
    AfterMs,
    HangUp,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
)
from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, to_frames
from fastbridge.sim.disruption import Disruption, Drop, Elapsed
from fastbridge.sim.ear import sounds
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import ResponseRequest, babble
from fastbridge.sim.script import Step

RAMP_SECONDS = 0.3
PERIOD = 20
"""Samples: a tone of 400 Hz."""
LIFE_MS = (11_000, 15_000)
"""How long a session lives before it is dropped, at random: four short ones in a row would be given up."""
DROP_SECONDS = 80
TURNS = 10
RENEW_SECONDS = 10
WATERMARK_BYTES = 5 * FRAME_BYTES
SILENCE = b"\xff" * FRAME_BYTES


def tone(seconds: float) -> bytes:
    samples = [round(8000 * math.sin(2 * math.pi * n / PERIOD)) for n in range(PERIOD)]
    return encode(struct.pack(f"<{PERIOD}h", *samples)) * round(seconds * 8000 / PERIOD)


def percentiles(values: Sequence[float]) -> str:
    ranked = sorted(values)
    named = (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    return ", ".join(f"{name} {ranked[math.ceil(share * len(ranked)) - 1]:.0f}" for name, share in named)


class Run:
    """Some calls at once through one node, all of the same script."""

    def __init__(self, scenario: Callable[[int], Scenario], script: Sequence[Step], **settings: str) -> None:
        self._scenario, self._script, self._settings = scenario, script, settings
        self.reports: list[CallReport] = []
        self.records: list[dict[str, Any]] = []
        self.appends = 0

    async def hold(self, calls: int) -> None:
        settings = {"FASTBRIDGE_GREETING": "Good morning.", "FASTBRIDGE_MAX_CALL_SECONDS": "600"} | self._settings
        async with ModelServer(self._scenario) as model, NodeProcess(model.base_url, settings=settings) as node:
            held = await asyncio.gather(*(self._call(node, number) for number in range(calls)))
            self.reports = [report for report, _ in held]
            self.records = [record for _, record in held]
            self.appends = sum(session.received["input_audio_buffer.append"] for session in model.sessions)
            self.refused = model.errors

    async def _call(self, node: NodeProcess, number: int) -> tuple[CallReport, dict[str, Any]]:
        await asyncio.sleep(number * RAMP_SECONDS)
        caller = SimulatedCaller(
            node.url,
            self._script,
            auth_token=node.auth_token,
            account_sid=node.account_sid,
            limit_seconds=300,
            patience_ms=2 * DROP_SECONDS * 1000,
        )
        report = await caller.call()
        record = await node.record(report.call_sid)
        if report.errors or report.ended_by != "caller" or record is None:
            raise SystemExit(f"a call went wrong: {report.errors or 'it was given up'}")
        return report, record

    def total(self, *path: str) -> int:
        """A number of the records, summed."""
        found = 0
        for record in self.records:
            value: Any = record
            for name in path:
                value = value.get(name, 0)
            found += value
        return found

    @property
    def uplink_lost(self) -> int:
        """Frames of callers that were forwarded, and reached no session."""
        return self.total("accounting", "forwarded") - self.appends


def drops(calls: int) -> None:
    def scenario(attempt: int) -> Scenario:
        life_ms = Random(attempt).uniform(*LIFE_MS)
        speech = Say("On and on and on. " * 40, tone(60))
        return Scenario(greeting=speech, turns=[speech], speed=1.02, disruptions=[Disruption(Elapsed(life_ms), Drop())])

    run = Run(scenario, [HangUp(AfterMs(DROP_SECONDS * 1000))])
    asyncio.run(run.hold(calls))
    words = {tone(1)[shift : shift + FRAME_BYTES] for shift in range(PERIOD)}
    gaps = []
    for report, record in zip(run.reports, run.records, strict=True):
        every = sorted(toneless_ms(report.heard, words), reverse=True)
        gaps += every[: record["model_line"]["reconnects"]]  # the rest is what a model causes that hardly keeps up
    print(f"{len(gaps)} connections dropped in the middle of a sentence, {calls} calls of {DROP_SECONDS} s at once")
    print("  the caller was without the assistant for so long, in ms:", end=" ")
    print(percentiles(gaps))


def toneless_ms(heard: bytes, words: set[bytes]) -> list[int]:
    """Lengths of what is between two stretches of the tone. A frame in which it only begins or ends is of the gap."""
    spoken = [index for index, frame in enumerate(to_frames(heard)) if frame in words]
    return [(later - earlier - 1) * FRAME_MS for earlier, later in itertools.pairwise(spoken) if later - earlier > 1]


class Marked:
    """Answers of which each is told from all others by its sound."""

    def __init__(self) -> None:
        self.marks: list[bytes] = []

    def answer(self, request: ResponseRequest) -> Say:
        words = "Good morning." if request.is_greeting else "Thank you, that is noted."
        mark = Random(len(self.marks)).randbytes(WATERMARK_BYTES)
        self.marks.append(mark)
        return Say(words, mark + babble(words))

    def scenario(self, _: int) -> Scenario:
        return Scenario(script=self.answer)


def renewals(calls: int) -> None:
    question = Speak(babble("And what about this?"), AfterAssistant(700))
    script: list[Step] = [*[question] * TURNS, HangUp(AfterAssistant(700))]
    waits = {}
    for seconds in (3300, RENEW_SECONDS):
        marked = Marked()
        run = Run(marked.scenario, script, FASTBRIDGE_SESSION_RENEW_SECONDS=str(seconds))
        asyncio.run(run.hold(calls))
        waits[seconds] = [wait for report in run.reports for wait in answer_waits_ms(report)]
        heard = [b"".join(frame for frame in to_frames(report.heard) if frame != SILENCE) for report in run.reports]
        counts = [sum(ear.count(mark) for ear in heard) for mark in marked.marks]
        renewed = run.total("model_line", "renewals")
        print(f"{renewed} renewals in {calls} calls of {TURNS} turns, sessions of {seconds} s")
        print(f"  answers heard once {counts.count(1)}, twice {sum(count > 1 for count in counts)},", end=" ")
        print(f"not {counts.count(0)}; caller's frames lost {run.uplink_lost}, refused by the model {len(run.refused)}")
        print("  wait for an answer in ms:", end=" ")
        print(percentiles(waits[seconds]))
    print(f"gap of a renewal in ms: at most {max(waits[RENEW_SECONDS]) - max(waits[3300]):.0f}")


def answer_waits_ms(report: CallReport) -> list[int]:
    """From the end of each of the caller's lines to the next sound."""
    answers = [span.start_ms for span in sounds(report.heard)]
    lines = [span.end_ms for span in sounds(report.said)]
    return [min(start for start in answers if start >= end) - end for end in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a caller hears of lost and of renewed sessions.")
    parser.add_argument("--calls", type=int, default=8, help="calls at once (default: 8)")
    calls = parser.parse_args().calls
    drops(calls)
    renewals(calls)


if __name__ == "__main__":
    main()
