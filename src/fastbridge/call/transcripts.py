"""Transcripts, told once they are known, to the log and to the agent's `on_transcript`: in the conversation's order.

The caller's words are known when the model has written them down, all of them. The assistant's are known when it is
known how much of them was heard: when they have been played, at an interruption, at the end of the call; what nobody
heard was not said. A turn waits for those before it; for words of the caller's that do not come it waits
PATIENCE_SECONDS.
"""

from collections.abc import Callable
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import Turn
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.port import Model
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

PATIENCE_SECONDS = 3.0
"""A transcript takes about one; what waits for it must not wait for ever."""

Heard = dict[str, tuple[int, int]]
"""Of items in the lane: (heard_ms, received_ms), as the model counts."""


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def assistant_speaks(self) -> bool: ...


class Transcripts:
    """One call's. settings: say whether the caller's words are written down at all. tell(turn): to the agent. `review`
    is to be called whenever something may have become known."""

    def __init__(
        self,
        *,
        clock: Clock,
        facts: Moment,
        assistant: AssistantLane,
        session: Model,
        settings: Settings,
        log: CallLog,
        tell: Callable[[Turn], object],
    ) -> None:
        self._facts = facts
        self._assistant = assistant
        self._session = session
        self._history = session.history
        self._are_written = bool(settings.transcription_model)
        self._log = log
        self._tell_agent = tell
        self._voiced: set[str] = set()  # untold items of which audio came
        self._taken_back = ""  # the response that we cancelled last
        self._awaited = ""  # of the caller's: the turn that others wait for
        self._passed_over: dict[str, Turn] = {}  # of the caller's: those that nobody waits for any more
        self._patience = Deadline(clock, self._pass_over)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        self._are_written = bool(settings.transcription_model)

    def written_down(self, turn: Turn) -> None:
        """The model has given the whole transcript of a turn, or given it up."""
        if self._passed_over.pop(turn.item_id, None) is not None:
            self._tell(turn)
        self.review()

    def review(self, *_: object) -> None:
        """Tell what is known by now, and of what waits for others no more than those before it."""
        if self._history.untold:
            heard = self._heard()
            self._settle(heard, over=False)
            self._tell_known(heard)

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        """Of one that we took back nothing more is heard: what was not heard of it the model is to forget."""
        if self._session.responses.refused_by_us and status != "lost":
            self._taken_back = response_id
        self.review()

    def close(self) -> None:
        """The call is over, while the lane still knows what was heard."""
        heard = self._heard()
        self._settle(heard, over=True)
        for turn in self._history.ordered(self._history.untold):
            if turn.role == "assistant" or turn.ended:
                self._tell(turn)
        self._patience.clear()

    def _heard(self) -> Heard:
        whole_ms = self._history.whole_ms
        items = self._assistant.items()
        heard = {item: (whole_ms(item, heard), whole_ms(item, received)) for item, _, heard, received in items}
        self._voiced |= {item for item, (_, received_ms) in heard.items() if received_ms} & self._history.untold.keys()
        return heard

    def _settle(self, heard: Heard, *, over: bool) -> None:
        """What was not heard and will not be was not said. over: nothing more will be heard."""
        stopped = over or not self._facts.assistant_speaks
        for turn in self._history.untold.values():
            if turn.role != "assistant" or turn.heard_ms is not None or (self._is_generating(turn) and not over):
                continue
            if turn.item_id in heard:
                heard_ms, received_ms = heard[turn.item_id]
                if stopped and (heard_ms < received_ms or not turn.ended):
                    self._history.cut(turn, heard_ms, received_ms)
            elif turn.item_id not in self._voiced:
                if turn.response_id and turn.response_id == self._taken_back and not over:
                    self._session.truncate(turn.item_id, 0, 0)
                self._history.cut(turn, 0, 0)

    def _tell_known(self, heard: Heard) -> None:
        first: Turn | None = None  # of those that are not known
        waits = False
        for turn in self._history.ordered(self._history.untold):
            if not self._is_known(turn, heard):
                first = first or turn
            elif first is None:
                self._tell(turn)
            else:
                waits = True
        awaited = first.item_id if first is not None and waits and first.role == "caller" else ""
        if awaited != self._awaited:
            self._awaited = awaited
            self._patience.clear()
            if awaited:
                self._patience.set(PATIENCE_SECONDS)

    def _is_known(self, turn: Turn, heard: Heard) -> bool:
        if turn.role == "caller":
            return (turn.ended and turn.item_id != self._session.late_item) or not self._are_written
        if turn.heard_ms is not None:  # its words may be still to come, to be cut to what was heard
            return bool(turn.text or turn.ended) or not turn.heard_ms or not self._is_generating(turn)
        heard_ms, received_ms = heard.get(turn.item_id, (0, 0))
        return not self._is_generating(turn) and heard_ms >= received_ms

    def _is_generating(self, turn: Turn) -> bool:
        responses = self._session.responses
        return responses.generating and turn.response_id in ("", responses.response_id)

    def _pass_over(self) -> None:
        self._passed_over[self._awaited] = self._history.untold.pop(self._awaited)
        self.review()

    def _tell(self, turn: Turn) -> None:
        self._history.untold.pop(turn.item_id, None)
        self._voiced.discard(turn.item_id)
        cut = turn.heard_ms is not None
        if turn.text or turn.heard_ms:
            events.transcript(self._log, caller=turn.role == "caller", text=turn.text, cut=cut)
        if turn.text:
            self._tell_agent(turn)
