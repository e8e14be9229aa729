"""Messages that came off the fast lane: fragmented ones, put together again from the library's frames."""

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol

CLOSE_GRACE_SECONDS = 2.0
"""How long a peer may take to close its end."""
LAST_CLOSE = 0x80 | Opcode.CLOSE


class Messages:
    """One socket's. Bounds: the library's size limit, and the socket's of `fragments`."""

    def __init__(self) -> None:
        self.pending = False  # inside a fragmented message
        self._parts: list[bytes] = []
        self._text = True

    def feed(self, frame: Frame) -> tuple[bool, bytes] | None:
        """(is it text, payload) when a message is complete."""
        if frame.opcode is not Opcode.CONT:
            self._parts = []
            self._text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        self.pending = not frame.fin
        if self.pending:
            return None
        payload = b"".join(self._parts)
        self._parts = []
        return self._text, payload

    @property
    def fragments(self) -> int:
        return len(self._parts)


def heed_close(protocol: Protocol, data: bytes) -> None:
    """Before the library gets what the fast lane has cut off. A close frame may come between fragments, as any control
    frame may (RFC 6455 section 5.4), and their message then has no end; the library would call that an error."""
    if data[0] == LAST_CLOSE:
        protocol.current_size = None
