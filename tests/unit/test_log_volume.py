"""How many lines a whole call is worth, on virtual time: 10 to 30 in production, 100 to 500 in development, whatever
happens in it; and that nothing which was not written is lost."""

import logging
import random
import re
from collections import Counter

import pytest

from fastbridge.agent import Agent, CallContext
from fastbridge.observe import log_policy as log
from fastbridge.observe.call_log import CallLog
from fastbridge.testing.loop import LeapingLoop
from helpers import LOUD, SID
from longcall import ADVERSITIES, OWN_LINES, LongCall, summed_up
from virtual import Rig

SECOND = bytes(8000)
BUFFER = "input_audio_buffer"


class Talk:
    """A call of many turns; in the first a tool is called, in the second the caller interrupts."""

    def __init__(self) -> None:
        agent = Agent(greeting="Hello!")

        @agent.tool
        async def free(day: str) -> str:
            """Free times."""
            return "18:30"

        self.rig = Rig(agent, loop=LeapingLoop()).up()
        self.number = 1
        self.rig.respond(SECOND * 2, 1, "Hello, how can I help?")
        self.pause(3)

    def pause(self, seconds: float) -> None:
        self.rig.advance(seconds)
        self.rig.echo_marks()

    def turn(self, seconds: float, *, tool: bool = False, interrupted: bool = False) -> None:
        self.caller_speaks(f"caller_{self.number}")
        if tool:
            response_id, _ = self.next()
            self.rig.begin(response_id)
            self.rig.tool_call("call_1", "free", '{"day": "friday"}', response_id)
            self.rig.done(response_id)
            self.rig.advance(0.5)
        self.assistant_speaks(seconds)
        if interrupted:
            self.rig.advance(1)
            self.rig.caller_says(*[LOUD] * 15)
        self.pause(0.2 if interrupted else seconds)

    def next(self) -> tuple[str, str]:
        self.number += 1
        return f"resp_{self.number}", f"item_{self.number}"

    def caller_speaks(self, item_id: str) -> None:
        rig = self.rig
        rig.model({"type": f"{BUFFER}.speech_started", "item_id": item_id})
        rig.caller_says(*[LOUD] * 20)
        for kind in ("speech_stopped", "committed"):
            rig.model({"type": f"{BUFFER}.{kind}", "item_id": item_id})
        for kind in ("conversation.item.added", "conversation.item.done"):
            rig.model({"type": kind, "item": {"id": item_id}})
        completed = "conversation.item.input_audio_transcription.completed"
        rig.model({"type": completed, "item_id": item_id, "transcript": "I would like a table."})

    def assistant_speaks(self, seconds: float) -> None:
        rig = self.rig
        response_id, item_id = self.next()
        rig.begin(response_id, item_id)
        rig.model({"type": "conversation.item.added", "item": {"id": item_id}})
        rig.delta(bytes(int(8000 * seconds)), response_id, item_id)
        rig.model({"type": "response.output_audio.done", "response_id": response_id, "item_id": item_id})
        rig.transcript("There is one at half past six.", response_id, item_id)
        for kind in ("response.content_part.done", "response.output_item.done", "conversation.item.done"):
            rig.model({"type": kind, "item": {"id": item_id}})
        rig.done(response_id, usage={"total_tokens": 100})

    def hang_up(self) -> float:
        """Its length in seconds."""
        self.rig.carrier({"event": "stop", "streamSid": SID.decode()})
        self.rig.shut()
        return self.rig.call.document["duration_ms"] / 1000


@pytest.fixture
def at_level(caplog):
    """Loggers as they are configured for a level."""

    def choose(level):
        for name in log.NOISY:
            logging.getLogger(name).setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
        caplog.set_level(level)

    yield choose
    for name in log.NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("level", "turns", "seconds", "length", "lines"),
    [
        ("INFO", 4, 7.5, (25, 35), (10, 30)),
        ("INFO", 60, 9.0, (540, 600), (10, 30)),
        ("DEBUG", 4, 7.5, (25, 35), (100, 500)),
        ("DEBUG", 60, 9.0, (540, 600), (100, 500)),
    ],
)
def test_lines_of_a_whole_call(level, turns, seconds, length, lines, at_level, caplog):
    at_level(level)
    talk = Talk()
    for number in range(turns):
        talk.turn(seconds, tool=number == 0, interrupted=number == 1)
    assert length[0] <= talk.hang_up() <= length[1]
    written = [record.getMessage() for record in caplog.records]
    assert lines[0] <= len(written) <= lines[1]
    for words in (
        "[CALL_START]",
        "[TOOL_RESULT] 18:30, tool=free",
        "barge_in_events=1",
        "[CALL_METRICS]",
        "[CALL_END]",
    ):
        assert any(words in line for line in written)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.fixture
def attempted(monkeypatch):
    """Every warning that a call has been asked to write, without its numbers."""
    found = set()
    admits = CallLog._admits

    def listen(self, line):
        if line.level >= logging.WARNING and " repeating (" not in line.message:
            found.add((line.tag, re.sub(r"[0-9]+", "#", line.message)))
        return admits(self, line)

    monkeypatch.setattr(CallLog, "_admits", listen)
    return found


ALONE = [name for name in ADVERSITIES if name not in ("refused_tools", "silent_answers")]
HAPPENED = {
    "interruptions": lambda call: sum(one.outcome == "committed" for one in call.stats.barge_ins) == 10,
    "unanswered": lambda call: call.turns.counters["turn_unanswered"] >= 3,
    "failures": lambda call: call.answers.counters["responses_retried"] >= 12,
    "drops": lambda call: call.line.counters["reconnects"] >= 4,
    "keys": lambda call: len(call.stats.dtmf) >= 80,
    "complaints": lambda call: call.session.counters["error_other"] >= 30,
    "rubbish": lambda call: call.session.counters["malformed_events"] >= 30,
    "tools": lambda call: [tool["outcome"] for tool in call.stats.tool_calls].count("ok") >= 27,
    "failing_tools": lambda call: [tool["outcome"] for tool in call.stats.tool_calls].count("error") >= 27,
    "slow_tools": lambda call: call.dead_air.fillers["tool"] >= 25,
}
"""That it was the call that was meant: each where it is alone."""
LONG, EVENTFUL = 60, 30
"""Turns of a call in which nothing happens, and of one where as many would say far more than 30 lines."""


@pytest.mark.parametrize(
    "adversities", [(), *((name,) for name in ALONE), ADVERSITIES], ids=lambda names: "+".join(names)[:40] or "none"
)
def test_whatever_happens_in_many_turns_is_30_lines_and_nothing_is_lost(adversities, at_level, attempted, caplog):
    at_level("INFO")
    random.seed(7)
    turns = EVENTFUL if adversities else LONG
    long = LongCall(adversities, turns=turns).play()
    call = long.stage.call
    assert call.end_reason == "customer_hangup"
    assert len(call.session.history.turns) >= turns * 5 // 3
    if len(adversities) == 1:
        assert HAPPENED.get(adversities[0], bool)(call)
    written = [record.getMessage() for record in caplog.records]
    assert 10 <= len(written) <= 30
    for words in ("[CALL_START]", "[REALTIME] OpenAI connected", "[GREETING]", "[CALL_METRICS]", "[CALL_END]"):
        assert any(words in line for line in written)
    unnumbered = [re.sub(r"[0-9]+", "#", line) for line in written]
    missing = [
        (tag, message) for tag, message in attempted if not any(f"[{tag}] {message}" in line for line in unnumbered)
    ]
    assert missing == []
    tracebacks = [logging.Formatter().formatException(record.exc_info) for record in caplog.records if record.exc_info]
    assert len({re.sub(r"[0-9]+", "#", text) for text in tracebacks}) == len(tracebacks)
    held_back = call.log.held_back
    assert summed_up(written) == held_back.total()
    later = held_back - Counter(call.document["log"]["held_back"])
    assert long.noted_later <= 1, "the caller hangs up on one answer at most"
    assert later <= Counter(OWN=OWN_LINES * long.noted_later, SERVER_ERROR=long.noted_later)


@pytest.mark.parametrize("adversities", [(), ADVERSITIES], ids=["none", "together"])
def test_in_development_they_are_500(adversities, at_level, caplog):
    at_level("DEBUG")
    random.seed(7)
    call = LongCall(adversities, turns=EVENTFUL if adversities else LONG).play().stage.call
    assert call.end_reason == "customer_hangup"
    assert 100 <= len(caplog.records) <= 500


def test_what_tools_and_hooks_log_counts_among_the_lines_of_the_call(at_level, caplog):
    at_level("INFO")
    agent = Agent()

    @agent.on_call
    def look_up(context: CallContext) -> None:
        context.customer_loaded("Dana")

    @agent.tool
    def stock(context: CallContext) -> str:
        for _ in range(500):
            context.log("STOCK", "looked at")
        return "none"

    rig = Rig(agent).up()
    rig.begin("resp_1")
    rig.tool_call("call_1", "stock")
    rig.advance(1)
    rig.shut()
    own = [record.getMessage() for record in caplog.records if "[STOCK] looked at" in record.getMessage()]
    assert len(own) + rig.call.document["log"]["held_back"]["OWN"] == 500
    assert f"[OWN] +{500 - len(own)}, STOCK={500 - len(own)}" in caplog.text
    assert "[DB] Customer context loaded: name=Dana" in caplog.text
    assert len(caplog.records) <= 30
