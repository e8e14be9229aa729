"""The tasks that a GPT-Live session hands on: to its Responses backend, or to the client, who is told nothing of them.

A backend's response runs to its end, or to its calls; then the client gives the outputs and asks for the next. What the
backend says the model speaks. Who may speak is not known here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import live_wire
from .live_backend import Backend, Part, Run
from .live_line import Line
from .live_refusals import needs_responses
from .live_session_object import LiveSettings
from .live_talk import Talk
from .scenario import CallTool, Say, Scenario
from .timeline import Steps
from .wire import Json, Problem

HANG_UP = "hang_up"
"""The tool with which a model ends the call."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """A task that the model handed on, by the session's clock at `offset_ms`, and what the script had it ask for: that
    the wire tells nobody."""

    id: str
    target: str
    calls: Sequence[CallTool]
    offset_ms: float


class Delegations:
    """`made` is every task there was. `mistakes`: what the service takes, and a script or a client gets wrong."""

    def __init__(self, scenario: Scenario, line: Line, settings: LiveSettings, talk: Talk) -> None:
        self.made: list[Delegation] = []
        self.mistakes: list[str] = []
        self.backend = Backend(line.ids, scenario.first_delta_ms, scenario.call_id)
        self._live = scenario.live
        self._line = line
        self._settings = settings
        self._talk = talk
        self._appended = 0
        self._has_left = False  # it has said goodbye, and hung up

    def knows(self, delegation_id: str) -> bool:
        """Whether there was this one."""
        return any(each.id == delegation_id for each in self.made)

    def delegate(self, calls: Sequence[CallTool], spoke: bool) -> None:
        """Hand a task on. spoke: the model has said something about it."""
        offset_ms = self._line.clock_ms
        delegation = Delegation(self._line.ids.new("item"), self._settings.delegation, calls, offset_ms)
        self.made.append(delegation)
        self._has_left = spoke and _hangs_up(calls)
        run = self.backend.run(calls, delegation.id) if delegation.target == "responses" else None
        response_id = run.id if run is not None else None
        created = live_wire.delegation_created(delegation.id, delegation.target, response_id, offset_ms)
        self._line.send(created)
        if run is not None:
            self._start(run)
        if self._live.acknowledgement and not spoke:
            self._line.later(self._acknowledging(self._appended))

    def on_context(self) -> None:
        """Commentary or thinking came: what the model would have said of its delegations by itself it does not say."""
        self._appended += 1

    def create_item(self, event: Json) -> Problem | None:
        """`response.item.create`."""
        if self._settings.delegation != "responses":
            return needs_responses(event["type"])
        problem = self.backend.create(event["item"])
        if problem is None:
            self._talk.conversation.append(event["item"])
        self.mistakes += self.backend.mistakes
        self.backend.mistakes.clear()
        return problem

    def create_response(self, event: Json) -> Problem | None:
        """`response.create`."""
        if self._settings.delegation != "responses":
            return needs_responses(event["type"])
        problem = self.backend.refusal()
        if problem is None:
            delegation_id = self.backend.delegation_id if self.backend.waiting else None
            self._start(self.backend.run(self._goes_on(), delegation_id))
        return problem

    def _goes_on(self) -> Sequence[Part]:
        """The next of the script's turns; nothing behind a goodbye."""
        parts = () if self._has_left else self._talk.next_turn("client", {})
        self._has_left = any(isinstance(part, Say) for part in parts) and _hangs_up(parts)
        return parts

    def _start(self, run: Run) -> None:
        self._check_offered(part for part in run.parts if isinstance(part, CallTool))
        self._line.later(self._running(run))

    def _running(self, run: Run) -> Steps:
        yield from self.backend.steps(run, self._settings.settings["delegation"]["responses"]["model"])
        self._talk.conversation += run.calls
        yield self._live.answer_ms, None
        for say in run.text:
            self._talk.say(say)

    def _acknowledging(self, appended: int) -> Steps:
        yield float(self._settings.acknowledgement_delay_ms), None
        if self._appended == appended:
            self._talk.say(Say(self._live.acknowledgement))

    def _check_offered(self, calls: Iterable[CallTool]) -> None:
        offered = {tool["name"] for tool in self._settings.tools}
        for call in calls:
            if call.name not in offered:
                self.mistakes.append(f"the script calls '{call.name}', a tool that the session does not offer")


def _hangs_up(parts: Iterable[Part]) -> bool:
    calls = [part.name for part in parts if isinstance(part, CallTool)]
    return calls == [HANG_UP]
