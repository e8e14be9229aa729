from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    MAX_HEADER = 14

cdef uint32_t next_mask() except? 0
cdef uint64_t apply_mask(uint8_t *out, const uint8_t *data, Py_ssize_t size, uint32_t key) noexcept nogil
cdef Py_ssize_t header_size(Py_ssize_t payload_size, bint masked) noexcept nogil
cdef Py_ssize_t write_header(uint8_t *out, Py_ssize_t payload_size, bint masked, uint32_t key) noexcept nogil
cdef bytes text_frame_of(const char *payload, Py_ssize_t size, bint masked)


cdef struct Utf8:
    uint8_t missing                         # bytes of the character in hand
    uint8_t low, high                       # between which the next of them must be


cdef class TextSink:
    """Where a FrameReader hands unmasked text. `text` is valid only during the call."""
    cdef int on_text(self, const char *text, Py_ssize_t size) except -1
    cdef void warm(self, int step) noexcept # text will come soon: fetch what that will need; by steps 0, 1, 2


cdef class FrameReader:
    cdef TextSink sink
    cdef object on_other
    cdef bint server
    cdef bint in_handshake
    cdef readonly bint passthrough
    cdef bint deaf                          # nothing is parsed any more
    cdef bint busy                          # inside feed or finish: neither may be called back into
    cdef bint at_boundary                   # the library stands between messages: the fast lane may take the next
    cdef Py_ssize_t used                    # bytes handed on in this feed
    cdef Py_ssize_t max_size
    cdef uint8_t *residue                   # the beginning of a frame whose end has not come yet
    cdef Py_ssize_t residue_size
    cdef Py_ssize_t residue_capacity
    cdef readonly uint64_t text_frames
    cdef Py_ssize_t looked_at               # bytes of the incomplete frame's payload that `utf8` has taken
    cdef bint judges                        # UTF-8
    cdef bint in_text                       # between the fragments of a text
    cdef object on_bad_text
    cdef Utf8 utf8                          # of the text in hand; between messages nothing is missing

    cdef int feed_raw(self, uint8_t *start, Py_ssize_t size) except -1
    cdef int enter(self) except -1
    cdef int leave(self, const uint8_t *rest, Py_ssize_t size) except -1
    cdef int consume(self, uint8_t *data, Py_ssize_t size) except -1
    cdef int one_text(self, uint8_t *payload, Py_ssize_t size, uint32_t key) except -1
    cdef uint64_t unmask(self, const uint8_t *payload, Py_ssize_t size, uint32_t key) except? 0
    cdef bint may_become_text(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, uint32_t key) noexcept
    cdef bint is_text_so_far(self, uint8_t first, const uint8_t *payload, Py_ssize_t size, uint32_t key) noexcept
    cdef bint holds_text(self, uint8_t first) noexcept
    cdef bint rest_is_text(self, const uint8_t *text, Py_ssize_t size) noexcept
    cdef int condemn(self) except -1
    cdef int give_other(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef int consume_handshake(self, const uint8_t *data, Py_ssize_t size) except -1
    cdef bint regular(self, uint8_t first, uint8_t second) noexcept
    cdef int keep(self, const uint8_t *data, Py_ssize_t size) except -1
