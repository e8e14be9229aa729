"""call.dead_air: the caller never waits for sound for long without any, and intentional silence is counted."""

import pytest

from fastbridge.agent import Agent
from fastbridge.model.port import Wish
from helpers import LOUD
from virtual import Rig

SECOND = bytes(range(160)) * 50
MAX_SILENCE_SECONDS = 3.0
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}


@pytest.fixture
def new():
    rig = Rig()
    yield rig
    rig.shut()


@pytest.fixture
def rig(new):
    return new.up()


def first_sound(rig: Rig, limit_seconds: float = 6) -> float:
    """Seconds from now until the caller hears something."""
    began, heard = rig.now_ms, len(rig.downlink)
    while len(rig.downlink) == heard and rig.now_ms < began + limit_seconds * 1000:
        rig.advance(0.02)
    return (rig.now_ms - began) / 1000


def longest_gap(rig: Rig) -> float:
    """The longest stretch without audio to the carrier, from the first to the last, in seconds."""
    ends = 0.0
    gaps = [0.0]
    for entry in rig.written("media"):
        gaps.append(max(entry.at_ms - ends, 0) if ends else 0)
        ends = max(ends, entry.at_ms) + 20
    return max(gaps) / 1000


class TestFillers:
    def test_while_the_model_has_not_come(self, new):
        new.started()
        assert first_sound(new) == pytest.approx(2.0, abs=0.05)

    def test_a_healthy_call_has_none(self):
        rig = Rig(Agent(greeting="Hello!")).started()
        rig.advance(0.8)
        rig.up()
        rig.advance(0.9)
        rig.respond(SECOND)
        rig.advance(15)
        assert rig.downlink == SECOND
        rig.shut()

    def test_after_0_8_s_when_the_line_is_lost_mid_answer(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(0.5)
        rig.lose_model()
        rig.advance(0.5)
        assert rig.downlink == SECOND
        assert first_sound(rig) == pytest.approx(0.8, abs=0.06)

    def test_after_2_s_when_it_is_lost_while_the_caller_has_the_floor(self, rig):
        rig.respond(SECOND)
        rig.advance(5)
        rig.lose_model()
        assert first_sound(rig) == pytest.approx(2.0, abs=0.06)

    def test_after_1_5_s_without_an_answer(self, rig):
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        assert first_sound(rig) == pytest.approx(1.5, abs=0.06)

    @pytest.mark.parametrize(("late_s", "heard", "filler_s"), [(0.5, True, 1.5), (1.45, True, 1.2), (1.3, False, 1.5)])
    def test_sooner_where_the_model_has_told_late_that_he_stopped(self, rig, late_s, heard, filler_s):
        rig.model(SPEECH_STARTED)
        if heard:
            rig.caller_says(*[LOUD] * 40)
        rig.advance(late_s)
        rig.model(SPEECH_STOPPED)
        rig.model(COMMITTED)
        assert first_sound(rig) == pytest.approx(filler_s, abs=0.1)

    @pytest.mark.parametrize(
        ("frames", "late_s", "filler_s"), [(40, 1.45, 1.2), (40, 0.5, 1.5), (15, 1.7, 1.5), (40, 9.0, 1.5)]
    )
    def test_sooner_where_it_told_both_ends_too_late(self, rig, frames, late_s, filler_s):
        """A stall: both in one burst. Not for a cough, nor for a voice of long ago."""
        rig.caller_says(*[LOUD] * frames)
        rig.advance(late_s / 2)
        rig.model({"type": "session.updated", "session": {"audio": {}}})  # it heard nobody, so far
        rig.advance(late_s / 2)
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        told_ms = rig.now_ms
        rig.advance(filler_s - 0.15)
        assert all(entry.at_ms < told_ms for entry in rig.written("media"))
        rig.advance(0.3)
        assert any(entry.at_ms >= told_ms for entry in rig.written("media"))

    def test_from_its_beginning_where_it_ends_and_begins_in_one_moment(self, rig):
        """What is owed changes hands: nobody has heard anything meanwhile."""
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        rig.advance(1.0)
        before = rig.call.dead_air.intentional
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model({**event, "item_id": "item_v"})
        assert first_sound(rig) == pytest.approx(0.5, abs=0.06)
        assert rig.call.dead_air.intentional == before

    def test_after_1_5_s_of_a_stall(self, rig):
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(1.0)
        assert first_sound(rig) == pytest.approx(1.5, abs=0.2)

    def test_after_1_5_s_of_a_stall_behind_a_filler_and_a_few_words(self, rig):
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        rig.begin("resp_1", "item_1")
        rig.advance(1.6)
        assert rig.call.dead_air.fillers == {"response": 1}
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(1.1)
        written = len(rig.written("media"))
        rig.advance(1.3)
        assert len(rig.written("media")) == written
        rig.advance(0.5)
        assert rig.call.dead_air.fillers == {"response": 2}

    def test_again_and_again_with_never_3_s_between(self, rig):
        for event in (SPEECH_STARTED, SPEECH_STOPPED, COMMITTED):
            rig.model(event)
        rig.begin("resp_1")
        for _ in range(10):
            rig.advance(2)
            rig.model({"type": "response.output_audio_transcript.delta", "item_id": "item_1", "delta": "so "})
        assert rig.call.dead_air.fillers["response"] >= 4
        assert longest_gap(rig) < MAX_SILENCE_SECONDS

    def test_while_a_tool_is_at_work(self):
        agent = Agent()

        @agent.tool(timeout_seconds=30)
        async def slow() -> str:
            """Take your time."""
            import asyncio

            await asyncio.sleep(20)
            return "done"

        rig = Rig(agent).up()
        rig.begin("resp_1")
        rig.tool_call("call_1", "slow")
        rig.done("resp_1")
        assert first_sound(rig) == pytest.approx(1.5, abs=0.06)
        rig.advance(18)
        assert rig.call.dead_air.fillers["tool"] >= 4
        assert longest_gap(rig) < MAX_SILENCE_SECONDS
        rig.shut()

    def test_none_while_the_caller_speaks(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 300)
        assert rig.downlink == b""

    def test_a_caller_who_speaks_into_a_dead_line_is_not_talked_over_at_once(self, rig):
        rig.lose_model()
        rig.caller_says(*[LOUD] * 120)
        assert rig.downlink == b""
        rig.caller_says(*[LOUD] * 100)
        assert rig.downlink != b"", "noise does not speak for ever"

    def test_each_is_said_in_the_log_and_counted(self, rig, caplog):
        caplog.set_level("INFO")
        rig.model(COMMITTED)
        rig.advance(1.6)
        assert any("[WATCHDOG] filler" in r.getMessage() and "cause=answer" in r.getMessage() for r in caplog.records)
        assert rig.call.record()["waiting"]["fillers"] == {"answer": 1}

    @pytest.mark.parametrize(
        ("purpose", "seconds", "fillers"),
        [("silence", 3.9, {}), ("silence", 4.1, {"question": 1}), ("say", 2.5, {"response": 1})],
    )
    def test_who_is_asked_whether_he_is_there_waits_for_nothing_but_is_not_left_to_silence(
        self, rig, purpose, seconds, fillers
    ):
        rig.respond(SECOND)
        rig.advance(3)
        rig.do(rig.call.session.responses.create, purpose, Wish("Say it."))
        rig.advance(seconds)
        assert rig.call.dead_air.fillers == fillers


class TestBooks:
    def test_silence_of_a_caller_who_thinks_is_intentional(self, rig):
        rig.respond(SECOND)
        rig.advance(11)
        books = rig.call.dead_air
        rig.do(books.review)
        assert books.unplanned_ms == {}
        assert books.intentional_ms == pytest.approx(10_000, abs=300)

    def test_what_the_caller_waited_for_is_told_apart(self, rig):
        rig.model(COMMITTED)
        rig.advance(1.2)
        rig.respond(SECOND)
        rig.advance(5)
        rig.do(rig.call.close, "shutdown")
        waiting = rig.call.record()["waiting"]
        assert waiting["unplanned_ms"]["answer"] == pytest.approx(1200, abs=60)
        assert waiting["longest_unplanned_ms"] == pytest.approx(1200, abs=60)
        assert waiting["intentional"] >= 1

    def test_nothing_is_counted_after_the_end(self, rig):
        rig.do(rig.call.close, "shutdown")
        before = rig.call.dead_air.summary()
        rig.do(rig.call.dead_air.review)
        assert rig.call.dead_air.summary() == before
        assert rig.loop.pending_timers() == []
