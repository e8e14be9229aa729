"""A campaign: many calls, so many a second and at once, within the hours of those who are called, tried again by rule.

Nothing is kept here: each try has a key of the campaign's name, the number and how many tries came before, so that the
node tells what came of it. A campaign that was broken off, and is run again, goes on where it was, and calls nobody
twice.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from datetime import time as clock_time
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from fastbridge.outbound.client import Asked

TICK_SECONDS = 0.05
LOOK_SECONDS = 1.0
"""Between two looks, at least and at most."""
POLL_SECONDS = 1.0
NOT_NOW_SECONDS = 60.0
"""Outside its hours a number is looked at again so often."""
PLACING = "placing"
ENDED = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
MANY_REFUSALS = 3
"""In a row: then nobody else is called either, until those who refused think that they can."""
PAUSE_SECONDS = 60.0
"""The longest of that."""


class Api(Protocol):
    """See `client.ApiClient`."""

    async def place(self, request: dict[str, Any]) -> Asked: ...
    async def states(self, ids: Collection[str]) -> list[dict[str, Any]] | None: ...


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call that ended so is tried again, and how much later."""

    times: int
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Hours:
    """From when to when numbers are called, by their own clocks; past midnight where `until` is before `since`."""

    since: clock_time
    until: clock_time

    def hold(self, zones: Sequence[ZoneInfo], now_s: float) -> bool:
        """Whether it is such a time in all of these zones."""
        return all(self._at(datetime.fromtimestamp(now_s, zone).time()) for zone in zones)

    def _at(self, now: clock_time) -> bool:
        if self.since <= self.until:
            return self.since <= now < self.until
        return now >= self.since or now < self.until


@dataclass(slots=True)
class Callee:
    """Somebody to be called, and what came of it. request: what is asked for beside number and key. zones: where he
    may be."""

    to: str
    request: Mapping[str, Any] = field(default_factory=dict)
    zones: Sequence[ZoneInfo] = ()
    tries: int = 0
    next_s: float = 0.0
    call: dict[str, Any] | None = None
    placing: bool = False
    outcome: str = ""
    reason: str = ""

    @property
    def done(self) -> bool:
        return bool(self.outcome)

    @property
    def under_way(self) -> bool:
        return self.placing or (self.call is not None and not self.done)

    @property
    def on_the_line(self) -> bool:
        """Of those under way: not one whose end is known, and what came of it not yet."""
        return self.placing or (self.under_way and self.call is not None and self.call.get("state") not in ENDED)


class Campaign:
    """name: of this and no other. per_second, at_once: calls. hours: None for all day. changed(callee): something has
    become of him."""

    def __init__(
        self,
        name: str,
        callees: Sequence[Callee],
        api: Api,
        *,
        per_second: float,
        at_once: int,
        retries: Mapping[str, Retry],
        hours: Hours | None = None,
        changed: Callable[[Callee], object] = lambda callee: None,
        now_s: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.callees = callees
        self._name = name
        self._api = api
        self._spacing_s = 1.0 / per_second
        self._at_once = at_once
        self._retries = retries
        self._hours = hours
        self._changed = changed
        self._now_s = now_s
        self._sleep = sleep
        self._may_s = 0.0  # the next may be placed then
        self._polled_s = 0.0
        self._refused = 0  # in a row
        self.stopping = False
        """No more calls are begun."""

    @property
    def outcomes(self) -> Counter[str]:
        """How many ended how; `under way` and `waiting` beside."""
        return Counter(callee.outcome or ("under way" if callee.under_way else "waiting") for callee in self.callees)

    def stop(self) -> None:
        """Begin no more calls; `run` returns when those under way have ended."""
        self.stopping = True

    async def run(self) -> None:
        """Until everybody has been called. What the API raises ends it."""
        async with asyncio.TaskGroup() as tasks:
            while not self._over():
                for callee in self._next():
                    callee.placing = True
                    tasks.create_task(self._place(callee))
                await self._poll()
                await self._sleep(self._pause())

    def _pause(self) -> float:
        """Until something may be to do."""
        now, times = self._now_s(), [LOOK_SECONDS + self._now_s()]
        if any(callee.placing for callee in self.callees):
            return TICK_SECONDS
        if any(callee.under_way for callee in self.callees):
            times.append(self._polled_s + POLL_SECONDS)
        times += [max(callee.next_s, self._may_s) for callee in self.callees if not (callee.done or callee.under_way)]
        return min(max(min(times) - now, TICK_SECONDS), LOOK_SECONDS)

    def _over(self) -> bool:
        if self.stopping:
            return not any(callee.under_way for callee in self.callees)
        return all(callee.done for callee in self.callees)

    def _next(self) -> list[Callee]:
        """Who is called now."""
        now, found = self._now_s(), []
        free = self._at_once - sum(callee.on_the_line for callee in self.callees)
        for callee in self.callees:
            if free <= 0 or now < self._may_s or self.stopping:
                break
            if callee.done or callee.under_way or now < callee.next_s:
                continue
            if self._hours is not None and not self._hours.hold(callee.zones, now):
                callee.next_s = now + NOT_NOW_SECONDS
                continue
            free -= 1
            self._may_s = max(self._may_s, now - TICK_SECONDS) + self._spacing_s
            found.append(callee)
        return found

    async def _place(self, callee: Callee) -> None:
        number = hashlib.sha256(f"{self._name}\n{callee.to}".encode()).hexdigest()[:32]
        key = f"campaign-{number}-{callee.tries + 1}"
        asked = await self._api.place({**callee.request, "to": callee.to, "idempotency_key": key})
        callee.placing = False
        if asked.after_seconds is not None:
            now = self._now_s()
            callee.next_s = now + asked.after_seconds
            callee.reason = asked.problem
            self._refused += 1
            if self._refused >= MANY_REFUSALS:
                self._may_s = max(self._may_s, now + min(asked.after_seconds, PAUSE_SECONDS))
            return
        self._refused = 0
        callee.tries += 1
        callee.reason = asked.problem
        callee.call = asked.call
        if asked.call is None:
            callee.outcome = "failed"
            self._changed(callee)
        else:
            self._told(callee, asked.call)

    async def _poll(self) -> None:
        now = self._now_s()
        waiting = {callee.call["id"]: callee for callee in self.callees if callee.call is not None and not callee.done}
        if not waiting or now - self._polled_s < POLL_SECONDS:
            return
        self._polled_s = now
        found = await self._api.states(waiting)
        for call in found or []:
            self._told(waiting.pop(call["id"]), call)
        for callee in waiting.values() if found is not None else ():
            self._unknown(callee)

    def _unknown(self, callee: Callee) -> None:
        """Another asker was placing the call, found no place for it, and nothing was kept of it: the key is free."""
        if callee.call is not None and callee.call.get("state") == PLACING:
            callee.call, callee.tries, callee.next_s = None, callee.tries - 1, self._now_s()

    def _told(self, callee: Callee, call: dict[str, Any]) -> None:
        before, callee.call = callee.call, call
        state = str(call.get("state"))
        outcome = call.get("outcome", state)
        if state not in ENDED or outcome is None:
            if before is None or before.get("state") != state:
                self._changed(callee)
            return
        callee.reason = str(call.get("reason") or "")
        retry = self._retries.get(outcome)
        if retry is not None and callee.tries <= retry.times:
            ended = call.get("ended_at")
            ended_s = datetime.fromisoformat(ended).timestamp() if isinstance(ended, str) else self._now_s()
            callee.next_s = ended_s + retry.after_seconds
            callee.call = None
        else:
            callee.outcome = outcome
        self._changed(callee)
