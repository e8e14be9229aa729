"""fastbridge: put a speech AI on your phone line.

Bridges Twilio Media Streams to the OpenAI Realtime API, hundreds of calls on one core. What a user writes is an
`Agent`; everything else is `fastbridge serve`. Importing this package is cheap: names are loaded when used, and
`fastbridge.logging` needs nothing but the standard library.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastbridge.agent import Agent, CallContext, Tool

__all__ = ["Agent", "CallContext", "Tool"]


def require_compiled() -> None:
    """ImportError where the package was not installed, only unpacked."""
    if find_spec("fastbridge._caller") is None:
        raise ImportError(
            "fastbridge's compiled modules are missing: install it with `pip install .`, which needs a C compiler and "
            "the Python headers."
        )


def __getattr__(name: str) -> object:
    if name in __all__:
        require_compiled()
        from fastbridge import agent

        return getattr(agent, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
