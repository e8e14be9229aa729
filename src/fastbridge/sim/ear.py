"""What a caller hears, from the audio alone: when there was sound, and how long there was none while it was owed.

Audio is mu-law at 8 kHz, resolved to 20 ms. A pause of up to BREATH_MS within speech is a breath, not a silence.
"""

from typing import NamedTuple

from .audio import FRAME_BYTES, FRAME_MS, level_dbfs, to_frames
from .script import AUDIBLE_DBFS, STILL_SPEAKING_MS

BREATH_MS = STILL_SPEAKING_MS
VOICE_MS = 60
"""Anything shorter is a click, not a caller who speaks."""
LONGEST_WAIT_MS = 3000
"""A caller who hears nothing for longer thinks that the line is dead."""


class Span(NamedTuple):
    """From when to when, in ms since the stream began."""

    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


def audible(frame: bytes) -> bool:
    """Whether 20 ms of audio can be heard."""
    return level_dbfs(frame) > AUDIBLE_DBFS


def sounds(heard: bytes, *, breath_ms: int = BREATH_MS) -> list[Span]:
    """When there was sound; pauses up to `breath_ms` do not divide it."""
    found: list[Span] = []
    for index, frame in enumerate(to_frames(heard)):
        if not audible(frame):
            continue
        start_ms = index * FRAME_MS
        if found and start_ms - found[-1].end_ms <= breath_ms:
            found[-1] = found[-1]._replace(end_ms=start_ms + FRAME_MS)
        else:
            found.append(Span(start_ms, start_ms + FRAME_MS))
    return found


def silences(heard: bytes, over_ms: int = BREATH_MS) -> list[Span]:
    """Everything between the sounds that is longer than `over_ms`, from the beginning to the end. Where nothing was
    heard, all of it, however short."""
    end_ms = len(heard) // FRAME_BYTES * FRAME_MS
    audible_spans = sounds(heard, breath_ms=0)
    if not audible_spans:
        return [Span(0, end_ms)]
    edges = [0, *(edge for span in audible_spans for edge in span), end_ms]
    pairs = (Span(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True))
    return [span for span in pairs if span.length_ms > over_ms]


def waits(said: bytes, heard: bytes, over_ms: int = LONGEST_WAIT_MS, *, greeted: bool = True) -> list[Span]:
    """How long the caller waited to be spoken to, where that was longer than `over_ms`: after each of the caller's own
    lines, and, where the caller is `greeted`, from the beginning. Silence after the assistant's answer is the caller's
    own. A call in which nothing was heard, or that was none, was one wait. `said` and `heard` begin at the same
    moment."""
    answers = sounds(heard)
    lines = [span for span in sounds(said) if span.length_ms >= VOICE_MS]
    onsets = sorted(span.start_ms for span in (*answers, *lines))
    end_ms = len(heard) // FRAME_BYTES * FRAME_MS
    found = []
    for start_ms in [*([0] if greeted else []), *(line.end_ms for line in lines)]:
        if any(span.start_ms <= start_ms < span.end_ms for span in answers):
            continue
        until_ms = min((onset for onset in onsets if onset >= start_ms), default=end_ms)
        if until_ms - start_ms > over_ms:
            found.append(Span(start_ms, until_ms))
    return found if found or answers else [Span(0, end_ms)]
