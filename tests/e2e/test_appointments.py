"""The appointment desk of `examples/`, called by a simulated caller over real sockets: it is booked in the database.

The caller interrupts twice, the model asks for the same appointment twice, and the desk hangs up through the carrier's
API when its last word has been heard.
"""

import asyncio
import json
import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from e2e.dialects import LIVE, both, model_of
from fastbridge.sim import (
    AfterAssistant,
    CallTool,
    CarrierApi,
    HangUp,
    Interrupt,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
)
from fastbridge.sim.audio import speech
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import ResponseRequest, Turn

EXAMPLE = Path(__file__).parents[2] / "examples" / "appointments.py"
CALLER = "+15005550001"


def next_thursday() -> date:
    day = date.today() + timedelta(days=1)
    while day.weekday() != 3:
        day += timedelta(days=1)
    return day


class Desk:
    """The model's side of the conversation: which of its lines comes next, by how often the caller has spoken."""

    def __init__(self, dialect: str) -> None:
        self.live = dialect == LIVE
        self.caller: SimulatedCaller | None = None
        self.requests: list[ResponseRequest] = []
        self.day = next_thursday().isoformat()
        self._looked_up: set[int] = set()

    def scenario(self) -> Scenario:
        words = ["I would like an appointment.", "Wait, in the morning?", "No, sorry, earlier.", "Yes, fine."]
        return Scenario(script=self._answer, caller_transcripts=words)

    def _answer(self, request: ResponseRequest) -> Turn:
        self.requests.append(request)
        if request.is_greeting:
            return Say("Hello Dana, how can I help you?", speech("assistant_greeting"))
        lines = self.caller.conversation.lines if self.caller is not None else 0
        if lines == 4:
            return self._book(request)
        if lines not in self._looked_up:
            self._looked_up.add(lines)
            return CallTool("check_availability", {"day": self.day, "not_before": "09:00"})
        if lines == 3:
            return Say("Ten thirty on Thursday?", speech("assistant_morning"))
        return Say("There are many times. " * 8, speech("assistant_times"))

    def _book(self, request: ResponseRequest) -> Turn:
        called = {item.get("name") for item in request.conversation}
        goodbye = Say("Booked. See you then, goodbye!", speech("assistant_goodbye"))
        if "hang_up" in called:  # in GPT-Live the model behind the voice goes on, and the voice is asked for a goodbye
            return goodbye if request.params else Say("", b"")
        booked = "schedule_appointment" in called
        if not booked:
            wanted = CallTool("schedule_appointment", {"day": self.day, "at": "10:30", "name": "Dana"})
            return wanted, wanted
        return CallTool("hang_up") if self.live else (goodbye, CallTool("hang_up"))


SCRIPT = [
    Speak("caller_appointment", AfterAssistant(700)),
    Interrupt("caller_interrupts", 2500),
    Interrupt("caller_interrupts", 2500),
    Speak("caller_accepts", AfterAssistant(700)),
    HangUp(AfterAssistant(40_000)),
]


def rows(database: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(database)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def prepare(database: Path) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute(
            "create table customers (business_id varchar(64), phone varchar(20), name varchar(100),"
            " primary key (business_id, phone))"
        )
        connection.execute("insert into customers values ('456', ?, 'Dana')", [CALLER])
    connection.close()


async def hold(
    desk: Desk, database: Path, faults: list[Any], dialect: str
) -> tuple[CallReport, dict[str, Any] | None, str, CarrierApi, ModelServer]:
    async with ModelServer(desk.scenario()) as model:
        node = NodeProcess(model.base_url, f"{EXAMPLE}:agent", settings=model_of(dialect))
        async with CarrierApi(node.account_sid, node.auth_token, faults=faults) as api:
            node.set(DATABASE_URL=f"sqlite:///{database}", FASTBRIDGE_TWILIO_API_URL=api.url)
            async with node:
                caller = desk.caller = SimulatedCaller(
                    node.url,
                    SCRIPT,
                    auth_token=node.auth_token,
                    account_sid=node.account_sid,
                    from_number=CALLER,
                    query="business_id=456",
                    patience_ms=60_000,
                )
                api.register(caller)
                report = await caller.call()
                record = await node.record(report.call_sid)
                await node.stop()
                return report, record, node.log(), api, model


@both
@pytest.mark.timeout(150)
def test_an_appointment_is_booked_once_while_the_caller_interrupts_twice(tmp_path: Path, dialect: str) -> None:
    database = tmp_path / "desk.db"
    prepare(database)
    desk = Desk(dialect)
    report, record, log, api, model = asyncio.run(hold(desk, database, [503], dialect))

    print(log)  # pytest shows it if this fails
    assert rows(database, "select business_id, starts_at, phone, name from appointments") == [
        ("456", f"{desk.day} 10:30:00.000000", CALLER, "Dana")
    ]
    assert (report.errors, model.errors, api.errors) == ([], [], [])
    assert record is not None
    check_record(record)
    check_log(log)
    # The first request met a 503 and was made again; the call ended when the goodbye had been heard.
    assert [update.form for update in api.updates] == [{"Status": "completed"}] * 2
    assert {update.call_sid for update in api.updates} == {report.call_sid}
    assert ("rest", "Status") in [(event.kind, event.text) for event in report.events]
    if dialect == LIVE:  # an answer comes later there, and takes the place of a filler that is being heard
        assert len(report.clears) >= 2
    else:
        assert len(report.clears) == 2
    [session] = model.live_sessions if dialect == LIVE else model.sessions
    outputs = [json.loads(output) for output in session.tool_outputs.values() if output.startswith("{")]
    assert [output["booked"] for output in outputs if "booked" in output] == [True, True]


def check_record(record: dict[str, Any]) -> None:
    assert (record["end_reason"], record["errors"]) == ("agent_hangup", [])
    assert [barge_in["source"] for barge_in in record["barge_ins"]] == ["local", "local"]
    tools = [tool["name"] for tool in record["tools"]]
    assert tools == [*["check_availability"] * 3, *["schedule_appointment"] * 2, "hang_up"]
    assert {tool["outcome"] for tool in record["tools"]} == {"ok"}
    said = [(turn["role"], turn["text"]) for turn in record["turns"]]
    assert said[0] == ("assistant", "Hello Dana, how can I help you?")
    assert [text for role, text in said if role == "caller"] == [
        "I would like an appointment.", "Wait, in the morning?", "No, sorry, earlier.", "Yes, fine.",
    ]  # fmt: skip
    assert said[-1] == ("assistant", "Booked. See you then, goodbye!")
    cut = [turn for turn in record["turns"] if turn["heard_ms"] is not None]
    assert [turn["role"] for turn in cut] == ["assistant", "assistant"]
    assert all(turn["text"].count("There are many times.") < 8 for turn in cut)


def check_log(log: str) -> None:
    lines = log.splitlines()
    assert not [line for line in lines if " ERROR " in line or "Traceback" in line]
    [loaded] = [line for line in lines if "[DB]" in line]
    assert "Customer context loaded" in loaded
    assert "name=Dana, phone=+1500****01" in loaded
    [booked] = [line for line in lines if "[CREATE_APPT]" in line]
    assert "10:30" in booked
    assert sum("[HANGUP]" in line for line in lines) == 1
