"""What goes wrong with requests to the REST API: by a list, by their address, by chance, or since they are too many."""

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence

RESET = "reset"
RESET_AFTER = "reset after"
Fault = int | float | str
"""What happens to a request: an HTTP status it is answered with, seconds (a float) before it is answered, RESET (the
connection breaks, nothing was done) or RESET_AFTER (it was carried out, and the answer is lost)."""
Plan = Sequence[Fault | None] | Callable[[str, str], Fault | None]
"""One for each request to come, after which all goes well; or a function of its method and its path."""


class Faults:
    """shares: of all requests that the plan lets pass, how many meet which fault, by chance; seed: of that chance."""

    def __init__(self, plan: Plan = (), shares: Mapping[Fault, float] | None = None, seed: int = 0) -> None:
        self.plan(plan)
        self._shares = dict(shares or {})
        if min(self._shares.values(), default=0.0) < 0 or sum(self._shares.values()) > 1:
            raise ValueError("the shares of faults are between 0 and 1, and so is their sum")
        self._random = random.Random(seed)

    def plan(self, plan: Plan) -> None:
        self._plan = plan if callable(plan) else list(plan)

    def next(self, method: str, path: str) -> Fault | None:
        """Of the request that is here."""
        planned = self._plan(method, path) if callable(self._plan) else self._listed(self._plan)
        return planned if planned is not None else self._by_chance()

    def _listed(self, plan: list[Fault | None]) -> Fault | None:
        return plan.pop(0) if plan else None

    def _by_chance(self) -> Fault | None:
        left = self._random.random() if self._shares else 1.0
        for fault, share in self._shares.items():
            if left < share:
                return fault
            left -= share
        return None


class RateLimit:
    """At most `per_second` requests in any second, on the clock of `now`; 0 is no limit."""

    def __init__(self, per_second: int, now: Callable[[], float]) -> None:
        self._per_second = per_second
        self._now = now
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """False where it is one too many."""
        now = self._now()
        while self._taken and self._taken[0] <= now - 1.0:
            self._taken.popleft()
        if self._per_second and len(self._taken) >= self._per_second:
            return False
        self._taken.append(now)
        return True
