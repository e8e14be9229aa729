"""Is the caller talking over the assistant? RMS over a threshold for `frames` consecutive 20 ms frames."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.math cimport log10, sqrt
from libc.stdint cimport uint8_t

from fastbridge._mulaw cimport mean_power


cdef class Detector:
    """threshold_dbfs is relative to 32768 (full scale). One low frame resets the count, and so does not playing."""

    def __init__(self, *, double threshold_dbfs=-30.0, int frames=5):
        if frames < 1:
            raise ValueError("frames must be at least 1")
        self.threshold = (32768.0 * 10.0 ** (threshold_dbfs / 20.0)) ** 2
        self.frames = frames

    cdef bint judge(
        self, const uint8_t *ulaw, Py_ssize_t count, const uint8_t *playing, Py_ssize_t playing_count
    ) noexcept nogil:
        self.power = mean_power(ulaw, count)
        self.voice_ms = self.voice_ms + 20 if self.power > self.threshold else 0
        if playing is NULL or self.power <= self.threshold:
            self.loud_frames = 0
            return False
        self.loud_frames += 1
        return self.loud_frames == self.frames

    def feed(self, bytes frame not None, bytes playing) -> bool:
        return self.judge(
            <const uint8_t *>PyBytes_AS_STRING(frame),
            PyBytes_GET_SIZE(frame),
            <uint8_t *>NULL if playing is None else <uint8_t *>PyBytes_AS_STRING(playing),
            0 if playing is None else PyBytes_GET_SIZE(playing),
        )

    def reset(self) -> None:
        self.loud_frames = 0

    @property
    def level(self) -> float:
        return sqrt(self.power)

    @property
    def speaking(self) -> bool:
        return self.voice_ms > 0

    @property
    def level_dbfs(self) -> float:
        return 10 * log10(max(self.power, 1.0) / 32768.0 ** 2)

    @property
    def threshold_dbfs(self) -> float:
        return 10 * log10(self.threshold / 32768.0 ** 2)
