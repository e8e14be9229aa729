"""fastbridge.call.greeting, in a real call: what is asked for, and when the lock lets go."""

import pytest

from fastbridge._caller import GREETING_LOCK
from fastbridge.agent import Agent
from fastbridge.call.greeting import State
from helpers import LOUD, QUIET
from virtual import Rig

SECOND = bytes(range(160)) * 50
CREATE = {
    "type": "response.create",
    "event_id": "create_1",
    "response": {
        "instructions": "Greet the caller now. Say exactly this, and nothing else: Hello!",
        "tool_choice": "none",
        "metadata": {"fastbridge": "create_1"},
    },
}


@pytest.fixture
def rig():
    rig = Rig(Agent(greeting="Hello!"))
    yield rig
    rig.shut()


def locked(rig: Rig) -> int:
    return rig.call.caller.outcomes[GREETING_LOCK]


def greet(rig: Rig, audio: bytes = SECOND) -> None:
    rig.begin("resp_1", "item_1")
    if audio:
        rig.delta(audio, "resp_1", "item_1")


class TestAsking:
    def test_is_asked_for_when_the_session_is_ready(self, rig):
        rig.connected()
        assert rig.sent("response.create") == []
        rig.up()
        assert rig.sent("response.create") == [CREATE]
        assert rig.call.greeting.state is State.REQUESTED

    def test_once(self, rig):
        rig.up()
        rig.confirm()
        assert rig.sent("response.create") == [CREATE]

    def test_without_a_text_there_is_none_and_no_lock(self):
        rig = Rig(Agent(greeting="")).up()
        rig.advance(1)
        assert rig.sent("response.create") == []
        assert (rig.call.greeting.locked, rig.call.greeting.state, locked(rig)) == (False, State.NONE, 0)
        rig.shut()

    def test_when_it_began_to_play_is_in_the_record(self, rig):
        rig.up()
        rig.advance(0.3)
        greet(rig)
        rig.advance(0.1)
        assert rig.call.greeting.state is State.PLAYING
        assert rig.call.record()["timings_ms"]["greeting"] == 301


class TestLock:
    def test_drops_the_caller_from_the_start_and_counts(self, rig):
        rig.started()
        rig.caller_says(*[LOUD] * 10)
        rig.up()
        rig.caller_says(*[LOUD] * 10)
        assert (rig.call.caller.frames_in, locked(rig), rig.uplink) == (20, 20, b"")
        rig.call.greeting.close()

    def test_keeps_the_caller_from_interrupting(self, rig):
        rig.up()
        greet(rig)
        rig.caller_says(*[LOUD] * 20)
        rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_u"})
        rig.caller_says(*[QUIET] * 15)
        assert rig.call.greeting.locked
        assert (rig.call.stats.barge_ins, rig.written("clear"), rig.sent("response.cancel")) == ([], [], [])

    @pytest.mark.parametrize(
        ("setting", "of_agent", "is_locked"),
        [
            (True, None, True),
            (False, None, False),
            (True, False, False),
            (False, True, True),
        ],
    )
    def test_is_the_agents_choice_then_the_settings(self, setting, of_agent, is_locked):
        rig = Rig(Agent(greeting="Hello!", greeting_lock=of_agent), greeting_lock=setting).up()
        assert rig.call.greeting.locked is is_locked
        rig.caller_says(QUIET)
        assert locked(rig) == is_locked
        assert rig.sent("response.create") == [CREATE]
        rig.shut()

    def test_frames_after_it_are_forwarded(self, rig):
        rig.up()
        rig.do(rig.call.greeting._release)
        rig.caller_says(LOUD)
        assert (rig.uplink, locked(rig)) == (LOUD, 0)


class TestChange:
    """What is known of the caller arrives after the stream has started."""

    def test_the_words(self):
        rig = Rig(Agent(greeting="Hello."))
        rig.connected()
        rig.do(lambda: rig.call.greeting.change("Hello Dana.", lock=True))
        rig.model({"type": "session.created", "session": {"id": "sess_1"}})
        rig.confirm()
        (create,) = rig.sent("response.create")
        assert create["response"]["instructions"].endswith("Hello Dana.")
        rig.shut()

    def test_none_opens_the_line_and_one_closes_it(self):
        rig = Rig(Agent(greeting="Hello.")).started()
        rig.do(lambda: rig.call.greeting.change("", lock=True))
        assert (rig.call.greeting.locked, rig.call.greeting.state) == (False, State.NONE)
        rig.do(lambda: rig.call.greeting.change("Hi.", lock=True))
        assert (rig.call.greeting.locked, rig.call.greeting.state) == (True, State.WAITING)
        rig.shut()

    def test_not_once_it_was_asked_for(self):
        rig = Rig(Agent(greeting="Hello.")).up()
        rig.do(lambda: rig.call.greeting.change("Hi.", lock=True))
        (create,) = rig.sent("response.create")
        assert create["response"]["instructions"].endswith("Hello.")
        rig.shut()


class TestRelease:
    def assert_released_at(self, rig: Rig, seconds: float) -> None:
        """Locked until just before, free just after: `seconds` since the call began."""
        rig.advance(seconds - 0.01 - rig.now_ms / 1000)
        assert rig.call.greeting.locked
        rig.advance(0.02)
        assert not rig.call.greeting.locked
        assert rig.call.greeting.state is State.OVER

    def test_when_it_was_heard_by_its_end_mark(self, rig):
        rig.up()
        greet(rig)
        rig.done("resp_1")
        rig.advance(0.9)
        rig.echo_marks()
        assert rig.call.greeting.locked
        rig.advance(0.1)
        rig.echo_marks()
        assert not rig.call.greeting.locked

    def test_when_it_was_heard_by_the_playout_clock_if_marks_never_come(self, rig):
        rig.up()
        greet(rig)
        rig.done("resp_1")
        rig.advance(0.99)
        assert rig.call.greeting.locked
        rig.advance(0.01 + 0.25)  # it is looked at every 250 ms
        assert not rig.call.greeting.locked

    def test_not_while_it_is_held_back_and_may_go_on(self):
        rig = Rig(Agent(greeting="Hello!", greeting_lock=False)).up()
        greet(rig)
        rig.done("resp_1")
        rig.advance(0.3)
        rig.do(rig.call.assistant.hold)
        rig.advance(3.0)
        assert rig.call.greeting.state is State.PLAYING
        rig.do(rig.call.assistant.resume)
        rig.advance(0.6)
        assert rig.call.greeting.state is State.PLAYING
        rig.advance(0.5)
        assert rig.call.greeting.state is State.OVER
        rig.shut()

    def test_not_while_it_is_still_being_generated(self, rig):
        rig.up()
        greet(rig, SECOND[:1600])
        rig.advance(1.4)
        rig.echo_marks()
        assert rig.call.greeting.locked
        rig.delta(SECOND, "resp_1", "item_1")
        rig.advance(1.1)
        rig.done("resp_1")
        rig.echo_marks()
        assert not rig.call.greeting.locked

    @pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete"])
    def test_when_its_response_fails(self, rig, status):
        rig.up()
        rig.begin("resp_1")
        rig.done("resp_1", status)
        assert not rig.call.greeting.locked

    @pytest.mark.parametrize("status", ["failed", "cancelled", "incomplete"])
    def test_when_its_response_fails_in_the_middle(self, rig, status):
        rig.up()
        greet(rig)
        rig.advance(0.2)
        rig.done("resp_1", status)
        assert not rig.call.greeting.locked

    def test_when_it_completes_without_audio(self, rig):
        rig.up()
        rig.begin("resp_1")
        rig.done("resp_1")
        assert not rig.call.greeting.locked

    def test_not_when_it_completes_before_its_first_frame_left(self, rig):
        rig.up()
        greet(rig)
        rig.done("resp_1")
        assert rig.call.greeting.locked
        rig.advance(0.5)
        assert rig.call.greeting.locked

    def test_after_5_s_without_audio(self, rig):
        rig.up()
        self.assert_released_at(rig, 5)

    def test_after_5_s_without_audio_though_it_began(self, rig):
        rig.up()
        rig.advance(4)
        rig.begin("resp_1", "item_1")
        self.assert_released_at(rig, 5)

    def test_after_5_s_although_others_speak(self, rig):
        rig.up()
        rig.begin("resp_own", "item_own")
        rig.model(
            {"type": "error", "error": {"code": "conversation_already_has_active_response", "event_id": "create_1"}}
        )
        rig.advance(5.1)
        assert not rig.call.greeting.locked

    def test_after_30_s_whatever_plays(self, rig):
        rig.up()
        greet(rig, SECOND * 60)
        rig.done("resp_1")
        self.assert_released_at(rig, 30)

    def test_another_responses_end_is_nothing_to_it(self, rig):
        rig.up()
        rig.model(
            {"type": "error", "error": {"code": "conversation_already_has_active_response", "event_id": "create_1"}}
        )
        rig.begin("resp_own", "item_own")
        rig.delta(SECOND[:1600], "resp_own", "item_own")
        rig.done("resp_own")
        rig.advance(0.2)
        rig.echo_marks()
        assert rig.call.greeting.locked
        rig.begin("resp_2", "item_2")
        rig.delta(SECOND[:1600], "resp_2", "item_2")
        rig.done("resp_2")
        rig.advance(0.2)
        rig.echo_marks()
        assert not rig.call.greeting.locked

    def test_a_lost_response_releases_it(self, rig):
        rig.up()
        greet(rig, SECOND[:1600])
        rig.advance(19.1)
        assert not rig.call.greeting.locked


class TestInterrupted:
    def test_unlocked_it_can_be(self):
        rig = Rig(Agent(greeting="Hello!", greeting_lock=False)).up()
        greet(rig)
        rig.caller_says(*[LOUD] * 20)
        assert len(rig.call.stats.barge_ins) == 1
        assert rig.call.greeting.state is State.OVER
        assert rig.sent("response.cancel") == [{"type": "response.cancel", "response_id": "resp_1"}]
        rig.shut()


class TestClose:
    @pytest.mark.parametrize("seconds", [0, 3, 7])
    def test_its_timers_are_gone(self, rig, seconds):
        rig.up()
        rig.advance(seconds)
        rig.do(rig.call.close, "shutdown")
        assert rig.loop.pending_timers() == []
