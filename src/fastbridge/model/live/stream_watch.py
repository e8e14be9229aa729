"""The watch on a stream that never pauses: when it does, the model is mute, whatever its socket says.

A second without audio is a fault. It is looked for once a second and, when something may be wrong, to the moment. Where
we ourselves stood still nothing can be said of the model, and it is given the time again.
"""

from collections.abc import Callable

from fastbridge.base.clock import Beat, Clock, Deadline

MUTE_SECONDS = 1.0
FIRST_SECONDS = 4.0
"""For the first audio of a session."""
SUSPECT_SECONDS = 0.25
OURS_SECONDS = 0.5
"""A look that comes so much too late says that we stood still."""
AHEAD_SECONDS, FAST_SHARE = 3.0, 0.01
"""More audio than time, by that and the fastest clock there could be: it is not in the format agreed on. PCM, silence
included, has six bytes for each of mu-law's."""


class StreamWatch:
    """streamed_ns(): when audio came last; streamed_ms(): how much of this stream has come since it began. stalled():
    it comes no more; too_fast(): more of it than there can be; one of both, once a stream."""

    def __init__(
        self,
        *,
        clock: Clock,
        streamed_ns: Callable[[], int],
        streamed_ms: Callable[[], int],
        stalled: Callable[[], object],
        too_fast: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._streamed_ns = streamed_ns
        self._streamed_ms = streamed_ms
        self._stalled = stalled
        self._too_fast = too_fast
        self._begun_ns = self._started_ns = 0
        self._due_ns = 0
        self._beat: Beat | None = None
        self._soon = Deadline(clock, self._look)

    def begin(self, started_ns: int | None = None) -> None:
        """A session has started: its audio comes from now on. started_ns: or then, and it is in use from now on; of its
        audio some may be late."""
        self.close()
        self._begun_ns = self._clock.now_ns()
        self._started_ns = self._begun_ns if started_ns is None else started_ns
        self._beat = self._clock.every_second(self._every_second)
        self._due_ns = self._begun_ns + 2_000_000_000  # the first beat may be anywhere in its second

    def close(self) -> None:
        self._soon.clear()
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    def _every_second(self) -> None:
        late_seconds = (self._clock.now_ns() - self._due_ns) / 1e9
        self._due_ns = self._clock.now_ns() + 1_000_000_000
        if late_seconds > OURS_SECONDS:
            self._soon.set(SUSPECT_SECONDS)
        else:
            self._look()

    def _look(self) -> None:
        now, streamed_ns = self._clock.now_ns(), self._streamed_ns()
        passed_seconds = (now - self._started_ns) / 1e9
        if self._streamed_ms() / 1000 > passed_seconds * (1 + FAST_SHARE) + AHEAD_SECONDS:
            self.close()
            self._too_fast()
            return
        has_begun = streamed_ns >= self._begun_ns
        silent_seconds = (now - (streamed_ns if has_begun else self._begun_ns)) / 1e9
        limit_seconds = MUTE_SECONDS if has_begun else FIRST_SECONDS
        if silent_seconds >= limit_seconds - 0.001:
            self.close()
            self._stalled()
        elif silent_seconds >= SUSPECT_SECONDS:
            self._soon.set(min(limit_seconds - silent_seconds, 1.0))
