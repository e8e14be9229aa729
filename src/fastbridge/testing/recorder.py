"""Who records a virtual call: the carrier, as far as a call sees it, and the node itself, in memory."""

from collections.abc import Collection

from fastbridge.carrier.port import RecordingBegun, RecordingChange, Refused
from fastbridge.recordings.wav_file import header, safe_name

RECORDING_SID = "RE" + "0" * 31 + "1"


class VirtualRecorder:
    """A carrier that records, at once. fails: which of begin, pause, resume, stop it does not do."""

    def __init__(self, fails: Collection[str] = ()) -> None:
        self.fails = frozenset(fails)
        self.done: list[str] = []
        """What it did, in order."""

    async def begin(self, account_sid: str, call_sid: str) -> RecordingBegun | Refused:
        if "begin" in self.fails:
            return Refused(None, "the carrier does not record this call")
        if "begin" not in self.done:
            self.done.append("begin")
        return RecordingBegun(RECORDING_SID)

    async def change(self, account_sid: str, call_sid: str, recording_sid: str, to: RecordingChange) -> bool:
        if str(to) in self.fails:
            return False
        self.done.append(str(to))
        return True


class VirtualReel:
    """The node's own recording of one call."""

    has_room = True
    failed = False

    def __init__(self, name: str) -> None:
        self.name = f"{name}.wav"
        self._audio = bytearray()

    def look(self) -> None:
        pass

    def write(self, audio: bytes) -> None:
        self._audio += audio

    def finish(self) -> None:
        """It is all there."""

    @property
    def wav(self) -> bytes:
        """The file, as the node would have written it."""
        return header(len(self._audio)) + bytes(self._audio)

    @property
    def left(self) -> bytes:
        """The caller, in mu-law."""
        return bytes(self._audio[0::2])

    @property
    def right(self) -> bytes:
        """What was heard of the assistant."""
        return bytes(self._audio[1::2])


class VirtualReels:
    """The node's recorder. reel: of the one call, once it is recorded."""

    reel: VirtualReel | None = None

    def begin(self, call_sid: str, stream_sid: str) -> VirtualReel:
        self.reel = VirtualReel(safe_name(call_sid, stream_sid))
        return self.reel
