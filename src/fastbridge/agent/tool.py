"""A tool: a function of the user's that the model may call, and the running of it beside the audio."""

import asyncio
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fastbridge.agent import threads
from fastbridge.agent.schema import Arguments


@dataclass(frozen=True)
class Tool:
    """A function the model may call. `parameters` is the JSON schema of its arguments. Made by `tool_from`.

    filler: what is said while it takes long; None for the agent's. max_calls: how often it may run in one phone call.
    """

    name: str
    description: str
    parameters: dict[str, Any]
    function: Callable[..., Any]
    arguments: Arguments = field(repr=False, compare=False)
    timeout_seconds: float = 10.0
    filler: str | None = None
    max_calls: int | None = None

    def definition(self) -> dict[str, Any]:
        """The tool as `session.update` wants it."""
        shown = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", **shown}

    async def call(
        self,
        arguments: str | Mapping[str, Any],
        context: object,
        *,
        left: Callable[[Future[Any]], object] | None = None,
    ) -> Any:
        """Run it with the model's JSON text, or the same as a mapping. ArgumentError where that is not what it takes;
        TimeoutError. left(future): nobody waits for it any more, and the function, a plain one, works on."""
        given = self.arguments.read(arguments if isinstance(arguments, str) else json.dumps(arguments))
        given.update(dict.fromkeys(self.arguments.injected_names, context))
        async with asyncio.timeout(self.timeout_seconds):
            return await _run(self.function, functools.partial(self.function, **given), left)


async def run(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """Call a user's function: an async one here, a plain one in a thread of its own, so that it never blocks the audio.
    Whatever can be awaited is awaited: a plain function around an async one is as good."""
    return await _run(function, functools.partial(function, *positional, **named), None)


async def _run(
    function: Callable[..., Any], work: Callable[[], Any], left: Callable[[Future[Any]], object] | None
) -> Any:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "func", None)):
        return await work()
    thread = threads.Kept()
    try:
        result = await asyncio.get_running_loop().run_in_executor(thread, work)
    except asyncio.CancelledError:
        if left is not None and thread.future is not None:
            left(thread.future)
        raise
    return await result if inspect.isawaitable(result) else result
