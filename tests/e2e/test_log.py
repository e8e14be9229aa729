"""What a real node writes of a whole call: how many lines, in which form, and nothing that was said in confidence.

The same call through nodes in production, in development, and told to show all they can.
"""

import asyncio
import json
import re
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
import pytest
import websockets
from prometheus_client.parser import text_string_to_metric_families
from twilio.request_validator import RequestValidator

from e2e.dialects import LIVE, model_of
from fastbridge.sim import (
    AfterAssistant,
    AfterMs,
    CallTool,
    Dtmf,
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

CANARY = "zqxcanary"
WORDS = f'{CANARY} \u05e9\u05dc\u05d5\u05dd "quoted"\nline \u202e\u2028 end'
AGENT = '''
from fastbridge import Agent

agent = Agent(greeting="Good morning.", settings={"silence_seconds": 40})


@agent.on_call
async def look_up(context):
    return {"name": context.parameters["note"]}


@agent.tool
async def times(name: str) -> str:
    """Free times."""
    return f"{name}: none"


@agent.tool
async def book(name: str) -> str:
    """Book."""
    raise RuntimeError(f"no table for {name}")


@agent.on_end
async def after(call):
    raise LookupError("after the call")
'''
EVERYTHING = ("LOG_REALTIME_EVENTS", "LOG_AUDIO_CHUNKS", "LOG_TRANSCRIPT_DELTAS", "DEBUG_TX")
NODES = {
    "production": {"LOG_LEVEL": "INFO", "LOG_JSON": "1"},
    "development": {"LOG_LEVEL": "DEBUG"},
    "everything": {"LOG_LEVEL": "DEBUG", "LOG_JSON": "1", **dict.fromkeys(EVERYTHING, "1")},
    "production, live": {"LOG_LEVEL": "INFO", "LOG_JSON": "1", **model_of(LIVE)},
    "everything, live": {"LOG_LEVEL": "DEBUG", "LOG_JSON": "1", **dict.fromkeys(EVERYTHING, "1"), **model_of(LIVE)},
}
LINES = {"production": (10, 30), "development": (100, 500), "production, live": (10, 35)}
SETTINGS = {
    "OPENAI_API_KEY": f"sk-proj-{CANARY}0123456789",
    "LOG_TRANSCRIPTS": "0",
    "FASTBRIDGE_RECORD_TRANSCRIPTS": "0",
    "FASTBRIDGE_METRICS_PUBLIC": "1",
}
SCRIPT = [
    Speak("caller_appointment", AfterAssistant(700)),
    Dtmf("5#", AfterMs(300)),
    Interrupt("caller_interrupts", 3000),
    Speak("caller_accepts", AfterAssistant(700)),
    HangUp(AfterAssistant(600)),
]
HUMAN = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (DEBUG|INFO|WARNING|ERROR) +\[[\w.]+\] .")
TRACEBACK = "    "


class Seen(NamedTuple):
    """A node after its call."""

    report: CallReport
    record: dict[str, Any]
    lines: list[str]
    metrics: str
    answers: list[str]
    """All it has said to strangers."""


class Desk:
    """The model's side: two tools, one of which fails; a long answer that is interrupted; short ones."""

    def __init__(self) -> None:
        self.caller: SimulatedCaller | None = None
        self._called = False

    def scenario(self) -> Scenario:
        return Scenario(script=self._answer, caller_transcripts=[WORDS] * 4)

    def _answer(self, request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return Say(WORDS, speech("assistant_greeting"))
        if self.caller is not None and self.caller.conversation.lines > 1:
            return Say(WORDS, speech("assistant_morning"))
        if self._called:
            return Say(WORDS * 4, speech("assistant_times"))
        self._called = True
        return CallTool("times", {"name": WORDS}), CallTool("book", {"name": WORDS})


async def ask_badly(node: NodeProcess) -> list[str]:
    """What strangers and our own mistakes send, and the answers."""
    incoming = f"{node.url}/webhook/incoming_call"
    form = {"CallSid": CANARY, "AccountSid": CANARY, "From": CANARY, "To": CANARY, "CallStatus": CANARY}
    answers = []
    async with httpx2.AsyncClient(trust_env=False, timeout=30.0) as http:
        for signature in ({}, {"X-Twilio-Signature": CANARY}):
            for url in (incoming, f"{incoming}?note={CANARY}", f"{node.url}/{CANARY}"):
                response = await http.post(url, data=form, headers=signature)
                assert response.status_code in (403, 404)
                answers.append(response.text)
        for path in ("call_status", "stream_ended"):  # signed, and yet odd
            url = f"{node.url}/webhook/{path}"
            signature = RequestValidator(node.auth_token).compute_signature(url, form)
            answers.append((await http.post(url, data=form, headers={"X-Twilio-Signature": signature})).text)
    media = f"{node.url.replace('http', 'ws', 1)}/media/{CANARY}0123456789"
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(media, proxy=None)
    answers.append(bytes(refused.value.response.body or b"").decode())
    return answers


async def hold(agent: str, **settings: str) -> Seen:
    desk = Desk()
    given = SETTINGS | settings
    async with ModelServer(desk.scenario()) as model, NodeProcess(model.base_url, agent, settings=given) as node:
        caller = desk.caller = SimulatedCaller(
            node.url,
            SCRIPT,
            auth_token=node.auth_token,
            account_sid=node.account_sid,
            from_number=f"sip:{CANARY}@example.com",
            query=f"note={quote(WORDS)}&business_id=456",
            patience_ms=30_000,
            limit_seconds=90,
        )
        report = await caller.call()
        answers = await ask_badly(node)
        async with httpx2.AsyncClient(trust_env=False, timeout=30.0) as http:
            metrics = (await http.get(f"{node.url}/metrics")).text
        record = await node.record(report.call_sid)
        await node.stop()
        assert record is not None
        assert model.errors == []
        return Seen(report, record, node.log().splitlines(), metrics, answers)


def of(*names: str) -> pytest.MarkDecorator:
    """Whose call a test looks at. Each is held once, by the worker that has all tests of it."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in names])


@pytest.fixture(scope="module")
def held() -> dict[str, Seen]:
    return {}


@pytest.fixture
def seen(name: str, held: dict[str, Seen], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    if name not in held:
        path = tmp_path_factory.mktemp("agent") / "private_agent.py"
        path.write_text(AGENT)
        held[name] = asyncio.run(hold(f"{path}:agent", **NODES[name]))
    return held[name]


@of(*NODES)
def test_it_was_the_call_that_was_meant(seen: Seen, name: str) -> None:
    report, record = seen.report, seen.record
    assert (report.errors, report.ended_by) == ([], "caller")
    assert len(report.clears) == 1 or (name.endswith("live") and report.clears), "an answer may take a filler's place"
    assert 20_000 < record["duration_ms"] < 60_000
    assert [(tool["name"], tool["outcome"]) for tool in record["tools"]] == [("times", "ok"), ("book", "error")]
    assert len(record["barge_ins"]) == 1


@of(*LINES)
def test_lines_of_one_call(seen: Seen, name: str) -> None:
    least, most = LINES[name]
    sid = seen.report.call_sid
    lines = [line for line in seen.lines if sid in line and not line.startswith(TRACEBACK)]
    assert least <= len(lines) <= most
    for words in ("[CALL_START]", "[TOOL_CALL]", "[BARGE-IN]", "[CALL_METRICS]", "[CALL_END]", "Frame accounting OK"):
        assert any(words in line for line in lines)


@of("production", "everything", "production, live", "everything, live")
def test_each_line_is_one_json_object(seen: Seen) -> None:
    found = [json.loads(line) for line in seen.lines]
    assert all(list(each)[:4] == ["timestamp", "level", "module", "message"] for each in found)
    assert any("Traceback" in each.get("exception", "") for each in found)


@of("development")
def test_each_line_has_the_human_form(seen: Seen) -> None:
    lines = seen.lines
    assert [line for line in lines if not HUMAN.match(line) and not line.startswith(TRACEBACK)] == []
    assert any(line.startswith(f"{TRACEBACK}Traceback") for line in lines)


@of(*NODES)
def test_nothing_that_was_said_in_confidence_is_anywhere(seen: Seen) -> None:
    assert [line for line in seen.lines if CANARY in line] == []
    assert CANARY not in seen.metrics
    assert CANARY not in json.dumps(seen.record)
    assert [answer for answer in seen.answers if CANARY in answer] == []


@of(*NODES)
def test_prometheus_reads_what_was_counted_of_the_call(seen: Seen) -> None:
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(seen.metrics)
        for sample in family.samples
    }
    assert samples["fastbridge_calls_total", "inbound", seen.record["end_reason"]] == 1
    books = seen.record["accounting"]
    assert samples["fastbridge_caller_frames_total", "forwarded"] == books["forwarded"]
    assert samples["fastbridge_tool_calls_total", "error"] == 1
