"""The caller's lane: Twilio to the model. Bytes in, bytes out; a Python call only where judgement is needed.

It never awaits, logs or reads a clock (the reading transport stamps `now_ns` through the injected `clock`).
"""

from collections.abc import Callable

from fastbridge._answering import AnswerEar
from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge._dsp import HighpassLimiter
from fastbridge._tape import Tape
from fastbridge._websocket import TextSink
from fastbridge._wire import Outbox

OUTCOMES: tuple[str, ...]
"""What becomes of a caller frame, by index: forwarded, greeting_lock, echo_gate, echo_decay, audio_guard, music_mode,
queue_full, noise_gate, session_not_ready, other."""
FORWARDED: int
GREETING_LOCK: int
AUDIO_GUARD: int
QUEUE_FULL: int
NOISE_GATE: int
SESSION_NOT_READY: int
OTHER_REASON: int

class CallerLane:
    """Twilio to the model: count, scan, gate, detect, append.

    clock() -> now_ns. on_message(message): a Twilio message that is not a regular media or mark message, to be parsed
    as JSON.
    on_edge(): the detector's edge, after its frame went its way. Mark echoes of this stream go to `playing`.
    A frame is counted in `frames_in` before anything looks at it and ends in exactly one of OUTCOMES, or waits:
    frames_in == sum(outcomes) + waiting, always; after close() waiting is 0.
    Order of judgement for one frame: payload not strict base64, empty, or over 8000 bytes decoded: other. Foreign
    stream sid: other. Locked: greeting_lock. Muted: noise_gate. Concealed: audio_guard.
    Detector sees every frame that is none of these. Then `dsp`, if given; audio it leaves as
    it is keeps its base64 text. Uplink open: forwarded at once, or, to a Wire and with an outbox, posted there.
    Not open yet, or paused: it waits, at most `preroll_frames` (not open: oldest dropped as session_not_ready) or
    `backlog_frames` (paused: oldest dropped as queue_full).
    Lost frames: where `chunk` jumps by k > 1 after a first frame, k-1 frames of 0xFF silence (160 bytes) are inserted
    before it, at most 500 (10 s) per gap and, of frames that wait, in all; counted in concealed_frames when sent, not
    in
    frames_in; they take the way of the frame behind them (sent, waiting or, if that one is dropped, dropped with it).
    A past or unknown (0) chunk says nothing. Silence is not shown to the detector.
    live: the model speaks the dialect of a stream that never pauses (`live_append_message`). It gets silence in the
    place of frames that are locked out or muted, counted in silence_frames, as `send_silence` does.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        playing: AssistantLane,
        detector: Detector | None,
        on_message: Callable[[bytes], object],
        on_edge: Callable[[], object],
        dsp: HighpassLimiter | None = None,
        outbox: Outbox | None = None,
        preroll_frames: int = 1000,
        backlog_frames: int = 100,
        live: bool = False,
    ) -> None: ...
    @property
    def sink(self) -> TextSink:
        """For the FrameReader of the carrier's socket: text without a Python call."""
    def ask_who(self, ear: AnswerEar | None, on_sign: Callable[[int], object] | None = None) -> None:
        """From now on the ear hears each frame that the detector hears, too; on_sign(sign): what it shows, one of
        SIGN_HUMAN and the like, behind the frame. None: nobody asks any more."""
    def start(self, stream_sid: bytes) -> None:
        """Only frames of this stream are its own from now on. Before `start` every frame is foreign."""
    def open(self, write: Callable[[bytes], object]) -> None:
        """The model is ready: `write` takes masked WebSocket frames. All that waits is sent, in order. Ends a pause."""
    def shut(self) -> None:
        """The model is gone (for now): frames wait again."""
    def pause(self) -> None:
        """The uplink's transport is full: frames wait."""
    def resume(self) -> None: ...
    def lock(self) -> None:
        """Greeting lock on: frames are dropped as greeting_lock."""
    def unlock(self) -> None: ...
    @property
    def locked_frames(self) -> int:
        """Own frames that came while the lock was on, counted at its ends: `greeting_lock` must agree."""
    def mute(self) -> None:
        """From now on frames are dropped as noise_gate: the line is given up for its noise."""
    def conceal(self) -> None:
        """What the caller says is private: his frames end as audio_guard, and the model gets silence in their place."""
    def reveal(self) -> None: ...
    def record(self, tape: Tape | None) -> None:
        """From now on the caller's frames go on this tape, as they came, whatever else becomes of them."""
    def feed_message(self, message: bytes) -> None:
        """One text message from Twilio."""
    def feed_media(self, stream_sid: bytes, chunk: int, timestamp_ms: int, payload: bytes) -> None:
        """One media message that had to be parsed as JSON: same way from here on. chunk 0: unknown."""
    def reject_media(self) -> None:
        """A media message without a usable payload: counted in, and out as other."""
    def send_silence(self, frames: int) -> int:
        """Silence to the model, if the uplink is open and nothing waits; frames sent. Counted in silence_frames."""
    def close(self) -> None:
        """What waits is settled as session_not_ready; later frames are other."""
    @property
    def frames_in(self) -> int: ...
    @property
    def outcomes(self) -> tuple[int, ...]:
        """Counts indexed as OUTCOMES."""
    @property
    def waiting(self) -> int: ...
    @property
    def peak_waiting(self) -> int: ...
    @property
    def concealed_frames(self) -> int: ...
    @property
    def silence_frames(self) -> int: ...
    @property
    def latency_counts(self) -> tuple[int, ...]:
        """Frames forwarded at once, by the time from their message coming in to their being written: up to 10, 20, 50,
        100, 200, 500, 1000, 2000, 5000 us (inclusive), later. Frames that had to wait are not among them."""
    @property
    def latency_ns(self) -> int:
        """The sum of these times."""
    @property
    def last_media_ns(self) -> int:
        """When the last own frame arrived, 0 before the first."""
    @property
    def voice_frames(self) -> int:
        """Own frames, none of them locked out, in which the detector hears a voice."""
    @property
    def last_voice_ns(self) -> int:
        """When the last of these arrived, 0 before the first."""
