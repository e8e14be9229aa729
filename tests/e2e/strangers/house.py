"""The house that is played in: a node by its real command, the model, Twilio's API, and calls that go on at once.

A scene is a coroutine that gets the house and makes its calls: `async with house.call(answer) as call:`. Behind each
call the books are looked at, which must balance whatever was played. All scenes of a file begin together; they share a
node and are told apart by the name of their case, which the agent (`desk.py`) puts into its instructions.
"""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvloop

from e2e.dialects import LIVE, REALTIME, model_of
from e2e.strangers.phone import ACCOUNT, PUBLIC, TOKEN, Phone, until
from e2e.strangers.service import Case, Service
from e2e.strangers.sound import FRAME_MS

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
RAMP_SECONDS = 0.05
UNLOCKED = {"FASTBRIDGE_GREETING_LOCK": "0"}
"""A stream's lock ends half a second behind the greeting, and whoever answers sooner is not heard: ours do."""
Record = dict[str, Any]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Node:
    """`fastbridge serve` as an operator starts it: a command, an environment, a log, a folder."""

    def __init__(self, folder: Path, openai_port: int, twilio_port: int, settings: dict[str, str]) -> None:
        self.port = free_port()
        self.folder = folder
        self.records = folder / "records"
        self._log = folder / "node.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "PORT": str(self.port),
            "OPENAI_BASE_URL": f"http://127.0.0.1:{openai_port}/v1",
            "OPENAI_API_KEY": "sk-of-ours",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "FASTBRIDGE_TWILIO_API_URL": f"http://127.0.0.1:{twilio_port}",
            "PUBLIC_URL": PUBLIC,
            "FASTBRIDGE_METRICS_PORT": "0",
            "DATABASE_URL": f"sqlite:///{folder / 'calls.db'}",
            "FASTBRIDGE_RECORDS_DIR": str(self.records),
            "LOG_LEVEL": "INFO",
            "STRANGERS_RAN": str(folder / "ran"),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: list[str] | None = None) -> None:
        command = command or [str(BIN / "fastbridge"), "serve", f"{HERE / 'desk.py'}:agent"]
        self.records.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [part.replace("PORT", str(self.port)) for part in command],
                cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not self._is_up():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def _is_up(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def terminate(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> float:
        """Seconds until the process has ended; killed where it has not in time."""
        assert self._process is not None
        begin = time.monotonic()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return time.monotonic() - begin

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self, call_sid: str) -> list[str]:
        """The log's lines of one call."""
        return [line for line in self.log().splitlines() if call_sid in line]

    def ran(self, call_sid: str) -> list[str]:
        """The tools of `desk.py` that ran in a call."""
        path = self.folder / "ran"
        rows = path.read_text().splitlines() if path.exists() else []
        return [name for sid, name in (row.split(" ", 1) for row in rows) if sid == call_sid]

    async def record(self, call_sid: str, seconds: float = 8) -> Record:
        """The call's file, when it is there."""
        path = self.records / f"{call_sid}.json"
        await until(path.exists, seconds, f"the record of {call_sid}")
        found: Record = json.loads(path.read_text())
        return found

    def stored(self, call_sid: str) -> list[Record]:
        """The call's rows in the database, which may not have its table yet."""
        database = sqlite3.connect(self.folder / "calls.db")
        try:
            rows = database.execute("SELECT record FROM fastbridge_calls WHERE call_sid = ?", (call_sid,)).fetchall()
            return [json.loads(row[0]) for row in rows]
        except sqlite3.OperationalError:
            return []
        finally:
            database.close()


TOLD = {"response.created", "response.done", "error", "input_audio_buffer.speech_started", "session.updated"}
TOLD |= {"input_audio_buffer.speech_stopped", "response.output_item.done", "input_audio_buffer.committed"}
TOLD |= {"session.started", "session.closed", "session.delegation.created", "response.event"}
TOLD |= {"session.input_transcript.delta", "session.output_transcript.delta"}


def brief(event: dict[str, Any]) -> str:
    if event["type"] == "response.event":
        event = event["event"]
    inner = event.get("item") or event.get("response") or event.get("error") or event
    words = ("name", "call_id", "output", "status", "instructions", "tool_choice", "code", "audio_end_ms", "content")
    words += ("delta", "reason")
    return f"{event['type']} " + ", ".join(f"{key}={str(inner[key])[:150]}" for key in words if inner.get(key))


class House:
    """A loop in a thread of its own for both players, and the node between them."""

    def __init__(
        self, folder: Path, settings: dict[str, str], command: list[str] | None = None, dialect: str = REALTIME
    ) -> None:
        """command: in place of `fastbridge serve`, PORT in it standing for the port; it runs in the folder. dialect: of
        the model."""
        self.live = dialect == LIVE
        usual = model_of(dialect) | (UNLOCKED if self.live else {})
        self._folder, self._settings, self._command = folder, usual | settings, command
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._scenes: dict[Any, Future[None]] = {}
        self._phones: dict[str, Phone] = {}
        self._twilio: asyncio.Server | None = None
        self.service = Service()
        self.api: list[tuple[str, dict[str, str]]] = []

    def __enter__(self) -> "House":
        self._thread.start()
        openai_port, twilio_port = self._do(self._open())
        self.node = Node(self._folder, openai_port, twilio_port, self._settings)
        try:
            self.node.start(self._command)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.node.terminate()
        self._do(self._close())
        self.node.wait(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _open(self) -> tuple[int, int]:
        self._twilio = await asyncio.start_server(self._answer_api, "127.0.0.1", 0)
        return await self.service.start(), self._twilio.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        for scene in asyncio.all_tasks() - {asyncio.current_task()}:
            scene.cancel()
        await asyncio.sleep(0.05)
        await self.service.stop()
        if self._twilio is not None:
            self._twilio.close()

    # --- scenes ---

    def begin(self, name: str, scene: Awaitable[None]) -> None:
        """One behind the other: thirty calls in the same instant would be a test of something else."""
        delay = len(self._scenes) * RAMP_SECONDS
        self._scenes[name] = asyncio.run_coroutine_threadsafe(self._one(scene, delay), self._loop)

    async def _one(self, scene: Awaitable[None], delay: float) -> None:
        await asyncio.sleep(delay)
        await scene

    def result(self, name: str) -> None:
        """Wait for a scene; it raises what the scene raised."""
        self._scenes[name].result()

    def play(self, scene: Awaitable[None]) -> None:
        """One scene, now, from a plain test."""
        self.begin("", scene)
        self.result("")

    @asynccontextmanager
    async def call(
        self,
        answer: Callable[[Any], Awaitable[None]],
        *,
        kind: str = "",
        dialled: bool = True,
        balanced: bool = True,
        **case: Any,
    ) -> AsyncIterator["Call"]:
        """A call to the node, from its webhook to its record. kind: the business, where the agent knows several.
        dialled: or the scene does so itself. balanced: look at its books. The rest is as in `Case`."""
        name = f"c{len(self.service.cases)}"
        self.service.cases[name] = Case(answer, **case)
        phone = Phone(self.node.port, f"/webhook/incoming_call?business_id={kind}&case={name}")
        self._phones[phone.call_sid] = phone
        call = Call(self, phone, self.service.cases[name])
        phone.names = call.model.names
        try:
            if dialled:
                await phone.dial()
            yield call
        except BaseException as error:
            error.add_note(call.story())
            await phone.hang_up()
            raise
        await phone.hang_up()
        if balanced:
            call.balanced(await self.node.record(phone.call_sid))
            await until(lambda: any("[CALL_END]" in line for line in call.lines), 5, "[CALL_END]")

    # --- Twilio's API ---

    async def _answer_api(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """POST .../Calls/CA….json: end the call, or redirect it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int((re.search(r"(?i)content-length: *(\d+)", head) or [0, 0])[1])
        form = {key: values[0] for key, values in parse_qs((await reader.readexactly(length)).decode()).items()}
        found = re.search(r"/Calls/(CA[0-9a-f]+)\.json", head)
        phone = self._phones.get(found[1]) if found else None
        alive = phone is not None and not phone.ended_by
        body = b'{"sid":"x","status":"completed"}' if alive else b'{"code":20404,"message":"not found","status":404}'
        status = "200 OK" if alive else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: ".encode())
        writer.write(f"{len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()
        if phone is not None:
            self.api.append((phone.call_sid, form))
            await phone.by_rest(form.get("Status", ""), form.get("Twiml", ""))


class Call:
    """One call under way: its phone, the model's side of it, and what the operator sees."""

    def __init__(self, house: House, phone: Phone, model: Case) -> None:
        self.phone = phone
        self.model = model
        self.node = house.node
        self._house = house

    @property
    def lines(self) -> list[str]:
        return self.node.lines(self.phone.call_sid)

    @property
    def ran(self) -> list[str]:
        return self.node.ran(self.phone.call_sid)

    @property
    def api(self) -> list[dict[str, str]]:
        """What Twilio's API was told about this call."""
        return [form for sid, form in self._house.api if sid == self.phone.call_sid]

    async def record(self) -> Record:
        return await self.node.record(self.phone.call_sid)

    def story(self) -> str:
        """What happened, for whoever must find out why a scene failed: seconds since the stream's start, who, what."""
        begin, rows = self.phone.began, list[tuple[float, str]]()
        for session in self.model.sessions:
            rows += [(e["at"], f"   node: {brief(e)}") for e in session.events]
            rows += [(e["at"], f"  model: {brief(e)}") for e in session.sent if e["type"] in TOLD]
        rows += [(begin + n * FRAME_MS / 1000, f" caller: {what}") for n, what in self.phone.changes()]
        told = [f"{at - begin:7.2f} {row}" for at, row in sorted(rows)]
        return "\n".join([*told[-150:], f"ended by {self.phone.ended_by or 'nobody'}", *self.lines])

    def balanced(self, record: Record) -> None:
        """What is true of every call, whatever was played in it."""
        assert self.phone.violations == []
        assert [text for session in self.model.sessions for text in session.refused] == []
        frames, pacing = record["accounting"], record["pacing"]
        assert frames["frames_in"] == frames["forwarded"] + frames["dropped"], frames
        assert pacing["frames_enqueued"] == pacing["tx"] + sum(pacing["flushed"].values()), pacing
        assert not record["responses"].get("safety_fuse"), record["responses"]
