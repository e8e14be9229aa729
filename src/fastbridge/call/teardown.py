"""Teardown: a call that is over is taken apart, and so are its sockets, that their memory is free at once.

The parts of a call know each other in circles, which only the garbage collector would find; and to look through all
live calls for the remains of a few is a stall that every caller hears of. So, when nothing of an ended call can be
running any more, each of its parts forgets what it knew, and reference counts do the rest.
"""

from typing import Any

from fastbridge.agent.hooks import Hooks
from fastbridge.agent.lookup import Lookup
from fastbridge.agent.tools import ToolRunner
from fastbridge.base.clock import Deadline
from fastbridge.call.answered_by import WhoAnswered
from fastbridge.call.answering import Answering
from fastbridge.call.answers import Answers
from fastbridge.call.barge_in import BargeIn
from fastbridge.call.books import Books
from fastbridge.call.call import Call
from fastbridge.call.dead_air import DeadAir
from fastbridge.call.dtmf import Keys
from fastbridge.call.facts import Facts
from fastbridge.call.fallback import Fallback
from fastbridge.call.format_watch import FormatWatch
from fastbridge.call.greeting import Greeting
from fastbridge.call.hangup import Departure
from fastbridge.call.hold_tone import HoldTone
from fastbridge.call.idle import Silence
from fastbridge.call.media_gap import MediaGap
from fastbridge.call.order import Dispatcher
from fastbridge.call.time_limit import TimeLimit
from fastbridge.call.tool_calls import ToolCalls
from fastbridge.call.tool_filler import ToolFiller
from fastbridge.call.transcripts import Transcripts
from fastbridge.call.transfers import Transfers
from fastbridge.call.turns import Turns
from fastbridge.call.upload_watch import UploadWatch
from fastbridge.call.warm_transfer import WarmTransfer
from fastbridge.carrier.watch import CarrierWatch
from fastbridge.model.attempt import Attempt
from fastbridge.model.floor import Floor
from fastbridge.model.line import ModelLine
from fastbridge.model.live.caller_turns import CallerTurns
from fastbridge.model.live.connected import Connected
from fastbridge.model.live.delegation import Delegation
from fastbridge.model.live.opening import Opening as LiveOpening
from fastbridge.model.live.spoken import Spoken
from fastbridge.model.live.stream_watch import StreamWatch
from fastbridge.model.realtime.handshake import Opening
from fastbridge.model.realtime.session import Session
from fastbridge.model.realtime.trace import Trace
from fastbridge.model.renewal import Renewal
from fastbridge.model.responses import ResponseControl

TEARDOWN_SECONDS = 40.0
"""After a call's end: longer than any tool or request that it may have left behind."""
PARTS = (
    Answering, Answers, Attempt, BargeIn, Books, Call, CallerTurns, CarrierWatch, Connected, DeadAir, Deadline,
    Delegation, Departure, Dispatcher, Facts, Fallback, Floor, FormatWatch, Greeting, HoldTone, Hooks, Keys,
    LiveOpening, Lookup, MediaGap, ModelLine, Opening, Renewal, ResponseControl, Session, Silence, Spoken, StreamWatch,
    TimeLimit, ToolCalls, ToolFiller, ToolRunner, Trace, Transcripts, Transfers, Turns, UploadWatch, WarmTransfer,
    WhoAnswered,
)  # fmt: skip
"""What belongs to one call alone."""


def take_apart(*parts: object) -> None:
    """What a closed socket was, of ours, the library's and the SDK's: they know each other, or themselves."""
    for part in parts:
        vars(part).clear()


def dismantle(call: Call) -> None:
    """Nobody may use this call, or a part of it, after this."""
    waiting: list[Any] = [call]
    while waiting:
        part = waiting.pop()
        known = list(vars(part).values())
        vars(part).clear()
        waiting += [each for each in known if isinstance(each, PARTS) and vars(each)]
