"""What a load run measures with, without a socket or a clock: histograms, tagged frames, a player, an attentive ear."""

class Histogram:
    """Times in nanoseconds, in buckets 0.4 % wide, up to 137 s; a negative one counts as 0. Its size is fixed."""

    def add(self, value_ns: int) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def min_ns(self) -> float:
        """Exact; nan of nothing, as are all that follow."""
    @property
    def max_ns(self) -> float:
        """Exact."""
    @property
    def mean_ns(self) -> float:
        """Exact."""
    def quantile_ns(self, quantile: float) -> float:
        """The middle of the bucket that holds it: the smallest value that `quantile` (0 to 1) of all do not exceed."""
    def counts(self) -> list[tuple[float, int]]:
        """(middle of the bucket, how many), ascending, empty buckets left out."""

def tagged(frame: bytes, call: int, number: int) -> bytes:
    """A frame of 160 bytes with call (16 bits) and number (24 bits) in the lowest bits of its first 64 bytes."""

def tag(frame: bytes) -> tuple[int, int] | None:
    """Call and number out of a tagged frame's first 64 bytes; None when they hold none (checked by 24 bits)."""

class FrameFinder:
    """Tagged frames out of a stream of audio, however it was cut."""

    def feed(self, audio: bytes) -> list[tuple[int, int, bytes]]:
        """(call, number, frame) of each frame that this completes."""
    @property
    def skipped_bytes(self) -> int:
        """That belong to no tagged frame."""

class Player:
    """The carrier's player: plays what comes as it comes, at 8000 bytes a second, and echoes marks when it is there."""

    def take(self, now_ns: int, count: int) -> int:
        """Audio has come. For how long the player had been dry, in ns; negative: so much was left to play."""
    def mark(self, now_ns: int, name: bytes) -> bool:
        """False: its name is over 111 bytes long, or 256 marks are pending; it is forgotten."""
    def due(self, now_ns: int) -> list[bytes]:
        """The marks to echo by now, in order."""
    def clear(self, now_ns: int) -> None:
        """Nothing is left to play, and every mark is due."""
    @property
    def end_ns(self) -> int:
        """When all that came will have been played."""

class Conversation:
    """What the model says on one call, and an ear that knows it by heart. Responses are numbered from 0."""

    def __init__(self, call: int) -> None: ...
    def begin(self) -> int:
        """A new response; its number. An ear that lags 16 responses behind loses the oldest."""
    def say(self, count: int) -> bytes:
        """The newest response's next bytes. ValueError: there is none, or more than 65536 are asked for."""
    def cut(self, response: int) -> None:
        """It was interrupted: what is missing of it was not lost."""
    def cleared(self, buffered: int) -> None:
        """The player was emptied with so many bytes unheard: the response may be taken up there again."""
    def hear(self, audio: bytes) -> int:
        """Judge what came: 1 when with it a response began to be heard, 0 when none did, -1 when it was all silence.

        Silence is never a fault. Each other byte that is not the one that comes next is counted, as lost (one before
        it did not come), altered, repeated or foreign.
        """
    @property
    def position(self) -> tuple[int, int]:
        """The response being heard, and the byte of it expected next."""
    @property
    def counts(self) -> dict[str, int]:
        """faults (occasions), and bytes lost, altered, repeated, foreign, padding; frames of silence; times resumed."""
