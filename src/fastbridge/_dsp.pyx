"""The caller's audio made easier to understand: rumble and offset taken out, peaks rounded off. Mu-law in, mu-law out.

It knows of no call, no switch and no frame size. Whether it runs is its caller's choice; what it may never do is change
the length, raise, or remember another call.
"""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport M_PI, fabs, tan
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from fastbridge._mulaw cimport CODE, LINEAR

# Constants of the C compiler: a variable would be read anew for each sample, since `out` may point at anything.
cdef enum:
    CORNER = 100
    LIMIT_FROM = 28_000
    LIMIT_RATIO = 4
    LOUDEST = 32_124                        # of G.711
    POSSIBLE = 65_536                       # the high-pass can at most double a sample: its |h[n]| add up to 2 * gain

CORNER_HZ = float(CORNER)
THRESHOLD = float(LIMIT_FROM)
RATIO = float(LIMIT_RATIO)

cdef double TANGENT = tan(M_PI * CORNER / 8000)
cdef double decay = (1 - TANGENT) / (1 + TANGENT)
cdef double gain = 1 / (1 + TANGENT)
DECAY = decay
GAIN = gain


cdef double limited(double sample) noexcept nogil:
    cdef double magnitude = fabs(sample)
    if magnitude <= LIMIT_FROM:
        return sample
    magnitude = min(LIMIT_FROM + (magnitude - LIMIT_FROM) / LIMIT_RATIO, <double>LOUDEST)
    return -magnitude if sample < 0 else magnitude


def limit(double sample) -> float:
    return limited(sample)


@cython.final
cdef class HighpassLimiter:
    """The state of one call."""

    cdef int filter(self, const uint8_t *ulaw, uint8_t *out, Py_ssize_t count) noexcept nogil:
        """Into `out`, which may be `ulaw` itself. 1 when a code changed; 0 when none did, so that the caller may use what
        it had."""
        cdef double x, before = self.last_input, y = self.last_output, a = decay, b = gain
        cdef uint8_t code, changed = 0
        cdef Py_ssize_t i
        if count <= 0:
            return 0
        # Written so that it is true of a state that is not a number, too.
        if not (fabs(before) <= POSSIBLE and fabs(y) <= POSSIBLE):
            self.failures += 1
            self.begun = False
            self.last_input = self.last_output = 0
            if out != ulaw:
                memcpy(out, ulaw, count)
            return 0
        if not self.begun:
            self.begun = True
            before = LINEAR[ulaw[0]]
        for i in range(count):
            x = LINEAR[ulaw[i]]
            y = a * y + b * (x - before)
            before = x
            if fabs(y) < 1e-6:              # far below half a step of mu-law, far above a denormal
                y = 0
            # The nearest code: G.711's decision values are multiples of 4, and the cast goes towards zero as they do.
            code = CODE[<int>(limited(y) / 4) * 4 + 32768]
            changed |= code ^ ulaw[i]
            out[i] = code
        self.last_input = before
        self.last_output = y
        return changed != 0

    def process(self, bytes ulaw not None) -> bytes:
        cdef Py_ssize_t count = PyBytes_GET_SIZE(ulaw)
        cdef bytes out = PyBytes_FromStringAndSize(NULL, count)
        self.filter(<const uint8_t *>PyBytes_AS_STRING(ulaw), <uint8_t *>PyBytes_AS_STRING(out), count)
        return out
