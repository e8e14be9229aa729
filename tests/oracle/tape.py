"""Twin of fastbridge._tape: two dicts from position to byte."""

NS_PER_BYTE = 125_000
DRIFT_BYTES = 16_000
FRAME_BYTES = 160
SILENCE = 0xFF


class Tape:
    def __init__(self, now_ns: int, *, capacity_bytes: int = 131_072) -> None:
        self._origin_ns = now_ns
        self._capacity = 1 << (capacity_bytes - 1).bit_length()
        self._left: dict[int, int] = {}
        self._right: dict[int, int] = {}
        self._left_end: int | None = None
        self._right_end = 0
        self._open_from = 0
        self.concealed = False
        self.frames = self.dropped_frames = self.hidden_frames = 0
        self.taken_bytes = self.peak_bytes = 0

    def _position(self, now_ns: int) -> int:
        return max(now_ns - self._origin_ns, 0) // NS_PER_BYTE

    def feed_caller(self, audio: bytes, missing: int, now_ns: int) -> None:
        at = self._position(now_ns) - len(audio)
        if self._left_end is not None:
            behind = self._left_end + max(missing, 0) * FRAME_BYTES
            if behind - at > DRIFT_BYTES:
                self.dropped_frames += 1
                return
            if at - behind <= DRIFT_BYTES:
                at = behind
        self._left_end = at + len(audio)
        self._write(self._left, at, audio)

    def feed_assistant(self, audio: bytes, ends_ns: int) -> None:
        self._right_end = self._position(ends_ns)
        self._write(self._right, self._right_end - len(audio), audio)

    def take_back(self, count: int) -> None:
        if count > 0:
            self._forget(self._right, self._right_end - count, self._right_end)
            self._right_end -= count

    def _write(self, track: dict[int, int], at: int, audio: bytes) -> None:
        end = at + len(audio) - self.taken_bytes
        if at < 0:
            return
        if self.concealed or at < self._open_from:
            self.hidden_frames += 1
        elif at < self.taken_bytes or end > self._capacity:
            self.dropped_frames += 1
        else:
            track.update(enumerate(audio, at))
            self.frames += 1
            self.peak_bytes = max(self.peak_bytes, end)

    def _forget(self, track: dict[int, int], start: int, end: int) -> None:
        for at in [at for at in track if start <= at < end]:
            del track[at]

    def conceal(self, now_ns: int) -> None:
        if not self.concealed:
            self.concealed = True
            for track in (self._left, self._right):
                self._forget(track, self._position(now_ns), max(track, default=0) + 1)

    def reveal(self, now_ns: int) -> None:
        if self.concealed:
            self.concealed = False
            self._open_from = max(self._open_from, self._position(now_ns))

    def take(self, until_ns: int) -> bytes:
        end = min(self._position(until_ns), self.taken_bytes + self._capacity)
        taken = bytearray()
        for at in range(self.taken_bytes, end):
            taken += bytes((self._left.pop(at, SILENCE), self._right.pop(at, SILENCE)))
        self.taken_bytes = max(end, self.taken_bytes)
        return bytes(taken)
