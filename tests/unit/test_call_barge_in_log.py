"""fastbridge.call.barge_in as the log tells it: each step when it happens, in the order of the wire."""

import logging
import re
from typing import Any

import pytest

from helpers import LOUD
from virtual import Rig

SECOND = bytes(0x50 + n % 48 for n in range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
WIRE = {"clear", "response.cancel", "conversation.item.truncate"}


class Witnessed(Rig):
    """`page`: what went over the wire to either side, and the lines of the log between, as they came, each with its
    moment in ms."""

    def __init__(self, **settings: Any) -> None:
        self.page: list[tuple[int, str]] = []
        self._handler = logging.Handler()
        self._handler.emit = self._take  # type: ignore[method-assign]
        logging.getLogger("fastbridge.events").addHandler(self._handler)
        super().__init__(**settings)

    def _take(self, record: logging.LogRecord) -> None:
        text = record.getMessage().partition(", call_sid")[0]
        moment = re.search(r", at_ms=(\d+)", text)
        if text.startswith(("[BARGE", "[TRANSCRIPT]")) and record.levelno == logging.DEBUG:
            assert moment is not None, text
            self.page.append((int(moment[1]), text[: moment.start()]))

    def record(self, to: str, raw: bytes, *, framed: bool) -> None:
        super().record(to, raw, framed=framed)
        entry = self.journal[-1]
        if entry.kind in WIRE:
            self.page.append((round(entry.at_ms), f"wire: {entry.kind}"))

    def shut(self) -> None:
        logging.getLogger("fastbridge.events").removeHandler(self._handler)
        super().shut()


@pytest.fixture
def make(caplog):
    caplog.set_level("DEBUG", "fastbridge.events")
    made: list[Witnessed] = []

    def make(**settings: Any) -> Witnessed:
        made.append(Witnessed(**settings))
        return made[-1]

    yield make
    for rig in made:
        rig.shut()


def speaking(rig: Witnessed) -> Witnessed:
    rig.up()
    rig.begin("resp_1", "item_1")
    rig.delta(SECOND * 3, "resp_1", "item_1")
    rig.advance(0.5)
    return rig


def test_each_step_is_on_the_page_where_and_when_it_was_on_the_wire(make):
    rig = speaking(make(barge_in_confirm_ms=250))
    rig.caller_says(*[LOUD] * 6)
    rig.delta(SECOND, "resp_1", "item_1")
    rig.caller_says(*[LOUD] * 8)
    (barge_in,) = rig.call.stats.barge_ins
    clear_ms, cancel_ms = barge_in.at_ms, barge_in.at_ms + barge_in.held_ms
    assert cancel_ms - clear_ms > 100
    sid, frames = rig.call.stream_sid, barge_in.frames_unsent + barge_in.frames_unheard
    dropped = f"realtime={barge_in.frames_unsent}, tx={barge_in.frames_unheard}, reason=barge_in"
    assert rig.page == [
        (clear_ms, "wire: clear"),
        (clear_ms, "[BARGE_IN_AUDIO] User interrupting AI!, source=local"),
        (clear_ms, "[BARGE_IN_AUDIO] Locked response state for cancel: resp_1"),
        (clear_ms, f"[BARGE-IN] Step 3: Sent Twilio clear event (stream_sid={sid})"),
        (cancel_ms, "wire: response.cancel"),
        (cancel_ms, "[BARGE-IN] Step 2: Sending response.cancel for resp_1"),
        (cancel_ms, "[BARGE-IN] response.cancel sent for resp_1"),
        (cancel_ms, f"[BARGE-IN] Cleared {frames} frames from TX queues ({dropped})"),
        (cancel_ms, "wire: conversation.item.truncate"),
        (cancel_ms, "[BARGE-IN] Step 5: Response state cleared"),
        (cancel_ms, "[BARGE-IN] Event counted: barge_in_events=1"),
    ]


def test_what_was_dropped_is_what_was_there_when_it_was(make):
    """Audio that comes while it is not known yet what the voice was is dropped, too."""
    rig = speaking(make(barge_in_confirm_ms=250))
    rig.caller_says(*[LOUD] * 5)
    at_first = rig.call.stats.barge_ins[0].frames_unsent
    rig.delta(SECOND, "resp_1", "item_1")
    rig.model(SPEECH_STARTED)
    (barge_in,) = rig.call.stats.barge_ins
    assert barge_in.frames_unsent == at_first + 50 == rig.call.assistant.frames_flushed["barge_in"]
    assert barge_in.frames_unheard == rig.call.assistant.frames_cleared


def test_without_anything_to_cancel_none_was_sent(make, caplog):
    rig = make(barge_in_confirm_ms=0).up()
    rig.respond(SECOND * 3)
    rig.advance(0.5)
    rig.caller_says(*[LOUD] * 5)
    assert "Step 2" not in caplog.text
    assert "barge_in_events=1, response_id=resp_1, cancel=not needed" in caplog.text
    assert "Locked response state for cancel: nothing is being generated" in caplog.text
    assert "None" not in caplog.text


def test_a_response_that_has_not_begun_is_not_said_to_be_cancelled(make, caplog):
    rig = make(barge_in_confirm_ms=0).up()
    rig.respond(SECOND * 3)
    rig.advance(0.5)
    rig.do(rig.call.session.responses.create, "silence")
    rig.caller_says(*[LOUD] * 5)
    assert rig.sent("response.cancel") == []
    assert "Step 2" not in caplog.text
    assert "cancel=when it begins" in caplog.text


def test_a_false_one_has_no_step_that_was_not_taken(make, caplog):
    rig = speaking(make(barge_in_confirm_ms=250))
    rig.caller_says(*[LOUD] * 5)
    rig.advance(1)
    assert [text for _, text in rig.page if "Step" in text] == [
        f"[BARGE-IN] Step 3: Sent Twilio clear event (stream_sid={rig.call.stream_sid})"
    ]
    assert "False trigger: playback resumed" in caplog.text
