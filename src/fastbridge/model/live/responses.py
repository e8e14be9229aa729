"""The response controller for a model that has no responses: each utterance of its stream is one.

What is asked for is told the model in words, and the next utterance is what comes of it. A wish with words of its own
is given as commentary, which it says as it stands; one with instructions is an instruction. The answer to a caller's
turn it begins by itself. Nothing can be cancelled: it stops when it hears the caller, and what it says beyond that the
lane refuses.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastbridge.base.clock import Clock
from fastbridge.model.floor import State as Floor
from fastbridge.model.live.words import pieces
from fastbridge.model.port import OWN_TURN, Create, Wish
from fastbridge.model.response_states import ANSWERS, DEADLINES_SECONDS, MOOT, REACTIONS, Listener, State
from fastbridge.model.responses import ResponseControl

ANSWER = "The caller has finished speaking and is waiting. Answer them now, aloud, in one or two short sentences."
REACT = "React now, aloud and in one or two short sentences, to what you were told last."
REPEATED_SECONDS = 4.0
"""Asked a second time, a model is given so long. With the first time that is less than what makes a session healthy:
one that says nothing uses up the tries of its line."""
MEANWHILE = frozenset({"say", "filler"})
"""Words of the agent's own, which may be said before the caller's turn is answered, where that is to come of work: a
tool may say what it waits for."""
NO_TOOLS = "Delegate nothing more for now: tell the caller, in words, what you know and what could not be done."


class ResponseController(ResponseControl):
    """send(event): a client event to the model. at_work(): something was handed on, and its result is to come. hears():
    the caller speaks, and it is not its turn."""

    def __init__(
        self,
        *,
        clock: Clock,
        send: Callable[[dict[str, Any]], object],
        progress: Callable[[], object],
        at_work: Callable[[], bool],
        hears: Callable[[], bool],
        listener: Listener,
    ) -> None:
        super().__init__(clock=clock, progress=progress, listener=listener)
        self._send = send
        self._at_work = at_work
        self._hears = hears
        self._asked_again = False  # in vain: it has said nothing since
        self._gave_way = False  # the request under way, to whoever is to have no answer

    @property
    def awaited(self) -> bool:
        """What begins next was asked for, by us, and is no answer to the caller."""
        if self.state is not State.REQUESTED or self._requested is None or self._is_overtaken:
            return False
        return self._requested.purpose != "turn"

    @property
    def awaits_words(self) -> int:
        """What begins next says so many characters of the agent's own, and nothing else that it was asked for."""
        requested = self._requested if self.awaited else None
        if requested is None or requested.wish is None or requested.purpose not in MEANWHILE:
            return 0
        return len(requested.wish.words)

    @property
    def _is_overtaken(self) -> bool:
        """What was asked for was taken back because the caller speaks, who is to have an answer."""
        return self._unwanted and not (self._gave_way or self._last_word)

    def create(self, purpose: str, wish: Wish | None = None, *, firm: bool = False) -> None:
        """As always; the last word is told at once: a model that speaks stops by nothing else than what it is told, and
        what it was asked for before may take as long as work does. So are keys, by which it was cut off: it heard
        nobody."""
        if firm and wish is not None and not self.suspended:
            if self.state is State.REQUESTED and (self._unwanted or self._at_work()):
                self._waiting.clear()
                self._last_word = True
                self._ask_instead(Create(purpose, wish, firm))
                self._listener.on_asked()
                return
            if self.generating:
                self._ask(Create(purpose, wish, firm))
                wish = replace(wish, told=True)
        elif purpose == "keys" and self.state is State.CANCELLING and not self.suspended:
            self._ask(Create(purpose))
            wish = Wish(words_only=False, told=True)
        super().create(purpose, wish, firm=firm)

    def speech_stopped(self) -> None:
        """As always; and work may have begun before he had stopped."""
        super().speech_stopped()
        self._pump()

    def _next(self) -> Create | None:
        """As always; or, where the answer that is due is work, what may be said meanwhile."""
        create = super()._next()
        is_due = self.resting and not self.suspended and self.floor.state is Floor.ANSWER_DUE
        if create is None and is_due and self._at_work():
            create = next((each for each in self._waiting if each.purpose in MEANWHILE), None)
        return create

    def cancel(self) -> bool:
        """As always; and there is nothing to send."""
        super().cancel()
        return False

    def resume(self) -> None:
        """As always; and another session was told nothing yet."""
        self._waiting = deque(_untold(each) for each in self._waiting)
        self._gave_way = False
        super().resume()

    def give_way(self) -> None:
        """As always; and what begins next answers nobody either."""
        self._gave_way = self.state is State.REQUESTED
        super().give_way()

    def suspend(self) -> Create | None:
        """As always; an answer that was to come of work was not asked for, and is not asked of another session: who
        sees to the work does that, or to its loss."""
        requested = self._requested
        if requested is not None and requested.purpose == "turn" and self._at_work():
            self._unwanted = True
        return super().suspend()

    def created(self, response_id: str, metadata: object = None) -> str | None:
        """As always; and since the caller speaks nothing is refused but a question whether he is there, for nothing was
        begun: what begins is heard, and cut off, or stops by itself, where he goes on."""
        if self._requested is not None and self._requested.purpose not in MOOT:
            self._overtake()
        self._asked_again = False
        purpose = super().created(response_id, metadata)
        self._gave_way = False
        return purpose

    def wait_anew(self) -> None:
        """It has something to say now, what came of its work or to what the caller has said: a request under way waits
        for that from here."""
        if self.state is State.REQUESTED:
            self._state_deadline.set(DEADLINES_SECONDS[State.REQUESTED])

    def turn_taken(self) -> None:
        """The caller's turn is over, and what begins next answers it, whatever was asked for before and taken back."""
        self._overtake()
        self.wait_anew()

    def _overtake(self) -> None:
        if self.state is State.REQUESTED and self._is_overtaken:
            self._requested, self._unwanted = OWN_TURN, False
            self._request_id += 1

    def tell_instead(self, wish: Wish) -> None:
        """What work was to bring will not come. Who waits for that, is told so; or, later, who waits for something
        else."""
        if not self._waits_for_work:
            self.floor.answered()
            self.create("reprompt", wish)
            return
        self._ask_instead(Create("reprompt", wish))

    def _ask_instead(self, create: Create) -> None:
        """Of what was requested, and has not begun."""
        self._requested, self._unwanted = create, False
        self._request_id += 1
        self._state_deadline.set(DEADLINES_SECONDS[State.REQUESTED])
        self._ask(create)

    def answer_elsewhere(self) -> None:
        """This session is given up: what is asked for is, in another, the answer to what the caller said."""
        if self._waits_for_work:
            self._requested = OWN_TURN

    @property
    def _waits_for_work(self) -> bool:
        requested = self._requested
        if self.state is not State.REQUESTED or requested is None or self._unwanted:
            return False
        return requested.purpose in ANSWERS | REACTIONS

    def _ask(self, create: Create) -> None:
        wish = create.wish
        if wish is not None and wish.told and not self._asked_again:
            return
        if wish is not None and wish.words:
            self._append("session.commentary.append", wish.words)
        elif wish is not None and wish.instructions:
            self._append("session.instructions.append", wish.instructions)
        elif create.purpose == "tool_result" and wish is not None:
            self._append("session.instructions.append", NO_TOOLS)
        elif not self._at_work():  # else what is being done will be told, by itself
            self._append("session.instructions.append", ANSWER if create.purpose == "turn" else REACT)

    def _append(self, kind: str, text: str) -> None:
        """In as many messages as it needs; the first has the name by which an error would know it."""
        event_id: str | None = self._event_id()
        for piece in pieces(text):
            self._send(
                {"type": kind, "content": piece, "delegation_id": None, **({"event_id": event_id} if event_id else {})}
            )
            event_id = None

    def _take_back(self) -> None:
        """The lane refuses the rest; the model hears for itself why it should stop."""

    def _expired(self) -> None:
        """A request without an utterance: work that was handed on takes its time, and words may be lost once."""
        if self.state is not State.REQUESTED or self._requested is None or not self._is_patient():
            super()._expired()
            return
        self._state_deadline.set(REPEATED_SECONDS if self._asked_again else DEADLINES_SECONDS[State.REQUESTED])

    def _is_patient(self) -> bool:
        if self._at_work() or self._hears():
            return True
        if self._asked_again or self._unwanted or self._requested is None:
            return False
        self._asked_again = True
        self.counters["creates_repeated"] += 1
        self._ask(self._requested)
        return True


def _untold(create: Create) -> Create:
    if create.wish is None or not create.wish.told:
        return create
    return replace(create, wish=replace(create.wish, told=False))
