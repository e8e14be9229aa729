"""fastbridge._livegate: where an utterance begins and ends, what of a pause is sent, and what is refused."""

from typing import Any

import pytest

from fastbridge._livegate import END_FRAMES, REFUSED_END_FRAMES
from helpers import LOUD, MS, QUIET, tone_complex

NOISE = tone_complex(200, -60.0)  # comfort noise is no sound
FAINT = tone_complex(200, -49.0)  # goes on with a sound, and begins none


@pytest.fixture
def gate(twin: Any) -> Any:
    return twin.livegate.LiveGate()


@pytest.fixture
def names(twin: Any) -> dict[int, str]:
    module = twin.livegate
    return {getattr(module, name): name for name in ("DROP", "PASS", "BEGIN", "RESUME", "END", "REFUSE")}


@pytest.fixture
def hear(gate: Any, names: dict[int, str]) -> Any:
    """Verdicts on so many frames; as one, where they are all the same."""

    def judge(frame: bytes, count: int = 1, backlog: int = 0, refused: bool = False, **delay: int) -> Any:
        verdicts = [names[gate.judge(frame, backlog, refused, **delay)] for _ in range(count)]
        return verdicts[0] if len(set(verdicts)) == 1 else verdicts

    return judge


class TestBegins:
    @pytest.mark.parametrize("frame", [QUIET, NOISE, FAINT], ids=["silence", "comfort noise", "faint"])
    def test_not_with_what_is_no_sound(self, gate, hear, frame):
        assert hear(frame, 100) == "DROP"
        assert (gate.is_open, gate.utterances, gate.frames_silent, gate.frames_in) == (False, 0, 100, 100)

    def test_with_a_sound(self, gate, hear):
        assert hear(LOUD) == "BEGIN"
        assert (gate.is_open, gate.utterances) == (True, 1)
        assert hear(LOUD, 5) == "PASS"

    def test_and_how_long_it_is_quiet_is_known(self, gate, hear):
        hear(QUIET, 3)
        assert gate.quiet_frames == 0
        hear(LOUD)
        hear(QUIET, REFUSED_END_FRAMES)
        assert gate.quiet_frames == REFUSED_END_FRAMES
        hear(LOUD)
        assert (gate.quiet_frames, gate.resumes) == (0, 1)
        hear(QUIET, END_FRAMES)
        assert gate.quiet_frames == 0
        hear(LOUD)
        assert gate.resumes == 1

    @pytest.mark.parametrize(("before", "kept"), [(0, 0), (1, 1), (5, 5), (50, 5)])
    def test_behind_the_frames_that_came_last(self, gate, hear, before, kept):
        for number in range(before):
            gate.judge(bytes([0xFF - number % 4]) * 160, 0)
        hear(LOUD, wanted_ns=140 * MS)
        expected = [bytes([0xFF - number % 4]) * 160 for number in range(before)][before - kept :]
        assert gate.take_preroll() == b"".join(expected)
        assert gate.take_preroll() == b""

    def test_once(self, gate, hear):
        hear(LOUD)
        assert hear(FAINT, 40) == "PASS"
        assert gate.utterances == 1


class TestPauses:
    def test_a_short_one_is_sent_whole(self, twin, hear):
        hear(LOUD)
        assert hear(QUIET, twin.livegate.PAUSE_FRAMES) == "PASS"
        assert hear(LOUD) == "PASS"

    def test_of_a_longer_one_the_rest_is_not(self, twin, gate, hear):
        hear(LOUD)
        hear(QUIET, twin.livegate.PAUSE_FRAMES)
        assert hear(QUIET, 20) == "DROP"
        assert hear(LOUD) == "RESUME"
        assert gate.take_preroll() == QUIET * 3
        assert hear(LOUD) == "PASS"

    def test_and_what_ends_it_is_a_sound_and_not_what_only_goes_on(self, twin, hear):
        hear(LOUD)
        hear(QUIET, twin.livegate.PAUSE_FRAMES + 1)
        assert hear(FAINT) == "DROP"

    def test_is_left_out_sooner_while_much_waits(self, twin, gate, hear):
        full = twin.livegate.BACKLOG_FRAMES
        hear(LOUD)
        assert hear(QUIET, 3, full) == "PASS"  # a stop consonant is part of the speech
        assert hear(QUIET, 1, full) == "DROP"
        assert hear(QUIET, 1, full - 1) == "PASS"
        assert hear(LOUD, 1, full) == "PASS"
        assert gate.take_preroll() == b""

    def test_is_left_out_sooner_when_it_takes_longer_than_is_wanted(self, hear):
        hear(LOUD)
        assert hear(QUIET, 3, delay_ns=500 * MS, wanted_ns=60 * MS) == "PASS"
        assert hear(QUIET, 1, delay_ns=120 * MS, wanted_ns=60 * MS) == "DROP"
        assert hear(QUIET, 1, delay_ns=120 * MS - 1, wanted_ns=60 * MS) == "PASS"
        assert hear(QUIET, 1, delay_ns=160 * MS - 1, wanted_ns=140 * MS) == "PASS"
        assert hear(QUIET, 1, delay_ns=160 * MS, wanted_ns=140 * MS) == "DROP"


class TestWhatGoesBeforeASound:
    """As much silence as makes the delay what it is to be."""

    @pytest.mark.parametrize("begun", [False, True])
    @pytest.mark.parametrize(
        ("delay_ms", "wanted_ms", "backlog", "frames"),
        [
            (0, 60, 0, 3),
            (0, 61, 0, 4),
            (0, 140, 0, 5),  # no more is kept
            (1, 60, 0, 3),
            (40, 60, 0, 1),
            (60, 60, 0, 0),
            (300, 60, 0, 0),
            (0, 140, 2, 3),  # 120 ms are not to wait with us
            (0, 140, 5, 0),
            (0, 140, 50, 0),
        ],
    )
    def test_is_what_is_wanted(self, gate, hear, begun, delay_ms, wanted_ms, backlog, frames):
        if begun:
            hear(LOUD)
        hear(QUIET, 30)
        verdict = hear(LOUD, 1, backlog, delay_ns=delay_ms * MS, wanted_ns=wanted_ms * MS)
        assert verdict == ("RESUME" if begun else "BEGIN")
        assert gate.take_preroll() == QUIET * frames

    def test_is_what_came_right_before_it(self, twin, gate, hear):
        """Not what was left out of an earlier part of the same pause."""
        hear(LOUD)
        hear(QUIET, 3)
        hear(NOISE, 1, twin.livegate.BACKLOG_FRAMES)
        hear(QUIET, twin.livegate.PAUSE_FRAMES - 4)
        hear(QUIET)
        hear(LOUD, wanted_ns=140 * MS)
        assert gate.take_preroll() == QUIET

    def test_is_the_frame_that_ended_the_last_one_too(self, twin, gate, hear):
        hear(LOUD)
        hear(QUIET, twin.livegate.END_FRAMES - 1)
        assert hear(NOISE) == "END"
        hear(LOUD, wanted_ns=20 * MS)
        assert gate.take_preroll() == NOISE

    @pytest.mark.parametrize(
        ("before", "sent"),
        [
            ([FAINT], [FAINT]),
            ([FAINT, QUIET, FAINT], [FAINT, QUIET, FAINT]),
            ([FAINT, FAINT, QUIET], [FAINT, FAINT, QUIET]),
            ([FAINT, NOISE, FAINT, FAINT], [FAINT, FAINT]),  # further back it is none of the sound
            ([FAINT, QUIET, QUIET, NOISE], []),
        ],
    )
    def test_what_is_faint_right_before_it_is_part_of_it(self, gate, hear, before, sent):
        for frame in [*[QUIET] * 9, *before]:
            hear(frame)
        hear(LOUD, delay_ns=1000 * MS)
        assert gate.take_preroll() == b"".join(sent)


class TestNoise:
    """Silence that is not digital: what the service sends may hiss."""

    @pytest.mark.parametrize("dbfs", [-60.0, -53.0, -50.0, -48.1])
    def test_at_any_level_ends_what_was_said(self, twin, gate, hear, dbfs):
        hiss = tone_complex(200, dbfs)
        hear(hiss, 100)
        hear(LOUD, 20)
        assert "END" in hear(hiss, 2 * twin.livegate.END_FRAMES)
        assert not gate.is_open

    def test_that_comes_with_the_voice_is_known_in_ten_seconds(self, twin, gate, hear):
        hear(QUIET, 49)
        hear(LOUD, 20)
        hear(tone_complex(200, -50.0), 500 + twin.livegate.END_FRAMES)
        assert not gate.is_open

    def test_a_voice_begins_6_db_above_it_and_goes_on_4_db_above_it(self, gate, hear):
        hiss = tone_complex(200, -50.0)
        hear(hiss, 100)
        assert hear(tone_complex(200, -44.2)) == "DROP"
        assert hear(tone_complex(200, -43.8)) == "BEGIN"
        assert hear(tone_complex(200, -45.8), 20) == "PASS"
        assert gate.is_open
        hear(hiss, 20)
        hear(tone_complex(200, -46.2), 20)
        assert not gate.is_open

    @pytest.mark.parametrize(("dbfs", "frames"), [(-43.9, 2000), (-45.0, 240)])
    def test_is_no_soft_sound_that_goes_on(self, gate, hear, dbfs, frames):
        """Below -44 dBFS nobody can tell, and it is for five seconds a sound."""
        hear(QUIET, 100)
        soft = tone_complex(200, dbfs)
        assert hear(soft) == "BEGIN"
        assert hear(soft, frames) == "PASS"

    @pytest.mark.parametrize("dbfs", [-44.0, -45.0])
    def test_leaves_a_voice_that_is_soft(self, gate, hear, dbfs):
        """Word by word, for as long as it takes."""
        hiss, word = tone_complex(200, -55.0), tone_complex(200, dbfs)
        hear(hiss, 100)
        for _ in range(40):
            verdicts = {hear(word) for _ in range(60)}
            assert verdicts <= {"BEGIN", "PASS", "RESUME"}
            hear(hiss, 60)

    def test_that_is_louder_than_noise_is_a_sound_that_goes_on(self, gate, hear):
        steady = tone_complex(200, -40.0)
        assert hear(LOUD) == "BEGIN"
        assert hear(steady, 500) == "PASS"
        assert gate.is_open

    def test_is_forgotten_when_it_has_gone(self, hear):
        hear(tone_complex(200, -50.0), 100)
        hear(QUIET, 1)
        assert hear(tone_complex(200, -45.9)) == "BEGIN"

    def test_of_another_stream_is_not_asked(self, gate, hear):
        hear(tone_complex(200, -50.0), 130)
        gate.reset()
        assert hear(tone_complex(200, -45.9)) == "BEGIN"

    def test_of_a_stream_is_known_in_its_own_first_second(self, gate, hear):
        hear(QUIET, 30)
        gate.reset()
        hear(tone_complex(200, -50.0), 50)
        assert hear(tone_complex(200, -45.9)) == "DROP"

    def test_before_a_sound_is_no_part_of_it(self, gate, hear):
        hear(tone_complex(200, -50.0), 100)
        hear(LOUD, delay_ns=1000 * MS)
        assert gate.take_preroll() == b""

    @pytest.mark.parametrize(("frames", "verdict"), [(49, "BEGIN"), (50, "DROP")])
    def test_is_heard_for_a_second_before_it_counts(self, hear, frames, verdict):
        hear(tone_complex(200, -50.0), frames)
        assert hear(tone_complex(200, -45.9)) == verdict


class TestEnds:
    def test_after_a_long_silence(self, twin, gate, hear):
        hear(LOUD)
        hear(QUIET, twin.livegate.END_FRAMES - 1)
        assert gate.is_open
        assert hear(QUIET) == "END"
        assert not gate.is_open
        assert hear(LOUD) == "BEGIN"
        assert gate.utterances == 2

    def test_when_it_is_another_stream(self, gate, hear):
        hear(QUIET, 2)
        hear(LOUD)
        gate.reset()
        assert not gate.is_open
        assert hear(LOUD) == "BEGIN"
        assert gate.take_preroll() == b""


class TestRefused:
    def test_until_it_has_stopped(self, twin, gate, hear):
        hear(LOUD)
        assert hear(LOUD, 10, refused=True) == "REFUSE"
        assert hear(QUIET, twin.livegate.REFUSED_END_FRAMES - 1, refused=True) == "REFUSE"
        assert hear(QUIET, refused=True) == "END"
        assert gate.frames_refused == 10 + twin.livegate.REFUSED_END_FRAMES
        assert hear(LOUD) == "BEGIN"

    def test_or_goes_on_for_long(self, twin, hear):
        hear(LOUD)
        assert hear(LOUD, twin.livegate.REFUSED_FRAMES - 1, refused=True) == "REFUSE"
        assert hear(LOUD, refused=True) == "END"
        assert hear(LOUD) == "BEGIN"

    def test_each_utterance_for_its_own_time(self, twin, hear):
        for _ in range(2):
            hear(LOUD)
            assert hear(LOUD, twin.livegate.REFUSED_FRAMES - 20, refused=True) == "REFUSE"
            assert hear(QUIET, twin.livegate.REFUSED_END_FRAMES, refused=True)[-1] == "END"

    def test_what_came_before_something_that_was_sent_goes_before_nothing(self, twin, gate, hear):
        hear(LOUD)
        gate.take_preroll()
        assert hear(LOUD, twin.livegate.REFUSED_FRAMES - 1, refused=True) == "REFUSE"
        assert hear(LOUD) == "PASS"
        assert hear(LOUD, refused=True) == "END"
        assert hear(LOUD) == "BEGIN"
        assert gate.take_preroll() == LOUD, "and not what was refused long ago"

    def test_what_came_last_goes_before_the_next(self, twin, gate, hear):
        hear(LOUD)
        hear(QUIET, twin.livegate.REFUSED_END_FRAMES, refused=True)
        hear(LOUD)
        assert gate.take_preroll() == QUIET * 3


def test_the_most_that_waited_is_known(gate, hear):
    for backlog in (0, 7, 3):
        hear(LOUD, 1, backlog)
    assert gate.peak_backlog_frames == 7


@pytest.mark.parametrize("size", [0, 159, 161])
def test_a_frame_has_its_size(gate, size):
    with pytest.raises(ValueError, match=f"not {size}"):
        gate.judge(bytes(size), 0)
