"""A model on loopback that does what a script says, byte by byte: for all that a good one never does."""

import base64
import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any, Self

from websockets.frames import Opcode
from websockets.utils import accept_key

from attacker import LIMIT_SECONDS, Connection, wire


class ModelLine(Connection):
    """The model's end of one session. Its time limit is the test's end, which shuts it down."""

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
        key = next(line for line in self.asked.splitlines() if line.lower().startswith("sec-websocket-key")).split()[1]
        self.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key).encode() + b"\r\n\r\n"
        )

    def ready(self) -> Self:
        self.accept()
        self.say("session.created", session={"id": "sess_1"})
        self.hears("session.update")
        format_ = {"format": {"type": "audio/pcmu"}}
        self.say("session.updated", session={"audio": {"input": format_, "output": format_}})
        return self

    def delta(self, audio: bytes, number: int = 1) -> bytes:
        """One audio event, unframed."""
        return self.event(
            "response.output_audio.delta",
            response_id=f"resp_{number}",
            item_id=f"item_{number}",
            output_index=0,
            content_index=0,
            delta=base64.b64encode(audio).decode(),
        )

    def begin(self, number: int = 1) -> None:
        self.say("response.created", response={"id": f"resp_{number}"})
        self.say("response.output_item.added", item={"id": f"item_{number}", "type": "message"})

    def end(self, number: int = 1) -> None:
        self.say("response.done", response={"id": f"resp_{number}", "status": "completed"})

    def listen(self) -> None:
        """Until the node says goodbye, or just goes."""
        goodbye = self.until(Opcode.CLOSE)
        if goodbye is not None:
            self.send(wire(8, goodbye, mask=False))


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
