from typing import final

@final
class Tape:
    """What has passed a call's two lanes, by time: left the caller, right what is heard of the assistant. Each track is
    mu-law at 8 kHz. capacity_bytes: of a track, beyond what was taken."""

    frames: int
    """Written, on either track."""
    dropped_frames: int
    """Not written for want of room, or since they came faster than anybody speaks."""
    hidden_frames: int
    """Not written since they were private."""

    def __init__(self, now_ns: int, *, capacity_bytes: int = 131_072) -> None: ...
    def feed_caller(self, audio: bytes, missing: int, now_ns: int) -> None:
        """A frame has arrived, behind so many that the network lost."""

    def feed_assistant(self, audio: bytes, ends_ns: int) -> None:
        """A frame has left; it will have been heard at `ends_ns`."""

    def take_back(self, count: int) -> None:
        """So many bytes of the assistant's, the last ones, will not be heard."""

    def conceal(self, now_ns: int) -> None:
        """From now on both tracks are silent, whatever was to be heard then."""

    def reveal(self, now_ns: int) -> None:
        """From now on they are not. What began to be said, or left, before stays hidden."""

    def take(self, until_ns: int) -> bytes:
        """Both tracks up to this time, a byte of each in turn, at most a capacity; empty: there is no more. What comes
        for that time afterwards is too late."""

    @property
    def concealed(self) -> bool: ...
    @property
    def taken_bytes(self) -> int:
        """Of one track."""

    @property
    def peak_bytes(self) -> int:
        """The most that was there of one track and had not been taken."""
