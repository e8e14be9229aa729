"""The players of a load run with a bridge's ends of their sockets in a test's hands."""

import json
import socket
import threading
import time
from base64 import b64decode, b64encode
from typing import Any, Self

from fastbridge.sim import load_events, load_live_events

SID = "MZ" + "1" * 32
LIMIT_SECONDS = 10.0
SILENCE = b"\xff"
STOP = b'{"event":"stop","sequenceNumber":"\x04"}'


class End:
    """The bridge's end of one connection. masked: what we send is masked, what comes is not."""

    def __init__(self, connection: socket.socket, masked: bool) -> None:
        self._socket = connection
        self._masked = masked
        self._socket.settimeout(LIMIT_SECONDS)
        self._data = b""

    def send(self, **message: Any) -> None:
        self.send_text(json.dumps(message).encode())

    def send_text(self, text: bytes, opcode: int = 1) -> None:
        from fastbridge._websocket import text_frame

        frame = bytearray(text_frame(text, mask=self._masked))
        frame[0] = 0x80 | opcode
        self._socket.sendall(frame)

    def frame(self) -> tuple[int, bytes]:
        """(opcode, payload) of the next frame that comes."""
        from fastbridge._peer import first_frame

        while (found := first_frame(self._data, masked=not self._masked)) is None:
            more = self._socket.recv(65_536)
            if not more:
                raise EOFError
            self._data += more
        size, opcode, _, payload = found
        self._data = self._data[size:]
        return opcode, payload

    def next(self, kind: str = "") -> dict[str, Any]:
        """The next message, or the next of a kind (`type` or `event`)."""
        while True:
            _, payload = self.frame()
            message: dict[str, Any] = json.loads(payload)
            if not kind or kind in (message.get("type"), message.get("event")):
                return message

    def close(self) -> None:
        self._socket.close()


class Rig:
    """One call, played: `carrier` and `model` are the bridge's ends. live: the model speaks GPT-Live."""

    def __init__(self, *, live: bool = False, **settings: Any) -> None:
        from fastbridge._load import Players

        usual = {
            "calls": 1,
            "slot_us": 1000,
            "period_ms": 1000,
            "talk_ms": 200,
            **({"delta_bytes": 160} if live else {}),
        }
        self.live = live
        self._append = "session.input_audio.append" if live else "input_audio_buffer.append"
        scripts = (load_live_events if live else load_events).scripts()
        self.players = Players(
            live=live, scripts=scripts, quiet=load_events.quiet(), voice=load_events.voice(), **(usual | settings)
        )
        self._thread = threading.Thread(
            target=self.players.play, args=(time.monotonic_ns() + int(LIMIT_SECONDS * 1e9),)
        )

    def __enter__(self) -> Self:
        self._thread.start()
        self.players.open_window()
        ours, theirs = connected()
        self.carrier = End(ours, masked=False)
        sid = SID.encode()
        self.players.adopt_caller(0, theirs.detach(), stream_sid=sid, started_ns=time.monotonic_ns(), stop=STOP)
        ours, theirs = connected()
        self.model = End(ours, masked=True)
        self.players.adopt_model(theirs.detach(), 0)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.players.stop()
        self._thread.join()
        self.carrier.close()
        self.model.close()

    def configure(self) -> dict[str, Any]:
        """Do the session's handshake; the answer to `session.update`, or to `session.start`."""
        if self.live:
            pcmu = {"type": "audio/pcmu", "rate": 8000}
            self.model.send(type="session.start", session={"model": "gpt-live-1", "audio": {"format": pcmu}})
            return self.model.next("session.started")
        self.model.next("session.created")
        pcmu = {"format": {"type": "audio/pcmu"}}
        self.model.send(type="session.update", session={"type": "realtime", "audio": {"input": pcmu, "output": pcmu}})
        return self.model.next("session.updated")

    def relay(self, count: int = 1) -> None:
        """The caller's next frames to the model, as they are."""
        for _ in range(count):
            self.append(b64decode(self.carrier.next("media")["media"]["payload"]))

    def append(self, audio: bytes) -> None:
        """Audio to the model."""
        self.model.send(type=self._append, audio=b64encode(audio).decode())

    def play_on(self, audio: bytes) -> None:
        """Audio to the caller."""
        payload = b64encode(audio).decode()
        self.carrier.send(event="media", streamSid=SID, media={"payload": payload})

    def ask(self) -> bytes:
        """A response of the model's, whole."""
        if self.live:
            self.say("commentary")
            return self.streamed(8000).strip(SILENCE)
        self.model.send(type="response.create")
        audio = b""
        while (event := self.model.next())["type"] != "response.done":
            if event["type"] == "response.output_audio.delta":
                audio += b64decode(event["delta"])
        return audio

    def say(self, kind: str, **more: Any) -> None:
        """Words to a live model."""
        self.model.send(type=f"session.{kind}.append", content="words", delegation_id=None, **more)

    def streamed(self, count: int) -> bytes:
        """The next of a live model's stream, at least so much behind the first sound, and silence behind that."""
        audio = b""
        while len(audio.lstrip(SILENCE)) < count or not audio.endswith(SILENCE * 160):
            audio += b64decode(self.model.next("session.output_audio.delta")["delta"])
        return audio

    def until(self, name: str, count: int = 1) -> dict[str, int]:
        """All counts, once one of them is there."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while self.players.counts[name] < count:
            assert time.monotonic() < deadline, f"{name} is {self.players.counts[name]}"
            time.sleep(0.001)
        return self.players.counts


def connected() -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection over loopback TCP, the second not blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    theirs.setblocking(False)
    for each in (ours, theirs):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ours, theirs
