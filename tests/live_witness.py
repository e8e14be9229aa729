"""A witness at the ear of a caller to a Live session: the same judgement, where the model has no responses to name.

Its audio is one stream, and the node's own word for a stretch of it counts for nothing: what reached the ear is found
again in what the service has sent, frame by frame, the latest place that had been sent by then. There it belongs to
something that was said.
"""

from base64 import b64decode
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fastbridge.base.prompts import NAMES, load_prompts
from fastbridge.sim.disruption import Send
from fastbridge.sim.live_session import LiveSession
from fastbridge.sim.live_voice import Utterance
from fastbridge.sim.live_wire import AUDIO
from witness import FRAME_MS, LOCAL, MARK_BYTES, NOISE, Witness

if TYPE_CHECKING:
    from stage import Stage

FRAME = 160
ACKNOWLEDGED_MS = 100
"""So long after handing work on the model may still begin to say that it does."""


class Place(NamedTuple):
    """A frame in the stream of a session: which, and from which byte."""

    session: int
    offset: int


class LiveWitness(Witness):
    """The items it speaks of are the utterances of the service: `session.number`."""

    def __init__(self, stage: "Stage") -> None:
        super().__init__(stage)
        self._sent: list[list[int]] = []  # by session: the bytes it had sent at each tick
        self._places: dict[int, Place | None] = {}  # by position
        self._reached: dict[str, int] = {}  # by item: the byte of the stream behind the last one heard

    def listen(self) -> None:
        for index, session in enumerate(self._stage.sessions):
            if index == len(self._sent):
                self._sent.append([0] * self._ticks)
            self._sent[index].append(len(session.output))
        super().listen()

    def _decide(self, position: int) -> None:
        super()._decide(position)
        place = self._place(position) if position else None
        if place is not None:
            item_id = self._item_of(place)
            self._reached[item_id] = max(self._reached.get(item_id, 0), place.offset + FRAME)

    # Where in the service's streams it is.

    def _item_at(self, position: int) -> str:
        marked = super()._item_at(position)
        if marked.startswith(LOCAL):
            return marked
        place = self._place(position)
        if place is not None:
            return self._item_of(place)
        frame = bytes(self._stage.carrier.received[position - FRAME : position])
        return f"{LOCAL}cut" if any(frame in prompt for prompt in prompts()) else ""  # it has no mark of its own

    def _place(self, position: int) -> Place | None:
        """Of the frame that ends there; None for what no session has sent."""
        if position not in self._places:
            self._places[position] = self._find(position)
        return self._places[position]

    def _find(self, position: int) -> Place | None:
        frame = bytes(self._stage.carrier.received[position - FRAME : position])
        before = self._places.get(position - FRAME)
        if before is not None:  # the frame behind that one, where it is: a buzz repeats itself
            output = self._stage.sessions[before.session].output
            if output[before.offset + FRAME : before.offset + 2 * FRAME] == frame:
                return Place(before.session, before.offset + FRAME)
        tick = self._tick_of(position)
        return self._latest(frame, tick) or self._latest(frame[: FRAME // 2], tick)  # where audio is lost, half of it

    def _latest(self, piece: bytes, tick: int) -> Place | None:
        for index in range(len(self._sent) - 1, -1, -1):
            sent = self._sent[index][min(tick, len(self._sent[index]) - 1)]
            at = self._stage.sessions[index].output.rfind(piece, 0, sent)
            if at >= 0:
                return Place(index, at)
        return None

    def _tick_of(self, position: int) -> int:
        """When it went to the ear."""
        spans = self._stage.carrier.spans
        span = spans[bisect_right(spans, position - FRAME, key=lambda each: each.position) - 1]
        return (span.ear + position - FRAME - span.position) // FRAME

    # What the service has said.

    def _item_of(self, place: Place) -> str:
        middle = place.offset + FRAME // 2
        for number, said in enumerate(self._stage.sessions[place.session].voice.said):
            if said.start - FRAME <= middle < _end(said) + FRAME:
                return f"{place.session}.{number}"
        return ""

    def _said(self, item_id: str) -> tuple[int, Any, Utterance] | None:
        if not item_id or item_id.startswith(LOCAL):
            return None
        index, number = map(int, item_id.split("."))
        session = self._stage.sessions[index]
        return index, session, session.voice.said[number]

    def _is_new(self, item_id: str) -> bool:
        found = self._said(item_id)
        if found is None:
            return True
        index, _, said = found
        begun_ms = bisect_right(self._sent[index], said.start) * FRAME_MS
        return begun_ms >= self._ticks * FRAME_MS - self._caller_quiet_ms

    def _unfinished(self, item_id: str) -> str:
        found = self._said(item_id)
        if found is None:
            return ""
        _, session, said = found
        if _end(said) - self._reached.get(item_id, said.start) > 2 * MARK_BYTES:
            return "rest of the answer"
        delegations = session.delegations
        asked_ms = delegations[-1].offset_ms + ACKNOWLEDGED_MS if delegations else -1.0
        backend = session.backend
        at_work = backend.active is not None or backend.waiting
        return "tool" if at_work and said.start / 8 <= asked_ms else ""

    # Afterwards.

    def _name(self, item_id: str) -> str:
        if item_id.startswith(LOCAL):
            return super()._name(item_id)
        found = self._said(item_id)
        if found is not None:
            return "".join(found[2].words)
        return NOISE if any(map(_makes_noise, self._stage.sessions)) else f"unknown {item_id}"

    def heard_twice(self) -> list[str]:
        """Lines of which a frame was heard again, or behind one that it comes before."""
        lines = {line.transcript for line in self._stage.lines}
        latest: dict[int, int] = {}
        again: list[str] = []
        for position in sorted(self._places):
            place = self._places[position]
            if place is None or self._name(self._item_of(place)) not in lines:
                continue  # a buzz may be found in the wrong place
            if place.offset <= latest.get(place.session, -1):
                again.append(self._item_of(place))
            latest[place.session] = max(place.offset, latest.get(place.session, -1))
        return list(dict.fromkeys(again))


@lru_cache
def prompts() -> tuple[bytes, ...]:
    """Our own recordings."""
    found = (load_prompts().get(name) for name in NAMES)
    return tuple(b64decode(prompt.base64) for prompt in found if prompt is not None)


def _makes_noise(session: LiveSession) -> bool:
    """Whether it sends audio that is none, by the script."""
    sent = (each.what.message for each in session.scenario.disruptions if isinstance(each.what, Send))
    return session.scenario.speaks is not None or any(AUDIO in str(message) for message in sent)


def _end(said: Utterance) -> int:
    return said.end if said.cut is None else said.cut
