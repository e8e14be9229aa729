"""Twin of fastbridge._playout: all audio ever received is kept, and positions count its bytes."""

from dataclasses import dataclass, field

from oracle.mulaw import SILENCE
from oracle.pacing import Schedule

FRAME_BYTES = 160
MAX_PENDING_MARKS = 64
BYTES_PER_MS = 8
NS_PER_BYTE = 125_000


@dataclass
class Item:
    item_id: str
    response_id: str
    start: int
    """Position of its first byte among all that was received."""
    size: int = 0
    """Its bytes, without padding."""
    frozen_heard: int | None = None

    def heard(self, position: int) -> int:
        return min(max(position - self.start, 0), self.size) if self.frozen_heard is None else self.frozen_heard


@dataclass
class Response:
    response_id: str
    start: int
    end: int | None = None
    begun: bool = False
    """Its first frame has left."""
    marked: bool = False
    """Its end mark has left, and nothing of it is to be sent again."""


@dataclass
class Mark:
    name: bytes
    position: int
    ends: str | None
    """The response that it ends, if it is the last of one."""


@dataclass
class Playout:
    schedule: Schedule
    audio: bytearray = field(default_factory=bytearray)
    sent: int = 0
    marked_at: int = 0
    marked_heard: int = 0
    held_at: int | None = None
    """The heard position at which it is held."""
    items: list[Item] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    epoch: int = 0
    marks_sent: int = 0
    marks_played: int = 0
    stale_marks: int = 0
    frames_rewound: int = 0

    @property
    def received(self) -> int:
        return len(self.audio)

    @property
    def unsent_frames(self) -> int:
        return (self.received - self.sent) // FRAME_BYTES

    def heard(self, now_ns: int) -> int:
        if self.held_at is not None:
            return self.held_at
        to_play_ns = max(self.schedule.play_end_ns - now_ns, 0)
        return min(max(self.sent - -(-to_play_ns // NS_PER_BYTE), self.marked_heard), self.sent)

    def unheard_frames(self, now_ns: int) -> int:
        return -(-(self.sent - self.heard(now_ns)) // FRAME_BYTES)

    def playing(self, now_ns: int) -> bool:
        return self.held_at is None and (self.unsent_frames > 0 or self.heard(now_ns) < self.sent)

    def hearing(self, now_ns: int) -> bytes | None:
        """The frame the caller hears now."""
        if not self.playing(now_ns):
            return None
        heard = self.heard(now_ns)
        return bytes(self.audio[heard : min(heard + FRAME_BYTES, self.sent)]).ljust(FRAME_BYTES, bytes([SILENCE]))

    # -- responses and items

    @property
    def open_response(self) -> Response | None:
        return self.responses[-1] if self.responses and self.responses[-1].end is None else None

    @property
    def leaving(self) -> Response | None:
        """The response of the frame that left last."""
        responses = (one for one in self.responses if one.end is None or one.end >= self.sent)
        return next(responses, None)

    def begin(self, response_id: str) -> None:
        self.items = [item for item in self.items if item.frozen_heard is None]
        self.responses.append(Response(response_id, self.received))

    def end(self, response_id: str) -> Response | None:
        response = self.open_response
        if response is None or response.response_id != response_id:
            return None
        self.audio += bytes([SILENCE]) * (-(self.received - response.start) % FRAME_BYTES)
        response.end = self.received
        if response.end == response.start:
            self.responses.remove(response)
            return None
        return response

    def receive(self, item_id: str, response_id: str, audio: bytes) -> bool:
        """Whether the item begins with it."""
        last = self.items[-1] if self.items else None
        begins = last is None or last.frozen_heard is not None or last.item_id != item_id
        if begins:
            self.items.append(Item(item_id, response_id, self.received))
        self.items[-1].size += len(audio)
        self.audio += audio
        return begins

    def list_items(self, now_ns: int) -> list[tuple[str, str, int, int]]:
        position = self.heard(now_ns)
        return [
            (item.item_id, item.response_id, item.heard(position) // BYTES_PER_MS, item.size // BYTES_PER_MS)
            for item in self.items
            if item.heard(position) < item.size or item is self.items[-1]
        ]

    # -- marks

    def next_mark(self, ends: str | None) -> bytes:
        """`<epoch>:<item>:<ms>`: the item of the last byte sent, and how much of it has been sent."""
        item = [item for item in self.items if item.start < self.sent][-1]
        sent_of_it = min(self.sent - item.start, item.size)
        name = b"%d:%s:%d" % (self.epoch, item.item_id.encode(), sent_of_it // BYTES_PER_MS)
        self.marks = [*self.marks, Mark(name, self.sent, ends)][-MAX_PENDING_MARKS:]
        self.marked_at = self.sent
        self.marks_sent += 1
        return name

    def echo(self, name: bytes) -> list[str]:
        names = [mark.name for mark in self.marks]
        if name not in names:
            self.stale_marks += 1
            return []
        echoed, self.marks = self.marks[: names.index(name) + 1], self.marks[names.index(name) + 1 :]
        self.marks_played += 1
        if self.held_at is None:
            self.marked_heard = max(self.marked_heard, echoed[-1].position)
        return [mark.ends for mark in echoed if mark.ends is not None]

    # -- interruption

    def hold(self, now_ns: int) -> None:
        self.held_at = self.heard(now_ns)
        self.epoch += 1
        self.marks = [mark for mark in self.marks if mark.position <= self.held_at]

    def resume(self) -> list[Response]:
        """The responses of which only the end mark is due."""
        assert self.held_at is not None
        frames = -(-(self.sent - self.held_at) // FRAME_BYTES)
        self.sent -= frames * FRAME_BYTES
        self.marked_at = self.sent
        self.marked_heard = min(self.held_at, self.sent)
        self.frames_rewound += frames
        self.held_at = None
        for response in self.responses:
            if response.end is not None and response.end > self.sent:
                response.marked = False
        return [
            response
            for response in self.responses
            if response.end is not None and response.end <= self.sent and not response.marked
        ]

    def forget(self, now_ns: int) -> None:
        position = self.heard(now_ns)
        for item in self.items:
            item.frozen_heard = item.heard(position)
        self.epoch += self.held_at is None
        self.held_at = None
        self.responses.clear()
        self.marks.clear()
        self.sent = self.marked_at = self.received
