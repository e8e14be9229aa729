"""fastbridge.call.barge_in in a real call: when the caller interrupts, when not, and exactly what follows."""

import pytest

from fastbridge.agent import Agent
from fastbridge.call.barge_in import TRANSITIONS, Event, State
from fastbridge.errors import IllegalEvent
from helpers import LOUD, QUIET, base64_text
from virtual import Rig

SECOND = bytes(0x50 + n % 48 for n in range(160)) * 50
"""Softly spoken: what is louder is not its echo."""
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}
SPEECH_STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u"}


@pytest.fixture
def rig():
    """A live call in which the assistant has spoken for half a second of three; its response has ended. What our
    detector hears is believed at once."""
    rig = Rig(barge_in_confirm_ms=0).up()
    rig.respond(SECOND * 3, text="one two three four five six")
    rig.advance(0.5)
    yield rig
    rig.shut()


@pytest.fixture
def generating():
    """The same, but its response is still being generated."""
    rig = Rig(barge_in_confirm_ms=0).up()
    rig.begin("resp_1", "item_1")
    rig.delta(SECOND, "resp_1", "item_1")
    rig.advance(0.5)
    yield rig
    rig.shut()


def interruptions(rig: Rig) -> int:
    count = len(rig.call.stats.barge_ins)
    assert len(rig.written("clear")) == count
    return count


def interrupt(rig: Rig) -> list[tuple[str, str]]:
    """Five loud frames; what was written at the moment of the fifth, but for audio."""
    rig.caller_says(*[LOUD] * 4)
    assert interruptions(rig) == 0
    before = len(rig.journal)
    rig.caller_says(LOUD)
    assert interruptions(rig) == 1
    now_ms = rig.call.stats.barge_ins[0].at_ms
    at_once = [entry for entry in rig.journal[before:] if entry.at_ms == now_ms]
    return [(entry.to, entry.kind) for entry in at_once if entry.kind != "input_audio_buffer.append"]


class TestDebounce:
    def test_debounce_requires_5_consecutive_frames(self, rig):
        rig.caller_says(*[LOUD] * 4)
        assert interruptions(rig) == 0
        rig.caller_says(LOUD)
        assert interruptions(rig) == 1

    def test_debounce_resets_on_low_rms(self, rig):
        for _ in range(5):
            rig.caller_says(*[LOUD] * 4, QUIET)
        assert interruptions(rig) == 0

    @pytest.mark.parametrize("frames", [5, 7, 12])
    def test_is_as_told(self, frames):
        rig = Rig(barge_in_frames=frames).up()
        rig.respond(SECOND * 3)
        rig.advance(0.5)
        rig.caller_says(*[LOUD] * (frames - 1))
        assert interruptions(rig) == 0
        rig.caller_says(LOUD)
        assert interruptions(rig) == 1
        rig.shut()

    def test_frames_before_the_assistant_spoke_do_not_count(self):
        rig = Rig().up()
        rig.caller_says(*[LOUD] * 40)
        rig.respond(SECOND)
        rig.caller_says(*[LOUD] * 4)
        assert interruptions(rig) == 0
        rig.shut()


class TestGuards:
    def test_guards_prevent_cancel_during_greeting(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_1")
        rig.caller_says(*[LOUD] * 20)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 20)
        assert (interruptions(rig), rig.sent("response.cancel")) == (0, [])
        rig.shut()

    def test_guards_prevent_cancel_when_ai_not_speaking(self):
        rig = Rig().up()
        rig.caller_says(*[LOUD] * 20)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 20)
        rig.begin("resp_1", "item_1")
        rig.caller_says(*[LOUD] * 20)
        assert (interruptions(rig), rig.sent("response.cancel")) == (0, [])
        rig.shut()

    def test_not_when_all_of_it_was_heard(self, rig):
        rig.advance(2.6)
        rig.caller_says(*[LOUD] * 20)
        assert interruptions(rig) == 0

    def test_guards_prevent_cancel_without_active_response(self, rig):
        """What it said is still playing, so it is cleared; but there is nothing to cancel."""
        assert interrupt(rig) == [("carrier", "clear"), ("model", "conversation.item.truncate")]
        assert rig.sent("response.cancel") == []

    def test_one_interruption_is_one(self, rig):
        rig.caller_says(*[LOUD] * 50)
        rig.caller_says(QUIET, *[LOUD] * 50)
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 20)
        assert interruptions(rig) == 1

    def test_one_interruption_is_one_however_late_the_line(self, rig):
        """Marks that come back late say that the line is slow, not that there is more to interrupt."""
        for _ in range(3):
            rig.advance(0.16)
            rig.loop.advance(0.4)
            rig.echo_marks()
        rig.caller_says(*[LOUD] * 5)
        rig.model(SPEECH_STARTED)
        rig.caller_says(QUIET, *[LOUD] * 20)
        assert interruptions(rig) == 1
        assert len(rig.sent("conversation.item.truncate")) == 1

    def test_not_after_the_end(self, rig):
        rig.caller_says(*[LOUD] * 4)
        rig.do(rig.call.close, "shutdown")
        rig.caller_says(*[LOUD] * 10)
        assert interruptions(rig) == 0


class TestOrder:
    def test_clear_then_cancel_then_truncate_and_all_at_once(self, generating):
        assert interrupt(generating) == [
            ("carrier", "clear"),
            ("model", "response.cancel"),
            ("model", "conversation.item.truncate"),
        ]
        assert generating.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_1"}]

    def test_the_clear_leaves_with_the_fifth_frame(self, generating):
        interrupt(generating)
        edge_ms = generating.now_ms - 20
        assert [entry.at_ms for entry in generating.written("clear")] == [edge_ms]

    def test_no_audio_of_it_after_the_clear(self, generating):
        interrupt(generating)
        generating.delta(SECOND, "resp_1", "item_1")
        generating.advance(0.02)
        generating.delta(SECOND, "resp_1", "item_1")
        generating.done("resp_1", "cancelled")
        generating.advance(1)
        kinds = [entry.kind for entry in generating.to_carrier]
        assert "media" not in kinds[kinds.index("clear") :]
        assert "mark" not in kinds[kinds.index("clear") :]
        assert generating.call.assistant.refused_deltas == 2

    def test_is_cancelled_once(self, generating):
        interrupt(generating)
        generating.model(SPEECH_STARTED)
        generating.caller_says(QUIET, *[LOUD] * 20)
        assert len(generating.sent("response.cancel")) == 1

    def test_the_next_response_is_heard(self, generating):
        interrupt(generating)
        generating.done("resp_1", "cancelled")
        generating.respond(SECOND, 2)
        before = len(generating.downlink)
        generating.advance(1.2)
        assert generating.downlink[before:] == SECOND

    def test_the_frames_are_accounted_for(self, rig):
        interrupt(rig)
        (barge_in,) = rig.call.stats.barge_ins
        lane = rig.call.assistant
        assert barge_in.frames_unsent == lane.frames_flushed["barge_in"] == 150 - lane.frames_sent
        assert barge_in.frames_unheard == -((barge_in.items[0]["heard_ms"] - 20 * lane.frames_sent) // 20) > 0

    def test_marks_that_come_back_for_it_change_nothing(self, rig):
        interrupt(rig)
        heard = rig.call.assistant.heard_bytes
        rig.echo_marks()
        assert rig.call.assistant.heard_bytes == heard
        assert rig.call.assistant.marks_played == 0


class TestTruncation:
    def test_is_at_what_was_heard(self, rig):
        interrupt(rig)
        first_ms = rig.written("media")[0].at_ms
        (event,) = rig.sent("conversation.item.truncate")
        (barge_in,) = rig.call.stats.barge_ins
        assert event == {
            "type": "conversation.item.truncate",
            "item_id": "item_1",
            "content_index": 0,
            "audio_end_ms": barge_in.at_ms - first_ms,
        }

    def test_is_never_above_what_was_received(self):
        """The assistant ran dry in the middle: the playout clock goes on, the audio does not."""
        rig = Rig(barge_in_confirm_ms=0).up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND[:1601], "resp_1", "item_1")
        rig.caller_says(*[LOUD] * 5)
        (event,) = rig.sent("conversation.item.truncate")
        assert 0 < event["audio_end_ms"] <= 200
        rig.shut()

    def test_with_marks_it_is_what_the_marks_say(self, rig):
        rig.advance(0.4)
        rig.echo_marks()
        interrupt(rig)
        (event,) = rig.sent("conversation.item.truncate")
        (barge_in,) = rig.call.stats.barge_ins
        assert event["audio_end_ms"] <= barge_in.at_ms - rig.written("media")[0].at_ms

    def test_the_transcript_is_cut_with_it(self, rig):
        interrupt(rig)
        turn = rig.call.session.turns["item_1"]
        assert turn.text == "one"
        assert rig.call.record()["turns"] == [{"role": "assistant", "text": "one", "heard_ms": turn.heard_ms}]

    def test_the_transcript_is_cut_though_it_comes_later(self, generating):
        interrupt(generating)
        generating.transcript("one two three four", "resp_1", "item_1")
        assert generating.call.session.turns["item_1"].text == "one two"

    def test_an_item_that_waited_behind_it_was_never_said(self, generating):
        generating.delta(SECOND, "resp_1", "item_2")
        interrupt(generating)
        assert [event["item_id"] for event in generating.sent("conversation.item.truncate")] == ["item_1"]
        assert generating.sent("conversation.item.delete") == [
            {"type": "conversation.item.delete", "item_id": "item_2"}
        ]
        generating.transcript("Never said.", "resp_1", "item_2")
        assert [turn["text"] for turn in generating.call.record()["turns"]] == []

    def test_an_item_that_was_wholly_heard_is_left_alone(self):
        rig = Rig(barge_in_confirm_ms=0).up()
        rig.begin("resp_1", "item_1")
        rig.delta(SECOND[:1600], "resp_1", "item_1")
        rig.delta(SECOND, "resp_1", "item_2")
        rig.advance(0.5)
        interrupt(rig)
        assert [event["item_id"] for event in rig.sent("conversation.item.truncate")] == ["item_2"]
        assert rig.sent("conversation.item.delete") == []
        rig.shut()

    def test_two_in_a_row_cut_each_item_once(self, rig):
        """The second comes while the next response has hardly begun."""
        interrupt(rig)
        text = rig.call.session.turns["item_1"].text
        rig.respond(SECOND, 2)
        rig.caller_says(QUIET, *[LOUD] * 5)
        assert interruptions(rig) == 2
        assert [event["item_id"] for event in rig.sent("conversation.item.truncate")] == ["item_1", "item_2"]
        assert [[item["item_id"] for item in each.items] for each in rig.call.stats.barge_ins] == [
            ["item_1"],
            ["item_2"],
        ]
        assert rig.call.session.turns["item_1"].text == text


class TestModelsEar:
    """A caller whom only the model hears."""

    def test_interrupts_after_150_ms(self, rig):
        rig.model(SPEECH_STARTED)
        rig.advance(0.149)
        assert interruptions(rig) == 0
        rig.advance(0.002)
        assert interruptions(rig) == 1
        assert rig.call.stats.barge_ins[0].source == "model"

    def test_not_if_he_stops_before(self, rig):
        rig.model(SPEECH_STARTED)
        rig.advance(0.14)
        rig.model(SPEECH_STOPPED)
        rig.advance(1)
        assert interruptions(rig) == 0

    def test_not_twice_if_we_hear_him_too(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 20)
        assert interruptions(rig) == 1
        assert rig.call.stats.barge_ins[0].source == "local"

    def test_not_what_comes_after_an_interruption_of_ours(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 5)
        rig.respond(SECOND, 2)
        rig.advance(1.2)
        assert interruptions(rig) == 1
        assert rig.downlink.endswith(SECOND)

    def test_each_answer_that_begins_in_his_sentence_gives_way(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 10)
        for number in (2, 3):
            rig.respond(SECOND * 3, number)
            rig.caller_says(*[LOUD] * 12)
        assert (rig.call.assistant.playing, interruptions(rig)) == (False, 3)

    def test_not_one_that_begins_when_he_is_quiet_however_late_that_is_told(self, rig):
        rig.model(SPEECH_STARTED)
        rig.caller_says(*[LOUD] * 10, *[QUIET] * 40)
        rig.respond(SECOND * 3, 2)
        rig.advance(1)
        assert interruptions(rig) == 1

    def test_not_if_he_spoke_into_the_locked_greeting(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.respond(SECOND)
        rig.advance(0.2)
        rig.model(SPEECH_STARTED)
        rig.do(rig.call.greeting._release)
        rig.advance(0.5)
        assert interruptions(rig) == 0
        rig.shut()

    def test_not_if_all_was_heard_meanwhile(self, rig):
        rig.advance(2.4)
        rig.model(SPEECH_STARTED)
        rig.advance(1)
        assert interruptions(rig) == 0


class TestOthers:
    def test_cleanup_does_not_touch_global_state(self, rig):
        other = Rig(loop=rig.loop).up()
        other.respond(SECOND * 2)
        rig.advance(0.3)
        interrupt(rig)
        assert (interruptions(other), other.sent("conversation.item.truncate")) == (0, [])
        before = len(other.downlink)
        other.advance(0.5)
        assert len(other.downlink) > before
        assert other.call.assistant.playing
        other.do(other.call.close, "shutdown")

    def test_cleanup_only_if_response_id_matches(self, generating):
        interrupt(generating)
        generating.begin("resp_2", "item_2")
        generating.delta(SECOND, "resp_2", "item_2")
        generating.done("resp_1", "cancelled")
        assert generating.call.session.responses.generating
        assert generating.call.session.responses.response_id == "resp_2"
        before = len(generating.downlink)
        generating.delta(SECOND, "resp_2", "item_2")
        generating.advance(2.2)
        assert generating.downlink[before:] == SECOND * 2

    def test_is_in_the_log_and_in_the_record(self, generating, caplog):
        caplog.set_level("DEBUG")
        interrupt(generating)
        (barge_in,) = generating.call.record()["barge_ins"]
        assert barge_in["response_id"] == "resp_1"
        assert (barge_in["outcome"], barge_in["why"], barge_in["held_ms"]) == ("committed", "at_once", 0)
        assert barge_in["items"][0]["item_id"] == "item_1"
        assert 0 < barge_in["items"][0]["heard_ms"] < barge_in["items"][0]["received_ms"] == 1000
        line = [record.getMessage() for record in caplog.records if "[BARGE-IN]" in record.getMessage()][-1]
        unsent, unheard = barge_in["frames_unsent"], barge_in["frames_unheard"]
        for words in (
            f"Sent Twilio clear event (stream_sid={generating.call.stream_sid})",
            f"Cleared {unsent + unheard} frames from TX queues (realtime={unsent}, tx={unheard}, reason=barge_in)",
            "barge_in_events=1, response_id=resp_1, cancel=sent, source=local, why=at_once",
            generating.call.call_sid,
        ):
            assert words in line

    def test_many_in_one_call_are_one_line_each(self, caplog):
        caplog.set_level("INFO")
        rig = Rig(barge_in_confirm_ms=0).up()
        for number in range(1, 6):
            rig.respond(SECOND * 2, number)
            rig.advance(0.3)
            rig.caller_says(*[LOUD] * 5, QUIET)
        lines = [record.getMessage() for record in caplog.records if "[BARGE-IN]" in record.getMessage()]
        assert len(lines) == 5
        assert "barge_in_events=5" in lines[-1]
        rig.shut()


@pytest.fixture
def staged():
    """A live call in which the assistant speaks, its response still being generated; a hold must be confirmed."""
    rig = Rig(barge_in_confirm_ms=250).up()
    rig.begin("resp_1", "item_1")
    rig.delta(SECOND * 3, "resp_1", "item_1")
    rig.advance(0.5)
    yield rig
    rig.shut()


def held(rig: Rig) -> None:
    """Five loud frames, and no more."""
    rig.caller_says(*[LOUD] * 5)
    assert rig.call.barge_in.held
    assert [entry.kind for entry in rig.to_carrier][-1] == "clear"


def outcome(rig: Rig) -> tuple[str, str]:
    (barge_in,) = rig.call.stats.barge_ins
    return barge_in.outcome, barge_in.why


class TestHold:
    def test_playback_stops_at_once_and_nothing_is_cancelled(self, staged):
        held(staged)
        before = len(staged.downlink)
        staged.advance(0.2)
        assert len(staged.downlink) == before
        assert staged.to_model == staged.sent("session.update")

    def test_what_the_model_says_meanwhile_is_kept(self, staged):
        held(staged)
        staged.delta(SECOND, "resp_1", "item_1")
        assert staged.call.assistant.refused_deltas == 0

    def test_it_is_one_interruption_however_long(self, staged):
        held(staged)
        staged.caller_says(*[LOUD] * 4, QUIET, *[LOUD] * 5)
        assert interruptions(staged) == 1

    def test_the_end_of_the_call_ends_it(self, staged):
        held(staged)
        staged.do(staged.call.close, "shutdown")
        assert outcome(staged) == ("held", "")


class TestCommit:
    def expect(self, rig: Rig, why: str) -> None:
        assert outcome(rig) == ("committed", why)
        assert rig.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_1"}]
        (truncate,) = rig.sent("conversation.item.truncate")
        assert truncate["audio_end_ms"] == pytest.approx(rig.call.stats.barge_ins[0].at_ms - 0, abs=40)
        assert interruptions(rig) == 1
        rig.advance(1)
        assert not rig.call.assistant.playing

    def test_when_the_model_hears_speech(self, staged):
        held(staged)
        staged.model(SPEECH_STARTED)
        self.expect(staged, "speech_started")

    def test_at_once_if_it_had_heard_it_before_us(self, staged):
        staged.model(SPEECH_STARTED)
        staged.caller_says(*[LOUD] * 5)
        self.expect(staged, "speech_started")

    def test_when_the_voice_lasts(self, staged):
        held(staged)
        staged.caller_says(*[LOUD] * 7)
        assert staged.call.barge_in.held
        staged.caller_says(*[LOUD] * 2)
        self.expect(staged, "voice")

    def test_when_a_turn_of_the_caller_is_taken(self, staged):
        held(staged)
        staged.advance(0.1)
        staged.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
        self.expect(staged, "turn")

    def test_when_there_are_words(self, staged):
        held(staged)
        words = {"item_id": "item_u", "transcript": "Stop."}
        staged.model({"type": "conversation.item.input_audio_transcription.completed", **words})
        self.expect(staged, "turn")

    def test_when_another_response_begins_and_that_one_is_heard(self):
        rig = Rig(barge_in_confirm_ms=250).up()
        rig.respond(SECOND * 3)
        rig.advance(0.5)
        held(rig)
        rig.respond(SECOND, 2)
        assert outcome(rig) == ("committed", "response")
        assert rig.sent("response.cancel") == []
        rig.advance(2)
        assert rig.downlink.endswith(SECOND)
        rig.shut()

    def test_what_was_heard_does_not_grow_while_it_is_held(self, staged):
        held(staged)
        heard = staged.call.assistant.items()
        staged.advance(0.3)
        staged.model(SPEECH_STARTED)
        (truncate,) = staged.sent("conversation.item.truncate")
        assert truncate["audio_end_ms"] == heard[0][2]

    def test_local_audio_is_none_of_the_models(self):
        rig = Rig(barge_in_confirm_ms=0).up()
        lane = rig.call.assistant
        rig.do(lane.begin_response, "local_filler_1")
        rig.do(lane.feed_delta, b"local_filler_1", b"local_filler_1", base64_text(SECOND))
        rig.do(lane.end_response, "local_filler_1")
        rig.advance(0.3)
        rig.caller_says(*[LOUD] * 5)
        assert interruptions(rig) == 1
        assert rig.to_model == rig.sent("session.update")
        rig.shut()


class TestFalseTrigger:
    def test_false_trigger_detection_no_text_low_rms(self, staged):
        """Nothing came of it: the assistant goes on where it was cut off, and says every word once."""
        held(staged)
        staged.advance(4)
        assert outcome(staged) == ("resumed", "quiet")
        barge_in = staged.call.stats.barge_ins[0]
        assert staged.sent("response.cancel") == staged.sent("conversation.item.truncate") == []
        rewound = 160 * barge_in.frames_rewound
        at = 160 * (150 - barge_in.frames_unsent) - rewound
        assert staged.downlink == (SECOND * 3)[: at + rewound] + (SECOND * 3)[at:]

    def test_recovery_delay_is_500ms(self, staged):
        held(staged)
        staged.caller_says(*[QUIET] * 23)
        assert staged.call.barge_in.held
        staged.caller_says(*[QUIET] * 2)
        assert outcome(staged) == ("resumed", "quiet")
        assert staged.call.stats.barge_ins[0].held_ms == 500

    def test_no_false_trigger_when_rms_still_high(self):
        """Loud now and then is a voice with gaps, or noise; neither is a reason to go on speaking."""
        rig = Rig(barge_in_confirm_ms=250).up()
        rig.respond(SECOND * 3)
        rig.advance(0.5)
        held(rig)
        rig.caller_says(*[QUIET, LOUD] * 15)
        (barge_in,) = rig.call.stats.barge_ins
        assert barge_in.outcome != "resumed"
        rig.shut()

    def test_no_false_trigger_when_text_received(self, staged):
        held(staged)
        words = {"item_id": "item_u", "transcript": "Wait."}
        staged.model({"type": "conversation.item.input_audio_transcription.completed", **words})
        staged.advance(1)
        assert outcome(staged)[0] == "committed"

    def test_no_false_trigger_when_user_speaking(self, staged):
        held(staged)
        staged.model(SPEECH_STARTED)
        staged.advance(1)
        assert outcome(staged)[0] == "committed"

    def test_noise_that_is_speech_to_nobody_does_not_hold_for_ever(self):
        rig = Rig(barge_in_confirm_ms=2000, barge_in_frames=1).up()
        rig.respond(SECOND * 3)
        rig.advance(0.5)
        for _ in range(60):
            rig.caller_says(LOUD, LOUD, QUIET)
        first = rig.call.stats.barge_ins[0]
        assert first.outcome == "resumed"
        assert first.held_ms <= 2000
        rig.shut()

    def test_is_counted_and_logged(self, staged, caplog):
        caplog.set_level("INFO")
        held(staged)
        staged.advance(1)
        (line,) = [record.getMessage() for record in caplog.records if "[BARGE-IN]" in record.getMessage()]
        assert "False trigger: playback resumed after 500ms" in line
        assert "barge_in_false=1" in line

    def test_after_it_the_caller_can_interrupt(self, staged):
        held(staged)
        staged.advance(0.7)
        staged.caller_says(*[LOUD] * 5)
        staged.model(SPEECH_STARTED)
        assert [one.outcome for one in staged.call.stats.barge_ins] == ["resumed", "committed"]


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("happening", list(Event))
def test_the_table_knows_every_state_and_an_illegal_event_is_an_error(staged, state, happening):
    interruption = staged.call.barge_in
    interruption.state = state
    if happening in TRANSITIONS[state]:
        interruption._to(happening)
        assert interruption.state is TRANSITIONS[state][happening]
    else:
        with pytest.raises(IllegalEvent):
            interruption._to(happening)
    interruption.state = State.PLAYING
