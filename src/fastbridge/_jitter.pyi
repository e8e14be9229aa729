"""How late a stream's audio comes, against the soonest of late; and how long it is to wait, so that there is no gap."""

SOONEST_WINDOW_NS: int
"""So long, and at most twice as long, what came soonest is remembered."""
LATEST_WINDOW_NS: int
"""So long, and at most twice as long, what came latest is."""
LEAST_NS: int
MOST_NS: int

class Jitter:
    """Of one stream, frame by frame; a frame is 20 ms of it."""

    def note(self, now_ns: int) -> None:
        """The next frame came now."""
    def reset(self) -> None:
        """Another stream."""
    @property
    def late_ns(self) -> int:
        """How much later the newest frame came than the soonest of late, each by its place in the stream."""
    @property
    def wanted_ns(self) -> int:
        """How long audio that comes soonest is to wait until it is heard: as late as any came of late, and 10 ms;
        at least LEAST_NS, at most MOST_NS."""
