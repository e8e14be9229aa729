"""One real call whose carrier calls humans for it: what those do, a test says."""

import asyncio
from typing import Any

from call_rig import CallRig, Control
from fastbridge.agent import Agent
from fastbridge.carrier.port import LegTerms
from live_rig import LiveRig

RECEPTION = "+14155550188"


class Legs:
    """The carrier's, of which the last is kept."""

    def __init__(self) -> None:
        self.terms: list[LegTerms] = []
        self.asked: list[str] = []
        self.listener: Any = None
        self.full = False
        self.moved: bool | None = None

    def open(self, terms: LegTerms, listener: Any) -> "Legs | None":
        self.terms.append(terms)
        self.listener = listener
        return None if self.full else self

    async def place(self) -> bool | None:
        return True

    async def is_there(self) -> bool | None:
        return None

    async def look(self) -> str | None:
        return "in-progress"

    async def look_at_caller(self) -> str | None:
        return "in-progress"

    async def move(self) -> bool | None:
        return self.moved

    def release(self) -> None:
        self.asked.append("release")

    def excuse(self) -> None:
        self.asked.append("excuse")

    def close(self) -> None:
        self.asked.append("close")


class TransferRig(CallRig):
    def __init__(self, agent: Agent | None = None, **settings: Any) -> None:
        agent = agent or Agent(transfer_to={"reception": RECEPTION}, warm_transfer=True, hang_up=True)
        super().__init__(agent, control=Control(), **settings)
        self.legs = Legs()
        self.outcomes: list[tuple[str, Any]] = []
        self.call.transfers._legs = self.legs
        self.call._transfer_done = lambda *told: self.outcomes.append(told)
        self.up()

    def asks(self, brief: str = "Dana.") -> bool:
        done: bool = self.do(self.call.remote.transfer, "reception", brief)
        return done

    def told(self, what: str, *arguments: Any) -> Any:
        given = self.do(getattr(self.legs.listener, what), *arguments)
        self.loop.advance(0)
        return given

    def says_yes(self) -> "asyncio.Task[bool]":
        self.told("answered")
        task = self.loop.create_task(self.legs.listener.accepted())
        self.loop.advance(0)
        return task

    def waits(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.1)):
            self.advance(0.1)
            if self.call.live:
                self.echo_marks()

    @property
    def entry(self) -> dict[str, Any]:
        entry: dict[str, Any] = self.call.transfers.entries[-1]
        return entry


class LiveTransferRig(TransferRig, LiveRig):
    """The same with a model that streams without end."""


def called_for(*_: Any) -> None:
    """A scene: somebody is called for the caller, and declines."""
    rig = TransferRig()
    assert rig.asks()
    rig.told("declined", "declined")
    rig.shut()
