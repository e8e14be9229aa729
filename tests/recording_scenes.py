"""What the log says of recordings: scenes for test_log_emitted."""

import errno
import os
from pathlib import Path

import pytest

from fastbridge.agent import Agent
from fastbridge.recordings.local import LocalRecorder
from fastbridge.recordings.wav_file import WavFile
from recorders import CarrierFake, RecordedRig


def recordings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With consent, without credentials; private, not private, forgotten; a carrier that does not obey."""
    rig = RecordedRig("after_consent", recorder=CarrierFake()).up()
    rig.do(rig.call.consent)
    rig.enter()
    rig.leave()
    rig.advance(1)
    rig.recorder.changes = [False]
    rig.enter()
    rig.advance(1)
    rig.recorder.changes = [True, False, False, False]
    rig.enter(5.0)
    rig.advance(8)
    rig.shut()
    RecordedRig("carrier", has_recorder=False).up().shut()
    left = RecordedRig("carrier", agent=Agent(transfer_to={"desk": "+14155550199"}, record_transfers=False)).up()
    left.recorder.changes = [False]
    left.do(left.call.transfer, "+14155550199")
    left.advance(2)
    left.shut()
    _files(tmp_path)


def _files(tmp_path: Path) -> None:
    """A disk that is full, and a recording that was left unfinished."""

    def full(file: WavFile, audio: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WavFile, "append", full)
        broken = LocalRecorder(tmp_path / "broken")
        broken.begin("CA1", "MZ1").write(b"\xff\xff")
        broken.close()
    (tmp_path / "CA1_MZ1.wav.part").write_bytes(bytes(58) + b"\xff\xff")
    LocalRecorder(tmp_path).close()
