"""All the callers and the model of a load run, played by one thread that never waits for anything but the clock."""

from collections.abc import Mapping, Sequence

from fastbridge._loadlive import LiveModel

class Players(LiveModel):
    """Made for a number of calls; `play` runs on a thread of its own, and the rest may be called while it does."""

    def __init__(
        self,
        *,
        calls: int,
        slot_us: int,
        eager: bool = False,
        barge_after_ms: int = 2000,
        live: bool = False,
        scripts: Mapping[str, Sequence[bytes]],
        quiet: bytes,
        voice: bytes,
        exact: bool = True,
        barge: bool = False,
        talk_ms: int = 6000,
        period_ms: int = 10_000,
        request_ms: int = 1000,
        delta_bytes: int = 3200,
        speed: float = 6.7,
        voice_delay_ms: int = 200,
    ) -> None:
        """slot_us: divides 20 ms. eager: look when something comes, and not only once a slot. barge_after_ms: from a
        response's first frame to the interruption, and up to 380 ms more. The rest is
        `LiveModel`'s."""
    def play(self, deadline_ns: int) -> None:
        """Until `stop`, or until CLOCK_MONOTONIC passes the deadline. Holds no GIL."""
    def adopt_caller(self, index: int, fd: int, *, stream_sid: bytes, started_ns: int, stop: bytes) -> None:
        """A media stream whose `start` was sent at started_ns. Its descriptor belongs to the players from now on.
        stop: the last message, with \\x04 where its sequence number goes. ValueError, BlockingIOError."""
    def adopt_model(self, fd: int, caller: int = -1) -> None:
        """A connection to the model, likely that caller's; its audio tells."""
    def open_window(self) -> None:
        """From now on it counts."""
    def close_window(self) -> None: ...
    def hang_up(self) -> None:
        """Every caller says stop and closes."""
    def stop(self) -> None: ...
