"""The assistant's lane: the model to Twilio. Bytes in, bytes out; a Python call only where judgement is needed."""

from collections.abc import Callable

from fastbridge._livegate import LiveGate
from fastbridge._pacing import Paced, Pacer, Schedule
from fastbridge._tape import Tape
from fastbridge._websocket import TextSink

class AssistantLane(Paced):
    """The model to Twilio: scan, ring, pace, mark; and the playout clock.

    on_event(message): a model event that is neither audio nor ignored, to be parsed as JSON, in order with the audio.
    on_words(item_id, words): the assistant's words, if they need no parsing; None: an event like others. Pieces of one
    item are told of together, before the next on_event or answer of `items`, and at the latest when 64 are waiting.
    on_first_delta(response_id): audio of a response is about to enter the ring for the first time.
    on_first_frame(response_id): the first frame of a response has left (once a response).
    on_played(response_id): its end mark came back. on_full(bool): the ring is full (True) / half empty again (False):
    stop and go for the reader of the model's socket. on_bad_frame(n, size): one of the first five frames was not 160
    bytes.
    on_pcm(item_id): an item's audio is not mu-law but linear PCM, which a caller hears as noise: once an item, with the
    delta that shows it, see PcmWatch. The lane may be cleared there.
    on_stalled(bool): the carrier has 2 s of audio still to take, by what the kernel holds as well, or has for 2 s sent
    no mark back that it should, and nothing is paced (True); it is flowing again (False). Known of a Wire only. What
    was not taken counts as unheard.
    on_utterance(bool): given for a model whose audio is a stream that never pauses, without responses: an utterance
    begins (True), which is the time to begin a response for it; it is over (False). Where none is begun, or another one
    since, what comes of it is refused. The item of its audio has the response's name.
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
        on_first_delta: Callable[[str], object] | None = None,
        on_pcm: Callable[[str], object] | None = None,
        on_stalled: Callable[[bool], object] | None = None,
        on_utterance: Callable[[bool], object] | None = None,
        lead_ms: int = 160,
        cap_bytes: int = 4_800_000,
    ) -> None: ...
    @property
    def sink(self) -> TextSink:
        """For the FrameReader of the model's socket: text without a Python call."""
    def start(self, stream_sid: bytes, write: Callable[[bytes], object]) -> None:
        """`write` takes unmasked WebSocket frames for Twilio. Pacing starts with the first audio."""
    def begin_response(self, response_id: str, event_id: bytes = b"") -> None:
        """Deltas of this response are taken from now on. A response still open is ended first. event_id: of the event
        that told of it: does each event here have an id of its own?"""
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
    def feed_stream(self, delta: bytes) -> None:
        """One audio delta of a stream, base64 text, that had to be parsed as JSON. Any number of bytes."""
    def reset_stream(self) -> None:
        """Another stream begins: what of the last one is not a whole frame, or not sent, is forgotten."""
    @property
    def gate(self) -> LiveGate | None:
        """What finds the utterances of a stream; None where the model tells of responses."""
    @property
    def streamed_ns(self) -> int:
        """When the last delta of a stream came, by the clock; 0 before the first."""
    def mark(self, name: bytes) -> None:
        """A mark echo: `<epoch>:<item>:<ms>`. One of an older epoch, or unknown, is counted in stale_marks and changes
        nothing.
        """
    def pause(self) -> None:
        """Twilio's transport is full: no frame leaves."""
    def unpause(self) -> None: ...
    def record(self, tape: Tape | None) -> None:
        """From now on what is sent goes on this tape, in the time in which it is heard, less what is taken back."""
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
    def untaken_bytes(self) -> int:
        """Written and not taken by the carrier's end of the line, marks included; 0 where `write` is no Wire."""
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
        """Whole frames that entered the ring (the padded last one of a response included), counted as they do."""
    @property
    def frames_sent(self) -> int: ...
    @property
    def first_frame_bytes(self) -> int:
        """Audio in the first frame that left, as the carrier decodes it; 0 before it."""
    @property
    def frames_flushed(self) -> dict[str, int]:
        """Frames by reason that were flushed before they could be sent (again): barge_in, close.
        enqueued + rewound == sent + sum(flushed) + unsent."""
    @property
    def frames_cleared(self) -> int:
        """Frames sent that the carrier was told to drop unheard, and that were not sent again."""
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
    def tell_words(self) -> None:
        """Of all that came so far: on_words."""
    def parsed_words(self, item_id: bytes) -> None:
        """A piece of an item's transcript has come now, another way."""
    @property
    def words_in_step(self) -> bool:
        """Of the item whose words came last: no more than a piece of them was ahead of its first audio, and audio has
        come since the last piece."""
    @property
    def word_deltas(self) -> int:
        """Pieces of transcript that needed no parsing."""
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
