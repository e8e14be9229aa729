"""Messages that came off the fast lane: fragmented ones, put together again from the library's frames."""

from websockets.frames import Frame, Opcode


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


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
