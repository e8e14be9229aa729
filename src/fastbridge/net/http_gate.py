"""What of a connection's bytes the HTTP library gets to see: one whole request at a time, of a size that costs little.

A parser takes its time for each header and each chunk, and what it is given in one turn of the loop it takes in one
turn: every caller would hear that. So a request is judged by its head, from outside: so many lines, so many bytes, a
body whose length is said, as Twilio says it, and not too long. What follows a request that has no answer yet is
dropped, and the connection ends with that answer: nobody who means well sends a second request before it. Pure; nothing
here parses more than it must.
"""

import re
from http import HTTPStatus

MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_LINES = 65
"""A request line and 64 headers: Twilio sends about 15."""
MAX_BODY_BYTES = 64 * 1024

_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\r?\ncontent-length:[ \t]*([^\r\n]*?)[ \t]*(?=\r?\n)", re.IGNORECASE)
_FOLDED = re.compile(rb"\n[ \t]")
_ENCODING = re.compile(rb"\r?\ntransfer-encoding[ \t]*:", re.IGNORECASE)


class HttpGate:
    """One connection's. `refusal`: why nothing more of it is read, once that is so. `hasty`: more came before the
    answer, which is the last."""

    def __init__(self) -> None:
        self.refusal: HTTPStatus | None = None
        self.path = ""
        """What was asked for, of the last request whose head was read."""
        self.hasty = False
        self._pending = b""  # not let through yet
        self._body_left = 0
        self._busy = False  # a request has been let in, and has no answer yet

    @property
    def in_head(self) -> bool:
        """A head has begun to come, and is not whole."""
        return bool(self._pending) and not (self._busy or self._body_left)

    def feed(self, data: bytes) -> bytes:
        """Bytes of the peer's; those that may be parsed now."""
        if self.refusal is not None or self.hasty:
            return b""
        self._pending += data
        through = self._body()
        if not self._busy and not self._body_left:
            through += self._head()
            through += self._body()
        if self._busy and not self._body_left and self._pending:
            self.hasty = bool(self._pending.strip(b"\r\n"))  # an empty line behind a body is an old custom
            self._pending = b""
        return through if self.refusal is None else b""

    def answered(self) -> None:
        """The request let in last has its answer."""
        self._busy = False

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
        self.path = head.partition(b" ")[2].partition(b" ")[0].decode("latin-1")
        self._body_left = self._length(head)
        return head

    def _length(self, head: bytes) -> int:
        """Of the body. What the library will refuse anyway is left to it."""
        if _ENCODING.search(head):
            self.refusal = HTTPStatus.LENGTH_REQUIRED
            return 0
        said = _LENGTH.findall(head)
        if not said and _FOLDED.search(head) is None:
            return 0
        if len(said) != 1 or not said[0].isdigit() or _FOLDED.search(head) is not None:
            self.refusal = HTTPStatus.BAD_REQUEST
            return 0
        length = int(said[0][:20])
        if length > MAX_BODY_BYTES:
            self.refusal = HTTPStatus(413)
        return length
