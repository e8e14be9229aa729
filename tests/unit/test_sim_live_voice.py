import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.sim.audio import level_dbfs
from fastbridge.sim.live_voice import Fragment, Voice
from fastbridge.sim.scenario import Say

HELLO = Say("Hello there.", b"\x10" * 800 + b"\x20" * 800)
SILENCE = b"\xff"


def test_without_words_there_is_silence() -> None:
    voice = Voice()
    assert voice.take(160) == (SILENCE * 160, [], [])
    assert voice.position == 160


def test_words_lie_where_they_sound() -> None:
    voice = Voice()
    said = voice.say(HELLO, 5.0)
    taken = voice.take(2000)
    assert taken.audio == SILENCE * 40 + (HELLO.audio or b"") + SILENCE * 360
    assert taken.fragments == [Fragment("Hello", 5.0, 105.0), Fragment(" there.", 105.0, 205.0)]
    assert taken.ended == [said]
    assert not voice.speaking


@given(st.lists(st.integers(1, 700), min_size=1, max_size=20))
def test_pieces_of_any_size_make_the_same_stream(sizes: list[int]) -> None:
    whole, cut = Voice(), Voice()
    for voice in (whole, cut):
        voice.say(HELLO, 3.0)
        voice.say(Say("Yes.", b"\x30" * 100), 3.0)
    expected = whole.take(sum(sizes))
    pieces = [cut.take(size) for size in sizes]
    assert b"".join(piece.audio for piece in pieces) == expected.audio
    assert [each for piece in pieces for each in piece.fragments] == expected.fragments


def test_what_is_said_waits_for_what_is_being_said() -> None:
    voice = Voice()
    voice.say(HELLO, 0.0)
    voice.say(Say("Yes.", b"\x30" * 8), 0.0)
    assert voice.take(1608).audio.endswith(b"\x20" + b"\x30" * 8)


def test_hush_cuts_in_the_middle_and_drops_the_rest() -> None:
    voice = Voice()
    voice.say(HELLO, 0.0)
    voice.say(HELLO, 0.0)
    voice.take(400)
    voice.hush()
    assert voice.take(160) == (SILENCE * 160, [], [])
    assert not voice.speaking


def test_what_was_heard_is_kept_word_by_word() -> None:
    voice = Voice()
    said = voice.say(HELLO, 0.0)
    said.item = {"content": [{"transcript": ""}]}
    voice.take(400)
    voice.hush()
    assert said.item == {"content": [{"transcript": "Hello"}]}


def test_a_fixture_goes_before_everything_and_is_not_hushed() -> None:
    voice = Voice()
    voice.say(HELLO, 0.0)
    played = voice.play(b"\x40" * 80)
    assert voice.fixture_active
    assert not voice.speaking
    voice.hush()
    assert voice.take(160) == (b"\x40" * 80 + SILENCE * 80, [], [played])
    assert not voice.fixture_active


@pytest.mark.parametrize("audio", [b"", None])
def test_words_without_a_sound_end_at_once(audio: bytes | None) -> None:
    voice = Voice()
    voice.say(Say("", b"") if audio is None else Say("Nothing is heard.", b""), 0.0)
    assert len(voice.take(160).ended) == 1


@pytest.mark.parametrize("dbfs", [-60.0, -50.0])
def test_noise_has_its_level_and_does_not_stop(dbfs: float) -> None:
    voice = Voice(dbfs)
    audio = b"".join(voice.take(999).audio for _ in range(100))
    assert level_dbfs(audio) == pytest.approx(dbfs, abs=1.5)
    assert len(audio) == 99_900
