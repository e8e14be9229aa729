"""Time in a GPT-Live session, and what is on its way to the client: due events, in order, and two clocks.

`now_ms` is real time, as the caller of the session passes it in. `clock_ms` is the session's own: it begins with the
stream, runs at the service's pace, and is what transcripts and acknowledgements name. Nothing here knows what is said.
"""

from collections import Counter
from collections.abc import Iterable

from . import live_wire
from .timeline import Steps, Timeline
from .wire import Event, Ids


class Line:
    """rate: how fast the service's clock is. `closed` is the close code and reason, once the service wants to close."""

    def __init__(self, ids: Ids, now_ms: float, rate: float) -> None:
        self.ids = ids
        self.now_ms = now_ms
        self.rate = rate
        self.closed: tuple[int, str] | None = None
        self.sent: Counter[str] = Counter()
        self._outbox: list[str] = []
        self._timelines: list[Timeline] = []
        self._awaiting: list[Steps] = []
        self._stream_ms: float | None = None

    @property
    def streaming(self) -> bool:
        """Whether the session's clock runs."""
        return self._stream_ms is not None

    @property
    def clock_ms(self) -> float:
        """How much of the stream there should have been by now."""
        return 0.0 if self._stream_ms is None else (self.now_ms - self._stream_ms) * self.rate

    def send(self, event: Event) -> None:
        """Put it in a frame of its own, due now."""
        self.sent[event.type] += 1
        self._outbox.append(live_wire.encode(event, self.ids.new("event")))

    def send_all(self, events: Iterable[Event]) -> None:
        """Each in its turn."""
        for event in events:
            self.send(event)

    def later(self, steps: Steps) -> Timeline:
        """What comes of these steps, from now on."""
        timeline = Timeline(self.now_ms, steps)
        self._timelines.append(timeline)
        return timeline

    def in_stream(self, steps: Steps) -> None:
        """The same from when the stream has begun: before that nothing is in the session's timeline."""
        if self.streaming:
            self.later(steps)
        else:
            self._awaiting.append(steps)

    def begin_stream(self, steps: Steps) -> None:
        """The session's clock begins with these steps, which make the stream."""
        self._stream_ms = self.now_ms
        self.later(steps)
        for each in self._awaiting:
            self.later(each)

    def advance(self, now_ms: float) -> None:
        """Carry out what is due by now."""
        while self.closed is None:
            at_ms, index = min(self._dues(), default=(now_ms + 1, 0))
            if at_ms > now_ms:
                break
            self.now_ms = max(self.now_ms, at_ms)
            self.send_all(self._timelines[index].take())
            self._timelines = [each for each in self._timelines if each.due_ms is not None]
        self.now_ms = max(self.now_ms, now_ms)

    def take(self) -> list[str]:
        """The frames that are due."""
        frames, self._outbox = self._outbox, []
        return frames

    def next_due_ms(self) -> float | None:
        """When there is something to carry out or to take; None when only the client can bring anything about."""
        if self._outbox:
            return self.now_ms
        return None if self.closed is not None else min((at_ms for at_ms, _ in self._dues()), default=None)

    def _dues(self) -> list[tuple[float, int]]:
        return [(at, index) for index, each in enumerate(self._timelines) if (at := each.due_ms) is not None]
