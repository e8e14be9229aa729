"""What calls cost today, by business: what the budgets of a day are held against.

A process knows its own calls as they go on, and those of others once they are in the records. A day is UTC's. Where
there are too many businesses to tell apart, the rest of them count for the node alone.
"""

import time
from collections.abc import Callable, Mapping

MAX_BUSINESSES = 10_000
DAY_SECONDS = 86_400


class Spending:
    """One process's, in US dollars. business_id: empty for none. now_s(): seconds since 1970."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self.closings = 0
        """How often a call has gone to the records."""
        self._now_s = now_s
        self._day = self.day
        self._own: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        """Of `_own`: what is in the records, or will be."""
        self._others: dict[str, float] = {}
        self._aside: dict[object, tuple[str, float]] = {}
        self._aside_usd, self._aside_of = 0.0, dict[str, float]()

    @property
    def day(self) -> int:
        """Since 1970."""
        return int(self._now_s() // DAY_SECONDS)

    def spend(self, business_id: str, usd: float) -> None:
        """A call has cost so much more."""
        self._turn_over()
        self._add(self._own, business_id, usd)

    def ended(self, business_id: str, usd: float, day: int) -> None:
        """A call that has begun on that day, and has cost so much, all told, goes to the records."""
        self._turn_over()
        if day == self._day:  # else it is not among what the records say of today
            self.closings += 1
            self._add(self._ended, business_id, usd)

    def set_aside(self, call: object, business_id: str, usd: float) -> None:
        """What this call under way is going to cost in any case, beyond what it has: in place of what it said before.
        0 when it is over."""
        name, before = self._aside.pop(call, (business_id, 0.0))
        self._aside_usd += usd - before
        self._aside_of[name] = self._aside_of.get(name, 0.0) + usd - before
        if usd:
            self._aside[call] = name, usd
        elif not any(each == name for each, _ in self._aside.values()):
            del self._aside_of[name]
        if not self._aside:
            self._aside_usd = 0.0  # and what rounding has left of it

    def aside(self, business_id: str | None = None, *, but: object = None) -> float:
        """What is set aside for calls of this business, or of all; `but` for this one."""
        name, own = self._aside.get(but, ("", 0.0))
        if business_id is None:
            return max(self._aside_usd - own, 0.0)
        return max(self._aside_of.get(business_id, 0.0) - (own if name == business_id else 0.0), 0.0)

    def recorded(self, day: int, by_business: Mapping[str, float]) -> None:
        """What the records of that day say, ours among them."""
        self._turn_over()
        if day == self._day:
            self._others = {name: max(usd - self._ended.get(name, 0.0), 0.0) for name, usd in by_business.items()}

    def of(self, business_id: str) -> float:
        self._turn_over()
        return self._own.get(business_id, 0.0) + self._others.get(business_id, 0.0)

    def total(self) -> float:
        self._turn_over()
        return sum(self._own.values()) + sum(self._others.values())

    def _turn_over(self) -> None:
        if self._day != self.day:
            self._day = self.day
            self._own.clear()
            self._ended.clear()
            self._others = {}

    def _add(self, sums: dict[str, float], business_id: str, usd: float) -> None:
        name = business_id if business_id in sums or len(sums) < MAX_BUSINESSES else ""
        sums[name] = sums.get(name, 0.0) + usd
