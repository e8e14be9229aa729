"""Calls out over real sockets: a machine gets the message behind its beep, and a person is not hung up on."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx2

from e2e.dialects import LIVE, REALTIME, both, model_of
from fastbridge.sim import Callee, CarrierApi, HangUp, ModelServer, NodeProcess, Speak
from fastbridge.sim.answering_machine import answering_machine, machine_audio
from fastbridge.sim.audio import SILENCE, speech
from fastbridge.sim.demo_outbound import AGENT, Caller, message_start_ms
from fastbridge.sim.demo_outbound_agent import MESSAGE
from fastbridge.sim.report import CallReport
from fastbridge.sim.script import AfterAssistant, AfterMs

KEY = "key-of-an-end-to-end-test"
TO = "+14155550101"


def call_out(
    folder: Path, callee: Callee, dialect: str = REALTIME, **asked: Any
) -> tuple[CallReport, dict[str, Any], Caller]:
    """Placed by the node's API, to somebody; when it is over."""

    async def live() -> tuple[CallReport, dict[str, Any], Caller]:
        caller = Caller()
        async with ModelServer(caller.scenario) as model:
            node = NodeProcess(model.base_url, AGENT, settings=model_of(dialect))
            async with CarrierApi(node.account_sid, node.auth_token, callees={TO: callee}) as twilio:
                node.set(
                    DATABASE_URL=f"sqlite:///{folder}/x.db",
                    FASTBRIDGE_API_KEYS=KEY,
                    FASTBRIDGE_TWILIO_API_URL=twilio.url,
                    TWILIO_PHONE_NUMBER="+14155550100",
                )
                async with node:
                    headers = {"Authorization": f"Bearer {KEY}"}
                    async with httpx2.AsyncClient(trust_env=False, headers=headers, timeout=30.0) as http:
                        answer = await http.post(f"{node.url}/calls", json={"to": TO, **asked})
                    async with asyncio.timeout(90):
                        report = await twilio.ended(answer.json()["call_sid"])
                    await node.stop()
            assert (model.errors, report.errors, twilio.errors) == ([], [], [])
        with sqlite3.connect(folder / "x.db") as connection:
            ((text,),) = connection.execute("select record from fastbridge_calls").fetchall()
        return report, json.loads(text), caller

    return asyncio.run(live())


def times_said(record: dict[str, Any]) -> int:
    """The message, by itself or in one breath with an answer to the machine."""
    return sum(turn["text"].count(MESSAGE) for turn in record["turns"] if turn["role"] == "assistant")


@both
def test_a_machine_gets_the_message_behind_its_beep(tmp_path: Path, dialect: str) -> None:
    report, record, caller = call_out(tmp_path, answering_machine(), dialect)
    found = record["answered_by"]
    assert (found["verdict"], found["source"], found["message"]) == ("machine", "sound", "left")
    behind_ms = message_start_ms(report)
    assert behind_ms is not None
    assert behind_ms > 0
    assert times_said(record) == 1
    assert dialect == LIVE or (speech("assistant_message") in report.received and caller.said.count(MESSAGE) == 1)
    assert (record["end_reason"], report.ended_by) == ("answering_machine", "server")


@both
def test_a_machine_without_a_beep_gets_it_when_it_is_silent(tmp_path: Path, dialect: str) -> None:
    report, record, _ = call_out(tmp_path, answering_machine(beep_audio=b""), dialect, machine=True)
    found = record["answered_by"]
    assert (found["verdict"], found["beep_ms"], found["message"]) == ("machine", None, "left")
    assert times_said(record) == 1
    assert record["end_reason"] == "answering_machine"
    assert len(machine_audio()) < len(report.said)


@both
def test_a_person_is_talked_to_and_hangs_up_himself(tmp_path: Path, dialect: str) -> None:
    hello = speech("caller_interrupts")[: 8 * 560]
    script = [Speak(hello, AfterMs(400)), Speak("caller_accepts", AfterAssistant(700)), HangUp(AfterAssistant(700))]
    report, record, caller = call_out(tmp_path, Callee(script), dialect)
    assert record["answered_by"]["verdict"] == "human"
    assert MESSAGE not in caller.said
    assert (record["end_reason"], report.ended_by) == ("customer_hangup", "caller")


@both
def test_a_person_who_was_taken_for_a_machine_is_not_hung_up_on(tmp_path: Path, dialect: str) -> None:
    """He talks for too long, hears the message, and answers."""
    script = [
        Speak(speech("caller_appointment") + SILENCE * 800, AfterMs(300)),
        Speak("caller_interrupts", AfterMs(5500)),
        HangUp(AfterMs(9000)),
    ]
    report, record, _ = call_out(tmp_path, Callee(script), dialect)
    assert record["answered_by"]["message"] == "taken_back"
    assert record["answered_by"]["verdict"] == "human"
    assert (record["end_reason"], report.ended_by) == ("customer_hangup", "caller")
