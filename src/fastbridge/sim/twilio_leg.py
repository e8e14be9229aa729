"""A call that was placed, and what becomes of it: it rings at a Callee, is answered or not, obeys TwiML, and ends.

The callee's telephone is a SimulatedCaller who has been called. All waiting is on the running loop's clock.
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from fastbridge.sim.callee import Callee, Verdict
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.media_line import LineError
from fastbridge.sim.report import CallReport
from fastbridge.sim.twilio_call import ANSWERED, Call
from fastbridge.sim.twilio_form import is_true
from fastbridge.sim.twilio_progress import Progress
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twiml import Document, Exchange, parsed

TIMEOUT_SECONDS = 60.0
EXTRA_SECONDS = 5.0
"""How much longer than `Timeout` Twilio lets it ring."""
DETECTION_SECONDS = 30
TIME_LIMIT_SECONDS = 14_400
CANCELED_SIP_CODE = 487


class Witness(Protocol):
    """Who else must know of a call, to record it."""

    def answered(self, call: Call, fields: Mapping[str, str]) -> None: ...
    def ended(self, call: Call) -> Mapping[str, str]:
        """More for the last status callback."""


class Leg:
    """fields: of the request that placed the call. `run` it once. `picked_up` is done with True when it is answered,
    with False when it is not going to be; `phone` is the callee's."""

    def __init__(
        self,
        call: Call,
        callee: Callee,
        fields: Mapping[str, str],
        progress: Progress,
        services: Services,
        exchange: Exchange,
        witness: Witness,
        auth_token: str,
    ) -> None:
        self.call = call
        self.picked_up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self._callee = callee
        self._fields = fields
        self._progress = progress
        self._services = services
        self._witness = witness
        self._order: dict[str, str] | None = None  # that came while a machine was listened for
        self._canceled = asyncio.Event()
        self.phone = SimulatedCaller(
            "",
            callee.script,
            auth_token=auth_token,
            account_sid=call.account_sid,
            call_sid=call.sid,
            from_number=call.from_number,
            to_number=call.to_number,
            direction=call.direction,
            limit_seconds=callee.limit_seconds,
            patience_ms=callee.patience_ms,
            digits=callee.digits,
        )
        self.phone.exchange = exchange

    @property
    def call_sid(self) -> str:
        return self.call.sid

    def update(self, form: dict[str, str]) -> bool:
        """Of the REST API. False where the call is not in a state for it."""
        if "StatusCallback" in form:
            self._progress.url = form["StatusCallback"]
            self._progress.method = form.get("StatusCallbackMethod", "POST")
        if not {"Status", "Twiml", "Url"} & form.keys():
            return True
        if self.call.over or self._canceled.is_set():
            return False
        if self.call.state != ANSWERED:
            return self._cancel() if "Status" in form else False
        if self.phone.status == "in-progress":
            return self.phone.update(form)
        self._order = form
        return self._cancel()

    def hang_up(self) -> None:
        """The callee does, or whoever dialled him gives up."""
        if self.phone.status == "in-progress":
            self.phone.hang_up()
        else:
            self._cancel()

    async def run(self) -> None:
        try:
            if await self._rings() and await self._is_picked_up():
                await self._answered()
        finally:
            if not self.picked_up.done():
                self.picked_up.set_result(False)
            self.over.set()

    async def _rings(self) -> bool:
        """False if it does not get so far."""
        self._become("initiated")
        if await self._passed(self._callee.dials_seconds):
            return self._end("canceled", CANCELED_SIP_CODE)
        if self._callee.outcome == "failed" and not self._callee.rings_seconds:
            return self._end("failed", self._callee.sip)
        self._become("ringing")
        return True

    async def _is_picked_up(self) -> bool:
        callee = self._callee
        timeout = float(self._fields.get("Timeout", TIMEOUT_SECONDS)) + EXTRA_SECONDS
        if await self._passed(min(callee.rings_seconds, timeout)):
            return self._end("canceled", CANCELED_SIP_CODE)
        if callee.rings_seconds > timeout:
            return self._end("no-answer", CANCELED_SIP_CODE)
        if callee.outcome != "answers":
            return self._end(callee.outcome, callee.sip)
        return True

    async def _answered(self) -> None:
        self._become(ANSWERED)
        self._witness.answered(self.call, self._fields)
        self.picked_up.set_result(True)
        loop = asyncio.get_running_loop()
        timers = [loop.call_later(float(self._fields.get("TimeLimit", TIME_LIMIT_SECONDS)), self.hang_up)]
        if self._callee.hangs_up_after_seconds is not None:
            timers.append(loop.call_later(self._callee.hangs_up_after_seconds, self.hang_up))
        try:
            report = await self._talks()
        finally:
            for timer in timers:
                timer.cancel()
        for error in report.errors:
            self._services.fail(error)
        told = self._witness.ended(self.call)
        self._end("completed", self._callee.sip, told)

    async def _talks(self) -> CallReport:
        asynchronous = is_true(self._fields, "AsyncAmd")
        if "MachineDetection" in self._fields and "SendDigits" not in self._fields:
            if asynchronous:
                self._services.start(self._detects_meanwhile())
            elif await self._detects() and self._order is None:
                return self.phone.report  # he hung up while it was listened for who he is
        if self._order is not None and "Status" in self._order:
            return self.phone.report
        return await self.phone.pick_up(self._services.http, self._first)

    async def _first(self) -> Document:
        """What he is connected with."""
        fields = dict(self._fields)
        if self._order is not None:
            fields = {"Method": "POST", **self._order}
        if "Twiml" in fields:
            return parsed(fields["Twiml"])
        told = {"CallStatus": ANSWERED}
        if self.call.answered_by is not None:
            told["AnsweredBy"] = self.call.answered_by
        try:
            return await self.phone.fetch(fields["Url"], told, fields.get("Method", "POST"))
        except LineError as error:
            if "FallbackUrl" not in fields:
                raise
            self._services.fail(str(error))
            told |= {"ErrorCode": str(error).partition(" ")[0], "ErrorUrl": fields["Url"]}
            return await self.phone.fetch(fields["FallbackUrl"], told, fields.get("FallbackMethod", "POST"))

    # Answering machine detection

    async def _detects(self) -> bool:
        """True where the call was over, or sent elsewhere, before it was known."""
        verdict = self._verdict()
        if await self._passed(verdict.seconds):
            return True
        self.call.answered_by = verdict.answered_by
        return False

    async def _detects_meanwhile(self) -> None:
        verdict = self._verdict()
        await asyncio.sleep(verdict.seconds)
        if self.call.over:
            return
        self.call.answered_by = verdict.answered_by
        url = self._fields.get("AsyncAmdStatusCallback")
        if url is None:
            return
        told = {
            "CallSid": self.call.sid,
            "AccountSid": self.call.account_sid,
            "AnsweredBy": verdict.answered_by,
            "MachineDetectionDuration": str(round(verdict.seconds * 1000)),
        }
        method = self._fields.get("AsyncAmdStatusCallbackMethod", "POST")
        self._services.callbacks.send(f"{self.call.sid} amd", url, method, told)

    def _verdict(self) -> Verdict:
        timeout = float(self._fields.get("MachineDetectionTimeout", DETECTION_SECONDS))
        return self._callee.verdict(self._fields["MachineDetection"], timeout)

    # The call's states

    def _become(self, state: str) -> None:
        self.call.move(state, self._services.now())
        self._progress.tell()

    def _end(self, state: str, sip_code: int, told: Mapping[str, str] | None = None) -> bool:
        self.call.move(state, self._services.now())
        code = self._callee.error_code if state != "completed" else None
        more = {"ErrorCode": str(code)} if code is not None else {}
        self._progress.tell(SipResponseCode=str(sip_code), **more, **(told or {}))
        return False

    def _cancel(self) -> bool:
        self._canceled.set()
        return True

    async def _passed(self, seconds: float) -> bool:
        """Wait; True where the call was canceled meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self._canceled.wait()
        except TimeoutError:
            return False
        return True
