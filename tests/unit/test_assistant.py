"""fastbridge._assistant."""

from typing import Any

import pytest

from helpers import SID, base64_text, delta_json
from rigs import AssistantRig, audio, cut, frames
from sounds import recordings, spoken, to_pcm

RECORDING = recordings()["en/apology.ulaw"]


@pytest.fixture
def rig(twin) -> AssistantRig:
    return AssistantRig(twin).started()


class TestFraming:
    def test_a_frame_is_160_bytes_in_twilios_message(self, rig):
        rig.respond(audio(1))
        rig.tick(0)
        assert rig.sent[0] == {
            "event": "media",
            "streamSid": SID.decode(),
            "media": {"payload": base64_text(audio(1)).decode()},
        }
        assert rig.kinds == ["media", "mark"]

    @pytest.mark.parametrize("size", [1, 3, 7, 159, 160, 161, 799, 2000])
    def test_deltas_of_any_size_are_cut_anew(self, rig, size):
        whole = audio(25)
        rig.begin()
        for start in range(0, len(whole), size):
            rig.delta(whole[start : start + size])
        rig.lane.end_response("resp_1")
        rig.tick(700)
        assert rig.heard == cut(whole)
        rig.check()

    @pytest.mark.parametrize("size", [1, 80, 159, 161, 1599])
    def test_only_the_last_frame_of_a_response_is_padded(self, rig, size):
        whole = audio(10)[:size]
        rig.respond(whole)
        rig.tick(400)
        padding = -size % 160
        assert b"".join(rig.heard) == whole + b"\xff" * padding
        assert rig.lane.frames_enqueued == rig.lane.frames_sent == (size + padding) // 160

    def test_frames_are_counted_as_they_come_in(self, rig):
        counts = []
        for size in (159, 1, 200, 0, 119):
            if not counts:
                rig.begin()
            rig.delta(bytes(size))
            counts.append(rig.lane.frames_enqueued)
        rig.lane.end_response("resp_1")
        assert [*counts, rig.lane.frames_enqueued] == [0, 1, 2, 2, 2, 3]
        rig.lane.end_response("resp_1")
        assert rig.lane.frames_enqueued == 3

    def test_how_large_the_first_frame_was(self, rig):
        assert rig.lane.first_frame_bytes == 0
        rig.respond(audio(3)[:330])
        rig.tick(0)
        assert (rig.lane.frames_sent, rig.lane.first_frame_bytes) == (1, 160)
        rig.tick(200)
        assert rig.lane.first_frame_bytes == 160

    def test_what_is_left_over_waits_for_the_next_delta(self, rig):
        rig.begin()
        rig.delta(audio(2)[:200])
        rig.tick(500)
        assert rig.heard == frames(1)
        rig.delta(audio(2)[200:])
        rig.tick(500)
        assert rig.heard == frames(1, 2)

    def test_every_response_starts_a_new_frame(self, rig):
        rig.respond(audio(1)[:100], 1)
        rig.respond(audio(1)[:100], 2)
        rig.tick(100)
        assert rig.heard == [audio(1)[:100] + b"\xff" * 60] * 2

    def test_items_of_one_response_share_a_frame(self, rig):
        rig.begin()
        rig.delta(audio(1)[:100], "item_1")
        rig.delta(audio(1)[100:], "item_2")
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert rig.heard == frames(1)
        rig.check()

    def test_an_empty_delta_is_nothing(self, rig):
        rig.begin()
        rig.delta(b"")
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert rig.downlink == []
        assert rig.lane.malformed_deltas == rig.lane.refused_deltas == 0

    def test_a_delta_over_64_kib(self, rig):
        rig.respond(audio(500))
        rig.tick(10_000)
        assert rig.heard == cut(audio(500))

    def test_audio_before_start_waits_for_it(self, twin):
        rig = AssistantRig(twin)
        rig.respond(audio(3))
        rig.tick(100)
        assert (rig.downlink, rig.lane.frames_unsent) == ([], 3)
        rig.started().tick(100)
        assert rig.heard == frames(1, 2, 3)


class TestMessages:
    def test_a_delta_is_taken_from_its_message(self, rig):
        rig.begin()
        rig.lane.feed_message(delta_json("resp_1", "item_1", base64_text(audio(1))))
        rig.tick(0)
        assert rig.heard == frames(1)
        assert (rig.lane.deltas, rig.events) == (1, [])

    def test_events_are_for_python(self, rig):
        messages = [
            b'{"type":"response.done","event_id":"e"}',
            b"",
            b"{",
            b"\xff",
            b'{"type": "response.output_audio.delta"}',
        ]
        for message in messages:
            rig.lane.feed_message(message)
        assert rig.events == messages
        assert rig.lane.deltas == 0

    def test_words_need_no_parsing(self, twin):
        said = []
        rig = AssistantRig(twin, on_words=lambda item_id, words: said.append((item_id, words)))
        message = (
            b'{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"r","item_id":"item_1",'
            b'"output_index":0,"content_index":0,"delta":"%s"}'
        )
        for words in ("Sure, ", "\u05e9\u05dc\u05d5\u05dd", ""):
            rig.lane.feed_message(message % words.encode())
        assert said == []
        rig.lane.feed_message(message % b"\\n")  # needs parsing
        assert rig.events == [message % b"\\n"]
        assert said == [("item_1", "Sure, \u05e9\u05dc\u05d5\u05dd")]
        assert rig.lane.word_deltas == 3

    @pytest.mark.parametrize("cause", ["an event", "an answer", "another item", "many"])
    def test_words_are_told_of_together_and_in_time(self, twin, cause):
        told = []
        rig = AssistantRig(twin, on_words=lambda item_id, words: told.append((item_id, words)))

        def say(item: str, words: str) -> None:
            head = '{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"r","item_id":"'
            rig.lane.feed_message(f'{head}{item}","output_index":0,"content_index":0,"delta":"{words}"}}'.encode())

        for number in range(64):
            say("item_1", f"{number} ")
        assert told == []
        if cause == "an event":
            rig.lane.feed_message(b'{"type":"response.done"}')
        elif cause == "an answer":
            rig.lane.items()
        else:
            say("item_2" if cause == "another item" else "item_1", "more")
        assert told == [("item_1", "".join(f"{number} " for number in range(64)))]
        rig.lane.tell_words()
        rig.lane.tell_words()
        assert told[1:] == {"another item": [("item_2", "more")], "many": [("item_1", "more")]}.get(cause, [])

    def test_words_come_before_the_event_behind_them(self, twin):
        told = []
        rig = AssistantRig(twin, on_words=lambda *words: told.append((*words, len(rig.events))))
        rig.lane.feed_message(
            b'{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"r","item_id":"item_1",'
            b'"output_index":0,"content_index":0,"delta":"Sure"}'
        )
        rig.lane.feed_message(b"{}")
        assert (told, rig.events) == ([("item_1", "Sure", 0)], [b"{}"])

    def test_words_are_an_event_where_nobody_takes_them(self, rig):
        message = (
            b'{"type":"response.output_audio_transcript.delta","event_id":"e","response_id":"r","item_id":"item_1",'
            b'"output_index":0,"content_index":0,"delta":"Sure"}'
        )
        rig.lane.feed_message(message)
        assert rig.events == [message]

    def test_ignored_events_are_counted(self, rig):
        rig.lane.feed_message(b'{"type":"response.output_text.delta","event_id":"e","delta":"Sure"}')
        assert (rig.lane.ignored_events, rig.events) == (1, [])

    @pytest.mark.parametrize("delta", [b"A", b"AAA", b"A=A=", b"A===", b"AA==AAAA"])
    def test_malformed_deltas_are_counted_and_change_nothing(self, rig, delta):
        rig.begin()
        rig.lane.feed_message(delta_json("resp_1", "item_1", delta))
        rig.lane.feed_delta(b"resp_1", b"item_1", delta)
        assert (rig.lane.malformed_deltas, rig.lane.received_bytes) == (2, 0)
        rig.delta(audio(1), "item_2")
        assert [item[0] for item in rig.lane.items()] == ["item_2"]

    def test_a_malformed_delta_makes_no_item(self, rig):
        rig.begin()
        rig.delta(audio(1), "item_1")
        rig.lane.feed_delta(b"resp_1", b"item_2", b"A")
        assert rig.lane.items() == [("item_1", "resp_1", 0, 20)]

    def test_through_a_frame_reader(self, twin, rig):
        options: dict[str, Any] = {"max_size_bytes": 100_000, "on_other": lambda data: True}
        reader = twin.websocket.FrameReader(server=False, on_text=rig.lane.sink, **options)
        rig.begin()
        for frame in frames(1, 2, 3):
            reader.feed(twin.websocket.text_frame(delta_json("resp_1", "item_1", base64_text(frame)), mask=False))
        reader.feed(twin.websocket.text_frame(b'{"type":"response.done"}', mask=False))
        rig.tick(100)
        assert rig.heard == frames(1, 2, 3)
        assert rig.events == [b'{"type":"response.done"}']


class TestRefusal:
    def refused(self, rig: AssistantRig, count: int) -> None:
        assert rig.lane.refused_deltas == count
        assert rig.lane.received_bytes == 0

    def test_before_any_response(self, rig):
        rig.delta(audio(1))
        self.refused(rig, 1)

    def test_of_another_response(self, rig):
        rig.begin("resp_2")
        rig.delta(audio(1), response_id="resp_1")
        rig.delta(audio(1), response_id="resp_22")
        self.refused(rig, 2)

    def test_of_the_response_before(self, rig):
        rig.begin("resp_1")
        rig.begin("resp_2")
        rig.delta(audio(1), response_id="resp_1")
        self.refused(rig, 1)

    def test_of_an_ended_response(self, rig):
        rig.begin()
        rig.lane.end_response("resp_1")
        rig.delta(audio(1))
        self.refused(rig, 1)

    @pytest.mark.parametrize("parsed", [False, True])
    def test_of_a_copy(self, rig, parsed):
        rig.begin()
        for event_id, first in (("event_a", 1), ("event_b", 1), ("event_a", 1), ("event_a", 2), ("event_b", 1)):
            text = base64_text(audio(first))
            if parsed:
                rig.lane.feed_delta(b"resp_1", b"item_1", text, event_id.encode())
            else:
                rig.lane.feed_message(delta_json("resp_1", "item_1", text, event_id))
        assert (rig.lane.deltas, rig.lane.refused_deltas, rig.lane.received_bytes) == (5, 2, 4 * 160)

    def test_of_a_copy_of_the_first_where_events_are_known_to_differ(self, rig):
        text = base64_text(audio(1))
        for event_id, refused in ((b"", 0), (b"event_a", 0), (b"event_0", 2)):
            rig.lane.begin_response("resp_1", event_id)
            for _ in range(3):
                rig.lane.feed_message(delta_json("resp_1", "item_1", text, "event_a"))
            assert rig.lane.refused_deltas == refused

    def test_of_a_copy_of_the_first_for_which_a_filler_gave_way(self, rig):
        """What is told of it begins the response anew: it is the same."""
        rig.lane.begin_response("resp_1", b"event_0")
        rig.on_first = rig.lane.begin_response
        for _ in range(3):
            rig.lane.feed_message(delta_json("resp_1", "item_1", base64_text(audio(1)), "event_a"))
        assert (rig.lane.refused_deltas, rig.lane.received_bytes) == (2, 160)

    def test_of_a_copy_that_took_the_other_way(self, rig):
        rig.begin()
        text = base64_text(audio(1))
        for event_id in ("event_a", "event_b"):
            rig.lane.feed_message(delta_json("resp_1", "item_1", text, event_id))
        rig.lane.feed_delta(b"resp_1", b"item_1", text, b"event_a")
        assert rig.lane.refused_deltas == 1

    def test_where_all_events_have_the_same_id_nothing_is_a_copy(self, rig):
        text = base64_text(audio(1))
        for number in range(3):
            rig.begin(f"resp_{number}")
            for _ in range(3):
                rig.lane.feed_message(delta_json(f"resp_{number}", "item_1", text, f"event_{number}"))
        assert rig.lane.refused_deltas == 0

    def test_of_a_copy_is_for_the_last_128_of_a_response(self, rig):
        rig.begin()
        text = base64_text(audio(1))
        for number in (*range(129), 1, 0):
            rig.lane.feed_message(delta_json("resp_1", "item_1", text, f"event_{number}"))
        assert rig.lane.refused_deltas == 1
        rig.begin("resp_2")
        rig.lane.feed_message(delta_json("resp_2", "item_1", text, "event_1"))
        assert rig.lane.refused_deltas == 1

    def test_without_an_event_id_nothing_is_a_copy(self, rig):
        rig.begin()
        for _ in range(2):
            rig.lane.feed_delta(b"resp_1", b"item_1", base64_text(audio(1)))
        assert (rig.lane.refused_deltas, rig.lane.received_bytes) == (0, 320)

    def test_after_clear(self, rig):
        rig.begin()
        rig.lane.clear()
        rig.delta(audio(1))
        self.refused(rig, 1)
        rig.begin("resp_2")
        rig.delta(audio(1), response_id="resp_2")
        assert rig.lane.received_bytes == 160

    def test_after_refuse_what_is_in_the_ring_stays(self, rig):
        rig.begin()
        rig.delta(audio(2))
        rig.lane.refuse()
        rig.delta(audio(2))
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert rig.heard == frames(1, 2)
        assert rig.lane.refused_deltas == 1
        assert rig.kinds[-1] == "mark"

    def test_ending_another_response_changes_nothing(self, rig):
        rig.begin("resp_2")
        rig.lane.end_response("resp_1")
        rig.delta(audio(1), response_id="resp_2")
        assert (rig.lane.refused_deltas, rig.lane.received_bytes) == (0, 160)


class TestPcm:
    """Audio that is no mu-law, see test_pcm."""

    PCM = to_pcm(spoken(-20))[6000:]

    @pytest.fixture
    def told(self) -> list[str]:
        return []

    @pytest.fixture
    def rig(self, twin, told) -> AssistantRig:
        return AssistantRig(twin, on_pcm=told.append).started()

    def test_is_told_once_by_its_item(self, rig, told):
        rig.begin()
        for start in range(0, 24_000, 800):
            rig.delta(self.PCM[start : start + 800])
        assert told == ["item_1"]

    @pytest.mark.parametrize("parsed", [False, True])
    def test_is_told_with_the_delta_that_shows_it(self, rig, told, parsed):
        rig.begin()
        for number, start in enumerate(range(0, 4000, 100)):
            if parsed:
                rig.delta(self.PCM[start : start + 100])
            else:
                delta = base64_text(self.PCM[start : start + 100])
                rig.lane.feed_message(delta_json("resp_1", "item_1", delta, f"event_{number}"))
            assert told == (["item_1"] if start + 100 >= 2048 else [])

    def test_that_is_cleared_at_once_is_never_heard(self, twin):
        rig = AssistantRig(twin, on_pcm=lambda item_id: rig.lane.clear()).started()
        rig.respond(self.PCM[:8000])
        rig.tick(1000)
        assert rig.heard == []
        assert rig.lane.frames_flushed["barge_in"] == 50
        rig.check()

    def test_is_told_of_each_item(self, rig, told):
        rig.begin()
        for item_id in ("item_1", "item_2", "item_1"):
            rig.delta(self.PCM[:4000], item_id)
        assert told == ["item_1", "item_2", "item_1"]

    def test_is_not_made_of_pieces_of_several_items(self, rig, told):
        rig.begin()
        for number in range(6):
            rig.delta(self.PCM[1024 * number : 1024 * (number + 1)], f"item_{number}")
        assert told == []

    def test_begins_anew_behind_a_clear(self, rig, told):
        for number in range(2):
            rig.begin(f"resp_{number}")
            rig.delta(self.PCM[:1024], "item_1", f"resp_{number}")
            rig.lane.clear()
        assert told == []

    @pytest.mark.parametrize("before", [15_000, 15_361, 16_383])
    def test_is_told_where_the_ring_begins_again(self, rig, told, before):
        rig.respond(RECORDING[: before // 160 * 160])
        rig.tick(3000)
        rig.begin("resp_2")
        rig.delta(RECORDING[: before % 160], "item_2", "resp_2")
        rig.delta(self.PCM[:2500], "item_3", "resp_2")
        assert told == ["item_3"]

    def test_of_a_refused_response_is_nothing(self, rig, told):
        rig.begin("resp_2")
        rig.delta(self.PCM[:8000])
        assert told == []

    def test_is_not_what_is_mulaw(self, rig, told):
        rig.respond(RECORDING)
        rig.respond(bytes(range(160)) * 500, 2)
        assert told == []

    def test_needs_nobody_to_be_told(self, twin):
        rig = AssistantRig(twin).started()
        rig.respond(self.PCM[:8000])
        rig.tick(1000)
        assert len(rig.heard) == 50


class TestResponses:
    def test_the_first_frame_of_each_is_told_once(self, rig):
        rig.respond(audio(3), 1)
        rig.respond(audio(3), 2)
        assert rig.first_frames == []
        rig.tick(0)
        assert rig.first_frames == ["resp_1"]
        rig.tick(40)
        assert rig.first_frames == ["resp_1"]
        rig.tick(100)
        assert rig.first_frames == ["resp_1", "resp_2"]

    def test_the_first_audio_of_each_is_told_once_and_before_it_is_taken(self, rig):
        taken = []
        rig.on_first = lambda response_id: taken.append((response_id, rig.lane.received_bytes))
        rig.begin()
        rig.delta(b"")
        rig.delta(audio(1), response_id="resp_other")
        assert taken == []
        rig.delta(audio(1))
        rig.delta(audio(2))
        rig.begin("resp_2")
        rig.delta(audio(1), "item_2", "resp_2")
        assert taken == [("resp_1", 0), ("resp_2", 480)]

    def test_what_is_then_cleared_away_is_all_but_that(self, rig):
        rig.respond(audio(5, 50), 7)

        def give_way(response_id):
            rig.lane.clear()
            rig.begin(response_id)

        rig.on_first = give_way
        rig.begin()
        rig.delta(audio(1))
        rig.delta(audio(1, 2))
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert (rig.heard, rig.first_deltas) == ([*cut(audio(2))], ["resp_7", "resp_1"])

    def test_a_response_that_is_refused_then_brings_nothing(self, rig):
        rig.on_first = lambda response_id: rig.lane.refuse()
        rig.begin()
        rig.delta(audio(1))
        assert (rig.lane.received_bytes, rig.lane.refused_deltas) == (0, 1)

    def test_begin_ends_the_response_still_open(self, rig):
        rig.begin("resp_1")
        rig.delta(audio(1)[:100])
        rig.begin("resp_2")
        rig.delta(audio(1), "item_2", "resp_2")
        rig.lane.end_response("resp_2")
        rig.tick(100)
        assert rig.heard == [audio(1)[:100] + b"\xff" * 60, audio(1)]
        assert rig.kinds == ["media", "mark", "media", "mark"]

    def test_one_without_audio_is_forgotten(self, rig):
        rig.begin("resp_1")
        rig.lane.end_response("resp_1")
        rig.begin("resp_2")
        rig.respond(audio(1), 3)
        rig.tick(100)
        assert rig.first_frames == ["resp_3"]
        assert len(rig.marks) == 1

    def test_ending_twice_is_ending_once(self, rig):
        rig.respond(audio(1))
        rig.lane.end_response("resp_1")
        rig.tick(100)
        rig.lane.end_response("resp_1")
        rig.tick(100)
        assert rig.kinds == ["media", "mark"]


class TestMarks:
    def test_the_end_mark_follows_the_last_frame(self, rig):
        rig.respond(audio(2) + b"\x01" * 80)
        rig.tick(100)
        assert rig.kinds == ["media", "media", "media", "mark"]
        assert rig.marks == ["0:item_1:50"]
        assert rig.lane.marks_sent == 1

    def test_also_when_the_end_comes_after_the_last_frame(self, rig):
        rig.begin()
        rig.delta(audio(2))
        rig.tick(100)
        assert rig.kinds == ["media", "media"]
        rig.lane.end_response("resp_1")
        rig.tick(30)
        assert rig.kinds == ["media", "media", "mark"]

    def test_its_echo_says_that_the_response_was_played(self, rig):
        rig.respond(audio(2))
        rig.tick(40)
        rig.echo(rig.marks[-1])
        assert rig.played == ["resp_1"]
        assert (rig.lane.marks_played, rig.lane.stale_marks) == (1, 0)

    def test_a_long_response_has_marks_on_its_way(self, rig):
        rig.respond(audio(50))
        rig.tick(1100)
        epochs, items, positions = zip(*(name.split(":") for name in rig.marks), strict=True)
        assert set(epochs) == {"0"}
        assert set(items) == {"item_1"}
        assert [int(ms) for ms in positions] == [160, 320, 480, 640, 800, 960, 1000]
        rig.echo(*rig.marks[:-1])
        assert rig.played == []
        rig.echo(rig.marks[-1])
        assert rig.played == ["resp_1"]
        assert rig.lane.marks_played == rig.lane.marks_sent == 7

    @pytest.mark.parametrize(
        "name", [b"", b"x", b"0:item_1:0", b"0:item_2:20", b"1:item_1:20", b"-1:item_1:20", b"0:item_1:20 "]
    )
    def test_an_unknown_mark_is_stale(self, rig, name):
        rig.respond(audio(1))
        rig.tick(0)
        rig.lane.mark(name)
        assert (rig.lane.stale_marks, rig.lane.marks_played, rig.played) == (1, 0, [])
        assert rig.lane.heard_bytes == 0

    def test_a_second_echo_is_stale(self, rig):
        rig.respond(audio(1))
        rig.tick(20)
        rig.echo(rig.marks[0], rig.marks[0])
        assert (rig.lane.stale_marks, rig.played) == (1, ["resp_1"])

    def test_after_clear_the_echo_of_an_older_epoch_is_stale(self, rig):
        rig.respond(audio(20))
        rig.tick(500)
        rig.lane.clear()
        rig.echo(*rig.marks)
        assert (rig.lane.stale_marks, rig.played) == (len(rig.marks), [])

    def test_the_epoch_rises_with_every_clear_and_is_in_the_name(self, rig):
        for epoch in range(3):
            assert rig.lane.epoch == epoch
            rig.respond(audio(1), epoch)
            rig.tick(30)
            assert rig.marks[-1] == f"{epoch}:item_{epoch}:20"
            rig.lane.clear()

    def test_an_echo_moves_heard(self, rig):
        rig.respond(audio(20))
        rig.tick(160)  # so eight or nine frames have left and none but the first few can have been played
        rig.echo(rig.marks[0])
        assert rig.lane.heard_bytes >= 1280
        rig.check()
