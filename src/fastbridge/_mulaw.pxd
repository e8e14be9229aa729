from libc.stdint cimport int16_t, int64_t, uint8_t

cdef int16_t[256] LINEAR                    # mu-law code -> linear sample
cdef uint8_t[65536] CODE                    # linear sample + 32768 -> mu-law code
cdef float[256] POWER                       # mu-law code -> squared linear sample

cdef double mean_power(const uint8_t *ulaw, Py_ssize_t count) noexcept nogil
cdef Py_ssize_t b64_encoded_size(Py_ssize_t count) noexcept nogil
cdef void b64_encode_into(char *out, const uint8_t *data, Py_ssize_t count) noexcept nogil
cdef Py_ssize_t b64_decoded_size(const char *text, Py_ssize_t count) noexcept nogil
cdef Py_ssize_t b64_decode_into(uint8_t *out, const char *text, Py_ssize_t count) noexcept nogil


cdef class Ring:
    cdef uint8_t *data
    cdef Py_ssize_t capacity
    cdef Py_ssize_t cap
    cdef Py_ssize_t hard_cap
    cdef Py_ssize_t peak
    cdef int64_t head                       # position of the oldest byte kept
    cdef int64_t tail                       # position after the newest byte

    cdef void relocate(self, uint8_t *grown, Py_ssize_t size) noexcept
    cdef void advance(self, Py_ssize_t count) noexcept
    cdef int reserve(self, Py_ssize_t count) except -1
    cdef int append(self, const uint8_t *data, Py_ssize_t count) except -1
    cdef Py_ssize_t append_base64(self, const char *text, Py_ssize_t count) except -3
    cdef int fill(self, uint8_t value, Py_ssize_t count) except -1
    cdef void copy_out(self, int64_t position, uint8_t *out, Py_ssize_t count) noexcept
    cdef void forget(self, int64_t position) noexcept
