"""Twin of fastbridge._bargein."""

from oracle import mulaw


class Detector:
    def __init__(self, *, threshold_dbfs: float = -30.0, frames: int = 5) -> None:
        self._threshold = 32768.0 * 10.0 ** (threshold_dbfs / 20.0)
        self._frames = frames
        self.loud_frames = 0
        self.level = 0.0
        self.voice_ms = 0

    def feed(self, frame: bytes, playing: bytes | None) -> bool:
        self.level = mulaw.rms(frame)
        self.voice_ms = self.voice_ms + 20 if self.level > self._threshold else 0
        if playing is None or self.level <= self._threshold:
            self.loud_frames = 0
            return False
        self.loud_frames += 1
        return self.loud_frames == self._frames

    def reset(self) -> None:
        self.loud_frames = 0
