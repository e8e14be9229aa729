"""The simulators for a test that is a plain function: they run on a loop in a thread of its own.

What is looked at afterwards (`errors`, `sessions`, a report) is read from the test's thread when nothing runs.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from fastbridge.sim.carrier_api import CarrierApi
from fastbridge.sim.model_server import ModelServer
from fastbridge.sim.node import CallerOptions, NodeProcess
from fastbridge.sim.report import CallReport
from fastbridge.sim.script import Step

_T = TypeVar("_T")


class Stage:
    """`with Stage() as stage`: a loop in a thread, and what was entered on it, which ends with it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fastbridge-stage", daemon=True)
        self._entered: list[AbstractAsyncContextManager[Any]] = []

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for it here, while it runs there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def enter(self, party: AbstractAsyncContextManager[_T]) -> _T:
        entered = self.run(_entering(party))
        self._entered.append(party)
        return entered

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            while self._entered:
                self.run(_leaving(self._entered.pop()))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class PlainNode:
    """A running node. `process` is the NodeProcess, `api` its Twilio REST API."""

    def __init__(self, stage: Stage, process: NodeProcess) -> None:
        self.process = process
        self._stage = stage

    @property
    def api(self) -> CarrierApi:
        return self.process.api

    def call(self, script: Sequence[Step], **options: Unpack[CallerOptions]) -> CallReport:
        """One call, to its end. options: as for `SimulatedCaller`."""
        return self._stage.run(self.process.caller(script, **options).call())

    def calls(self, *scripts: Sequence[Step]) -> list[CallReport]:
        """A call for each script, all at once: they take as long as the longest."""
        return self._stage.run(self._all([self.process.caller(script).call() for script in scripts]))

    def record(self, call: CallReport) -> dict[str, Any] | None:
        """The node's own record of a call."""
        return self._stage.run(self.process.record(call.call_sid))

    def ended(self, call_sid: str) -> CallReport:
        """A call that was placed with its `api`, to its end."""
        return self._stage.run(self.api.ended(call_sid))

    def log(self) -> str:
        """All it has logged so far."""
        return self.process.log()

    async def _all(self, calls: Sequence[Coroutine[Any, Any, CallReport]]) -> list[CallReport]:
        return list(await asyncio.gather(*calls))


class StartNode:
    """`start("my_agent:agent", FASTBRIDGE_SILENCE_SECONDS="5")`: a node that talks to `model`, with such settings."""

    def __init__(self, stage: Stage, model: ModelServer) -> None:
        self._stage = stage
        self._model = model

    def __call__(self, agent: str = "", **settings: str) -> PlainNode:
        node = NodeProcess(self._model.base_url, agent, settings=settings)
        return PlainNode(self._stage, self._stage.enter(node))


async def _entering(party: AbstractAsyncContextManager[_T]) -> _T:
    return await party.__aenter__()


async def _leaving(party: AbstractAsyncContextManager[Any]) -> None:
    await party.__aexit__(None, None, None)
