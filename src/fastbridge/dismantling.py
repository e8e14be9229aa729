"""A call that is over is taken apart, and so are its sockets, that their memory is free at once.

The parts of a call know each other in circles, which only the garbage collector would find; and to look through all
live calls for the remains of a few is a stall that every caller hears of. So, when nothing of an ended call can be
running any more, each of its parts forgets what it knew, and reference counts do the rest.
"""

from typing import Any

from fastbridge.answers import Answers
from fastbridge.attempt import Attempt
from fastbridge.call import Call
from fastbridge.carrier_watch import CarrierWatch
from fastbridge.clock import Deadline
from fastbridge.conduct import Conduct
from fastbridge.departure import Departure
from fastbridge.facts import Facts
from fastbridge.filler import Filler
from fastbridge.greeting import Greeting
from fastbridge.hearing import Hearing
from fastbridge.hooks import Hooks
from fastbridge.interruption import Interruption
from fastbridge.keys import Keys
from fastbridge.ladder import Ladder
from fastbridge.lookup import Lookup
from fastbridge.model_line import ModelLine
from fastbridge.opening import Opening
from fastbridge.realtime import Session
from fastbridge.renewal import Renewal
from fastbridge.responses import ResponseController
from fastbridge.said import Said
from fastbridge.silence import Silence
from fastbridge.tools import ToolRunner
from fastbridge.trace import Trace
from fastbridge.waiting import Waiting

SECONDS = 40.0
"""After a call's end: longer than any tool or request that it may have left behind."""
PARTS = (
    Answers, Attempt, Call, CarrierWatch, Conduct, Deadline, Departure, Facts, Filler, Greeting, Hearing, Hooks,
    Interruption, Keys, Ladder, Lookup, ModelLine, Opening, Renewal, ResponseController, Said, Session, Silence,
    ToolRunner, Trace, Waiting,
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
