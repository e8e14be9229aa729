"""fastbridge: put a speech AI on your phone line.

Bridges Twilio Media Streams to the OpenAI Realtime API, hundreds of calls on one core. What a user writes is

    Agent         who answers: its words, its voice, its tools and hooks
    AnsweredBy    what `on_machine` is told: a machine has answered a call out
    CallContext   the call that a tool or hook serves: who is calling, and what can be done to the call
    JobRun        one run of an `@agent.job`: its key, and the how manieth it is
    Tool          a function that the model may call, where more is to be said of it than its signature does
    Turn          what `on_transcript` is told: who said what
    Record        what `on_end` is told: the document that is kept of a call

and everything else is `fastbridge serve my_agent:agent`. For tests there is `fastbridge.sim`, for the log of another
service `fastbridge.logging`; docs/api.md lists what is public. The other modules are the node's own.

Importing this package is cheap: names are loaded when used, and `fastbridge.logging` needs nothing but the standard
library.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastbridge.agent import Agent, AnsweredBy, CallContext, JobRun, Tool
    from fastbridge.base.conversation import Turn
    from fastbridge.call.record import Record

    __version__: str

__all__ = ["Agent", "AnsweredBy", "CallContext", "JobRun", "Record", "Tool", "Turn"]
_MODULES = {
    "Agent": "agent",
    "AnsweredBy": "agent",
    "CallContext": "agent",
    "JobRun": "agent",
    "Record": "call.record",
    "Tool": "agent",
    "Turn": "base.conversation",
}


def require_compiled() -> None:
    """ImportError where the package was not installed, only unpacked."""
    if find_spec("fastbridge._caller") is None:
        raise ImportError(
            "fastbridge's compiled modules are missing: install it with `pip install .`, which needs a C compiler and "
            "the Python headers."
        )


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("fastbridge")
    if name in _MODULES:
        require_compiled()
        from importlib import import_module

        return getattr(import_module(f"fastbridge.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
