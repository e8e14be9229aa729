"""One call: the caller's frames to the model, the model's audio to the playout, and what one means for the other.

Every caller frame is counted on arrival and ends in one place: forwarded, waiting, or dropped for one reason. `close`
may come from any path and any number of times: the first reason wins, and all that is left is settled.
"""

import asyncio
import logging
from binascii import a2b_base64
from collections import Counter, deque
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

import messages
from connections import CarrierConnection, ModelConnection
from detector import Detectors
from fastbridge.carrier.twilio.messages import Start
from fastbridge.config import Settings
from interruption import Interruption
from messages import FRAME_BYTES, append_message, decode_json, encode_json
from pacing import Pacer, Playout

logger = logging.getLogger(__name__)

INSTRUCTIONS = "You are a friendly and helpful assistant on the telephone. Answer in short, natural sentences."
PREROLL_FRAMES = 1000
BACKLOG_FRAMES = 100
MAX_GAP_FRAMES = 500
SESSION_SECONDS = 8.0
GREETING_START_SECONDS = 5.0
GREETING_SECONDS = 30.0
EXPECTED_ERRORS = frozenset({"response_cancel_not_active", "conversation_already_has_active_response", "invalid_value"})
"""Races between two machines, not faults."""


class Listening:
    """The callers' frames of one reading, judged together when it is over."""

    def __init__(self, detectors: Detectors) -> None:
        self.detectors = detectors
        self._frames: list[tuple[Call, bytes, bytes | None]] = []

    def add(self, call: "Call", audio: bytes) -> None:
        self._frames.append((call, audio, call.playout.hearing(monotonic_ns())))

    def judge(self) -> None:
        """Of a call with several frames one at a time, in order."""
        frames, self._frames = self._frames, []
        while frames:
            first, later = {}, []
            for entry in frames:
                if entry[0].slot in first:
                    later.append(entry)
                elif entry[0].end_reason is None:
                    first[entry[0].slot] = entry
            if first:
                calls, audio, heard = zip(*first.values(), strict=True)
                for index in self.detectors.judge(list(first), audio, heard).nonzero()[0]:
                    calls[index].interruption.on_edge()
            frames = later


class Call:
    """`model` is set by whoever dials it. ended(call): all is settled, close the sockets."""

    def __init__(
        self,
        *,
        settings: Settings,
        start: Start,
        carrier: CarrierConnection,
        pacer: Pacer,
        listening: Listening,
        ended: Callable[["Call"], object],
    ) -> None:
        self.settings = settings
        self.call_sid = start.call_sid
        self.stream_sid = start.stream_sid
        self.carrier = carrier
        self.model: ModelConnection | None = None
        self.end_reason: str | None = None
        self.errors: list[str] = []
        self.frames_in = self.forwarded = self.concealed = self.responses = 0
        self.dropped: Counter[str] = Counter()
        self.barge_ins: list[dict[str, Any]] = []
        self.playout = Playout(
            pacer=pacer,
            stream_sid=start.stream_sid,
            lead_ms=settings.lead_ms,
            write=carrier.send_now,
            on_played=self._on_played,
            on_begins=self._on_begins,
            on_full=self._on_full,
        )
        self._ended = ended
        self._started_ns = monotonic_ns()
        self._listening = listening
        self.detectors = listening.detectors
        self.slot = self.detectors.acquire()
        self.interruption = Interruption(self, confirm_ms=settings.barge_in_confirm_ms)
        self._chunk = 0
        self._waiting: deque[tuple[str, int]] = deque()  # (payload, frames missing before it)
        self._open = self._model_paused = False
        self.response_id: str | None = None  # being generated
        self._turn_owed = False
        self._greeting_id: str | None = None
        self._greeting_requested = False
        self.locked = bool(settings.greeting) and settings.greeting_lock
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.later("session", SESSION_SECONDS, self._on_session_timeout)
        self.later("duration", settings.max_call_seconds, lambda: self.close("max_duration"))
        if self.locked:
            self.later("greeting", GREETING_SECONDS, self._unlock)

    def now_ms(self) -> int:
        return (monotonic_ns() - self._started_ns) // 1_000_000

    # The caller to the model.

    def on_carrier_message(self, text: str) -> None:
        try:
            message = decode_json(text)
            event = message["event"]
            if event == "media":
                self._on_media(message)
            elif event == "mark":
                self.playout.mark_came_back(message["mark"]["name"])
            elif event == "stop":
                self.close("customer_hangup")
        except (ValueError, KeyError, TypeError, RecursionError):
            self.errors.append("carrier_malformed")

    def _on_media(self, message: dict[str, Any]) -> None:
        self.frames_in += 1
        try:
            media = message["media"]
            payload = media["payload"]
            audio = a2b_base64(payload, strict_mode=True)
            chunk = int(media["chunk"])
        except (ValueError, KeyError, TypeError):
            audio = b""
        if not audio or message["streamSid"] != self.stream_sid or self.end_reason is not None:
            self.dropped["other"] += 1
            return
        missing = 0
        if chunk > self._chunk:
            missing = min(chunk - self._chunk - 1, MAX_GAP_FRAMES) if self._chunk else 0
            self._chunk = chunk
        if len(audio) == FRAME_BYTES:  # as Twilio sends them; behind the lock, too: the detector learns the line there
            self._listening.add(self, audio)
        if self.locked:
            self.dropped["greeting_lock"] += 1
            return
        if self._open and not self._model_paused and not self._waiting:
            self._forward(payload, missing)
        else:
            self._wait(payload, missing)

    def _forward(self, payload: str, missing: int) -> None:
        """The model's end-of-turn detection counts audio, not time: silence stands for what was lost."""
        assert self.model is not None
        for _ in range(missing):
            self.model.send_now(append_message(messages.SILENT_PAYLOAD))
        self.concealed += missing
        self.forwarded += 1
        self.model.send_now(append_message(payload))

    def _wait(self, payload: str, missing: int) -> None:
        self._waiting.append((payload, missing))
        if len(self._waiting) > (BACKLOG_FRAMES if self._open else PREROLL_FRAMES):
            self._waiting.popleft()
            self.dropped["queue_full" if self._open else "session_not_ready"] += 1

    def _drain(self) -> None:
        while self._waiting and self._open and not self._model_paused:
            self._forward(*self._waiting.popleft())

    # The model to the caller.

    def on_model_message(self, text: str) -> None:
        try:
            event = decode_json(text)
            handler = _HANDLERS.get(event["type"])
            if handler is not None:
                handler(self, event)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.errors.append("model_malformed")

    def send(self, event: dict[str, Any]) -> None:
        if self.model is not None:
            self.model.send_now(encode_json(event))

    def _on_delta(self, event: dict[str, Any]) -> None:
        self.playout.feed(event["response_id"], event["item_id"], a2b_base64(event["delta"], strict_mode=True))

    def _on_session_created(self, event: dict[str, Any]) -> None:
        self.send(messages.session_update(INSTRUCTIONS, self.settings.voice, self.settings.transcription_model))

    def _on_session_updated(self, event: dict[str, Any]) -> None:
        audio = event["session"]["audio"]
        if self._open or (audio["input"]["format"], audio["output"]["format"]) != (messages.PCMU, messages.PCMU):
            return  # audio in the wrong format is noise in somebody's ear
        self.cancel_timer("session")
        self._open = True
        self._drain()
        if self.settings.greeting:
            self._greeting_requested = True
            self.send(messages.greeting_create(self.settings.greeting))
            self.later("greeting", GREETING_START_SECONDS, self._unlock)

    def _on_session_timeout(self) -> None:
        self.errors.append("session_timeout")
        self.close("model_unavailable")

    def _on_response_created(self, event: dict[str, Any]) -> None:
        self.interruption.commit_if_held("response")
        self.response_id = event["response"]["id"]
        self.responses += 1
        self.playout.begin_response(event["response"]["id"])
        if self._greeting_requested:
            self._greeting_requested = False
            self._greeting_id = self.response_id
            self.later("greeting", GREETING_SECONDS, self._unlock)

    def _on_response_done(self, event: dict[str, Any]) -> None:
        response = event["response"]
        self.playout.end_response(response["id"])
        if response["id"] == self.response_id:
            self.response_id = None
        silent = not self.playout.is_playing(monotonic_ns())
        if response["id"] == self._greeting_id and (silent or response["status"] != "completed"):
            self._unlock()
        if response["status"] == "failed":
            self.errors.append("response_failed")
        if self._turn_owed and self.response_id is None:
            self._turn_owed = False
            self.send({"type": "response.create"})

    def _on_error(self, event: dict[str, Any]) -> None:
        code = str(event["error"].get("code"))
        if code == "conversation_already_has_active_response":
            self._turn_owed = True  # the caller's turn, which the model gives up, gets its answer from us
        elif code not in EXPECTED_ERRORS:
            self.errors.append(code)
            logger.warning("call_sid=%s: the model reports %s", self.call_sid, code)

    # Greeting and interruption.

    def _on_played(self, response_id: str) -> None:
        if response_id == self._greeting_id:
            self._unlock()

    def _unlock(self) -> None:
        self.cancel_timer("greeting")
        self.locked = False

    def _on_begins(self) -> None:
        self.interruption.on_begins()

    def _on_speech_started(self, event: dict[str, Any]) -> None:
        self.interruption.on_speech_started()

    def _on_speech_stopped(self, event: dict[str, Any]) -> None:
        self.interruption.on_speech_stopped()

    def _on_caller_turn(self, event: dict[str, Any]) -> None:
        self.interruption.commit_if_held("turn")

    def _on_caller_words(self, event: dict[str, Any]) -> None:
        if event["transcript"]:
            self.interruption.commit_if_held("turn")

    # The sockets, and the end.

    def _on_full(self, full: bool) -> None:
        if self.model is not None and not self.model.transport.is_closing():
            (self.model.transport.pause_reading if full else self.model.transport.resume_reading)()

    def on_model_paused(self, paused: bool) -> None:
        self._model_paused = paused
        self._drain()

    def on_model_failed(self, code: str) -> None:
        if self.end_reason is None:
            self.errors.append(code)
            logger.error("call_sid=%s: the model is lost: %s", self.call_sid, code)
            self.close("model_lost" if self._open else "model_unavailable")

    def later(self, name: str, seconds: float, callback: Callable[[], object]) -> None:
        self.cancel_timer(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, callback)

    def cancel_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def close(self, reason: str) -> None:
        if self.end_reason is not None:
            return
        self.end_reason = reason
        self._open = False
        for name in list(self._timers):
            self.cancel_timer(name)
        self.dropped["session_not_ready"] += len(self._waiting)
        self._waiting.clear()
        self.playout.close()
        self.detectors.release(self.slot)
        self._ended(self)

    def record(self) -> dict[str, Any]:
        """The call as one JSON document, in fastbridge's words."""
        playout = self.playout
        flushed = {"barge_in": playout.flushed_barge_in, "close": playout.flushed_close}
        unsent = len(playout.frames)
        return {
            "call_sid": self.call_sid,
            "stream_sid": self.stream_sid,
            "duration_ms": self.now_ms(),
            "end_reason": self.end_reason,
            "responses": {"count": self.responses},
            "barge_ins": self.barge_ins,
            "accounting": {
                "frames_in": self.frames_in,
                "forwarded": self.forwarded,
                "dropped": self.dropped.total(),
                "waiting": len(self._waiting),
                "by_reason": {reason: count for reason, count in self.dropped.items() if count},
                "concealed": self.concealed,
            },
            "pacing": {
                "frames_enqueued": playout.frames_sent + sum(flushed.values()) + unsent,
                "tx": playout.frames_sent,
                "rewound": playout.frames_rewound,
                "flushed": flushed,
                "tx_late_frames": playout.late_frames,
                "tx_schedule_resets": playout.schedule_resets,
                "underruns": playout.underruns,
                "refused_deltas": playout.refused_deltas,
                "marks_sent": playout.marks_sent,
                "marks_played": playout.marks_played,
                "marks_stale": playout.marks_stale,
            },
            "errors": self.errors,
        }


_HANDLERS: dict[str, Callable[[Call, dict[str, Any]], None]] = {
    "session.created": Call._on_session_created,
    "session.updated": Call._on_session_updated,
    "input_audio_buffer.speech_started": Call._on_speech_started,
    "input_audio_buffer.speech_stopped": Call._on_speech_stopped,
    "input_audio_buffer.committed": Call._on_caller_turn,
    "conversation.item.input_audio_transcription.completed": Call._on_caller_words,
    "response.created": Call._on_response_created,
    "response.output_audio.delta": Call._on_delta,
    "response.done": Call._on_response_done,
    "error": Call._on_error,
}
