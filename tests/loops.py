"""Tests of real sockets run on the loop that a node has, and on asyncio's own. Loops of virtual time are closed."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from fastbridge.testing.loop import VirtualLoop

OnLoop = Callable[[Coroutine[Any, Any, None]], None]
FACTORIES = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

VIRTUAL: list[VirtualLoop] = []
"""Those of a test, to be closed behind it by the fixture `virtual_loops`."""


def virtual() -> VirtualLoop:
    VIRTUAL.append(VirtualLoop())
    return VIRTUAL[-1]


def runner(name: str) -> OnLoop:
    def on_loop(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=FACTORIES[name]) as runner:
            runner.run(test)

    return on_loop
