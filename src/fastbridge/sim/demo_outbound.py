"""`fastbridge demo --outbound`: a call out that an answering machine takes, with no account and no network.

The node places it by its own API, at a simulated REST API of Twilio's; a simulated answering machine says its greeting
and beeps, and gets the agent's message behind the beep. What is judged and written is as in the plain demo.
"""

import asyncio
import json
import secrets
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx2

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import render
from fastbridge.sim.answering_machine import answering_machine, machine_audio
from fastbridge.sim.audio import FRAME_BYTES, level_dbfs, speech, to_frames
from fastbridge.sim.carrier_api import CarrierApi
from fastbridge.sim.demo import Performance, ear_ms, write
from fastbridge.sim.demo_outbound_agent import MESSAGE
from fastbridge.sim.demo_play import ASSISTANT_WORDS, SAY_EXACTLY
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.node import NodeProcess
from fastbridge.sim.progress import Moment, PlainProgress
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.scenario import ResponseRequest, Say, Scenario
from fastbridge.sim.verdict import Check, judge, place

AGENT = "fastbridge.sim.demo_outbound_agent:agent"
FROM, TO = "+14155550100", "+14155550101"
LIMIT_SECONDS = 90.0
START_MS = 300.0
"""A message begins so soon behind the beep."""
AUDIBLE_DBFS = -50.0


def run(out: Path | None = None) -> int:
    """Place the call, write the folder, say in one sentence what was measured. 0 if all held, else 1."""
    folder = Path("fastbridge-demo") if out is None else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "node.log").write_bytes(b"")
    except OSError as error:
        raise ConfigError(f"Cannot write to {folder}: {error.strerror or error}.") from error
    try:
        performance = asyncio.run(_perform(folder))
    except FastbridgeError as error:
        print(f"fastbridge: {error}", file=sys.stderr)
        return 1
    write(folder, performance)
    with PlainProgress() as lines:
        lines.show(Moment(0.0, 0.0, 0.0, performance.report.events))
    failed = [check for check in performance.checks if not check.holds]
    for check in failed:
        print(f"✗ {check.name}: {check.measured}")
    print(closing_sentence(performance, folder))
    return 1 if failed else 0


def closing_sentence(performance: Performance, folder: Path) -> str:
    """What was measured, for a person."""
    report, held = performance.report, sum(check.holds for check in performance.checks)
    picture = f" and look at {folder / 'timeline.png'}" if render.available() else ""
    behind_ms = message_start_ms(report)
    began = f"the message began {behind_ms:.0f} ms behind the beep, " if behind_ms is not None else ""
    return (
        f"{held} of {len(performance.checks)} invariants held in a call out of {report.duration_ms / 1000:.1f} s, "
        f"which an answering machine took: {began}and then the node hung up; listen to {folder / 'call.wav'}{picture}."
    )


def beep_end_ms(report: CallReport) -> float | None:
    """When the machine had beeped."""
    began = next((event.at_ms for event in report.events if event.kind == "speak"), None)
    return began + len(machine_audio()) / 8 if began is not None else None


def message_start_ms(report: CallReport) -> float | None:
    """From the end of the beep to the first sound behind it."""
    end_ms = beep_end_ms(report)
    if end_ms is None:
        return None
    first = int(end_ms // 20)
    behind = to_frames(report.heard)[first:]
    found = next((number for number, frame in enumerate(behind) if level_dbfs(frame) > AUDIBLE_DBFS), None)
    return found * 20.0 if found is not None else None


def said_between(report: CallReport, from_ms: float, to_ms: float) -> int:
    """Audible frames that the machine's ear had then."""
    heard = report.heard[int(from_ms) * 8 : int(to_ms) * 8]
    return sum(level_dbfs(heard[at : at + FRAME_BYTES]) > AUDIBLE_DBFS for at in range(0, len(heard), FRAME_BYTES))


class Caller:
    """What the simulated model says: what it is told to say."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.scenario = Scenario(script=self._answer)

    def _answer(self, request: ResponseRequest) -> Say:
        _, told, words = str(request.params.get("instructions") or "").partition(SAY_EXACTLY)
        text = words if told else "Hello?"
        self.said.append(text)
        clips = {ASSISTANT_WORDS["assistant_greeting"]: "assistant_greeting", MESSAGE: "assistant_message"}
        return Say(text, speech(clips[text])) if text in clips else Say(text)


async def _perform(folder: Path) -> Performance:
    key, scratch, caller = secrets.token_hex(16), Path(tempfile.mkdtemp(prefix="fastbridge-demo-")), Caller()
    try:
        async with ModelServer(caller.scenario) as model:
            node = NodeProcess(model.base_url, AGENT, log=folder / "node.log")
            async with CarrierApi(node.account_sid, node.auth_token, callees={TO: answering_machine()}) as twilio:
                node.set(
                    DATABASE_URL=f"sqlite:///{scratch}/demo.db",
                    FASTBRIDGE_API_KEYS=key,
                    FASTBRIDGE_TWILIO_API_URL=twilio.url,
                    TWILIO_PHONE_NUMBER=FROM,
                )
                async with node:
                    call_sid = await _place(node.url, key)
                    async with asyncio.timeout(LIMIT_SECONDS):
                        report = await twilio.ended(call_sid)
                    await node.stop()
                record = _record(scratch / "demo.db")
                items = [item for session in model.sessions for item in session.items.values()]
                checks = judge(
                    report,
                    items=items,
                    model_errors=model.errors,
                    record=record,
                    log=node.log(),
                    tool=None,
                    ended_by="server",
                )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report.interrupts = False
    checks += machine_checks(report, record)
    report.events = [*report.events, *_notes(report, record)]
    report.events.sort(key=lambda event: event.at_ms)
    cut = [each for each in place(report, items) if each.unheard and report.spans]
    unheard = [render.Unheard(ear_ms(report, each.heard), each.unheard) for each in cut]
    return Performance(report, checks, record, unheard, 0.0, False)


def machine_checks(report: CallReport, record: dict[str, Any] | None) -> list[Check]:
    """What must hold of a call out that a machine takes."""
    found = (record or {}).get("answered_by") or {}
    reason = (record or {}).get("end_reason")
    behind_ms, known_ms, end_ms = message_start_ms(report), found.get("at_ms") or 0, beep_end_ms(report) or 0.0
    over = said_between(report, known_ms + 200, end_ms)
    return [
        Check("a machine was told", found.get("verdict") == "machine", f"{found.get('verdict')} at {known_ms} ms"),
        Check("nothing was said into its greeting once it was known", over == 0, f"{over} frames"),
        Check(
            f"the message began within {START_MS:.0f} ms of the beep",
            behind_ms is not None and behind_ms <= START_MS,
            f"{behind_ms} ms",
        ),
        Check(
            "the message was left, and the call hung up",
            (found.get("message"), reason) == ("left", "answering_machine"),
            f"{found.get('message')}, {reason}",
        ),
    ]


def _notes(report: CallReport, record: dict[str, Any] | None) -> list[Event]:
    """What the node found out, for the picture."""
    found = (record or {}).get("answered_by") or {}
    notes = [Event(found["at_ms"], "amd", f"{found['verdict']}, by {found['source']}")] if found.get("at_ms") else []
    if found.get("beep_ms"):
        notes.append(Event(found["beep_ms"], "amd", "beep"))
        notes.append(Event(found["beep_ms"] + 1, "response", MESSAGE))
    return [each for each in notes if each.at_ms <= report.duration_ms]


async def _place(url: str, key: str) -> str:
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {key}"}) as http:
        answer = await http.post(f"{url}/calls", json={"to": TO})
    if answer.status_code >= 400:
        raise FastbridgeError(f"The node did not place the call: it answered {answer.status_code} {answer.text}")
    return str(answer.json()["call_sid"])


def _record(path: Path) -> dict[str, Any] | None:
    with sqlite3.connect(path) as connection:
        found = connection.execute("select record from fastbridge_calls").fetchone()
    return json.loads(found[0]) if found is not None else None
