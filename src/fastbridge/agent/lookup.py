"""What an agent's `on_call` finds out about a caller: begun at the webhook, waited for when the stream starts.

The look-up runs beside the dialling of the model. The caller pays for it with at most `lookup_ms` of the session's
start; then the call goes on with the defaults, and what comes later is thrown away. It never fails a call.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import call_hook, is_cancelled
from fastbridge.base.clock import Clock, Deadline
from fastbridge.observe import events

HARD_SECONDS = 10.0
"""A look-up that runs longer, from a webhook whose stream is late, is given up."""
HOLD_SECONDS = 60.0
"""How long one is kept for a stream that never starts."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Lookup:
    """One call's. agent: the call's own, its placeholders not filled yet.

    outcome: None while it runs; `none` without a hook, then `ok`, `failed` or `late`.
    """

    def __init__(self, agent: Agent, context: CallContext, clock: Clock, spawn: Spawn) -> None:
        self.agent = agent
        self.context = context
        self.outcome: str | None = None
        self._clock = clock
        self._spawn = spawn
        self._task: asyncio.Task[None] | None = None
        self._found: Agent | None = None
        self._then: Callable[[Agent], object] | None = None
        self._deadline = Deadline(clock, self._expired)

    def begin(self) -> None:
        """Start looking. Harmless if it has begun."""
        if self.outcome is not None or self._task is not None:
            return
        if "on_call" in self.agent.hooks:
            self._task = self._spawn(self._look())
        else:
            self.outcome = "none"

    def wait(self, seconds: float, then: Callable[[Agent], object]) -> None:
        """`then(agent)`, once: now if all is known, else when it is, and after `seconds` whatever is known."""
        self.begin()
        self._then = then
        if self.outcome is not None or seconds <= 0:
            self._give()
        else:
            self._deadline.set(seconds)

    def close(self) -> None:
        self._then = None
        self._deadline.clear()
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        outcome = "failed"
        try:
            async with asyncio.timeout(HARD_SECONDS):
                self._take(await call_hook(self.agent.hooks["on_call"], self.context, self.context))
            outcome = "ok"
        except TimeoutError:
            events.hook_slow(self.context.journal, "on_call")
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if is_cancelled():
                raise
            events.hook_failed(self.context.journal, "on_call", error)
        if self.outcome is None:
            self.outcome = outcome
            if self._then is not None:
                self._give()

    def _take(self, found: Any) -> None:
        if self.outcome is not None:
            return
        if isinstance(found, Agent):
            self._found = found
        elif isinstance(found, Mapping):
            self.context.variables.update(found)
        elif found is not None:
            raise TypeError(f"on_call returns a mapping, an Agent or None, not {type(found).__name__}")

    def _expired(self) -> None:
        self.outcome = "late"
        events.lookup_late(self.context.journal)
        if self._task is not None:
            self._task.cancel()
        self._give()

    def _give(self) -> None:
        then, self._then = self._then, None
        self._deadline.clear()
        if then is not None:
            known = {**self.context.parameters, **self.context.variables}
            then((self._found or self.agent).filled(known))


class Lookups:
    """Those begun at a webhook, by call sid, until their streams take them. As many as there are pending calls: each
    is dropped after HOLD_SECONDS."""

    def __init__(self, clock: Clock, spawn: Spawn) -> None:
        self._clock = clock
        self._spawn = spawn
        self._held: dict[str, tuple[Lookup, Deadline]] = {}

    def begin(self, agent: Agent, context: CallContext) -> None:
        """A webhook has announced this call. Announced twice, it is looked up once."""
        if context.call_sid in self._held or "on_call" not in agent.hooks:
            return
        lookup = Lookup(agent, context, self._clock, self._spawn)
        deadline = Deadline(self._clock, lambda: self.drop(context.call_sid))
        self._held[context.call_sid] = lookup, deadline
        deadline.set(HOLD_SECONDS)
        lookup.begin()

    def take(self, call_sid: str) -> Lookup | None:
        """The look-up of a call whose stream has started."""
        lookup, deadline = self._held.pop(call_sid, (None, None))
        if deadline is not None:
            deadline.clear()
        return lookup

    def drop(self, call_sid: str) -> None:
        """The call will not come."""
        lookup = self.take(call_sid)
        if lookup is not None:
            lookup.close()
            lookup.context.journal.finish()

    def close(self) -> None:
        for call_sid in list(self._held):
            self.drop(call_sid)

    def __len__(self) -> int:
        return len(self._held)
