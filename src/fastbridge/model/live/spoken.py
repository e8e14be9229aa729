"""The assistant's words, which come as fragments by the session's clock, put to the utterance that they belong to.

Words may come before their sound, with it or after it. Those before the first sound wait for it; those of an utterance
that is over are added to it. Bounded; nothing here sends.
"""

from collections import deque

from fastbridge.model.history import History

SLACK_MS = 400
"""By so much the clock of words and the place in the stream may differ."""
MAX_WAITING_CHARS = 2000
"""Words without a sound; the oldest are forgotten."""
MAX_FRAGMENTS = 256
"""Whose place is known; the oldest are forgotten, since their sound has come."""


class Spoken:
    """One call's."""

    def __init__(self, history: History) -> None:
        self.item_id = ""
        """The utterance under way, if it is one that is wanted."""
        self.begun_ms: int | None = None
        """Where in the stream it began; None where none is under way."""
        self.answer_ms: int | None = None
        """Where the last one began that is wanted: what was said before has been answered."""
        self._history = history
        self._last_id = ""
        self._last_end_ms = -1
        self._waiting = ""
        self._places: deque[tuple[int, int, int]] = deque(maxlen=MAX_FRAGMENTS)  # start, end, characters

    def begin(self, item_id: str, at_ms: int) -> None:
        """An utterance; empty for one that nobody wants."""
        self.item_id, self.begun_ms = item_id, at_ms
        if item_id:
            self.answer_ms = at_ms
        words, self._waiting = self._waiting, ""
        if words and item_id:
            self._history.add_words(item_id, words)

    def end(self, at_ms: int) -> None:
        if self.begun_ms is not None:
            self._last_id, self._last_end_ms = self.item_id, at_ms
        self.item_id, self.begun_ms = "", None
        self._places.clear()

    def words(self, text: str, start_ms: int, end_ms: int = 0) -> None:
        """A fragment, and where in the stream it is said."""
        if self.begun_ms is not None and not self._is_of_the_last(start_ms):
            if self.item_id:
                self._history.add_words(self.item_id, text)
                self._places.append((start_ms, end_ms, len(text)))
        elif self._last_end_ms >= 0 and start_ms <= self._last_end_ms + (0 if self.begun_ms is not None else SLACK_MS):
            self._add_to_the_last(text)
        else:
            self._waiting = (self._waiting + text)[-MAX_WAITING_CHARS:]
            self._places.append((start_ms, end_ms, len(text)))

    def ahead_chars(self, at_ms: int) -> int:
        """Of the utterance under way, as many characters as are said behind this place in the stream."""
        ahead = 0.0
        for start_ms, end_ms, chars in self._places:
            length_ms = max(end_ms - start_ms, 1)
            ahead += chars * min(max(start_ms + length_ms - at_ms, 0), length_ms) / length_ms
        return round(ahead)

    def forget(self) -> None:
        """Another session counts by its own clock."""
        self.item_id, self.begun_ms, self.answer_ms = "", None, None
        self._last_id, self._last_end_ms, self._waiting = "", -1, ""
        self._places.clear()

    def _is_of_the_last(self, start_ms: int) -> bool:
        """Said before the utterance under way began, and not just before."""
        begun_ms = self.begun_ms or 0
        return start_ms < begun_ms - SLACK_MS and start_ms <= self._last_end_ms

    def _add_to_the_last(self, text: str) -> None:
        turn = self._history.turns.get(self._last_id)
        if turn is not None and turn.heard_ms is None:
            self._history.write(turn, text)
