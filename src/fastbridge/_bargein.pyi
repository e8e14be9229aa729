"""Is the caller talking over the assistant? RMS over a threshold for `frames` consecutive 20 ms frames."""

class Detector:
    """threshold_dbfs is relative to 32768 (full scale). One low frame resets the count, and so does not playing."""

    def __init__(self, *, threshold_dbfs: float = -30.0, frames: int = 5) -> None: ...
    def feed(self, frame: bytes, playing: bytes | None) -> bool:
        """True on the frame that completes the run, and only on that one until a frame is low or nothing is playing."""
    def reset(self) -> None: ...
    @property
    def loud_frames(self) -> int:
        """Length of the present run."""
    @property
    def level(self) -> float:
        """RMS of the last frame, 0.0 to 32124.0."""
    @property
    def voice_ms(self) -> int:
        """Length of the present run of voice, also while nothing plays."""
    @property
    def speaking(self) -> bool: ...
    @property
    def level_dbfs(self) -> float: ...
    @property
    def threshold_dbfs(self) -> float: ...
