"""Twin of fastbridge._caller: plain lists; every count is one that a reader can follow by hand."""

from collections.abc import Callable

from oracle import framing, mulaw, pacing, websocket
from oracle.answering import AnswerEar
from oracle.assistant import AssistantLane
from oracle.bargein import Detector
from oracle.dsp import HighpassLimiter
from oracle.playout import FRAME_BYTES
from oracle.tape import Tape

OUTCOMES = (
    "forwarded",
    "greeting_lock",
    "echo_gate",
    "echo_decay",
    "audio_guard",
    "music_mode",
    "queue_full",
    "noise_gate",
    "session_not_ready",
    "other",
)
FORWARDED = OUTCOMES.index("forwarded")
GREETING_LOCK = OUTCOMES.index("greeting_lock")
AUDIO_GUARD = OUTCOMES.index("audio_guard")
QUEUE_FULL = OUTCOMES.index("queue_full")
NOISE_GATE = OUTCOMES.index("noise_gate")
SESSION_NOT_READY = OUTCOMES.index("session_not_ready")
OTHER_REASON = OUTCOMES.index("other")

SILENT_PAYLOAD = mulaw.b64encode(bytes([mulaw.SILENCE]) * FRAME_BYTES)
MAX_PAYLOAD_BYTES = 8000
MAX_CONCEALED_PER_GAP = 500


class CallerLane(websocket.TextSink):
    def __init__(
        self,
        *,
        clock: Callable[[], int],
        playing: AssistantLane,
        detector: Detector | None,
        on_message: Callable[[bytes], object],
        on_edge: Callable[[], object],
        dsp: HighpassLimiter | None = None,
        preroll_frames: int = 1000,
        backlog_frames: int = 100,
        live: bool = False,
    ) -> None:
        self._live = live
        self._append_message = framing.live_append_message if live else framing.append_message
        self._clock = clock
        self._playing = playing
        self._detector = detector
        self._ear: AnswerEar | None = None
        self._on_sign: Callable[[int], object] = lambda sign: None
        self._dsp = dsp
        self._on_message = on_message
        self._on_edge = on_edge
        self._preroll_frames = preroll_frames
        self._backlog_frames = backlog_frames
        self._stream_sid: bytes | None = None
        self._write: Callable[[bytes], object] | None = None
        self._paused = self._locked = self._muted = self._concealed = self._closed = False
        self._tape: Tape | None = None
        self._last_chunk = 0
        self._queue: list[tuple[bytes, int]] = []  # (payload, lost frames before it)
        self._outcomes = [0] * len(OUTCOMES)
        self.locked_frames = 0
        self.frames_in = 0
        self.peak_waiting = 0
        self.concealed_frames = 0
        self.silence_frames = 0
        self.last_media_ns = 0
        self.voice_frames = 0
        self.last_voice_ns = 0
        self._latencies_ns: list[int] = []

    @property
    def latency_counts(self) -> tuple[int, ...]:
        bounds_us = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
        return pacing.by_bucket(self._latencies_ns, [bound * 1000 for bound in bounds_us])

    @property
    def latency_ns(self) -> int:
        return sum(self._latencies_ns)

    @property
    def outcomes(self) -> tuple[int, ...]:
        return tuple(self._outcomes)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def sink(self) -> websocket.TextSink:
        return self

    def on_text(self, text: bytes) -> None:
        self.feed_message(text)

    def ask_who(self, ear: AnswerEar | None, on_sign: Callable[[int], object] = lambda sign: None) -> None:
        self._ear, self._on_sign = ear, on_sign

    def start(self, stream_sid: bytes) -> None:
        self._stream_sid = stream_sid

    def open(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._paused = False
        self._flush()

    def shut(self) -> None:
        self._write = None

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._flush()

    def lock(self) -> None:
        self._locked = True

    def unlock(self) -> None:
        self._locked = False

    def mute(self) -> None:
        self._muted = True

    def conceal(self) -> None:
        self._concealed = True

    def reveal(self) -> None:
        self._concealed = False

    def record(self, tape: Tape | None) -> None:
        self._tape = tape

    def feed_message(self, message: bytes) -> None:
        kind, *fields = framing.scan_twilio(message)
        if kind == framing.MEDIA:
            self.feed_media(*fields)
        elif kind == framing.MARK and fields[0] == self._stream_sid:
            self._playing.mark(fields[1])
        else:
            self._on_message(message)

    def feed_media(self, stream_sid: bytes, chunk: int, timestamp_ms: int, payload: bytes) -> None:
        sign = self._take(stream_sid, chunk, payload)
        if sign:
            self._on_sign(sign)

    def _take(self, stream_sid: bytes, chunk: int, payload: bytes) -> int:
        """What the frame shows of who has answered."""
        self.frames_in += 1
        audio = mulaw.b64decode(payload)
        if self._closed or not audio or len(audio) > MAX_PAYLOAD_BYTES or stream_sid != self._stream_sid:
            self._outcomes[OTHER_REASON] += 1
            return 0
        self.locked_frames += self._locked
        self.last_media_ns = self._clock()
        lost = self._lost_before(chunk)
        if self._tape is not None:
            self._tape.feed_caller(audio, lost, self.last_media_ns)
        edge = self._detector is not None and self._detector.feed(audio, self._playing.hearing())
        unheard = self._locked or self._muted or self._concealed
        if self._detector is not None and self._detector.speaking and not unheard:
            self.voice_frames += 1
            self.last_voice_ns = self.last_media_ns
        sign = 0
        if self._detector is not None and self._ear is not None:
            sign = self._ear.feed(audio, self._detector.level_dbfs, self._detector.echo_dbfs)
        if self._locked:
            self._outcomes[GREETING_LOCK] += 1
            self._fill()
            return sign
        if self._muted:
            self._outcomes[NOISE_GATE] += 1
            self._fill()
            return sign
        if self._concealed:
            self._outcomes[AUDIO_GUARD] += 1
            self.send_silence(1 if not self._queue else 0)
            return sign
        if self._dsp is not None:
            filtered = self._dsp.process(audio)
            payload = payload if filtered == audio else mulaw.b64encode(filtered)
        if self._write is not None and not self._paused and not self._queue:
            self._queue.append((payload, lost))
            self._flush()
            self._latencies_ns.append(self._clock() - self.last_media_ns)
        else:
            self._queue.append((payload, min(lost, MAX_CONCEALED_PER_GAP - sum(lost for _, lost in self._queue))))
            self._drop_oldest()
            self.peak_waiting = max(self.peak_waiting, len(self._queue))
        if edge:
            self._on_edge()
        return sign

    def _lost_before(self, chunk: int) -> int:
        """How many frames the carrier lost before this one. A chunk that is unknown (0), or past, says nothing."""
        if chunk <= self._last_chunk:
            return 0
        lost = chunk - self._last_chunk - 1 if self._last_chunk else 0
        self._last_chunk = chunk
        return min(lost, MAX_CONCEALED_PER_GAP)

    def _drop_oldest(self) -> None:
        limit, outcome = (
            (self._preroll_frames, SESSION_NOT_READY) if self._write is None else (self._backlog_frames, QUEUE_FULL)
        )
        if len(self._queue) > limit:  # one out for one in
            self._queue.pop(0)
            self._outcomes[outcome] += 1

    def _flush(self) -> None:
        while self._queue and self._write is not None and not self._paused:
            payload, lost = self._queue.pop(0)
            self._outcomes[FORWARDED] += 1
            self.concealed_frames += lost
            for one in [SILENT_PAYLOAD] * lost + [payload]:
                self._append(one)

    def _append(self, payload: bytes) -> None:
        assert self._write is not None
        self._write(websocket.text_frame(self._append_message(payload), mask=True))

    def reject_media(self) -> None:
        self.frames_in += 1
        self._outcomes[OTHER_REASON] += 1

    def _fill(self) -> None:
        if self._live and not self._queue:
            self.send_silence(1)

    def send_silence(self, frames: int) -> int:
        if self._write is None or self._paused:
            return 0
        for _ in range(frames):
            self._append(SILENT_PAYLOAD)
        self.silence_frames += frames
        return frames

    def close(self) -> None:
        self._outcomes[SESSION_NOT_READY] += len(self._queue)
        self._queue.clear()
        self._closed = True
        self._write = None
