"""fastbridge.observe.stats: the books of the lanes, and the lines made of them."""

from typing import ClassVar

import pytest

from fastbridge._caller import FORWARDED, GREETING_LOCK, OTHER_REASON, OUTCOMES, SESSION_NOT_READY
from fastbridge.observe import stats
from helpers import FOREIGN_SID, LOUD, QUIET, base64_text, media_json
from virtual import Rig


class FakeLane:
    """A caller lane with any outcomes."""

    concealed_frames = silence_frames = peak_waiting = 0

    def __init__(self, frames_in: int, waiting: int = 0, locked: int | None = None, **outcomes: int) -> None:
        self.frames_in = frames_in
        self.waiting = waiting
        self.outcomes = tuple(outcomes.get(name, 0) for name in OUTCOMES)
        self.locked_frames = locked if locked is not None else outcomes.get("greeting_lock", 0)


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.shut()


class TestAccounting:
    def test_every_number_is_of_the_one_array(self, rig):
        rig.started()
        rig.caller_says(QUIET, QUIET)
        rig.up()
        rig.caller_says(QUIET)
        rig.do(rig.call.caller.lock)
        rig.caller_says(QUIET, QUIET)
        rig.do(rig.call.caller.unlock)
        rig.carrier(media_json(9, base64_text(QUIET), FOREIGN_SID))
        rig.do(rig.call.caller.pause)
        rig.caller_says(QUIET)
        assert stats.accounting(rig.call.caller) == {
            "frames_in": 7,
            "forwarded": 3,
            "dropped": 3,
            "waiting": 1,
            "by_reason": {"greeting_lock": 2, "other": 1},
            "concealed": 0,
            "silence": 0,
            "peak_waiting": 2,
        }
        rig.do(rig.call.close, "shutdown")
        books = stats.accounting(rig.call.caller)
        assert books["by_reason"] == {"greeting_lock": 2, "session_not_ready": 1, "other": 1}
        assert (books["frames_in"], books["waiting"]) == (books["forwarded"] + books["dropped"], 0)

    @pytest.mark.parametrize("reason", range(1, len(OUTCOMES)))
    def test_each_reason_under_its_name(self, reason):
        lane = FakeLane(3, **{OUTCOMES[reason]: 3})
        assert stats.accounting(lane)["by_reason"] == {OUTCOMES[reason]: 3}
        assert (OUTCOMES[FORWARDED], OUTCOMES[GREETING_LOCK]) == ("forwarded", "greeting_lock")
        assert (OUTCOMES[SESSION_NOT_READY], OUTCOMES[OTHER_REASON]) == ("session_not_ready", "other")


class TestPacing:
    def test_the_books_of_a_response_that_was_played(self, rig):
        rig.up().respond(bytes(8000))
        rig.advance(1.1)
        rig.echo_marks()
        books = stats.pacing(rig.call.assistant)
        assert {name: books[name] for name in ("frames_enqueued", "tx", "flushed", "deltas")} == {
            "frames_enqueued": 50,
            "tx": 50,
            "flushed": {"barge_in": 0, "close": 0},
            "deltas": 1,
        }
        assert (books["tx_late_frames"], books["tx_schedule_resets"], books["underruns"]) == (0, 0, 0)
        assert 18 <= books["interval_p50_ms"] <= books["interval_p99_ms"] <= 20.5
        assert (books["peak_ring_ms"], books["marks_sent"], books["marks_played"]) == (1000, 7, 7)

    def test_what_a_resumed_hold_sends_again_was_enqueued_again(self, rig):
        rig.up().respond(bytes(24_000))
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 5)
        rig.advance(1)
        (barge_in,) = rig.call.stats.barge_ins
        assert barge_in.outcome == "resumed"
        rig.do(rig.call.close, "shutdown")
        books = stats.pacing(rig.call.assistant)
        assert books["rewound"] == barge_in.frames_rewound > 0
        assert books["tx"] == len(rig.written("media"))
        assert books["frames_enqueued"] == 150 + books["rewound"] == books["tx"] + sum(books["flushed"].values())
        assert books["cleared"] == 0

    def test_what_an_interruption_drops_by_place(self, rig):
        rig.up().respond(bytes(24_000))
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * 20)
        (barge_in,) = rig.call.stats.barge_ins
        rig.do(rig.call.close, "shutdown")
        books = stats.pacing(rig.call.assistant)
        assert (books["flushed"], books["cleared"]) == (
            {"barge_in": barge_in.frames_unsent, "close": 0},
            barge_in.frames_unheard,
        )
        assert books["frames_enqueued"] == 150 == books["tx"] + barge_in.frames_unsent
        assert barge_in.frames_unheard > 0

    def test_what_was_not_sent_is_flushed_by_reason(self, rig):
        rig.up().respond(bytes(8000))
        rig.advance(0.1)
        rig.do(rig.call.close, "shutdown")
        books = stats.pacing(rig.call.assistant)
        assert books["flushed"]["close"] == 50 - books["tx"] > 0


class TestLines:
    def test_of_books_that_balance(self):
        lane = FakeLane(1000, forwarded=822, greeting_lock=178)
        assert stats.accounting_lines(lane) == [
            (False, "Frame accounting OK: 1000 = 822 + 178"),
            (False, "Greeting lock accounting OK: 178 frames"),
            (False, "SIMPLE_MODE DROPS: greeting_lock=178"),
        ]

    def test_without_drops_there_is_no_breakdown(self):
        assert stats.accounting_lines(FakeLane(5, forwarded=5)) == [
            (False, "Frame accounting OK: 5 = 5 + 0"),
            (False, "Greeting lock accounting OK: 0 frames"),
        ]

    def test_the_breakdown_has_every_reason_once(self):
        lane = FakeLane(10, forwarded=4, greeting_lock=3, queue_full=2, other=1)
        assert stats.accounting_lines(lane)[-1] == (False, "SIMPLE_MODE DROPS: greeting_lock=3, queue_full=2, other=1")
        lines = stats.accounting_lines(lane, simple_mode=False)
        assert lines[-1] == (False, "Drop breakdown: greeting_lock=3, queue_full=2, other=1")

    @pytest.mark.parametrize(
        "lane", [FakeLane(6, forwarded=5), FakeLane(6, waiting=1, forwarded=5), FakeLane(4, forwarded=5)]
    )
    def test_a_frame_too_many_or_too_few_is_an_error(self, lane):
        is_error, line = stats.accounting_lines(lane)[0]
        assert is_error
        assert line.startswith(f"[FRAME_ACCOUNTING_ERROR] frames_in={lane.frames_in} != 5 + 0")

    @pytest.mark.parametrize("locked", [177, 179])
    def test_a_lock_that_counted_other_frames_than_it_dropped_is_an_error(self, locked):
        lane = FakeLane(1000, locked=locked, forwarded=822, greeting_lock=178)
        is_error, line = stats.accounting_lines(lane)[1]
        assert is_error
        assert line == f"[GREETING_LOCK_ERROR] 178 frames were dropped, {locked} came while it was locked"


class TestComplaints:
    BOOKS: ClassVar = {"frames_enqueued": 150, "tx": 120, "flushed": {"barge_in": 20, "close": 10}}

    def test_none_where_all_is_well(self):
        assert stats.complaints(self.BOOKS, {"responses": 0, "model_line": 0}) == []

    @pytest.mark.parametrize("change", [{"frames_enqueued": 151}, {"tx": 121}, {"flushed": {"barge_in": 20}}])
    def test_the_assistants_books(self, change):
        (line,) = stats.complaints({**self.BOOKS, **change}, {})
        assert line.startswith("[FRAME_ACCOUNTING_ERROR] frames_enqueued=")

    def test_fuses(self):
        assert stats.complaints(self.BOOKS, {"responses": 0, "model_line": 2}) == [
            "[SAFETY_FUSE] responses=0, model_line=2"
        ]


def test_errors_are_counted_by_code_and_by_type():
    counted = stats.CallStats()
    counted.note_error("http_429", "rate_limit")
    counted.note_error("x" * 500, "y" * 500)
    counted.note_type("rate_limit")
    assert counted.errors == ["http_429", "x" * 119 + "…"]
    assert counted.error_types == {"rate_limit": 2, "y" * 119 + "…": 1}


def test_errors_are_kept_and_told_apart_up_to_a_bound():
    books = stats.CallStats()
    for number in range(stats.MAX_ERRORS + 5):
        books.note_error(f"code_{number}", f"kind_{number}")
    assert len(books.errors) == stats.MAX_ERRORS
    assert len(books.error_types) == stats.MAX_ERROR_TYPES + 1
    assert books.error_types["other"] == stats.MAX_ERRORS + 5 - stats.MAX_ERROR_TYPES
