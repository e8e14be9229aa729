"""Placing calls, and seeing each of them to its end: one record, with the right outcome, whatever gets lost.

A row is there before the carrier is asked; who dies in between leaves it to whoever looks next. Where the carrier's
answer is lost the call is never placed again: it reports itself, for its webhooks carry the row's id, or it is looked
for among the carrier's, or it is given up. A call that nobody tells of is asked after. The database is a thread's
affair, and never the loop's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlencode

from fastbridge.base.end_reasons import UNANSWERED, EndReason
from fastbridge.call.record import unbegun
from fastbridge.carrier.admission import Admission
from fastbridge.carrier.port import CarrierCalls, Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.config import Settings
from fastbridge.observe import notices
from fastbridge.outbound.requests import OUTBOUND_ID, CallRequest
from fastbridge.outbound.ringing import Ringing
from fastbridge.store.outbound import (
    COMPLETED,
    ENDED,
    LATEST,
    NO_RECORD,
    PLACING,
    SCHEDULED,
    OutboundCall,
    OutboundStore,
)

LEASE_SECONDS = 30.0
"""Whoever asks the carrier has an answer by then, or none."""
ELSEWHERE_SECONDS = 12.0
"""How long a second asker waits for the first one's answer."""
SWEEP_SECONDS = 5.0
SWEPT_ROWS = 50
UNCERTAIN_CHECK_SECONDS = 5.0
UNCERTAIN_SECONDS = 60.0
"""A call whose placing is uncertain, and of which nothing is heard or found by then, is not there."""
CLOCKS_SECONDS = 5.0
"""By which the carrier's clock and ours may differ."""
CHECK_SECONDS = 60.0
"""Between two looks at a conversation of which nothing is heard."""
RINGING_CHECK_SECONDS = 20.0
"""At a call that has not been answered."""
UNANSWERED_SECONDS = 5.0
"""Where the carrier could not be asked."""
RECORD_SECONDS = 60.0
"""A conversation has its own record by then."""
RECORD_CHECK_SECONDS = 1.0
"""Until it is looked for again."""
LATE_SECONDS = 3600.0
"""A scheduled call for which there is no place is not made any more."""

NOT_THERE = "The carrier's answer was lost, and it has no such call: it was not placed, and is not asked for again."

P = ParamSpec("P")
T = TypeVar("T")


class Busy(Exception):  # noqa: N818 - it is the carrier that is
    """Not placed, and nothing is kept of it: the same may be asked for again."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


class OtherCall(Exception):  # noqa: N818
    """The key is another call's."""


class NoNumber(Exception):  # noqa: N818
    """There is no number to call from."""


class Placer:
    """One process's. spawn(coroutine): a task beside the calls. draining(): whether it takes no new calls, and so would
    turn away whoever answers one."""

    def __init__(
        self,
        store: OutboundStore,
        carrier: CarrierCalls,
        settings: Settings,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"],
        draining: Callable[[], bool] = lambda: False,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        """Calls that have ended here, by how."""
        self.ringing = Ringing(now_s)
        self._store = store
        self._carrier = carrier
        self._settings = settings
        self._spawn = spawn
        self._draining = draining
        self._now_s = now_s
        self._thread = ThreadPoolExecutor(1, "fastbridge-outbound")
        self._sweeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look after calls, from now on."""
        self._sweeping = self._spawn(self._sweep_on())

    def rest(self) -> None:
        """Look after them no more."""
        if self._sweeping is not None:
            self._sweeping.cancel()

    async def close(self) -> None:
        self.rest()
        await self._carrier.close()
        await asyncio.to_thread(self._thread.shutdown)
        self._store.close()

    # --- what is asked for ---

    async def ask(self, request: CallRequest) -> tuple[OutboundCall, bool]:
        """The call, and whether it is a new one. Raises Busy, OtherCall, NoNumber."""
        if request.from_ is None and self._settings.twilio_phone_number is None:
            raise NoNumber
        due = request.schedule_at.timestamp() if request.schedule_at is not None else None
        digest = request.digest()
        row, new = await self._do(
            self._store.ask,
            request.document(),
            key=request.idempotency_key,
            digest=digest,
            due_s=due if due is not None and due > self._now_s() else None,
            lease_seconds=LEASE_SECONDS,
        )
        if not new:
            if row.digest != digest:
                raise OtherCall
            return await self._elsewhere(row), False
        return (await self._place(row) if row.state == PLACING else row), True

    async def get(self, which: str) -> OutboundCall | None:
        return await self._do(self._store.get, which)

    async def listed(self, **given: Any) -> list[OutboundCall]:
        return await self._do(self._store.listed, **given)

    async def cancel(self, row: OutboundCall) -> bool:
        """Cancel it, or hang up. False if that cannot be done now. It has ended when the carrier says so."""
        if row.over:
            return True
        if row.call_sid is not None:
            return await self._carrier.end(row.call_sid)
        if row.state != SCHEDULED:
            return False
        return await self._end(row.id, "canceled", None, "It was canceled before it was placed.", still=SCHEDULED)

    async def told(self, call_sid: str, state: str, sequence: int | None, params: Mapping[str, str]) -> None:
        """What the carrier tells of a call, which need not be one of ours. params: its own words, and ours."""
        if state in ENDED or state == "in-progress":
            self.ringing.over(call_sid)
        code, seconds = (_number(params.get(name)) for name in ("code", "duration_seconds"))
        known: dict[str, Any] = {"duration_seconds": seconds, "answered_by": params.get("answered_by"), "code": code}
        known["reason"] = params.get("reason")
        await self._told(call_sid, state, sequence, params.get(OUTBOUND_ID), known)

    async def answered_by(self, call_sid: str, verdict: str) -> None:
        """The carrier knows who it is."""
        await self._do(self._store.answered_by, call_sid, verdict)

    async def _told(
        self, call_sid: str, state: str, sequence: int | None, outbound_id: str | None, known: Mapping[str, Any]
    ) -> None:
        row = await self._do(
            self._store.told,
            call_id=outbound_id,
            call_sid=call_sid,
            state=state,
            sequence=sequence,
            check_seconds=_check_seconds(state),
            **known,
        )
        if row is not None and row.over:
            await self._close(row)

    async def _elsewhere(self, row: OutboundCall) -> OutboundCall:
        """Somebody else is asking the carrier for this very call."""
        for _ in range(int(ELSEWHERE_SECONDS / 0.2)):
            if row.state != PLACING:
                break
            await asyncio.sleep(0.2)
            found = await self._do(self._store.get, row.id)
            if found is None:
                raise Busy(1.0, "it could not be placed just now")
            row = found
        return row

    async def _place(self, row: OutboundCall) -> OutboundCall:
        placement = self._placement(row)
        result = await self._carrier.place(placement)
        if isinstance(result, Placed):
            self.ringing.placed(result.call_sid, placement.ring_seconds)
            check = _check_seconds(result.state)
            placed = await self._do(self._store.placed, row.id, result.call_sid, result.state, check)
            notices.outbound_placed(result.call_sid, row.id)
            return placed or row
        if isinstance(result, Refused):
            await self._end(row.id, "failed", result.code, result.reason)
        elif isinstance(result, TryLater):
            await self._later(row, result)
        else:
            await self._uncertain(row, result)
        return await self._do(self._store.get, row.id) or row

    async def _later(self, row: OutboundCall, result: TryLater) -> None:
        now = self._now_s()
        if "schedule_at" not in row.request:
            await self._do(self._store.forget, row.id)
            raise Busy(result.seconds, result.reason)
        if now - datetime.fromisoformat(row.request["schedule_at"]).timestamp() > LATE_SECONDS:
            await self._end(row.id, "failed", None, result.reason)
        else:
            await self._do(self._store.forget, row.id, due_s=now + result.seconds)

    async def _uncertain(self, row: OutboundCall, result: Uncertain) -> None:
        notices.outbound_uncertain(row.id, result.reason)
        await self._do(self._store.look_again, row.id, UNCERTAIN_CHECK_SECONDS)

    def _placement(self, row: OutboundCall) -> Placement:
        asked, url = row.request, self._settings.public_url
        own = {OUTBOUND_ID: row.id}
        own |= {name: asked[name] for name in ("business_id", "agent", "record") if name in asked}
        if asked.get("machine"):
            own["machine"] = "1"  # so that the node listens, too
        return Placement(
            to_number=asked["to"],
            from_number=asked.get("from") or self._settings.twilio_phone_number or "",
            answer_url=f"{url}/webhook/outbound_call?{urlencode(own | asked.get('parameters', {}))}",
            status_url=f"{url}/webhook/call_status?{urlencode({OUTBOUND_ID: row.id})}",
            ring_seconds=asked.get("timeout", 60),
            machine=asked.get("machine", False),
        )

    # --- what is looked after ---

    async def _sweep_on(self) -> None:
        while True:
            try:
                while await self.sweep() == SWEPT_ROWS:
                    pass
            except Exception as error:
                notices.outbound_unswept(error)
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> int:
        """See to all whose time has come: how many."""
        rows = await self._do(self._store.claim, SWEPT_ROWS, LEASE_SECONDS)
        for row in rows:
            await self._look_at(row)
        return len(rows)

    async def _look_at(self, row: OutboundCall) -> None:
        if row.over:
            await self._close(row)
        elif row.state == SCHEDULED:
            # Of a node that drains, when our claim has run out, it is another's.
            if not self._draining() and await self._do(self._store.start, row.id):
                await self._place(row)
        elif row.call_sid is None:
            await self._look_for(row)
        else:
            await self._look_up(row.call_sid, row)

    async def _look_for(self, row: OutboundCall) -> None:
        """Whether it was placed, nobody knows: is there one?"""
        asked_s, placement = row.asked_s or row.created_s, self._placement(row)
        since_s = asked_s - CLOCKS_SECONDS
        found = await self._carrier.find(placement.to_number, placement.from_number, since_s)
        others = await self._do(self._store.being_placed, self._now_s() - LEASE_SECONDS)  # before `known`
        known = await self._do(self._store.known_sids, [call.call_sid for call in found or []])
        call = next((call for call in found or [] if call.call_sid not in known), None)
        if call is not None and any(self._is_like(placement, each) for each in others if each.id != row.id):
            await self._do(self._store.look_again, row.id, UNCERTAIN_CHECK_SECONDS)  # it may be the other one
        elif call is not None:
            notices.outbound_placed(call.call_sid, row.id)
            await self._found(call, row)
        elif found is not None and self._now_s() - asked_s > UNCERTAIN_SECONDS:
            await self._end(row.id, "failed", None, NOT_THERE, still=PLACING)
        else:
            await self._do(self._store.look_again, row.id, UNCERTAIN_CHECK_SECONDS)

    def _is_like(self, placement: Placement, other: OutboundCall) -> bool:
        """The carrier's list cannot tell them apart."""
        like = self._placement(other)
        return (like.to_number, like.from_number) == (placement.to_number, placement.from_number)

    async def _look_up(self, call_sid: str, row: OutboundCall) -> None:
        call = await self._carrier.look_up(call_sid)
        if call is None or call.state not in ENDED:
            seconds = UNANSWERED_SECONDS if call is None else _check_seconds(row.state)
            await self._do(self._store.look_again, row.id, seconds)
        else:
            await self._found(call, row)

    async def _found(self, call: PlacedCall, row: OutboundCall) -> None:
        known = {"duration_seconds": call.duration_seconds, "answered_by": call.answered_by}
        await self._told(call.call_sid, call.state, LATEST if call.state in ENDED else None, row.id, known)

    async def _end(self, call_id: str, state: str, code: int | None, reason: str, *, still: str | None = None) -> bool:
        """Whether it is we who have ended it. still: see `OutboundStore.ended`."""
        ended = await self._do(self._store.ended, call_id, state, code=code, reason=reason, still=still)
        row = await self._do(self._store.get, call_id) if ended else None
        if row is not None:
            await self._settle(row)
        return ended

    async def _close(self, row: OutboundCall) -> None:
        """One that has ended. Who was answered has a record of his own, in a moment."""
        known = row.state != COMPLETED or row.call_sid is None
        late = self._now_s() - (row.ended_s or 0.0) >= RECORD_SECONDS
        if known or late or await self._do(self._store.has_record, row.call_sid or ""):
            await self._settle(row)
        else:
            await self._do(self._store.await_record, row.id, RECORD_CHECK_SECONDS)

    async def _settle(self, row: OutboundCall) -> None:
        """Close its books, unless another process has: with a record, if no conversation has written one."""
        record = unanswered(row, self._settings)
        closed = await self._do(self._store.settle, row, record, forgotten(row.request))
        if closed is not None:
            outcome = closed.outcome or closed.state
            self.outcomes[outcome] += 1
            notices.outbound_ended(closed.call_sid, closed.id, outcome=outcome, reason=closed.reason)

    def _do(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*arguments, **named))


def _check_seconds(state: str) -> float:
    """When a call in this state is looked at, if nothing is heard of it."""
    seconds = {COMPLETED: RECORD_SECONDS, "in-progress": CHECK_SECONDS}
    return seconds.get(state, RINGING_CHECK_SECONDS)


def forgotten(request: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request once its call has ended: not whom it was for, nor what was known of him."""
    return {name: value for name, value in request.items() if name not in ("to", "from", "parameters")}


def unanswered(row: OutboundCall, settings: Settings) -> dict[str, Any]:
    """The record of a call out of which no conversation came, or of one whose node died."""
    call = Admission(
        call_sid=row.call_sid or row.id,
        account_sid="",
        from_number=row.request.get("from") or settings.twilio_phone_number or "",
        to_number=row.request.get("to", ""),
        direction="outbound",
        parameters={"business_id": row.request["business_id"]} if "business_id" in row.request else {},
        expires_ns=0,
        token="",
    )
    reason = UNANSWERED.get(row.state, EndReason.NODE_LOST)
    record = unbegun(call, settings, reason, row.reason or _WORDS[reason])
    began_s = asked_s = row.asked_s or row.created_s
    if row.ended_s is not None and row.duration_seconds is not None:
        began_s = max(row.ended_s - row.duration_seconds, asked_s)  # it was answered then
    began = datetime.fromtimestamp(began_s, UTC).isoformat(timespec="milliseconds")
    return record | {"outbound_id": row.id, "started_at": began}


_WORDS = {
    EndReason.BUSY: "The line was busy.",
    EndReason.NO_ANSWER: "Nobody answered.",
    EndReason.FAILED: "The carrier could not reach the number.",
    EndReason.CANCELED: "It was canceled before it was answered.",
    EndReason.NODE_LOST: NO_RECORD,
}


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else None
