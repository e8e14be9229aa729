"""A lane with all that it needs, on a clock that moves only when told, and what came out of it."""

from collections.abc import Callable
from typing import Any

from helpers import MS, SID, Clock, audio_of, base64_text, media_json, numbered_frame, read_messages

SILENCE = b"\xff" * 160


def frames(*numbers: int) -> list[bytes]:
    return [numbered_frame(number) for number in numbers]


def audio(count: int, first: int = 1) -> bytes:
    """That many different frames, in one."""
    return b"".join(frames(*range(first, first + count)))


def cut(audio: bytes) -> list[bytes]:
    return [audio[start : start + 160] for start in range(0, len(audio), 160)]


class CallerRig:
    def __init__(self, twin: Any, *, detector: Any = None, **options: Any) -> None:
        self.clock = Clock()
        self.pacer = twin.pacing.Pacer()
        self.messages: list[bytes] = []
        self.edges = 0
        self.uplink: list[bytes] = []
        self.played: list[str] = []
        self.assistant = twin.assistant.AssistantLane(
            pacer=self.pacer,
            clock=self.clock,
            on_event=lambda message: None,
            on_first_frame=lambda response_id: None,
            on_played=self.played.append,
            on_full=lambda full: None,
            on_bad_frame=lambda number, size: None,
        )
        self.lane = twin.caller.CallerLane(
            clock=self.clock,
            playing=self.assistant,
            detector=detector,
            on_message=self.messages.append,
            on_edge=self.on_edge,
            **options,
        )
        self.names = twin.caller.OUTCOMES
        self.chunk = 0

    def on_edge(self) -> None:
        self.edges += 1

    def started(self) -> "CallerRig":
        self.lane.start(SID)
        return self

    def opened(self) -> "CallerRig":
        self.started().lane.open(self.uplink.append)
        return self

    def say(self, *audio: bytes, sid: bytes = SID) -> None:
        """Frames from the carrier, 20 ms apart."""
        for frame in audio:
            self.chunk += 1
            self.lane.feed_message(media_json(self.chunk, base64_text(frame), sid))
            self.clock.advance(20)

    def say_numbers(self, *numbers: int) -> None:
        self.say(*frames(*numbers))

    def lose(self, frames: int) -> None:
        self.chunk += frames

    @property
    def sent(self) -> list[dict[str, Any]]:
        return read_messages(self.uplink, masked=True)

    @property
    def heard(self) -> list[bytes]:
        """What the model got, in frames."""
        return cut(audio_of(self.sent))

    @property
    def outcomes(self) -> dict[str, int]:
        assert self.lane.frames_in == sum(self.lane.outcomes) + self.lane.waiting
        return {name: count for name, count in zip(self.names, self.lane.outcomes, strict=True) if count}

    def speak(self) -> None:
        """The assistant speaks for a second."""
        self.assistant.start(SID, lambda data: None)
        self.assistant.begin_response("resp_1")
        self.assistant.feed_delta(b"resp_1", b"item_1", base64_text(bytes(8000)))


class AssistantRig:
    def __init__(self, twin: Any, **options: Any) -> None:
        self.clock = Clock()
        self.pacer = twin.pacing.Pacer()
        self.events: list[bytes] = []
        self.first_deltas: list[str] = []
        self.on_first: Callable[[str], object] = lambda response_id: None
        self.first_frames: list[str] = []
        self.played: list[str] = []
        self.full: list[bool] = []
        self.bad: list[tuple[int, int]] = []
        self.downlink: list[bytes] = []
        self.write_times: list[int] = []
        self.due_echoes: list[tuple[str, int]] = []
        """Marks sent, each with the time when a carrier that plays at once will echo it."""
        self.lane = twin.assistant.AssistantLane(
            pacer=self.pacer,
            clock=self.clock,
            on_event=self.events.append,
            on_first_delta=self.on_first_delta,
            on_first_frame=self.first_frames.append,
            on_played=self.played.append,
            on_full=self.full.append,
            on_bad_frame=lambda number, size: self.bad.append((number, size)),
            **options,
        )

    def on_first_delta(self, response_id: str) -> None:
        self.first_deltas.append(response_id)
        self.on_first(response_id)

    def write(self, data: bytes) -> None:
        self.downlink.append(data)
        self.write_times.append(self.clock.now_ns)
        if b'"event":"mark"' in data:
            name = read_messages([data], masked=False)[0]["mark"]["name"]
            self.due_echoes.append((name, self.lane.schedule.play_end_ns))

    def started(self) -> "AssistantRig":
        self.lane.start(SID, self.write)
        return self

    def begin(self, response_id: str = "resp_1") -> None:
        self.lane.begin_response(response_id)

    def delta(self, audio: bytes, item_id: str = "item_1", response_id: str = "resp_1") -> None:
        self.lane.feed_delta(response_id.encode(), item_id.encode(), base64_text(audio))

    def respond(self, audio: bytes, number: int = 1) -> None:
        """A whole response with one item."""
        self.begin(f"resp_{number}")
        self.delta(audio, f"item_{number}", f"resp_{number}")
        self.lane.end_response(f"resp_{number}")

    def tick(self, milliseconds: float) -> None:
        """The loop's ticks, each millisecond."""
        until = self.clock.now_ns + round(milliseconds * MS)
        self.pacer.run(self.clock.now_ns)
        while self.clock.now_ns < until:
            self.clock.now_ns = min(self.clock.now_ns + MS, until)
            self.pacer.run(self.clock.now_ns)

    def echo(self, *names: str) -> None:
        for name in names:
            self.lane.mark(name.encode())

    @property
    def sent(self) -> list[dict[str, Any]]:
        assert self.bad == []
        return read_messages(self.downlink, masked=False)

    @property
    def kinds(self) -> list[str]:
        return [message["event"] for message in self.sent]

    @property
    def heard(self) -> list[bytes]:
        return cut(audio_of(self.sent))

    @property
    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.sent if message["event"] == "mark"]

    @property
    def frame_times(self) -> list[int]:
        return [at for at, kind in zip(self.write_times, self.kinds, strict=True) if kind == "media"]

    def check(self) -> None:
        """What holds at every moment."""
        lane = self.lane
        books = lane.frames_sent - lane.frames_rewound + sum(lane.frames_flushed.values()) + lane.frames_unsent
        assert lane.frames_enqueued == books
        assert 0 <= lane.heard_bytes <= lane.sent_bytes <= lane.received_bytes
        assert all(0 <= heard_ms <= received_ms for _, _, heard_ms, received_ms in lane.items())
