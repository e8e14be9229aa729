"""fastbridge.model.live.session: a whole call to a model that streams without end, scripted message by message."""

import json
import math
import random
import struct
from typing import Any

import pytest

from call_rig import Control
from fastbridge.agent import Agent, CallContext
from fastbridge.model.live.requests import HEARD_NOTHING
from fastbridge.model.live.responses import ANSWER, REACT
from fastbridge.model.port import Wish
from helpers import LOUD, QUIET
from live_rig import LiveRig

HELLO = "Hello, how can I help?"


def shop(**fields: Any) -> Agent:
    agent = Agent(greeting=HELLO, greeting_lock=False, **fields)

    @agent.tool
    async def order(number: int) -> str:
        """The state of an order."""
        return f"order {number} is on its way"

    return agent


@pytest.fixture
def rig():
    rig = LiveRig(shop(), silence_seconds=0)
    yield rig
    rig.shut()


@pytest.fixture
def greeted(rig: LiveRig) -> LiveRig:
    return greet(rig)


def greet(rig: LiveRig) -> LiveRig:
    rig.up()
    rig.advance(0.8)
    rig.says(1.0, HELLO)
    rig.advance(2.2)
    rig.echo_marks()
    return rig


def asks(rig: LiveRig, text: str, seconds: float = 1.0) -> None:
    """The caller says something, which is written down as it comes; and is quiet again."""
    rig.line += [LOUD] * round(seconds * 50)
    rig.advance(seconds)
    rig.hears(text)
    rig.advance(1.0)


def talks_over_a_filler(rig: LiveRig, frames: int) -> None:
    """A recording is heard while a tool's result is waited for, and the caller interrupts it."""
    rig.do(rig.call.fallback.fill, "tool", 0, 1500)
    rig.do(rig.call.session.responses.create, "tool_result")
    rig.advance(0.3)
    rig.line += [LOUD] * frames
    rig.advance(0.6)
    assert rig.call.stats.barge_ins[-1].outcome == "committed"


def texts(rig: LiveRig) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in rig.call.session.history.ordered()]


class TestGreeting:
    def test_is_asked_for_in_its_words_and_heard(self, greeted):
        assert greeted.appended("commentary") == [HELLO]
        assert greeted.downlink.count(LOUD) == 50
        assert texts(greeted) == [("assistant", HELLO)]
        assert greeted.call.greeting.state == "over"

    def test_no_audio_passes_before_the_session_has_started(self, rig):
        rig.connected()
        rig.line += [LOUD] * 5
        rig.advance(0.2)
        assert rig.uplink == b""
        rig.started_session()
        rig.advance(0.02)
        assert rig.uplink.count(LOUD) == 5

    def test_the_caller_is_sent_on_in_this_dialects_words(self, rig):
        rig.up()
        rig.advance(0.1)
        kinds = {entry.kind for entry in rig.journal if entry.to == "model"}
        assert kinds == {"session.start", "session.input_audio.append", "session.commentary.append"}

    def test_its_lock_does_not_wait_for_the_end_of_an_utterance(self):
        rig = LiveRig(shop().changed(greeting_lock=True), silence_seconds=0)
        rig.up()
        rig.advance(0.8)
        rig.says(1.0, HELLO)
        rig.advance(1.0)
        assert rig.call.greeting.locked
        rig.advance(0.7)
        assert not rig.call.greeting.locked
        assert rig.call.session.responses.generating
        rig.shut()

    def test_is_asked_for_once_more_where_nothing_comes_of_it(self, rig):
        rig.up()
        rig.advance(5.1)
        assert rig.appended("commentary") == [HELLO, HELLO]
        assert rig.call.session.responses.counters["creates_repeated"] == 1

    def test_and_then_the_session_is_no_good(self, rig):
        rig.up()
        rig.advance(10.5)
        assert rig.call.line.counters["losses"] == 1


class TestTurn:
    @pytest.mark.parametrize("words_seconds", [0.0, 0.6, 1.2])
    def test_waits_no_longer_because_its_words_come_late(self, greeted, words_seconds):
        """A filler is due 2.8 s after his last sound at the latest."""
        greeted.line += [LOUD] * 40
        greeted.advance(0.5)
        greeted.hears(" Are")
        greeted.advance(0.3)
        for _ in range(round(words_seconds / 0.3)):
            greeted.advance(0.3)
            greeted.hears(" you", 100)
        greeted.advance(2.85 - round(words_seconds / 0.3) * 0.3)
        assert greeted.call.dead_air.fillers == {"answer": 1}

    @pytest.mark.parametrize("purpose", ["turn", "reprompt", "repeat", "tool_result"])
    def test_is_answered_by_whatever_was_asked_for_in_answer(self, greeted, purpose):
        """It has heard him, whatever it was told: the rest that waited to be asked for is not asked."""
        responses = greeted.call.session.responses
        greeted.says(0.5, "One moment.")
        greeted.advance(0.1)
        for each in (purpose, "turn", "tool_result"):
            greeted.do(responses.create, each)
        greeted.advance(2.0)
        asked = len(greeted.appended("instructions"))
        greeted.says(0.5, "We are.")
        greeted.advance(3.0)
        assert (len(greeted.appended("instructions")), asked) == (1, 1)
        assert not responses.busy

    def test_is_told_and_answered(self, greeted):
        asks(greeted, " Are you open?")
        assert greeted.call.turns.owed
        greeted.says(0.6, " We are.")
        assert not greeted.call.turns.owed
        greeted.advance(1.6)
        assert texts(greeted)[1:] == [("caller", "Are you open?"), ("assistant", "We are.")]
        assert greeted.call.stats.turns == 1

    def test_that_is_answered_before_its_end_is_told_is_over_then(self, greeted):
        greeted.line += [LOUD] * 40
        greeted.advance(0.8)
        greeted.hears("Are you open?")
        greeted.advance(0.3)
        greeted.says(0.6)
        greeted.advance(0.1)
        assert not greeted.call.turns.speaking
        assert greeted.call.stats.turns == 1

    def test_whose_words_come_after_its_answer_has_its_answer(self, greeted):
        greeted.line += [LOUD] * 40
        greeted.advance(1.2)
        spoken_ms = greeted.stream_ms - 300
        greeted.says(1.0, "We are.")
        place = {"start_ms": spoken_ms - 400, "end_ms": spoken_ms}
        greeted.model({"type": "session.input_transcript.delta", "event_id": "e", "delta": "Are you open?", **place})
        greeted.advance(4.0)
        assert texts(greeted)[1:] == [("caller", "Are you open?"), ("assistant", "We are.")]
        assert greeted.appended("instructions") == []  # nobody asked for another answer
        assert not greeted.call.turns.owed

    def test_whose_words_come_when_its_answer_is_over_has_its_answer(self, greeted):
        greeted.line += [LOUD] * 40
        greeted.advance(1.2)
        spoken_ms = greeted.stream_ms - 300
        greeted.says(0.4, "Yes.")
        greeted.advance(2.0)
        place = {"start_ms": spoken_ms - 400, "end_ms": spoken_ms}
        greeted.model({"type": "session.input_transcript.delta", "event_id": "e", "delta": "Are you open?", **place})
        greeted.advance(4.0)
        assert texts(greeted)[1:] == [("caller", "Are you open?"), ("assistant", "Yes.")]
        assert (greeted.appended("instructions"), greeted.call.stats.turns) == ([], 1)

    def test_that_is_taken_while_he_is_asked_something_has_its_answer_from_the_first_word(self, greeted):
        """He is asked whether he is there, speaks before he has heard it, and is answered."""
        greeted.do(greeted.call.session.responses.create, "silence", Wish("Ask."))
        greeted.line += [LOUD] * 40
        greeted.advance(0.5)
        greeted.hears("Yes, I am.")
        greeted.advance(0.6)
        before = greeted.downlink.count(LOUD)
        greeted.says(1.0, "Good.")
        greeted.advance(2.0)
        assert greeted.downlink.count(LOUD) - before == 50
        assert texts(greeted)[1:] == [("caller", "Yes, I am."), ("assistant", "Good.")]

    def test_but_what_he_is_asked_while_he_speaks_he_does_not_hear(self, greeted):
        greeted.do(greeted.call.session.responses.create, "silence", Wish("Ask."))
        before = greeted.downlink.count(LOUD)
        greeted.line += [LOUD] * 80
        greeted.advance(0.5)
        greeted.hears("Well, I")
        greeted.says(0.6)
        greeted.advance(1.0)
        assert greeted.downlink.count(LOUD) == before

    def test_over_a_recording_is_not_answered_by_nothing(self, greeted):
        """The model has said nothing that was interrupted: what it begins to say just when he stops is heard."""
        talks_over_a_filler(greeted, 30)
        before = greeted.downlink.count(LOUD)
        greeted.says(0.4, "It is on its way.")
        greeted.advance(3.0)
        assert greeted.downlink.count(LOUD) - before == 20
        assert greeted.call.assistant.gate.frames_refused == 0
        assert texts(greeted)[-1] == ("assistant", "It is on its way.")

    def test_over_a_recording_has_its_answer_from_the_first_word(self, greeted):
        """What was asked for before he spoke is not said any more; what begins then answers him."""
        talks_over_a_filler(greeted, 40)
        greeted.hears("Hello?")
        greeted.advance(0.5)
        before = greeted.downlink.count(LOUD)
        greeted.says(1.0, "I am here.")
        greeted.advance(2.0)
        assert greeted.downlink.count(LOUD) - before == 50

    def test_without_an_answer_is_asked_for(self, greeted):
        asks(greeted, "Are you open?")
        greeted.advance(2.6)
        assert greeted.appended("instructions") == [ANSWER]

    def test_words_that_come_late_are_of_the_answer_before(self, greeted):
        asks(greeted, "Open?")
        greeted.says(0.6, "We")
        greeted.advance(1.6)
        spoken_ms = greeted.stream_ms - 1700
        place = {"start_ms": spoken_ms, "end_ms": spoken_ms + 100}
        greeted.model({"type": "session.output_transcript.delta", "event_id": "e", "delta": " are.", **place})
        greeted.words(" Anything")  # its sound is still to come
        greeted.says(0.5)
        greeted.advance(2.0)
        assert [text for role, text in texts(greeted) if role == "assistant"] == [HELLO, "We are.", "Anything"]

    def test_is_over_when_what_was_asked_for_is_said(self, greeted):
        greeted.do(greeted.call.say, "One moment.")
        greeted.line += [LOUD] * 40
        greeted.advance(0.4)
        greeted.hears("Hm")
        assert greeted.call.turns.speaking
        greeted.says(0.5)
        greeted.advance(0.1)
        assert not greeted.call.turns.speaking

    def test_an_echo_of_what_the_model_was_told_is_none(self, greeted):
        greeted.hears("a note", length_ms=0)
        greeted.advance(1.0)
        assert greeted.call.stats.turns == 0
        assert greeted.call.session.counters["other_fragments"] == 1


class TestInterruption:
    def interrupted(self, rig: LiveRig, more: float = 0.0) -> LiveRig:
        asks(rig, "Tell me about it.")
        rig.says(4.0, "It is a long story, and it begins a long time ago.")
        rig.advance(1.5)
        rig.line += [LOUD] * 40
        rig.advance(0.5)
        rig.voice = rig.voice[: round(more * 50)]
        rig.advance(1.5)
        return rig

    def test_is_heard_at_once_and_the_rest_is_not(self, greeted):
        rig = self.interrupted(greeted)
        assert [entry.outcome for entry in rig.call.stats.barge_ins] == ["committed"]
        assert rig.written("clear")
        assert rig.sent("response.cancel") == []

    def test_the_model_is_told_what_was_heard(self, greeted):
        rig = self.interrupted(greeted)
        (told,) = rig.appended("thinking")
        assert told.startswith("The caller interrupted you. Of what you were saying they have heard, last:")
        cut = texts(rig)[-1][1]
        assert cut in told
        assert "a long time ago" not in cut

    def test_words_that_are_ahead_of_their_sound_were_not_heard(self, greeted):
        """All of them came with the first sound, eight seconds of it."""
        asks(greeted, "Tell me about it.")
        text = " ".join(f"word{number}" for number in range(16))
        greeted.says(8.0, text)
        greeted.advance(2.5)
        greeted.line += [LOUD] * 40
        greeted.advance(0.5)
        greeted.voice.clear()
        greeted.advance(1.5)
        cut = [text for role, text in texts(greeted) if role == "assistant"][-1]
        assert f'"{cut}"' in greeted.appended("thinking")[0]
        assert "word2" in cut
        assert "word5" not in cut

    def test_a_model_that_goes_on_is_heard_again(self, greeted):
        rig = self.interrupted(greeted, more=2.0)
        before = rig.downlink.count(LOUD)
        rig.voice = [LOUD] * 100
        rig.advance(2.0)
        assert rig.downlink.count(LOUD) > before

    def test_the_next_answer_is_another(self, greeted):
        rig = self.interrupted(greeted)
        asks(rig, "No, the other one.")
        rig.says(0.5, "Ah.")
        rig.advance(1.5)
        assert texts(rig)[-1] == ("assistant", "Ah.")

    def test_a_noise_holds_it_and_nothing_is_lost(self, greeted):
        asks(greeted, "Tell me.")
        before = greeted.downlink.count(LOUD)
        greeted.says(3.0, "It is a long story.")
        greeted.advance(1.5)
        greeted.line += [LOUD] * 8  # a cough
        greeted.advance(6.0)
        assert [entry.outcome for entry in greeted.call.stats.barge_ins] == ["resumed"]
        rewound = greeted.call.assistant.frames_rewound
        assert greeted.downlink.count(LOUD) - before == 150 + rewound

    def test_before_anything_was_heard_is_said_so(self, greeted):
        greeted.call.session.history.turn("assistant", "live_9")
        assert greeted.call.session.truncate("live_9", 0, 1000)
        assert greeted.appended("thinking") == [HEARD_NOTHING]


class TestLoss:
    def test_it_is_back_and_knows_what_was_said(self, greeted):
        asks(greeted, "Are you open?")
        greeted.says(0.6, "We are.")
        greeted.advance(1.6)
        greeted.streaming = False
        greeted.lose_model()
        greeted.advance(0.2)
        greeted.connect()
        start = greeted.sent("session.start")[-1]["session"]
        assert [item["role"] for item in start["input"]] == ["assistant", "user", "assistant"]
        greeted.started_session(2)
        greeted.advance(0.5)
        assert greeted.call.line.counters["reconnects"] == 1
        assert greeted.call.line.up

    def test_in_mid_answer_it_goes_on(self, greeted):
        asks(greeted, "Tell me.")
        greeted.says(4.0, "It is a long story.")
        greeted.advance(1.0)
        greeted.voice.clear()
        greeted.streaming = False
        greeted.lose_model()
        greeted.advance(0.2)
        greeted.connect()
        greeted.started_session(2)
        greeted.advance(0.1)
        assert "Go on from exactly there" in greeted.appended("instructions")[-1]
        before = greeted.downlink.count(LOUD)
        greeted.says(0.5, "And it goes on.")
        greeted.advance(2.0)
        assert greeted.downlink.count(LOUD) - before == 25
        assert texts(greeted)[-1] == ("assistant", "And it goes on.")

    def test_a_stream_that_stands_still_is_one(self, greeted):
        greeted.streaming = False
        greeted.advance(1.2)
        assert greeted.call.session.counters["stalled"] == 1
        assert greeted.call.line.counters["losses"] == 1
        assert "stream_stalled" in greeted.call.stats.errors

    def test_over_what_is_no_sound_is_one_however_much_of_that_comes_at_once(self, greeted):
        """A delta of linear PCM is longer than it takes to find that out, and to find it out again."""
        asks(greeted, "Tell me.")
        greeted.streaming = False
        noise = random.Random(1)
        samples = [int(3000 * math.sin(0.2 * at) + noise.uniform(-200, 200)) for at in range(2400)]
        greeted.delta_of(struct.pack("<2400h", *samples))
        assert greeted.call.format_watch.counters == {"format_mismatch": 1}
        assert (greeted.call.line.counters["losses"], greeted.call.line.state) == (1, "pausing")
        assert (greeted.call.assistant.frames_unsent, greeted.call.session.responses.generating) == (0, False)
        greeted.advance(0.2)
        greeted.connect()
        greeted.started_session(2)
        assert greeted.appended("instructions") == [ANSWER]
        greeted.says(1.0, "It is a long story.")
        greeted.advance(3.0)
        assert texts(greeted)[-1] == ("assistant", "It is a long story.")
        assert greeted.downlink.count(LOUD) == 50 + 50

    def test_a_session_that_is_closed_is_one(self, greeted):
        greeted.model({"type": "session.closed", "event_id": "e", "reason": "expired", "usage": {"seconds": 7200}})
        assert greeted.call.line.counters["losses"] == 1
        assert greeted.call.session.billed_seconds == 7200

    def test_what_no_retry_cures_ends_the_call(self, greeted):
        error = {"type": "invalid_request_error", "code": "insufficient_quota", "message": "no"}
        greeted.model({"type": "error", "event_id": "e", "error": error})
        assert greeted.call.line.state == "down"

    def test_another_error_is_a_line_and_a_count(self, greeted):
        error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "no"}
        greeted.model({"type": "error", "event_id": "e", "error": error})
        assert greeted.call.session.counters["error_other"] == 1
        assert greeted.call.line.up


class TestEnd:
    def test_it_hangs_up_when_all_was_heard(self):
        control = Control()
        rig = greet(LiveRig(shop(hang_up=True), control=control, silence_seconds=0))
        asks(rig, "Goodbye!")
        rig.says(1.0, "Goodbye!")
        rig.advance(0.2)
        rig.delegates(("call_1", "hang_up", "{}"))
        rig.advance(0.5)
        assert rig.call.live
        for _ in range(20):
            rig.advance(0.2)
            rig.echo_marks()
        assert rig.call.end_reason == "agent_hangup"
        rig.shut()

    def test_the_session_is_closed_with_the_call(self, greeted):
        greeted.do(greeted.call.close, "shutdown")
        assert greeted.to_model[-1] == {"type": "session.close"}

    def test_the_record_has_its_seconds(self, greeted):
        greeted.model({"type": "session.usage.updated", "event_id": "e", "usage": {"seconds": 4.0}})
        greeted.do(greeted.call.close, "shutdown")
        assert greeted.call.document["model_seconds"]["billed"] == 4.0
        assert 2.5 < greeted.call.document["model_seconds"]["connected"] < 4

    def test_and_what_became_of_the_stream(self, greeted):
        greeted.do(greeted.call.close, "shutdown")
        events = greeted.call.document["model_events"]
        gate = greeted.call.assistant.gate
        assert (events["utterances"], events["silent_frames"]) == (1, gate.frames_silent)
        assert 0 < events["peak_backlog_ms"] <= 120

    def test_say_is_said_in_these_words(self):
        said: list[CallContext] = []
        agent = Agent(greeting="", hooks={"on_start": said.append})
        rig = LiveRig(agent, silence_seconds=0)
        rig.up()
        rig.advance(0.1)
        rig.do(said[0].say, "Your taxi is here.")
        rig.advance(0.1)
        assert rig.appended("commentary") == ["Your taxi is here."]
        rig.shut()


class TestPeer:
    @pytest.mark.parametrize(
        "message",
        [
            b"",
            b"[]",
            b'{"type":"session.started"}',
            b'{"type":"session.input_transcript.delta","delta":"x"}',
            b'{"type":"session.output_transcript.delta","delta":"x","start_ms":-1,"end_ms":4}',
            b'{"type":"response.event","event":[]}',
            b'{"type":"response.event","event":{"type":"response.output_item.done","item":{"type":"function_call"}}}',
            b'{"type":"session.usage.updated"}',
            b'{"type":"session.delegation.created","delegation":null}',
            b'{"type":"session.delegation.created","delegation":{"target":"responses"}}',
        ],
    )
    def test_what_cannot_be_is_counted(self, greeted, message):
        greeted.model(message)
        assert greeted.call.session.counters["malformed_events"] == 1
        assert greeted.call.live

    def test_what_is_unknown_is_ignored(self, greeted):
        greeted.model({"type": "info", "code": "x", "message": "y", "event_id": "e"})
        assert greeted.call.session.counters["other_events"] == 1

    def test_audio_in_another_layout_is_audio(self, greeted):
        before = greeted.call.assistant.deltas
        delta = json.dumps({"delta": "////", "type": "session.output_audio.delta"}).encode()
        greeted.model(delta)
        assert greeted.call.assistant.deltas == before + 1
        assert greeted.call.session.counters["parsed_deltas"] == 1

    def test_a_silent_caller_is_asked_for_a_sign_and_gets_one(self, greeted):
        greeted.line += [LOUD] * 40
        greeted.advance(2.7)
        (sign,) = greeted.sent("session.update")
        assert sign["session"] == {}
        greeted.model({"type": "session.updated", "event_id": "e", "session": {}})
        greeted.advance(1.0)
        assert greeted.call.line.up

    def test_quiet_is_quiet(self, greeted):
        before = greeted.downlink
        greeted.voice += [QUIET] * 100
        greeted.advance(2.0)
        assert greeted.downlink == before


@pytest.mark.parametrize("answered", [False, True])
def test_the_agent_is_told_what_he_said_with_the_words_that_come_late(caplog, answered):
    """In the conversation's order, in a second or two."""
    caplog.set_level("INFO")
    told: list[tuple[str, str]] = []
    agent = shop()
    agent.on_transcript(lambda turn: told.append((turn.role, turn.text)))
    rig = greet(LiveRig(agent, silence_seconds=0))
    asks(rig, " Where is")
    assert rig.call.session.late_item == "caller_1"
    if answered:
        rig.says(0.5, "It is on its way.")
    rig.hears(" my order?", 900)
    rig.advance(1.0)
    rig.echo_marks()
    rig.advance(2.0)
    asked = ("caller", "Where is my order?")
    assert told[1:] == [asked, ("assistant", "It is on its way.")][: 1 + answered]
    assert caplog.text.count("Customer:") == caplog.text.count('"Where is my order?"') == 1
    rig.shut()


def test_and_at_the_call_s_end_what_there_is():
    told: list[str] = []
    agent = shop()
    agent.on_transcript(lambda turn: told.append(turn.text))
    rig = greet(LiveRig(agent, silence_seconds=0))
    asks(rig, "Where is")
    rig.do(rig.call.close, "customer_hangup")
    rig.loop.advance(1.0)
    assert told[1:] == ["Where is"]
    rig.shut()


def test_keys_over_what_it_says_are_reacted_to_at_once(greeted):
    """It has heard nobody, and goes on: nothing else stops it, and it is asked once."""
    asks(greeted, "What is on the menu?")
    greeted.says(6.0, "There is soup, and fish, and a good many other things besides, of which I may tell you more.")
    greeted.advance(2.0)
    greeted.press("12#")
    cleared = len(greeted.written("clear"))
    assert (greeted.appended("instructions"), cleared) == ([REACT], 1)
    del greeted.voice[:]
    greeted.advance(1.0)
    greeted.says(1.0, "One, two, thank you.")
    greeted.advance(9.0)
    assert greeted.appended("instructions") == [REACT]


def test_and_once_where_it_goes_on(greeted):
    asks(greeted, "What is on the menu?")
    greeted.says(6.0, "There is soup, and fish, and a good many other things besides, of which I may tell you more.")
    greeted.advance(2.0)
    greeted.press("12#")
    greeted.advance(3.5)
    greeted.voice += [LOUD] * 100  # in the same breath
    greeted.advance(9.0)
    assert greeted.appended("instructions") == [REACT]
