import cmath
import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle import dsp as oracle_dsp

ALL_CODES = bytes(range(256))
SILENCE = b"\xff" * 160
RATE_HZ = 8000
BAND_HZ = [300, 301, 350, 440, 500, 697, 1000, 1477, 1777, 2000, 2500, 3000, 3333, 3399, 3400]
audio = st.binary(max_size=500)


def pcm(ulaw: bytes, mulaw) -> tuple[int, ...]:
    return struct.unpack(f"={len(ulaw)}h", mulaw.decode(ulaw))


def from_pcm(samples: list[float], mulaw) -> bytes:
    return mulaw.encode(struct.pack(f"={len(samples)}h", *(round(sample) for sample in samples)))


def tone(mulaw, hertz: float, peak: float, seconds: float = 0.5, offset: float = 0.0) -> bytes:
    turn = 2 * math.pi * hertz / RATE_HZ
    return from_pcm([offset + peak * math.sin(turn * n) for n in range(int(seconds * RATE_HZ))], mulaw)


def amplitude(samples: tuple[int, ...], hertz: float) -> float:
    """Of the tone of that frequency, whatever else there is. In whole periods as nearly as samples allow."""
    turn = 2 * math.pi * hertz / RATE_HZ
    periods = int(len(samples) * hertz / RATE_HZ)
    whole = samples[: round(periods * RATE_HZ / hertz)]
    return abs(sum(sample * cmath.exp(-1j * turn * n) for n, sample in enumerate(whole))) * 2 / len(whole)


def measured_db(dsp, mulaw, hertz: float, peak: float) -> float:
    """Gain through the real path, mu-law to mu-law, behind the first 50 ms."""
    heard = tone(mulaw, hertz, peak)
    made = dsp.HighpassLimiter().process(heard)
    return 20 * math.log10(amplitude(pcm(made, mulaw)[400:], hertz) / amplitude(pcm(heard, mulaw)[400:], hertz))


def linear_db(dsp, hertz: float) -> float:
    """Gain of y[n] = DECAY * y[n-1] + GAIN * (x[n] - x[n-1])."""
    back = cmath.exp(-2j * math.pi * hertz / RATE_HZ)
    return 20 * math.log10(abs(dsp.GAIN * (1 - back) / (1 - dsp.DECAY * back)))


class TestResponse:
    def test_at_120_hz_about_three_decibels_are_gone(self, dsp, mulaw):
        assert linear_db(dsp, 120) == pytest.approx(-2.29, abs=0.01)
        assert -4 <= linear_db(dsp, 120) <= -2
        for peak in (500, 3000, 20_000):
            assert measured_db(dsp, mulaw, 120, peak) == pytest.approx(linear_db(dsp, 120), abs=0.1)

    @pytest.mark.parametrize("hertz", BAND_HZ)
    def test_the_band_of_the_voice_is_flat(self, dsp, mulaw, hertz):
        assert -0.5 <= linear_db(dsp, hertz) <= 0.5
        for peak in (1000, 9000):
            assert -0.5 <= measured_db(dsp, mulaw, hertz, peak) <= 0.5

    @pytest.mark.parametrize("hertz", [50, 100, 150, 300, 1000, 3400])
    def test_the_path_is_the_formula(self, dsp, mulaw, hertz):
        assert measured_db(dsp, mulaw, hertz, 12_000) == pytest.approx(linear_db(dsp, hertz), abs=0.06)

    def test_flat_to_half_a_decibel_relative_to_any_frequency_of_the_band(self, dsp):
        gains = [linear_db(dsp, hertz) for hertz in range(300, 3401, 10)]
        assert max(gains) - min(gains) < 0.5
        assert gains == sorted(gains)

    def test_corner_and_constants(self, dsp):
        assert (dsp.CORNER_HZ, dsp.THRESHOLD, dsp.RATIO) == (100.0, 28000.0, 4.0)
        assert linear_db(dsp, dsp.CORNER_HZ) == pytest.approx(20 * math.log10(math.sqrt(0.5)))
        assert linear_db(dsp, 4000) == pytest.approx(0, abs=1e-9)

    def test_mains_hum_is_damped(self, dsp, mulaw):
        assert measured_db(dsp, mulaw, 50, 8000) < -6.5

    def test_a_constant_offset_goes(self, dsp, mulaw):
        with_offset = tone(mulaw, 1000, 4000, offset=2000)
        made = pcm(dsp.HighpassLimiter().process(with_offset), mulaw)[400:]
        assert abs(sum(made) / len(made)) < 30
        assert amplitude(made, 1000) == pytest.approx(4000, rel=0.02)


class TestSilence:
    def test_silence_stays_silence(self, dsp):
        limiter = dsp.HighpassLimiter()
        for _ in range(5):
            assert limiter.process(SILENCE) == SILENCE

    def test_minus_zero_is_silence_too(self, dsp):
        assert dsp.HighpassLimiter().process(b"\x7f\xff" * 80) == SILENCE

    @pytest.mark.parametrize("code", [0x00, 0x55, 0x80, 0xC3])
    def test_after_a_sound_it_is_silent_again_within_20_ms(self, dsp, code):
        limiter = dsp.HighpassLimiter()
        limiter.process(SILENCE + bytes([code]) * 16)
        limiter.process(SILENCE)
        assert limiter.process(SILENCE) == SILENCE

    @pytest.mark.parametrize("code", ALL_CODES)
    def test_a_line_that_begins_with_any_offset_begins_with_silence(self, dsp, code):
        assert dsp.HighpassLimiter().process(bytes([code]) * 160) == SILENCE

    def test_the_first_sample_does_not_click(self, dsp, mulaw):
        made = pcm(dsp.HighpassLimiter().process(tone(mulaw, 400, 300, offset=8000)), mulaw)
        assert max(map(abs, made)) < 1000

    def test_the_state_is_flushed_before_it_is_denormal(self, dsp):
        limiter = dsp.HighpassLimiter()
        limiter.process(SILENCE + b"\x00" * 4)
        assert limiter.last_output != 0
        limiter.process(SILENCE)
        assert limiter.last_output != 0
        for _ in range(3):
            limiter.process(SILENCE)
        assert (limiter.last_input, limiter.last_output) == (0, 0)

    def test_the_quietest_sounds_are_kept(self, dsp):
        quiet = SILENCE + b"\xfe\x7e" * 80  # +8, -8
        assert dsp.HighpassLimiter().process(quiet) == quiet


class TestLimiter:
    @pytest.mark.parametrize(
        ("sample", "limited"),
        [(0, 0), (8, 8), (27_999.5, 27_999.5), (28_000, 28_000), (28_004, 28_001), (32_124, 29_031), (32_768, 29_192)],
    )
    def test_the_curve(self, dsp, sample, limited):
        assert dsp.limit(sample) == limited
        assert dsp.limit(-sample) == -limited

    def test_never_above_the_largest_sample_of_g711(self, dsp):
        assert dsp.limit(44_496) == 32_124
        assert dsp.limit(65_000) == 32_124
        assert dsp.limit(-65_000) == -32_124

    def test_it_is_continuous_and_rises(self, dsp):
        curve = [dsp.limit(sample) for sample in range(27_000, 34_000)]
        steps = [after - before for before, after in pairwise(curve)]
        assert set(steps[:1000]) == {1.0}
        assert set(steps[1000:]) == {0.25}

    def test_in_the_path_loud_peaks_are_rounded_off(self, dsp, mulaw):
        made = pcm(dsp.HighpassLimiter().process(tone(mulaw, 1000, 32_124)), mulaw)[400:]
        assert max(made) == 29_052  # the code nearest to 29031
        assert min(made) == -29_052
        below = tone(mulaw, 2000, 25_000)
        assert max(pcm(dsp.HighpassLimiter().process(below), mulaw)[400:]) == max(pcm(below, mulaw))

    def test_in_the_path_an_overshoot_of_the_high_pass_ends_at_the_largest_sample(self, dsp, mulaw):
        square = (b"\x80" * 200 + b"\x00" * 200) * 3
        made = pcm(dsp.HighpassLimiter().process(square), mulaw)
        assert (min(made), max(made)) == (-32_124, 32_124)


class TestFrames:
    @pytest.mark.parametrize("count", [0, 1, 2, 159, 160, 161, 320, 8000])
    def test_as_many_codes_out_as_in(self, dsp, count):
        assert len(dsp.HighpassLimiter().process(ALL_CODES * 40)[:count]) == count
        assert len(dsp.HighpassLimiter().process((ALL_CODES * 40)[:count])) == count

    @given(audio, st.lists(st.integers(0, 500), max_size=6))
    def test_however_it_is_cut_the_same_comes_out(self, dsp, ulaw, cuts):
        whole = dsp.HighpassLimiter()
        expected = whole.process(ulaw)
        limiter, places = dsp.HighpassLimiter(), [0, *sorted(cuts), len(ulaw)]
        pieces = [limiter.process(ulaw[a:b]) for a, b in pairwise(places)]
        assert b"".join(pieces) == expected
        assert (limiter.last_input, limiter.last_output) == (whole.last_input, whole.last_output)

    @given(audio)
    def test_both_twins_say_the_same_of_any_audio(self, dsp, ulaw):
        limiter, oracle = dsp.HighpassLimiter(), oracle_dsp.HighpassLimiter()
        assert limiter.process(ulaw) == oracle.process(ulaw)
        assert limiter.last_output == pytest.approx(oracle.last_output, abs=1e-6)
        assert limiter.failures == 0

    def test_all_codes_in_all_neighbourhoods(self, dsp):
        codes = bytes(code for a in range(0, 256, 5) for code in ALL_CODES for code in (a, code))
        assert dsp.HighpassLimiter().process(codes) == oracle_dsp.HighpassLimiter().process(codes)

    @given(audio, audio)
    def test_calls_do_not_hear_each_other(self, dsp, ulaw, other):
        alone = dsp.HighpassLimiter().process(ulaw)
        one, two = dsp.HighpassLimiter(), dsp.HighpassLimiter()
        two.process(other)
        half = len(ulaw) // 2
        made = one.process(ulaw[:half])
        two.process(other)
        assert made + one.process(ulaw[half:]) == alone

    def test_every_code_is_the_nearest_there_is(self, dsp, mulaw):
        limiter, values = dsp.HighpassLimiter(), set(pcm(ALL_CODES, mulaw))
        audio = tone(mulaw, 310, 30_000, 0.02) + tone(mulaw, 310, 100, 0.02) + tone(mulaw, 3300, 32_000, 0.02)
        for code in audio:
            (made,) = pcm(limiter.process(bytes([code])), mulaw)
            wanted = dsp.limit(limiter.last_output)
            assert abs(made - wanted) == min(abs(value - wanted) for value in values)

    def test_the_input_is_left_as_it_was(self, dsp):
        ulaw = bytes(ALL_CODES)
        dsp.HighpassLimiter().process(ulaw)
        assert ulaw == bytes(range(256))


class TestFailsafe:
    @pytest.mark.parametrize("field", ["last_input", "last_output"])
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300, -70_000.0])
    def test_with_an_impossible_state_the_audio_passes_unchanged(self, dsp, field, value):
        limiter = dsp.HighpassLimiter()
        limiter.process(ALL_CODES)
        setattr(limiter, field, value)
        assert limiter.process(ALL_CODES) == ALL_CODES
        assert limiter.failures == 1
        assert limiter.process(ALL_CODES) == dsp.HighpassLimiter().process(ALL_CODES)
        assert limiter.failures == 1

    def test_the_loudest_audio_there_is_does_not_look_impossible(self, dsp):
        limiter = dsp.HighpassLimiter()
        for code in (0x80, 0x00, 0x80):
            limiter.process(bytes([code]))  # the step, on its own
            assert abs(limiter.last_output) < 65_536
            limiter.process(bytes([code]) * 400)
        limiter.process(b"\x00")
        assert limiter.last_output < -61_000
        limiter.process(SILENCE)
        assert limiter.failures == 0

    def test_nothing_to_do_is_no_failure(self, dsp):
        limiter = dsp.HighpassLimiter()
        limiter.last_output = math.nan
        assert limiter.process(b"") == b""
        assert limiter.failures == 0

    @pytest.mark.parametrize("wrong", [None, "text", 1])
    def test_what_is_no_audio_is_a_type_error(self, dsp, wrong):
        with pytest.raises(TypeError):
            dsp.HighpassLimiter().process(wrong)
