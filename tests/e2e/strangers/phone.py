"""A telephone caller, as Twilio shows one to a server: signed webhooks, TwiML, Media Streams, and an ear.

Time is a clock of 20 ms ticks. At each tick one frame of the caller's is sent, and one frame of the playback buffer is
heard; marks are echoed when all before them has been played, or at once when the buffer is cleared. What Twilio would
refuse is in `violations`.
"""

import asyncio
import base64
import http.client
import json
import secrets
import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from twilio.request_validator import RequestValidator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from e2e.strangers.sound import FRAME, FRAME_MS, QUIET, SILENCE, Heard, frames, noise, recognise, voice

ACCOUNT = "AC" + "5" * 32
TOKEN = "a token of ours"
PUBLIC = "https://voice.example.com"
PATIENCE = 15.0
CALLERS = count(1)


async def until(condition: Callable[[], Any], seconds: float = PATIENCE, what: str = "") -> Any:
    """The condition's first true value. AssertionError if it has none in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what or condition} has not come in {seconds:g} s")
        await asyncio.sleep(0.02)
    return value


class Phone:
    """One call. `heard[n]` is what the ear heard in tick n, `spoke[n]` whether the caller was loud. `talking` and
    `noisy` may be set at any time; without `reports` the number's status callback is not configured."""

    def __init__(self, port: int, path: str = "/webhook/incoming_call") -> None:
        self._port = port
        self._path = path
        self.number = f"+1500555{next(CALLERS):04}"
        self.call_sid = "CA" + secrets.token_hex(16)
        self.stream_sid = "MZ" + secrets.token_hex(16)
        self.heard: list[Heard] = []
        self.spoke: list[bool] = []
        self.violations: list[str] = []
        self.clears: list[int] = []
        self.twiml = ""
        self.after = ""
        self.began = 0.0
        self.redirected = ""
        self.ended_by = ""
        self.names: dict[int, str] = {}
        self.talking = self.noisy = False
        self.reports = True
        self._words = 0
        self._spoken = 0
        self._buffer: deque[bytes | str] = deque()
        self._sequence = count(1)
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # --- signalling ---

    async def webhook(self, path: str, **parameters: str) -> str:
        """A signed POST as Twilio makes it; the body of the answer, which must be 200."""
        form = {"CallSid": self.call_sid, "AccountSid": ACCOUNT, "From": self.number, "To": "+15005550006"}
        form |= {"Caller": self.number, "Called": "+15005550006", "Direction": "inbound", "ApiVersion": "2010-04-01"}
        form |= {"CallStatus": "in-progress", **parameters}
        signature = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
        status, body = await asyncio.to_thread(self._post, path, urlencode(form), signature)
        assert status in (200, 204), f"{path} answers {status}: {body}"
        return body

    def _post(self, path: str, body: str, signature: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=15)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
            connection.request("POST", path, body, {**headers, "Host": urlsplit(PUBLIC).netloc})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    async def ask(self) -> str:
        """The first webhook: the TwiML that says what happens to this call."""
        self.twiml = await self.webhook(self._path, CallStatus="ringing")
        return self.twiml

    def _verb(self, path: str) -> ElementTree.Element | None:
        return ElementTree.fromstring(self.twiml).find(path)

    async def dial(self, **start: Any) -> None:
        """Webhook, stream, `start`. Keywords change what `start` says."""
        await self.ask()
        await self.connect()
        await self.start(**start)

    async def connect(self) -> None:
        """Open the media stream that the TwiML names and say `connected`."""
        stream = self._verb("Connect/Stream")
        assert stream is not None, self.twiml
        url = stream.get("url", "")
        headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}
        self._socket = await connect(
            f"ws://{urlsplit(url).netloc}{urlsplit(url).path}",
            host="127.0.0.1",
            port=self._port,
            additional_headers=headers,
            user_agent_header="Twilio.TmeWs/1.0",
            compression=None,
            ping_interval=None,
            proxy=None,
        )
        await self._send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        self._tasks.append(asyncio.create_task(self._read()))

    async def start(self, **changes: Any) -> None:
        named = self._verb("Connect/Stream")
        parameters = {p.get("name"): p.get("value") for p in (named if named is not None else ())}
        start = {"accountSid": ACCOUNT, "streamSid": self.stream_sid, "callSid": self.call_sid, "tracks": ["inbound"]}
        start["mediaFormat"] = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        start |= {"customParameters": parameters, **changes}
        await self._event("start", start=start)
        self._tasks.append(asyncio.create_task(self._tick()))

    async def _event(self, event: str, **body: Any) -> None:
        await self._send(
            {"event": event, "sequenceNumber": str(next(self._sequence)), **body, "streamSid": self.stream_sid}
        )

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            if self._socket is not None:
                await self._socket.send(json.dumps(message, separators=(",", ":")))
        except ConnectionClosed:
            pass

    # --- what the caller does ---

    async def speak(self, ms: int) -> None:
        """Say something for so long; returns when it has been said."""
        self._words += ms // FRAME_MS
        await until(lambda: self._words == 0 or self.ended_by, PATIENCE + ms / 1000, "the end of a sentence")

    async def press(self, keys: str) -> None:
        for key in keys:
            await self._event("dtmf", dtmf={"track": "inbound_track", "digit": key})

    async def rest(self, ms: int) -> None:
        """Let so much time pass on the line, saying nothing."""
        end = len(self.heard) + ms // FRAME_MS
        await until(lambda: len(self.heard) >= end or self.ended_by, PATIENCE + ms / 1000, "time")

    async def hang_up(self) -> None:
        if not self.ended_by:
            self.ended_by = "caller"
            await self._event("stop", stop={"accountSid": ACCOUNT, "callSid": self.call_sid})
        await self._leave("completed")

    async def end_stream(self) -> None:
        """The stream ends, the call does not: Twilio has been given other TwiML. `dial` may begin another one."""
        await self._event("stop", stop={"accountSid": ACCOUNT, "callSid": self.call_sid})
        await self._leave("in-progress")
        self.stream_sid, self._sequence, self._tasks = "MZ" + secrets.token_hex(16), count(1), []
        self._buffer.clear()

    async def vanish(self) -> None:
        """The connection breaks, without a word."""
        self.ended_by = "caller"
        if self._socket is not None:
            self._socket.transport.abort()
        await self._leave("completed")

    async def by_rest(self, status: str, twiml: str) -> None:
        """Twilio's API was told to end this call, or to go on elsewhere: the stream ends."""
        if not self.ended_by:
            self.ended_by, self.redirected = "transfer" if twiml else "rest", twiml
            await self._event("stop", stop={"accountSid": ACCOUNT, "callSid": self.call_sid})
            await self._leave(status or "in-progress")

    async def _leave(self, status: str) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
            if status == "completed" and self.reports:
                await self.webhook("/webhook/call_status", CallStatus=status, CallDuration=str(len(self.heard) // 50))

    # --- the stream ---

    async def _tick(self) -> None:
        self.began = time.monotonic()
        for number in count():
            await asyncio.sleep(self.began + number * FRAME_MS / 1000 - time.monotonic())
            frame = self._said(number)
            self.spoke.append(frame is not QUIET)
            payload = base64.b64encode(frame).decode()
            media = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(number * FRAME_MS)}
            await self._event("media", media={**media, "payload": payload})
            await self._play()

    def _said(self, number: int) -> bytes:
        if self._words > 0 or self.talking:
            self._words, self._spoken = max(0, self._words - 1), self._spoken + 1
            return voice()[self._spoken % len(voice())]
        return noise()[number % len(noise())] if self.noisy else QUIET

    async def _play(self) -> None:
        """One tick of the playback buffer: a frame for the ear, and the marks behind it."""
        frame = self._buffer.popleft() if self._buffer else None
        self.heard.append(recognise(frame) if isinstance(frame, bytes) else SILENCE)
        await self._echo()

    async def _echo(self) -> None:
        """The marks before which all has been played."""
        while self._buffer and isinstance(self._buffer[0], str):
            await self._event("mark", mark={"name": self._buffer.popleft()})

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for text in self._socket:
                await self._take(text)
        except ConnectionClosed:
            pass
        if not self.ended_by:
            await self._closed_by_the_node()

    async def _take(self, text: str | bytes) -> None:
        message = json.loads(text)
        event = message.get("event")
        body = {"media": "media", "mark": "mark"}.get(event)
        if event not in ("media", "mark", "clear") or message.get("streamSid") != self.stream_sid:
            self.violations.append(f"no message of a media stream: {str(text)[:200]}")
        elif set(message) != {"event", "streamSid", *([body] if body else [])}:
            self.violations.append(f"other fields than there are: {str(text)[:200]}")
        elif event == "media":
            audio = base64.b64decode(message["media"]["payload"], validate=True)
            if len(audio) != FRAME:
                self.violations.append(f"a frame of {len(audio)} bytes")
            self._buffer.extend(frames(audio))
        elif event == "mark":
            self._buffer.append(message["mark"]["name"])
            await self._echo()
        else:
            await self._clear()

    async def _clear(self) -> None:
        self.clears.append(len(self.heard))
        marks = [piece for piece in self._buffer if isinstance(piece, str)]
        self._buffer.clear()
        for name in marks:
            await self._event("mark", mark={"name": name})

    async def _closed_by_the_node(self) -> None:
        """The server has closed the stream: Twilio goes on with the TwiML behind it."""
        connection = self._verb("Connect")
        action = connection.get("action") if connection is not None else None
        if action:
            at = urlsplit(action)
            path = at.path + (f"?{at.query}" if at.query else "")
            self.after = await self.webhook(path, StreamSid=self.stream_sid)
        else:
            self.after = self.twiml
        self.ended_by = "node"
        await self._leave("completed")

    # --- what the ear tells ---

    def ms_of(self, text: str) -> int:
        """How much of the answer with these words was heard, all its frames counted once. ms."""
        numbers = {number for number, words in self.names.items() if text in words}
        return FRAME_MS * len({h for h in self.heard if h.kind == "answer" and h.what in numbers})

    def first_heard(self, text: str) -> int:
        """The tick in which the answer with these words was first heard; a day from now for never."""
        return next((n for n, h in enumerate(self.heard) if text in self.names.get(h.what, "")), 50 * 86_400)

    async def hears(self, text: str, ms: int = 0, seconds: float = PATIENCE) -> None:
        """Wait until so much of that answer has been heard; without ms, until it is over: 200 ms without it."""
        await until(lambda: self.ms_of(text) >= max(ms, FRAME_MS), seconds, f"ms {ms} of {text!r}")
        if not ms:
            await until(lambda: self.ended_by or not self._sounds(10), seconds, f"the end of {text!r}")

    def _sounds(self, ticks: int) -> bool:
        return any(h.kind for h in self.heard[-ticks:])

    def last_spoke(self) -> int:
        """The tick in which the caller was last loud; -1 for never."""
        return max((n for n, loud in enumerate(self.spoke) if loud), default=-1)

    def silence_ms(self, begin: int, end: int | None = None) -> int:
        """The longest stretch from tick `begin` to `end` in which neither side made a sound. ms."""
        longest = current = 0
        for n in range(begin, min(len(self.heard), len(self.spoke)) if end is None else end):
            current = 0 if self.heard[n].kind or self.spoke[n] else current + 1
            longest = max(longest, current)
        return longest * FRAME_MS

    def first_sound(self, begin: int) -> int | None:
        return next((n for n in range(begin, len(self.heard)) if self.heard[n].kind), None)

    def recordings(self) -> set[str]:
        return {str(h.what) for h in self.heard if h.kind == "recording"}

    def changes(self) -> list[tuple[int, str]]:
        """When the caller began or ceased to speak or to hear something, by tick."""
        found, before = [(tick, "the buffer is cleared") for tick in self.clears], (False, "")
        for tick, (loud, heard) in enumerate(zip(self.spoke, self.heard, strict=False)):
            now = (loud, f"{heard.kind} {self.names.get(heard.what, heard.what)}" if heard.kind else "silence")
            if now != before:
                found.append((tick, f"{'speaks' if loud else 'is quiet'}, hears {now[1]}"))
            before = now
        return found

    async def over(self, seconds: float = PATIENCE) -> str:
        """Who ended the call, when it has ended."""
        await until(lambda: self.ended_by, seconds, "the end of the call")
        return self.ended_by
