"""The law: every turn of the caller's ends in an answer heard, a question, or a goodbye.

A response that ends without that is an event with an owner and a deadline, and both are here. The model answers a
committed turn by itself; this file watches that it does, and asks where it does not: a turn that nobody answers, speech
whose end nobody noticed, an interruption that nobody but us heard, a response that failed, was cut short, came to
nothing or stands still, and what was under way when the line was lost. It asks the response controller, once each;
where that does not help either, it gives the session up, and then the call.
"""

import random
from collections import Counter
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._caller import FORWARDED, CallerLane
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import ToolCall
from fastbridge.call.happenings import ModelHopeless, SessionUseless, SpeechIsOver, WaitChanged
from fastbridge.call.upload_watch import VOICE_FRAMES
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.instructions import FILTERED, REPEAT, REPROMPT
from fastbridge.model.line import is_hopeless
from fastbridge.model.port import LOCAL_ID, OWN_TURN, Create, Model, Tell, Wish
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

ANSWER_SECONDS = 2.5
"""A committed turn without any response for this long."""
RESUME_SECONDS = 2.0
"""After a lost line the caller, who was speaking, says nothing more for this long: their words are lost."""
OVERDUE_SECONDS = 0.7
"""What the caller has waited by then, of the patience he has."""
STALL_SECONDS = 8.0
"""What the model tells of a voice so long ago came late; a voice before that was another one's, or none."""
RETRY_SECONDS = (0.6, 1.4)
"""Before the second and the third try of a failed response, at most."""
REPROMPT_SECONDS = 3.0
SLACK_SECONDS = 1.0
"""What the end of a turn may take longer than the model was told to wait."""
UNTOLD_SECONDS = 6.0
UNTOLD_LOOK_SECONDS = 0.3
"""Who interrupts, and is heard by our ear alone, is let finish for so long; noise does not speak for ever."""
MAX_STUCK = 2
"""Responses in a row that stand still: then another session is tried, and one more of them is the end."""
QUIET_MIN_MS, QUIET_SHARE = 2000, 0.2
"""Nobody had spoken for so long of a session's audio: then speech that the model puts into the first fifth of it was
put there by a clock that runs slow. It takes mu-law for something else."""
TO_THE_CALLER = frozenset({"turn", "tool_result", "keys", "continuation", "repeat", "reprompt"})
"""Purposes of what is said in answer to the caller. The rest has words of its own, to be asked for as they were."""


class Moment(Protocol):
    """What they ask of their call: see `facts`."""

    @property
    def line_up(self) -> bool: ...
    @property
    def caller_is_untold(self) -> bool: ...
    @property
    def said_unheard(self) -> bool: ...


class Turns:
    """One call's. `owed`: the caller has said something, and nothing is under way that answers. `speaking`: the caller
    is, by the model's account."""

    def __init__(
        self,
        *,
        clock: Clock,
        facts: Moment,
        assistant: AssistantLane,
        caller: CallerLane,
        session: Model,
        log: CallLog,
        tell: Tell,
    ) -> None:
        self.owed = False
        self.speaking = False
        self.counters: Counter[str] = Counter()
        self._clock = clock
        self._facts = facts
        self._assistant = assistant
        self._caller = caller
        self._session = session
        self._log = log
        self._tell = tell
        self._speech_ns = 0  # when the model told that it began
        self._interrupted_ns: int | None = None  # by a voice of which the model has not told since
        self._failures = 0
        self._empty = 0
        self._stuck = 0
        self._last_word = False
        self._noise = ""  # a response whose audio was none
        self._spoke_at_loss = False
        self._uncommitted = False  # we ended the caller's speech, and the model has not said that it took it
        self._redo: tuple[str, Create] | None = None  # a stuck response, to be asked for again when it has ended
        self._tool_response = ""
        self._next = Create("turn")
        self._forwarded_before = 0  # frames sent in earlier sessions
        self._quiet_ms = 0  # of the audio sent in this one: up to there we heard nobody whom the model has not
        self._told_frames = 0  # of the caller's voice, by the model's last word of it
        self._answer = Deadline(clock, self._unanswered)
        self._listen = Deadline(clock, self._listened)
        self._retry = Deadline(clock, self._ask_again)

    def close(self) -> None:
        for deadline in (self._answer, self._listen, self._retry):
            deadline.clear()

    # --- the caller ---

    def speech_started(self) -> None:
        """What was owed is not any more: the caller has gone on."""
        if self._last_word:
            return
        self.speaking, self._uncommitted, self._interrupted_ns = True, False, None
        self._session.responses.speech_started()
        self._speech_ns = self._clock.now_ns()
        self._settled()
        self._retry.clear()
        self._listen.set(self._turn_ends_in_seconds())
        self._check_clock()

    def speech_stopped(self) -> None:
        """The caller waits."""
        if self._last_word:
            self._tell(WaitChanged(0.0))
            return
        late_seconds = self._told_late_seconds()
        self.speaking = False
        self._session.responses.speech_stopped()
        self._listen.clear()
        self._owe()
        self._told_frames = self._caller.voice_frames
        self._tell(WaitChanged(late_seconds))

    def _told_late_seconds(self) -> float:
        """By how much the model has told too late that the caller has stopped, where our ear heard that he did: since
        the model told that he began, or before that, where that came too late as well."""
        voice_ns = self._caller.last_voice_ns
        if voice_ns < self._speech_ns and not self._was_told_late(voice_ns):
            return 0.0
        waited_seconds = (self._clock.now_ns() - voice_ns) / 1e9
        return max(waited_seconds - self._quiet_seconds + SLACK_SECONDS / 2, 0.0)

    def _was_told_late(self, voice_ns: int) -> bool:
        """Whether what the model tells of now is a voice that our ear has heard to its end, which was at this time."""
        heard_frames = self._caller.voice_frames - self._told_frames
        return heard_frames >= VOICE_FRAMES and self._clock.now_ns() - voice_ns <= STALL_SECONDS * 1e9

    def listen(self) -> None:
        """Once a second: has the caller said anything, by our own ear, since the model has told of him last?"""
        if self._caller.voice_frames == self._told_frames:
            self._quiet_ms = (self._forwarded() - self._forwarded_before) * 20

    def committed(self) -> None:
        self._uncommitted = False
        if not (self.speaking or self._last_word):
            self._owe()

    def last_word(self) -> None:
        """Goodbye is said, and nobody is listened to any more: only that is still owed."""
        self._caller.mute()
        self._last_word, self.speaking = True, False
        self._listen.clear()
        self._settled()

    def interrupted(self) -> None:
        """The assistant was cut off. Where nobody but our own ear heard why, nobody else will answer."""
        if not self.speaking:
            self._interrupted_ns = self._clock.now_ns()
            self._owe()
            self._tell(WaitChanged(0.0))

    @property
    def untold(self) -> bool:
        """The caller has interrupted, and the model has told nothing of it."""
        if self._interrupted_ns is None:
            return False
        return self._clock.now_ns() - self._interrupted_ns < UNTOLD_SECONDS * 1e9

    def unheard(self) -> None:
        """The caller has spoken, and the model says nothing, of that or of anything."""
        self._watchdog("turns_unheard")
        self.owed = self._uncommitted = True
        self._tell(WaitChanged(OVERDUE_SECONDS))

    def heard_nothing(self) -> None:
        """It has listened, and there was no speech."""
        self._uncommitted = False
        self._settled()
        self._tell(WaitChanged(0.0))

    def _owe(self) -> None:
        self.owed = True
        self._answer.set(ANSWER_SECONDS)

    def _settled(self) -> None:
        self.owed = False
        self._answer.clear()

    @property
    def _quiet_seconds(self) -> float:
        """The model hears speech where our own ear has heard none for this long: longer than it was told to wait."""
        return self._session.turn_end_seconds

    def _listened(self) -> None:
        """The model hears the caller speak. Do we?"""
        left_seconds = self._turn_ends_in_seconds()
        if left_seconds > 0.001:
            self._listen.set(left_seconds)
        else:
            self.take_turn("speech_unstopped")

    def _turn_ends_in_seconds(self) -> float:
        """By our ear alone: until the model should have told of the end of what it hears. What it began to tell of too
        late, when he had stopped, it has no need to wait for."""
        voice_ns = self._caller.last_voice_ns
        if voice_ns < self._speech_ns and not self._was_told_late(voice_ns):
            voice_ns = self._speech_ns  # a voice that our ear has not heard
        quiet_ns, slack_ns = int(self._quiet_seconds * 1e9), int(SLACK_SECONDS * 1e9)
        return (max(voice_ns + quiet_ns, self._speech_ns + slack_ns) - self._clock.now_ns()) / 1e9

    def take_turn(self, why: str) -> None:
        """The caller has spoken, by our ear, and the model does not say so: the turn is ended for it, and answered."""
        self._watchdog(why)
        self.speaking = False
        self._told_frames = self._caller.voice_frames
        self._uncommitted = True
        self._tell(SpeechIsOver())
        self._session.take_turn()
        self._session.responses.speech_stopped()
        self._session.responses.answer_turn()
        self._owe()
        self._tell(WaitChanged(OVERDUE_SECONDS))

    def _unanswered(self) -> None:
        if not self._session.responses.resting:
            self._answer.set(ANSWER_SECONDS)
        elif self._facts.caller_is_untold:
            self._answer.set(UNTOLD_LOOK_SECONDS)
        elif self._facts.line_up:
            self._watchdog("turn_unanswered")
            self._session.responses.answer_turn()

    def _check_clock(self) -> None:
        """Does the model count the caller's audio as we do? By places in it, not by when we are told: the line may have
        stood still."""
        start_ms = self._session.speech_start_ms
        if start_ms is not None and self._quiet_ms > QUIET_MIN_MS and start_ms < self._quiet_ms * QUIET_SHARE:
            self._mismatch()

    def _forwarded(self) -> int:
        return self._caller.outcomes[FORWARDED]

    def _mismatch(self) -> None:
        """Audio is taken for what it is not, in one direction or the other: noise in somebody's ear."""
        self._watchdog("format_mismatch")
        if self.counters["format_mismatch"] > 1:
            self._give_up("the audio formats do not agree", "format_mismatch")
        else:
            self._tell(SessionUseless("the audio formats do not agree", "clock_mismatch"))

    def noise(self, item_id: str) -> None:
        """What the model speaks is not in the format agreed on: nothing of it is heard from here on, or was said. It is
        asked for again in another session."""
        if item_id.startswith(LOCAL_ID):  # a recording of the operator's own: not for the model to answer for
            return
        self._noise = self._session.responses.response_id or ""
        self._assistant.clear()
        self._session.unsay(self._noise)
        self._mismatch()

    # --- responses ---

    def response_created(self, response_id: str, purpose: str) -> None:
        self._settled()
        self._retry.clear()

    def tool_called(self, response_id: str, call: ToolCall) -> None:
        self._tool_response = response_id

    def response_done(self, response_id: str, status: str, error: ModelError | None) -> None:
        responses, code = self._session.responses, error.code if error is not None else None
        create, spoke, called = responses.serving, self.spoke(response_id), self._tool_response == response_id
        if self._redo is not None and self._redo[0] == response_id:
            create, self._redo = self._redo[1], None
            if not called:  # else the tools' results ask for what follows
                self._again(create, spoke)
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
        if response_id == self._noise:
            return False
        return any(known == response_id for _, known, _, _ in self._assistant.items())

    def _cut_short(self, create: Create, code: str | None, spoke: bool, called: bool) -> None:
        """The model, or its server, has ended a response before its end, and not because we wanted it."""
        if self.speaking:
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
        self.owed = True
        self._next = create
        self._retry.set(random.uniform(0.5, 1.0) * RETRY_SECONDS[self._failures - 1])

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
        self.owed = True
        self._next = _aloud(create)
        self._retry.set(REPROMPT_SECONDS)

    def tool_loop(self) -> None:
        """The model calls tools again and again, and was asked for words in vain."""
        self._watchdog("tool_loops")
        self._give_up("the model calls tools and says nothing", "tool_loop")

    def _ask_again(self) -> None:
        self._ask(self._next.purpose, self._next)

    def _ask(self, purpose: str, create: Create = OWN_TURN) -> None:
        self._session.responses.create(purpose, create.wish, firm=create.firm)

    def _again(self, create: Create, spoke: bool) -> None:
        if spoke:
            self._ask("continuation", Create("continuation", self._session.break_off()))
        else:
            self._ask(create.purpose, create)

    def response_stuck(self, response_id: str, create: Create) -> None:
        """It makes no progress and is being cancelled."""
        self._watchdog("responses_stuck")
        self._stuck += 1
        if self._stuck < MAX_STUCK:
            self._redo = response_id, create
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
            self._resume(create, False)
        else:
            self._failed(create, code, spoke=False)

    # --- the line ---

    def line_lost(self) -> None:
        """What was under way is asked for again when there is a session again; until then it can be interrupted."""
        responses = self._session.responses
        response_id = responses.response_id or ""
        self._retry.clear()
        self._redo = None
        self._spoke_at_loss, self.speaking = self.speaking or self._facts.said_unheard, False
        self._listen.clear()
        self._tell(SpeechIsOver())
        owed = self.owed
        self._settled()
        create = responses.suspend()
        if create is not None and self._tool_response != response_id:
            self._resume(create, self.spoke(response_id))
        elif create is None and owed and not responses.awaits("turn", "repeat"):
            self._resume(OWN_TURN, False)

    @property
    def overdue_seconds(self) -> float:
        """How long a caller has waited already, who was speaking, or had just spoken, when the line was lost."""
        return (self._clock.now_ns() - self._caller.last_voice_ns) / 1e9 if self._spoke_at_loss else 0.0

    def _resume(self, create: Create, spoke: bool) -> None:
        if spoke:
            self._again(create, True)
        elif create.purpose != "turn" or self._words_are_known():
            self._ask(create.purpose, create)
        else:
            self._ask("repeat", Create("repeat", Wish(REPEAT, words_only=False)))

    def _words_are_known(self) -> bool:
        """What the caller said last, in words: the new session can be told."""
        if self._uncommitted:
            return False
        turns = [turn for turn in self._session.turns.values() if turn.role == "caller"]
        return bool(turns) and bool(turns[-1].text)

    def line_up(self) -> None:
        """A session is there, and knows what was said."""
        self._forwarded_before, self._quiet_ms = self._forwarded(), 0
        self._told_frames = self._caller.voice_frames
        self._tool_response = ""  # another session may use the same ids
        self._session.responses.resume()
        if self._spoke_at_loss:  # the rest of it will be heard here, or they have stopped
            self._spoke_at_loss = False
            self.owed = True
            self._next = Create("repeat", Wish(REPEAT, words_only=False))
            self._retry.set(RESUME_SECONDS)

    def _give_up(self, message: str, code: str) -> None:
        self._tell(ModelHopeless(ModelUnavailable(message, code)))

    def _watchdog(self, what: str) -> None:
        self.counters[what] += 1
        events.answer_watchdog(self._log, what, self.counters[what])


def _aloud(create: Create) -> Create:
    """What was to be said and was not, asked for again."""
    return Create("reprompt", Wish(REPROMPT, words_only=False)) if create.purpose in TO_THE_CALLER else create
