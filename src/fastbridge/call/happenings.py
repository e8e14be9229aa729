"""What happens in a call beside what its model and its carrier tell: events, each with its fields.

Who is told of one, and in which order, is in `order`.
"""

from typing import NamedTuple

from fastbridge.agent.definition import Agent, CallContext
from fastbridge.config import Settings
from fastbridge.errors import ModelError


class AgentKnown(NamedTuple):
    """Who answers is known. settings: the call's, with what he changes of them."""

    agent: Agent
    context: CallContext
    settings: Settings


class Beginning(NamedTuple):
    """The stream has started, and both lanes run."""


class Second(NamedTuple):
    """Another second has passed."""


class FirstDelta(NamedTuple):
    """The first audio of a response has come."""

    response_id: str


class FirstFrame(NamedTuple):
    """The first frame of a response has left."""

    response_id: str


class Played(NamedTuple):
    """The carrier has played a response to its end."""

    response_id: str


class RingFull(NamedTuple):
    """The assistant's ring is full, or half empty again."""

    full: bool


class NoMulaw(NamedTuple):
    """What the model speaks in this item is not in the format agreed on."""

    item_id: str


class Interrupted(NamedTuple):
    """The caller has interrupted the assistant."""


class SpeechIsOver(NamedTuple):
    """The caller has stopped, or whatever the model said of it counts no more."""


class WaitChanged(NamedTuple):
    """Something that the caller waits for has changed, and has been so for `late_seconds`."""

    late_seconds: float


class AnswerOwed(NamedTuple):
    """An answer is to come, and is seen to: the caller waits for it."""


class TurnTaken(NamedTuple):
    """The caller's turn was ended for the model, which had not told its end."""


class TurnUnnoticed(NamedTuple):
    """The model has read what was said, and tells of nobody in it. why: what is counted."""

    why: str


class TurnUnheard(NamedTuple):
    """The caller has spoken, and the model says nothing, of that or of anything."""


class NothingHeard(NamedTuple):
    """The model has listened, and there was no speech."""


class SessionUseless(NamedTuple):
    """This session is no good any more, whatever its socket says."""

    message: str
    code: str


class ModelHopeless(NamedTuple):
    """No other session would be any better."""

    error: ModelError


class ToolLoop(NamedTuple):
    """The model was asked for words, and calls tools on."""


class FillerDue(NamedTuple):
    """The caller has waited long enough. in_row: how many fillers came before, in this wait."""

    cause: str
    in_row: int
    silent_ms: int


class RecordingDue(NamedTuple):
    """The same, where a recording is wanted."""

    cause: str
    in_row: int
    silent_ms: int


class RecordingPlays(NamedTuple):
    """It is in the lane."""

    cause: str
    silent_ms: int


class ConsentGiven(NamedTuple):
    """The caller agrees to be recorded."""


class PrivacyAsked(NamedTuple):
    """What the caller says from now on is private: nobody is to record it."""


class RecordingHushed(NamedTuple):
    """The carrier records nothing of it. quiet: False where it may."""

    quiet: bool


class PrivacyOver(NamedTuple):
    """It is not private any more."""


class CallerTypes(NamedTuple):
    """The caller answers with the keys: nothing that a noise does."""


class CutShort(NamedTuple):
    """What is being said is said no further. why: in a word, for the books."""

    why: str


class MachineFound(NamedTuple):
    """A machine has answered: nobody is asked whether he is still there."""


class MachineLetTalk(NamedTuple):
    """It is let talk: what is being said is said no more, and what it says is not answered."""


class PersonFound(NamedTuple):
    """It was a person after all."""


class CheaperModelWanted(NamedTuple):
    """The call is to go on with this model, from the next moment in which nobody hears the change."""

    model: str


class CheaperModelNow(NamedTuple):
    """The money for the one in use is spent: the call is to go on with the cheaper one, if its session stands ready."""


class LastWord(NamedTuple):
    """The line is hopeless: what is said now is said to the end, and nobody is listened to any more."""


class LeaveAsked(NamedTuple):
    """Hang up when all was heard. firm: nothing takes it back."""

    reason: str
    firm: bool


class LeaveNow(NamedTuple):
    """Nothing is waited for any more, heard or not. reason: why the call ends, where it is not transferred."""

    reason: str


class LeaveTakenBack(NamedTuple):
    """The caller had something to say: the call goes on."""


class EndCall(NamedTuple):
    reason: str


class Ending(NamedTuple):
    """The call is over; the lanes still know what was heard."""
