"""A real node in a process of its own, on a free loopback port: `fastbridge serve` as in earnest, for demos and tests.

It gets an environment of its own: nothing that sets up a node is inherited, and no `.env` is read, since its working
directory is a fresh one. What the caller's process can import it can import too. Twilio's REST API is simulated beside
it, so that a hang-up or a transfer of its goes nowhere else. Stopping it is a signal, as in production.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

import httpx2

from fastbridge.errors import FastbridgeError
from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.carrier_api import CarrierApi
from fastbridge.sim.script import Step

READY_SECONDS = 60.0
"""An idle machine needs two; a busy one is no reason to fail."""
STOP_SECONDS = 5.0
PORTS = range(20_000, 32_000)
RECORD_SECONDS = 3.0
LOG_SECONDS = 1.0
"""The longest a log's lines are behind what they tell of; a node may be set to log none at all."""
OWN_VARIABLES = (
    "FASTBRIDGE_",
    "TWILIO_",
    "OPENAI_",
    "AZURE_",
    "LOG_",
    "DATABASE_URL",
    "ENABLE_",
    "DEBUG",
    "PUBLIC_",
    "PORT",
    "BARGE_IN_",
    "SERVER_VAD_",
    "ENABLE_",
    "LEAD_MS",
    "ENABLE_MIN_DSP",
    "TWIML_",
)
"""How the variables begin that set up a node."""


API_URL = "FASTBRIDGE_TWILIO_API_URL"


class CallerOptions(TypedDict, total=False):
    """What else a `SimulatedCaller` takes."""

    call_sid: str
    from_number: str
    to_number: str
    direction: str
    query: str
    limit_seconds: float
    patience_ms: int


class NodeProcess:
    """`async with NodeProcess(model.base_url, "my_agent:agent") as node`: a node that is ready for calls.

    model_url: its OPENAI_BASE_URL. agent: as for `fastbridge serve`, importable from where you are; empty for the
    built-in one. log: where its output goes; by default a temporary file. settings: further environment variables.
    command: starts another bridge in its place, with the same environment and webhooks. `api` is its Twilio REST API,
    unless the settings name another. FastbridgeError when it does not start.
    """

    def __init__(
        self,
        model_url: str,
        agent: str = "",
        *,
        log: Path | None = None,
        settings: dict[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self.auth_token = secrets.token_hex(16)
        self.account_sid = "AC" + secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._model_url = model_url
        self.api = CarrierApi(self.account_sid, self.auth_token)
        serve = [sys.executable, "-m", "fastbridge", "serve", *([_absolute(agent)] if agent else [])]
        self._command = list(command) or serve
        self._given_log = log
        self._settings = dict(settings or {})
        self._folder = Path()
        self._process: asyncio.subprocess.Process | None = None

    def set(self, **variables: str) -> None:
        """More environment variables, before it starts."""
        self._settings = self._settings | variables

    def caller(self, script: Sequence[Step], **options: Unpack[CallerOptions]) -> SimulatedCaller:
        """Somebody who calls this node, of its account and with its signatures, and whose call its `api` can change.
        options: as for `SimulatedCaller`."""
        keys = {"auth_token": self.auth_token, "account_sid": self.account_sid}
        caller = SimulatedCaller(self.url, script, **keys, **options)
        self.api.register(caller)
        return caller

    async def __aenter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="fastbridge-node-"))
        try:
            await self._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def _start(self) -> None:
        if API_URL not in self._settings:
            await self.api.__aenter__()
        await self._run("wb")

    async def _run(self, mode: Literal["wb", "ab"]) -> None:
        given = environment(self.url, self._model_url, self.account_sid, self.auth_token, str(self._folder / "records"))
        if API_URL not in self._settings:
            given[API_URL] = self.api.url
        with self._log.open(mode) as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=given | self._settings, cwd=self._folder, stdout=log, stderr=log
            )
        await self._ready(self._process)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await self.api.__aexit__(kind, error, trace)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._given_log if self._given_log is not None else self._folder / "node.log"

    @property
    def pid(self) -> int:
        """Of the node's process. RuntimeError before it runs."""
        if self._process is None:
            raise RuntimeError("the node is not running")
        return self._process.pid

    def log(self) -> str:
        """All it has logged so far."""
        return self._log.read_text(errors="replace")

    async def record(self, call_sid: str) -> dict[str, Any] | None:
        """Its record of a call, which is written just after the call has ended; `log` has the call's end then, too."""
        path = self._folder / "records" / f"{call_sid}.json"
        deadline = asyncio.get_running_loop().time() + RECORD_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            try:
                record: dict[str, Any] = json.loads(await asyncio.to_thread(path.read_text))
            except (OSError, ValueError):
                await asyncio.sleep(0.05)
            else:
                await self._logged_end(call_sid)
                return record
        return None

    async def _logged_end(self, call_sid: str) -> None:
        deadline = asyncio.get_running_loop().time() + LOG_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            log = await asyncio.to_thread(self.log)
            if any("[CALL_END]" in line and call_sid in line for line in log.splitlines()):
                return
            await asyncio.sleep(0.05)

    async def stop(self, limit_seconds: float = STOP_SECONDS) -> int | None:
        """SIGTERM, and when the time is up the end. The exit status, as `asyncio.subprocess` has it; None if it never
        ran."""
        process = self._process
        if process is None or process.returncode is not None:
            return process.returncode if process is not None else None
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), limit_seconds)
        except TimeoutError:
            process.kill()
            await process.wait()
        return process.returncode

    async def kill(self) -> None:
        """SIGKILL, as when a machine dies: nobody is told anything."""
        process = self._process
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def start_again(self) -> None:
        """Another in the place of one that has ended: with its address, its folder and its settings; the log goes on.
        FastbridgeError when it does not start."""
        await self._run("ab")

    async def _ready(self, process: asyncio.subprocess.Process) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        async with httpx2.AsyncClient(trust_env=False, timeout=1.0) as http:
            while asyncio.get_running_loop().time() < deadline and process.returncode is None:
                try:
                    if (await http.get(f"{self.url}/readyz")).status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass  # not listening yet
                await asyncio.sleep(0.05)
        what = (
            "took too long to become ready" if process.returncode is None else f"ended with status {process.returncode}"
        )
        raise FastbridgeError(f"The node {what}; its log ends with: {self.log().strip().rpartition(chr(10))[2]}")


def environment(url: str, model_url: str, account_sid: str, auth_token: str, records: str) -> dict[str, str]:
    """Ours without anything that sets up a node, and with what this one needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    kept["PYTHONPATH"] = os.pathsep.join(_import_path(kept))
    return kept | {
        "DATABASE_URL": "none",
        "FASTBRIDGE_HOST": "127.0.0.1",
        "FASTBRIDGE_METRICS_PORT": "0",
        "FASTBRIDGE_RECORDS_DIR": records,
        "LOG_LEVEL": "INFO",
        "OPENAI_API_KEY": "sk-simulated",
        "OPENAI_BASE_URL": model_url,
        "PORT": url.rpartition(":")[2],
        "PUBLIC_URL": url,
        "PYTHONUNBUFFERED": "1",
        "TWILIO_ACCOUNT_SID": account_sid,
        "TWILIO_AUTH_TOKEN": auth_token,
    }


def _import_path(variables: Mapping[str, str]) -> list[str]:
    """Where the node looks for modules before its interpreter's own places: where we look, in our order, and where we
    are."""
    own = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    entries = [entry for entry in variables.get("PYTHONPATH", "").split(os.pathsep) if entry]
    found = dict.fromkeys(Path(entry).resolve() for entry in [*sys.path, *entries, ""])
    return [str(path) for path in found if path.is_dir() and not any(path.is_relative_to(place) for place in own)]


def _absolute(agent: str) -> str:
    """A file's path holds in the node's own folder too."""
    place, _, name = agent.rpartition(":")
    return f"{Path(place).resolve()}:{name}" if place.endswith(".py") else agent


def free_port() -> int:
    """Below those that the system gives to whoever connects: one of these could take it before it is listened on."""
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise FastbridgeError(f"No port from {PORTS[0]} to {PORTS[-1]} is free.")
