from libc.stdint cimport int64_t, uint8_t

from fastbridge._loadmodel cimport Model, Session


cdef class LiveModel(Model):
    cdef bint is_live

    cdef void stream(self, Session *session) noexcept nogil
    cdef Py_ssize_t utter(self, Session *session, uint8_t *into, Py_ssize_t room, int64_t place) noexcept nogil
    cdef void tell_words(self, Session *session, int script, int64_t start_ms) noexcept nogil
    cdef void start(self, Session *session, const char *text, Py_ssize_t size, int64_t at) noexcept nogil
    cdef void asked_to_speak(self, Session *session, int64_t at) noexcept nogil
    cdef void acknowledge(self, Session *session, int script, const char *text, Py_ssize_t size) noexcept nogil
