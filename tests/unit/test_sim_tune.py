"""What `fastbridge tune` says of a recording and draws of it."""

import sys

import pytest
from PIL import Image

from fastbridge.errors import ConfigError
from fastbridge.sim import tune
from fastbridge.sim.audio import speech, write_wav_stereo
from helpers import LOUD, QUIET

SETTINGS = {"frames": 5, "min_level_dbfs": -54.0, "sensitivity_db": 0.0, "echo": True}
ASSISTANT = speech("assistant_times")


@pytest.fixture
def stereo(tmp_path):
    """The assistant speaks from the first second on, the caller interrupts after three."""
    path = tmp_path / "call.wav"
    write_wav_stereo(path, QUIET * 150 + LOUD * 15 + QUIET * 35, QUIET * 50 + ASSISTANT[: 160 * 150])
    return path


def mono(path, audio: bytes):
    """One channel, 8 kHz mu-law."""
    head = b"RIFF" + (36 + len(audio)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    form = b"\x07\x00\x01\x00" + (8000).to_bytes(4, "little") * 2 + b"\x01\x00\x08\x00"
    path.write_bytes(head + form + b"data" + len(audio).to_bytes(4, "little") + audio)
    return path


def test_the_edge_is_found_and_explained(stereo, capsys):
    tune.run(stereo, None, None, **SETTINGS)
    first, edge, playing, rest = capsys.readouterr().out.splitlines()
    assert first.startswith("4.00 s of the caller, ")
    assert first.endswith(" 1 edge")
    assert edge.startswith("edge at 3.10 s: level -1")
    assert ", confidence +" in edge
    assert playing.startswith("frames while playing: quiet ")
    assert rest.startswith("frames else: quiet ")


def test_every_frame_has_its_reason(stereo):
    moments = tune.examine(*tune.sides(stereo, None), **SETTINGS)
    assert len(moments) == 200
    assert [at for at, moment in enumerate(moments) if moment.edge] == [154]
    assert moments[154].why == "voice"
    assert moments[154].threshold < moments[154].level
    assert [moments[at].playing for at in (10, 100)] == [False, True]
    counted = [line.partition(": ")[2].split(", ") for line in tune.report(moments)[-2:]]
    assert sum(int(count.split()[1]) for counts in counted for count in counts) == 200


def test_settings_are_those_of_the_detector(stereo):
    deaf = tune.examine(*tune.sides(stereo, None), **{**SETTINGS, "min_level_dbfs": -6.0})
    assert not any(moment.edge for moment in deaf)
    assert {moment.why for moment in deaf} == {"quiet"}


def test_two_files_are_as_good_as_two_channels(tmp_path, stereo):
    caller = mono(tmp_path / "caller.wav", QUIET * 150 + LOUD * 15 + QUIET * 35)
    assistant = mono(tmp_path / "assistant.wav", QUIET * 50 + ASSISTANT[: 160 * 150])
    apart = tune.examine(*tune.sides(caller, assistant), **SETTINGS)
    assert [m.edge for m in apart] == [m.edge for m in tune.examine(*tune.sides(stereo, None), **SETTINGS)]


def test_alone_the_caller_may_interrupt_at_any_time(tmp_path):
    caller = mono(tmp_path / "caller.wav", QUIET * 50 + LOUD * 10)
    moments = tune.examine(*tune.sides(caller, None), **SETTINGS)
    assert all(moment.playing for moment in moments)
    assert [at for at, moment in enumerate(moments) if moment.edge] == [54]
    assert tune.report(moments)[-1] == "frames else: " + ", ".join(f"{why} 0" for why in tune.WHY)


def test_the_assistant_plays_through_its_pauses():
    heard = [QUIET] * 10 + [LOUD] * 10 + [QUIET] * 15 + [LOUD] + [QUIET] * 60
    playing = tune.plays(heard)
    assert playing.index(True) == 10
    assert all(playing[10:60])
    assert not any(playing[61:])


def test_the_picture_is_drawn(stereo, tmp_path, capsys):
    out = tmp_path / "tune.png"
    tune.run(stereo, None, out, **SETTINGS)
    assert capsys.readouterr().out.splitlines()[-1] == f"drawn in {out}"
    with Image.open(out) as image:
        assert image.width > 900
        colours = {colour for _, colour in image.convert("RGB").getcolors(1 << 24)}
    for name in (tune.ALARM, tune.INK, tune.COLOURS["voice"]):
        assert tuple(bytes.fromhex(name[1:])) in colours


def test_a_recording_without_an_edge_is_drawn_too(tmp_path):
    out = tmp_path / "quiet.png"
    tune.draw(tune.examine(QUIET * 5, None, **SETTINGS), out, title="quiet")
    assert out.stat().st_size > 1000


def test_without_matplotlib_one_sentence(stereo, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"Drawing the picture needs matplotlib: pip install 'fastbridge\[demo\]'\."):
        tune.run(stereo, None, tmp_path / "t.png", **SETTINGS)
    tune.run(stereo, None, None, **SETTINGS)


def test_a_picture_that_cannot_be_written_is_one_sentence(stereo, tmp_path):
    with pytest.raises(ConfigError, match="Cannot write"):
        tune.run(stereo, None, tmp_path / "missing" / "t.png", **SETTINGS)


def test_more_than_two_channels_are_refused(tmp_path):
    path = mono(tmp_path / "three.wav", QUIET * 3)
    content = bytearray(path.read_bytes())
    content[22:24] = b"\x03\x00"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="has 3 channels"):
        tune.sides(path, None)
