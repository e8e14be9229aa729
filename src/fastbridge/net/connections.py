"""The connections on the public port: how many there may be, who goes when there are too many, and whose they are.

One budget for all of a process, below its limit of file descriptors. A connection is silent until its first byte, then
unfinished until its request is whole; busy while that is answered, or while it carries a stream; idle between requests.
Where one too many comes the oldest silent one makes room, else the oldest idle, else the oldest unfinished; only where
all are busy is the new one turned away. So it is with the requests of one address that are on their way. Whoever came
last had the least time: a webhook of Twilio's is whole within milliseconds, and a flood pushes out itself.

A client's address is its socket's. Only of a proxy that the operator named is X-Forwarded-For believed, from its end
on, as far as it goes from one such proxy to the next.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from fastbridge.base.addresses import Address, Network, address_of
from fastbridge.base.refusals import Reason
from fastbridge.net.request_turns import RequestTurns
from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter

Doing = Literal["silent", "idle", "unfinished", "busy"]
EVICTED: tuple[Doing, ...] = ("silent", "idle", "unfinished")
"""In this order. Who is busy is never evicted."""
SAY_SECONDS = 10.0
MAX_HOPS = 32


class Transport(Protocol):
    """As much of a transport as is needed; one is one connection."""

    def abort(self) -> None: ...


class Connections:
    """Those of one process. limit: in all. per_ip: requests of one address that may be on their way at once.

    refuse(reason): counts a connection that was turned away, or made room.
    """

    def __init__(
        self,
        limit: int,
        per_ip: int,
        refuse: Callable[[Reason], object],
        *,
        proxies: Sequence[Network] = (),
        arrived: Callable[[], object] = lambda: None,
    ) -> None:
        self.limit = limit
        self.refuse = refuse
        self.turns = RequestTurns()
        self.evicted: dict[str, int] = dict.fromkeys(EVICTED, 0)
        self._per_ip = per_ip
        self._proxies = proxies
        self._arrived = arrived
        self._doing: dict[Transport, Doing] = {}
        self._queues: dict[Doing, dict[Transport, None]] = {doing: {} for doing in (*EVICTED, "busy")}
        self._ip: dict[Transport, str] = {}
        self._waiting: dict[str, dict[Transport, None]] = {}  # silent or unfinished, by address; the oldest first
        self._said = RateLimiter()

    @property
    def open(self) -> int:
        return len(self._doing)

    def count(self, metric: Callable[..., object]) -> None:
        """metric(name, value, *labels): takes a number."""
        metric("connections_open", self.open)
        metric("connections_capacity", self.limit)
        for doing, evicted in self.evicted.items():
            metric("connections_evicted", evicted, doing)

    def enter(self, transport: Transport, peer: str) -> bool:
        """A new connection, from this address. False if there is no room: its owner closes it, and need not `leave`.
        One that is known already stays as it is."""
        if transport in self._doing:
            return True
        self._arrived()
        if self.open >= self.limit and not self._make_room():
            self.turned_away("connections", "a new one was turned away", peer)
            return False
        self._doing[transport] = "silent"
        self._queues["silent"][transport] = None
        self._ip[transport] = "" if self._is_proxy(address_of(peer)) else peer
        self._await(transport)
        return True

    def is_doing(self, transport: Transport, doing: Doing) -> None:
        """What it does from now on. Harmless for one that has left, or was evicted."""
        before = self._doing.get(transport)
        if before is None or before == doing:
            return
        del self._queues[before][transport]
        self._doing[transport] = doing
        self._queues[doing][transport] = None
        if doing not in ("silent", "unfinished"):
            self._await_no_more(transport)
        elif before in ("idle", "busy"):
            self._await(transport)

    def belongs_to(self, transport: Transport, ip: str) -> None:
        """Its client's address, now that a proxy has told it."""
        if transport in self._doing and self._ip[transport] != ip:
            self._await_no_more(transport)
            self._ip[transport] = ip
            if self._doing[transport] in ("silent", "unfinished"):
                self._await(transport)

    def leave(self, transport: Transport) -> None:
        """It is closed. Harmless for one that is not there."""
        doing = self._doing.pop(transport, None)
        if doing is not None:
            del self._queues[doing][transport]
            self._await_no_more(transport)
            del self._ip[transport]

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Whose a request is. peer: its socket's address; forwarded: its X-Forwarded-For headers."""
        if not self._proxies:
            return peer
        address, hops = address_of(peer), ",".join(forwarded).split(",")[-MAX_HOPS:]
        while hops and self._is_proxy(address):
            said = address_of(hops.pop().strip())
            if said is None:
                break
            address = said
        return str(address) if address is not None else peer

    def turned_away(self, reason: Reason, what: str, ip: str, *, counted: bool = False) -> None:
        """Count it, and say so now and then: the rest would be an attacker's log. counted: already."""
        if not counted:
            self.refuse(reason)
        self.now_and_then(reason, notices.crowded, what, reason=reason, connections=self.open, address=ip or "-")

    def now_and_then(self, key: str, say: Callable[..., object], *words: str, **fields: object) -> None:
        """A line that strangers can cause, at most every SAY_SECONDS for each key: it is told how many `more` came."""
        more = self._said.skipped(key, SAY_SECONDS)
        if more is not None:
            say(*words, more=more, **fields)

    def _is_proxy(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._proxies)

    def _make_room(self) -> bool:
        for doing in EVICTED:
            if self._queues[doing]:
                self._evict(next(iter(self._queues[doing])), "connections")
                return True
        return False

    def _await(self, transport: Transport) -> None:
        ip = self._ip[transport]
        if not ip:  # a proxy's own connection, on which anybody's request may come, or no socket of a network
            return
        waiting = self._waiting.setdefault(ip, {})
        waiting[transport] = None
        if len(waiting) > self._per_ip:
            self._evict(next(iter(waiting)), "too_many_readers")

    def _await_no_more(self, transport: Transport) -> None:
        waiting = self._waiting.get(self._ip[transport], {})
        waiting.pop(transport, None)
        if not waiting:
            self._waiting.pop(self._ip[transport], None)

    def _evict(self, transport: Transport, reason: Reason) -> None:
        doing, ip = self._doing[transport], self._ip[transport]
        self.evicted[doing] += 1
        self.leave(transport)
        transport.abort()
        self.turned_away(reason, f"the oldest {doing} one made room", ip)


def peer_of(transport: object) -> str:
    """The address of a transport's peer; nothing where it has none."""
    peer = transport.get_extra_info("peername")  # type: ignore[attr-defined]
    return str(peer[0]) if isinstance(peer, tuple) else ""
