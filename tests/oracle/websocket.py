"""Twin of fastbridge._websocket: one bytearray, cut from the front, frame by frame."""

import os
from collections.abc import Callable

MAX_HANDSHAKE_BYTES = 65_536
FIN_TEXT = 0x81
DATA_OPCODES = (0, 1, 2)
CONTROL_OPCODES = (8, 9, 10)


def _unmask(payload: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_become_text(data: bytes) -> bool:
    """Is there a way to go on? If a character's rest is missing, one of these is a rest that it may have."""
    return any(_is_text(data + byte * count) for byte in (b"\x80", b"\xbf") for count in range(4))


class TextSink:
    on_text: Callable[[bytes], object]


class FrameReader:
    def __init__(
        self,
        *,
        server: bool,
        max_size_bytes: int,
        on_text: Callable[[bytes], object] | TextSink,
        on_other: Callable[[bytes], bool],
        on_bad_text: Callable[[], object] | None = None,
        handshake: bool = False,
    ) -> None:
        self._server = server
        self._max_size_bytes = max_size_bytes
        self.redirect(on_text)
        self._on_other = on_other
        self._on_bad_text = on_bad_text
        self._fragments: bytes | None = None  # of a text whose end has not come
        self._deaf = False
        self._handshake = handshake
        self._library_is_ready = True
        self._buffer = bytearray()
        self.passthrough = False
        self.text_frames = 0

    def redirect(self, on_text: Callable[[bytes], object] | TextSink) -> None:
        self._on_text = on_text.on_text if isinstance(on_text, TextSink) else on_text

    @property
    def pending_bytes(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        if self._deaf:
            return
        self._buffer += data
        while self._buffer and not self.passthrough and self._step():
            pass
        if self.passthrough:
            self.finish()

    def finish(self) -> None:
        if self._buffer:
            self._hand_over(len(self._buffer))

    def _step(self) -> bool:
        """One handshake or frame from the front of the buffer. False: more bytes are needed."""
        return self._take_handshake() if self._handshake else self._take_frame()

    def _take_handshake(self) -> bool:
        found = self._buffer.find(b"\r\n\r\n")
        if found < 0:
            self.passthrough = len(self._buffer) >= MAX_HANDSHAKE_BYTES
            return False
        self._handshake = False
        self._hand_over(found + 4)
        self.passthrough = not self._library_is_ready  # refused, or an extension: what follows may not even be frames
        return True

    def _take_frame(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if not self._vouches_for_head():
            self.passthrough = True
            return False
        head_bytes, payload_bytes = self._lengths()
        if head_bytes is None:
            return False
        if payload_bytes > self._max_size_bytes:
            self.passthrough = True
            return False
        whole = len(self._buffer) >= head_bytes + payload_bytes
        if self._on_bad_text is not None and not self._is_text_so_far(head_bytes, payload_bytes, whole):
            self._buffer.clear()
            self._deaf = True
            self._on_bad_text()
            return False
        if not whole:
            return False
        if self._buffer[0] == FIN_TEXT and self._library_is_ready:
            self._take_text(head_bytes, payload_bytes)
        else:
            self._hand_over(head_bytes + payload_bytes)
        return True

    def _is_text_so_far(self, head_bytes: int, payload_bytes: int, whole: bool) -> bool:
        """Of a text, all that has come is decoded anew, its earlier fragments included."""
        last, opcode = self._buffer[0] >= 0x80, self._buffer[0] & 0x0F
        if opcode == 1 and self._library_is_ready:
            earlier = b""
        elif opcode == 0 and self._fragments is not None:
            earlier = self._fragments
        else:
            return True
        payload = bytes(self._buffer[head_bytes : head_bytes + payload_bytes])
        if self._server:
            payload = _unmask(payload, bytes(self._buffer[head_bytes - 4 : head_bytes]))
        if whole:
            self._fragments = None if last else earlier + payload
        return _is_text(earlier + payload) if whole and last else _may_become_text(earlier + payload)

    def _vouches_for_head(self) -> bool:
        """RSV, opcode, mask bit and control-frame rules: all in the first two bytes."""
        first, second = self._buffer[0], self._buffer[1]
        opcode = first & 0x0F
        if first & 0x70 or opcode not in DATA_OPCODES + CONTROL_OPCODES:
            return False
        if opcode in CONTROL_OPCODES and not first & 0x80:
            return False
        if bool(second & 0x80) != self._server:
            return False
        return opcode in DATA_OPCODES or second & 0x7F <= 125

    def _lengths(self) -> tuple[int | None, int]:
        """(bytes of the head with the mask key, bytes of the payload); head None while it is incomplete.

        The payload's length is known, and judged, before the mask key is there."""
        short = self._buffer[1] & 0x7F
        extra = {126: 2, 127: 8}.get(short, 0)
        if len(self._buffer) < 2 + extra:
            return None, 0
        payload_bytes = int.from_bytes(self._buffer[2 : 2 + extra], "big") if extra else short
        head_bytes = 2 + extra + (4 if self._server else 0)
        if len(self._buffer) < head_bytes and payload_bytes <= self._max_size_bytes:
            return None, 0
        return head_bytes, payload_bytes

    def _take_text(self, head_bytes: int, payload_bytes: int) -> None:
        payload = bytes(self._buffer[head_bytes : head_bytes + payload_bytes])
        if self._server:
            payload = _unmask(payload, bytes(self._buffer[head_bytes - 4 : head_bytes]))
        del self._buffer[: head_bytes + payload_bytes]
        self.text_frames += 1
        self._on_text(payload)

    def _hand_over(self, count: int) -> None:
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._library_is_ready = self._on_other(data)


def text_frame(payload: bytes, *, mask: bool) -> bytes:
    size = len(payload)
    if size < 126:
        head, extended = size, b""
    elif size < 65_536:
        head, extended = 126, size.to_bytes(2, "big")
    else:
        head, extended = 127, size.to_bytes(8, "big")
    if not mask:
        return bytes([FIN_TEXT, head]) + extended + payload
    key = os.urandom(4)
    return bytes([FIN_TEXT, head | 0x80]) + extended + key + _unmask(payload, key)
