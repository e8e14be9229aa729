import pytest

from fastbridge import _mulaw
from fastbridge.sim.scenario import babble
from fastbridge.sim.vad import Edge, ServerVad, threshold_rms

SPEECH = babble("This is the caller speaking to you.")[: 1000 * 8]
QUIET = b"\xff"


def silence(ms: int) -> bytes:
    return QUIET * (ms * 8)


def level(rms: float, ms: int) -> bytes:
    """A square wave of this RMS."""
    amplitude = round(rms).to_bytes(2, "little", signed=True)
    return _mulaw.encode((amplitude + round(-rms).to_bytes(2, "little", signed=True)) * (ms * 4))


def test_edges_stand_in_audio_time_with_prefix_and_silence_included() -> None:
    vad = ServerVad(prefix_padding_ms=300, silence_duration_ms=500)
    assert vad.feed(silence(1000) + SPEECH + silence(1000)) == [Edge("started", 700), Edge("stopped", 2500)]


@pytest.mark.parametrize("size", [1, 7, 160, 333, 4000])
def test_chunk_sizes_change_nothing(size: int) -> None:
    audio = silence(400) + SPEECH + silence(700) + SPEECH + silence(700)
    whole = ServerVad().feed(audio)
    vad = ServerVad()
    parts = [edge for at in range(0, len(audio), size) for edge in vad.feed(audio[at : at + size])]
    assert parts == whole
    assert [edge.kind for edge in whole] == ["started", "stopped", "started", "stopped"]


def test_the_prefix_never_reaches_back_over_the_turn_before() -> None:
    edges = ServerVad(prefix_padding_ms=5000, silence_duration_ms=200).feed(SPEECH + silence(240) + SPEECH)
    assert edges == [Edge("started", 0), Edge("stopped", 1200), Edge("started", 1200)]


def test_a_pause_shorter_than_the_silence_does_not_end_the_turn() -> None:
    edges = ServerVad(silence_duration_ms=500).feed(SPEECH + silence(480) + SPEECH)
    assert [edge.kind for edge in edges] == ["started"]


def test_two_loud_windows_are_a_click_three_are_speech() -> None:
    assert ServerVad().feed(SPEECH[: 40 * 8] + silence(200)) == []
    assert ServerVad().feed(SPEECH[: 60 * 8] + silence(200)) == [Edge("started", 0)]


def test_silence_duration_need_not_be_whole_windows() -> None:
    edges = ServerVad(silence_duration_ms=210).feed(SPEECH + silence(240))
    assert edges[-1] == Edge("stopped", 1210)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_the_threshold_is_a_level(threshold: float) -> None:
    rms = threshold_rms(threshold)
    assert ServerVad(threshold=threshold).feed(level(rms * 1.1, 200))
    assert not ServerVad(threshold=threshold).feed(level(rms * 0.9, 200))


def test_reset_forgets_the_speech_under_way_and_claims_nothing_before_it() -> None:
    vad = ServerVad(prefix_padding_ms=300)
    vad.feed(SPEECH)
    vad.reset()
    assert not vad.speaking
    assert vad.feed(silence(2000)) == []
    vad.reset()
    assert vad.feed(SPEECH) == [Edge("started", 3000)]


def test_start_ms_is_the_time_of_the_first_byte() -> None:
    assert ServerVad(start_ms=10_000).feed(SPEECH) == [Edge("started", 10_000)]
