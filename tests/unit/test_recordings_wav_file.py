"""fastbridge.recordings.wav_file: a file that any player reads, whatever became of whoever wrote it."""

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastbridge.recordings.wav_file import HEADER_BYTES, WavFile, header, mend, safe_name

AUDIO = bytes(range(256)) * 20


def read(path: Path) -> dict[str, Any]:
    """A WAV file by the rules of RIFF: its chunks, and what they say."""
    data = path.read_bytes()
    riff, size, wave = struct.unpack_from("<4sI4s", data)
    assert (riff, wave) == (b"RIFF", b"WAVE")
    chunks, at = {}, 12
    while at < len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        chunks[name.decode()] = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    tag, channels, rate, byte_rate, align, bits, extra = struct.unpack("<HHIIHHH", chunks["fmt "])
    assert (byte_rate, align, bits, extra) == (16_000, 2, 8, 0)
    (samples,) = struct.unpack("<I", chunks["fact"])
    return {
        "size": size, "whole": len(data), "form": (tag, channels, rate), "samples": samples, "audio": chunks["data"],
    }  # fmt: skip


def test_a_finished_one_is_stereo_mulaw_with_its_sizes(tmp_path):
    file = WavFile(tmp_path / "new" / "folder", "CA1_MZ1")
    file.append(AUDIO[:1000])
    file.append(AUDIO[1000:])
    path = file.finish()
    assert path == tmp_path / "new" / "folder" / "CA1_MZ1.wav"
    assert read(path) == {
        "size": HEADER_BYTES - 8 + len(AUDIO), "whole": HEADER_BYTES + len(AUDIO), "form": (7, 2, 8000),
        "samples": len(AUDIO) // 2, "audio": AUDIO,
    }  # fmt: skip
    assert [path.name for path in path.parent.iterdir()] == ["CA1_MZ1.wav"]


def test_only_its_owner_reads_it(tmp_path):
    file = WavFile(tmp_path / "folder", "CA1")
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700
    assert file.finish().stat().st_mode & 0o777 == 0o600


def test_one_that_grows_can_be_played_to_its_end(tmp_path):
    file = WavFile(tmp_path, "CA1")
    file.append(AUDIO)
    assert file.path.name == "CA1.wav.part"
    found = read(file.path)
    assert (found["size"], found["samples"]) == (0xFFFF_FFFF, 0xFFFF_FFFF)
    assert found["audio"] == AUDIO
    file.finish()


def test_none_is_written_over(tmp_path):
    names = []
    for number in range(3):
        file = WavFile(tmp_path, "CA1")
        file.append(bytes([number, number]))
        names.append(file.finish().name)
    assert names == ["CA1.wav", "CA1_2.wav", "CA1_3.wav"]
    assert read(tmp_path / "CA1.wav")["audio"] == b"\x00\x00"


def test_one_that_is_being_written_is_nobody_elses(tmp_path):
    file = WavFile(tmp_path, "CA1")
    with pytest.raises(FileExistsError):
        WavFile(tmp_path, "CA1")
    assert list(mend(tmp_path)) == []
    file.append(AUDIO)
    assert read(file.finish())["audio"] == AUDIO


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").touch()
    (tmp_path / "CA1.wav.part").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="File exists"):
        WavFile(tmp_path, "CA1")
    assert list(mend(tmp_path)) == []
    assert (tmp_path / "elsewhere").read_bytes() == b""


@pytest.mark.parametrize("away", [shutil.rmtree, lambda folder: folder.rename(folder.with_name("moved"))])
def test_one_whose_folder_is_taken_away_cannot_be_written(tmp_path, away):
    file = WavFile(tmp_path / "recordings", "CA1")
    file.append(b"ab")
    away(tmp_path / "recordings")
    with pytest.raises(FileNotFoundError, match="No such file"):
        file.append(b"cd")
    with pytest.raises(FileNotFoundError):
        file.finish()


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        WavFile(tmp_path / "file", "CA1")


def test_a_disk_that_is_full_at_its_header_leaves_nothing(tmp_path, monkeypatch):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        WavFile(tmp_path, "CA1")
    assert list(tmp_path.iterdir()) == []


def test_what_the_system_takes_in_pieces_is_written_whole(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    file = WavFile(tmp_path, "CA1")
    file.append(AUDIO[:100])
    assert read(file.finish())["audio"] == AUDIO[:100]


class TestMending:
    def test_whose_owner_was_killed_is_finished(self, tmp_path):
        script = (
            "import os, sys; from pathlib import Path; from fastbridge.recordings.wav_file import WavFile\n"
            "file = WavFile(Path(sys.argv[1]), 'CA1'); file.append(bytes(range(101))); os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
        (tmp_path / "other.txt").touch()
        assert list(mend(tmp_path)) == [tmp_path / "CA1.wav"]
        assert read(tmp_path / "CA1.wav")["audio"] == bytes(range(100))  # half a sample is none
        assert sorted(path.name for path in tmp_path.iterdir()) == ["CA1.wav", "other.txt"]
        assert list(mend(tmp_path)) == []

    def test_one_that_is_just_being_made_is_not_taken_away(self, tmp_path, monkeypatch):
        """Another process starts, and mends, between the making of a file and its lock."""
        flock, mended = fcntl.flock, []

        def late(file: int, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", flock)
            mended.extend(mend(tmp_path))
            flock(file, how)

        monkeypatch.setattr(fcntl, "flock", late)
        file = WavFile(tmp_path, "CA1")
        file.append(AUDIO)
        assert read(file.finish())["audio"] == AUDIO
        assert (mended, [path.name for path in tmp_path.iterdir()]) == ([], ["CA1.wav"])

    def test_one_that_was_finished_meanwhile_is_not_the_next_of_its_name(self, tmp_path, monkeypatch):
        """Its file was opened by who mends, then finished, and another one of the same name begun."""
        first, begun = WavFile(tmp_path, "CA1"), []
        first.append(AUDIO)
        flock = fcntl.flock

        def late(file: int, how: int) -> None:
            monkeypatch.setattr(fcntl, "flock", flock)
            first.finish()
            begun.append(WavFile(tmp_path, "CA1"))
            flock(file, how)

        monkeypatch.setattr(fcntl, "flock", late)
        assert list(mend(tmp_path)) == []
        begun[0].append(AUDIO[:10])
        assert read(begun[0].finish())["audio"] == AUDIO[:10]

    def test_one_that_cannot_be_locked_leaves_nothing(self, tmp_path, monkeypatch):
        def none(file: int, how: int) -> None:
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", none)
        with pytest.raises(OSError, match="No locks"):
            WavFile(tmp_path, "CA1")
        assert list(tmp_path.iterdir()) == []

    def test_one_that_is_shorter_than_its_header_has_no_audio(self, tmp_path):
        (tmp_path / "CA1.wav.part").write_bytes(b"RIFF")
        (path,) = mend(tmp_path)
        assert read(path)["audio"] == b""

    def test_a_folder_that_is_not_there(self, tmp_path):
        assert list(mend(tmp_path / "none")) == []


def test_a_size_beyond_four_gigabytes_is_to_the_end():
    assert header(0xFFFF_FFFF) == header(None)
    assert len(header(0)) == HEADER_BYTES


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("CA12", "MZ34"), "CA12_MZ34"),
        (("../../etc/passwd", "x"), "etcpasswd_x"),
        (("", ""), "call"),
        (("a\x00b/c\\d.", ""), "abcd"),
        (("A" * 300,), "A" * 80),
    ],
)
def test_a_name_leads_nowhere_else(parts, name):
    assert safe_name(*parts) == name
