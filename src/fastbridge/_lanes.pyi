"""The two lanes of a call. Bytes in, bytes out; a Python call only where judgement is needed.

The lanes never await, log or read a clock (the reading transport stamps `now_ns` through the injected `clock`).
"""

from collections.abc import Callable

from fastbridge._bargein import Detector
from fastbridge._dsp import HighpassLimiter
from fastbridge._pacing import Paced, Pacer, Schedule
from fastbridge._websocket import TextSink
from fastbridge._wire import Outbox

OUTCOMES: tuple[str, ...]
"""What becomes of a caller frame, by index: forwarded, greeting_lock, echo_gate, echo_decay, audio_guard, music_mode,
queue_full, noise_gate, session_not_ready, other."""
FORWARDED: int
GREETING_LOCK: int
QUEUE_FULL: int
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
    stream sid: other. Locked: greeting_lock.
    Detector sees every frame that is none of these. Then `dsp`, if given; audio it leaves as
    it is keeps its base64 text. Uplink open: forwarded at once, or, to a Wire and with an outbox, posted there.
    Not open yet, or paused: it waits, at most `preroll_frames` (not open: oldest dropped as session_not_ready) or
    `backlog_frames` (paused: oldest dropped as queue_full).
    Lost frames: where `chunk` jumps by k > 1 after a first frame, k-1 frames of 0xFF silence (160 bytes) are inserted
    before it, at most 500 (10 s) per gap and, of frames that wait, in all; counted in concealed_frames when sent, not
    in
    frames_in; they take the way of the frame behind them (sent, waiting or, if that one is dropped, dropped with it).
    A past or unknown (0) chunk says nothing. Silence is not shown to the detector.
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
    ) -> None: ...
    @property
    def sink(self) -> TextSink:
        """For the FrameReader of the carrier's socket: text without a Python call."""
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

class AssistantLane(Paced):
    """The model to Twilio: scan, ring, pace, mark; and the playout clock.

    on_event(message): a model event that is neither audio nor ignored, to be parsed as JSON, in order with the audio.
    on_words(item_id, words): the assistant's words, as they come, if they need no parsing; None: an event like others.
    on_first_frame(response_id): the first frame of a response has left (once a response).
    on_played(response_id): its end mark came back. on_full(bool): the ring is full (True) / half empty again (False):
    stop and go for the reader of the model's socket. on_bad_frame(n, size): one of the first five frames was not 160
    bytes.
    Only deltas of the response begun last are taken; others are refused and counted, as are those of a cancelled one.
    Marks: one after every 8 frames and one at the end of each response; an echo implies those before it. The playout
    clock takes the carrier to play at once and in real time, later by the least delay that the last four echoes showed.
    Positions count padding, and pass over what a clear drops; `resume` takes sent back, and heard to its frame's
    start. `deltas` counts all, refused and malformed ones too.
    """

    def __init__(
        self,
        *,
        pacer: Pacer,
        clock: Callable[[], int],
        on_event: Callable[[bytes], object],
        on_first_frame: Callable[[str], object],
        on_played: Callable[[str], object],
        on_full: Callable[[bool], object],
        on_bad_frame: Callable[[int, int], object],
        on_words: Callable[[str, str], object] | None = None,
        lead_ms: int = 160,
        cap_bytes: int = 4_800_000,
    ) -> None: ...
    @property
    def sink(self) -> TextSink:
        """For the FrameReader of the model's socket: text without a Python call."""
    def start(self, stream_sid: bytes, write: Callable[[bytes], object]) -> None:
        """`write` takes unmasked WebSocket frames for Twilio. Pacing starts with the first audio."""
    def begin_response(self, response_id: str) -> None:
        """Deltas of this response are taken from now on. A response still open is ended first."""
    def end_response(self, response_id: str) -> None:
        """No more deltas: the last frame is padded with 0xFF and an end mark follows it. A response without audio is
        forgotten.
        """
    def refuse(self) -> None:
        """Deltas of the response begun last are refused from now on; audio in the ring stays."""
    def feed_message(self, message: bytes) -> None:
        """One text message from the model."""
    def feed_delta(self, response_id: bytes, item_id: bytes, delta: bytes, event_id: bytes = b"") -> None:
        """One audio delta that had to be parsed as JSON: base64 text. The same event with the same audio
        again is refused, whether it comes here or by `feed_message`, if it is among the last 128 of its response and
        the service has given the events of one response different ids.
        """
    def mark(self, name: bytes) -> None:
        """A mark echo: `<epoch>:<item>:<ms>`. One of an older epoch, or unknown, is counted in stale_marks and changes
        nothing.
        """
    def pause(self) -> None:
        """Twilio's transport is full: no frame leaves."""
    def unpause(self) -> None: ...
    def hold(self) -> tuple[int, int]:
        """Send Twilio `clear`, raise the epoch, and keep the unheard audio: (frames unsent, frames sent but unheard).
        Heard stands still. Deltas are still taken; no frame leaves until `resume` or `clear`. Twice is once."""
    def resume(self) -> int:
        """Go on after `hold`, from the frame the caller was hearing: how many frames will be sent again (counted in
        frames_rewound)."""
    def clear(self) -> tuple[int, int]:
        """Send Twilio `clear`, unless held, forget all unheard audio, raise the epoch, unless held. (frames unsent,
        frames sent but unheard) that were dropped.
        The open response, if any, is ended and refused. `items` keeps its heard positions until the next
        begin_response."""
    def close(self) -> None:
        """Leave the pacer; nothing is sent any more. Unsent frames count as flushed at close."""
    def items(self) -> list[tuple[str, str, int, int]]:
        """(item_id, response_id, heard_ms, received_ms), oldest first: those not wholly heard by the last clear or now,
        and the newest. heard_ms <= received_ms; both floor(bytes / 8)."""
    @property
    def playing(self) -> bool:
        """Audio is being played to the caller now, or waits to be sent."""
    @property
    def held(self) -> bool:
        """Between `hold` and what ends it. What is held does not play."""
    @property
    def unheard_ms(self) -> int:
        """Audio received but not yet heard."""
    @property
    def heard_bytes(self) -> int:
        """Position in the audio sent that the caller has heard, by the playout clock (and the marks)."""
    @property
    def sent_bytes(self) -> int: ...
    @property
    def received_bytes(self) -> int: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def epoch(self) -> int: ...
    @property
    def frames_enqueued(self) -> int:
        """Whole frames that entered the ring (the padded last one of a response included)."""
    @property
    def frames_sent(self) -> int: ...
    @property
    def frames_flushed(self) -> dict[str, int]:
        """Frames by reason that were flushed before they could be sent (again): barge_in, close.
        enqueued + rewound == sent + sum(flushed) + unsent."""
    @property
    def frames_rewound(self) -> int:
        """Frames sent again, or to be, after a hold."""
    @property
    def frames_unsent(self) -> int: ...
    @property
    def deltas(self) -> int: ...
    @property
    def refused_deltas(self) -> int: ...
    @property
    def malformed_deltas(self) -> int: ...
    @property
    def ignored_events(self) -> int: ...
    @property
    def marks_sent(self) -> int: ...
    @property
    def marks_played(self) -> int: ...
    @property
    def stale_marks(self) -> int: ...
    @property
    def peak_bytes(self) -> int: ...
