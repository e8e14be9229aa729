"""Status callbacks: signed, one after the other for each call, unless something happens to them on the way.

Whatever happens is decided by a function of the callback's parameters, so that a test says it for one, or leaves it to
`Mishaps` and a seed. Nothing raises: a callback that nobody takes is in `errors`.
"""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from enum import StrEnum, auto
from typing import Any

import httpx2

from fastbridge.sim.signed_http import SignedHttp


class Fate(StrEnum):
    """Of one callback. DELAYED: late, and later ones overtake it; REORDERED: sent behind the next one of its call."""

    SENT = auto()
    DELAYED = auto()
    REORDERED = auto()
    DOUBLED = auto()
    DROPPED = auto()


Work = Callable[[], Awaitable[None]]
FateOf = Callable[[Mapping[str, str]], Fate]


class Mishaps:
    """What befalls callbacks by chance: the share of each, together at most 1. The same seed is the same plan, callback
    for callback."""

    def __init__(
        self, seed: int, *, delayed: float = 0.0, reordered: float = 0.0, doubled: float = 0.0, dropped: float = 0.0
    ) -> None:
        shares = {Fate.DELAYED: delayed, Fate.REORDERED: reordered, Fate.DOUBLED: doubled, Fate.DROPPED: dropped}
        self._shares = shares | {Fate.SENT: 1.0 - sum(shares.values())}
        if min(self._shares.values()) < 0:
            raise ValueError("the shares of mishaps are between 0 and 1, and so is their sum")
        self._random = random.Random(seed)

    def __call__(self, parameters: Mapping[str, str]) -> Fate:
        return self._random.choices(list(self._shares), list(self._shares.values()))[0]


def all_sent(parameters: Mapping[str, str]) -> Fate:
    return Fate.SENT


class Callbacks:
    """fail(error): one that was not taken. delay_seconds: of one that is late."""

    def __init__(
        self, http: SignedHttp, fail: Callable[[str], object], fate: FateOf = all_sent, delay_seconds: float = 2.0
    ) -> None:
        self._http = http
        self._fail = fail
        self._fate = fate
        self._delay_seconds = delay_seconds
        self._last: dict[str, asyncio.Task[None]] = {}
        self._kept: dict[str, Work] = {}  # for the next one of the same call
        self._tasks: set[asyncio.Task[None]] = set()
        self.fates: list[tuple[Fate, dict[str, str]]] = []
        """Of every callback, in the order in which they came to be."""

    def send(self, about: str, url: str, method: str, parameters: Mapping[str, str]) -> None:
        """about: a sid; what is about the same comes in order."""
        form = dict(parameters)
        fate = self._fate(form)
        self.fates.append((fate, form))
        if fate is Fate.DROPPED:
            return
        request = functools.partial(self._request, method, url, form)
        if fate is Fate.DELAYED:
            self._start(self._later(request))
        elif fate is Fate.REORDERED and about not in self._kept:
            self._kept[about] = request
            self._start(self._release(about, request))
        else:
            self._behind(about, request)
            if fate is Fate.DOUBLED:
                self._behind(about, request)
            if about in self._kept:
                self._behind(about, self._kept.pop(about))

    async def settle(self) -> None:
        """Until all are sent."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """What is on its way is lost."""
        self._kept.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _behind(self, about: str, request: Work) -> None:
        self._last[about] = task = self._start(self._after(self._last.get(about), request))
        task.add_done_callback(lambda done: self._forget(about, done))

    def _forget(self, about: str, done: asyncio.Task[None]) -> None:
        if self._last.get(about) is done:
            del self._last[about]

    async def _after(self, last: asyncio.Task[None] | None, request: Work) -> None:
        if last is not None:
            await asyncio.wait([last])
        await request()

    async def _later(self, request: Work) -> None:
        await asyncio.sleep(self._delay_seconds)
        await request()

    async def _release(self, about: str, request: Work) -> None:
        """The last callback of a call has none behind it: it is merely late."""
        await asyncio.sleep(self._delay_seconds)
        if self._kept.get(about) is request:
            del self._kept[about]
            await request()

    async def _request(self, method: str, url: str, form: Mapping[str, str]) -> None:
        try:
            response = await self._http.request(method, url, form)
        except httpx2.HTTPError as error:
            self._fail(f"11200 {url} failed: {error!r}")
            return
        if response.status_code >= 400:
            self._fail(f"11200 {url} answered {response.status_code}")

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
