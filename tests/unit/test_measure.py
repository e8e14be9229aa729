import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twins import Twin

FRAME_NS = 20_000_000


def histogram(measure, values):
    made = measure.Histogram()
    for value in values:
        made.add(value)
    return made


def test_a_histogram_of_nothing(measure):
    empty = measure.Histogram()
    assert empty.count == 0
    assert empty.counts() == []
    assert all(math.isnan(value) for value in (empty.min_ns, empty.max_ns, empty.mean_ns, empty.quantile_ns(0.5)))


def test_a_histogram_knows_its_ends_exactly_and_the_rest_to_half_a_percent(measure):
    values = [Random(3).randrange(1, 60_000_000) for _ in range(5000)]
    made = histogram(measure, values)
    assert (made.count, made.min_ns, made.max_ns) == (5000, min(values), max(values))
    assert made.mean_ns == pytest.approx(sum(values) / 5000)
    values.sort()
    for share in (0.001, 0.01, 0.5, 0.9, 0.99, 0.999):
        assert made.quantile_ns(share) == pytest.approx(values[math.ceil(share * 5000) - 1], rel=0.002)
    assert made.quantile_ns(1) == pytest.approx(max(values), rel=0.002)


def test_what_is_negative_is_zero_and_what_is_huge_has_a_bucket(measure):
    made = histogram(measure, [-5, 1 << 50])
    assert (made.min_ns, made.max_ns, made.count) == (0, 1 << 50, 2)
    assert made.counts()[0] == (0, 1)


def test_the_edge_between_exact_and_coarse_buckets(measure):
    assert histogram(measure, [1022, 1023, 1024, 1025, 1027, 1028]).counts() == [
        (1022, 1),
        (1023, 1),
        (1026, 3),
        (1030, 1),
    ]


@given(value=st.integers(min_value=0, max_value=(1 << 37) - 1))
def test_a_value_is_within_its_bucket(measure, value):
    [(middle, count)] = histogram(measure, [value]).counts()
    assert count == 1
    assert middle == pytest.approx(value, rel=0.002)


def test_a_tag_comes_back_and_changes_the_lowest_bits_only(measure):
    frame = bytes(Random(1).randbytes(160))
    marked = measure.tagged(frame, 4095, 1_000_000)
    assert measure.tag(marked) == (4095, 1_000_000)
    assert bytes(byte & 0xFE for byte in marked) == bytes(byte & 0xFE for byte in frame)
    assert marked[64:] == frame[64:]


@pytest.mark.parametrize("bit", [0, 1, 24, 39, 40, 63])
def test_a_tag_with_a_bit_changed_is_none(measure, bit):
    marked = bytearray(measure.tagged(b"\xff" * 160, 7, 9))
    marked[bit] ^= 1
    assert measure.tag(bytes(marked)) is None


def test_what_is_no_frame(measure):
    assert measure.tag(b"") is None
    with pytest.raises(ValueError, match="frame"):
        measure.tagged(b"short", 0, 0)


@pytest.mark.parametrize("size", [1, 159, 160, 161, 480, 4000])
def test_frames_are_found_however_audio_was_cut(measure, size):
    frames = [measure.tagged(bytes(Random(number).randbytes(160)), 3, number) for number in range(30)]
    stream = b"".join(frames)
    finder = measure.FrameFinder()
    found = [each for at in range(0, len(stream), size) for each in finder.feed(stream[at : at + size])]
    assert found == [(3, number, frame) for number, frame in enumerate(frames)]
    assert finder.skipped_bytes == 0


def test_bytes_that_are_of_no_frame_are_skipped_and_counted(measure):
    finder = measure.FrameFinder()
    marked = measure.tagged(b"\x7f" * 160, 1, 2)
    assert finder.feed(b"\x55" * 77 + marked + b"\x55" * 200) == [(1, 2, marked)]
    assert 77 <= finder.skipped_bytes <= 277


def test_a_player_plays_as_it_comes(measure):
    player = measure.Player()
    assert player.take(1000 * FRAME_NS, 160) == 1000 * FRAME_NS
    assert player.take(1000 * FRAME_NS + 5, 160) == 5 - FRAME_NS
    assert player.end_ns == 1002 * FRAME_NS
    assert player.take(1003 * FRAME_NS, 80) == FRAME_NS
    assert player.end_ns == 1003 * FRAME_NS + FRAME_NS // 2


def test_marks_are_due_when_played_and_all_at_a_clear(measure):
    player = measure.Player()
    assert player.mark(10, b"at once")
    player.take(100, 160)
    assert player.mark(100, b"one")
    player.take(100, 160)
    assert player.mark(100, b"two")
    assert player.due(99 + FRAME_NS) == [b"at once"]
    assert player.due(100 + FRAME_NS) == [b"one"]
    player.clear(200 + FRAME_NS)
    assert player.due(200 + FRAME_NS) == [b"two"]
    assert player.end_ns == 200 + FRAME_NS
    player.clear(10 * FRAME_NS)
    assert player.end_ns == 200 + FRAME_NS


def test_marks_have_a_bound(measure):
    player = measure.Player()
    assert not player.mark(0, b"x" * 112)
    assert [player.mark(0, b"x" * 111) for _ in range(257)] == [True] * 256 + [False]
    assert len(player.due(0)) == 256


# The ear


def spoken(measure, *sizes, call=5):
    talk = measure.Conversation(call)
    said = []
    for size in sizes:
        talk.begin()
        said.append(talk.say(size))
    return talk, said


def faults(talk):
    return {name: count for name, count in talk.counts.items() if count}


def frames(audio):
    return [audio[at : at + 160] for at in range(0, len(audio), 160)]


@pytest.mark.parametrize("size", [1, 7, 160, 999, 5000])
def test_what_was_said_is_heard_without_a_fault(measure, size):
    talk, said = spoken(measure, 1600, 800, 333)
    stream = b"".join(said)
    heard = [talk.hear(stream[at : at + size]) for at in range(0, len(stream), size)]
    assert heard.count(1) == min(3, len(heard))
    assert faults(talk) == {}
    assert talk.position == (2, 333)


def test_speech_has_no_silence_in_it_and_differs_between_calls_and_responses(measure):
    talk, said = spoken(measure, 4000, 4000)
    _, other = spoken(measure, 4000, call=6)
    assert len({*said, *other}) == 3
    assert not any(byte & 0x7E == 0x7E for byte in said[0])
    with pytest.raises(ValueError, match=r"65536|too much"):
        talk.say(65_537)


def test_padding_at_the_end_and_silence_between_are_no_faults(measure):
    talk, (said,) = spoken(measure, 250)
    assert [talk.hear(frame.ljust(160, b"\xff")) for frame in frames(said)] == [1, 0]
    assert talk.hear(b"\x7f" * 160) == -1
    assert faults(talk) == {"padding": 70, "silence": 1}


def test_a_missing_frame_is_lost(measure):
    talk, (said,) = spoken(measure, 1600)
    for number, frame in enumerate(frames(said)):
        if number != 4:
            talk.hear(frame)
    assert faults(talk) == {"faults": 1, "lost": 160}
    assert talk.position == (0, 1600)


def test_an_altered_byte_is_one_byte(measure):
    talk, (said,) = spoken(measure, 1600)
    wrong = bytearray(said)
    wrong[777] ^= 1
    for frame in frames(bytes(wrong)):
        talk.hear(frame)
    assert faults(talk) == {"faults": 1, "altered": 1}


def test_a_frame_of_anything_is_altered(measure):
    talk, (said,) = spoken(measure, 480)
    first, _, third = frames(said)
    assert [talk.hear(each) for each in (first, b"\x01" * 160, third)] == [1, 0, 0]
    assert faults(talk) == {"faults": 1, "altered": 160}


def test_a_frame_twice_is_repeated(measure):
    talk, (said,) = spoken(measure, 480)
    first, second, third = frames(said)
    for frame in (first, second, second, third):
        talk.hear(frame)
    assert faults(talk) == {"faults": 1, "repeated": 160}


def test_another_calls_speech_is_foreign(measure):
    talk, _ = spoken(measure, 480)
    _, (other,) = spoken(measure, 480, call=6)
    talk.hear(other[:160])
    assert faults(talk) == {"faults": 1, "foreign": 160}


def test_speech_before_anything_was_said_is_foreign(measure):
    _, (other,) = spoken(measure, 480, call=6)
    talk = measure.Conversation(5)
    talk.hear(other[:160])
    assert faults(talk) == {"faults": 1, "foreign": 160}


def test_the_rest_of_a_response_is_lost_unless_it_was_cut(measure):
    talk, (first, second, third) = spoken(measure, 480, 480, 480)
    talk.cut(0)
    for audio in (first[:160], second[:160], third[:160]):
        assert talk.hear(audio) == 1
    assert faults(talk) == {"faults": 1, "lost": 320}


def test_after_a_clear_a_response_may_be_taken_up_where_it_was_heard(measure):
    talk, (said,) = spoken(measure, 1600)
    talk.hear(said[:800])
    talk.cleared(320)
    talk.hear(said[480:640])
    talk.hear(said[640:1600])
    assert faults(talk) == {"resumed": 1}
    talk.hear(said[640:800])
    assert faults(talk) == {"resumed": 1, "faults": 1, "repeated": 160}


def test_an_ear_that_lags_far_behind_loses_the_oldest(measure):
    talk, said = spoken(measure, *([160] * 18))
    assert faults(talk) == {"faults": 2, "lost": 320}
    assert talk.hear(said[2]) == 1


@given(data=st.data())
def test_one_fault_in_the_stream_is_seen_as_what_it_is(measure, data):
    talk, (said,) = spoken(measure, 3200, call=data.draw(st.integers(0, 500)))
    parts = frames(said)
    at = data.draw(st.integers(1, 17))
    kind = data.draw(st.sampled_from(["lost", "repeated"]))
    parts[at : at + 1] = [] if kind == "lost" else [parts[at]] * 2
    for part in parts:
        talk.hear(part)
    assert faults(talk) == {"faults": 1, kind: 160}


@given(audio=st.binary(max_size=700), cut=st.booleans(), at=st.integers(0, 800), step=st.integers(1, 400))
def test_the_twins_judge_anything_alike(audio, cut, at, step):
    """Speech with anything in its middle, cut anyhow."""
    judged = []
    for kind in ("oracle", "compiled"):
        talk, (first, second) = spoken(Twin(kind).measure, 800, 400)
        if cut:
            talk.cut(0)
        stream = first[:at] + audio + first[at : at + 320] + second
        heard = [talk.hear(stream[place : place + step]) for place in range(0, len(stream), step)]
        judged.append((heard, talk.counts, talk.position))
    assert judged[0] == judged[1]
