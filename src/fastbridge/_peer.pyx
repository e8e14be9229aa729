"""One end of a WebSocket in a load run: the kernel's time stamps, writing without waiting, a little JSON.

The kernel stamps what arrives when the sender's system call delivers it, so a player may look late and still say when
it came. No protocol is judged here: what is no WebSocket message, or too long, ends the connection.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset, strlen

from fastbridge._framing cimport Slice
from fastbridge._websocket cimport apply_mask, write_header

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <poll.h>
    #include <sys/epoll.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    static long long fb_clock(clockid_t clock) {
        struct timespec at;
        clock_gettime(clock, &at);
        return at.tv_sec * 1000000000LL + at.tv_nsec;
    }

    static void fb_sleep_until(long long deadline) {
        struct timespec at = {deadline / 1000000000LL, deadline % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }

    static void fb_wait(int fd, long long patience) {
        struct pollfd watched = {fd, POLLIN, 0};
        struct timespec limit = {patience / 1000000000LL, patience % 1000000000LL};
        ppoll(&watched, 1, &limit, NULL);
    }

    /* Edges only: a read that does not fill its buffer has left nothing, so no socket is asked twice. */
    static int fb_watch(int epoll, int fd, unsigned long long tag) {
        struct epoll_event event;
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u64 = tag;
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }

    /* Reads, and says when the newest of what was read came in, on CLOCK_REALTIME; 0 where the kernel does not say. */
    static ssize_t fb_read(int fd, void *buffer, size_t room, long long *stamp) {
        union { char bytes[CMSG_SPACE(sizeof(struct timespec))]; struct cmsghdr align; } control;
        struct iovec into = {buffer, room};
        struct msghdr message = {0};
        struct cmsghdr *each;
        ssize_t count;
        message.msg_iov = &into;
        message.msg_iovlen = 1;
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        *stamp = 0;
        count = recvmsg(fd, &message, MSG_DONTWAIT);
        if (count > 0)
            for (each = CMSG_FIRSTHDR(&message); each; each = CMSG_NXTHDR(&message, each))
                if (each->cmsg_level == SOL_SOCKET && each->cmsg_type == SCM_TIMESTAMPNS) {
                    struct timespec at;
                    memcpy(&at, CMSG_DATA(each), sizeof at);
                    *stamp = at.tv_sec * 1000000000LL + at.tv_nsec;
                }
        return count;
    }

    static ssize_t fb_send(int fd, const void *data, size_t count) {
        return send(fd, data, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    /* Time stamps on; and no acknowledgement of its own for each message read, which would be half of our work. */
    static void fb_prepare(int fd) {
        int on = 1, off = 0;
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off);
    }
    static int fb_close(int fd) { return close(fd); }
    """
    int CLOCK_MONOTONIC, CLOCK_REALTIME
    long long fb_clock(int clock) noexcept nogil
    void fb_sleep_until(long long deadline) noexcept nogil
    void fb_wait(int fd, long long patience) noexcept nogil
    int fb_watch(int epoll, int fd, unsigned long long tag) noexcept nogil
    ssize_t fb_read(int fd, void *buffer, size_t room, long long *stamp) noexcept nogil
    ssize_t fb_send(int fd, const void *data, size_t count) noexcept nogil
    void fb_prepare(int fd) noexcept nogil
    int fb_close(int fd) noexcept nogil

cdef enum:
    MAX_HEADER = 14
    SMALL_FRAME = 65_536

cdef uint8_t[MAX_HEADER + READ_BYTES] OUT    # the frame being sent: one thread plays


cdef int64_t monotonic() noexcept nogil:
    return fb_clock(CLOCK_MONOTONIC)


cdef void sleep_until(int64_t deadline_ns) noexcept nogil:
    fb_sleep_until(deadline_ns)


cdef void wait_until(int epoll, int64_t deadline_ns) noexcept nogil:
    """Until the deadline, or until something can be read."""
    cdef int64_t patience = deadline_ns - monotonic()
    if patience > 0:
        fb_wait(epoll, patience)


cdef int watch(int epoll, int fd, uint64_t tag) noexcept nogil:
    return fb_watch(epoll, fd, tag)


cdef void peer_open(Peer *peer, int fd, bint client, uint32_t seed) noexcept nogil:
    memset(peer, 0, sizeof(Peer))
    peer.fd = fd
    peer.client = client
    peer.mask_state = seed | 1
    fb_prepare(fd)


cdef void peer_close(Peer *peer) noexcept nogil:
    if peer.fd >= 0:
        fb_close(peer.fd)
    peer.fd = -1
    free(peer.kept)
    free(peer.queued)
    peer.kept = peer.queued = NULL
    peer.kept_size = peer.kept_capacity = peer.queued_size = peer.queued_capacity = 0


cdef Py_ssize_t peer_read(Peer *peer, uint8_t *buffer, int64_t *arrived_ns) noexcept nogil:
    """What has come, behind what was kept, into READ_BYTES of buffer: its size. 0: nothing yet. -1: the end."""
    cdef long long stamp
    cdef Py_ssize_t count = fb_read(peer.fd, buffer + peer.kept_size, READ_BYTES - peer.kept_size, &stamp)
    cdef int64_t now = monotonic()
    if count <= 0:
        return 0 if count < 0 and (errno == EAGAIN or errno == EINTR) else -1
    # The realtime clock may be set, so its difference to the monotonic one is taken afresh.
    arrived_ns[0] = min(now, stamp - fb_clock(CLOCK_REALTIME) + now) if stamp else now
    if peer.kept_size:
        memcpy(buffer, peer.kept, peer.kept_size)
        count += peer.kept_size
        peer.kept_size = 0
    return count


cdef bint room(uint8_t **buffer, Py_ssize_t *capacity, Py_ssize_t size) noexcept nogil:
    cdef uint8_t *grown
    if size > capacity[0]:
        grown = <uint8_t *>realloc(buffer[0], 2 * size)
        if grown is NULL:
            return False
        buffer[0] = grown
        capacity[0] = 2 * size
    return True


cdef bint peer_keep(Peer *peer, const uint8_t *rest, Py_ssize_t count) noexcept nogil:
    """False: this is more than a message may have."""
    if count >= READ_BYTES or not room(&peer.kept, &peer.kept_capacity, count):
        return False
    if count:  # the buffer may not exist yet, and memcpy takes no null
        memcpy(peer.kept, rest, count)
    peer.kept_size = count
    return True


cdef bint peer_queue(Peer *peer, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    if peer.queued_size + count > QUEUE_BYTES:
        return False
    if not room(&peer.queued, &peer.queued_capacity, peer.queued_size + count):
        return False
    if count:
        memcpy(peer.queued + peer.queued_size, data, count)
    peer.queued_size += count
    peer.queued_peak = max(peer.queued_peak, peer.queued_size)
    return True


cdef bint peer_write(Peer *peer, const uint8_t *data, Py_ssize_t count) noexcept nogil:
    cdef ssize_t sent = 0
    if peer.fd < 0:
        return False
    if not peer.queued_size:
        sent = fb_send(peer.fd, data, count)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                return False
            sent = 0
    return sent == count or peer_queue(peer, data + sent, count - sent)


cdef bint peer_flush(Peer *peer) noexcept nogil:
    """Offer the kernel what it did not take. False: the connection is broken."""
    cdef ssize_t sent
    if not peer.queued_size:
        return True
    sent = fb_send(peer.fd, peer.queued, peer.queued_size)
    if sent < 0:
        return errno == EAGAIN or errno == EINTR
    peer.queued_size -= sent
    memmove(peer.queued, peer.queued + sent, peer.queued_size)
    return True


cdef bint peer_send(Peer *peer, int opcode, const char *payload, Py_ssize_t size) noexcept nogil:
    """One unfragmented message. False: the connection is broken, or its other end does not read."""
    cdef uint32_t key = 0
    cdef Py_ssize_t header
    if size > READ_BYTES:
        return False
    if peer.client:
        peer.mask_state ^= peer.mask_state << 13
        peer.mask_state ^= peer.mask_state >> 17
        peer.mask_state ^= peer.mask_state << 5
        key = peer.mask_state
    header = write_header(OUT, size, peer.client, key)
    OUT[0] = <uint8_t>(0x80 | opcode)
    if peer.client:
        apply_mask(OUT + header, <const uint8_t *>payload, size, key)
    else:
        memcpy(OUT + header, payload, size)
    return peer_write(peer, OUT, header + size)


cdef Py_ssize_t cut_message(uint8_t *data, Py_ssize_t count, bint masked, Message *out) noexcept nogil:
    """The first frame of these bytes, unmasked in place: its whole size. 0: it is not complete. -1: it never will be."""
    cdef Py_ssize_t length, header = 2, i
    cdef uint32_t key
    if count < 2:
        return 0
    length = data[1] & 0x7F
    if length >= 126:
        header = 4 if length == 126 else 10
        if count < header:
            return 0
        length = 0
        for i in range(2, header):
            length = (length << 8) | data[i]
    if (data[1] >> 7) != masked or length < 0 or length > READ_BYTES - MAX_HEADER or data[0] & 0x70:
        return -1
    header += 4 if masked else 0
    if count < header + length:
        return 0
    out.opcode = data[0] & 0x0F
    out.whole = data[0] >> 7
    out.text = <char *>data + header
    out.size = length
    if masked:
        memcpy(&key, data + header - 4, 4)
        apply_mask(data + header, data + header, length, key)
    return header + length


def first_frame(bytes data not None, *, bint masked) -> tuple[int, int, bool, bytes] | None:
    cdef Message message
    cdef bytes copy = PyBytes_FromStringAndSize(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
    cdef Py_ssize_t used = cut_message(<uint8_t *>PyBytes_AS_STRING(copy), PyBytes_GET_SIZE(copy), masked, &message)
    if used < 0:
        raise ValueError("this is no WebSocket frame of that direction")
    if used == 0:
        return None
    return used, message.opcode, message.whole, PyBytes_FromStringAndSize(message.text, message.size)


# Just enough JSON: the value of a key of an object, as it is written.


cdef const char *string_end(const char *at, const char *end) noexcept nogil:
    """Behind the closing quote of the string whose opening quote `at` is on; NULL without one."""
    at += 1
    while at < end:
        if at[0] == c'"':
            return at + 1
        at += 2 if at[0] == c'\\' else 1
    return NULL


cdef const char *value_end(const char *at, const char *end) noexcept nogil:
    """Behind the value that begins at `at`; NULL when it does not end."""
    cdef int depth = 0
    while at < end:
        if at[0] == c'"':
            at = string_end(at, end)
            if at is NULL or depth == 0:
                return at
            continue
        if at[0] == c'{' or at[0] == c'[':
            depth += 1
        elif at[0] == c'}' or at[0] == c']':
            if depth == 0:
                return at
            depth -= 1
            if depth == 0:
                return at + 1
        elif at[0] == c',' and depth == 0:
            return at
        at += 1
    return NULL


cdef const char *blank(const char *at, const char *end) noexcept nogil:
    while at < end and (at[0] == c' ' or at[0] == c'\n' or at[0] == c'\t' or at[0] == c'\r'):
        at += 1
    return at


cdef bint json_value(const char *text, Py_ssize_t size, const char *key, Slice *out) noexcept nogil:
    """A string without its quotes (and with its escapes), an object or array with its brackets. False: not there."""
    cdef const char *end = text + size
    cdef const char *at = blank(text, end)
    cdef const char *name
    cdef Py_ssize_t name_size
    if at >= end or at[0] != c'{':
        return False
    at = blank(at + 1, end)
    while at < end and at[0] == c'"':
        name = at + 1
        at = string_end(at, end)
        if at is NULL:
            return False
        name_size = at - 1 - name
        at = blank(at, end)
        if at >= end or at[0] != c':':
            return False
        at = blank(at + 1, end)
        out.text = at
        at = value_end(at, end)
        if at is NULL:
            return False
        if name_size == <Py_ssize_t>strlen(key) and memcmp(name, key, name_size) == 0:
            out.size = at - out.text
            while out.size and (out.text[out.size - 1] == c' ' or out.text[out.size - 1] == c'\n'):
                out.size -= 1
            if out.size >= 2 and out.text[0] == c'"':
                out.text += 1
                out.size -= 2
            return out.size >= 0
        at = blank(at, end)
        if at < end and at[0] == c',':
            at = blank(at + 1, end)
    return False


cdef bint json_is(Slice value, const char *text) noexcept nogil:
    return value.size == <Py_ssize_t>strlen(text) and memcmp(value.text, text, value.size) == 0


cdef int64_t json_integer(Slice value) noexcept nogil:
    """A whole number, its digits up to a point; -1 for anything else."""
    cdef int64_t number = 0
    cdef Py_ssize_t i
    for i in range(min(value.size, 18)):
        if not c'0' <= value.text[i] <= c'9':
            return number if i else -1
        number = number * 10 + (value.text[i] - c'0')
    return number if value.size else -1


def find_value(bytes text not None, bytes key not None) -> bytes | None:
    cdef Slice found
    if json_value(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), PyBytes_AS_STRING(key), &found):
        return PyBytes_FromStringAndSize(found.text, found.size)
    return None
