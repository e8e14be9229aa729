"""Twin of the pure part of fastbridge._peer."""

import json


def first_frame(data: bytes, *, masked: bool) -> tuple[int, int, bool, bytes] | None:
    if len(data) < 2:
        return None
    length = data[1] & 0x7F
    extra = {126: 2, 127: 8}.get(length, 0)
    if len(data) < 2 + extra:
        return None
    if extra:
        length = int.from_bytes(data[2 : 2 + extra], "big")
    if bool(data[1] & 0x80) is not masked or data[0] & 0x70 or length > (1 << 20) - 14:
        raise ValueError("no frame of that direction")
    header = 2 + extra + 4 * masked
    if len(data) < header + length:
        return None
    payload = data[header : header + length]
    if masked:
        key = data[header - 4 : header]
        payload = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    return header + length, data[0] & 0x0F, bool(data[0] & 0x80), payload


def find_value(text: bytes, key: bytes) -> bytes | None:
    """For well-formed objects: the text between a key's colon and the next key's comma."""
    decoder = json.JSONDecoder()
    string = text.decode()
    at = string.find("{") + 1
    while at and (quote := string.find('"', at)) >= 0:
        name, at = decoder.raw_decode(string, quote)
        at = string.index(":", at) + 1
        while string[at].isspace():
            at += 1
        _, end = decoder.raw_decode(string, at)
        if name.encode() == key:
            value = string[at:end]
            return (value[1:-1] if value[0] == '"' else value).encode()
        at = end
    return None
