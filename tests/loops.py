"""Tests of real sockets run on the loop that a node has, and on asyncio's own."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

OnLoop = Callable[[Coroutine[Any, Any, None]], None]
FACTORIES = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def runner(name: str) -> OnLoop:
    def on_loop(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=FACTORIES[name]) as runner:
            runner.run(test)

    return on_loop
