"""fastbridge.recordings.local: no call waits for its recording, or fails for it."""

import errno
import logging
import shutil
import threading
import time
from pathlib import Path

import pytest

from fastbridge.recordings import local
from fastbridge.recordings.local import LocalRecorder
from fastbridge.recordings.wav_file import HEADER_BYTES, WavFile


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level(logging.INFO, "fastbridge.events")
    return caplog


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "recordings"


def audio_in(path: Path) -> bytes:
    return path.read_bytes()[HEADER_BYTES:]


def test_pieces_are_written_in_order_each_to_its_own_file(folder):
    recorder = LocalRecorder(folder)
    reels = [recorder.begin(f"CA{number}", "MZ1") for number in range(3)]
    for piece in range(5):
        for number, reel in enumerate(reels):
            reel.write(bytes([number, piece]))
    for reel in reels:
        reel.finish()
    assert recorder.close()
    assert [reel.name for reel in reels] == [f"CA{number}_MZ1.wav" for number in range(3)]
    for number, reel in enumerate(reels):
        assert audio_in(folder / reel.name) == b"".join(bytes([number, piece]) for piece in range(5))
    assert recorder.counters == {"finished": 3, "mended": 0, "failed": 0}
    assert 0 < recorder.peak_waiting <= 21


def test_without_a_call_there_is_no_folder_and_no_thread(folder):
    recorder = LocalRecorder(folder)
    assert recorder.close()
    assert not folder.exists()
    assert "fastbridge-recorder" not in [thread.name for thread in threading.enumerate()]


def test_one_of_which_nothing_came_is_an_empty_file(folder):
    recorder = LocalRecorder(folder)
    recorder.begin("CA1", "MZ1").finish()
    recorder.close()
    assert audio_in(folder / "CA1_MZ1.wav") == b""


def test_what_cannot_be_written_is_one_line_in_half_a_minute_and_the_others_are_none_the_worse(
    folder, monkeypatch, caplog
):
    append = WavFile.append

    def full(file: WavFile, audio: bytes) -> None:
        if "CA0" in file.path.name or "CA1" in file.path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, audio)

    recorder = LocalRecorder(folder, now_s=lambda: 100.0)
    reels = [recorder.begin(f"CA{number}", "") for number in range(3)]
    for number, reel in enumerate(reels):
        if number < 2:
            reel.write(b"ab")
    monkeypatch.setattr(WavFile, "append", full)
    for reel in reels:
        reel.write(b"cd")
        reel.write(b"ef")
        reel.finish()
    recorder.close()
    assert [reel.failed for reel in reels] == [True, True, False]
    assert recorder.counters["failed"] == 2
    assert recorder.counters["finished"] == 1
    assert audio_in(folder / "CA2.wav") == b"cdef"
    assert not list(folder.glob("*.part"))  # what there was is kept
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    wanted = (
        "[RECORDING_SERVICE] a recording could not be written to FASTBRIDGE_RECORDINGS_DIR: No space left on device"
    )
    assert told == [wanted]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    recorder = LocalRecorder(tmp_path / "file")
    reel = recorder.begin("CA1", "MZ1")
    reel.write(b"ab")
    reel.write(b"cd")
    reel.finish()
    assert recorder.close()
    assert reel.failed
    assert recorder.counters == {"finished": 0, "mended": 0, "failed": 1}


def test_that_there_can_be_no_file_is_known_before_the_first_piece(tmp_path):
    """A call that is shorter than that names none."""
    (tmp_path / "file").touch()
    recorder = LocalRecorder(tmp_path / "file")
    reel = recorder.begin("CA1", "MZ1")
    recorder.close()
    assert reel.failed


def test_that_the_file_is_gone_is_known_by_a_look(folder, caplog):
    recorder = LocalRecorder(folder)
    reel = recorder.begin("CA1", "MZ1")
    reel.look()
    recorder.begin("CA2", "MZ2").finish()
    while recorder.counters["finished"] == 0:
        time.sleep(0.001)
    assert not reel.failed
    shutil.rmtree(folder)
    reel.look()
    recorder.close()
    assert reel.failed
    assert caplog.text.count("could not be written to FASTBRIDGE_RECORDINGS_DIR: No such file or directory") == 1
    reel.look()
    assert recorder.waiting == 0, "once is enough"


def test_while_the_queue_is_full_there_is_no_room(folder, monkeypatch):
    goes_on = threading.Event()
    monkeypatch.setattr(local, "mend", lambda folder: goes_on.wait(20) and [])
    recorder = LocalRecorder(folder, max_waiting=3)  # one of which is the beginning
    reel = recorder.begin("CA1", "MZ1")
    for piece in (b"ab", b"cd"):
        assert reel.has_room
        reel.write(piece)
    assert not reel.has_room
    reel.write(b"ef")  # the last ones, at a call's end
    reel.finish()
    assert not recorder.close(0.01)
    goes_on.set()
    assert recorder.close()
    assert audio_in(folder / reel.name) == b"abcdef"


def test_what_a_process_left_is_finished_at_the_next_start(folder, caplog):
    folder.mkdir()
    (folder / "CA9_MZ9.wav.part").write_bytes(bytes(HEADER_BYTES) + b"abcd")
    recorder = LocalRecorder(folder)
    recorder.close()
    assert audio_in(folder / "CA9_MZ9.wav") == b"abcd"
    assert recorder.counters["mended"] == 1
    assert "1 recordings that were left unfinished are finished" in caplog.text
