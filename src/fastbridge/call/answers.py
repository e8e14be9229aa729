"""The model's answers, and what is done where one does not come to its end.

Every turn of the caller's ends in an answer heard, a question, or a goodbye. A response that ends without that is an
event with an owner and a deadline, and both are here: one that failed, was cut short, came to nothing or stands still,
and what was under way when the line was lost. It is asked for again, once each; where that does not help either, the
session is given up, and then the call. The caller's half is in `turns`.
"""

import random
from collections import Counter
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import ToolCall, Turn
from fastbridge.call.happenings import AnswerOwed, ModelHopeless, SessionUseless
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.errors import is_hopeless
from fastbridge.model.instructions import CUT_OFF, FILTERED, REPEAT, REPROMPT
from fastbridge.model.port import OWN_TURN, Create, Model, Tell, Wish
from fastbridge.model.response_states import ANSWERS, MOOT
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

RESUME_SECONDS = 2.0
"""After a lost line the caller, who was speaking, says nothing more for this long: their words are lost."""
LOOK_SECONDS = 0.3
"""Or longer, as long as our ear hears him: for how long it is believed is known in `turns`."""
RETRY_SECONDS = (0.6, 1.4)
"""Before the second and the third try of a failed response, at most."""
REPROMPT_SECONDS = 3.0
MAX_STUCK = 2
"""Responses in a row that stand still: then another session is tried, and one more of them is the end."""
TO_THE_CALLER = frozenset({"turn", "tool_result", "keys", "continuation", "repeat", "reprompt"})
"""Purposes of what is said in answer to the caller. The rest has words of its own, to be asked for as they were."""


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def model_hears(self) -> bool: ...
    @property
    def uncommitted(self) -> bool: ...
    @property
    def owed_at_loss(self) -> bool: ...
    @property
    def spoke_at_loss(self) -> bool: ...
    @property
    def interrupts_unnoticed(self) -> bool: ...
    @property
    def noise_response(self) -> str: ...
    @property
    def tools_at_work(self) -> bool: ...
    @property
    def handed_on(self) -> bool: ...
    @property
    def leave_asked(self) -> bool: ...


class Answers:
    """One call's."""

    def __init__(
        self, *, clock: Clock, facts: Moment, assistant: AssistantLane, session: Model, log: CallLog, tell: Tell
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._facts = facts
        self._assistant = assistant
        self._session = session
        self._log = log
        self._tell = tell
        self._failures = 0
        self._empty = 0
        self._stuck = 0
        self._redo: tuple[str, Create, bool] | None = None  # a stuck response that is to end, and whether it spoke
        self._last_word = False
        self._tool_response = ""
        self._next = Create("turn")
        self._retry = Deadline(clock, self._ask_again)

    def close(self) -> None:
        self._retry.clear()

    def speech_started(self) -> None:
        """The caller has gone on: what he says now is answered."""
        if not self._last_word:
            self._retry.clear()

    def interrupted(self) -> None:
        """Nobody wants the rest of what was cut off."""
        self._retry.clear()
        self._redo = None

    def last_word(self) -> None:
        """Goodbye is said, whoever speaks."""
        self._last_word = True

    def response_created(self, response_id: str, purpose: str) -> None:
        self._retry.clear()

    def tool_called(self, response_id: str, call: ToolCall, more: bool = False) -> None:
        self._tool_response = response_id

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        responses, code = self._session.responses, error.code if error is not None else None
        create, spoke, called = responses.serving, self.spoke(response_id), self._tool_response == response_id
        if self._redo is not None and self._redo[0] == response_id:
            (_, create, spoke), self._redo = self._redo, None
            if status == "lost" and responses.resting:  # nor has the model confirmed that it was cancelled
                self._tell(SessionUseless("the model answers nothing", "unanswered"))
            if not called:  # else the tools' results ask for what follows
                self._resume(create, spoke)
        elif status == "lost" or responses.refused_by_us:
            pass  # whoever took it back, or found it gone, sees to what follows
        elif status == "completed" and spoke:
            self._failures = self._empty = self._stuck = 0
        elif status == "completed" and not called:  # tools at work end nothing: their results ask for what follows
            self._came_to_nothing(create)
        elif status == "completed":
            self._stuck = 0
        elif status in ("incomplete", "cancelled"):
            self._cut_short(create, code, spoke, called)
        else:
            self._failed(create, code, spoke)

    def spoke(self, response_id: str) -> bool:
        """Whether any audio of it came, that was any."""
        if response_id == self._facts.noise_response:
            return False
        return any(known == response_id for _, known, _, _ in self._assistant.items())

    def _cut_short(self, create: Create, code: str | None, spoke: bool, called: bool) -> None:
        """The model, or its server, has ended a response before its end, and not because we wanted it."""
        if self._facts.model_hears:
            return  # he has gone on, and what he says is answered
        self._failures += 1
        self.counters["responses_cut_short"] += 1
        if self._failures > len(RETRY_SECONDS):
            if not (spoke or called):
                self._give_up("responses are cut short", code or "incomplete")
        elif code == "content_filter":
            self._ask_soon(Create("reprompt", Wish(FILTERED)))
        elif spoke:
            self._ask_soon(Create("continuation", self._session.break_off()))
        elif not called:  # else the tools' results ask for what follows
            self._ask_soon(_aloud(create))

    def _ask_soon(self, create: Create) -> None:
        self._wait(create, random.uniform(0.5, 1.0) * RETRY_SECONDS[self._failures - 1])

    def _failed(self, create: Create, code: str | None, spoke: bool) -> None:
        self._failures += 1
        error = ModelUnavailable("a response failed", code)
        if is_hopeless(error) or self._failures > len(RETRY_SECONDS):
            self._tell(ModelHopeless(error))
            return
        self.counters["responses_retried"] += 1
        self._ask_soon(Create("continuation", self._session.break_off()) if spoke else create)

    def _came_to_nothing(self, create: Create) -> None:
        """It ended well, and nobody heard a word."""
        self._watchdog("responses_empty")
        self._empty += 1
        if self._empty > 1:
            self._give_up("the model has nothing to say", "empty_response")
            return
        self._wait(_aloud(create), REPROMPT_SECONDS)

    def tool_loop(self) -> None:
        """The model calls tools again and again, and was asked for words in vain."""
        self._watchdog("tool_loops")
        self._give_up("the model calls tools and says nothing", "tool_loop")

    def _wait(self, create: Create, seconds: float) -> None:
        """Ask for it then."""
        self._tell(AnswerOwed())
        self._next = create
        self._retry.set(seconds)

    def _ask_again(self) -> None:
        if self._next.purpose == "repeat" and self._facts.interrupts_unnoticed:
            self._retry.set(LOOK_SECONDS)
            return
        self._ask(self._next.purpose, self._next)

    def _ask(self, purpose: str, create: Create = OWN_TURN) -> None:
        self._session.responses.create(purpose, create.wish, firm=create.firm)

    def _again(self, create: Create, spoke: bool, *, question_lost: bool = False) -> None:
        if spoke:
            wish = self._session.break_off(question_lost=question_lost)
            self._ask("continuation", Create("continuation", wish, create.firm))
        else:
            self._ask(create.purpose, create)

    def response_stuck(self, response_id: str, create: Create) -> None:
        """It makes no progress and is being cancelled."""
        self._watchdog("responses_stuck")
        self._stuck += 1
        if self._stuck < MAX_STUCK:
            self._redo = response_id, create, self.spoke(response_id)
            return
        if self._stuck > MAX_STUCK:
            self._give_up("the model's responses stand still", "response_stuck")
            return
        self._tell(SessionUseless("the model's responses stand still", "response_stuck"))
        if self._tool_response != response_id:
            self._resume(create, self.spoke(response_id))

    def create_failed(self, create: Create, error: ModelError) -> None:
        """A response of ours never began."""
        code = error.code or error.kind
        if code in ("unanswered", "create_refused"):
            self._tell(SessionUseless("the model does not answer", code))
            if create.purpose not in ANSWERS or not self._session.responses.awaits(*ANSWERS):
                self._resume(create, False)  # else what was owed is asked for already
        else:
            self._failed(create, code, spoke=False)

    # --- the line ---

    def line_lost(self) -> None:
        """What was under way is asked for again when there is a session again; until then it can be interrupted."""
        responses = self._session.responses
        response_id = responses.response_id or ""
        redo, self._redo = self._redo, None
        self._retry.clear()
        create = responses.suspend()
        spoke = self.spoke(response_id)
        if redo is not None and create is None:  # it stood still, and was being cancelled
            _, create, spoke = redo
        if create is not None and self._tool_response == response_id and self._tools_will_ask():
            pass  # for what follows
        elif self._work_is_lost(create):
            if create is not None and spoke:
                self._session.break_off()
            self._resume(OWN_TURN, False)
        elif create is not None:
            self._resume(create, spoke)
        elif self._facts.owed_at_loss and not self._answer_will_come():
            self._resume(OWN_TURN, False)

    def _tools_will_ask(self) -> bool:
        """They are at work, or what is to be said of their results waits. Nothing is where they were the last."""
        return self._facts.tools_at_work or self._session.responses.awaits(
            "tool_result", "hold", "goodbye", "silence_goodbye"
        )

    def _work_is_lost(self, create: Create | None) -> bool:
        """What the model had handed on was an answer to the caller, and another session knows nothing of it. create:
        what was being said."""
        facts = self._facts
        if not facts.handed_on or facts.tools_at_work or facts.leave_asked:
            return False
        said_meanwhile = create is None or create.purpose in TO_THE_CALLER | MOOT
        return said_meanwhile and not self._session.responses.awaits(*TO_THE_CALLER)

    def _answer_will_come(self) -> bool:
        """Asked for again, the model would call a tool once more that is at work: its result asks for the answer."""
        return self._session.responses.awaits("turn", "repeat") or self._facts.tools_at_work

    def _resume(self, create: Create, spoke: bool) -> None:
        if spoke:
            answers = create.purpose in ("turn", "continuation", "reprompt")
            self._again(create, True, question_lost=answers and self._words_are_lost())
        elif create.purpose != "turn" or (self._words_are_known() and not self._words_are_cut):
            self._ask(create.purpose, create)
        else:
            self._ask("repeat", self._repeat)

    @property
    def _repeat(self) -> Create:
        return _REPEAT if not self._words_are_cut else _CUT_OFF

    @property
    def _said_last(self) -> Turn | None:
        """By the caller."""
        return next((turn for turn in reversed(self._session.turns.values()) if turn.role == "caller"), None)

    @property
    def _words_are_cut(self) -> bool:
        """Of what he said last the beginning is known."""
        turn = self._said_last
        return turn is not None and turn.cut and bool(turn.text)

    def _words_are_lost(self) -> bool:
        """He has said something last of which another session knows nothing."""
        turn = self._said_last
        return turn is not None and not turn.text

    def _words_are_known(self) -> bool:
        """What the caller said last, in words: the new session can be told."""
        turn = self._said_last
        return not self._facts.uncommitted and turn is not None and bool(turn.text)

    def line_up(self) -> None:
        """A session is there, and knows what was said."""
        self._tool_response = ""  # another session may use the same ids
        self._session.responses.resume()
        if self._facts.spoke_at_loss:  # the rest of it will be heard here, or they have stopped
            self._wait(self._repeat, RESUME_SECONDS)

    def _give_up(self, message: str, code: str) -> None:
        self._tell(ModelHopeless(ModelUnavailable(message, code)))

    def _watchdog(self, what: str) -> None:
        self.counters[what] += 1
        events.answer_watchdog(self._log, what, self.counters[what])


_REPEAT = Create("repeat", Wish(REPEAT, words_only=False))
_CUT_OFF = Create("repeat", Wish(CUT_OFF, words_only=False))


def _aloud(create: Create) -> Create:
    """What was to be said and was not, asked for again."""
    return Create("reprompt", Wish(REPROMPT, words_only=False)) if create.purpose in TO_THE_CALLER else create
