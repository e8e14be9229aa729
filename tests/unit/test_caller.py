"""CallerLane: what becomes of each frame.

Frames that wait or got lost: test_caller_waiting.py.
"""

from typing import Any

import pytest

from fastbridge.sim.audio import to_ulaw
from helpers import (
    FOREIGN_SID,
    LOUD,
    QUIET,
    SID,
    audio_of,
    base64_text,
    mark_json,
    media_json,
    numbered_frame,
)
from rigs import SILENCE, CallerRig, cut, frames
from sounds import tone


@pytest.fixture
def call(twin) -> CallerRig:
    return CallerRig(twin).opened()


def test_outcomes_are_named_by_index(caller):
    expected = ["forwarded", "greeting_lock", "echo_gate", "echo_decay", "audio_guard", "music_mode"]
    assert list(caller.OUTCOMES) == [*expected, "queue_full", "noise_gate", "session_not_ready", "other"]
    for constant in ("FORWARDED", "GREETING_LOCK", "AUDIO_GUARD", "QUEUE_FULL", "NOISE_GATE", "SESSION_NOT_READY"):
        assert caller.OUTCOMES[getattr(caller, constant)] == constant.lower()
    assert caller.OUTCOMES[caller.OTHER_REASON] == "other"


class TestForwarding:
    def test_a_frame_becomes_an_append_with_its_text_untouched(self, call):
        payload = base64_text(b"\x01" * 159)[:-2] + b"B="  # unused trailing bits set: not what an encoder would write
        call.lane.feed_message(media_json(1, payload))
        assert call.sent == [{"type": "input_audio_buffer.append", "audio": payload.decode()}]
        assert call.outcomes == {"forwarded": 1}

    def test_each_frame_goes_on_its_own_at_once(self, call):
        for number in range(1, 30):
            call.say_numbers(number)
            assert call.heard == frames(*range(1, number + 1))
        assert len(call.sent) == 29
        assert call.outcomes == {"forwarded": 29}
        assert call.lane.peak_waiting == 0

    @pytest.mark.parametrize("size", [1, 2, 3, 159, 161, 320, 8000])
    def test_a_frame_of_any_size(self, call, size):
        call.say(bytes(index % 251 for index in range(size)))
        assert audio_of(call.sent) == bytes(index % 251 for index in range(size))

    def test_parsed_media_takes_the_same_way(self, call):
        payload = base64_text(numbered_frame(1))
        call.lane.feed_media(SID, 1, 20, payload)
        call.lane.feed_message(media_json(2, payload))
        assert [message["audio"] for message in call.sent] == [payload.decode()] * 2
        assert call.outcomes == {"forwarded": 2}

    def test_the_mask_is_fresh_for_every_frame(self, call):
        call.say(*[SILENCE] * 50)
        assert len({bytes(write[4:8]) for write in call.uplink}) > 45

    def test_last_media_ns_is_the_time_of_the_last_own_frame(self, call):
        assert call.lane.last_media_ns == 0
        at = call.clock.now_ns
        call.say(SILENCE)
        assert call.lane.last_media_ns == at
        call.lane.lock()
        at = call.clock.now_ns
        call.say(SILENCE)
        assert call.lane.last_media_ns == at
        call.say(SILENCE, sid=FOREIGN_SID)
        assert call.lane.last_media_ns == at


class TestOther:
    @pytest.mark.parametrize("payload", [b"", b"A", b"AAA", b"A===", b"A=AA", b"AAAA=", b"AA==AAAA"])
    def test_not_base64_or_empty(self, call, payload):
        call.lane.feed_message(media_json(1, payload))
        call.lane.feed_media(SID, 2, 40, payload)
        assert call.outcomes == {"other": 2}
        assert call.uplink == []

    @pytest.mark.parametrize("payload", [b"AA A", b"AA\\/", b"\xff\xff\xff\xff", b"AAA\n"])
    def test_parsed_media_is_checked_too(self, call, payload):
        call.lane.feed_media(SID, 1, 20, payload)
        assert call.outcomes == {"other": 1}

    @pytest.mark.parametrize("size", [8001, 8002, 8003, 60_000])
    def test_over_8000_bytes(self, call, size):
        call.say(bytes(size))
        assert call.outcomes == {"other": 1}

    def test_a_foreign_stream(self, call):
        call.say(SILENCE, sid=FOREIGN_SID)
        call.say(SILENCE, sid=SID[:-1])
        call.say(SILENCE, sid=SID + b"0")
        assert call.outcomes == {"other": 3}
        assert call.uplink == []

    def test_before_start_every_stream_is_foreign(self, twin):
        call = CallerRig(twin)
        call.lane.open(call.uplink.append)
        call.say(SILENCE)
        call.lane.feed_media(b"", 2, 40, base64_text(SILENCE))
        assert call.lane.outcomes[-1] >= 1
        assert call.lane.frames_in == 2
        call.lane.start(SID)
        call.say_numbers(3)
        assert call.heard[-1] == numbered_frame(3)

    def test_rejected_media(self, call):
        call.lane.reject_media()
        assert call.lane.frames_in == 1
        assert call.outcomes == {"other": 1}

    def test_other_comes_before_greeting_lock(self, call):
        call.lane.lock()
        call.say(SILENCE, sid=FOREIGN_SID)
        call.lane.feed_message(media_json(1, b"A"))
        call.say(SILENCE)
        assert call.outcomes == {"other": 2, "greeting_lock": 1}


class TestMessages:
    @pytest.mark.parametrize(
        "message",
        [
            b'{"event":"stop","streamSid":"MZ1"}',
            b"",
            b"{",
            b"\xff",
            b'{"event": "media"}',
            media_json(1, b"A A="),
            mark_json(b"a b"),
        ],
    )
    def test_what_is_not_a_regular_message_is_for_python(self, call, message):
        call.lane.feed_message(message)
        assert call.messages == [message]
        assert (call.lane.frames_in, call.outcomes) == (0, {})

    def test_a_mark_echo_goes_to_the_assistant_lane(self, call):
        call.lane.feed_message(mark_json(b"0:item_1:20"))
        assert call.messages == []
        assert call.assistant.stale_marks == 1

    def test_a_mark_of_another_stream_does_not(self, call):
        call.lane.feed_message(mark_json(b"0:item_1:20", FOREIGN_SID))
        assert call.assistant.stale_marks == 0

    def test_through_a_frame_reader(self, twin, call):
        reader = twin.websocket.FrameReader(
            server=True, max_size_bytes=100_000, on_text=call.lane.sink, on_other=lambda data: True
        )
        for number in range(1, 6):
            reader.feed(twin.websocket.text_frame(media_json(number, base64_text(numbered_frame(number))), mask=True))
        reader.feed(twin.websocket.text_frame(b'{"event":"stop"}', mask=True))
        assert call.heard == frames(1, 2, 3, 4, 5)
        assert call.messages == [b'{"event":"stop"}']
        assert reader.text_frames == 6


class TestLock:
    def test_frames_are_dropped_while_locked(self, call):
        call.say_numbers(1)
        call.lane.lock()
        call.say_numbers(2, 3)
        call.lane.unlock()
        call.say_numbers(4)
        assert call.heard == frames(1, 4)
        assert call.outcomes == {"forwarded": 2, "greeting_lock": 2}

    def test_the_lock_keeps_a_count_of_its_own(self, call):
        call.say(SILENCE)
        for _ in range(2):  # a lock that is on is not begun anew
            call.lane.lock()
            call.say(SILENCE, SILENCE)
            call.say(SILENCE, sid=FOREIGN_SID)
            call.lane.reject_media()
        assert call.lane.locked_frames == call.outcomes["greeting_lock"] == 4
        for _ in range(2):
            call.lane.unlock()
            call.say(SILENCE)
        assert call.lane.locked_frames == 4
        call.lane.lock()
        call.say(SILENCE)
        call.lane.close()
        call.say(SILENCE)
        assert call.lane.locked_frames == call.outcomes["greeting_lock"] == 5

    def test_locked_comes_before_waiting(self, twin):
        call = CallerRig(twin).started()
        call.lane.lock()
        call.say_numbers(1)
        assert (call.lane.waiting, call.outcomes) == (0, {"greeting_lock": 1})

    def test_what_waited_before_the_lock_still_goes(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1)
        call.lane.lock()
        call.say_numbers(2)
        call.lane.open(call.uplink.append)
        assert call.heard == frames(1)
        assert call.outcomes == {"forwarded": 1, "greeting_lock": 1}


class TestClose:
    def test_what_waits_is_settled(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1, 2, 3)
        call.lane.close()
        assert call.lane.waiting == 0
        assert call.outcomes == {"session_not_ready": 3}

    def test_later_frames_are_other(self, call):
        call.say_numbers(1)
        call.lane.close()
        call.say_numbers(2)
        call.lane.reject_media()
        assert call.heard == frames(1)
        assert call.outcomes == {"forwarded": 1, "other": 2}

    def test_twice(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1)
        call.lane.close()
        call.lane.close()
        assert call.outcomes == {"session_not_ready": 1}
        assert call.lane.send_silence(1) == 0


class TestDetector:
    def loud_call(self, twin: Any) -> CallerRig:
        call = CallerRig(twin, detector=twin.bargein.Detector()).opened()
        call.speak()
        return call

    def test_the_edge_is_told_once(self, twin):
        call = self.loud_call(twin)
        call.say(*[LOUD] * 4)
        assert call.edges == 0
        call.say(LOUD)
        assert call.edges == 1
        call.say(LOUD, LOUD)
        assert call.edges == 1
        assert call.outcomes == {"forwarded": 7}

    def test_a_low_frame_resets(self, twin):
        call = self.loud_call(twin)
        call.say(*[LOUD] * 4, QUIET, *[LOUD] * 4)
        assert call.edges == 0

    def test_not_while_the_assistant_is_silent(self, twin):
        call = CallerRig(twin, detector=twin.bargein.Detector(frames=1)).opened()
        call.say(*[LOUD] * 8)
        assert call.edges == 0

    def test_not_while_locked(self, twin):
        call = self.loud_call(twin)
        call.lane.lock()
        call.say(*[LOUD] * 10)
        call.lane.unlock()
        assert call.edges == 0

    def test_foreign_and_malformed_frames_are_not_seen(self, twin):
        call = self.loud_call(twin)
        call.say(*[LOUD] * 10, sid=FOREIGN_SID)
        call.say(*[LOUD] * 4)
        call.say(QUIET, sid=FOREIGN_SID)
        call.lane.feed_message(media_json(call.chunk, b"A"))
        assert call.edges == 0
        call.say(LOUD)
        assert call.edges == 1

    @pytest.mark.parametrize("state", ["not open", "paused"])
    def test_waiting_frames_are_seen_when_they_arrive(self, twin, state):
        call = self.loud_call(twin)
        if state == "paused":
            call.lane.pause()
        else:
            call.lane.shut()
        call.say(*[LOUD] * 5)
        assert (call.edges, call.lane.waiting) == (1, 5)

    def test_the_frame_of_the_edge_has_gone_its_way(self, twin):
        call = self.loud_call(twin)
        seen: list[tuple[int, int]] = []
        lane = twin.caller.CallerLane(
            clock=call.clock,
            playing=call.assistant,
            detector=twin.bargein.Detector(),
            on_message=call.messages.append,
            on_edge=lambda: seen.append((len(call.uplink), lane.outcomes[0])),
        )
        lane.start(SID)
        lane.open(call.uplink.append)
        for chunk in range(1, 7):
            lane.feed_message(media_json(chunk, base64_text(LOUD)))
        assert seen == [(5, 5)]


class TestWhoHasAnswered:
    BEEP = cut(to_ulaw(tone(1000, 0.1, 0.4)))

    def asked(self, twin: Any) -> tuple[CallerRig, list[tuple[int, int]]]:
        """The signs, each with how many frames the model had by then."""
        call, told = CallerRig(twin, detector=twin.bargein.Detector()).opened(), []
        call.lane.ask_who(twin.answering.AnswerEar(), lambda sign: told.append((sign, len(call.uplink))))
        return call, told

    def test_is_told_behind_the_frame_that_shows_it(self, twin):
        call, told = self.asked(twin)
        call.say(*self.BEEP, *[QUIET] * 10)
        assert told == [(twin.answering.SIGN_BEEP, len(self.BEEP) + 5)]

    @pytest.mark.parametrize("state", ["lock", "mute"])
    def test_is_told_of_frames_that_go_nowhere(self, twin, state):
        call, told = self.asked(twin)
        getattr(call.lane, state)()
        call.say(*self.BEEP, *[QUIET] * 10)
        assert told == [(twin.answering.SIGN_BEEP, 0)]

    def test_is_not_told_of_foreign_frames(self, twin):
        call, told = self.asked(twin)
        call.say(*self.BEEP, *[QUIET] * 10, sid=FOREIGN_SID)
        assert told == []

    def test_is_asked_no_more(self, twin):
        call, told = self.asked(twin)
        call.lane.ask_who(None)
        call.say(*self.BEEP, *[QUIET] * 10)
        assert told == []


class TestDsp:
    HUM = bytes([0x00, 0x80] * 80)  # full scale, plus and minus

    def test_what_it_changes_is_what_the_model_hears(self, twin):
        rig = CallerRig(twin, dsp=twin.dsp.HighpassLimiter()).opened()
        rig.say(b"\x90" * 160, b"\x90" * 160)
        expected = twin.dsp.HighpassLimiter().process(b"\x90" * 320)
        assert expected != b"\x90" * 320
        assert rig.heard == cut(expected)

    def test_what_it_leaves_keeps_its_text(self, twin):
        rig = CallerRig(twin, dsp=twin.dsp.HighpassLimiter()).opened()
        rig.say(b"\xff" * 160, b"\xff" * 7)
        assert b"".join(rig.heard) == b"\xff" * 167

    def test_frames_of_any_size_keep_their_length(self, twin):
        rig = CallerRig(twin, dsp=twin.dsp.HighpassLimiter()).opened()
        rig.say(*[b"\x05" * size for size in (1, 2, 3, 159, 161, 8000)])
        assert sum(map(len, rig.heard)) == 8326

    def test_what_waits_was_filtered_in_its_turn(self, twin):
        rig = CallerRig(twin, dsp=twin.dsp.HighpassLimiter()).started()
        rig.say(self.HUM, b"\x90" * 160)
        rig.lane.open(rig.uplink.append)
        rig.say(b"\x90" * 160)
        assert b"".join(rig.heard) == twin.dsp.HighpassLimiter().process(self.HUM + b"\x90" * 320)


class TestRecording:
    def test_the_tape_has_what_came_whatever_became_of_it(self, twin, call):
        tape = twin.tape.Tape(call.clock() - 20_000_000)
        call.lane.record(tape)
        call.say_numbers(1, 2)
        call.lane.lock()
        call.say_numbers(3)
        call.lane.unlock()
        call.lose(2)
        call.clock.advance(40)
        call.say_numbers(4)
        call.lane.record(None)
        call.say_numbers(5)
        left = tape.take(call.clock() - 20_000_000 - 20_000_000)[0::2]
        assert cut(left) == [*frames(1, 2, 3), SILENCE, SILENCE, *frames(4)]

    def test_what_is_no_frame_of_his_is_not_on_it(self, twin, call):
        tape = twin.tape.Tape(call.clock() - 20_000_000)
        call.lane.record(tape)
        call.say(*frames(1), sid=FOREIGN_SID)
        call.lane.reject_media()
        assert tape.frames == 0


class TestPrivacy:
    def test_the_model_gets_silence_and_the_books_balance(self, call):
        call.say_numbers(1)
        call.lane.conceal()
        call.say_numbers(2, 3)
        call.lane.reveal()
        call.say_numbers(4)
        assert call.heard == [*frames(1), SILENCE, SILENCE, *frames(4)]
        assert call.outcomes == {"forwarded": 2, "audio_guard": 2}
        assert call.lane.silence_frames == 2

    def test_nothing_of_it_waits_for_a_model_that_is_not_there(self, call):
        call.lane.shut()
        call.say_numbers(1)
        call.lane.conceal()
        call.say_numbers(2)
        call.lane.reveal()
        call.lane.open(call.uplink.append)
        assert call.heard == frames(1)
        assert call.outcomes == {"forwarded": 1, "audio_guard": 1}

    def test_a_voice_is_none(self, twin):
        call = CallerRig(twin, detector=twin.bargein.Detector()).opened()
        call.speak()
        call.lane.conceal()
        call.say(*[LOUD] * 20)
        assert (call.edges, call.lane.voice_frames) == (0, 0)

    def test_it_outlives_what_else_silences_him(self, call):
        call.lane.conceal()
        call.lane.mute()
        call.lane.reveal()
        call.say_numbers(1)
        assert call.outcomes == {"noise_gate": 1}
