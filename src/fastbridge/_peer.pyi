"""One end of a WebSocket in a load run: the kernel's time stamps, writing without waiting, a little JSON."""

def first_frame(data: bytes, *, masked: bool) -> tuple[int, int, bool, bytes] | None:
    """(size on the wire, opcode, FIN, payload) of the first frame; None while it is incomplete.

    ValueError for a frame of the other direction, with reserved bits, or of about 1 MB and more.
    """

def find_value(text: bytes, key: bytes) -> bytes | None:
    """The value of a key of the JSON object, as it is written there: a string without its quotes, escapes as they are.

    None when the text is no object or has no such key. What follows the value is not read.
    """
