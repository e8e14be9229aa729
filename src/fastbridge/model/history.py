"""What was said in one call, by whom, and how much of it was heard. Bounded, kept by item, never by "the last".

Text of the assistant is cut to what the caller has heard: at an interruption by the playout clock, after a lost
connection by the audio that had come. Nothing here sends, and nothing here knows a socket.
"""

from collections import Counter, deque
from collections.abc import Mapping

from fastbridge.base.conversation import Note, ToolCall, Turn

MAX_TURNS = 2000
"""Turns kept of one call; one more is counted as transcript_overflow and not kept."""
MAX_TURN_CHARS = 20_000
"""Of one turn, some twenty minutes of speech; what is said beyond that is not kept."""
MAX_TOOL_CALLS = 500
MAX_NOTES = 64
"""The oldest are forgotten."""
MAX_ARGUMENTS_CHARS = 100_000
"""Of one call. Longer ones are cut, so they are no JSON any more, and are refused as that."""
SPEECH_CHARS_PER_MS = 0.015
"""How fast speech is, until the call's own assistant has shown it."""
SLOWEST_CHARS_PER_MS = 0.0028
"""Slower than any language: there was more in it than speech."""
MIN_MS_PER_CHARACTER = 40
"""Nobody speaks faster: a text that is longer than its audio allows has run ahead of the voice."""
IN_STEP_SPEED = 1.5
"""By so much one sentence may be said faster than the others of a call."""
IN_STEP_CHARS = 8
"""A word, which may be short for its letters, or not have come to its end."""
BLANK = "(private)"
"""In place of what was said in private."""
MEASURED_MS = 1000
"""Speech this long tells how fast it is."""


class History:
    """counters: where transcript_overflow is counted."""

    def __init__(self, counters: Counter[str]) -> None:
        self.turns: dict[str, Turn] = {}
        self.untold: dict[str, Turn] = {}
        """Those that nobody has been told of yet, as they began; whoever tells of one takes it out."""
        self.tool_calls: list[ToolCall] = []
        self.notes: deque[Note] = deque(maxlen=MAX_NOTES)
        """What another session is to know as well."""
        self.private = False
        """What begins now is private: its words are BLANK."""
        self.speaking_item = ""
        """The assistant's message begun last in the response under way."""
        self._counters = counters
        self.chars_per_ms = SPEECH_CHARS_PER_MS
        self._speed = 1.0
        self._played_before_ms: dict[str, int] = {}
        self._previous: dict[str, str] = {}  # of items that are no turns too: they may stand between two

    def turn(self, role: str, item_id: str) -> Turn | None:
        """The turn of this item, begun now if it is new; None for one too many."""
        turn = self.turns.get(item_id)
        if turn is None:
            if len(self.turns) >= MAX_TURNS:
                self._counters["transcript_overflow"] += 1
                return None
            turn = Turn(role, item_id, previous_item_id=self._previous.get(item_id), private=self.private)
            self.turns[item_id] = turn
            self.untold[item_id] = turn
        return turn

    def caller_turn(self, item_id: str) -> Turn:
        """The same of the caller's: one too many is not kept, and is understood all the same."""
        return self.turn("caller", item_id) or Turn("caller", item_id)

    def add_words(self, item_id: str, words: str) -> None:
        """Kept as they come: what is cut off is not said again in whole."""
        turn = self.turn("assistant", item_id)
        if turn is not None and turn.heard_ms is None and not turn.ended:
            self.write(turn, words)

    def write(self, turn: Turn, words: str) -> None:
        """More words of a turn."""
        if turn.private:
            turn.text = BLANK
        elif len(turn.text) < MAX_TURN_CHARS:
            turn.text, turn.blank = (turn.text + turn.blank + words)[:MAX_TURN_CHARS], ""
            if turn.ended:
                self.strip(turn)

    def strip(self, turn: Turn) -> None:
        """Its words have come, but for some that are late: without what is blank around them."""
        whole = turn.text.rstrip()
        turn.text, turn.blank = whole.lstrip(), turn.text[len(whole) :]

    def end_words(self, item_id: str, text: str) -> Turn | None:
        """The assistant's whole transcript of an item. None if it was known before."""
        turn = self.turn("assistant", item_id)
        if turn is None or turn.ended:
            return None
        turn.ended = True
        text = BLANK if turn.private else text[:MAX_TURN_CHARS]
        self.strip(turn)
        if turn.heard_share is None:
            turn.text = text or turn.text
        elif not turn.text:
            turn.text = cut_to(text, turn.heard_share)
        return turn

    def write_down(self, turn: Turn, text: str) -> None:
        """The whole transcript of a turn of the caller's."""
        turn.ended, turn.text = True, BLANK if turn.private and text else text[:MAX_TURN_CHARS]

    def unwritten(self) -> list[Turn]:
        """Turns of the caller's of which nobody has a word."""
        return [turn for turn in self.turns.values() if turn.role == "caller" and not (turn.ended or turn.text)]

    def add_call(self, call_id: str, name: str, arguments: str) -> ToolCall:
        """One that is whole, or was broken off. Beyond MAX_TOOL_CALLS it is not kept."""
        call = ToolCall(call_id, name, arguments[:MAX_ARGUMENTS_CHARS], len(self.turns))
        if len(self.tool_calls) < MAX_TOOL_CALLS:
            self.tool_calls.append(call)
        return call

    def add_note(self, role: str, text: str) -> None:
        """Something that nobody spoke."""
        self.notes.append(Note(role, text, len(self.turns)))

    def set_speed(self, speed: float) -> None:
        """How much faster than usual the model was told to speak."""
        self._speed = speed
        self.chars_per_ms = SPEECH_CHARS_PER_MS * speed

    # --- the order ---

    def follows(self, item_id: str, previous_item_id: object) -> None:
        """The model has said which item this one comes after."""
        if not isinstance(previous_item_id, str) or not previous_item_id or len(self._previous) >= 4 * MAX_TURNS:
            return
        self._previous[item_id] = previous_item_id
        if item_id in self.turns:
            self.turns[item_id].previous_item_id = previous_item_id

    def ordered(self, among: Mapping[str, Turn] | None = None) -> list[Turn]:
        """Every turn, or these, in the conversation's order: each behind the one it follows, the rest as they began."""
        among = self.turns if among is None else among
        after: dict[str | None, list[Turn]] = {}
        for turn in among.values():
            after.setdefault(self._anchor(turn, among), []).append(turn)
        found: list[Turn] = []
        waiting = list(reversed(after.pop(None, [])))
        while waiting:
            turn = waiting.pop()
            found.append(turn)
            waiting += reversed(after.pop(turn.item_id, []))
        return found + [turn for turns in after.values() for turn in turns]  # a circle: only a broken peer tells of one

    def _anchor(self, turn: Turn, among: Mapping[str, Turn]) -> str | None:
        """The nearest item before it that is a turn, if the model has said so, and if it is one of these."""
        seen = {turn.item_id}
        previous = turn.previous_item_id
        while previous is not None and previous not in self.turns and previous not in seen:
            seen.add(previous)
            previous = self._previous.get(previous)
        return previous if previous in among and previous != turn.item_id else None

    # --- how much was heard ---

    def played_before(self, item_id: str, milliseconds: int) -> None:
        """The lane counts this item anew, from after a recording of ours: that much of it was heard before."""
        self._played_before_ms[item_id] = self._played_before_ms.get(item_id, 0) + milliseconds

    def whole_ms(self, item_id: str, milliseconds: int) -> int:
        """Milliseconds of an item by the lane's count, as the model counts them."""
        return milliseconds + self._played_before_ms.get(item_id, 0)

    def cut(self, turn: Turn | None, heard_ms: int, received_ms: int) -> None:
        """Of this turn's audio only so much was heard, and no more will be."""
        if turn is not None and turn.heard_ms is None:
            if not turn.ended:
                received_ms = max(received_ms, int(MIN_MS_PER_CHARACTER / self._speed * len(turn.text)))
            turn.heard_ms = heard_ms
            turn.heard_share = heard_ms / received_ms if heard_ms and received_ms else 0.0
            turn.text = cut_to(turn.text.lstrip(), turn.heard_share)  # a first fragment may begin with a space

    def cut_off(self, item_id: str, heard_ms: int, received_ms: int) -> tuple[Turn | None, int, int] | None:
        """An item of the assistant's was interrupted: its turn, and what was heard and received of all of it, by the
        model's count. None if it was before."""
        turn = self.turn("assistant", item_id)
        if turn is not None and turn.heard_ms is not None:
            return None
        received_ms = self.whole_ms(item_id, received_ms)
        heard_ms = max(0, min(self.whole_ms(item_id, heard_ms), received_ms))
        self.cut(turn, heard_ms, received_ms)
        return turn, heard_ms, received_ms

    def chars_of(self, received_ms: int) -> int:
        """So many characters of the message under way take so long to say."""
        return int(self.whole_ms(self.speaking_item, received_ms) * self.chars_per_ms)

    def break_off(self, chars: int, *, in_step: bool = False) -> str:
        """Nothing more comes of the message under way, of which about so many characters were said: its words, as far
        as they are or will be heard. in_step: each came with its audio, so that they are all of them, unless there are
        more than anybody says in that time."""
        turn = self.turns.get(self.speaking_item)
        if turn is None:
            return ""
        turn.ended = True
        if in_step:
            chars = int(chars * IN_STEP_SPEED) + IN_STEP_CHARS
        if turn.heard_ms is None and len(turn.text) > chars:
            turn.text = cut_to(turn.text, chars / len(turn.text))
        turn.text = turn.text.strip()
        return turn.text

    def unsay_behind(self, item_id: str, chars: int) -> None:
        """Of an item under way so many characters have been said so far: its other words are ahead of their sound."""
        turn = self.turns.get(item_id)
        if turn is not None and turn.heard_ms is None and not (turn.ended or turn.private) and len(turn.text) > chars:
            turn.text = cut_to(turn.text, chars / len(turn.text))

    def learn_speed(self, received_ms: int) -> None:
        """The message under way is complete, and this long: how fast speech is here."""
        turn = self.turns.get(self.speaking_item)
        if turn is None or not turn.text or turn.heard_ms is not None or received_ms < MEASURED_MS:
            return
        chars_per_ms = len(turn.text) / self.whole_ms(turn.item_id, received_ms)
        if chars_per_ms >= SLOWEST_CHARS_PER_MS * self._speed:
            self.chars_per_ms = chars_per_ms


def cut_to(text: str, share: float) -> str:
    """The part of a text that was heard, by its share of the audio, to whole words."""
    if share >= 1:
        return text.rstrip()
    head = text[: int(len(text) * share)]
    return (head if text[len(head) : len(head) + 1].isspace() else head.rpartition(" ")[0]).rstrip()
