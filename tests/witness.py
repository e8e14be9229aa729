"""A witness at the ear of a simulated caller: what was heard, when, whose words, and how long there was nothing.

It judges by what reached it and by what the service has made, never by the node's own word. "Owed" is when somebody
should be speaking to the caller: before the greeting, after the caller's own turn, after an answer that broke off, and
while a tool of the model's runs. Silence that nobody owes is the caller's own.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from fastbridge.sim.ear import BREATH_MS, VOICE_MS, audible, sounds
from fastbridge.sim.items import Item
from fastbridge.sim.response import ResponseRun
from helpers import QUIET

if TYPE_CHECKING:
    from stage import Stage

FRAME_MS = 20
LOCAL = "local_"
NOISE = "?"
"""The name of what is heard and was none of the model's lines."""
MARK_BYTES = 8 * 160
"""From one mark to the next: so exactly can it be told whose audio it was."""


class Sound(NamedTuple):
    """One unbroken stretch of one item at the ear. `name`: the transcript of the model's item, the id of a prompt."""

    start_ms: int
    end_ms: int
    item_id: str
    name: str


class Wait(NamedTuple):
    """The caller was owed something and heard nothing."""

    start_ms: int
    end_ms: int
    after: str

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def is_audible(frame: bytes) -> bool:
    return frame != QUIET and audible(frame)


class Witness:
    """`listen` is called every 20 ms. Times are ms since the stream began."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage
        self._ticks = 0
        self._turn_owed = bool(stage.agent.greeting)
        self._last_item = ""
        self._caller_voice_ms = 0
        self._caller_quiet_ms = BREATH_MS
        self._turn_counts = False
        self._silent_since_ms = 0
        self.quiet_ms = 0
        """Since anything was heard."""
        self.heard_anything = False
        self._waits: list[Wait] = []
        self._waiting = ""
        self._names: dict[str, str] = {}
        self._sounds: list[Sound] = []
        self._sounds_at = -1
        self._undecided = 0
        self._onset = False
        self._runs: dict[str, ResponseRun] = {}  # by item, of those that were asked for
        self._first_marks: dict[str, int] = {}  # by item: which of the marks is its first
        self._marks_known = 0

    # While the call runs.

    def listen(self) -> None:
        now_ms = self._ticks * FRAME_MS
        self._ticks += 1
        self._hear_caller(now_ms)
        if is_audible(bytes(self._stage.carrier.heard[-160:])):
            self._end_wait(now_ms)
            self._hear_assistant(is_onset=self.quiet_ms > 0)
            self.quiet_ms = 0
            self._silent_since_ms = now_ms + FRAME_MS
            return
        self._decide(self._undecided)
        self.quiet_ms += FRAME_MS
        owed = self.owed
        if not owed or self.caller_speaks:
            self._end_wait(now_ms)
        elif not self._waiting:
            self._waiting = owed

    @property
    def owed(self) -> str:
        """What the caller waits for, in a word; empty if for nothing."""
        if self._turn_owed:
            return "turn" if self.heard_anything else "greeting"
        return self._unfinished(self._last_item)

    @property
    def is_answered(self) -> bool:
        """The model is heard now, and it is what the caller waited for."""
        return self.quiet_ms == 0 and not self._turn_owed

    @property
    def caller_speaks(self) -> bool:
        return self._caller_quiet_ms < BREATH_MS and self._caller_voice_ms >= VOICE_MS

    @property
    def waits(self) -> list[Wait]:
        """Those over by now, and the one under way."""
        now_ms = self._ticks * FRAME_MS
        under_way = [Wait(self._silent_since_ms, now_ms, self._waiting)] if self._waiting else []
        return self._waits + under_way

    def _hear_caller(self, now_ms: int) -> None:
        if is_audible(bytes(self._stage.carrier.said[-160:])):
            if self._caller_quiet_ms >= BREATH_MS:
                self._caller_voice_ms = 0
            self._caller_voice_ms += FRAME_MS
            self._caller_quiet_ms = 0
            if self._caller_voice_ms >= VOICE_MS and not self._stage.call.greeting.locked:
                self._turn_owed = True
                self._last_item = ""
            self._silent_since_ms = now_ms + FRAME_MS
        else:
            self._caller_quiet_ms += FRAME_MS

    def _hear_assistant(self, *, is_onset: bool) -> None:
        self.heard_anything = True
        position = self._position()
        marks = self._stage.carrier.marks
        if is_onset:
            self._onset = True
        self._undecided = position
        if marks and marks[-1].position >= position:
            self._decide(position)

    def _decide(self, position: int) -> None:
        """Whose words these are; known when the mark behind them has come, or nothing comes any more."""
        if not position:
            return
        self._undecided = 0
        onset, self._onset = self._onset, False
        item_id = self._item_at(position)
        if item_id.startswith(LOCAL):
            return
        if self._turn_owed and not (onset or self._is_new(item_id)):
            return  # what was said before the caller spoke
        self._turn_owed = False
        self._last_item = item_id

    def _end_wait(self, now_ms: int) -> None:
        if self._waiting:
            if now_ms > self._silent_since_ms:
                self._waits.append(Wait(self._silent_since_ms, now_ms, self._waiting))
            self._waiting = ""

    def _is_new(self, item_id: str) -> bool:
        """Whether the response was begun after the caller's last word."""
        run = self._run_of(item_id)
        if run is None:
            return True
        since_ms = (self._ticks * FRAME_MS - self._caller_quiet_ms) + self._stage.carrier.start_ms
        return run.created_ms >= since_ms

    def _unfinished(self, item_id: str) -> str:
        """Why more of this is to come, empty if it is not."""
        run = self._run_of(item_id)
        if run is None:
            return ""
        if run.status != "completed":
            return "broken answer"
        if any(item.type == "function_call" for item in run.items):
            return "tool"
        item = next(item for item in run.items if item.id == item_id)
        missing_bytes = len(item.audio) - self._played_ms(item_id) * 8
        return "" if missing_bytes <= 2 * MARK_BYTES else "rest of the answer"

    def _run_of(self, item_id: str) -> ResponseRun | None:
        if item_id not in self._runs:
            runs = (run for session in self._stage.sessions for run in session.responses)
            found = next((run for run in runs if any(item.id == item_id for item in run.items)), None)
            if found is None:
                return None
            self._runs[item_id] = found
        return self._runs[item_id]

    def _played_ms(self, item_id: str) -> int:
        """By the marks: how much of this item's audio has gone to the ear."""
        position, marks = self._position(), self._stage.carrier.marks
        first = self._first_mark(item_id)
        played, before = 0, marks[first - 1].position if first else 0
        for mark in marks[first:]:
            _, item, ms = mark.name.split(":")
            if item == item_id and not mark.cleared:
                length = min(mark.position - before, int(ms) * 8)
                played += max(0, length - max(0, mark.position - position))
            before = mark.position
        return played // 8

    def _first_mark(self, item_id: str) -> int:
        marks = self._stage.carrier.marks
        for index in range(self._marks_known, len(marks)):
            self._first_marks.setdefault(marks[index].name.split(":")[1], index)
        self._marks_known = len(marks)
        return self._first_marks.get(item_id, len(marks))

    # Afterwards.

    def interruptions_ms(self) -> list[int]:
        """When the caller began to speak while the assistant was to be heard."""
        onsets = (line.start_ms for line in sounds(bytes(self._stage.carrier.said)))
        return [at for at in onsets if any(sound.start_ms <= at < sound.end_ms for sound in self.sounds)]

    def _position(self) -> int:
        """Of the audio received, how much has gone to the ear."""
        spans = self._stage.carrier.spans
        return spans[-1].position + spans[-1].length if spans else 0

    def _item_at(self, position: int) -> str:
        """The item of the byte before `position`, as the marks tell: each says which item, and how much of it, ends
        there."""
        marks = self._stage.carrier.marks
        if not marks:
            return ""
        index = min(bisect_left(marks, position, key=lambda mark: mark.position), len(marks) - 1)
        _, item_id, ms = marks[index].name.split(":")
        if index and position <= marks[index].position - int(ms) * 8:
            return marks[index - 1].name.split(":")[1]
        return item_id

    def _heard(self) -> Iterator[tuple[int, str, bytes]]:
        """Every frame that could be heard: when, of which item, and the frame."""
        carrier = self._stage.carrier
        for span in carrier.spans:
            for at in range(0, span.length, 160):
                frame = bytes(carrier.heard[span.ear + at : span.ear + at + 160])
                if is_audible(frame):
                    yield (span.ear + at) // 8, self._item_at(span.position + min(at + 160, span.length)), frame

    @property
    def sounds(self) -> list[Sound]:
        """All that was heard, in order, cut where another item begins or where there was a pause."""
        if self._sounds_at != self._ticks:
            self._sounds_at = self._ticks
            self._sounds = []
            for start_ms, item_id, _ in self._heard():
                last = self._sounds[-1] if self._sounds else None
                if last is not None and last.item_id == item_id and start_ms - last.end_ms <= BREATH_MS:
                    self._sounds[-1] = last._replace(end_ms=start_ms + FRAME_MS)
                else:
                    self._sounds.append(Sound(start_ms, start_ms + FRAME_MS, item_id, self._name(item_id)))
        return self._sounds

    @property
    def words(self) -> list[str]:
        """The names of the sounds, an item that was broken by a pause once."""
        names: list[str] = []
        for sound in self.sounds:
            if not names or names[-1] != sound.name:
                names.append(sound.name)
        return names

    @property
    def answers(self) -> list[str]:
        """The model's own words, without what was said locally in between."""
        names: list[str] = []
        for name in self.words:
            if not name.startswith(LOCAL) and (not names or names[-1] != name):
                names.append(name)
        return names

    def _name(self, item_id: str) -> str:
        if item_id.startswith(LOCAL):
            return re.sub(r"(_\d+)+$", "", item_id)
        item = self.item(item_id)
        if item is None:
            return f"unknown {item_id}"
        if item_id not in self._names:
            self._names[item_id] = self._transcript(item)
        return self._names[item_id]

    def item(self, item_id: str) -> Item | None:
        found = (session.items.get(item_id) for session in self._stage.sessions)
        return next((item for item in found if item is not None), None)

    def _transcript(self, item: Item) -> str:
        """What the script made the item say: its audio tells, for the transcript may be cut."""
        audio = bytes(item.audio)
        said = (each for each in self._stage.lines if each.sound().startswith(audio) and audio)
        return next((each.transcript for each in said), NOISE)

    def heard_twice(self) -> list[str]:
        """Items of which the ear got the same bytes more than once."""
        got: dict[str, list[bytes]] = {}
        for _, item_id, frame in self._heard():
            if not item_id.startswith(LOCAL):
                got.setdefault(item_id, []).append(frame)
        return [item_id for item_id, frames in got.items() if self._repeats(item_id, b"".join(frames))]

    def _repeats(self, item_id: str, heard: bytes) -> bool:
        item = self.item(item_id)
        return item is None or len(heard) > len(item.audio) + MARK_BYTES
