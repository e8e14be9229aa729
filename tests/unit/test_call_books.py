"""fastbridge.call.books: moments and counts, each once and of the right thing."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.base.clock import CallClock
from fastbridge.base.conversation import Turn
from fastbridge.call.books import MAX_DTMF, Books
from fastbridge.errors import ModelError
from fastbridge.model.port import OWN_TURN
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble
from virtual import VirtualLoop


class Desk:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.stats = CallStats()
        self.fuses = {"responses": 0}
        self.facts = SimpleNamespace(private=False)
        self.detector = SimpleNamespace(quiet_ms=None)
        log = CallLog("CA1")
        self.books = Books(
            clock=CallClock(self.loop.clock, lambda callback: callback),
            facts=self.facts,
            assistant=SimpleNamespace(frames_sent=1, first_frame_bytes=160),
            detector=self.detector,
            stats=self.stats,
            log=log,
            trouble=Trouble(log, self.stats),
            fuses=lambda: self.fuses,
        )


@pytest.fixture
def desk(caplog):
    caplog.set_level("INFO", "fastbridge.events")
    desk = Desk()
    yield desk
    desk.loop.close()


def test_the_first_speech_is_the_first(desk):
    desk.loop.advance(1.5)
    desk.books.speech_started()
    desk.loop.advance(1)
    desk.books.speech_started()
    assert desk.stats.first_speech_ms == 1500


def test_a_response_time_is_from_the_end_of_his_speech_to_our_first_frame_once(desk):
    desk.loop.advance(1)
    desk.books.first_frame("resp_0")
    assert desk.stats.response_ms == []
    desk.books.speech_stopped()
    desk.loop.advance(0.4)
    desk.books.first_frame("local_filler_1")
    desk.loop.advance(0.3)
    desk.books.first_frame("resp_1")
    desk.books.first_frame("resp_2")
    assert desk.stats.response_ms == [700]


def test_what_a_caller_waits_is_from_the_last_of_his_voice_where_it_was_heard(desk):
    def answered(quiet_ms: int | None) -> int | None:
        desk.books.speech_stopped()
        desk.loop.advance(0.5)
        desk.detector.quiet_ms = quiet_ms
        desk.books.first_frame("resp_1")
        return desk.stats.pause_ms[-1]  # type: ignore[no-any-return]

    assert answered(None) is None
    assert answered(480) == 480
    assert answered(520) is None, "his voice of before the last answer"
    desk.loop.advance(3)
    desk.books.first_frame("local_filler_1")
    assert answered(3100) == 3100, "a filler is no answer"
    desk.loop.advance(3)
    desk.books.first_frame("resp_2")
    assert answered(3100) is None, "nor what he said before we spoke without a turn of his"
    assert len(desk.stats.response_ms) == len(desk.stats.pause_ms) == 5


def test_turns_are_the_callers(desk):
    for role in ("caller", "assistant", "caller"):
        desk.books.transcribed(Turn(role, "item_1"))
    assert desk.stats.turns == 2


@pytest.mark.parametrize(
    ("status", "error", "noted"), [("failed", "x", ["x"]), ("failed", "", []), ("completed", "x", [])]
)
def test_a_response_that_failed_with_a_reason_is_an_error(desk, status, error, noted):
    desk.books.response_done("resp_1", status, ModelError("No.", error) if error else None)
    assert desk.stats.errors == noted


def test_so_is_one_that_never_began(desk):
    desk.books.create_failed(OWN_TURN, ModelError("No.", "rate_limit_exceeded"))
    assert desk.stats.errors == ["rate_limit_exceeded"]


def test_responses_are_counted_and_said(desk, caplog):
    desk.books.response_created("resp_1", "greeting")
    assert desk.stats.responses == 1
    assert "[RESPONSE_CREATED] response_id=resp_1, type=greeting" in caplog.text


def test_keys_are_kept_up_to_a_bound(desk):
    for _ in range(MAX_DTMF + 5):
        desk.books.key("7")
    assert desk.stats.dtmf == "7" * MAX_DTMF


def test_a_fuse_that_burnt_is_said_once(desk, caplog):
    desk.books.second()
    assert "SAFETY_FUSE" not in caplog.text
    desk.fuses = {"responses": 1}
    desk.books.second()
    desk.books.second()
    assert caplog.text.count("[SAFETY_FUSE]") == 1


def test_a_second_start_is_said(desk: Any, caplog: Any) -> None:
    desk.books.second_start()
    assert "a second start" in caplog.text


def test_what_is_pressed_in_private_is_not_kept(desk):
    desk.books.key("1")
    desk.facts.private = True
    desk.books.key("2")
    assert desk.stats.dtmf == "1*"


def test_consent_is_given_once(desk, caplog):
    desk.loop.advance(2)
    desk.books.consented()
    desk.loop.advance(2)
    desk.books.consented()
    assert desk.stats.consent_ms == 2000
    assert caplog.text.count("agrees to be recorded") == 1
