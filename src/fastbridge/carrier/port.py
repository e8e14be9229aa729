"""The seam between a call and its carrier: what each asks of the other, whoever the carrier is."""

from collections.abc import Callable
from typing import Any, Protocol

from fastbridge._caller import CallerLane
from fastbridge._reactor import Reactor
from fastbridge.carrier.admission import Admission, Directory
from fastbridge.config import Settings
from fastbridge.net.connections import Connections


class CarrierLink(Protocol):
    """The carrier's media socket, as its call sees it."""

    def write(self, frame: bytes) -> object: ...
    def close(self, code: int, reason: str) -> None: ...


class CarrierControl(Protocol):
    """What can be done to a call at the carrier's. True: it is done."""

    async def hang_up(self, account_sid: str, call_sid: str) -> bool: ...
    async def redirect(self, account_sid: str, call_sid: str, twiml: str) -> bool: ...


class Conversation(Protocol):
    """A call, as the carrier's media socket sees it."""

    @property
    def caller(self) -> CallerLane: ...
    def start(self) -> None: ...
    def close(self, reason: str) -> None: ...
    def on_carrier_paused(self, paused: bool) -> None: ...
    def on_carrier_closed(self) -> None: ...


class Host(Protocol):
    """The node, as the carrier's media socket sees it."""

    @property
    def settings(self) -> Settings: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def reactor(self) -> Reactor | None: ...
    @property
    def begin_call(self) -> Callable[[CarrierLink, Admission, Any], Conversation]:
        """An admitted stream has started, by the dialect's own `start`: its call, to be started."""

    def retire(self, *parts: object, at_once: bool = False) -> None:
        """A socket has closed, and these were it."""
