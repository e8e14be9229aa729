"""Who has answered a call out: a person, until there is evidence of a machine; and what is left to a machine.

Nobody waits for the verdict: the greeting is said at once. What our ear shows and what the carrier says meet in one
table, WHO. A message waits for the beep, in the lane, so that it begins with it; where no beep comes, for the end of
what the machine says. It is said once, and when it was heard the call is hung up; a turn of talk takes all of that
back, at any time, so that nobody who speaks is hung up on.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from fastbridge._answering import SIGNS, AnswerEar
from fastbridge._assistant import AssistantLane
from fastbridge._caller import CallerLane
from fastbridge.agent.answered import AnsweredBy
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import Hooks
from fastbridge.base.clock import CallClock, Deadline
from fastbridge.base.conversation import Turn
from fastbridge.base.end_reasons import EndReason
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import LeaveAsked, MachineFound, MachineLetTalk, PersonFound
from fastbridge.call.message_words import letters_before, share_of
from fastbridge.config import Settings
from fastbridge.model.instructions import FAX_ANSWERED, MACHINE_ANSWERED, MESSAGE_LEFT, PERSON_AFTER_ALL
from fastbridge.model.port import Model, Tell, Wish, saying
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

PURPOSE = "machine_message"
LOOK_SECONDS = 0.1
SILENCE_SECONDS = 2.5
"""A machine that has fallen silent for so long without a beep records."""
REPLY_SECONDS = 2.5
"""Behind a message for which there was no beep: a person has so long to say something."""
BEEP_SECONDS = 45.0
"""From the answer: a beep behind that is none of a machine's greeting."""
MOST_OTHERS = 2
"""Answers to what the machine has said, taken for the message: so often it is waited for again."""
SHARE = 0.6
"""Of the message: then it was the message that was said."""
LETTERS_BEFORE = 12
"""Said before it: more is an answer to the machine, in one breath with the message."""
MAX_TURNS = 6
"""Turns that somebody may have taken, and still be a machine: each of its pauses ends one."""
CARRIER = "carrier"
SOUND = "sound"


class State(StrEnum):
    UNASKED = "unasked"
    LISTENING = "listening"
    PERSON = "person"
    UNKNOWN = "unknown"
    MACHINE = "machine"
    WAITING = "waiting"
    SAYING = "saying"
    LEFT = "left"


class Event(StrEnum):
    LISTEN = "listen"
    PERSON = "person"
    MACHINE = "machine"
    MESSAGE = "message"
    SPEAK = "speak"
    HEARD = "heard"
    EXPIRED = "expired"


_OPEN = {Event.PERSON: State.PERSON, Event.MACHINE: State.MACHINE}
TRANSITIONS: dict[State, dict[Event, State]] = {
    State.UNASKED: {Event.LISTEN: State.LISTENING, **_OPEN},
    State.LISTENING: {Event.EXPIRED: State.UNKNOWN, **_OPEN},
    State.UNKNOWN: _OPEN,
    State.PERSON: {Event.MACHINE: State.MACHINE},
    State.MACHINE: {Event.PERSON: State.PERSON, Event.MESSAGE: State.WAITING, Event.HEARD: State.LEFT},
    State.WAITING: {Event.PERSON: State.PERSON, Event.SPEAK: State.SAYING, Event.EXPIRED: State.SAYING},
    State.SAYING: {
        Event.PERSON: State.PERSON,
        Event.MESSAGE: State.WAITING,  # it was begun too early
        Event.HEARD: State.LEFT,
        Event.EXPIRED: State.LEFT,
    },
    State.LEFT: {Event.PERSON: State.PERSON},
}
DEADLINES_SECONDS = {State.LISTENING: 20.0, State.WAITING: 40.0, State.SAYING: 90.0}
"""PERSON, UNKNOWN and MACHINE are a conversation, and LEFT is a hang-up: those have their own bounds."""

NOBODY, PERSON, MACHINE, BEEP, FAX = "", "human", "machine", "beep", "fax"
WHO: Mapping[tuple[str, str], str] = {
    # what our ear has shown, what the carrier says: who it is. A beep is a machine's, whoever says what. A person who
    # was heard to wait for an answer is no machine on another's word, nor is one for whom the carrier vouches.
    (NOBODY, PERSON): PERSON,
    (NOBODY, MACHINE): MACHINE,
    (NOBODY, FAX): FAX,
    (PERSON, NOBODY): PERSON,
    (PERSON, PERSON): PERSON,
    (PERSON, MACHINE): PERSON,
    (PERSON, FAX): PERSON,
    (MACHINE, NOBODY): MACHINE,
    (MACHINE, PERSON): PERSON,
    (MACHINE, MACHINE): MACHINE,
    (MACHINE, FAX): FAX,
    (BEEP, NOBODY): MACHINE,
    (BEEP, PERSON): MACHINE,
    (BEEP, MACHINE): MACHINE,
    (BEEP, FAX): MACHINE,
    (FAX, NOBODY): FAX,
    (FAX, PERSON): FAX,
    (FAX, MACHINE): FAX,
    (FAX, FAX): FAX,
}


class WhoAnswered(Machine[State, Event]):
    """One call's."""

    transitions = TRANSITIONS
    deadlines_seconds = DEADLINES_SECONDS

    def __init__(
        self,
        agent: Agent,
        context: CallContext,
        *,
        settings: Settings,
        clock: CallClock,
        assistant: AssistantLane,
        caller: CallerLane,
        session: Model,
        hooks: Hooks,
        log: CallLog,
        tell: Tell,
    ) -> None:
        super().__init__(clock, State.UNASKED)
        self.verdict = NOBODY
        self.source = ""
        self.at_ms: int | None = None
        self.beep_ms: int | None = None
        self.message = ""
        """What became of a message: waiting, saying, left or taken_back; empty where there is none."""
        self._agent = agent
        self._context = context
        self._settings = settings
        self._clock = clock
        self._assistant = assistant
        self._caller = caller
        self._session = session
        self._hooks = hooks
        self._log = log
        self._tell = tell
        self._ear = AnswerEar()
        self._shown = self._told = NOBODY  # by our ear, and by the carrier
        self._hook_asked = False
        self._turns = 0
        self._text = self._behind = ""
        self._response_id = ""
        self._others = 0
        self._rest_is_due = False  # some of the message was heard, and then the line to the model was lost
        self._look = Deadline(clock, self._listen)
        self._reply = Deadline(clock, self._leave)

    @property
    def waits(self) -> bool:
        """A message waits for its beep: nobody is owed a sound."""
        return self.state is State.WAITING

    def begin(self) -> None:
        """The stream has started: from here on it is listened for who answers."""
        if self.state is State.UNASKED and self._wanted():
            self._to(Event.LISTEN)
            self._caller.ask_who(self._ear, self.on_sign)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """Who answers for us is known now."""
        self._agent = agent
        self.begin()

    def _wanted(self) -> bool:
        outbound = self._context.direction == "outbound"
        asked = self._context.parameters.get("machine") == "1" or self._settings.detect_machines
        return outbound and (asked or "on_machine" in self._agent.hooks)

    def close(self) -> None:
        for deadline in (self._state_deadline, self._look, self._reply):
            deadline.clear()
        self._caller.ask_who(None)

    def summary(self) -> dict[str, Any] | None:
        """For the record; None where nobody asked."""
        if self.state is State.UNASKED:
            return None
        return {
            "verdict": self.verdict or "unknown",
            "at_ms": self.at_ms,
            "source": self.source or None,
            "beep_ms": self.beep_ms,
            "message": self.message or None,
        }

    # --- evidence ---

    def on_sign(self, sign: int) -> None:
        """Our ear has heard something."""
        shown = SIGNS[sign]
        if shown == BEEP:
            self._beeped()
        elif self._shown == NOBODY:
            self._shown = shown
            self._judge(SOUND)

    def carrier_knows(self, verdict: str) -> None:
        if verdict != "unknown":
            self._told = verdict
            self._judge(CARRIER)

    def _beeped(self) -> None:
        if self._clock.now_ms() > 1000 * BEEP_SECONDS or (self._shown == PERSON and self._turns > MAX_TURNS):
            return  # whatever that was, it was no greeting's
        self.beep_ms = self._clock.now_ms()
        events.machine_beep(self._log, hertz=round(self._ear.beep_hz), ms=20 * self._ear.beep_frames)
        self._shown = BEEP
        self._judge(SOUND)
        if self.state is State.WAITING:
            self._speak(BEEP)
        elif self.state is State.SAYING and self._behind != BEEP:
            self._wait()  # it was begun too early: only what is said now is recorded

    def _judge(self, source: str) -> None:
        """All that is known: is it another one than he was taken for?"""
        who = WHO[self._shown, self._told]
        if who == self.verdict:
            return
        events.answered_by(self._log, who, source=source, at_ms=self._clock.now_ms(), before=self.verdict)
        was_machine = self.verdict in (MACHINE, FAX)
        self.verdict, self.source, self.at_ms = who, source, self._clock.now_ms()
        if who == PERSON:
            self._person() if was_machine else self._to(Event.PERSON)
        elif not was_machine:
            self._machine()

    # --- a machine ---

    def _machine(self) -> None:
        self._to(Event.MACHINE)
        self._tell(MachineFound())
        self._session.note("system", FAX_ANSWERED if self.verdict == FAX else MACHINE_ANSWERED)
        if self._hook_asked:
            self._decided(self._text or None)
            return
        self._hook_asked = True
        what = AnsweredBy(self.verdict, (self.at_ms or 0) / 1000, self.source, self.beep_ms is not None)
        self._hooks.emit("on_machine", what, self._decided)

    def _decided(self, wish: Any) -> None:
        """What the agent's hook wants: a message, to hang up, or nothing."""
        if self.state is not State.MACHINE:
            return
        if wish is False or (wish and self.verdict == FAX):
            self._give_way()
            self._to(Event.HEARD)
            self._leave()
        elif isinstance(wish, str) and wish.strip():
            self._text = wish.strip()
            self._wait()

    def _give_way(self) -> None:
        """The machine is let talk, and not answered."""
        self._tell(MachineLetTalk())
        self._caller.lock()

    def _wait(self) -> None:
        """The message is asked for, and kept in the lane until the beep."""
        self._response_id, self._rest_is_due = "", False
        self._give_way()
        self._assistant.hold()
        self._to(Event.MESSAGE)
        self.message = "waiting"
        self._session.note("system", MESSAGE_LEFT)
        self._session.responses.create(PURPOSE, saying(self._text))
        if self.beep_ms is not None:
            self._speak(BEEP)
        else:
            self._look.set(LOOK_SECONDS)

    def _listen(self) -> None:
        """Has it said all, and no beep comes?"""
        if self._ear.quiet_frames * 0.02 >= SILENCE_SECONDS:
            self._speak("silence")
        elif self.state is State.WAITING:
            self._look.set(LOOK_SECONDS)

    def _speak(self, behind: str) -> None:
        if self.state is State.WAITING:
            self._to(Event.SPEAK)
        self._look.clear()
        self.message, self._behind = "saying", behind
        events.machine_message(self._log, f"said behind the {behind}", at_ms=self._clock.now_ms())
        self._caller.unlock()
        self._assistant.resume()

    def _expired(self) -> None:
        if self.state is State.LISTENING:
            self._to(Event.EXPIRED)
            events.answered_by(self._log, "unknown", source=SOUND, at_ms=self._clock.now_ms(), before="")
        elif self.state is State.WAITING:
            self._to(Event.EXPIRED)
            self._speak("deadline")
        elif self.state is State.SAYING:
            self._to(Event.EXPIRED)
            self._leave()

    def response_created(self, response_id: str, purpose: str) -> None:
        if purpose == PURPOSE or (purpose == "continuation" and self._rest_is_due):
            self._response_id = response_id
        elif self.state is State.WAITING:  # the model answers what the machine has said
            self._assistant.refuse()
            self._session.responses.cancel()

    def line_lost(self) -> None:
        """A message that breaks off before the beep is asked for anew, all of it; behind that, the rest of it."""
        responses = self._session.responses
        if not self._response_id or responses.response_id != self._response_id or not responses.running:
            return
        self._response_id = ""
        self._rest_is_due = self.state is State.SAYING
        if self.state is State.WAITING:
            responses.cancel()
            self._assistant.clear()
            self._assistant.hold()
            responses.create(PURPOSE, saying(self._text))

    def transcribed(self, turn: Turn) -> None:
        """Was it the message? A model that streams answers what it has heard of the machine, whatever it was asked."""
        asked = bool(self._response_id) and self.state in (State.WAITING, State.SAYING)
        if self._assistant.gate is None or not asked or turn.response_id != self._response_id or not turn.text:
            return
        if self._rest_is_due or self._others >= MOST_OTHERS:
            return
        is_said = share_of(self._text, turn.text) >= SHARE
        if is_said and (self.state is State.SAYING or letters_before(self._text, turn.text) <= LETTERS_BEFORE):
            return
        self._others += 1
        self._response_id = ""
        events.machine_message(self._log, "not said yet, but something else", at_ms=self._clock.now_ms())
        if self.state is State.WAITING:
            self._assistant.clear()
            self._assistant.hold()
        self._session.responses.create(PURPOSE, replace(saying(self._text), told=not is_said))

    def played(self, response_id: str) -> None:
        if self.state is State.SAYING and response_id == self._response_id:
            self._to(Event.HEARD)
            self.message = "left"
            if self.beep_ms is not None:
                self._leave()
            else:
                self._reply.set(REPLY_SECONDS)

    def _leave(self) -> None:
        self._tell(LeaveAsked(EndReason.ANSWERING_MACHINE, False))

    def give_up(self, reason: str, error: object) -> None:
        """The model is gone: an apology is no message, but it must be heard."""
        if self.state is State.WAITING:
            self._speak("deadline")

    # --- a person after all ---

    def caller_turn(self) -> None:
        """Somebody has taken a turn."""
        self._turns += 1
        self.interrupted()

    def interrupted(self) -> None:
        """Somebody talks over the message, or behind it."""
        if self.state in (State.SAYING, State.LEFT):
            events.answered_by(self._log, PERSON, source=SOUND, at_ms=self._clock.now_ms(), before=self.verdict)
            self.verdict, self.source, self.at_ms = PERSON, SOUND, self._clock.now_ms()
            self._shown = PERSON
            self._person()

    def _person(self) -> None:
        """What was begun for a machine is taken back."""
        waited = self.state is State.WAITING
        if self.message in ("waiting", "saying"):
            self.message = "taken_back"
        self._to(Event.PERSON)
        self._look.clear()
        self._reply.clear()
        self._session.note("system", PERSON_AFTER_ALL)
        self._tell(PersonFound())
        if waited:
            self._session.responses.give_way()
            self._assistant.clear()
            self._caller.unlock()
            self._session.responses.create("person", Wish(PERSON_AFTER_ALL))
