"""The agent that answers a call: the webhook's, or what its look-up makes of it when the stream has started."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import Hooks
from fastbridge.agent.lookup import Lookup
from fastbridge.base.clock import Clock
from fastbridge.call.happenings import AgentKnown
from fastbridge.config import CONVERSATION_SETTINGS, Settings
from fastbridge.errors import ConfigError
from fastbridge.model.port import Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

KEPT_FIELDS = frozenset({"dsp", "model", "allowed_callers"})
"""What an agent that `on_call` makes cannot change any more: lanes run, the model is dialled, the caller is let in."""


class Answering:
    """lookup: one that began at the webhook; its context is the call's. context: has the agent in it."""

    def __init__(
        self,
        agent: Agent,
        context: CallContext,
        *,
        clock: Clock,
        settings: Settings,
        lookup: Lookup | None,
        hooks: Hooks,
        session: Model,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        tell: Tell,
    ) -> None:
        self.agent = agent
        self._lookup = lookup or Lookup(agent, context, clock, spawn)
        self.context = replace(context, variables=self._lookup.context.variables)
        self._settings = settings
        self._hooks = hooks
        self._session = session
        self._log = log
        self._tell = tell
        self._started = False

    def begin(self) -> None:
        """The stream has started: who answers is known now, or in a moment."""
        self._session.hold()
        self._lookup.wait(self._settings.lookup_ms / 1000, self._found)

    def ready(self) -> None:
        """The model listens: for the first time, or again after its connection was lost."""
        if not self._started:
            self._started = True
            self._hooks.emit("on_start", self.context)

    def close(self) -> None:
        self._lookup.close()

    def _found(self, agent: Agent) -> None:
        agent = agent.in_language(self._settings.language)
        late = _too_late(agent, self.agent, self._settings)
        if late:
            why = f"{', '.join(late)}: settled when the stream starts, before on_call"
            events.settings_refused(self._log, why)
        self.agent = agent
        self.context = replace(self.context, agent=agent)
        settings = self._session_settings(agent)
        self._session.configure(agent, settings)
        self._tell(AgentKnown(agent, self.context, settings))

    def _session_settings(self, agent: Agent) -> Settings:
        """The call's, with what the agent that answers changes of them; never the model, which is dialled."""
        settings = (agent.changed(model="") if agent.model else agent).call_settings(self._settings)
        try:
            settings.require_session()
        except ConfigError as error:  # the node's start has checked all agents but those that `on_call` makes
            events.settings_refused(self._log, str(error))
            return self._settings
        return settings


def _too_late(found: Agent, answering: Agent, settings: Settings) -> list[str]:
    """What `found`, taking over a call from `answering`, would have otherwise, and what is settled by now."""
    fields = [name for name in sorted(KEPT_FIELDS) if getattr(found, name) != getattr(answering, name)]
    kept = [name for name in found.settings if name not in CONVERSATION_SETTINGS]
    return fields + [name for name in kept if getattr(settings, name) != found.settings[name]]
