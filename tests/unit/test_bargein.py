"""fastbridge._bargein: the run of loud frames, the gate, what is a voice. (Whole calls: test_bargein_calls.)"""

import math
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import LOUD, QUIET, tone_complex
from twins import Twin

SOFT = tone_complex(200, -40.0)
"""What the assistant says, where it does not matter."""


def runs(detector, frames: list[bytes], playing: bytes | None = SOFT) -> list[bool]:
    return [detector.feed(frame, playing) for frame in frames]


def listening(bargein, **settings):
    """A detector that has heard a second of a quiet line."""
    detector = bargein.Detector(**settings)
    runs(detector, [QUIET] * 50)
    return detector


def wave(mulaw, of, count: int) -> list[bytes]:
    """Frames of a function from seconds to -1..1."""
    samples = [max(-32000, min(32000, int(32000 * of(n / 8000)))) for n in range(160 * count)]
    return [mulaw.encode(struct.pack("=160h", *samples[at : at + 160])) for at in range(0, len(samples), 160)]


class TestRun:
    def test_five_loud_frames_in_a_row_trigger_once(self, bargein):
        detector = listening(bargein)
        assert runs(detector, [LOUD] * 12) == [False] * 4 + [True] + [False] * 7
        assert detector.loud_frames == 12

    def test_one_low_frame_resets_the_count(self, bargein):
        detector = listening(bargein)
        assert runs(detector, ([LOUD] * 4 + [QUIET]) * 4) == [False] * 20
        assert detector.loud_frames == 0
        assert runs(detector, [LOUD] * 4) == [False] * 4
        assert detector.loud_frames == 4

    @pytest.mark.parametrize("frames", [5, 6, 9, 12])
    def test_is_as_long_as_told(self, bargein, frames):
        detector = listening(bargein, frames=frames)
        assert runs(detector, [LOUD] * (frames + 3)) == [False] * (frames - 1) + [True] + [False] * 3

    @pytest.mark.parametrize("frames", [1, 2, 3])
    def test_a_short_one_waits_until_it_is_a_voice(self, bargein, frames):
        edges = runs(listening(bargein, frames=frames), [LOUD] * 8)
        assert edges.count(True) == 1
        assert frames - 1 <= edges.index(True) < 5

    def test_not_playing_resets_the_count(self, bargein):
        detector = listening(bargein)
        runs(detector, [LOUD] * 4)
        assert detector.feed(LOUD, None) is False
        assert detector.loud_frames == 0
        assert runs(detector, [LOUD] * 5) == [False] * 4 + [True]

    def test_never_while_nothing_is_playing(self, bargein):
        assert not any(runs(listening(bargein, frames=1), [LOUD] * 20, playing=None))

    def test_not_playing_allows_the_next_trigger(self, bargein):
        detector = listening(bargein)
        assert any(runs(detector, [LOUD] * 8))
        detector.feed(LOUD, None)
        assert runs(detector, [LOUD] * 5)[-1] is True

    def test_reset_is_another_call(self, bargein, mulaw):
        detector, fresh = listening(bargein), bargein.Detector()
        runs(detector, [LOUD] * 7 + [QUIET[:70]])
        detector.reset()
        for each in (detector, fresh):
            runs(each, [QUIET] * 3 + [LOUD] * 3)
        assert (detector.features, detector.confidence, detector.loud_frames) == (
            fresh.features,
            fresh.confidence,
            fresh.loud_frames,
        )

    @pytest.mark.parametrize(
        "wrong", [{"frames": 0}, {"min_level_dbfs": math.nan}, {"sensitivity_db": 41.0}, {"sensitivity_db": math.nan}]
    )
    def test_settings_that_cannot_be(self, bargein, wrong):
        with pytest.raises(ValueError, match=r"must be"):
            bargein.Detector(**wrong)


class TestGate:
    @pytest.mark.parametrize("level", [-50.0, -30.0, -12.0])
    def test_nothing_below_the_lowest_level_counts(self, bargein, level):
        for lowest, counted in ((level + 1, 0), (level - 1, 8)):
            detector = listening(bargein, min_level_dbfs=lowest)
            runs(detector, [tone_complex(200, level)] * 8)
            assert detector.loud_frames == counted
            assert (detector.why == "quiet") is (counted == 0)

    @pytest.mark.parametrize("level", [-60.0, -35.0, -12.0])
    def test_level_is_the_rms(self, bargein, level):
        detector = listening(bargein)
        runs(detector, [tone_complex(200, level)] * 3)
        assert math.isclose(detector.level_dbfs, level, abs_tol=0.5)

    def test_silence_and_a_constant_have_the_lowest_level(self, bargein):
        for code in (0xFF, 0x7F, 0x00, 0x80, 0x23):
            detector = bargein.Detector()
            runs(detector, [bytes([code]) * 160] * 3)
            assert detector.level_dbfs == pytest.approx(-90.31, abs=0.01)
            assert detector.why == "quiet"

    def test_the_floor_is_what_one_in_twenty_is_above(self, bargein):
        detector = bargein.Detector()
        soft, louder = tone_complex(200, -50.0), tone_complex(200, -30.0)
        for at in range(112):
            detector.feed(louder if at % 25 == 3 else soft, SOFT)
        assert detector.floor_dbfs == pytest.approx(-50, abs=1.2)
        for at in range(112):
            detector.feed(louder if at % 16 == 3 else soft, SOFT)
        assert detector.floor_dbfs == pytest.approx(-30, abs=1.2)

    def test_it_follows_the_line_in_two_seconds(self, bargein):
        detector = bargein.Detector()
        runs(detector, [LOUD] * 60)
        assert detector.floor_dbfs == pytest.approx(-12, abs=1)
        runs(detector, [QUIET] * 112)
        assert detector.floor_dbfs < -80

    def test_what_is_no_louder_than_the_line_mostly_is_does_not_count(self, bargein):
        detector = bargein.Detector()
        runs(detector, [LOUD] * 60)
        runs(detector, [QUIET, *[tone_complex(200, -20.0)] * 5])
        assert (detector.why, detector.loud_frames) == ("floor", 0)
        assert detector.threshold_dbfs == pytest.approx(detector.floor_dbfs - 3)

    def test_sensitivity_moves_it(self, bargein):
        deaf, keen = (bargein.Detector(sensitivity_db=db) for db in (-6.0, 6.0))
        for detector in (deaf, keen):
            runs(detector, [LOUD] * 3)
        assert keen.confidence - deaf.confidence == pytest.approx(3.6)
        for detector in (deaf, keen):
            runs(detector, [LOUD] * 57)
        assert deaf.threshold_dbfs - keen.threshold_dbfs == pytest.approx(12)


class TestGatedFrames:
    """What most frames of most calls are: they cost little, since nothing is looked for in them."""

    def test_the_combiner_is_not_asked_about_them(self, bargein):
        detector = listening(bargein)
        assert (detector.why, detector.confidence) == ("quiet", -10.0)
        runs(detector, [LOUD] * 60)
        runs(detector, [QUIET, *[tone_complex(200, -20.0)] * 5])
        assert (detector.why, detector.confidence) == ("floor", -10.0)

    @pytest.mark.parametrize(("level", "looked_at"), [(-61.5, False), (-58.5, True)])
    def test_pitch_and_spectrum_are_looked_for_from_60_dbfs_on(self, bargein, level, looked_at):
        detector = listening(bargein)
        runs(detector, [tone_complex(200, level)] * 5)
        voicing, _, gain4 = detector.features[3:6]
        assert ((voicing, gain4) != (-127, -50)) is looked_at

    def test_an_echo_is_expected_again_after_a_long_silence(self, bargein):
        detector = bargein.Detector()
        runs(detector, [QUIET] * 60, playing=None)
        assert detector.echo_dbfs < -90
        runs(detector, [QUIET] * 3, playing=LOUD)
        assert detector.echo_dbfs > -60


class TestVoice:
    def test_why_is_one_of_a_closed_set(self, bargein):
        assert bargein.WHY == ("quiet", "floor", "echo", "tone", "unvoiced", "noise", "voice")

    def test_it_says_why(self, bargein):
        detector = listening(bargein)
        assert detector.why == "quiet"
        runs(detector, [LOUD] * 6)
        assert (detector.why, bargein.WHY[detector.why_code]) == ("voice", "voice")
        assert detector.confidence > 0

    @pytest.mark.parametrize("pair", [(697, 1209), (941, 1477), (350, 440), (1000, 1000), (425, 425)])
    def test_tones_are_none(self, bargein, mulaw, pair):
        def of(t):
            return 0.12 * sum(math.sin(2 * math.pi * f * t) for f in pair)

        detector = listening(bargein)
        assert not any(runs(detector, wave(mulaw, of, 12) + [QUIET] * 10))
        runs(detector, wave(mulaw, of, 6))
        assert detector.why == "tone"

    def test_neither_are_noise_clicks_and_knocks(self, bargein, mulaw):
        rng = random.Random(4)
        noise = wave(mulaw, lambda t: rng.gauss(0, 0.05), 15)
        clicks = wave(mulaw, lambda t: rng.gauss(0, 0.5) * math.exp(-400 * (t % 0.25)), 40)
        knock = wave(mulaw, lambda t: 0.6 * math.sin(2 * math.pi * 180 * t) * math.exp(-25 * t), 15)
        for sound in (noise, clicks, knock):
            detector = listening(bargein)
            assert not any(runs(detector, sound + [QUIET] * 10))

    def test_noise_has_no_pitch(self, bargein, mulaw):
        rng = random.Random(5)
        detector = listening(bargein)
        runs(detector, wave(mulaw, lambda t: rng.gauss(0, 0.05), 6))
        assert detector.why == "unvoiced"


class TestSpeaking:
    def test_begins_with_a_voice_and_outlasts_gaps(self, bargein):
        detector = listening(bargein)
        assert (detector.speaking, detector.voice_ms) == (False, 0)
        runs(detector, [LOUD] * 10, playing=None)
        assert detector.speaking
        assert 120 <= detector.voice_ms <= 200
        before = detector.voice_ms
        runs(detector, [QUIET] * 6 + [LOUD] * 4, playing=None)
        assert detector.speaking
        assert detector.voice_ms == before + 200

    def test_ends_240_ms_after_the_last_of_it(self, bargein):
        detector = listening(bargein)
        runs(detector, [LOUD] * 10)
        runs(detector, [QUIET] * 11)
        assert detector.speaking
        runs(detector, [QUIET])
        assert (detector.speaking, detector.voice_ms) == (False, 0)

    def test_the_quiet_after_it_is_known_until_it_begins_again(self, bargein):
        detector = listening(bargein)
        assert detector.quiet_ms is None
        runs(detector, [LOUD] * 10, playing=None)
        assert detector.quiet_ms == 0
        runs(detector, [QUIET] * 6 + [LOUD], playing=None)
        assert detector.quiet_ms == 0
        runs(detector, [QUIET] * 300)
        assert (detector.speaking, detector.quiet_ms) == (False, 6000)
        runs(detector, [LOUD], playing=None)
        assert (detector.speaking, detector.quiet_ms) == (False, 6020), "a click is no voice"
        runs(detector, [LOUD] * 9, playing=None)
        assert detector.quiet_ms == 0
        detector.reset()
        assert detector.quiet_ms is None

    def test_not_with_a_noise(self, bargein, mulaw):
        rng = random.Random(6)
        detector = listening(bargein)
        for frame in wave(mulaw, lambda t: rng.gauss(0, 0.05), 30):
            detector.feed(frame, None)
            assert not detector.speaking


class TestSizes:
    def test_a_frame_in_any_pieces_is_the_same_frame(self, bargein):
        whole, pieces = bargein.Detector(), bargein.Detector()
        audio = b"".join([QUIET] * 8 + [LOUD] * 12)
        edges = runs(whole, [audio[at : at + 160] for at in range(0, len(audio), 160)])
        rng, at, found = random.Random(2), 0, 0
        while at < len(audio):
            size = rng.choice([0, 1, 7, 80, 159, 161, 400])
            found += pieces.feed(audio[at : at + size], SOFT)
            at += size
        assert found == edges.count(True) == 1
        assert pieces.features == whole.features

    def test_a_second_in_one_piece(self, bargein):
        detector = bargein.Detector()
        assert detector.feed(QUIET * 50, SOFT) is False
        assert detector.feed(LOUD * 50, SOFT) is True
        assert detector.loud_frames == 50

    def test_nothing_is_nothing(self, bargein):
        detector = listening(bargein)
        runs(detector, [LOUD] * 4)
        assert detector.feed(b"", SOFT) is False
        assert detector.loud_frames == 4
        assert detector.feed(LOUD, SOFT) is True

    @pytest.mark.parametrize("playing", [b"", b"\x80", b"\x80\x00" * 79, b"\x80\x00" * 200])
    def test_what_plays_may_be_short_or_long(self, bargein, playing):
        detector = bargein.Detector()
        runs(detector, [LOUD] * 8, playing)
        assert math.isfinite(detector.echo_dbfs)


FRAMES = st.lists(
    st.tuples(
        st.one_of(
            st.binary(max_size=400),
            st.sampled_from([QUIET, LOUD, b"\x00" * 160, b"\x80" * 160, b"\x80\x00" * 80, b"\x7f" * 160, SOFT]),
        ),
        st.one_of(st.none(), st.binary(max_size=200), st.sampled_from([LOUD, SOFT, b"\x80\x00" * 80])),
    ),
    max_size=30,
)


@given(frames=FRAMES, sensitivity=st.sampled_from([-40.0, 0.0, 3.5, 40.0]), echo=st.booleans())
def test_any_bytes_and_both_twins_agree_on_everything(frames, sensitivity, echo):
    twins = [
        Twin(kind).bargein.Detector(frames=2, sensitivity_db=sensitivity, echo=echo) for kind in ("oracle", "compiled")
    ]
    seen = []
    for detector in twins:
        seen.append([])
        for frame, playing in frames:
            edge = detector.feed(frame, playing)
            seen[-1].append((edge, detector.why, detector.loud_frames, detector.speaking, detector.voice_ms,
                             detector.quiet_ms,
                             detector.features, detector.confidence, detector.level_dbfs, detector.floor_dbfs,
                             detector.echo_dbfs, detector.threshold_dbfs))  # fmt: skip
    assert seen[0] == seen[1]
    assert all(math.isfinite(value) for row in seen[1] for value in row[7:])
