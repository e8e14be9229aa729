"""Where a user's functions are hooked into a call: what of an Agent is about hooks.

Each is a function, plain or async; one that takes a CallContext by annotation gets it.
"""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from fastbridge.agent import fields as agent_fields
from fastbridge.errors import ConfigError

_F = TypeVar("_F", bound=Callable[..., Any])


class WithHooks:
    """_context: the type by which a function asks for its call."""

    hooks: dict[str, Callable[..., Any]]
    _context: ClassVar[type]

    def on_call(self, function: _F) -> _F:
        """`function(context)` looks things up before the conversation begins; the caller waits 600 ms for it at most.

        It may return variables (a mapping), which fill the placeholders, or the agent for this call:
        `context.agent.changed(...)`. Too late, or failed: the call goes on without.
        """
        return self._hook("on_call", function)

    def on_start(self, function: _F) -> _F:
        """`function(context)`: the conversation has begun; here `context.say` and the like work."""
        return self._hook("on_start", function)

    def on_machine(self, function: _F) -> _F:
        """`function(machine)`: a call out was answered by a machine, an AnsweredBy.

        It may return a text, which is left as a message behind the beep, word by word, and then the call is hung up;
        False: hang up at once; None: the conversation goes on.
        """
        return self._hook("on_machine", function)

    def on_transcript(self, function: _F) -> _F:
        """`function(turn)`: somebody has said something; of the assistant, what was heard."""
        return self._hook("on_transcript", function)

    def on_dtmf(self, function: _F) -> _F:
        """`function(digits)`: the caller has pressed keys. The model is told what it returns, if that is a text."""
        return self._hook("on_dtmf", function)

    def on_end(self, function: _F) -> _F:
        """`function(record)`: the call is over; the record is the document that is kept of it."""
        return self._hook("on_end", function)

    def _hook(self, name: str, function: _F) -> _F:
        agent_fields.check_hook(name, function, self._context)
        if name in self.hooks:
            raise ConfigError(f"The agent already has an {name}: one function may call several.")
        self.hooks[name] = function
        return function
