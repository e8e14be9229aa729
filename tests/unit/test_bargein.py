import math
import struct

import pytest

from helpers import LOUD, QUIET


def constant(mulaw, magnitude: int) -> bytes:
    """A frame whose RMS is the magnitude, as near as mu-law has it."""
    return mulaw.encode(struct.pack("=2h", magnitude, -magnitude) * 80)


def runs(detector, frames: list[bytes], playing: bytes | None = QUIET) -> list[bool]:
    return [detector.feed(frame, playing) for frame in frames]


def test_five_loud_frames_in_a_row_trigger_once(bargein):
    detector = bargein.Detector()
    assert runs(detector, [LOUD] * 12) == [False] * 4 + [True] + [False] * 7
    assert detector.loud_frames == 12


def test_one_low_frame_resets_the_count(bargein):
    detector = bargein.Detector()
    assert runs(detector, [LOUD] * 4 + [QUIET] + [LOUD] * 4) == [False] * 9
    assert detector.loud_frames == 4
    assert detector.feed(LOUD, QUIET) is True


def test_after_a_low_frame_it_triggers_again(bargein):
    detector = bargein.Detector(frames=2)
    assert runs(detector, [LOUD] * 3 + [QUIET] + [LOUD] * 3) == [False, True, False, False, False, True, False]


def test_not_playing_resets_the_count(bargein):
    detector = bargein.Detector(frames=3)
    assert runs(detector, [LOUD] * 2) == [False, False]
    assert detector.feed(LOUD, None) is False
    assert detector.loud_frames == 0
    assert runs(detector, [LOUD] * 3) == [False, False, True]


def test_never_while_nothing_is_playing(bargein):
    detector = bargein.Detector(frames=1)
    assert not any(runs(detector, [LOUD] * 20, playing=None))


def test_not_playing_allows_the_next_trigger(bargein):
    detector = bargein.Detector(frames=1)
    assert detector.feed(LOUD, QUIET) is True
    assert detector.feed(LOUD, QUIET) is False
    assert detector.feed(LOUD, None) is False
    assert detector.feed(LOUD, QUIET) is True


def test_reset_begins_again(bargein):
    detector = bargein.Detector(frames=2)
    detector.feed(LOUD, QUIET)
    detector.reset()
    assert detector.loud_frames == 0
    assert runs(detector, [LOUD] * 2) == [False, True]


@pytest.mark.parametrize("threshold_dbfs", [-50.0, -30.0, -12.0, -3.0])
def test_threshold_is_relative_to_full_scale(bargein, mulaw, threshold_dbfs):
    threshold = 32768 * 10 ** (threshold_dbfs / 20)
    for factor, loud in ((0.9, False), (1.1, True)):
        frame = constant(mulaw, round(threshold * factor))
        detector = bargein.Detector(threshold_dbfs=threshold_dbfs, frames=1)
        assert detector.feed(frame, QUIET) is loud
        assert detector.loud_frames == loud


def test_default_threshold_is_minus_30_dbfs(bargein, mulaw):
    detector = bargein.Detector(frames=1)
    assert detector.feed(constant(mulaw, 940), QUIET) is False
    assert detector.feed(constant(mulaw, 1150), QUIET) is True


def test_level_is_the_rms_of_the_last_frame_playing_or_not(bargein, mulaw):
    detector = bargein.Detector()
    assert detector.level == 0.0
    frame = bytes(range(160))
    for playing in (QUIET, None):
        detector.feed(frame, playing)
        assert math.isclose(detector.level, mulaw.rms(frame), rel_tol=1e-5)
        detector.feed(QUIET, playing)
        assert detector.level == 0.0


def test_an_empty_frame_is_a_low_one(bargein):
    detector = bargein.Detector(frames=2)
    assert runs(detector, [LOUD, b"", LOUD, LOUD]) == [False, False, False, True]


def test_one_frame_is_enough_when_told_so(bargein):
    detector = bargein.Detector(frames=1)
    assert runs(detector, [LOUD, LOUD, QUIET, LOUD]) == [True, False, False, True]
