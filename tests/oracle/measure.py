"""Twin of fastbridge._measure."""

import math

LINEAR = 1024
MASK = (1 << 64) - 1
MIX = 0x9E3779B97F4A7C15
TABLE = 1 << 17
ANCHOR = 16
RESPONSES = 16
LARGEST = 1 << 37


def _speech() -> bytes:
    state, out = 0x2545F491, bytearray()
    for _ in range(TABLE):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        out.append((0x80 if state & 64 else 0) | (0x30 + (state & 63)))
    return bytes(out)


SPEECH = _speech()


class Histogram:
    def __init__(self) -> None:
        self._values: list[int] = []

    def add(self, value_ns: int) -> None:
        self._values.append(max(value_ns, 0))

    count = property(lambda self: len(self._values))
    min_ns = property(lambda self: float(min(self._values, default=math.nan)))
    max_ns = property(lambda self: float(max(self._values, default=math.nan)))

    @property
    def mean_ns(self) -> float:
        return sum(self._values) / self.count if self._values else math.nan

    def quantile_ns(self, quantile: float) -> float:
        if not self._values:
            return math.nan
        at = max(1, math.ceil(quantile * self.count))
        return min(max(self._middle(sorted(self._values)[at - 1]), self.min_ns), self.max_ns)

    def counts(self) -> list[tuple[float, int]]:
        found: dict[float, int] = {}
        for value in sorted(self._values):
            found[self._middle(value)] = found.get(self._middle(value), 0) + 1
        return list(found.items())

    @staticmethod
    def _middle(value: int) -> float:
        if value < LINEAR:
            return value
        if value >= LARGEST:
            value = LARGEST - 1
        width = 1 << (value.bit_length() - 9)
        return value // width * width + width / 2


def _tag(call: int, number: int) -> int:
    fact = (number & 0xFFFFFF) << 16 | call & 0xFFFF
    return fact << 24 | ((fact + 1) * MIX & MASK) >> 40


def tagged(frame: bytes, call: int, number: int) -> bytes:
    if len(frame) != 160:
        raise ValueError("not a frame")
    bits = _tag(call, number)
    return bytes(byte & 0xFE | bits >> at & 1 if at < 64 else byte for at, byte in enumerate(frame))


def tag(frame: bytes) -> tuple[int, int] | None:
    if len(frame) < 64:
        return None
    bits = sum((byte & 1) << at for at, byte in enumerate(frame[:64]))
    call, number = bits >> 24 & 0xFFFF, bits >> 40
    return (call, number) if _tag(call, number) == bits else None


class FrameFinder:
    def __init__(self) -> None:
        self._data = b""
        self.skipped_bytes = 0

    def feed(self, audio: bytes) -> list[tuple[int, int, bytes]]:
        self._data += audio
        found = []
        while len(self._data) >= 160:
            known = tag(self._data)
            if known is None:
                self._data = self._data[1:]
                self.skipped_bytes += 1
            else:
                found.append((*known, self._data[:160]))
                self._data = self._data[160:]
        return found


class Player:
    def __init__(self) -> None:
        self.end_ns = 0
        self._marks: list[tuple[int, bytes]] = []

    def take(self, now_ns: int, count: int) -> int:
        dry = now_ns - self.end_ns
        self.end_ns = max(self.end_ns, now_ns) + count * 125_000
        return dry

    def mark(self, now_ns: int, name: bytes) -> bool:
        if len(name) > 111 or len(self._marks) >= 256:
            return False
        self._marks.append((max(self.end_ns, now_ns), name))
        return True

    def due(self, now_ns: int) -> list[bytes]:
        names = []
        while self._marks and self._marks[0][0] <= now_ns:
            names.append(self._marks.pop(0)[1])
        return names

    def clear(self, now_ns: int) -> None:
        self.end_ns = min(self.end_ns, now_ns)
        self._marks = [(now_ns, name) for _, name in self._marks]


def same(a: bytes, b: bytes) -> int:
    """How many bytes they begin with alike."""
    return next((at for at, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b)))


class Conversation:
    """Speaks from the same table; hears by looking for what it was sent in what was said."""

    def __init__(self, call: int) -> None:
        self._call = call
        self._said: list[bytearray] = []
        self._cut: set[int] = set()
        self._response = self._at = 0
        self._floor = -1
        names = ("faults", "lost", "altered", "repeated", "foreign", "padding", "silence", "resumed")
        self.counts = dict.fromkeys(names, 0)

    def begin(self) -> int:
        if len(self._said) - self._response >= RESPONSES:
            self._count("lost", len(self._said[self._response]) - self._at)
            self._response, self._at = self._response + 1, 0
        self._said.append(bytearray())
        return len(self._said) - 1

    def say(self, count: int) -> bytes:
        if not self._said or not 0 <= count <= 65_536:
            raise ValueError("nothing begun, or too much")
        said = self._said[-1]
        start = ((self._call * 1_000_003 + (len(self._said) - 1) * 7919 + 1) * MIX & MASK) >> 47
        new = bytes(SPEECH[(start + len(said) + at) % TABLE] for at in range(count))
        said += new
        return new

    def cut(self, response: int) -> None:
        self._cut.add(response)

    def cleared(self, buffered: int) -> None:
        self._floor = max(self._at - buffered - 160, 0)

    @property
    def position(self) -> tuple[int, int]:
        return self._response, self._at

    def hear(self, audio: bytes) -> int:
        heard = -1
        rest = audio
        while rest:
            said = bytes(self._said[self._response][self._at :]) if self._response < len(self._said) else b""
            match = same(said, rest)
            before = self._at, heard
            if match:
                heard = 1 if heard == 1 or self._at == 0 else 0
                self._at += match
            if match == len(rest):
                break
            if all(byte & 0x7E == 0x7E for byte in rest[match:]):
                if match or len(rest) < len(audio):
                    self.counts["padding"] += len(rest) - match
                else:
                    self.counts["silence"] += 1
                break
            after = min(len(said), len(rest)) - match - 1
            if after > 0 and same(said[match + 1 :], rest[match + 1 :]) >= min(ANCHOR, after):
                heard = max(heard, 0)
                self._count("altered", 1)
                self._at += 1
                rest = rest[match + 1 :]
                continue
            if match < min(len(said), ANCHOR):
                self._at, heard = before
            else:
                rest = rest[match:]
            if self._later(rest):
                continue
            heard = max(heard, 0)
            if not self._again(rest):
                break
        return heard

    def _count(self, name: str, number: int) -> None:
        self.counts["faults"] += 1
        self.counts[name] += number

    def _later(self, rest: bytes) -> bool:
        known = rest[:ANCHOR]
        for response in range(self._response + 1, len(self._said)):
            if bytes(self._said[response][: len(known)]) != known:
                continue
            for passed in range(self._response, response):
                missing = len(self._said[passed]) - self._at
                if passed not in self._cut and missing > 0:
                    self._count("lost", missing)
                self._at = 0
            self._response, self._floor = response, -1
            return True
        return False

    def _again(self, rest: bytes) -> bool:
        place = (SPEECH + SPEECH[:ANCHOR]).find(rest[:ANCHOR]) if len(rest) >= ANCHOR else -1
        live = self._response < len(self._said)
        sent = len(self._said[self._response]) if live else 0
        if place < 0:
            self._count("altered", len(rest))
            if live:
                self._at = min(self._at + len(rest), sent)
            return False
        start = ((self._call * 1_000_003 + self._response * 7919 + 1) * MIX & MASK) >> 47
        position = (place - start) % TABLE
        if position >= sent:
            self._count("foreign", len(rest))
            return False
        if position < self._at:
            if not 0 <= self._floor <= position:
                self._count("repeated", len(rest))
                return False
            self.counts["resumed"] += 1
            self._floor = -1
        elif self._response not in self._cut:
            self._count("lost", position - self._at)
        self._at = position
        return True
