"""How many lines a whole call is worth, on virtual time: 10 to 30 in production, 100 to 500 in development."""

import logging

import pytest

from fastbridge import logging as log
from fastbridge.agent import Agent
from helpers import LOUD, SID
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

        self.rig = Rig(agent).up()
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


@pytest.mark.parametrize(
    ("level", "turns", "seconds", "length", "lines"),
    [
        ("INFO", 4, 7.5, (25, 35), (10, 30)),
        ("INFO", 60, 9.0, (540, 600), (10, 30)),
        ("DEBUG", 4, 7.5, (25, 35), (100, 500)),
        ("DEBUG", 60, 9.0, (540, 600), (100, 500)),
    ],
)
def test_lines_of_a_whole_call(level, turns, seconds, length, lines, caplog):
    for name in log.NOISY:  # as configured for the level
        logging.getLogger(name).setLevel(logging.INFO if level == "DEBUG" else logging.WARNING)
    caplog.set_level(level)
    try:
        talk = Talk()
        for number in range(turns):
            talk.turn(seconds, tool=number == 0, interrupted=number == 1)
        assert length[0] <= talk.hang_up() <= length[1]
    finally:
        for name in log.NOISY:
            logging.getLogger(name).setLevel(logging.NOTSET)
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
