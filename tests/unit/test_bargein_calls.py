"""fastbridge._bargein in calls: turns, echo, and voices that were recorded. The shipped lines are the voices."""

import random

import pytest

from fastbridge._bargein import Detector
from fastbridge.sim.audio import from_ulaw, speech, to_frames, to_ulaw
from helpers import LOUD, QUIET, tone_complex

HISS = random.Random(9).randbytes(160)
"""As loud as can be, and no voice."""
BREATHY = "caller_appointment"
HEARD_AT_ONCE = ["caller_interrupts", "caller_accepts"]
CALLER = [*HEARD_AT_ONCE, BREATHY]
KNOWN_MISS = pytest.mark.xfail(strict=True, reason="a voice that begins with breath: docs/barge-in.md, Where it fails")
ASSISTANT = ["assistant_greeting", "assistant_times", "assistant_goodbye", "assistant_morning"]


def line_noise(count: int, seed: int = 1) -> list[bytes]:
    """What a telephone's idle line sounds like: the smallest codes there are."""
    rng = random.Random(seed)
    return [bytes(rng.choices(b"\xff\x7f\xfe\x7e", k=160)) for _ in range(count)]


def scaled(frames: list[bytes], db: float) -> list[bytes]:
    audio = to_ulaw(from_ulaw(b"".join(frames)) * 10 ** (db / 20))
    return [audio[at : at + 160] for at in range(0, len(audio), 160)]


def mixed(a: list[bytes], b: list[bytes]) -> list[bytes]:
    return [to_ulaw(from_ulaw(one) + from_ulaw(other)) for one, other in zip(a, b, strict=True)]


def voice(name: str) -> list[bytes]:
    """A spoken line from where it is loud."""
    frames = to_frames(speech(name))
    detector = Detector()
    for at, frame in enumerate(frames):
        detector.feed(frame, None)
        if detector.level_dbfs > -35:
            return frames[at:]
    raise AssertionError(name)


def hear(detector: Detector, caller: list[bytes], playing: list[bytes] | None) -> list[int]:
    """Frames of the edges."""
    return [at for at, frame in enumerate(caller) if detector.feed(frame, playing[at] if playing else None)]


def assistant(count: int) -> list[bytes]:
    frames = [frame for name in ASSISTANT for frame in to_frames(speech(name))]
    return (frames * (count // len(frames) + 1))[:count]


@pytest.mark.parametrize("name", CALLER)
@pytest.mark.parametrize("db", [-14.0, 0.0, 6.0])
def test_recorded_callers_are_heard(name, db):
    said = scaled(voice(name), db)[:40]
    detector = Detector()
    hear(detector, line_noise(100), None)
    playing = assistant(150 + len(said))
    assert hear(detector, line_noise(150), playing[:150]) == []
    edges = hear(detector, said, playing[150:])
    assert edges
    assert 4 <= edges[0] <= 15


@pytest.mark.parametrize("loss_db", [60.0, 12.0])
@pytest.mark.parametrize("name", CALLER)
def test_one_frame_of_voice_is_chance(name, loss_db):
    """Two in a row are an edge at the earliest, three near the expected echo."""
    edges = 0
    for db in range(-30, 8, 2):
        detector, voices = Detector(), 0
        hear(detector, line_noise(60), None)
        playing = assistant(260)
        echo = [QUIET] * 7 + scaled(playing, -loss_db)
        line = mixed(line_noise(220) + scaled(voice(name), db)[:40], echo[:260])
        for frame, heard in zip(line, playing, strict=True):
            edge = detector.feed(frame, heard)
            voices = voices + 1 if detector.why == "voice" else 0
            if edge:
                edges += 1
                assert voices >= (3 if detector.level_dbfs < detector.echo_dbfs + 8.0 else 2)
    assert edges


@pytest.mark.parametrize("name", [*HEARD_AT_ONCE, pytest.param(BREATHY, marks=KNOWN_MISS)])
def test_his_own_turn_does_not_deafen_us_to_him(name):
    """He speaks, waits 800 ms, the assistant speaks, and he interrupts it as loudly as he spoke before."""
    said = voice(name)
    untroubled, after_turn = Detector(), Detector()
    hear(after_turn, line_noise(50) + said + line_noise(40), None)
    hear(untroubled, line_noise(50), None)
    assert after_turn.floor_dbfs < -60
    edges = []
    for detector in (untroubled, after_turn):
        playing = assistant(15 + len(said))
        assert hear(detector, line_noise(15, seed=2), playing[:15]) == []
        edges.append(hear(detector, said, playing[15:])[0])
    assert edges[1] <= edges[0] + 5


def test_he_can_interrupt_ten_times():
    """Each time the assistant stops 100 ms after the edge; he finishes, waits, and it begins again."""
    detector = Detector()
    hear(detector, line_noise(50), None)
    for turn in range(12):
        said = voice(CALLER[turn % len(CALLER)])[:60]
        playing = assistant(40 + len(said))
        assert hear(detector, line_noise(40, seed=turn), playing[:40]) == []
        edges = hear(detector, said[:20], playing[40:60])
        assert edges, f"turn {turn}"
        assert edges[0] <= 15
        hear(detector, said[20:] + line_noise(30, seed=turn), None)


@pytest.mark.parametrize("lead", [15, 60, 200])
@pytest.mark.parametrize("pitch_hz", [150, 200])
def test_a_steady_voice_is_heard_at_its_fifth_frame_however_often_it_comes(lead, pitch_hz):
    """As test sets have it: harmonics at -12 dBFS, 300 ms long, every few seconds, over a loud assistant."""
    detector, rng = Detector(), random.Random(3)
    playing = [bytes(rng.choice((0x00, 0x80)) | rng.randrange(0x20, 0x50) for _ in range(160)) for _ in range(220)]
    burst = [tone_complex(pitch_hz, -12.0)] * 15
    hear(detector, line_noise(60), None)
    for time in range(12):
        assert hear(detector, line_noise(lead, seed=time), playing[:lead]) == []
        assert hear(detector, burst[:5], playing[lead : lead + 5]) == [4], f"time {time}"
        assert hear(detector, burst[5:] + line_noise(80, seed=time), None) == []


def test_a_steady_voice_in_his_turn_is_no_floor():
    detector = Detector()
    hear(detector, line_noise(50) + [LOUD] * 150 + line_noise(40), None)
    assert detector.floor_dbfs < -50
    playing = assistant(30)
    assert hear(detector, line_noise(15), playing[:15]) == []
    assert hear(detector, [LOUD] * 15, playing[15:]) == [4]


class TestEcho:
    @pytest.mark.parametrize("loss_db", [40.0, 30.0, 20.0])
    @pytest.mark.parametrize("delay", [3, 7, 12])
    def test_the_assistant_is_not_the_caller(self, loss_db, delay):
        playing = assistant(900)
        echo = [QUIET] * delay + scaled(playing, -loss_db)
        detector = Detector()
        hear(detector, line_noise(50), None)
        assert hear(detector, mixed(line_noise(900), echo[:900]), playing) == []

    def test_without_the_comparison_it_is(self):
        playing = assistant(900)
        echo = ([QUIET] * 7 + scaled(playing, -10.0))[:900]
        edges = []
        for compared in (True, False):
            detector = Detector(echo=compared)
            hear(detector, line_noise(50), None)
            edges.append(len(hear(detector, mixed(line_noise(900), echo), playing)))
        assert edges[0] == 0
        assert edges[1] > 0

    def test_what_is_expected_follows_the_delay_and_the_loss(self):
        playing = assistant(900)
        echo = ([QUIET] * 9 + scaled(playing, -25.0))[:900]
        detector = Detector()
        errors = []
        for at, (frame, heard) in enumerate(zip(echo, playing, strict=True)):
            detector.feed(frame, heard)
            if at > 300 and detector.level_dbfs > -50:
                errors.append(abs(detector.echo_dbfs - detector.level_dbfs))
        assert sorted(errors)[len(errors) // 2] < 4

    def test_he_is_heard_over_his_own_echo(self):
        playing = assistant(340)
        echo = ([QUIET] * 7 + scaled(playing, -22.0))[:340]
        said = voice("caller_interrupts")[:40]
        detector = Detector()
        hear(detector, line_noise(50), None)
        assert hear(detector, echo[:300], playing[:300]) == []
        assert hear(detector, mixed(said, echo[300:]), playing[300:])[0] <= 15

    def test_a_caller_teaches_it_nothing(self):
        detector = Detector()
        playing = assistant(400)
        hear(detector, line_noise(200), playing[:200])
        hear(detector, [LOUD] * 15, playing[200:215])
        hear(detector, line_noise(30), playing[215:245])
        expected = []
        for at in range(245, 400):
            detector.feed(QUIET, playing[at])
            expected.append(detector.echo_dbfs)
        assert max(expected) < -45


class TestKnown:
    def test_what_others_know_is_a_voice_is_no_floor(self):
        told, untold = Detector(), Detector()
        playing = assistant(140)
        for detector in (told, untold):
            hear(detector, line_noise(100), playing[:100])
            for at in range(100, 120):
                detector.feed(HISS, playing[at])
                if detector is told and at == 104:
                    detector.expect_voice()
            hear(detector, line_noise(15), playing[120:135])
        assert told.floor_dbfs < untold.floor_dbfs

    def test_a_false_alarm_is_learnt_all_the_same(self):
        """Music or a neighbour that sounds like a caller, on and on: soon it is the line's floor."""
        detector = Detector()
        playing = assistant(500)
        hear(detector, line_noise(60), playing[:60])
        edges = hear(detector, [LOUD] * 200, playing[60:260])
        assert edges == [4]
        assert detector.floor_dbfs > -14
        assert hear(detector, ([QUIET] + [LOUD] * 11) * 8, playing[260:356]) == []
