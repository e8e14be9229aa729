"""Whole calls with a GPT-Live model of another make, by a seed: sessions that stream, break, stand still and are
renewed, work handed on with tools side by side, a caller who talks when he likes. Every frame and every word is known
by its number.

Written from the wire's description alone: it shares nothing with `fastbridge.sim`.
"""

import asyncio
import json
import random
from base64 import b64decode, b64encode
from collections import Counter
from random import Random
from typing import Any

from call_rig import CallRig, Control
from fastbridge.agent import Agent
from fastbridge.errors import ModelUnavailable
from fastbridge.model.attempt import Attempt
from fastbridge.model.farewell import FAREWELL_SECONDS
from fastbridge.testing.loop import LeapingLoop
from helpers import LOUD, QUIET, mark_json, media_json
from live_rig import SILENT
from virtual import RecordingModel

FRAME_MS = 20
WORD_FRAMES = 15
MARK, PLACE = bytes([0x9A, 0x1B, 0x9C]), 100
PRICES = json.dumps({"gpt-live-1": {"minute": 0.06}, "gpt-live-mini": {"minute": 0.01}})
KINDS = ("any", "any", "breaks", "stands still")
"""Whose sessions break again and again, and whose network stands still while a successor waits for a pause."""
TOOLS = ("quick", "quick", "slow", "unknown")


def numbered(number: int) -> bytes:
    """A loud frame that says which it is."""
    digits = bytes(0x90 + (number >> 4 * digit & 15) for digit in range(8))
    return LOUD[:PLACE] + MARK + digits + LOUD[PLACE + len(MARK) + 8 :]


def number_of(frame: bytes) -> int | None:
    if frame[PLACE : PLACE + len(MARK)] != MARK:
        return None
    digits = frame[PLACE + len(MARK) : PLACE + len(MARK) + 8]
    return sum(digit - 0x90 << 4 * at for at, digit in enumerate(digits))


def unmasked(frame: bytes) -> bytes:
    """One text frame's message."""
    size, at = frame[1] & 127, 2
    if size == 126:
        size, at = int.from_bytes(frame[2:4], "big"), 4
    key, data = frame[at : at + 4], frame[at + 4 :]
    assert (frame[0], len(data), frame[1] >> 7) == (0x81, size, 1)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


class Link(RecordingModel):
    """A socket: the node's end. What is written is read by the service a moment later, as on any network."""

    def __init__(self, call: "WholeCall", attempt: Attempt) -> None:
        super().__init__(call)
        self.attempt = attempt
        self.service = Service(call, self)
        self.lost = False

    def write(self, frame: bytes) -> None:
        super().write(frame)
        self.service.after(8, self.service.take, json.loads(unmasked(frame)))

    def send_text(self, message: bytes) -> None:
        super().send_text(message)
        self.service.after(8, self.service.take, json.loads(message))

    def tell(self, message: bytes) -> None:
        if self.hang_ups or self.lost:
            return
        sink = self.feed or self.attempt.sink
        (sink if callable(sink) else self.attempt.feed_message)(message)

    def lose(self, code: int) -> None:
        if not (self.hang_ups or self.lost):
            self.lost = True
            self.attempt.on_model_lost(code, "")


class Service:
    """One session of the model's."""

    def __init__(self, call: "WholeCall", link: Link) -> None:
        self.call, self.link, self.random = call, link, call.random
        self.started = False
        self.stream_ms = self.quiet_ms = 0
        self.voice: list[tuple[int, int] | None] = []  # (utterance, word) of each frame to come; None: a pause
        self.late = b""  # of the stream, while the network stands still
        self.heard: list[bool] = []
        self.hears = False
        self.works: dict[str, dict[str, Any]] = {}
        self.stubborn = self.random.random() < 0.2
        self.words_late_ms = self.random.choice((0, 0, 150, 300))
        self.breaks_at_ms = self.random.choice((0, 0, 0, self.random.randrange(2000, 40000)))
        self.stalls_at_ms, self.stalls_ms = self.random.randrange(40000), self.random.choice((0, 0, 600, 4000))
        if call.kind == "breaks":
            self.breaks_at_ms = self.random.randrange(7000, 14000)
        elif call.kind == "stands still":
            self.stalls_at_ms, self.stalls_ms = self.random.randrange(1000), self.random.randrange(4000, 6000)
            self.stalls_ms *= len(call.model_links) > 0

    def after(self, ms: float, do: Any, *given: Any, **named: Any) -> None:
        self.call.after(ms, lambda: None if self.link.hang_ups or self.link.lost else do(*given, **named))

    def event(self, kind: str, **fields: Any) -> None:
        self.link.tell(json.dumps({"type": kind, "event_id": f"ev_{next(self.call.numbers)}", **fields}).encode())

    # --- what the node says ---

    def take(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "session.input_audio.append":
            assert self.started, "audio before the session"
            self.hear(b64decode(message["audio"]))
        elif kind == "session.start":
            self.after(self.random.choice((20, 60, 900)), self.start)
        elif kind == "session.close":
            self.after(40, self.event, "session.closed", usage={"seconds": self.stream_ms // 1000})
        elif kind == "session.update":
            self.after(40, self.event, "session.updated", session={})
        elif kind == "response.item.create":
            self.call.outputs_seen[message["item"]["call_id"]] += 1
            self.works_done(message["item"]["call_id"])
        elif kind == "response.create":
            for work in [each for each in self.works.values() if each["asked"] and not each["open"]]:
                work["asked"] = False
                self.after(200, self.backend, work)
        elif kind == "session.thinking.append":
            self.call.told.append(message["content"])
        elif kind in ("session.commentary.append", "session.instructions.append") and self.random.random() < 0.93:
            self.after(1000, self.say_when_free, self.random.randrange(600, 2400), message["content"])

    def start(self) -> None:
        self.started = True
        audio = {"format": {"type": "audio/pcmu", "rate": 8000}}
        self.event("session.started", session={"id": f"live_{len(self.call.model_links)}", "audio": audio})
        self.after(FRAME_MS, self.stream)
        if self.breaks_at_ms:
            self.after(self.breaks_at_ms, self.link.lose, self.random.choice((1000, 1006, 1011)))

    def hear(self, audio: bytes) -> None:
        for at in range(0, len(audio), 160):
            loud = audio[at : at + 160] not in (QUIET, SILENT)
            self.heard = [*self.heard[-7:], loud]
            self.quiet_ms = 0 if loud else self.quiet_ms + FRAME_MS
            if not self.hears and sum(self.heard) >= 5:
                self.hears = True
                if not self.stubborn:
                    self.after(self.random.choice((100, 250, 600)), self.voice.clear)
            elif self.hears and self.quiet_ms >= 600:
                self.hears = False
                place = {"start_ms": max(self.stream_ms - 1500, 0), "end_ms": max(self.stream_ms - 600, 1)}
                self.event("session.input_transcript.delta", delta=f" c{next(self.call.numbers)}", **place)
                self.react()

    # --- what it says and does ---

    def react(self) -> None:
        way, delay = self.random.random(), self.random.choice((100, 500, 1500))
        if way < 0.45:
            self.after(delay, self.say, self.random.randrange(400, 8000))
        elif way < 0.9:
            if self.random.random() < 0.5:
                self.after(delay, self.say, 500)
            for _ in range(self.random.choice((1, 1, 2))):
                self.after(delay + self.random.choice((0, 600)), self.delegate)

    def say_when_free(self, ms: int, why: str) -> None:
        if self.hears:
            self.after(400, self.say_when_free, ms, why)
        else:
            self.say(ms, why)

    def say(self, ms: int, why: str = "") -> None:
        utterance = len(self.call.said)
        self.call.said.append(why)
        self.voice += [(utterance, at // WORD_FRAMES) for at in range(ms // FRAME_MS)] + [None]

    def stream(self) -> None:
        self.after(FRAME_MS, self.stream)
        frame, place = SILENT, self.voice.pop(0) if self.voice else None
        if place is not None:
            number = self.call.new_frame(place)
            frame = numbered(number)
            if self.call.frames_of[place] == 1:
                times = {"start_ms": self.stream_ms, "end_ms": self.stream_ms + 300}
                words = {"delta": f" a{place[0]}w{place[1]}", **times}
                self.after(self.words_late_ms, lambda: self.event("session.output_transcript.delta", **words))
        self.stream_ms += FRAME_MS
        self.late += frame
        if not self.stalls_at_ms <= self.stream_ms < self.stalls_at_ms + self.stalls_ms:
            audio, self.late = self.late, b""
            self.call.delivered |= {number_of(audio[at : at + 160]) for at in range(0, len(audio), 160)}
            self.link.tell(b'{"type":"session.output_audio.delta","delta":"%s"}' % b64encode(audio))

    def delegate(self) -> None:
        name = f"dlg_{next(self.call.numbers)}"
        work = {"id": name, "open": set(), "asked": False, "rounds": self.random.choice((0, 1, 1, 2))}
        self.works[name] = work
        delegation = {"id": name, "type": "delegation", "target": "responses", "response_id": f"resp_{name}"}
        self.event("session.delegation.created", offset_ms=self.stream_ms, delegation=delegation)
        self.after(300, self.backend, work)

    def backend(self, work: dict[str, Any]) -> None:
        def nested(kind: str, **event: Any) -> None:
            self.event("response.event", delegation_id=work["id"], event={"type": kind, **event})

        response = {"id": f"resp_{next(self.call.numbers)}"}
        nested("response.created", response=response)
        if work["rounds"]:
            work["rounds"] -= 1
            for _ in range(self.random.choice((1, 1, 2, 3))):
                key = f"call_{next(self.call.numbers)}"
                work["open"].add(key)
                item = {"type": "function_call", "id": f"fc_{key}", "call_id": key, "status": "completed"}
                item |= {"name": self.random.choice(TOOLS), "arguments": json.dumps({"key": key})}
                for _ in range(self.random.choice((1, 1, 1, 2))):  # it may come twice
                    nested("response.output_item.done", item=item)
            work["asked"] = True
        elif self.random.random() < 0.9:
            self.after(self.random.choice((100, 700, 2000)), self.say_when_free, self.random.randrange(600, 3000), "")
        nested("response.completed", response=response)

    def works_done(self, call_id: str) -> None:
        for work in self.works.values():
            work["open"].discard(call_id)


class WholeCall(CallRig):
    """One call, from its start until somebody ends it. runs: how often each tool call ran. said: of each utterance what
    asked for it, if anything did. told: what the model was told that is not spoken."""

    farewell_seconds = FAREWELL_SECONDS

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        random.seed(seed)  # the node's own chances
        self.kind = KINDS[seed % len(KINDS)]
        self.numbers = iter(range(1, 1 << 30))
        self.runs, self.outputs_seen = Counter[str](), Counter[str]()
        self.said: list[str] = []
        self.told: list[str] = []
        self.frames: list[tuple[int, int]] = []
        self.frame_ms: list[float] = []
        self.frames_of = Counter[tuple[int, int]]()
        self.delivered: set[int | None] = set()
        self.voice_ms: list[float] = []
        settings: dict[str, Any] = {
            "silence_seconds": self.random.choice((5, 8)),
            "silence_prompts": 1,
            "max_call_seconds": 600 if self.kind == "breaks" else self.random.choice((30, 60, 90)),
            "session_renew_seconds": self.random.choice((10, 20, 3300)),
            "live_store": self.random.random() < 0.2,
            "prices": PRICES,
            "call_budget_usd": self.random.choice((0, 0, 0.03, 0.05)),
        }
        if self.kind == "stands still":
            settings |= {"session_renew_seconds": 10, "call_budget_usd": 0}
        if settings["call_budget_usd"]:
            settings["budget_model"] = self.random.choice(("", "gpt-live-mini"))
        control = self.random.choice((None, Control()))
        super().__init__(self._agent(), control=control, loop=LeapingLoop(), model="gpt-live-1", **settings)

    def _agent(self) -> Agent:
        greeting, lock = self.random.choice(("", "Hello!")), self.random.random() < 0.3
        agent = Agent(greeting=greeting, greeting_lock=lock, hang_up=True)

        @agent.tool
        async def quick(key: str) -> str:
            """At once."""
            self.runs[key] += 1
            return "quick"

        @agent.tool
        async def slow(key: str) -> str:
            """Not so."""
            self.runs[key] += 1
            await asyncio.sleep(3)
            return "slow"

        return agent

    def make_call(self, **given: Any) -> Any:
        call = super().make_call(**given)
        call.line._dial_out = self._dial
        return call

    def _dial(self, attempt: Attempt) -> None:
        self.dialled.append(attempt)

        def answer() -> None:
            if self.random.random() < 0.1:
                attempt.on_model_failed(ModelUnavailable("no", "http_503"))
                return
            self.model_links.append(Link(self, attempt))
            attempt.on_model_connected(self.model_links[-1])

        self.after(80, answer)

    def after(self, ms: float, do: Any) -> None:
        self.loop.call_later(ms / 1000, self._now, do)

    def _now(self, do: Any) -> None:
        if self.call.live:
            do()

    def shut(self) -> None:
        for timer in self.loop.pending_timers():
            if timer._callback == self._now:  # type: ignore[attr-defined]
                timer.cancel()
        super().shut()

    def new_frame(self, place: tuple[int, int]) -> int:
        self.frames.append(place)
        self.frame_ms.append(self.now_ms)
        self.frames_of[place] += 1
        return len(self.frames) - 1

    def play(self, seconds: float = 110) -> None:
        """The caller talks now and then, or is gone after a while; and the call comes to its end."""
        self.talks_until_ms = 0 if self.kind == "breaks" else self.random.choice((0, 15_000, 40_000))
        self.pause_ms, self.talk = self.random.randrange(500, 6000), 0
        self.started()
        self.do(self._tick)
        while self.call.live and self.now_ms < seconds * 1000:
            self.loop.advance(1.0)

    def _tick(self) -> None:
        """Of the caller's line. A mark is echoed when what is before it has been played."""
        if not self.call.live:
            return
        self.after(FRAME_MS, self._tick)
        self.pause_ms -= FRAME_MS
        if self.pause_ms < 0 and self.now_ms < self.talks_until_ms:
            self.pause_ms = self.random.choice((300, 700, 2500, 6000))
            self.talk = self.random.choice((4, 20, 60, 150))
            self.pause_ms += self.talk * FRAME_MS
        if self.talk:
            self.talk -= 1
            self.voice_ms.append(self.now_ms)
        self.chunk += 1
        media = media_json(self.chunk, b64encode(LOUD if self.talk else QUIET))
        self.call.caller.feed_message(media)

    def record(self, to: str, raw: bytes, *, framed: bool) -> None:
        super().record(to, raw, framed=framed)
        if to == "carrier" and b'"event":"mark"' in raw:
            echo = mark_json(self.journal[-1].message["mark"]["name"].encode())
            self.after(self.call.assistant.unheard_ms + 80, lambda: self.call.caller.feed_message(echo))

    def heard(self) -> list[int]:
        """The numbers of the frames that were sent to the carrier."""
        frames = (b64decode(entry.message["media"]["payload"]) for entry in self.written("media"))
        return [number for number in map(number_of, frames) if number is not None]
