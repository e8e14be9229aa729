"""Who records calls, for tests: the carrier, as it answers, and the node's own recorder, in memory."""

import asyncio
from collections.abc import Callable
from typing import Any

from call_rig import CallRig, Control
from fastbridge.agent import Agent
from fastbridge.carrier.port import RecordingBegun, RecordingChange, Refused, TryLater, Uncertain

Answer = RecordingBegun | Refused | TryLater | Uncertain
RECORDING = "RE" + "0" * 32


class CarrierFake:
    """A carrier that records. begins: its next answers, then RecordingBegun; an Uncertain may have begun one (`lost`).
    changes: its next answers, then True. seconds: how long it takes."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.begins: list[Answer] = []
        self.changes: list[bool] = []
        self.seconds = seconds
        self.lost_begins = False
        """Of an Uncertain the carrier has begun one."""
        self.lost_changes = False
        """A change that failed was done all the same."""
        self.asked: list[str] = []
        self.recordings = 0
        self.state = ""
        """The recording's: recording, paused, stopped."""
        self.told: Callable[[], object] = lambda: None
        self._busy = False

    async def begin(self, account_sid: str, call_sid: str) -> Answer:
        self.asked.append("begin")
        answer = self.begins.pop(0) if self.begins else RecordingBegun(RECORDING)
        begins = isinstance(answer, RecordingBegun) or (isinstance(answer, Uncertain) and self.lost_begins)
        if begins and not self.recordings:
            self.recordings, self.state = 1, "recording"
            self.told()
        await self._takes_time()
        return answer

    async def change(self, account_sid: str, call_sid: str, recording_sid: str, to: RecordingChange) -> bool:
        assert recording_sid == RECORDING
        self.asked.append(str(to))
        await self._takes_time()
        done = self.changes.pop(0) if self.changes else True
        if done or self.lost_changes:
            self.state = {"pause": "paused", "resume": "recording", "stop": "stopped"}[to]
            self.told()
        return done

    async def _takes_time(self) -> None:
        assert not self._busy, "one thing at a time"
        self._busy = True
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self._busy = False


class MemoryReel:
    def __init__(self, name: str) -> None:
        self.name = name
        self.failed = False
        self.has_room = True
        self.audio = b""
        self.looks = 0
        self.finished = False

    def look(self) -> None:
        self.looks += 1

    def write(self, audio: bytes) -> None:
        assert not self.finished
        self.audio += audio

    def finish(self) -> None:
        assert not self.finished
        self.finished = True


class MemoryRecorder:
    """The node's own."""

    def __init__(self) -> None:
        self.reels: list[MemoryReel] = []

    def begin(self, call_sid: str, stream_sid: str) -> MemoryReel:
        self.reels.append(MemoryReel(f"{call_sid}_{stream_sid}.wav"))
        return self.reels[-1]

    @property
    def left(self) -> bytes:
        return self.reels[0].audio[0::2]

    @property
    def right(self) -> bytes:
        return self.reels[0].audio[1::2]


class RecordedRig(CallRig):
    """A call that may be recorded by both."""

    def __init__(
        self,
        record: str = "",
        *,
        agent: Agent | None = None,
        recorder: CarrierFake | None = None,
        has_recorder: bool = True,
        local_recorder: MemoryRecorder | None = None,
        **settings: Any,
    ) -> None:
        agent = (agent or Agent()).changed(record=record)
        self.recorder = recorder or CarrierFake()
        self.local = local_recorder or MemoryRecorder()
        self._has_recorder = has_recorder
        super().__init__(agent, control=Control(), **settings)

    def make_call(self, **given: Any) -> Any:
        recorders = {"recorder": self.recorder, "local_recorder": self.local} if self._has_recorder else {}
        return super().make_call(**recorders, **given)

    def enter(self, seconds: float = 60.0, ticket: object = "ticket") -> list[bool]:
        """What `context.private()` is told, when it is."""
        told: list[bool] = []
        self.do(self.call.begin_private, ticket, seconds, told.append)
        return told

    def leave(self, ticket: object = "ticket") -> None:
        self.do(self.call.end_private, ticket)

    def gather(self, max_digits: int = 64, end: str = "#", timeout_seconds: float = 10.0) -> list[str]:
        told: list[str] = []
        self.do(self.call.gather, max_digits, end, timeout_seconds, told.append)
        return told
