import pytest

from fastbridge.sim.live_ear import STARVED_MS, Ear, Heard
from fastbridge.sim.scenario import babble
from live_client import PCMU

SPEECH = babble("When are you open?")
SILENCE = b"\xff"
FRAME = 160


def hear(ear: Ear, audio: bytes, clock_ms: float, *, dropped: bool = False) -> list[Heard]:
    edges: list[Heard] = []
    for at in range(0, len(audio), FRAME):
        clock_ms += 20
        edges += ear.hear(audio[at : at + FRAME], clock_ms, dropped=dropped)
    return edges


def test_a_turn_has_its_place_on_the_clock() -> None:
    ear = Ear(PCMU, 500)
    edges = hear(ear, SILENCE * 1600 + SPEECH + SILENCE * 8000, 1000.0)
    assert [edge.kind for edge in edges] == ["started", "stopped"]
    assert edges[0].at_ms == pytest.approx(1200, abs=60)
    assert edges[1].at_ms == pytest.approx(1200 + len(SPEECH) / 8 + 500, abs=60)
    assert not ear.speaking


@pytest.mark.parametrize("muted", [True, False])
def test_who_is_muted_or_dropped_is_not_heard_and_yet_kept(muted: bool) -> None:
    ear = Ear(PCMU, 500)
    ear.muted = muted
    assert hear(ear, SPEECH, 0.0, dropped=not muted) == []
    assert bytes(ear.audio) == SPEECH


def test_audio_that_does_not_come_is_silence() -> None:
    ear = Ear(PCMU, 500)
    hear(ear, SPEECH, 0.0)
    spoken_ms = len(SPEECH) / 8
    assert ear.pass_time(spoken_ms + STARVED_MS) == []
    (edge,) = ear.pass_time(spoken_ms + STARVED_MS + 600)
    assert edge.kind == "stopped"
    assert ear.starved_ms == pytest.approx(600)


def test_audio_in_time_is_nothing_to_make_up_for() -> None:
    ear = Ear(PCMU, 500)
    for frame in range(100):
        ear.hear(SILENCE * FRAME, frame * 20.0)
        ear.pass_time(frame * 20.0)
    assert ear.starved_ms == 0
    assert ear.heard_ms == 2000


@pytest.mark.parametrize(("rate", "factor"), [(16_000, 2), (24_000, 3)])
def test_pcm_is_heard_as_what_it_is(rate: int, factor: int) -> None:
    ear = Ear({"type": "audio/pcm", "rate": rate}, 500)
    ear.hear(b"\x00\x00" * FRAME * factor, 20.0)
    assert ear.heard_ms == 20
