"""What a load run measures with, without a socket or a clock: histograms, tagged frames, a player, an attentive ear.

Everything has a fixed size, however long a run is. Nothing here raises on what a bridge sent: it is counted.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport NAN, ceil
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memmove, memset

cdef extern from *:
    """
    #define fb_highest_bit(x) (63 - __builtin_clzll(x))
    #define FB_MIX 0x9E3779B97F4A7C15ULL
    """
    uint64_t FB_MIX                         # 2^64 by the golden ratio: an odd number with no pattern
    int fb_highest_bit(uint64_t x) noexcept nogil

cdef enum:
    NS_PER_BYTE = 125_000
    TAG_BYTES = 64                          # one bit each
    ANCHOR = 16                             # bytes of speech that are enough to know a place by
    LONGEST_SAY = 65_536

cdef uint8_t[TABLE + LONGEST_SAY] SPEECH    # the beginning again at the end, so that no read wraps around


cdef void build_speech() noexcept:
    """Noise at the level of speech. No byte of it means silence, so padding is told from speech."""
    cdef uint32_t state = 0x2545F491
    cdef Py_ssize_t i
    for i in range(TABLE):
        state ^= state << 13
        state ^= state >> 17
        state ^= state << 5
        SPEECH[i] = <uint8_t>((0x80 if state & 64 else 0) | (0x30 + (state & 63)))
    memcpy(&SPEECH[TABLE], &SPEECH[0], LONGEST_SAY)


build_speech()

# Histograms


cdef int bucket_of(uint64_t value) noexcept nogil:
    cdef int octave
    if value < 1 << LINEAR_BITS:
        return <int>value
    octave = fb_highest_bit(value) - LINEAR_BITS
    if octave >= OCTAVES:
        return BUCKETS - 1
    return (1 << LINEAR_BITS) + (octave << OCTAVE_BITS) + <int>(
        (value >> (octave + LINEAR_BITS - OCTAVE_BITS)) & ((1 << OCTAVE_BITS) - 1)
    )


cdef double middle_of(int bucket) noexcept nogil:
    cdef int octave, width
    if bucket < 1 << LINEAR_BITS:
        return bucket
    octave = (bucket - (1 << LINEAR_BITS)) >> OCTAVE_BITS
    width = octave + LINEAR_BITS - OCTAVE_BITS
    return <double>((<uint64_t>((1 << OCTAVE_BITS) + (bucket & ((1 << OCTAVE_BITS) - 1)))) << width) + (
        <double>(<uint64_t>1 << width) / 2
    )


cdef void hist_add(Hist *hist, int64_t value_ns) noexcept nogil:
    if value_ns < 0:
        value_ns = 0
    if not hist.count or value_ns < hist.low:
        hist.low = value_ns
    if value_ns > hist.high:
        hist.high = value_ns
    hist.count += 1
    hist.total += <double>value_ns
    hist.buckets[bucket_of(<uint64_t>value_ns)] += 1


cdef class Histogram:
    def add(self, int64_t value_ns) -> None:
        hist_add(&self.hist, value_ns)

    @property
    def count(self) -> int:
        return self.hist.count

    @property
    def min_ns(self) -> float:
        return <double>self.hist.low if self.hist.count else NAN

    @property
    def max_ns(self) -> float:
        return <double>self.hist.high if self.hist.count else NAN

    @property
    def mean_ns(self) -> float:
        return self.hist.total / self.hist.count if self.hist.count else NAN

    def quantile_ns(self, double quantile) -> float:
        cdef double want = max(1.0, ceil(quantile * self.hist.count))
        cdef uint64_t seen = 0
        cdef int i
        if not self.hist.count:
            return NAN
        for i in range(BUCKETS):
            seen += self.hist.buckets[i]
            if <double>seen >= want:
                return min(max(middle_of(i), <double>self.hist.low), <double>self.hist.high)
        return <double>self.hist.high

    def counts(self) -> list[tuple[float, int]]:
        return [(middle_of(i), self.hist.buckets[i]) for i in range(BUCKETS) if self.hist.buckets[i]]


# Tagged frames: who sent which, in the lowest bit of 64 samples, where nobody hears it.


cdef uint64_t tag_of(uint32_t call, uint32_t number) noexcept nogil:
    cdef uint64_t fact = (<uint64_t>(number & 0xFFFFFF) << 16) | (call & 0xFFFF)
    return (fact << 24) | (((fact + 1) * FB_MIX) >> 40)


cdef void write_tag(uint8_t *frame, uint32_t call, uint32_t number) noexcept nogil:
    cdef uint64_t tag = tag_of(call, number)
    cdef int i
    for i in range(TAG_BYTES):
        frame[i] = <uint8_t>((frame[i] & 0xFE) | ((tag >> i) & 1))


cdef bint read_tag(const uint8_t *frame, uint32_t *call, uint32_t *number) noexcept nogil:
    cdef uint64_t tag = 0
    cdef int i
    for i in range(TAG_BYTES):
        tag |= <uint64_t>(frame[i] & 1) << i
    call[0] = <uint32_t>((tag >> 24) & 0xFFFF)
    number[0] = <uint32_t>(tag >> 40)
    return tag == tag_of(call[0], number[0])


def tagged(bytes frame not None, uint32_t call, uint32_t number) -> bytes:
    if PyBytes_GET_SIZE(frame) != FRAME:
        raise ValueError(f"a frame has {FRAME} bytes, not {len(frame)}")
    cdef bytes out = PyBytes_FromStringAndSize(PyBytes_AS_STRING(frame), FRAME)
    write_tag(<uint8_t *>PyBytes_AS_STRING(out), call, number)
    return out


def tag(bytes frame not None) -> tuple[int, int] | None:
    cdef uint32_t call, number
    if PyBytes_GET_SIZE(frame) < TAG_BYTES:
        return None
    if read_tag(<const uint8_t *>PyBytes_AS_STRING(frame), &call, &number):
        return call, number
    return None


cdef Py_ssize_t finder_put(Finder *finder, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """Bytes taken: as many as there is room for."""
    count = min(count, FINDER - finder.size)
    memcpy(finder.data + finder.size, data, count)
    finder.size += count
    return count


cdef bint finder_take(Finder *finder, uint8_t *frame, uint32_t *call, uint32_t *number) noexcept nogil:
    """The next tagged frame, whole, into FRAME bytes; bytes before it are skipped and counted. False: none yet."""
    cdef Py_ssize_t at = 0
    cdef bint found = False
    while finder.size - at >= FRAME:
        found = read_tag(finder.data + at, call, number)
        if found:
            memcpy(frame, finder.data + at, FRAME)
            break
        at += 1
    finder.skipped += at
    at += FRAME if found else 0
    finder.size -= at
    memmove(finder.data, finder.data + at, finder.size)
    return found


cdef class FrameFinder:
    cdef Finder finder

    def feed(self, bytes audio not None) -> list[tuple[int, int, bytes]]:
        cdef uint8_t[FRAME] frame
        cdef uint32_t call, number
        cdef Py_ssize_t at = 0, size = PyBytes_GET_SIZE(audio)
        found = []
        while at < size:
            at += finder_put(&self.finder, <const uint8_t *>PyBytes_AS_STRING(audio) + at, size - at)
            while finder_take(&self.finder, frame, &call, &number):
                found.append((call, number, PyBytes_FromStringAndSize(<char *>frame, FRAME)))
        return found

    @property
    def skipped_bytes(self) -> int:
        return self.finder.skipped


# The carrier's player


cdef int64_t playout_take(Playout *playout, int64_t now_ns, Py_ssize_t count) noexcept nogil:
    """Audio has come. For how long the player had been dry: negative, that much was left to play."""
    cdef int64_t dry = now_ns - playout.end_ns
    playout.end_ns = max(playout.end_ns, now_ns) + count * NS_PER_BYTE
    return dry


cdef bint playout_mark(Playout *playout, int64_t now_ns, const char *name, Py_ssize_t size) noexcept nogil:
    """To be echoed when all that came before it has been played. False: it is too long, or too many are pending."""
    cdef Mark *mark
    if size > MARK_NAME or playout.next - playout.first >= MARKS:
        playout.marks_overflowed += 1
        return False
    mark = &playout.marks[playout.next & (MARKS - 1)]
    mark.at_ns = max(playout.end_ns, now_ns)
    mark.size = <int>size
    memcpy(mark.name, name, size)
    playout.next += 1
    return True


cdef Mark *playout_due(Playout *playout, int64_t now_ns) noexcept nogil:
    """The next mark to echo, which is then forgotten; NULL when none is due."""
    cdef Mark *mark = &playout.marks[playout.first & (MARKS - 1)]
    if playout.first == playout.next or mark.at_ns > now_ns:
        return NULL
    playout.first += 1
    return mark


cdef void playout_clear(Playout *playout, int64_t now_ns) noexcept nogil:
    """Nothing is left to play, and every mark is due."""
    cdef uint32_t i
    playout.end_ns = min(playout.end_ns, now_ns)
    for i in range(playout.first, playout.next):
        playout.marks[i & (MARKS - 1)].at_ns = now_ns


cdef class Player:
    cdef Playout playout

    def take(self, int64_t now_ns, Py_ssize_t count) -> int:
        return playout_take(&self.playout, now_ns, count)

    def mark(self, int64_t now_ns, bytes name not None) -> bool:
        return playout_mark(&self.playout, now_ns, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))

    def due(self, int64_t now_ns) -> list[bytes]:
        cdef Mark *mark = playout_due(&self.playout, now_ns)
        names = []
        while mark is not NULL:
            names.append(PyBytes_FromStringAndSize(mark.name, mark.size))
            mark = playout_due(&self.playout, now_ns)
        return names

    def clear(self, int64_t now_ns) -> None:
        playout_clear(&self.playout, now_ns)

    @property
    def end_ns(self) -> int:
        return self.playout.end_ns


# What the model says, and the ear that knows it by heart


cdef Py_ssize_t start_of(uint32_t call, int64_t response) noexcept nogil:
    """Where in the table a response begins."""
    cdef uint64_t mixed = (<uint64_t>call * 1_000_003 + <uint64_t>response * 7919 + 1) * FB_MIX
    return <Py_ssize_t>(mixed >> 47)


cdef const uint8_t *speech_at(Talk *talk, int64_t response, uint32_t position) noexcept nogil:
    return &SPEECH[(start_of(talk.call, response) + position) & (TABLE - 1)]


cdef Spoken *talk_spoken(Talk *talk, int64_t response) noexcept nogil:
    return &talk.spoken[response & (RESPONSES - 1)]


cdef void talk_init(Talk *talk, uint32_t call) noexcept nogil:
    memset(talk, 0, sizeof(Talk))
    talk.call = call
    talk.floor = -1


cdef int64_t talk_begin(Talk *talk) noexcept nogil:
    """A new response; its number. An ear that lags RESPONSES behind has lost the oldest of them."""
    cdef Spoken *oldest = talk_spoken(talk, talk.begun)
    if talk.begun - talk.response >= RESPONSES:
        talk.faults += 1
        talk.lost += oldest.sent - talk.position
        talk.response += 1
        talk.position = 0
    memset(oldest, 0, sizeof(Spoken))
    talk.begun += 1
    return talk.begun - 1


cdef const uint8_t *talk_say(Talk *talk, Py_ssize_t count) noexcept nogil:
    """The newest response's next bytes, at most LONGEST_SAY."""
    cdef Spoken *spoken = talk_spoken(talk, talk.begun - 1)
    cdef const uint8_t *audio = speech_at(talk, talk.begun - 1, spoken.sent)
    spoken.sent += <uint32_t>count
    return audio


cdef void talk_cleared(Talk *talk, Py_ssize_t buffered) noexcept nogil:
    """The player was emptied with that many bytes unheard: the response may resume there, or have ended."""
    talk.floor = max(<int64_t>talk.position - buffered - FRAME, 0)


cdef bint is_silence(const uint8_t *data, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(count):
        if data[i] & 0x7E != 0x7E:
            return False
    return True


cdef Py_ssize_t common(const uint8_t *a, const uint8_t *b, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i = 0
    if memcmp(a, b, count) == 0:
        return count
    while a[i] == b[i]:
        i += 1
    return i


cdef Py_ssize_t located(const uint8_t *data) noexcept nogil:
    """Where in the table these ANCHOR bytes are, or -1."""
    cdef const uint8_t *at = &SPEECH[0]
    cdef const uint8_t *end = &SPEECH[TABLE]
    while True:
        at = <const uint8_t *>memchr(at, data[0], end - at)
        if at is NULL:
            return -1
        if memcmp(at, data, ANCHOR) == 0:
            return at - &SPEECH[0]
        at += 1


cdef bint skip_to_later(Talk *talk, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """Does a later response begin here? What the ear missed of those before is lost, unless they were cut."""
    cdef int64_t response, passed
    cdef Spoken *spoken
    cdef Py_ssize_t known = min(count, ANCHOR)
    for response in range(talk.response + 1, talk.begun):
        if <Py_ssize_t>talk_spoken(talk, response).sent < known or memcmp(
            speech_at(talk, response, 0), data, known
        ) != 0:
            continue
        for passed in range(talk.response, response):
            spoken = talk_spoken(talk, passed)
            if not spoken.cut and talk.position < spoken.sent:
                talk.faults += 1
                talk.lost += spoken.sent - talk.position
            talk.position = 0
        talk.response = response
        talk.floor = -1
        return True
    return False


cdef bint find_again(Talk *talk, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """These bytes are not what comes next. Take up where they are in this response; False: they are to be left out."""
    cdef Spoken *spoken = talk_spoken(talk, talk.response)
    cdef Py_ssize_t place = located(data) if count >= ANCHOR else -1
    cdef int64_t position
    if place < 0:
        talk.faults += 1
        talk.altered += count
        if talk.response < talk.begun:
            talk.position = <uint32_t>min(<Py_ssize_t>talk.position + count, <Py_ssize_t>spoken.sent)
        return False
    position = (place - start_of(talk.call, talk.response)) & (TABLE - 1)
    if talk.response >= talk.begun or position >= spoken.sent:
        talk.faults += 1
        talk.foreign += count
        return False
    if position < talk.position:
        if 0 <= talk.floor <= position:
            talk.resumed += 1
            talk.position = <uint32_t>position
            talk.floor = -1
            return True
        talk.faults += 1
        talk.repeated += count
        return False
    if not spoken.cut:
        talk.faults += 1
        talk.lost += <uint64_t>position - talk.position
    talk.position = <uint32_t>position
    return True


cdef bint one_altered(Talk *talk, const uint8_t *data, Py_ssize_t left, Py_ssize_t count) noexcept nogil:
    """Is only this first byte another than the one expected, and do the next agree?"""
    cdef Py_ssize_t both = min(left, count) - 1
    return both > 0 and common(
        speech_at(talk, talk.response, talk.position + 1), data + 1, both
    ) >= min(<Py_ssize_t>ANCHOR, both)


cdef void take_up(Talk *talk, Py_ssize_t count, int *heard) noexcept nogil:
    """These bytes were the ones expected."""
    if count:
        heard[0] = 1 if heard[0] == 1 or talk.position == 0 else 0
        talk.position += <uint32_t>count


cdef int talk_hear(Talk *talk, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    """Judge audio as it arrived. 1: with it a response began to be heard; 0: it did not; -1: there was no speech."""
    cdef Py_ssize_t i = 0, match, left, before
    cdef int heard = -1, before_heard
    while i < count:
        left = talk_spoken(talk, talk.response).sent - talk.position if talk.response < talk.begun else 0
        match = common(speech_at(talk, talk.response, talk.position), data + i, min(left, count - i)) if left else 0
        before, before_heard = talk.position, heard
        take_up(talk, match, &heard)
        i += match
        if i == count:
            break
        if is_silence(data + i, count - i):
            talk.padding += <uint64_t>(count - i) if i else 0
            talk.silence += 0 if i else 1
            break
        if match < left and one_altered(talk, data + i, left - match, count - i):
            heard = max(heard, 0)
            talk.faults += 1
            talk.altered += 1
            talk.position += 1
            i += 1
            continue
        if 0 < match < left and match < ANCHOR:
            talk.position, heard = <uint32_t>before, before_heard  # a few bytes agree by chance
            i -= match
        if skip_to_later(talk, data + i, count - i):
            continue
        heard = max(heard, 0)
        if not find_again(talk, data + i, count - i):
            break
    return heard


cdef class Conversation:
    cdef Talk talk

    def __init__(self, uint32_t call):
        talk_init(&self.talk, call)

    def begin(self) -> int:
        return talk_begin(&self.talk)

    def say(self, Py_ssize_t count) -> bytes:
        if not self.talk.begun or not 0 <= count <= LONGEST_SAY:
            raise ValueError("begin a response first, and say at most 65536 bytes at once")
        return PyBytes_FromStringAndSize(<const char *>talk_say(&self.talk, count), count)

    def cut(self, int64_t response) -> None:
        talk_spoken(&self.talk, response).cut = True

    def cleared(self, Py_ssize_t buffered) -> None:
        talk_cleared(&self.talk, buffered)

    def hear(self, bytes audio not None) -> int:
        return talk_hear(&self.talk, <const uint8_t *>PyBytes_AS_STRING(audio), PyBytes_GET_SIZE(audio))

    @property
    def position(self) -> tuple[int, int]:
        return self.talk.response, self.talk.position

    @property
    def counts(self) -> dict[str, int]:
        cdef Talk *talk = &self.talk
        return {
            "faults": talk.faults,
            "lost": talk.lost,
            "altered": talk.altered,
            "repeated": talk.repeated,
            "foreign": talk.foreign,
            "padding": talk.padding,
            "silence": talk.silence,
            "resumed": talk.resumed,
        }
