"""The tape of one call: what has passed its lanes, on two tracks by time, until whoever keeps it takes it.

Left is the caller, in the time in which it was said; right is the assistant, in the time in which it is heard. Each
track is a ring of mu-law, and a frame costs one memcpy. Where nobody wrote there is silence, so that what is lost or
hidden leaves a gap and never a shift. Bound: `capacity_bytes` of a track beyond what was taken. Overflow: the frame is
not written, and counted. It knows no file, and reads no clock.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef enum:
    FRAME_BYTES = 160
    NS_PER_BYTE = 125_000                   # 8000 bytes a second
    DRIFT_BYTES = 16_000                    # 2 s: so far from its time a frame still follows the one before it
    SILENCE = 0xFF


cdef class Tape:
    """Two tracks of mu-law, by time."""

    def __cinit__(self, int64_t now_ns, *, Py_ssize_t capacity_bytes=131_072):
        self.capacity = 1
        while self.capacity < capacity_bytes:
            self.capacity *= 2
        self.origin_ns = now_ns
        self.left = <uint8_t *>malloc(2 * self.capacity)
        if self.left is NULL:
            raise MemoryError
        self.right = self.left + self.capacity
        memset(self.left, SILENCE, 2 * self.capacity)

    def __dealloc__(self):
        free(self.left)

    cdef int64_t position(self, int64_t now) noexcept:
        return max(now - self.origin_ns, <int64_t>0) // NS_PER_BYTE

    # --- from the lanes ---

    cdef void caller(self, const uint8_t *audio, Py_ssize_t size, int64_t missing, int64_t now) noexcept:
        """A line's jitter is none of the caller's: a frame follows the one before it, unless it is far from its time."""
        cdef int64_t at = self.position(now) - size, behind = self.left_end + missing * FRAME_BYTES
        if self.has_begun and behind > at + DRIFT_BYTES:
            self.dropped_frames += 1        # faster than anybody speaks
            return
        if self.has_begun and behind >= at - DRIFT_BYTES:
            at = behind
        self.has_begun = True
        self.left_end = at + size
        self.write(self.left, at, audio, size)

    cdef void assistant(self, const uint8_t *audio, Py_ssize_t size, int64_t ends_ns) noexcept:
        cdef int64_t at = self.position(ends_ns) - size
        self.right_end = at + size
        self.write(self.right, at, audio, size)

    cdef void unplay(self, int64_t count) noexcept:
        """The last bytes on the right will not be heard."""
        self.silence(self.right, self.right_end - count, self.right_end)
        self.right_end -= max(count, <int64_t>0)

    cdef void write(self, uint8_t *track, int64_t at, const uint8_t *audio, Py_ssize_t size) noexcept:
        cdef Py_ssize_t place, run
        if at < 0:
            return                          # said before there was a tape: none of its frames
        if self.is_concealed or at < self.open_from:
            self.hidden_frames += 1
            return
        if at < self.base or at + size > self.base + self.capacity:
            self.dropped_frames += 1
            return
        place = at & (self.capacity - 1)
        run = min(size, self.capacity - place)
        memcpy(track + place, audio, run)
        if run < size:
            memcpy(track, audio + run, size - run)
        self.frames += 1
        if at + size - self.base > self.peak:
            self.peak = at + size - self.base

    cdef void silence(self, uint8_t *track, int64_t start, int64_t end) noexcept:
        """Of what is there between these two positions."""
        cdef Py_ssize_t place, run, size
        start = max(start, self.base)
        size = <Py_ssize_t>(min(end, self.base + self.capacity) - start)
        if size <= 0:
            return
        place = start & (self.capacity - 1)
        run = min(size, self.capacity - place)
        memset(track + place, SILENCE, run)
        memset(track, SILENCE, size - run)

    def feed_caller(self, bytes audio not None, int64_t missing, int64_t now_ns) -> None:
        self.caller(<const uint8_t *>PyBytes_AS_STRING(audio), PyBytes_GET_SIZE(audio), max(missing, 0), now_ns)

    def feed_assistant(self, bytes audio not None, int64_t ends_ns) -> None:
        self.assistant(<const uint8_t *>PyBytes_AS_STRING(audio), PyBytes_GET_SIZE(audio), ends_ns)

    def take_back(self, int64_t count) -> None:
        self.unplay(count)

    # --- privacy ---

    def conceal(self, int64_t now_ns) -> None:
        cdef int64_t start = self.position(now_ns)
        if self.is_concealed:
            return
        self.is_concealed = True
        self.silence(self.left, start, self.base + self.capacity)
        self.silence(self.right, start, self.base + self.capacity)

    def reveal(self, int64_t now_ns) -> None:
        if self.is_concealed:
            self.is_concealed = False
            self.open_from = max(self.open_from, self.position(now_ns))

    # --- to whoever keeps it ---

    def take(self, int64_t until_ns) -> bytes:
        cdef Py_ssize_t i, place, mask = self.capacity - 1
        cdef Py_ssize_t count = <Py_ssize_t>min(self.position(until_ns) - self.base, <int64_t>self.capacity)
        cdef bytes taken
        cdef uint8_t *out
        if count <= 0:
            return b""
        taken = PyBytes_FromStringAndSize(NULL, 2 * count)
        out = <uint8_t *>PyBytes_AS_STRING(taken)
        for i in range(count):
            place = (self.base + i) & mask
            out[2 * i] = self.left[place]
            out[2 * i + 1] = self.right[place]
        self.silence(self.left, self.base, self.base + count)
        self.silence(self.right, self.base, self.base + count)
        self.base += count
        return taken

    @property
    def concealed(self) -> bool:
        return self.is_concealed

    @property
    def taken_bytes(self) -> int:
        return self.base

    @property
    def peak_bytes(self) -> int:
        return self.peak
