"""The two implementations of each contract: the pure-Python oracle and the compiled module."""

import importlib
from types import ModuleType

MODULES = (
    *("mulaw", "framing", "websocket", "pacing", "playout", "dsp", "bargein", "assistant", "caller", "answering"),
    *("measure", "peer", "pcm", "tape", "livegate", "jitter"),
)


class Twin:
    """All modules of one twin: what a test builds from them must not be mixed.

    A compiled module that is missing is an error, not a skip: without it there is no product.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __getattr__(self, name: str) -> ModuleType:
        if name not in MODULES:
            raise AttributeError(name)
        return importlib.import_module(f"oracle.{name}" if self.kind == "oracle" else f"fastbridge._{name}")
