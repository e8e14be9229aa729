"""A small bridge in Python whose faults are known, to see whether a load run sees them."""

import asyncio
import base64
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from oracle.mulaw import rms

PCMU = {"format": {"type": "audio/pcmu"}}
LIVE_PCMU = {"format": {"type": "audio/pcmu", "rate": 8000}}
LOUD = 3000
SILENCE = b"\xff"
AHEAD_BYTES = 5 * 160
"""Of a stream, before the first of an utterance is sent on."""


@dataclass
class Faults:
    """What it does wrong. Every nth caller frame, or frame of the model's speech: n of 0 means never."""

    drop_caller: int = 0
    alter_caller: int = 0
    drop_speech: int = 0
    alter_speech: int = 0
    repeat_speech: int = 0
    hasten: int = 0
    batch: int = 0
    forget_clear: bool = False
    go_on_after_clear: int = 0
    """Frames still sent of the response that was interrupted."""


@dataclass
class Line:
    """One call. live: the model speaks GPT-Live; of its stream silence is left out, frame by frame."""

    carrier: ServerConnection
    model: ClientConnection
    sid: str
    faults: Faults
    live: bool = False
    speech: bytearray = field(default_factory=bytearray)
    item: str = ""
    sent: int = 0
    caller_frames: int = 0
    loud: int = 0
    refused: str = ""
    talking: bool = False
    waiting: bool = True
    stops_in: int = 1 << 30

    async def hear_caller(self) -> None:
        async for text in self.carrier:
            message = json.loads(text)
            if message["event"] == "media":
                await self.caller_frame(base64.b64decode(message["media"]["payload"]))
            elif message["event"] == "stop":
                return

    async def caller_frame(self, frame: bytes) -> None:
        self.caller_frames += 1
        self.loud = self.loud + 1 if rms(frame) > LOUD else 0
        if self.loud == 5 and (self.talking if self.live else self.speech):
            await self.interrupt()
        if every(self.faults.drop_caller, self.caller_frames):
            return
        if every(self.faults.alter_caller, self.caller_frames):
            frame = frame[:100] + bytes([frame[100] ^ 0x10]) + frame[101:]
        kind = "session.input_audio.append" if self.live else "input_audio_buffer.append"
        await self.tell(type=kind, audio=base64.b64encode(frame).decode())

    async def interrupt(self) -> None:
        self.refused = self.item
        if self.faults.forget_clear:
            return
        self.stops_in = self.faults.go_on_after_clear
        del self.speech[self.faults.go_on_after_clear * 160 :]
        await self.send(event="clear", streamSid=self.sid)
        if self.live:
            await self.tell(type="session.thinking.append", content="You were interrupted.", delegation_id=None)
        else:
            await self.tell(type="conversation.item.truncate", item_id=self.item, content_index=0, audio_end_ms=1)

    async def hear_model(self) -> None:
        async for text in self.model:
            event = json.loads(text)
            if event["type"] == "response.output_audio.delta" and event["item_id"] != self.refused:
                self.item = event["item_id"]
                self.speech += base64.b64decode(event["delta"])
            elif event["type"] == "session.output_audio.delta":
                self.stream_frame(base64.b64decode(event["delta"]))

    def stream_frame(self, frame: bytes) -> None:
        self.talking = frame != SILENCE * 160
        if not self.talking:
            self.waiting, self.stops_in = not self.speech, 1 << 30
        elif self.stops_in > 0:
            self.stops_in -= 1
            self.speech += frame
            self.waiting = self.waiting and len(self.speech) < AHEAD_BYTES

    async def pace(self) -> None:
        due = time.monotonic()
        while True:
            if self.speech and not (self.live and self.waiting):
                await self.speak()
            due = max(due, time.monotonic() - 0.01) + (0.010 if every(self.faults.hasten, self.sent) else 0.0201)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def speak(self) -> None:
        self.sent += 1
        size = 320 if every(self.faults.batch, self.sent) else 160
        frame = bytes(self.speech[:size])
        del self.speech[:size]
        if every(self.faults.drop_speech, self.sent):
            return
        if every(self.faults.alter_speech, self.sent):
            frame = frame[:80] + bytes([frame[80] ^ 1]) + frame[81:]
        for _ in range(2 if every(self.faults.repeat_speech, self.sent) else 1):
            payload = base64.b64encode(frame.ljust(160, SILENCE)).decode()
            await self.send(event="media", streamSid=self.sid, media={"payload": payload})
        if self.sent % 8 == 0:
            await self.send(event="mark", streamSid=self.sid, mark={"name": f"m{self.sent}"})

    async def send(self, **message: Any) -> None:
        await self.carrier.send(json.dumps(message))

    async def tell(self, **event: Any) -> None:
        await self.model.send(json.dumps(event))


def every(number: int, count: int) -> bool:
    return number > 0 and count % number == 0


@contextlib.asynccontextmanager
async def faulty_bridge(model_port: int, faults: Faults, *, live: bool = False):
    """Its media address."""
    url = f"ws://127.0.0.1:{model_port}" + ("/v1/live/sessions" if live else "/v1/realtime?model=m")
    realtime = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": PCMU, "output": PCMU}}}
    begin = {"type": "session.start", "session": {"audio": LIVE_PCMU}} if live else realtime

    async def hold(carrier: ServerConnection) -> None:
        async for text in carrier:
            message = json.loads(text)
            if message["event"] == "start":
                break
        async with connect(url, compression=None) as model:
            await model.send(json.dumps(begin))
            line = Line(carrier, model, message["streamSid"], faults, live)
            tasks = [asyncio.create_task(each()) for each in (line.hear_model, line.pace)]
            with contextlib.suppress(ConnectionClosed):
                await line.hear_caller()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async with serve(hold, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media"
