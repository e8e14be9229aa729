"""fastbridge.testing.recorder: a carrier that records, or not, as a test wants it; and the node's file in memory."""

import asyncio

import pytest

from fastbridge.carrier.port import RecordingBegun, RecordingChange, Refused
from fastbridge.testing.recorder import RECORDING_SID, VirtualRecorder, VirtualReels


def test_it_does_what_it_is_asked_and_has_one_recording() -> None:
    async def scene(recorder: VirtualRecorder) -> None:
        for _ in range(2):
            assert await recorder.begin("AC1", "CA1") == RecordingBegun(RECORDING_SID)
        for change in RecordingChange:
            assert await recorder.change("AC1", "CA1", RECORDING_SID, change)

    recorder = VirtualRecorder()
    asyncio.run(scene(recorder))
    assert recorder.done == ["begin", "pause", "resume", "stop"]


@pytest.mark.parametrize("change", list(RecordingChange))
def test_it_fails_where_it_is_told_to(change: RecordingChange) -> None:
    recorder = VirtualRecorder(fails=["begin", str(change)])
    assert isinstance(asyncio.run(recorder.begin("AC1", "CA1")), Refused)
    assert not asyncio.run(recorder.change("AC1", "CA1", RECORDING_SID, change))
    assert recorder.done == []


def test_the_file_as_it_would_have_been() -> None:
    reels = VirtualReels()
    reel = reels.begin("CA1", "MZ1")
    reel.write(b"\x01\x02\x03\x04")
    reel.finish()
    assert reels.reel is reel
    assert (reel.name, reel.left, reel.right) == ("CA1_MZ1.wav", b"\x01\x03", b"\x02\x04")
    assert reel.wav.startswith(b"RIFF")
    assert reel.wav.endswith(b"data\x04\x00\x00\x00\x01\x02\x03\x04")
