"""A fast lane for RFC 6455 text frames. `websockets` owns the protocol; this recognises the one regular case.

A complete, unfragmented, well-formed text frame within `max_size_bytes` goes, unmasked, to `on_text`. Every other
byte goes to `on_other`, whole frames at a time and in order, for the library to judge. Text that is not UTF-8 goes to
nobody.
"""

from collections.abc import Callable

class TextSink:
    """Where a FrameReader hands text without a Python call: a lane. This one drops it."""

class FrameReader:
    """Cuts a byte stream into frames. Never raises on a peer's bytes; feeding it from its own callback is a
    RuntimeError.

    server: the role *we* play. A server expects masked frames, a client unmasked ones.
    on_other(data) returns True while the library stands at a message boundary in state OPEN: then the fast lane
    may take the next text frame. False: this frame and all that follow go to `on_other` until it says True again.
    handshake=True (client): everything up to and including the first CRLFCRLF goes to `on_other` first.
    A frame the fast lane cannot vouch for (wrong mask bit, RSV bits, reserved opcode, long or fragmented control frame,
    over max_size_bytes) and everything behind it goes to `on_other` unparsed, for ever (`passthrough` is True).
    on_bad_text() is called once, at the byte that proves a text not to be UTF-8: in a whole message, in a fragment, in
    a frame whose end has not come. Nothing of that frame or behind it is handed on (as after `discard`); earlier
    fragments were. Without it UTF-8 is the business of whoever reads the text.
    Bound: at most one incomplete frame is buffered, max_size_bytes + 14 bytes; of a handshake 64 KiB (then
    passthrough).
    """

    def __init__(
        self,
        *,
        server: bool,
        max_size_bytes: int,
        on_text: Callable[[bytes], object] | TextSink,
        on_other: Callable[[bytes], bool],
        on_bad_text: Callable[[], object] | None = None,
        handshake: bool = False,
    ) -> None: ...
    def feed(self, data: bytes) -> None: ...
    def redirect(self, on_text: Callable[[bytes], object] | TextSink) -> None:
        """Text goes there from the next frame on."""
    def discard(self) -> None:
        """The verdict is spoken: what is buffered, and all that still comes, is dropped unread. For good; may be called
        from a callback, which then was the last."""
    def finish(self) -> None:
        """End of stream: what is buffered goes to `on_other`."""
    @property
    def pending_bytes(self) -> int:
        """Bytes of an incomplete frame or handshake now buffered."""
    @property
    def passthrough(self) -> bool: ...
    @property
    def text_frames(self) -> int:
        """Frames given to `on_text`."""

def text_frame(payload: bytes, *, mask: bool) -> bytes:
    """One FIN|TEXT frame; with mask=True under a fresh 4-byte key from the operating system's generator."""
