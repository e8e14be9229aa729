"""A model on loopback that does what a script says, byte by byte: for all that a good one never does.

It speaks both dialects, by the address that is dialled, so one script plays in either: `ready`, `begin`, `delta` and
`end` are what they are there. GPT-Live's stream never pauses: `listen` streams silence, `deltas` says anything else.
"""

import base64
import contextlib
import itertools
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from websockets.frames import Opcode
from websockets.utils import accept_key

from attacker import LIMIT_SECONDS, Connection, wire

LIVE_PATH = "/v1/live/sessions"
LIVE_AUDIO = "session.output_audio.delta"
SILENCE = b"\xff" * 800
"""A tenth of a second of the stream."""


class ModelLine(Connection):
    """The model's end of one session. Its time limit is the test's end, which shuts it down."""

    live = False
    """Whether it is one of GPT-Live's; known once the handshake was read."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.socket.settimeout(None)
        self.asked = ""
        """The handshake, as it came."""

    def event(self, kind: str, **fields: Any) -> bytes:
        return json.dumps({"type": kind, "event_id": "event_1", **fields}, separators=(",", ":")).encode()

    def say(self, kind: str, **fields: Any) -> None:
        self.send(wire(1, self.event(kind, **fields), mask=False))

    def hears(self, kind: str) -> dict[str, Any]:
        for message in self.messages():
            if message["type"] == kind:
                return message
        raise ConnectionError(f"the node went away before {kind}")

    def accept(self) -> None:
        """The handshake and the session, as the service does it."""
        self.asked = self.head()
        self.live = self.asked.split(" ")[1].startswith(LIVE_PATH)
        key = next(line for line in self.asked.splitlines() if line.lower().startswith("sec-websocket-key")).split()[1]
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )

    def ready(self) -> Self:
        self.accept()
        if self.live:
            self.hears("session.start")
            self.say("session.started", session=live_session())
            return self
        self.say("session.created", session={"id": "sess_1"})
        self.hears("session.update")
        format_ = {"format": {"type": "audio/pcmu"}}
        self.say("session.updated", session={"audio": {"input": format_, "output": format_}})
        return self

    def delta(self, audio: bytes, number: int = 1) -> bytes:
        """One audio event, unframed."""
        if self.live:
            return b'{"type":"%s","delta":"%s"}' % (LIVE_AUDIO.encode(), base64.b64encode(audio))
        return self.event(
            "response.output_audio.delta",
            response_id=f"resp_{number}",
            item_id=f"item_{number}",
            output_index=0,
            content_index=0,
            delta=base64.b64encode(audio).decode(),
        )

    def deltas(self, audio: bytes, *sizes: int, speed: float = 1.0) -> None:
        """Audio in deltas of these sizes, over and over; so many times as fast as it is spoken."""
        began, at = time.monotonic(), 0
        for size in itertools.cycle(sizes or (800,)):
            self.send(wire(1, self.delta(audio[at : at + size]), mask=False))
            at += size
            if at >= len(audio):
                return
            time.sleep(max(0.0, began + at / 8000 / speed - time.monotonic()))

    def begin(self, number: int = 1) -> None:
        if self.live:
            return  # an utterance is loud, and nobody says so
        self.say("response.created", response={"id": f"resp_{number}"})
        self.say("response.output_item.added", item={"id": f"item_{number}", "type": "message"})

    def end(self, number: int = 1) -> None:
        if self.live:
            self.deltas(SILENCE * 9)
            return
        self.say("response.done", response={"id": f"resp_{number}", "status": "completed"})

    def listen(self) -> None:
        """Until the node says goodbye, or just goes."""
        with self.streaming():
            goodbye = self.until(Opcode.CLOSE)
        if goodbye is not None:
            self.send(wire(8, goodbye, mask=False))

    @contextmanager
    def streaming(self, events: Iterable[bytes] = ()) -> Iterator[None]:
        """The stream goes on, silent, as long as this does; nothing else may be sent meanwhile. events: one of them
        with each tenth of a second."""
        over = threading.Event()

        def stream() -> None:
            left = iter(events)
            with contextlib.suppress(OSError):
                while not over.wait(0.1):
                    event = next(left, None)
                    self.send(wire(1, self.delta(SILENCE), mask=False) + (event or b""))

        thread = threading.Thread(target=stream, name="stream")
        if self.live:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if self.live:
                thread.join()


def live_session() -> dict[str, Any]:
    return {"id": "live_1", "audio": {"format": {"type": "audio/pcmu", "rate": 8000}}}


def obliging(model: ModelLine) -> None:
    model.ready().listen()


class Model:
    """A model on loopback whose sessions each run a script in a thread; what a script raises fails the test."""

    def __init__(self, script: Callable[[ModelLine], None] = obliging) -> None:
        self.script = script
        self.dialled = 0
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._lines: list[ModelLine] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="model")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._accepting.join(LIMIT_SECONDS)
        self._socket.close()
        for line in self._lines:
            with contextlib.suppress(OSError):
                line.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT_SECONDS)
        if not self._failures.empty():
            raise self._failures.get()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.dialled += 1
            self._lines.append(ModelLine(sock))
            thread = threading.Thread(target=self._run, args=(self._lines[-1],), name="session")
            self._threads.append(thread)
            thread.start()

    def _run(self, line: ModelLine) -> None:
        try:
            with line:
                self.script(line)
        except (ConnectionError, ValueError):
            pass  # the node, or the end of the test, hung up on it
        except BaseException as failure:
            self._failures.put(failure)
