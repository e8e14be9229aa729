"""What of a connection's bytes the HTTP library gets to see: one whole request at a time, of a size that costs little.

A parser takes its time for each header and each chunk, and what it is given in one turn of the loop it takes in one
turn: every caller would hear that. So a request is judged by its head, from outside: so many lines, so many bytes, a
body whose length is said, as Twilio says it, and not too long. What follows a request waits until that one has its
answer. Pure; nothing here parses more than it must.
"""

import re
from http import HTTPStatus

MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_LINES = 65
"""A request line and 64 headers: Twilio sends about 15."""
MAX_BODY_BYTES = 64 * 1024
MAX_PENDING_BYTES = MAX_HEAD_BYTES + MAX_BODY_BYTES
"""Behind a request that waits for its answer; more is a flood."""

_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\r?\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r?\n)", re.IGNORECASE)
_ENCODING = re.compile(rb"\r?\ntransfer-encoding[ \t]*:", re.IGNORECASE)


class HttpGate:
    """One connection's. `refusal`: why nothing more of it is read, once that is so."""

    def __init__(self) -> None:
        self.refusal: HTTPStatus | None = None
        self._pending = b""  # not let through yet
        self._body_left = 0
        self._busy = False  # a request has been let in, and has no answer yet

    @property
    def in_head(self) -> bool:
        """A head has begun to come, and is not whole."""
        return bool(self._pending) and not (self._busy or self._body_left)

    def feed(self, data: bytes) -> bytes:
        """Bytes of the peer's; those that may be parsed now."""
        if self.refusal is not None:
            return b""
        self._pending += data
        return self._let_through()

    def answered(self) -> bytes:
        """The request let in last has its answer: the bytes of the next one."""
        self._busy = False
        return b"" if self.refusal is not None else self._let_through()

    def _let_through(self) -> bytes:
        through = self._body()
        if not self._busy and not self._body_left:
            through += self._head()
            through += self._body()
        if self._busy and len(self._pending) > MAX_PENDING_BYTES:
            self.refusal = HTTPStatus(413)
        return through if self.refusal is None else b""

    def _body(self) -> bytes:
        body, self._pending = self._pending[: self._body_left], self._pending[self._body_left :]
        self._body_left -= len(body)
        return body

    def _head(self) -> bytes:
        """The whole head of the next request, if it is there and will do."""
        end = _END.search(self._pending, 0, MAX_HEAD_BYTES + 4)
        head = self._pending[: end.end() if end is not None else MAX_HEAD_BYTES + 1]
        if len(head) > MAX_HEAD_BYTES or head.count(b"\n") > MAX_HEAD_LINES + 1:
            self.refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        if end is None or self.refusal is not None:
            return b""
        self._pending = self._pending[len(head) :]
        self._busy = True
        self._body_left = self._length(head)
        return head

    def _length(self, head: bytes) -> int:
        """Of the body. What the library will refuse anyway is left to it."""
        if _ENCODING.search(head):
            self.refusal = HTTPStatus.LENGTH_REQUIRED
            return 0
        said = _LENGTH.search(head)
        if said is None or not said[1].isdigit():
            return 0
        length = int(said[1][:20])
        if length > MAX_BODY_BYTES:
            self.refusal = HTTPStatus(413)
        return length
