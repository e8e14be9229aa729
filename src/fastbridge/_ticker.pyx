"""The tick of the loop. While calls are live all that is ready is read and decided, then the pacer sends what is due,
then the thread sleeps to the next boundary. Without calls nothing ticks.

A callback that sleeps makes the loop look at its sockets once per tick instead of waking for each: waking costs more
than the work. What else runs on the loop waits at most one tick.
"""

import asyncio

from libc.stdint cimport int64_t, uint64_t

from fastbridge._pacing cimport bucket_of, read_clock

from fastbridge._pacing import monotonic_ns, sleep_until_ns

cdef int64_t[LAG_BUCKETS - 1] LAG_BOUNDS
LAG_BOUNDS[:] = [
    500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000, 200_000_000,
    500_000_000, 1_000_000_000,
]


cdef enum:
    SLOTS = 256
    SLOT_NS = 1_000_000_000 // SLOTS


cdef class Beat:
    """A callback in its slot of the second."""

    def cancel(self) -> None:
        self.callback = None
        self.slot.discard(self)


cdef class Ticker:
    def __init__(
        self, pacer, outbox, reactor, int64_t tick_ns, *, clock=monotonic_ns, sleep_until=sleep_until_ns
    ):
        self.pace = pacer.run
        self.flush = outbox.flush
        self.read = None if reactor is None else reactor.run
        self.clock = clock
        self.sleep_until = sleep_until
        self.tick_ns = tick_ns
        self.slots = [set() for _ in range(SLOTS)]

    def acquire(self) -> None:
        self.users += 1
        self.schedule()

    def release(self) -> None:
        self.users -= 1

    def hurry(self) -> None:
        self.hurried = True

    cdef int schedule(self) except -1:
        if not self.scheduled:              # or a call that begins as the last one ends would make two chains of ticks
            self.loop = asyncio.get_running_loop()
            self.loop.call_soon(self._tick)
            self.scheduled = True
        return 0

    def _tick(self) -> None:
        cdef int64_t now
        cdef bint hurried = self.hurried
        self.scheduled = self.hurried = False
        self.attempt(self.flush)            # of what the loop has read
        if not self.users:
            self.due_ns = 0
            return
        self.schedule()
        now = read_clock(self.clock)
        if self.due_ns:
            # Before the sleep, again: reading takes longer in one turn than in another, and whom the pacer came to too
            # early by that need not wait another tick, or no lead would grow.
            self.attempt(self.pace, now)
            if hurried and now < self.due_ns:
                return                      # the loop looks for more: a turn of it accepts one connection
            self.count_lag(now - self.due_ns)
        else:
            self.struck = now // SLOT_NS    # of the time in which nobody ticked nothing is made up for
        if now < self.due_ns or not self.due_ns:  # a turn that overran has filled its sleep with work
            self.sleep_until(self.boundary(now))
            now = read_clock(self.clock)
        self.due_ns = self.boundary(now)
        if self.read is not None:
            self.attempt(self.read)
            self.attempt(self.flush)
        now = read_clock(self.clock)
        self.attempt(self.pace, now)
        self.strike(now // SLOT_NS)

    def every_second(self, callback) -> Beat:
        cdef Beat beat = Beat()
        beat.callback = callback
        # The slot that has just been: whether or not this tick has struck it, the callback is not for now.
        beat.slot = self.slots[(read_clock(self.clock) // SLOT_NS - 1) % SLOTS]
        beat.slot.add(beat)
        return beat

    cdef int strike(self, int64_t slot) except -1:
        """All slots up to this one, by its number since the clock's beginning."""
        cdef Beat beat
        self.struck = max(self.struck, slot - SLOTS)  # after a turn of more than a second
        while self.struck < slot:
            self.struck += 1
            if self.slots[self.struck % SLOTS]:
                for beat in tuple(self.slots[self.struck % SLOTS]):
                    if beat.callback is not None:   # or an earlier one's callback has cancelled it
                        self.attempt(beat.callback)
        return 0

    cdef int64_t boundary(self, int64_t now) noexcept:
        """The next one."""
        return now - now % self.tick_ns + self.tick_ns

    cdef int attempt(self, step, argument=None) except -1:
        try:
            if argument is None:
                step()
            else:
                step(argument)
        except Exception as error:
            self.loop.call_exception_handler({"message": "a part of the tick has failed", "exception": error})
        return 0

    cdef void count_lag(self, int64_t lag) noexcept:
        """What the turn took beyond its tick."""
        lag = max(lag, <int64_t>0)
        self.sum_ns += lag
        self.buckets[bucket_of(LAG_BOUNDS, LAG_BUCKETS - 1, lag)] += 1

    @property
    def lag_counts(self) -> tuple[int, ...]:
        return tuple([self.buckets[i] for i in range(LAG_BUCKETS)])

    @property
    def lag_ns(self) -> int:
        return self.sum_ns
