"""Admission, and all calls of this process: who was admitted, who is live, how many may be. No socket, no HTTP, no log.

A signed webhook buys one stream token: single-use, short-lived, bound to its call and account. A replayed webhook gets
the same token while it is unspent and nothing after: a call sid mints at most one token an hour. Time is the injected
clock. Every table is bounded, each by the rule beside it. A call whose stream has run and ended may come again, by a
redirect, for a new token: what a replay can get of that is a token that no stranger's handshake is signed for.
"""

import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeVar

from fastbridge.base.end_reasons import UNBEGUN, EndReason
from fastbridge.base.refusals import REASONS, Reason
from fastbridge.errors import IllegalEvent

if TYPE_CHECKING:
    from fastbridge.config import Settings

TERMINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""Behind these there is no call any more."""
NS_PER_SECOND = 1_000_000_000
MEMORY_NS = 3600 * NS_PER_SECOND
MAX_REMEMBERED = 65_536
MAX_STREAMS = 16
"""Streams of one call in an hour; one more is refused as a replay."""
LOOK_AT = "does the proxy pass on Upgrade? fastbridge doctor tells"
"""Where a stream that was never seen is lost most often."""
NOT_IN_TIME = f"no stream came in time: {LOOK_AT}"
FINAL = 1 << 62
"""The sequence number of a terminal status: nothing comes after it."""

Direction = Literal["inbound", "outbound"]
TokenFault = Literal["token_unknown", "token_spent", "token_expired"]


class LiveCall(Protocol):
    """What the directory and the webhooks know of a call."""

    @property
    def call_sid(self) -> str: ...
    @property
    def end_reason(self) -> str | None: ...
    def on_carrier_status(self, status: str) -> None:
        """A CallStatus of Twilio's; a terminal one closes the call."""

    def on_stream_ended(self) -> None:
        """Twilio has left the stream."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that may open one media stream until `expires_ns`. `parameters` went into its TwiML."""

    call_sid: str
    account_sid: str
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    direction: Direction
    parameters: Mapping[str, str] = field(repr=False)
    expires_ns: int
    token: str = field(repr=False)

    @property
    def business_id(self) -> str | None:
        return self.parameters.get("business_id")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was not admitted."""

    reason: Literal["draining", "capacity", "pending", "replay", "model_down", "budget"]


class Directory:
    """Every call of this process, from its webhook to an hour after its end."""

    def __init__(self, settings: "Settings", now_ns: Callable[[], int], *, token_prefix: str = "") -> None:
        """token_prefix: of every stream token, in letters of a URL; it need not be secret."""
        self.draining = False
        self.model_is_down: Callable[[], bool] = lambda: False
        """Asked for each new call: would it wait for a model in vain?"""
        self.is_spent: Callable[[str], bool] = lambda business_id: False
        """And: may nothing more be spent today, by this business or by anybody?"""
        self.counters: dict[str, int] = dict.fromkeys(REASONS, 0)
        self._settings = settings
        self._now_ns = now_ns
        self._token_prefix = token_prefix
        self._token_ns = int(settings.stream_token_seconds * NS_PER_SECOND)
        # Keyed by the token's hash, so that the time of a look-up tells nothing about the token. All live equally long:
        # the oldest is first and expires first. Bounded by max_pending_calls.
        self._pending: OrderedDict[bytes, Admission] = OrderedDict()
        self._pending_by_call: dict[str, bytes] = {}
        self._live: dict[str, LiveCall] = {}
        self._connections: Counter[str] = Counter()
        self._total_connections = 0
        self.on_lost: Callable[[Admission, EndReason, str], object] = lambda admission, reason, why: None
        """Told of a call that was let in and never began: why not, as a reason and in words."""
        self._gone: _Memory[TokenFault] = _Memory(now_ns)  # tokens that were worth something, by their hash
        self._minted: _Memory[str] = _Memory(now_ns)  # the account a token was given to
        self._streams: _Memory[int] = _Memory(now_ns)  # that have run and ended
        self._ended: _Memory[str] = _Memory(now_ns)
        self._apologised: _Memory[bool] = _Memory(now_ns)
        self._who: _Memory[str] = _Memory(now_ns)
        self._sequence: _Memory[int] = _Memory(now_ns)

    # Admission

    def admit(
        self,
        call_sid: str,
        account_sid: str,
        *,
        from_number: str,
        to_number: str,
        direction: Direction,
        parameters: Mapping[str, str],
    ) -> Admission | Refusal:
        """Admit a call whose webhook was authentic. The same call again gets the same token, while that is unspent."""
        self.expire()
        known = self._pending_by_call.get(call_sid)
        if known is not None and self._pending[known].account_sid == account_sid:
            return self._pending[known]
        refusal = self._refusal(call_sid, account_sid, direction, parameters.get("business_id", ""))
        if refusal is not None:
            self.refuse(refusal.reason)
            return refusal
        token = self._token_prefix + secrets.token_urlsafe(16)
        admission = Admission(
            call_sid=call_sid,
            account_sid=account_sid,
            from_number=from_number,
            to_number=to_number,
            direction=direction,
            parameters=dict(parameters),
            expires_ns=self._now_ns() + self._token_ns,
            token=token,
        )
        key = _key(token)
        self._ended.forget(call_sid)
        self._apologised.forget(call_sid)
        self._pending[key] = admission
        self._pending_by_call[call_sid] = key
        self._minted.put(call_sid, account_sid)
        return admission

    def _refusal(self, call_sid: str, account_sid: str, direction: Direction, business_id: str) -> Refusal | None:
        known, over = self._minted.get(call_sid), self._sequence.get(call_sid) == FINAL
        stale = known is not None and not self._may_come_again(call_sid, account_sid == known)
        if over or stale or call_sid in self._live:
            return Refusal("replay")
        if self.draining and direction == "inbound":  # whom we have called ourselves is met, as long as we are here
            return Refusal("draining")
        if len(self._pending) >= self._settings.max_pending_calls:
            return Refusal("pending")
        if len(self._live) + len(self._pending) >= self._settings.max_calls:
            return Refusal("capacity")
        if self.model_is_down():
            return Refusal("model_down")
        return Refusal("budget") if self.is_spent(business_id) else None

    def _may_come_again(self, call_sid: str, same_account: bool) -> bool:
        """A stream of this call has run and ended, and it came the last time it was let in."""
        if not same_account or call_sid in self._pending_by_call:
            return False
        return 0 < (self._streams.get(call_sid) or 0) < MAX_STREAMS and self._ended.get(call_sid) not in UNBEGUN

    def peek(self, token: str) -> Admission | None:
        """The admission this token stands for, not consumed: for the handshake, before any `start` was seen."""
        found = self.judge(token)
        if isinstance(found, Admission):
            return found
        self.refuse(found)
        return None

    def judge(self, token: str) -> Admission | TokenFault:
        """The same, or what is wrong with the token. Nothing is counted."""
        key = _key(token)
        admission = self._pending.get(key)
        if admission is None:
            return self._gone.get(key.hex()) or "token_unknown"
        return admission if admission.expires_ns > self._now_ns() else "token_expired"

    def redeem(self, token: str, call_sid: str, account_sid: str) -> Admission | None:
        """Consume the token, if it is unexpired and was given to this very call; else None, and nothing is consumed."""
        admission = self.peek(token)
        if admission is None:
            return None
        theirs = f"{call_sid} {account_sid}".encode("utf-8", "replace")
        if not hmac.compare_digest(f"{admission.call_sid} {admission.account_sid}".encode(), theirs):
            self.refuse("token_mismatch")
            return None
        self._drop(_key(token))
        return admission

    def abandon(self, call_sid: str) -> bool:
        """The caller hung up before the stream began: give the place to another. True if one was kept."""
        key = self._pending_by_call.get(call_sid)
        if key is not None:
            self._drop(key)
            self._streams.forget(call_sid)  # nor does it come again, whatever streams of it have run
        return key is not None

    def lose(self, call_sid: str, reason: EndReason, why: str) -> bool:
        """The stream of a call that was let in will never start: its token is worth nothing any more. False if there is
        no such call."""
        key = self._pending_by_call.get(call_sid)
        if key is None:
            return False
        admission = self._pending[key]
        self._drop(key, "token_spent" if admission.expires_ns > self._now_ns() else "token_expired")
        self._ended.put(call_sid, reason)
        self.on_lost(admission, reason, why)
        return True

    def _drop(self, key: bytes, fault: TokenFault = "token_spent") -> None:
        self._gone.put(key.hex(), fault)
        del self._pending_by_call[self._pending.pop(key).call_sid]

    def expire(self) -> None:
        """Whoever has not come by now will not."""
        now_ns = self._now_ns()
        while self._pending:
            oldest = next(iter(self._pending.values()))
            if oldest.expires_ns > now_ns:
                return
            self.lose(oldest.call_sid, EndReason.NO_STREAM, NOT_IN_TIME)

    def refuse(self, reason: Reason) -> None:
        """Count a rejection. The reasons are a closed set: a peer cannot invent one."""
        self.counters[reason] += 1

    # Media sockets, admitted or not

    def connected(self, ip: str) -> bool:
        """Count a new media socket of this address; False if it is one too many, and then it is not counted."""
        if self._total_connections >= self._settings.max_connections:
            self.refuse("connections")
            return False
        if self._connections[ip] >= self._settings.max_connections_per_ip:
            self.refuse("connections_per_ip")
            return False
        self._connections[ip] += 1
        self._total_connections += 1
        return True

    def disconnected(self, ip: str) -> None:
        """A media socket for which `connected` said True is gone."""
        if self._connections[ip] < 1:
            raise IllegalEvent(f"a socket of {ip} disconnected that was not counted")
        self._connections[ip] -= 1
        self._total_connections -= 1
        if not self._connections[ip]:
            del self._connections[ip]

    # Live calls

    def add(self, call: LiveCall) -> None:
        """A call has begun. Its sid must be new: the token that let it in was single-use."""
        if call.call_sid in self._live:
            raise IllegalEvent(f"call {call.call_sid} is already live")
        self._live[call.call_sid] = call
        self._minted.put(call.call_sid, self._minted.get(call.call_sid) or "")

    def remove(self, call: LiveCall) -> None:
        """A call has ended; its reason is kept for the webhooks to come. Harmless for a call that is not there."""
        if self._live.get(call.call_sid) is not call:
            return
        del self._live[call.call_sid]
        self._minted.put(call.call_sid, self._minted.get(call.call_sid) or "")
        self._streams.put(call.call_sid, (self._streams.get(call.call_sid) or 0) + 1)
        if call.end_reason is not None:
            self._ended.put(call.call_sid, call.end_reason)

    def get(self, call_sid: str) -> LiveCall | None:
        return self._live.get(call_sid)

    @property
    def live(self) -> int:
        """Calls whose stream has begun."""
        return len(self._live)

    @property
    def pending(self) -> int:
        """Calls admitted whose stream has not begun."""
        self.expire()
        return len(self._pending)

    # What callbacks tell

    def ended_reason(self, call_sid: str) -> str | None:
        """Why this call ended, for an hour after it did."""
        return self._ended.get(call_sid)

    def note_apology(self, call_sid: str) -> None:
        """The caller has heard that this call fails."""
        self._apologised.put(call_sid, True)

    def was_apologised(self, call_sid: str) -> bool:
        """Whether `note_apology` was told of this call, within the hour."""
        return bool(self._apologised.get(call_sid))

    def note_verdict(self, call_sid: str, verdict: str) -> None:
        """The carrier knows who has answered a call, and tells before its stream begins."""
        if call_sid in self._pending_by_call:
            self._who.put(call_sid, verdict)

    def verdict(self, call_sid: str) -> str | None:
        """What `note_verdict` was told of this call."""
        return self._who.get(call_sid)

    def is_news(self, call_sid: str, status: str, sequence_number: int | None) -> bool:
        """Whether a status callback is newer than all before it.

        They arrive in any order, and twice. A terminal status is the last whatever its number; one without a number
        counts as the next.
        """
        last = self._sequence.get(call_sid)
        last = -1 if last is None else last
        number = FINAL if status in TERMINAL_STATUSES else last + 1 if sequence_number is None else sequence_number
        if last == FINAL or number <= last:
            return False
        self._sequence.put(call_sid, number)
        return True


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


Value = TypeVar("Value")


class _Memory(Generic[Value]):
    """What to remember of a call for an hour; the oldest goes when there are MAX_REMEMBERED."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._values: OrderedDict[str, tuple[int, Value]] = OrderedDict()

    def put(self, key: str, value: Value) -> None:
        now_ns = self._now_ns()
        self._values[key] = (now_ns + MEMORY_NS, value)
        self._values.move_to_end(key)
        while len(self._values) > MAX_REMEMBERED or next(iter(self._values.values()))[0] <= now_ns:
            self._values.popitem(last=False)

    def forget(self, key: str) -> None:
        self._values.pop(key, None)

    def get(self, key: str) -> Value | None:
        expires_ns, value = self._values.get(key, (0, None))
        return value if expires_ns > self._now_ns() else None
