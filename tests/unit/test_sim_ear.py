import pytest

from fastbridge.sim.ear import Span, audible, silences, sounds, waits
from fastbridge.sim.scenario import babble

QUIET = b"\xff" * 160
VOICE = babble("a voice that goes on and on for a while")


def audio(*parts: tuple[str, int]) -> bytes:
    """("voice" or "quiet", ms) in order."""
    return b"".join(VOICE[: ms * 8] if kind == "voice" else QUIET * (ms // 20) for kind, ms in parts)


def test_what_can_be_heard() -> None:
    assert not audible(QUIET)
    assert audible(VOICE[:160])
    assert not audible(b"\x7f\xff" * 80)


def test_sounds_are_divided_by_silence_and_not_by_a_breath() -> None:
    heard = audio(("quiet", 100), ("voice", 200), ("quiet", 300), ("voice", 200), ("quiet", 320), ("voice", 100))
    assert sounds(heard) == [Span(100, 800), Span(1120, 1220)]
    assert sounds(b"") == sounds(QUIET) == []


def test_silences_are_all_that_lies_between() -> None:
    heard = audio(("quiet", 400), ("voice", 200), ("quiet", 300), ("voice", 200), ("quiet", 500))
    assert silences(heard) == [Span(0, 400), Span(1100, 1600)]
    assert silences(heard, 0) == [Span(0, 400), Span(600, 900), Span(1100, 1600)]
    assert silences(QUIET * 50) == [Span(0, 1000)]


@pytest.mark.parametrize("greeted", [True, False])
def test_a_caller_waits_after_its_own_line_and_before_a_greeting(greeted: bool) -> None:
    heard = audio(("quiet", 4000), ("voice", 500), ("quiet", 6000), ("voice", 500), ("quiet", 9000))
    said = audio(("quiet", 6000), ("voice", 500), ("quiet", 13_500))
    before = [Span(0, 4000)] if greeted else []
    assert waits(said, heard, greeted=greeted) == [*before, Span(6500, 10_500)]
    assert waits(said, heard, 4500, greeted=greeted) == []


def test_nobody_waits_while_the_assistant_speaks_or_the_caller_goes_on() -> None:
    heard = audio(("voice", 2000), ("quiet", 4000), ("voice", 500))
    assert waits(audio(("voice", 500), ("quiet", 6000)), heard, 1000) == [], "it spoke over the assistant"
    said = audio(("quiet", 2500), ("voice", 500), ("quiet", 1000), ("voice", 500), ("quiet", 2000))
    assert waits(said, heard, 1200) == [Span(4500, 6000)]


def test_an_answer_that_never_comes() -> None:
    said = audio(("voice", 500), ("quiet", 5000))
    assert waits(said, QUIET * 275, greeted=False) == [Span(500, 5500)]


@pytest.mark.parametrize("greeted", [True, False])
@pytest.mark.parametrize("heard", [b"", QUIET, QUIET * 100])
def test_a_call_in_which_nothing_was_heard_is_one_wait(heard: bytes, greeted: bool) -> None:
    whole = [Span(0, len(heard) // 8)]
    assert waits(heard, heard, greeted=greeted) == whole
    assert silences(heard, 3000) == whole
