"""A carrier for calls out that answers as a test wants."""

import asyncio

from fastbridge.carrier.port import Placed, PlacedCall, Placement, Refused, TryLater, Uncertain

TO, FROM = "+14155550101", "+14155550100"
SIDS = [f"CA{number:032x}" for number in range(1, 50)]


class Carrier:
    """Answers as it is told, else with a call under a new sid. `there`: what it knows of calls by itself."""

    def __init__(self) -> None:
        self.answers: list[Placed | Refused | TryLater | Uncertain] = []
        self.placements: list[Placement] = []
        self.ended: list[str] = []
        self.there: dict[str, PlacedCall] = {}
        self.reachable = True
        self.seconds = 0.0

    async def place(self, placement: Placement) -> Placed | Refused | TryLater | Uncertain:
        self.placements.append(placement)
        await asyncio.sleep(self.seconds)
        return self.answers.pop(0) if self.answers else Placed(SIDS[len(self.placements) - 1], "queued")

    async def look_up(self, call_sid: str) -> PlacedCall | None:
        return self.there.get(call_sid) if self.reachable else None

    async def find(self, to_number: str, from_number: str, since_s: float) -> list[PlacedCall] | None:
        assert (to_number, from_number) == (TO, FROM)
        return list(self.there.values()) if self.reachable else None

    async def end(self, call_sid: str) -> bool:
        self.ended.append(call_sid)
        return self.reachable

    async def close(self) -> None: ...
