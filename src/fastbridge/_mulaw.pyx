"""G.711 mu-law, base64 and the audio ring. Leaves: nothing here knows of calls, sockets or clocks."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport sqrt
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

SILENCE = 0xFF

cdef uint32_t[4][256] B64_BITS              # place in its group, base64 character -> its bits in 24, or BAD
cdef char[4096][2] B64_CHARS                # 12 bits -> two characters

cdef enum:
    BAD = 1 << 24


cdef uint8_t code_of(int sample) noexcept nogil:
    # G.711 is defined on 14 bits: the top 14 of the 16. Bias 33, clip to what 13 bits then hold, segment and step.
    cdef int sign = 0, exponent = 7, mask = 0x1000, magnitude = sample >> 2
    if magnitude < 0:
        magnitude = -magnitude
        sign = 0x80
    magnitude = min(magnitude + 33, 0x1FFF)
    while exponent > 0 and not (magnitude & mask):
        mask >>= 1
        exponent -= 1
    return <uint8_t>(~(sign | (exponent << 4) | ((magnitude >> (exponent + 1)) & 0x0F)) & 0xFF)


cdef int linear_of(int code) noexcept nogil:
    cdef int inverted = ~code & 0xFF
    cdef int magnitude = ((((inverted & 0x0F) << 3) + 132) << ((inverted >> 4) & 7)) - 132
    return -magnitude if inverted & 0x80 else magnitude


cdef void build_tables() noexcept:
    cdef int i, place
    cdef bytes alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef const char *letters = PyBytes_AS_STRING(alphabet)
    for i in range(256):
        LINEAR[i] = <int16_t>linear_of(i)
        POWER[i] = <float>LINEAR[i] * <float>LINEAR[i]
        for place in range(4):
            B64_BITS[place][i] = BAD
    for i in range(65536):
        CODE[i] = code_of(i - 32768)
    for i in range(64):
        for place in range(4):
            B64_BITS[place][<uint8_t>letters[i]] = <uint32_t>i << (18 - 6 * place)
    for i in range(4096):
        B64_CHARS[i][0] = letters[i >> 6]
        B64_CHARS[i][1] = letters[i & 63]


build_tables()


def decode(bytes ulaw not None) -> bytes:
    cdef Py_ssize_t i, count = PyBytes_GET_SIZE(ulaw)
    cdef const uint8_t *codes = <const uint8_t *>PyBytes_AS_STRING(ulaw)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, 2 * count)
    cdef int16_t *pcm = <int16_t *>PyBytes_AS_STRING(out)
    for i in range(count):
        pcm[i] = LINEAR[codes[i]]
    return out


def encode(bytes pcm not None) -> bytes:
    cdef Py_ssize_t i, size = PyBytes_GET_SIZE(pcm)
    if size % 2:
        raise ValueError(f"16-bit PCM has an even number of bytes, not {size}")
    cdef const int16_t *samples = <const int16_t *>PyBytes_AS_STRING(pcm)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size // 2)
    cdef uint8_t *codes = <uint8_t *>PyBytes_AS_STRING(out)
    for i in range(size // 2):
        codes[i] = CODE[<int>samples[i] + 32768]
    return out


cdef double mean_power(const uint8_t *ulaw, Py_ssize_t count) noexcept nogil:
    """Mean of the squared samples; four sums, so that additions overlap."""
    cdef double a = 0, b = 0, c = 0, d = 0
    cdef Py_ssize_t i = 0
    if count <= 0:
        return 0
    while i + 4 <= count:
        a += POWER[ulaw[i]]
        b += POWER[ulaw[i + 1]]
        c += POWER[ulaw[i + 2]]
        d += POWER[ulaw[i + 3]]
        i += 4
    while i < count:
        a += POWER[ulaw[i]]
        i += 1
    return (a + b + c + d) / count


def rms(bytes ulaw not None) -> float:
    return sqrt(mean_power(<const uint8_t *>PyBytes_AS_STRING(ulaw), PyBytes_GET_SIZE(ulaw)))


cdef Py_ssize_t b64_encoded_size(Py_ssize_t count) noexcept nogil:
    return (count + 2) // 3 * 4


cdef void b64_encode_into(char *out, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """Writes b64_encoded_size(count) characters."""
    cdef Py_ssize_t i = 0
    cdef uint32_t group
    while i + 3 <= count:
        group = (<uint32_t>data[i] << 16) | (<uint32_t>data[i + 1] << 8) | data[i + 2]
        memcpy(out, B64_CHARS[group >> 12], 2)
        memcpy(out + 2, B64_CHARS[group & 0xFFF], 2)
        out += 4
        i += 3
    if i < count:
        group = <uint32_t>data[i] << 16
        if i + 1 < count:
            group |= <uint32_t>data[i + 1] << 8
        memcpy(out, B64_CHARS[group >> 12], 2)
        out[2] = B64_CHARS[group & 0xFFF][0] if i + 1 < count else c'='
        out[3] = c'='


cdef Py_ssize_t b64_decoded_size(const char *text, Py_ssize_t count) noexcept nogil:
    """Bytes that `count` characters of well-formed base64 hold; -1 when no well-formed text has this length."""
    if count % 4:
        return -1
    if count == 0:
        return 0
    return count // 4 * 3 - (text[count - 1] == c'=') - (text[count - 1] == c'=' and text[count - 2] == c'=')


cdef Py_ssize_t b64_decode_into(uint8_t *out, const char *text, Py_ssize_t count) noexcept nogil:
    """Strict decode into room for b64_decoded_size bytes. Bytes written, -1 malformed (what was written is junk)."""
    cdef Py_ssize_t size = b64_decoded_size(text, count), whole, i
    cdef uint32_t bits, seen = 0
    if size <= 0:
        return size
    whole = size // 3
    for i in range(whole):
        bits = (
            B64_BITS[0][<uint8_t>text[0]]
            | B64_BITS[1][<uint8_t>text[1]]
            | B64_BITS[2][<uint8_t>text[2]]
            | B64_BITS[3][<uint8_t>text[3]]
        )
        seen |= bits                        # BAD survives: one test behind the loop instead of four in it
        out[0] = <uint8_t>(bits >> 16)
        out[1] = <uint8_t>(bits >> 8)
        out[2] = <uint8_t>bits
        out += 3
        text += 4
    if size % 3:
        bits = B64_BITS[0][<uint8_t>text[0]] | B64_BITS[1][<uint8_t>text[1]]
        if size % 3 == 2:
            bits |= B64_BITS[2][<uint8_t>text[2]]
            out[1] = <uint8_t>(bits >> 8)
        seen |= bits
        out[0] = <uint8_t>(bits >> 16)
    return -1 if seen & BAD else size


def b64encode(bytes data not None) -> bytes:
    cdef bytes out = PyBytes_FromStringAndSize(NULL, b64_encoded_size(PyBytes_GET_SIZE(data)))
    b64_encode_into(PyBytes_AS_STRING(out), <const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    return out


def b64decode(bytes text not None) -> bytes | None:
    cdef Py_ssize_t size = b64_decoded_size(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
    if size < 0:
        return None
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    if b64_decode_into(<uint8_t *>PyBytes_AS_STRING(out), PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)) < 0:
        return None
    return out


cdef class Ring:
    """A byte queue with absolute positions: a byte keeps its position from `write` until `release` passes it."""

    def __cinit__(
        self, *, Py_ssize_t initial_bytes=16_384, Py_ssize_t cap_bytes=4_800_000, Py_ssize_t hard_cap_bytes=24_000_000
    ):
        if not 0 < initial_bytes <= hard_cap_bytes or not 0 < cap_bytes <= hard_cap_bytes:
            raise ValueError("need 0 < initial_bytes, cap_bytes <= hard_cap_bytes")
        self.capacity = 1
        while self.capacity < initial_bytes:
            self.capacity *= 2
        self.cap = cap_bytes
        self.hard_cap = hard_cap_bytes
        self.data = <uint8_t *>malloc(self.capacity)
        if self.data is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t count) except -1:
        """Room for `count` more bytes. 1, or 0 when that would pass the hard cap."""
        cdef Py_ssize_t held = self.tail - self.head, size = self.capacity
        cdef uint8_t *grown
        if held + count > self.hard_cap:
            return 0
        if held + count > self.capacity:
            while size < held + count:
                size *= 2
            grown = <uint8_t *>malloc(size)
            if grown is NULL:
                raise MemoryError
            # The copy must land where the new mask looks for it.
            self.relocate(grown, size)
        return 1

    cdef void relocate(self, uint8_t *grown, Py_ssize_t size) noexcept:
        cdef int64_t position = self.head
        cdef Py_ssize_t run, at_old, at_new
        while position < self.tail:
            at_old = position & (self.capacity - 1)
            at_new = position & (size - 1)
            run = min(<Py_ssize_t>(self.tail - position), self.capacity - at_old, size - at_new)
            memcpy(grown + at_new, self.data + at_old, run)
            position += run
        free(self.data)
        self.data = grown
        self.capacity = size

    cdef void advance(self, Py_ssize_t count) noexcept:
        self.tail += count
        if self.tail - self.head > self.peak:
            self.peak = self.tail - self.head

    cdef int append(self, const uint8_t *data, Py_ssize_t count) except -1:
        cdef Py_ssize_t at, run
        if not self.reserve(count):
            return 0
        at = self.tail & (self.capacity - 1)
        run = min(count, self.capacity - at)
        memcpy(self.data + at, data, run)
        memcpy(self.data, data + run, count - run)
        self.advance(count)
        return 1

    cdef Py_ssize_t append_base64(self, const char *text, Py_ssize_t count) except -3:
        cdef Py_ssize_t size = b64_decoded_size(text, count), at
        cdef uint8_t *scratch
        if size <= 0:
            return size
        if not self.reserve(size):
            return -2
        at = self.tail & (self.capacity - 1)
        if at + size <= self.capacity:
            size = b64_decode_into(self.data + at, text, count)
            if size > 0:
                self.advance(size)
            return size
        scratch = <uint8_t *>malloc(size)   # the rare delta that wraps around the end
        if scratch is NULL:
            raise MemoryError
        try:
            size = b64_decode_into(scratch, text, count)
            if size > 0:
                self.append(scratch, size)
        finally:
            free(scratch)
        return size

    cdef int fill(self, uint8_t value, Py_ssize_t count) except -1:
        cdef Py_ssize_t at, run
        if not self.reserve(count):
            return 0
        at = self.tail & (self.capacity - 1)
        run = min(count, self.capacity - at)
        memset(self.data + at, value, run)
        memset(self.data, value, count - run)
        self.advance(count)
        return 1

    cdef void copy_out(self, int64_t position, uint8_t *out, Py_ssize_t count) noexcept:
        """The caller vouches for start <= position and position + count <= end."""
        cdef Py_ssize_t at = position & (self.capacity - 1)
        cdef Py_ssize_t run = min(count, self.capacity - at)
        memcpy(out, self.data + at, run)
        memcpy(out + run, self.data, count - run)

    cdef void forget(self, int64_t position) noexcept:
        self.head = position

    @property
    def start(self) -> int:
        return self.head

    @property
    def end(self) -> int:
        return self.tail

    @property
    def full(self) -> bool:
        return self.tail - self.head >= self.cap

    @property
    def capacity_bytes(self) -> int:
        return self.capacity

    @property
    def peak_bytes(self) -> int:
        return self.peak

    def write(self, bytes data not None) -> bool:
        return self.append(<const uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)) == 1

    def write_base64(self, bytes text not None) -> int:
        return self.append_base64(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    def read(self, int64_t position, Py_ssize_t count) -> bytes:
        if count < 0 or position < self.head or position + count > self.tail:
            raise ValueError(f"[{position}, {position}+{count}) is not within [{self.head}, {self.tail}]")
        cdef bytes out = PyBytes_FromStringAndSize(NULL, count)
        self.copy_out(position, <uint8_t *>PyBytes_AS_STRING(out), count)
        return out

    def release(self, int64_t position) -> None:
        if not self.head <= position <= self.tail:
            raise ValueError(f"{position} is not within [{self.head}, {self.tail}]")
        self.forget(position)
