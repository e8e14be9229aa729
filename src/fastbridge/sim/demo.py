"""`fastbridge demo`: a whole call on this machine, with no account and no network.

The node runs as it would in earnest, in a process of its own, behind real sockets. This process plays the two parties
it talks to: the simulated model and the simulated caller, who measures what arrives. Afterwards everything is judged,
and a folder shows it: `call.wav`, `timeline.png` (where matplotlib is installed), `call.json`, `node.log`.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import render
from fastbridge.sim.audio import (
    FRAME_BYTES,
    FRAME_MS,
    LEVEL_FLOOR_DBFS,
    level_dbfs,
    read_wav,
    to_frames,
    write_wav_stereo,
)
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.demo_play import CALLER_WORDS, Play, Talk
from fastbridge.sim.live_session_object import DEFAULT_LIVE_MODEL
from fastbridge.sim.live_verdict import Followed, follow
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.node import NodeProcess
from fastbridge.sim.progress import Moment, progress
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.verdict import Check, Spoken, judge, place

AGENT = "fastbridge.sim.demo_agent:agent"
REFRESH_SECONDS = 0.08
BUSY_MS = 20.0
LONGEST_RECORDING_SECONDS = 60
SPEECH_DBFS = -45.0


@dataclass(slots=True)
class Performance:
    """What one run of the demo left behind. late_ms: how much too late the demo itself was served by this machine.
    interrupted: the caller meant to interrupt. followed: what became of a GPT-Live model's stream."""

    report: CallReport
    checks: list[Check]
    record: dict[str, Any] | None
    unheard: list[render.Unheard]
    late_ms: float = 0.0
    interrupted: bool = True
    followed: Followed | None = None


def run(
    out: Path | None = None,
    wav: Sequence[Path] = (),
    agent: str | None = None,
    *,
    greeted: bool = True,
    live: bool = False,
    limit_seconds: float = 120.0,
) -> int:
    """Hold the call, write the folder, say in one sentence what was measured. 0 if every invariant held, else 1.

    out: the folder, `fastbridge-demo` by default. wav: the caller's lines, one each, in place of the shipped ones.
    agent: who answers, as for `fastbridge serve`, in place of the demo's own; greeted: it speaks first. live: the model
    is GPT-Live, unless the agent names its own. ConfigError,
    before anything starts, for a recording or a folder that cannot be used.
    """
    folder = Path("fastbridge-demo") if out is None else out
    if agent is None and len(wav) > len(CALLER_WORDS):
        raise ConfigError(f"The demo's own play has {len(CALLER_WORDS)} lines of the caller's, not {len(wav)}.")
    recordings = [_recording(path) for path in wav]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "node.log").write_bytes(b"")
    except OSError as error:
        raise ConfigError(f"Cannot write to {folder}: {error.strerror or error}.") from error
    try:
        performance = asyncio.run(_perform(folder, recordings, agent, greeted, live, limit_seconds))
    except FastbridgeError as error:
        print(f"fastbridge: {error}", file=sys.stderr)
        return 1
    write(folder, performance)
    failed = [check for check in performance.checks if not check.holds]
    for check in failed:
        print(f"✗ {check.name}: {check.measured}")
    print(closing_sentence(performance, folder))
    if failed and performance.late_ms > BUSY_MS:
        print(
            f"This machine was busy: it kept the demo itself waiting up to {performance.late_ms:.0f} ms, so what came "
            "late need not be the node's fault. Run it again when nothing else runs."
        )
    if agent is not None:
        print("The model was simulated: it said what your agent wants said, made the rest up, and called no tool.")
    if not render.available():
        print("There is no picture: that needs matplotlib (pip install 'fastbridge[demo]').")
    return 1 if failed else 0


def closing_sentence(performance: Performance, folder: Path) -> str:
    """What was measured, for a person."""
    report, record = performance.report, performance.record
    spacing = report.spacing()
    latencies_ms = [each.latency_ms for each in report.interruptions() if performance.interrupted]
    silenced = f"the interruption silenced the assistant in {max(latencies_ms):.0f} ms, " if latencies_ms else ""
    picture = f" and look at {folder / 'timeline.png'}" if render.available() else ""
    held = sum(check.holds for check in performance.checks)
    frames_in = record["accounting"]["frames_in"] if record else 0
    followed, streamed = performance.followed, ""
    if followed is not None:
        left_out_s = sum(followed.left_out_ms.values()) / 1000
        streamed = (
            f"of {followed.streamed_ms / 1000:.1f} s that never paused {left_out_s:.1f} s were silence left out, "
        )
    gaps = report.gaps(left_out_ms=followed.left_out_ms if followed is not None else None)
    return (
        f"{held} of {len(performance.checks)} invariants held in a call of {report.duration_ms / 1000:.1f} s: "
        f"{len(report.frames)} frames to the caller, none closer than {spacing.min_ms:.1f} ms, "
        f"{len(gaps)} gaps, {streamed}{silenced}{frames_in} caller frames accounted for; "
        f"listen to {folder / 'call.wav'}{picture}."
    )


def _recording(path: Path) -> bytes:
    audio = read_wav(path)
    if max(level_dbfs(frame) for frame in to_frames(audio)) < SPEECH_DBFS:
        raise ConfigError(f"{path} holds nothing as loud as speech ({SPEECH_DBFS:.0f} dBFS): nobody would answer it.")
    if len(audio) > LONGEST_RECORDING_SECONDS * 8000:
        raise ConfigError(f"{path} is longer than {LONGEST_RECORDING_SECONDS} s: give one line of a caller.")
    return audio


def write(folder: Path, performance: Performance) -> None:
    """What a performance left, as files."""
    report = performance.report
    write_wav_stereo(folder / "call.wav", report.said, report.heard)
    (folder / "call.json").write_text(json.dumps(performance.record, indent=2) + "\n")
    if not render.available():
        (folder / "timeline.png").unlink(missing_ok=True)  # of an earlier call
        return
    facts = [render.Fact(check.name, check.measured, check.holds) for check in performance.checks]
    render.timeline(folder / "timeline.png", report, facts=facts, unheard=performance.unheard)


async def _perform(
    folder: Path, recordings: Sequence[bytes], agent: str | None, greeted: bool, live: bool, limit_seconds: float
) -> Performance:
    loop = asyncio.get_running_loop()

    def now_ms() -> float:
        return loop.time() * 1000

    play = Play(recordings, now_ms, live=live) if agent is None else Talk(recordings, now_ms, greeted=greeted)
    settings = {"FASTBRIDGE_MODEL": DEFAULT_LIVE_MODEL} if live else {}
    async with (
        ModelServer(play.scenario) as model,
        NodeProcess(model.base_url, agent or AGENT, log=folder / "node.log", settings=settings) as node,
    ):
        caller = node.caller(play.script, limit_seconds=limit_seconds)
        play.caller = caller.conversation
        report, late_ms = await _watched(caller, play)
        record = await node.record(caller.call_sid)
        await node.stop()
        items = [item for session in model.sessions for item in session.items.values()]
        stream = b"".join(session.output for session in model.live_sessions)
        followed = follow(report, stream) if model.live_sessions else None
        checks = judge(
            report,
            items=items,
            model_errors=model.errors,
            record=record,
            log=node.log(),
            tool=play.tool,
            followed=followed,
        )
    return Performance(
        report, checks, record, _unheard(report, items, followed), late_ms, play.tool is not None, followed
    )


def _unheard(report: CallReport, items: Sequence[Spoken], followed: Followed | None) -> list[render.Unheard]:
    """What the caller never heard of what was said to him, sent or not."""
    if not report.spans:
        return []
    if followed is None:
        cut = [(each.heard, each.unheard) for each in place(report, items)]
    else:
        cut = [
            (clear.start, report.received[clear.start : clear.end] + followed.refused.get(clear.end, b""))
            for clear in report.clears
        ]
    return [render.Unheard(ear_ms(report, heard), audio) for heard, audio in cut if audio]


def ear_ms(report: CallReport, position: int) -> float:
    """When the ear had got all that was played of what was received before `position`."""
    ends = [span.ear + span.length for span in report.spans if span.position < position]
    return max(ends, default=0) / 8


async def _watched(caller: SimulatedCaller, play: Play | Talk) -> tuple[CallReport, float]:
    """The call, shown while it runs; its events and the play's, on one clock. And how late our own timer came, ms."""
    call = asyncio.create_task(caller.call())
    loop, late_seconds = asyncio.get_running_loop(), 0.0
    with progress() as display:
        while not call.done():
            display.show(_moment(caller, play.events))
            due = loop.time() + REFRESH_SECONDS
            await asyncio.wait([call], timeout=REFRESH_SECONDS)
            late_seconds = max(late_seconds, loop.time() - due)
        report = call.result()
        own = [event._replace(at_ms=event.at_ms - report.start_ms) for event in play.events]
        report.events = sorted([*report.events, *own], key=lambda event: event.at_ms)
        display.show(Moment(report.duration_ms, LEVEL_FLOOR_DBFS, LEVEL_FLOOR_DBFS, report.events))
    return report, late_seconds * 1000


def _moment(caller: SimulatedCaller, play_events: list[Event]) -> Moment:
    carrier = caller.carrier
    if carrier is None:
        return Moment(0.0, LEVEL_FLOOR_DBFS, LEVEL_FLOOR_DBFS, [])
    events = caller.events() + [event._replace(at_ms=event.at_ms - carrier.start_ms) for event in play_events]
    said, heard = (level_dbfs(bytes(side[-5 * FRAME_BYTES :])) for side in (carrier.said, carrier.heard))
    elapsed_ms = len(carrier.said) // FRAME_BYTES * FRAME_MS
    return Moment(elapsed_ms, said, heard, sorted(events, key=lambda event: event.at_ms))
