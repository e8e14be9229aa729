"""What the caller said, in words: each turn of his is written down by the model, or is known to have none.

The model writes down beside the conversation, later than it answers. What it had not written down when its session was
lost nobody will: the turn stands as one that failed.
"""

from collections import Counter

from fastbridge.base.conversation import Turn
from fastbridge.errors import ModelError
from fastbridge.model import port
from fastbridge.model.history import History
from fastbridge.model.port import Tell
from fastbridge.observe.trouble import Trouble


class CallerWords:
    """One call's. counters: where transcription_failed and words_lost are counted."""

    def __init__(self, history: History, counters: Counter[str], trouble: Trouble, tell: Tell) -> None:
        self._history = history
        self._counters = counters
        self._trouble = trouble
        self._tell = tell

    def written(self, item_id: str, text: str) -> None:
        """A whole transcript."""
        turn = self._history.caller_turn(item_id)
        if not turn.ended:
            self._history.write_down(turn, text)
            self._tell(port.Transcribed(turn))

    def failed(self, item_id: str, error: ModelError) -> None:
        """Something was said that nobody could write down: the turn stands, with what there is of its words."""
        self._counters["transcription_failed"] += 1
        self._trouble.transcription_failed(error)
        self._fail(self._history.caller_turn(item_id))

    def lost(self) -> None:
        """The session is gone that was to write them down."""
        for turn in self._history.unwritten():
            self._counters["words_lost"] += 1
            self._trouble.words_lost()
            self._fail(turn)

    def _fail(self, turn: Turn) -> None:
        if not turn.ended:
            turn.ended = turn.failed = True
            self._tell(port.Transcribed(turn))
