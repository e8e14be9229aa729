import pytest

from fastbridge.sim import audio_format
from fastbridge.sim.audio_format import Decoder

PCM = {"type": "audio/pcm", "rate": 24_000}
PCMU = {"type": "audio/pcmu"}
ULAW = bytes(code for code in range(256) if code != 0x7F)  # 0x7F is the other zero: it comes back as 0xFF


def test_mulaw_passes_through_untouched() -> None:
    assert audio_format.encode(ULAW, PCMU) == ULAW
    assert Decoder(PCMU).feed(ULAW) == ULAW


def test_pcm_is_six_bytes_for_one_and_comes_back_exactly() -> None:
    pcm = audio_format.encode(ULAW, PCM)
    assert len(pcm) == 6 * len(ULAW)
    assert Decoder(PCM).feed(pcm) == ULAW


@pytest.mark.parametrize("size", [1, 5, 7, 100])
def test_a_split_sample_waits_for_its_rest(size: int) -> None:
    pcm = audio_format.encode(ULAW, PCM)
    decoder = Decoder(PCM)
    assert b"".join(decoder.feed(pcm[at : at + size]) for at in range(0, len(pcm), size)) == ULAW


def test_nothing_is_nothing() -> None:
    assert audio_format.encode(b"", PCM) == b""
    assert Decoder(PCM).feed(b"") == b""
