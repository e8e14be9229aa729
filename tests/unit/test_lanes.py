"""CallerLane. (AssistantLane has its own file: test_lanes_assistant.py.)"""

from collections import Counter
from typing import Any

import pytest

from helpers import FOREIGN_SID, LOUD, QUIET, SID, audio_of, base64_text, mark_json, media_json, numbered_frame, read_messages
from rigs import SILENCE, CallerRig, frames


@pytest.fixture
def call(twin) -> CallerRig:
    return CallerRig(twin).opened()


def test_outcomes_are_named_by_index(lanes):
    expected = ["forwarded", "greeting_lock", "echo_gate", "echo_decay", "audio_guard", "music_mode"]
    assert list(lanes.OUTCOMES) == [*expected, "queue_full", "noise_gate", "session_not_ready", "other"]
    for constant in ("FORWARDED", "GREETING_LOCK", "QUEUE_FULL", "SESSION_NOT_READY"):
        assert lanes.OUTCOMES[getattr(lanes, constant)] == constant.lower()
    assert lanes.OUTCOMES[lanes.OTHER_REASON] == "other"


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
        [b'{"event":"stop","streamSid":"MZ1"}', b"", b"{", b"\xff", b'{"event": "media"}', media_json(1, b"A A="), mark_json(b"a b")],
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


class TestPreroll:
    def test_waits_until_open_and_then_goes_in_order(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1, 2, 3)
        assert (call.lane.waiting, call.outcomes) == (3, {})
        call.lane.open(call.uplink.append)
        assert call.heard == frames(1, 2, 3)
        assert (call.lane.waiting, call.lane.peak_waiting) == (0, 3)
        call.say_numbers(4)
        assert call.heard == frames(1, 2, 3, 4)
        assert call.outcomes == {"forwarded": 4}

    def test_the_oldest_is_dropped(self, twin):
        call = CallerRig(twin, preroll_frames=3).started()
        call.say_numbers(1, 2, 3, 4, 5)
        assert (call.lane.waiting, call.outcomes) == (3, {"session_not_ready": 2})
        call.lane.open(call.uplink.append)
        assert call.heard == frames(3, 4, 5)
        assert call.lane.peak_waiting == 3

    def test_the_default_is_twenty_seconds(self, twin):
        call = CallerRig(twin).started()
        call.say(*[SILENCE] * 1003)
        assert (call.lane.waiting, call.outcomes) == (1000, {"session_not_ready": 3})

    def test_none_at_all(self, twin):
        call = CallerRig(twin, preroll_frames=0).started()
        call.say_numbers(1, 2)
        assert (call.lane.waiting, call.outcomes) == (0, {"session_not_ready": 2})

    def test_shut_waits_again(self, call):
        call.say_numbers(1)
        call.lane.shut()
        call.say_numbers(2, 3)
        assert call.lane.waiting == 2
        again: list[bytes] = []
        call.lane.open(again.append)
        call.say_numbers(4)
        assert call.heard == frames(1)
        assert audio_of(read_messages(again, masked=True)) == b"".join(frames(2, 3, 4))


class TestBackPressure:
    def test_waits_while_paused_and_then_goes_in_order(self, call):
        call.say_numbers(1)
        call.lane.pause()
        call.say_numbers(2, 3)
        assert (call.heard, call.lane.waiting) == (frames(1), 2)
        call.lane.resume()
        call.say_numbers(4)
        assert call.heard == frames(1, 2, 3, 4)
        assert call.outcomes == {"forwarded": 4}

    def test_the_oldest_is_dropped(self, twin):
        call = CallerRig(twin, backlog_frames=2).opened()
        call.lane.pause()
        call.say_numbers(1, 2, 3, 4, 5)
        assert (call.lane.waiting, call.outcomes) == (2, {"queue_full": 3})
        call.lane.resume()
        assert call.heard == frames(4, 5)

    def test_the_default_is_two_seconds(self, call):
        call.lane.pause()
        call.say(*[SILENCE] * 104)
        assert (call.lane.waiting, call.outcomes) == (100, {"queue_full": 4})

    def test_the_transport_fills_up_again_while_the_backlog_is_sent(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(*range(1, 11))

        def write(data: bytes) -> None:
            call.uplink.append(data)
            if len(call.uplink) % 3 == 0:
                call.lane.pause()

        call.lane.open(write)
        while call.lane.waiting:
            before = call.lane.waiting
            assert call.outcomes == Counter(forwarded=10 - before)
            call.lane.resume()
            assert call.lane.waiting < before
        assert call.heard == frames(*range(1, 11))
        assert call.outcomes == {"forwarded": 10}

    def test_resume_without_a_model_sends_nothing(self, twin):
        call = CallerRig(twin).started()
        call.say_numbers(1)
        call.lane.resume()
        assert call.lane.waiting == 1
        assert call.uplink == []


class TestConcealment:
    def test_lost_frames_are_made_up_with_silence(self, call):
        call.say_numbers(1)
        call.lose(3)
        call.say_numbers(2)
        assert call.heard == [*frames(1), SILENCE, SILENCE, SILENCE, *frames(2)]
        assert (call.lane.concealed_frames, call.lane.frames_in, call.outcomes) == (3, 2, {"forwarded": 2})

    def test_not_before_the_first_frame(self, call):
        call.lose(40)
        call.say_numbers(1, 2)
        assert call.heard == frames(1, 2)
        assert call.lane.concealed_frames == 0

    @pytest.mark.parametrize(("lost", "concealed"), [(499, 499), (500, 500), (501, 500), (10**6, 500)])
    def test_ten_seconds_at_most(self, call, lost, concealed):
        call.say_numbers(1)
        call.lose(lost)
        call.say_numbers(2, 3)
        assert call.lane.concealed_frames == concealed
        assert call.heard == [*frames(1), *[SILENCE] * concealed, *frames(2, 3)]

    def test_every_gap_counts(self, call):
        for number in range(1, 6):
            call.say_numbers(number)
            call.lose(2)
        assert call.lane.concealed_frames == 8

    def test_a_chunk_that_repeats_or_goes_back_conceals_nothing(self, call):
        for chunk in (5, 5, 4, 6):
            call.lane.feed_media(SID, chunk, 20 * chunk, base64_text(SILENCE))
        assert call.lane.concealed_frames == 0
        assert call.outcomes == {"forwarded": 4}

    def test_an_unknown_chunk_conceals_nothing(self, call):
        for chunk in (0, 7, 0, 8):
            call.lane.feed_media(SID, chunk, 0, base64_text(SILENCE))
        assert call.lane.concealed_frames == 0

    def test_a_foreign_frame_is_no_reference(self, call):
        call.say_numbers(1)
        call.lane.feed_media(FOREIGN_SID, 100, 2000, base64_text(SILENCE))
        call.say_numbers(2)
        assert call.lane.concealed_frames == 0

    def test_silence_waits_with_the_frame_behind_it(self, call):
        call.say_numbers(1)
        call.lane.pause()
        call.say_numbers(2)
        call.lose(2)
        call.say_numbers(3)
        assert call.lane.waiting == 2
        call.lane.resume()
        assert call.heard == [*frames(1, 2), SILENCE, SILENCE, *frames(3)]
        assert call.lane.concealed_frames == 2

    def test_silence_is_dropped_with_the_frame_behind_it(self, twin):
        call = CallerRig(twin, backlog_frames=1).opened()
        call.say_numbers(1)
        call.lane.pause()
        call.lose(2)
        call.say_numbers(2, 3)
        call.lane.resume()
        assert call.heard == frames(1, 3)
        assert call.lane.concealed_frames == 0
        assert call.outcomes == {"forwarded": 2, "queue_full": 1}

    def test_what_is_concealed_is_what_was_sent(self, twin):
        call = CallerRig(twin, preroll_frames=4).started()
        for number in range(1, 9):
            call.say_numbers(number)
            call.lose(1)
        call.lane.open(call.uplink.append)
        assert call.heard.count(SILENCE) == call.lane.concealed_frames
        assert [frame for frame in call.heard if frame != SILENCE] == frames(5, 6, 7, 8)

    def test_silence_before_a_locked_frame_is_dropped_with_it(self, call):
        call.say_numbers(1)
        call.lane.lock()
        call.lose(3)
        call.say_numbers(2)
        call.lane.unlock()
        call.say_numbers(3)
        assert call.heard == frames(1, 3)
        assert call.lane.concealed_frames == 0


class TestSilence:
    def test_silence_is_sent_and_counted_apart(self, call):
        assert call.lane.send_silence(50) == 50
        assert call.heard == [SILENCE] * 50
        assert (call.lane.silence_frames, call.lane.concealed_frames, call.lane.frames_in) == (50, 0, 0)
        assert call.outcomes == {}

    def test_not_without_a_model(self, twin):
        call = CallerRig(twin).started()
        assert call.lane.send_silence(3) == 0
        call.lane.open(call.uplink.append)
        call.lane.shut()
        assert call.lane.send_silence(3) == 0
        assert call.lane.silence_frames == 0
        assert call.uplink == []

    def test_none(self, call):
        assert call.lane.send_silence(0) == 0
        assert call.uplink == []


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
    def loud_call(self, twin: Any, frames_needed: int = 3) -> CallerRig:
        call = CallerRig(twin, detector=twin.bargein.Detector(frames=frames_needed)).opened()
        call.speak()
        return call

    def test_the_edge_is_told_once(self, twin):
        call = self.loud_call(twin)
        call.say(LOUD, LOUD)
        assert call.edges == 0
        call.say(LOUD)
        assert call.edges == 1
        call.say(LOUD, LOUD)
        assert call.edges == 1
        assert call.outcomes == {"forwarded": 5}

    def test_a_low_frame_resets(self, twin):
        call = self.loud_call(twin)
        call.say(LOUD, LOUD, QUIET, LOUD, LOUD)
        assert call.edges == 0

    def test_not_while_the_assistant_is_silent(self, twin):
        call = CallerRig(twin, detector=twin.bargein.Detector(frames=1)).opened()
        call.say(LOUD, LOUD)
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
        call.say(LOUD, LOUD)
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
        call.say(LOUD, LOUD, LOUD)
        assert (call.edges, call.lane.waiting) == (1, 3)

    def test_the_frame_of_the_edge_has_gone_its_way(self, twin):
        call = self.loud_call(twin, frames_needed=1)
        seen: list[tuple[int, int]] = []
        lane = twin.lanes.CallerLane(
            clock=call.clock,
            playing=call.assistant,
            detector=twin.bargein.Detector(frames=1),
            on_message=call.messages.append,
            on_edge=lambda: seen.append((len(call.uplink), lane.outcomes[0])),
        )
        lane.start(SID)
        lane.open(call.uplink.append)
        lane.feed_message(media_json(1, base64_text(LOUD)))
        assert seen == [(1, 1)]
