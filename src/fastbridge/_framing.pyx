"""The dialects' hot messages: recognised by their whole, exact layout, or left to a JSON parser.

Searching for a key inside the text would be quicker to write and wrong: instructions, transcripts and custom
parameters may hold the same bytes. So each scan is a straight-line match from the first byte to the last.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp, strlen

from fastbridge._mulaw cimport b64_encode_into, b64_encoded_size

OTHER = <int>KIND_OTHER
MEDIA = <int>KIND_MEDIA
MARK = <int>KIND_MARK
DELTA = <int>KIND_DELTA
IGNORED = <int>KIND_IGNORED
WORDS = <int>KIND_WORDS

cdef enum:
    MAX_DIGITS = 18                         # fits an int64
    MAX_INDEX_DIGITS = 9
    MAX_ID = 64
    MAX_NAME = 128
    NO_LIMIT = 1 << 30

# What a character may be part of.
cdef enum:
    DIGIT = 1
    ALNUM = 2
    IDENT = 4                               # [A-Za-z0-9_-]
    NAME = 8                                # [A-Za-z0-9_:.-]
    BASE64 = 16                             # [A-Za-z0-9+/=]

cdef uint8_t[256] CLASS

# The second byte of a UTF-8 character of three or four, by the last five bits of the first: not overlong, no surrogate,
# not beyond U+10FFFF.
cdef uint8_t[32] LEAST_SECOND
cdef uint8_t[32] MOST_SECOND


cdef void build_tables() noexcept:
    cdef int c
    for c in range(256):
        CLASS[c] = 0
    for c in b"0123456789":
        CLASS[c] |= DIGIT
    for c in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        CLASS[c] |= ALNUM | IDENT | NAME | BASE64
    for c in b"_-":
        CLASS[c] |= IDENT | NAME
    for c in b":.":
        CLASS[c] |= NAME
    for c in b"+/=":
        CLASS[c] |= BASE64
    for c in range(32):
        LEAST_SECOND[c] = 0xA0 if c == 0xE0 & 0x1F else 0x90 if c == 0xF0 & 0x1F else 0x80
        MOST_SECOND[c] = 0x9F if c == 0xED & 0x1F else 0x8F if c == 0xF4 & 0x1F else 0xBF


build_tables()

cdef struct Cursor:
    const char *at
    const char *end


cdef inline bint literal(Cursor *cursor, const char *expected) noexcept nogil:
    cdef Py_ssize_t size = strlen(expected)  # of a literal: known when compiled
    if cursor.end - cursor.at < size or memcmp(cursor.at, expected, size) != 0:
        return False
    cursor.at += size
    return True


cdef bint span(Cursor *cursor, int allowed, Py_ssize_t least, Py_ssize_t most, Slice *out) noexcept nogil:
    """Take the longest run of allowed characters; False unless its length is within [least, most]."""
    cdef const char *start = cursor.at
    while cursor.at < cursor.end and CLASS[<uint8_t>cursor.at[0]] & allowed:
        cursor.at += 1
    out.text = start
    out.size = cursor.at - start
    return least <= out.size <= most


cdef bint base64_span(Cursor *cursor, Slice *out) noexcept nogil:
    """A span of base64 of any length; four characters at a branch, since a payload is nearly all of a message."""
    cdef const char *at = cursor.at
    cdef const char *end = cursor.end
    while end - at >= 4 and (
        CLASS[<uint8_t>at[0]] & CLASS[<uint8_t>at[1]] & CLASS[<uint8_t>at[2]] & CLASS[<uint8_t>at[3]] & BASE64
    ):
        at += 4
    while at < end and CLASS[<uint8_t>at[0]] & BASE64:
        at += 1
    out.text = cursor.at
    out.size = at - cursor.at
    cursor.at = at
    return True


cdef bint words_span(Cursor *cursor, Slice *out) noexcept nogil:
    """A JSON string's characters without an escape among them, up to its quote; False unless they are UTF-8."""
    cdef const char *start = cursor.at
    cdef uint8_t first
    cdef int more, i
    while cursor.at < cursor.end and cursor.at[0] != c'"':
        first = <uint8_t>cursor.at[0]
        more = 0 if first < 0x80 else 1 if first < 0xE0 else 2 if first < 0xF0 else 3
        if first < 0x20 or first == c'\\' or 0x80 <= first < 0xC2 or first > 0xF4 or cursor.end - cursor.at <= more:
            return False
        if more > 1 and not LEAST_SECOND[first & 0x1F] <= <uint8_t>cursor.at[1] <= MOST_SECOND[first & 0x1F]:
            return False
        for i in range(1, more + 1):
            if <uint8_t>cursor.at[i] & 0xC0 != 0x80:
                return False
        cursor.at += more + 1
    out.text = start
    out.size = cursor.at - start
    return True


cdef bint number(Cursor *cursor, Py_ssize_t most, int64_t *out) noexcept nogil:
    cdef Slice digits
    cdef Py_ssize_t i
    if not span(cursor, DIGIT, 1, most, &digits):
        return False
    out[0] = 0
    for i in range(digits.size):
        out[0] = out[0] * 10 + (digits.text[i] - c'0')
    return True


cdef bint index(Cursor *cursor, int64_t *out) noexcept nogil:
    """A JSON integer: no leading zero."""
    cdef const char *start = cursor.at
    return number(cursor, MAX_INDEX_DIGITS, out) and (start[0] != c'0' or cursor.at - start == 1)


cdef bint same(Slice a, bytes b) noexcept:
    return a.size == PyBytes_GET_SIZE(b) and memcmp(a.text, PyBytes_AS_STRING(b), a.size) == 0


cdef Slice slice_of(bytes text) noexcept:
    cdef Slice out
    out.text = PyBytes_AS_STRING(text)
    out.size = PyBytes_GET_SIZE(text)
    return out


cdef bytes bytes_of(Slice s):
    return PyBytes_FromStringAndSize(s.text, s.size)


cdef Kind scan_twilio_message(const char *text, Py_ssize_t size, TwilioMessage *out) noexcept nogil:
    cdef Cursor cursor
    cdef int64_t sequence
    cursor.at = text
    cursor.end = text + size
    if literal(&cursor, b'{"event":"media","sequenceNumber":"'):
        if (
            number(&cursor, MAX_DIGITS, &sequence)
            and literal(&cursor, b'","media":{"track":"inbound","chunk":"')
            and number(&cursor, MAX_DIGITS, &out.chunk)
            and literal(&cursor, b'","timestamp":"')
            and number(&cursor, MAX_DIGITS, &out.timestamp_ms)
            and literal(&cursor, b'","payload":"')
            and base64_span(&cursor, &out.payload)
            and literal(&cursor, b'"},"streamSid":"')
            and span(&cursor, ALNUM, 1, MAX_ID, &out.stream_sid)
            and literal(&cursor, b'"}')
            and cursor.at == cursor.end
        ):
            return KIND_MEDIA
    elif literal(&cursor, b'{"event":"mark","sequenceNumber":"'):
        if (
            number(&cursor, MAX_DIGITS, &sequence)
            and literal(&cursor, b'","streamSid":"')
            and span(&cursor, ALNUM, 1, MAX_ID, &out.stream_sid)
            and literal(&cursor, b'","mark":{"name":"')
            and span(&cursor, NAME, 1, MAX_NAME, &out.name)
            and literal(&cursor, b'"}}')
            and cursor.at == cursor.end
        ):
            return KIND_MARK
    return KIND_OTHER


cdef bint is_ignored(Cursor *cursor) noexcept nogil:
    """An event that nobody reads, known by its leading type: deltas of what comes again, whole, in the matching `.done`
    (not what the assistant says: cut off, it does not come again), and beginnings and ends that others tell of, too."""
    if literal(cursor, b'response.'):
        return (
            literal(cursor, b'function_call_arguments.delta"')
            or literal(cursor, b'output_text.delta"')
            or literal(cursor, b'content_part.added"')
            or literal(cursor, b'content_part.done"')
            or literal(cursor, b'output_audio.done"')
        )
    return literal(cursor, b'conversation.item.') and (
        literal(cursor, b'input_audio_transcription.delta"') or literal(cursor, b'done"')
    )


cdef Kind scan_realtime_message(const char *text, Py_ssize_t size, RealtimeMessage *out) noexcept nogil:
    cdef Cursor cursor
    cdef Slice ignored
    cdef int64_t output_index
    cdef Kind kind = KIND_DELTA
    cursor.at = text
    cursor.end = text + size
    if not literal(&cursor, b'{"type":"'):
        return KIND_OTHER
    if literal(&cursor, b'response.output_audio_transcript.delta","event_id":"'):
        kind = KIND_WORDS
    elif not literal(&cursor, b'response.output_audio.delta","event_id":"'):
        return KIND_IGNORED if is_ignored(&cursor) and text[size - 1] == c'}' else KIND_OTHER
    if not (
        span(&cursor, IDENT, 1, MAX_ID, &out.event_id)
        and literal(&cursor, b'","response_id":"')
        and span(&cursor, IDENT, 1, MAX_ID, &out.response_id)
        and literal(&cursor, b'","item_id":"')
        and span(&cursor, IDENT, 1, MAX_ID, &out.item_id)
        and literal(&cursor, b'","output_index":')
        and index(&cursor, &output_index)
        and literal(&cursor, b',"content_index":')
        and index(&cursor, &out.content_index)
        and literal(&cursor, b',"delta":"')
        and (base64_span(&cursor, &out.delta) if kind == KIND_DELTA else words_span(&cursor, &out.delta))
        and literal(&cursor, b'"')
    ):
        return KIND_OTHER
    if literal(&cursor, b',"obfuscation":"'):
        if not (span(&cursor, IDENT, 0, NO_LIMIT, &ignored) and literal(&cursor, b'"')):
            return KIND_OTHER
    if literal(&cursor, b'}') and cursor.at == cursor.end:
        return kind
    return KIND_OTHER


cdef bint event_id(Cursor *cursor, Slice *out) noexcept nogil:
    """`,"event_id":"..."`, where it is; False where it is none."""
    if not literal(cursor, b',"event_id":"'):
        return True
    return span(cursor, IDENT, 1, MAX_ID, out) and literal(cursor, b'"')


cdef Kind scan_live_message(const char *text, Py_ssize_t size, RealtimeMessage *out) noexcept nogil:
    """Of a dialect whose audio has no response and no item, and mostly no id."""
    cdef Cursor cursor
    cursor.at = text
    cursor.end = text + size
    if (
        literal(&cursor, b'{"type":"session.output_audio.delta"')
        and event_id(&cursor, &out.event_id)
        and literal(&cursor, b',"delta":"')
        and base64_span(&cursor, &out.delta)
        and literal(&cursor, b'"')
        and event_id(&cursor, &out.event_id)
        and literal(&cursor, b'}')
        and cursor.at == cursor.end
    ):
        return KIND_DELTA
    return KIND_OTHER


def scan_twilio(bytes message not None) -> tuple[object, ...]:
    cdef TwilioMessage out
    cdef Kind kind = scan_twilio_message(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), &out)
    if kind == KIND_MEDIA:
        return MEDIA, bytes_of(out.stream_sid), out.chunk, out.timestamp_ms, bytes_of(out.payload)
    if kind == KIND_MARK:
        return MARK, bytes_of(out.stream_sid), bytes_of(out.name)
    return (OTHER,)


def scan_realtime(bytes message not None) -> tuple[object, ...]:
    cdef RealtimeMessage out
    cdef Kind kind = scan_realtime_message(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), &out)
    if kind == KIND_DELTA or kind == KIND_WORDS:
        ids = bytes_of(out.event_id), bytes_of(out.response_id), bytes_of(out.item_id)
        return <int>kind, *ids, out.content_index, bytes_of(out.delta)
    return (<int>kind,)


def scan_live(bytes message not None) -> tuple[object, ...]:
    cdef RealtimeMessage out
    if scan_live_message(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message), &out) == KIND_DELTA:
        return DELTA, bytes_of(out.delta)
    return (OTHER,)


def append_message(bytes payload not None) -> bytes:
    return b'{"type":"input_audio_buffer.append","audio":"' + payload + b'"}'


def live_append_message(bytes payload not None) -> bytes:
    return b'{"type":"session.input_audio.append","audio":"' + payload + b'"}'


def media_message(bytes stream_sid not None, bytes frame not None) -> bytes:
    cdef bytes payload = PyBytes_FromStringAndSize(NULL, b64_encoded_size(PyBytes_GET_SIZE(frame)))
    b64_encode_into(PyBytes_AS_STRING(payload), <const uint8_t *>PyBytes_AS_STRING(frame), PyBytes_GET_SIZE(frame))
    return b'{"event":"media","streamSid":"' + stream_sid + b'","media":{"payload":"' + payload + b'"}}'


def mark_message(bytes stream_sid not None, bytes name not None) -> bytes:
    return b'{"event":"mark","streamSid":"' + stream_sid + b'","mark":{"name":"' + name + b'"}}'


def clear_message(bytes stream_sid not None) -> bytes:
    return b'{"event":"clear","streamSid":"' + stream_sid + b'"}'
