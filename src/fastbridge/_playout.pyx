"""What was received, sent and heard of the assistant's audio, by item and by response: the playout clock.

Positions count bytes of the ring: received is its tail, then sent, then heard, and heard <= sent <= received always.
It decides nothing, writes nothing and reads no clock. Held, it keeps what is unheard and stands still.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from fastbridge._framing cimport Slice, same
from fastbridge._mulaw cimport Ring
from fastbridge._pacing cimport Schedule
from fastbridge._prefetch cimport REPLY_BYTES, prefetch

from cpython.bytes cimport PyBytes_FromStringAndSize

cdef enum:
    MAX_PENDING_MARKS = 64                  # overflow: the oldest is given up (its echo then counts as stale)
    NS_PER_BYTE = 125_000                   # 8000 bytes a second
    SILENCE = 0xFF
    TRUSTED_MARKS = 3                       # have come back: this carrier sends them back
    USUAL_INTERVAL = 80                     # bucket of 20 ms


cdef class Segment:
    """The audio of one item."""


cdef class Reply:
    """The audio of one response."""


cdef class PendingMark:
    """A mark sent and not echoed."""


cdef class Playout:
    """Positions in the ring; see AssistantLane for what they mean."""

    def __cinit__(self):
        self.segments = []
        self.replies = []
        self.pending = []

    # --- positions ---

    cdef Py_ssize_t unsent(self) noexcept:
        """Whole frames that wait."""
        return <Py_ssize_t>(self.ring.tail - self.sent) // FRAME_BYTES

    cdef int64_t unheard_frames(self, int64_t now) noexcept:
        """Frames sent but not, or not wholly, heard."""
        return (self.sent - self.heard_at(now) + FRAME_BYTES - 1) // FRAME_BYTES

    cdef int64_t heard_at(self, int64_t now) noexcept:
        """The carrier plays in real time: what it has been sent, less what it cannot have played yet."""
        cdef int64_t ahead_ns = self.schedule.play_end_ns + self.delay_ns - now
        cdef int64_t estimate = self.sent
        if self.held:
            return self.heard
        if ahead_ns > 0:
            estimate -= (ahead_ns + NS_PER_BYTE - 1) // NS_PER_BYTE
        self.heard = min(max(self.heard, estimate), self.sent)
        return self.heard

    cdef bint is_playing(self, int64_t now) noexcept:
        return not self.held and (self.unsent() > 0 or self.heard_at(now) < self.sent)

    cdef bint hearing(self, int64_t now, uint8_t *frame) noexcept:
        """The frame the caller hears now, silence where he waits for the first; False if nothing plays."""
        cdef int64_t heard
        cdef Py_ssize_t count
        if not self.is_playing(now):
            return False
        heard = self.heard_at(now)
        count = <Py_ssize_t>min(self.sent - heard, <int64_t>FRAME_BYTES)
        self.ring.copy_out(heard, frame, count)
        memset(frame + count, SILENCE, FRAME_BYTES - count)
        return True

    cdef void warm(self, int64_t position) noexcept:
        """Fetch a frame of the ring from there, and what is noted when one leaves."""
        prefetch(self.ring.data + (position & (self.ring.capacity - 1)), FRAME_BYTES)
        prefetch(<void *>self.current, REPLY_BYTES)
        prefetch(self.schedule.intervals + USUAL_INTERVAL, 1)

    # --- responses and items ---

    cdef Reply open_reply(self):
        """The response that still receives audio."""
        cdef Reply last = self.replies[-1] if self.replies else None
        return last if last is not None and last.end < 0 else None

    cdef Reply leaving(self):
        """The response of the frame that left last, which most often is that of the one before."""
        cdef Reply reply = self.current
        if reply is not None and reply.start < self.sent and (reply.end < 0 or reply.end >= self.sent):
            return reply
        for reply in self.replies:
            if reply.end < 0 or reply.end >= self.sent:
                self.current = reply
                return reply
        return None

    cdef int begin(self, str response_id, int64_t now) except -1:
        cdef Reply reply = Reply()
        self.reclaim(now)
        self.segments = [segment for segment in self.segments if (<Segment>segment).heard < 0]
        reply.response_id = response_id
        reply.start = self.ring.tail
        reply.end = -1
        self.replies.append(reply)
        return 0

    cdef Reply end(self, str response_id):
        """Pad and end the open response, if it is this one. None if it is not, or had no audio."""
        cdef Reply reply = self.open_reply()
        if reply is None or reply.response_id != response_id:
            return None
        if (self.ring.tail - reply.start) % FRAME_BYTES:
            self.ring.fill(SILENCE, FRAME_BYTES - (self.ring.tail - reply.start) % FRAME_BYTES)
        reply.end = self.ring.tail
        if reply.end > reply.start:
            return reply
        self.replies.pop()
        return None

    cdef int receive(self, Slice item_id, bytes response_id, int64_t start) except -1:
        """The audio from `start` to the ring's end is this item's. 1 if the item begins with it."""
        cdef Segment segment = self.segments[-1] if self.segments else None
        cdef bint begins = segment is None or segment.heard >= 0 or not same(item_id, segment.item_id)
        if begins:
            segment = Segment()
            segment.item_id = PyBytes_FromStringAndSize(item_id.text, item_id.size)
            segment.response_id = response_id
            segment.start = start
            segment.heard = -1
            self.segments.append(segment)
        segment.end = self.ring.tail
        return begins

    cdef int reclaim(self, int64_t now) except -1:
        """Give back what has been heard: of the ring all but the frame being heard, of the segments all but the newest."""
        cdef int64_t heard = self.heard_at(now)
        cdef Segment segment
        cdef Reply reply
        self.ring.forget(max(self.sent - self.unheard_frames(now) * FRAME_BYTES, self.ring.head))
        while len(self.segments) > 1:
            segment = self.segments[0]
            if segment.heard < 0 and segment.end > heard:
                break
            self.segments.pop(0)
        while self.replies:
            reply = self.replies[0]
            if not reply.marked or reply.end > heard:
                break
            self.replies.pop(0)
        return 0

    cdef list items(self, int64_t now):
        cdef int64_t heard = self.heard_at(now), heard_bytes
        cdef Segment segment
        cdef list found = []
        for segment in self.segments:
            heard_bytes = segment.heard
            if heard_bytes < 0:
                heard_bytes = min(max(heard - segment.start, 0), segment.end - segment.start)
            if heard_bytes < segment.end - segment.start or segment is self.segments[-1]:
                found.append(
                    (
                        segment.item_id.decode(),
                        segment.response_id.decode(),
                        heard_bytes // BYTES_PER_MS,
                        (segment.end - segment.start) // BYTES_PER_MS,
                    )
                )
        return found

    # --- marks ---

    cdef bytes next_mark(self, str ends):
        """The name of the mark for what has been sent; None where nothing has."""
        cdef PendingMark mark = PendingMark()
        cdef Segment segment = None, candidate
        for candidate in reversed(self.segments):
            if candidate.start < self.sent:
                segment = candidate
                break
        if segment is None:
            return None
        mark.name = b"%d:%b:%d" % (
            self.epoch, segment.item_id, (min(self.sent, segment.end) - segment.start) // BYTES_PER_MS
        )
        mark.position = self.sent
        mark.expected_ns = self.schedule.play_end_ns
        mark.ends = ends
        if len(self.pending) >= MAX_PENDING_MARKS:
            self.pending.pop(0)
        self.pending.append(mark)
        self.marked_at = self.sent
        self.marks_sent += 1
        return mark.name

    cdef list echo(self, bytes name, int64_t now):
        """A mark came back: the responses that have ended with it, or before."""
        cdef PendingMark mark
        cdef list ended
        cdef Py_ssize_t i
        for i in range(len(self.pending)):
            mark = self.pending[i]
            if mark.name == name:
                break
        else:
            self.stale_marks += 1
            return []
        self.marks_played += 1
        self.echoed_at = mark.position
        self.echoed_ns = now
        if not self.held:                   # a clear sends all marks back at once: no time can be told by them
            self.note_delay(max(now - mark.expected_ns, 0))
            self.heard = max(self.heard, mark.position)
        ended = [(<PendingMark>old).ends for old in self.pending[: i + 1] if (<PendingMark>old).ends is not None]
        del self.pending[: i + 1]
        return ended

    cdef int64_t unechoed(self, int64_t now, int64_t silent_ns) noexcept:
        """Frames behind the last mark that came back, if for so long another one should have; else 0."""
        cdef PendingMark oldest
        if self.held or self.marks_played < TRUSTED_MARKS or not self.pending:
            return 0
        oldest = self.pending[0]
        if now - max(oldest.expected_ns + self.delay_ns, self.echoed_ns) < silent_ns:
            return 0
        return max(self.sent - self.echoed_at, <int64_t>0) // FRAME_BYTES

    cdef void note_delay(self, int64_t delay) noexcept:
        """Keep the least delay of the last four marks: an echo can be late for many reasons, never early."""
        cdef int i
        self.delays[self.delay_count % 4] = delay
        self.delay_count += 1
        self.delay_ns = delay
        for i in range(min(self.delay_count, 4)):
            self.delay_ns = min(self.delay_ns, self.delays[i])

    # --- interruption ---

    cdef int hold(self, int64_t now) except -1:
        """The carrier has been cleared: heard stands still, and what is unheard stays. Of the marks those remain whose
        audio was heard before."""
        self.heard = self.heard_at(now)
        self.held = True
        self.epoch += 1
        self.pending = [mark for mark in self.pending if (<PendingMark>mark).position <= self.heard]
        return 0

    cdef list resume(self):
        """Back to the frame the caller was hearing. The responses of which only the end mark is due."""
        cdef int64_t frames = (self.sent - self.heard + FRAME_BYTES - 1) // FRAME_BYTES
        cdef Reply reply
        cdef list ending = []
        self.held = False
        self.frames_rewound += frames
        self.sent -= frames * FRAME_BYTES
        self.marked_at = self.sent
        for reply in self.replies:
            if reply.end > self.sent:
                reply.marked = False
            elif reply.end >= 0 and not reply.marked:
                ending.append(reply)
        return ending

    cdef int forget(self, int64_t now) except -1:
        """The unheard will never be heard: each item keeps the position it was heard to."""
        cdef int64_t heard = self.heard_at(now)
        cdef Segment segment
        for segment in self.segments:
            if segment.heard < 0:
                segment.heard = min(max(heard - segment.start, 0), segment.end - segment.start)
        if not self.held:
            self.epoch += 1
        self.held = False
        self.replies.clear()
        self.current = None
        self.pending.clear()
        self.sent = self.heard = self.marked_at = self.echoed_at = self.ring.tail
        self.ring.forget(self.ring.tail)
        return 0
