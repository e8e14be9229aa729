"""fastbridge.call.format_watch: audio is taken for what it is not: by the model's clock, or by our ear."""

import pytest

from fastbridge.agent import Agent
from fastbridge.model.instructions import WORDS_LOST
from fastbridge.model.line import State
from helpers import LOUD, base64_text
from live_rig import SILENT, LiveRig
from sounds import recordings, spoken, to_pcm
from turns import TRANSCRIBED, creates, speech_started, speech_stopped, turn
from virtual import Rig


@pytest.fixture
def rig():
    rig = Rig(silence_seconds=0).up()
    yield rig
    rig.shut()


class TestTheModelsClock:
    """Of the caller's audio: where it runs slow, that audio is taken for what it is not."""

    def quiet_then_loud(self, rig: Rig, seconds: float = 3.0) -> None:
        rig.advance(seconds)
        rig.caller_says(*[LOUD] * 20)

    def test_where_nobody_had_spoken_is_noticed(self, rig):
        self.quiet_then_loud(rig)
        rig.model(speech_started(200))
        assert rig.call.record()["answers"] == {"format_mismatch": 1}
        assert rig.call.line.counters["losses"] == 1

    @pytest.mark.parametrize("start_ms", [None, 2700, 3100, 700])
    def test_where_somebody_spoke_or_unknown_is_fine(self, rig, start_ms):
        self.quiet_then_loud(rig)
        rig.model(speech_started(start_ms))
        assert rig.call.line.up

    @pytest.mark.parametrize("seconds", [1.0, 2.9])
    def test_soon_after_the_session_says_nothing(self, rig, seconds):
        self.quiet_then_loud(rig, seconds)
        rig.model(speech_started(0))
        assert rig.call.line.up

    def test_where_our_ear_heard_a_voice_is_fine_though_it_is_told_late(self, rig):
        rig.caller_says(*[LOUD] * 30)
        rig.advance(5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    def test_where_it_was_only_a_word_too(self, rig):
        rig.caller_says(*[LOUD] * 10)
        rig.advance(5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    def test_is_told_twice_and_means_the_same(self, rig):
        rig.caller_says(*[LOUD] * 30)
        rig.model(speech_started(0))
        rig.advance(2.5)
        rig.model(speech_started(0))
        assert rig.call.record()["answers"].get("format_mismatch") is None

    @pytest.mark.parametrize("ends", ["by its word", "by ours"])
    def test_in_the_second_turn_is_noticed_too(self, rig, ends):
        """The first came too soon to tell."""
        rig.caller_says(*[LOUD] * 30)
        rig.model(speech_started(0))
        rig.advance(0.5)
        if ends == "by its word":
            rig.model(speech_stopped())
        rig.advance(4)
        rig.caller_says(*[LOUD] * 20)
        rig.model({**speech_started(300), "item_id": "item_v"})
        assert rig.call.record()["answers"]["format_mismatch"] == 1

    def test_twice_is_the_end(self, rig):
        self.quiet_then_loud(rig)
        rig.model(speech_started(200))
        rig.advance(0.5)
        rig.connect()
        rig.open_session(2)
        self.quiet_then_loud(rig)
        rig.model({**speech_started(200), "item_id": "item_v"})
        assert rig.call.line.state is State.DOWN

    @pytest.mark.parametrize("seconds", [0, 1])
    def test_in_a_new_session_is_counted_from_its_beginning(self, rig, seconds):
        rig.advance(10)
        rig.lose_model()
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        self.quiet_then_loud(rig, seconds)
        rig.model(speech_started(0))
        assert rig.call.line.counters["losses"] == 1

    def test_what_was_locked_out_was_not_sent(self, rig):
        rig.call.caller.lock()
        rig.advance(10)
        rig.call.caller.unlock()
        self.quiet_then_loud(rig, 1)
        rig.model(speech_started(0))
        assert rig.call.line.up


class TestNoise:
    """The model's speech is PCM."""

    PCM = to_pcm(spoken(-20))[6000:]

    def answer(self, rig: Rig, number: int = 1) -> int:
        """A turn, and the beginning of its answer, in real time: how many ms were heard until the line was given up."""
        turn(rig)
        rig.model({**TRANSCRIBED, "item_id": "item_u"})
        response_id, item_id = f"resp_{number}", f"item_{number}"
        rig.begin(response_id, item_id)
        for start in range(0, 16_000, 160):
            if not rig.call.line.up:
                return start // 8
            rig.delta(self.PCM[start : start + 160], response_id, item_id)
            rig.advance(0.02)
        return 2000

    def test_is_cut_off_and_the_answer_asked_for_again(self, rig):
        assert self.answer(rig) < 500
        assert not rig.call.assistant.playing
        assert len(rig.downlink) < 4000
        assert rig.written("clear") != []
        assert rig.call.record()["answers"] == {"format_mismatch": 1}
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert [create.get("instructions") for create in creates(rig)] == [None], "from its beginning"

    def test_is_nothing_that_was_said(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        words = {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_1"}
        rig.model({**words, "delta": "We are open from nine"})
        rig.delta(self.PCM[:8000], "resp_1", "item_1")
        rig.transcript("We are open from nine to five.", "resp_1", "item_1")
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        told = [event["item"] for event in rig.sent("conversation.item.create")]
        assert [each["role"] for each in told] == ["system"], "of the caller's words, which are lost"
        assert [each for each in rig.call.record()["turns"] if each["role"] == "assistant"] == []

    def test_is_never_heard_if_it_comes_fast(self, rig):
        turn(rig)
        rig.begin("resp_1", "item_1")
        rig.delta(self.PCM[:12_000], "resp_1", "item_1")
        rig.advance(0.5)
        assert rig.downlink == b""

    def test_twice_is_the_end(self, rig):
        self.answer(rig)
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        self.answer(rig, 2)
        assert rig.call.line.state is State.DOWN
        assert rig.call.fallback.ending

    def test_in_a_recording_of_ours_is_not_the_models(self, rig):
        lane = rig.call.assistant
        rig.do(lane.begin_response, "local_filler_1")
        rig.do(lane.feed_delta, b"local_filler_1", b"local_filler_1", base64_text(self.PCM[:8000]))
        assert lane.playing
        assert rig.call.line.up
        assert rig.call.record()["answers"] == {}

    def test_is_not_what_is_mulaw(self, rig):
        turn(rig)
        rig.respond(recordings()["en/apology.ulaw"])
        rig.advance(8)
        assert rig.call.line.up

    @pytest.mark.parametrize("words", [True, False])
    def test_what_was_noise_is_said_in_the_next_session(self, rig, words):
        turn(rig)
        if words:
            kind = "conversation.item.input_audio_transcription.completed"
            rig.model({"type": kind, "item_id": "item_u", "transcript": "When are you open?"})
        rig.begin("resp_1", "item_1")
        rig.delta(self.PCM[:8000], "resp_1", "item_1")
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        (asked,) = creates(rig)
        assert ("ask them to repeat" in asked.get("instructions", "")) is not words
        replayed = [event["item"]["content"][0]["text"] for event in rig.sent("conversation.item.create")]
        assert replayed == ["When are you open?" if words else WORDS_LOST]

    def test_a_greeting_that_was_noise_is_said_again(self):
        rig = Rig(Agent(greeting="Hello!")).up()
        rig.begin("resp_1", "item_1")
        rig.delta(self.PCM[:8000], "resp_1", "item_1")
        rig.advance(0.2)
        rig.connect()
        rig.open_session(2)
        assert ["Hello!" in create["instructions"] for create in creates(rig)] == [True, True]
        rig.shut()


def test_more_audio_than_time_unsays_nothing_that_had_been_said():
    """A model whose silence is no noise has spoken what it was taken to."""
    rig = LiveRig(Agent(), silence_seconds=0).up()
    rig.says(1.0, "We are open.")
    rig.advance(4.0)
    rig.echo_marks()
    rig.delta_of(SILENT * 200)
    rig.advance(2.0)
    assert rig.call.record()["answers"] == {"format_mismatch": 1}
    assert [turn["text"] for turn in rig.call.record()["turns"]] == ["We are open."]
    rig.shut()
