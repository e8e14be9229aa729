from libc.stdint cimport int64_t, uint8_t


cdef enum:
    PAYLOAD_CHARS = 216                     # base64 of a frame

cdef enum Kind:
    KIND_OTHER = 0
    KIND_MEDIA = 1
    KIND_MARK = 2
    KIND_DELTA = 3
    KIND_IGNORED = 4
    KIND_WORDS = 5


cdef struct Slice:
    const char *text
    Py_ssize_t size


cdef struct TwilioMessage:
    Slice stream_sid
    int64_t chunk
    int64_t timestamp_ms
    Slice payload                           # of media: base64
    Slice name                              # of mark


cdef struct RealtimeMessage:
    Slice event_id
    Slice response_id
    Slice item_id
    int64_t content_index
    Slice delta                             # base64, or words as UTF-8


cdef Kind scan_twilio_message(const char *text, Py_ssize_t size, TwilioMessage *out) noexcept nogil
cdef Kind scan_realtime_message(const char *text, Py_ssize_t size, RealtimeMessage *out) noexcept nogil
cdef Kind scan_live_message(const char *text, Py_ssize_t size, RealtimeMessage *out) noexcept nogil
cdef bint same(Slice a, bytes b) noexcept
cdef Slice slice_of(bytes text) noexcept
cdef bytes bytes_of(Slice s)
