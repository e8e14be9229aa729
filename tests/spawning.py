"""A loop of virtual time for what spawns tasks: they are kept, and done when the test ends."""

import asyncio
from collections.abc import Callable
from typing import Any

from virtual import VirtualLoop


class Spawning:
    """To be inherited by a rig, whose `tasks` are all that was spawned, in order."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, coroutine: Any) -> "asyncio.Task[None]":
        task = self.loop.create_task(coroutine)
        self.tasks.append(task)
        return task

    def shut(self, close: Callable[[], object]) -> None:
        """End of the test: once all is closed, no task and no timer is left."""
        try:
            self.loop.do(close)
            self.loop.advance(0)
            assert [task for task in self.tasks if not task.done()] == []
            assert (self.loop.failures, self.loop.pending_timers()) == ([], [])
        finally:
            self.loop.close()
