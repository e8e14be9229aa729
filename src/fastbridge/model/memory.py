"""What a call's model remembers, whatever its dialect: turns, tools, and how much of the message under way has come.

Nothing here sends.
"""

from collections.abc import Iterator, Sequence

from fastbridge._assistant import AssistantLane
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.model.history import History
from fastbridge.model.instructions import continuation
from fastbridge.model.port import LOCAL_ID, Wish

Item = tuple[str, str, int, int]
"""Of a lane: its id and its response's, ms heard, ms received."""


class Memory:
    """One call's."""

    def __init__(self, history: History, lane: AssistantLane) -> None:
        self.history = history
        self._lane = lane

    @property
    def turns(self) -> dict[str, Turn]:
        return self.history.turns

    @property
    def tool_calls(self) -> list[ToolCall]:
        return self.history.tool_calls

    def break_off(self, *, question_lost: bool = False) -> Wish:
        """The answer under way will not be finished in this session: the wish for the response that continues it.
        question_lost: nobody knows what it answers."""
        heard = self.history.break_off(self._said_chars(), in_step=self._lane.words_in_step)
        return Wish(continuation(heard, question_lost=question_lost), words_only=False)

    def unsay(self, response_id: str) -> None:
        """Nothing of this response was heard, whatever its words were."""
        for turn in self.turns.values():
            if turn.response_id == response_id:
                self.history.cut(turn, 0, 0)

    def _remember(self, role: str, text: str, lasting: bool) -> None:
        """A note that the sessions to come are told, too."""
        if lasting or role == "user":
            self.history.add_note(role, text)

    def stalled(self) -> None:
        """A recording of ours goes between the audio that came of the message under way and the rest of it."""
        self.history.played_before(self.history.speaking_item, self._received_ms())

    def _said_chars(self) -> int:
        """Of the message under way, as many of its words as its audio has said: its words may be far ahead of that."""
        return self.history.chars_of(self._received_ms())

    def _received_ms(self) -> int:
        """Audio of the message under way that came since the lane began to count it."""
        items = of_the_model(self._lane.items())
        return sum(ms for item, _, _, ms in items if item == self.history.speaking_item)


def of_the_model(items: Sequence[Item]) -> Iterator[Item]:
    """Of a lane's items those that are the model's. What stands before a recording of ours in its midst is not: it
    counts as heard already, and a last piece of a frame is played with the recording."""
    for at, item in enumerate(items):
        if not any(of == item[1] and name.startswith(LOCAL_ID) for name, of, _, _ in items[at:]):
            yield item
