"""A fast lane for RFC 6455 text frames. `websockets` owns the protocol; this recognises the one regular case.

The law of the file: a byte is given to the fast lane or to the library, once, in order; in doubt, to the library.
Nothing here answers a peer or closes a socket. One violation is judged here, since the library leaves it to whoever reads
the text: what is not UTF-8 (RFC 6455 section 8.1), at the byte that proves it.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

cdef enum:
    FIN_TEXT = 0x81
    RESERVED_BITS = 0x70
    MASK_POOL_BYTES = 4096
    MAX_HANDSHAKE_BYTES = 65_536
    SMALL_BYTES = 4096                      # a residue buffer above this is given back when empty
    UNMASK_BYTES = 512                      # of a frame whose end has not come, at once

cdef uint64_t HIGH_BITS = 0x8080808080808080 # none of them: eight bytes of ASCII

cdef object _urandom = os.urandom
cdef bytes mask_pool = b""
cdef Py_ssize_t mask_pool_used = 0

# Unmasked text of the frame in hand. One for the process: `text` is valid only until the sink returns or calls out.
cdef uint8_t *scratch = NULL
cdef Py_ssize_t scratch_capacity = 0


cdef uint32_t next_mask() except? 0:
    """A fresh, unpredictable masking key (RFC 6455 section 5.3), drawn from the system 1024 at a time."""
    global mask_pool, mask_pool_used
    cdef uint32_t key
    if mask_pool_used + 4 > PyBytes_GET_SIZE(mask_pool):
        mask_pool = _urandom(MASK_POOL_BYTES)
        mask_pool_used = 0
    memcpy(&key, PyBytes_AS_STRING(mask_pool) + mask_pool_used, 4)
    mask_pool_used += 4
    return key


cdef uint64_t apply_mask(uint8_t *out, const uint8_t *data, Py_ssize_t size, uint32_t key) noexcept nogil:
    """All that was written, or-ed together: without HIGH_BITS it is ASCII."""
    cdef uint64_t wide = (<uint64_t>key << 32) | key, word, seen = 0
    cdef Py_ssize_t i = 0
    cdef uint8_t *bytewise = <uint8_t *>&key
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= wide
        seen |= word
        memcpy(out + i, &word, 8)
        i += 8
    while i < size:
        out[i] = data[i] ^ bytewise[i & 3]
        seen |= out[i]
        i += 1
    return seen


cdef uint64_t seen_bits(const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """What apply_mask tells, of text that has no mask."""
    cdef uint64_t word, seen = 0
    cdef Py_ssize_t i = 0
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        seen |= word
        i += 8
    while i < size:
        seen |= data[i]
        i += 1
    return seen


cdef inline uint64_t four_words(const uint8_t *data) noexcept nogil:
    cdef uint64_t[4] words
    memcpy(words, data, 32)
    return words[0] | words[1] | words[2] | words[3]


cdef bint begin_character(Utf8 *utf8, uint8_t first) noexcept nogil:
    """Unicode's table 3-7: the first byte tells how many follow and, where it matters, the range of the second."""
    utf8.low = 0x80
    utf8.high = 0xBF
    if first < 0x80:
        return True
    if first < 0xC2 or first > 0xF4:
        return False
    utf8.missing = 1 if first < 0xE0 else 2 if first < 0xF0 else 3
    if first == 0xE0:                       # below: a shorter form would do
        utf8.low = 0xA0
    elif first == 0xED:                     # above: surrogates
        utf8.high = 0x9F
    elif first == 0xF0:
        utf8.low = 0x90
    elif first == 0xF4:                     # above: beyond Unicode
        utf8.high = 0x8F
    return True


cdef bint take_utf8(Utf8 *utf8, const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """False at the first byte with which this can be no UTF-8 any more. How a character goes on, `utf8` keeps."""
    cdef uint64_t word
    cdef Py_ssize_t i = 0
    while i < size:
        if utf8.missing:
            if not utf8.low <= data[i] <= utf8.high:
                return False
            utf8.missing -= 1
            utf8.low = 0x80
            utf8.high = 0xBF
            i += 1
            continue
        if i + 8 <= size:
            memcpy(&word, data + i, 8)
            if not word & HIGH_BITS:
                i += 8
                while i + 32 <= size and not four_words(data + i) & HIGH_BITS:
                    i += 32
                continue
        if not begin_character(utf8, data[i]):
            return False
        i += 1
    return True


cdef bint take_masked_utf8(Utf8 *utf8, const uint8_t *data, Py_ssize_t at, Py_ssize_t size, uint32_t key) noexcept nogil:
    """The same for data[at:size] under a mask that begins at data[0]."""
    cdef uint8_t[UNMASK_BYTES] clear
    cdef uint8_t *bytewise = <uint8_t *>&key
    cdef Py_ssize_t i, count
    while at < size:
        count = min(size - at, UNMASK_BYTES)
        for i in range(count):
            clear[i] = data[at + i] ^ bytewise[(at + i) & 3]
        if not take_utf8(utf8, clear, count):
            return False
        at += count
    return True


cdef Py_ssize_t header_size(Py_ssize_t payload_size, bint masked) noexcept nogil:
    return 2 + (4 if masked else 0) + (0 if payload_size < 126 else 2 if payload_size < 65_536 else 8)


cdef Py_ssize_t write_header(uint8_t *out, Py_ssize_t payload_size, bint masked, uint32_t key) noexcept nogil:
    """Header of a FIN|TEXT frame into header_size() bytes; their number."""
    cdef uint8_t mask_bit = 0x80 if masked else 0
    cdef Py_ssize_t i, at = 2
    out[0] = FIN_TEXT
    if payload_size < 126:
        out[1] = mask_bit | <uint8_t>payload_size
    elif payload_size < 65_536:
        out[1] = mask_bit | 126
        out[2] = <uint8_t>(payload_size >> 8)
        out[3] = <uint8_t>payload_size
        at = 4
    else:
        out[1] = mask_bit | 127
        for i in range(8):
            out[2 + i] = <uint8_t>(<uint64_t>payload_size >> (56 - 8 * i))
        at = 10
    if masked:
        memcpy(out + at, &key, 4)
        at += 4
    return at


cdef bytes text_frame_of(const char *payload, Py_ssize_t size, bint masked):
    cdef uint32_t key = next_mask() if masked else 0
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, header_size(size, masked) + size)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(frame)
    out += write_header(out, size, masked, key)
    if masked:
        apply_mask(out, <const uint8_t *>payload, size, key)
    else:
        memcpy(out, payload, size)
    return frame


def text_frame(bytes payload not None, *, bint mask) -> bytes:
    return text_frame_of(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), mask)


cdef class TextSink:
    cdef int on_text(self, const char *text, Py_ssize_t size) except -1:
        return 0

    cdef void warm(self, int step) noexcept:
        pass


cdef class _CallbackSink(TextSink):
    """Text to a Python callable."""

    cdef object callback

    def __init__(self, callback):
        self.callback = callback

    cdef int on_text(self, const char *text, Py_ssize_t size) except -1:
        self.callback(PyBytes_FromStringAndSize(text, size))
        return 0


cdef class FrameReader:
    """Cuts a byte stream into frames. Never raises on a peer's bytes.

    on_text: a callable, or a TextSink (a lane), which then gets the text without a Python call.
    """

    def __init__(
        self, *, bint server, Py_ssize_t max_size_bytes, on_text, on_other, on_bad_text=None, bint handshake=False
    ):
        self.server = server
        self.max_size = max_size_bytes
        self.redirect(on_text)
        self.on_other = on_other
        self.on_bad_text = on_bad_text
        self.judges = on_bad_text is not None
        self.in_handshake = handshake
        self.at_boundary = True

    def __dealloc__(self):
        free(self.residue)

    def feed(self, bytes data not None) -> None:
        self.feed_raw(<uint8_t *>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef int feed_raw(self, uint8_t *start, Py_ssize_t size) except -1:
        if self.deaf:
            return 0
        self.enter()
        if self.residue_size:
            self.keep(start, size)
            start = self.residue
            size = self.residue_size
        try:
            self.consume(start, size)
        finally:
            # Whatever a callback raised, what was handed on is never handed on again.
            self.leave(start, size)
        return 0

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("a FrameReader cannot be fed from its own callback")
        self.busy = True
        self.used = 0
        return 0

    cdef int leave(self, const uint8_t *start, Py_ssize_t size) except -1:
        """Keep what was not handed on."""
        self.busy = False
        if self.deaf:
            self.used = size                # what came behind the verdict is nobody's
        if start is not self.residue:
            if self.used < size:
                self.keep(start + self.used, size - self.used)
            return 0
        self.residue_size -= self.used
        memmove(self.residue, self.residue + self.used, self.residue_size)
        if self.residue_size == 0 and self.residue_capacity > SMALL_BYTES:
            free(self.residue)
            self.residue = NULL
            self.residue_capacity = 0
        return 0

    def redirect(self, on_text) -> None:
        self.sink = on_text if isinstance(on_text, TextSink) else _CallbackSink(on_text)

    def discard(self) -> None:
        self.deaf = True
        if not self.busy:                   # else the feeding that called us comes to it
            self.residue_size = 0

    def finish(self) -> None:
        cdef bytes rest = PyBytes_FromStringAndSize(<const char *>self.residue, self.residue_size)
        self.enter()
        self.busy = False
        self.residue_size = 0
        if rest:
            self.give_other(<const uint8_t *>PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))

    @property
    def pending_bytes(self) -> int:
        return self.residue_size

    cdef int keep(self, const uint8_t *data, Py_ssize_t size) except -1:
        cdef Py_ssize_t needed = self.residue_size + size, capacity = max(self.residue_capacity, 512)
        cdef uint8_t *grown
        if needed > self.residue_capacity:
            while capacity < needed:
                capacity *= 2
            grown = <uint8_t *>realloc(self.residue, capacity)
            if grown is NULL:
                raise MemoryError
            self.residue = grown
            self.residue_capacity = capacity
        memcpy(self.residue + self.residue_size, data, size)
        self.residue_size = needed
        return 0

    cdef int give_other(self, const uint8_t *data, Py_ssize_t size) except -1:
        self.at_boundary = bool(self.on_other(PyBytes_FromStringAndSize(<const char *>data, size)))
        return 0

    cdef int consume_handshake(self, const uint8_t *data, Py_ssize_t size) except -1:
        """Hand on all up to the blank line, once it has come."""
        cdef Py_ssize_t end = (<bytes>PyBytes_FromStringAndSize(<const char *>data, size)).find(b"\r\n\r\n")
        if end < 0:
            self.passthrough = size >= MAX_HANDSHAKE_BYTES
            return 0
        self.in_handshake = False
        self.used = end + 4
        self.give_other(data, end + 4)
        if not self.at_boundary:            # not a 101, or an extension: what follows may not even be frames
            self.passthrough = True
        return 0

    cdef int consume(self, uint8_t *data, Py_ssize_t size) except -1:
        """Hand on every whole frame; `used` counts them off before each is handed on."""
        cdef Py_ssize_t at, header, length
        cdef uint8_t first, second
        cdef uint32_t key = 0
        if self.in_handshake:
            self.consume_handshake(data, size)
            if self.in_handshake and not self.passthrough:
                return 0
        while self.used < size and not self.deaf:
            at = self.used
            if self.passthrough:
                self.used = size
                self.give_other(data + at, size - at)
                break
            if size - at < 2:
                break
            first = data[at]
            second = data[at + 1]
            if not self.regular(first, second):
                self.passthrough = True
                continue
            length = second & 0x7F
            header = 2 if length < 126 else 4 if length == 126 else 10
            if size - at < header:
                break
            if length >= 126:
                length = big_endian(data + at + 2, header - 2)
            if length < 0 or length > self.max_size:
                self.passthrough = True
                continue
            if self.server:
                header += 4
                if size - at < header:
                    break
                memcpy(&key, data + at + header - 4, 4)
            if size - at < header + length:
                if not self.may_become_text(first, data + at + header, size - at - header, key):
                    self.condemn()
                break
            self.used = at + header + length
            if first == FIN_TEXT and self.at_boundary:
                self.one_text(data + at + header, length, key)
            elif self.is_text_so_far(first, data + at + header, length, key):
                self.give_other(data + at, header + length)
            else:
                self.condemn()
        return 0

    cdef bint regular(self, uint8_t first, uint8_t second) noexcept:
        """Is this the start of a frame that the fast lane can cut (whoever gets it then)?"""
        cdef uint8_t opcode = first & 0x0F
        if (first & RESERVED_BITS) or 3 <= opcode <= 7 or opcode > 10:
            return False
        if (second >> 7) != self.server:
            return False
        return opcode < 8 or (first & 0x80 and (second & 0x7F) <= 125)

    cdef bint may_become_text(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, uint32_t key) noexcept:
        """Of a frame of text, `size` bytes have come. Each is looked at once, however many readings it takes."""
        cdef Py_ssize_t at = self.looked_at
        if not self.judges or not self.holds_text(first):
            return True
        self.looked_at = size
        if self.server:
            return take_masked_utf8(&self.utf8, payload, at, size, key)
        return take_utf8(&self.utf8, payload + at, size - at)

    cdef bint is_text_so_far(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, uint32_t key) noexcept:
        """Of a whole frame that goes to the library: a fragment of text, or anything else, which is not looked at."""
        cdef bint last = first >> 7, text = self.holds_text(first)
        if not self.may_become_text(first, payload, size, key):
            return False
        self.looked_at = 0
        if not text:
            return True
        self.in_text = not last
        return not (self.judges and last and self.utf8.missing)

    cdef bint holds_text(self, uint8_t first) noexcept:
        """A frame out of place, such as a message in the midst of another, is not: the library will judge it."""
        cdef uint8_t opcode = first & 0x0F
        return self.at_boundary if opcode == 1 else opcode == 0 and self.in_text

    cdef int condemn(self) except -1:
        self.deaf = True
        self.on_bad_text()
        return 0

    cdef int one_text(self, uint8_t *payload, Py_ssize_t size, uint32_t key) except -1:
        cdef uint64_t seen = HIGH_BITS
        if self.server:
            seen = self.unmask(payload, size, key)
            payload = scratch
        elif self.judges:
            seen = seen_bits(payload, size)
        if seen & HIGH_BITS and self.judges and not self.rest_is_text(payload, size):
            return self.condemn()
        self.looked_at = 0
        self.text_frames += 1
        return self.sink.on_text(<const char *>payload, size)

    cdef bint rest_is_text(self, const uint8_t *text, Py_ssize_t size) noexcept:
        """Of a whole message, what has not been looked at yet."""
        return take_utf8(&self.utf8, text + self.looked_at, size - self.looked_at) and not self.utf8.missing

    cdef uint64_t unmask(self, const uint8_t *payload, Py_ssize_t size, uint32_t key) except? 0:
        """Into the scratch."""
        global scratch, scratch_capacity
        cdef uint8_t *grown
        if size > scratch_capacity:
            grown = <uint8_t *>realloc(scratch, max(size, SMALL_BYTES))
            if grown is NULL:
                raise MemoryError
            scratch = grown
            scratch_capacity = max(size, SMALL_BYTES)
        return apply_mask(scratch, payload, size, key)


cdef Py_ssize_t big_endian(const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """A length of 2 or 8 bytes; -1 where the sign bit is set, which RFC 6455 forbids."""
    cdef uint64_t value = 0
    cdef Py_ssize_t i
    for i in range(count):
        value = (value << 8) | data[i]
    return <Py_ssize_t>value if value < <uint64_t>1 << 62 else -1
