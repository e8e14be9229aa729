"""One call: its beginning, its end, and what the carrier, the node and the user's code do to it between them.

Sans-I/O; time and tasks are injected. Nothing is decided here: the lanes, the model and the carrier tell what happens,
and who is told of it is in `order`. `close` is a transition: the first reason wins, every counter is settled, sockets
last.
"""

from collections.abc import Callable
from typing import Any

from fastbridge.base.end_reasons import EndReason
from fastbridge.call import record
from fastbridge.call.assembly import Assembly
from fastbridge.call.happenings import Beginning, ConsentGiven, Ending, Second
from fastbridge.call.parts import CallState
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.port import CarrierKnowsWho, CarrierPaused
from fastbridge.model.port import saying
from fastbridge.observe import events


class Call(Assembly):
    """See Assembly for what it is given. known_who: who has answered, where the carrier said so before the stream."""

    known_who: str | None = None

    @property
    def apologised(self) -> bool:
        return self.fallback.apologised

    def start(self) -> None:
        """The stream has started: both lanes run, the model is being dialled."""
        business_id = self.context.parameters.get("business_id", "")
        events.call_start(self.log, business_id=business_id, direction=self.context.direction)
        if self.dsp is not None:
            events.dsp_enabled(self.log)
        sid = self.stream_sid.encode()
        for step in (
            lambda: self.caller.start(sid),
            lambda: self.assistant.start(sid, self._carrier.write),
            lambda: self.remote.begin(self),
            self._start_beat,
            lambda: self._tell(Beginning()),
            lambda: self.on_answered_by(self.known_who) if self.known_who else None,
        ):
            self._guarded(step)()

    # --- the carrier's side ---

    def on_carrier_closed(self) -> None:
        """The media socket is gone, with or without `stop`."""
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_status(self, status: str) -> None:
        if status in TERMINAL_STATUSES and self.live:
            events.webhook_close(self.log, source="call_status", status=status)
            self.close(EndReason.CARRIER_STATUS)

    def on_answered_by(self, verdict: str) -> None:
        """The carrier knows who has answered."""
        if self.live:
            self._tell(CarrierKnowsWho(verdict))

    def on_stream_ended(self) -> None:
        if self.live:
            events.webhook_close(self.log, source="stream_ended")
        self.close(EndReason.CUSTOMER_HANGUP)

    def on_carrier_paused(self, paused: bool) -> None:
        self._tell(CarrierPaused(paused))

    # --- what the user's code, and the node, may do to it ---

    def hang_up(self) -> None:
        """End the call when all that was said has been heard."""
        if self.live:
            self.transfers.withdraw()
            self.hangup.hang_up()

    def destination(self, wanted: str) -> str | None:
        """The number behind one of the agent's own destinations; None where nobody can be connected to it, or somebody
        is being called already."""
        return None if self.transfers.holding else self.hangup.destination(wanted)

    def transfer(self, number: str) -> None:
        """Connect the caller to this `destination` when all that was said has been heard."""
        self.hangup.transfer(number)

    @property
    def can_call(self) -> bool:
        """Somebody can be called for the caller, who stays meanwhile."""
        return self.live and self.transfers.possible

    def call_for(self, number: str, brief: str) -> None:
        """Call this `destination`, tell him the brief, and connect the caller if he says yes."""
        if self.live:
            self.transfers.begin(number, brief)

    def say(self, text: str) -> None:
        """Have the model say this."""
        if self.session.ready:
            self.session.responses.create("say", saying(text))

    def consent(self) -> None:
        """The caller agrees to be recorded."""
        if self.live:
            self._tell(ConsentGiven())

    def begin_private(self, ticket: object, seconds: float, answer: Callable[[bool], object]) -> None:
        """What the caller says from now on is for the agent's code alone. answer(it is so); False: it is not."""
        self.privacy.enter(ticket, seconds, answer)

    def end_private(self, ticket: object) -> None:
        self.privacy.leave(ticket)

    def gather(self, max_digits: int, end: str, timeout_seconds: float, answer: Callable[[str], object]) -> None:
        """The next keys go to `answer`, and to nobody else."""
        self.dtmf.gather(max_digits, end, timeout_seconds, answer)

    # --- end ---

    def close(self, reason: str) -> None:
        """End the call, once. The first reason wins. What fails on the way out stops nobody behind it."""
        if not self.live:
            return
        self.state = CallState.ENDED
        self.end_reason = str(reason)
        for step in (
            self._name_reason,
            self._stop_beat,
            lambda: self._tell(Ending()),
            self._report,
            lambda: self.hooks.close(lambda: self.document or self.record()),
            lambda: self._ended(self),
            self.line.close,
            lambda: self._carrier.close(1000, ""),
        ):
            self._guarded(step)()

    def _name_reason(self) -> None:
        self.end_reason = str(self.transfers.end_reason(self.hangup.end_reason(self.end_reason or "")))

    def _start_beat(self) -> None:
        self._beat = self.clock.every_second(lambda: self._tell(Second()))

    def _stop_beat(self) -> None:
        if self._beat is not None:
            self._beat.cancel()

    def _report(self) -> None:
        self.document = self.late_tools.document = self.record()
        self._guarded(self.log.finish)()
        record.report(self, self.document)

    def accounted(self) -> None:
        """The service has told what a session has lasted. Of a call that is over the record says so then."""
        if self.document is None:
            return
        self.budget.accounted()
        before = self.late_tools.document or self.document
        document = record.accounted(self, before)
        if document is not None:
            self.document = self.late_tools.document = document
            self._accounted(document, (document["cost"]["usd"] or 0.0) - (before["cost"]["usd"] or 0.0))

    def record(self) -> dict[str, Any]:
        """The call as one JSON document."""
        return record.record(self)
