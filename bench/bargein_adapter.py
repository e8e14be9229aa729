"""The compiled barge-in detector behind the interface of a frame-by-frame evaluator: `bargein_adapter:factory`.

A factory gives an object with reset(), before every call, and push(caller, assistant) -> bool for every 20 ms frame:
160 bytes of the caller's mu-law, and those that he hears in the same 20 ms, or None while nothing plays. push is True
on the frame of an edge. `factory` has the defaults, five frames in a row; `factory_best` the setting that scored best.
"""

import sys
from pathlib import Path

try:
    from fastbridge._bargein import Detector
except ModuleNotFoundError:  # not installed: a source tree with the modules compiled in place
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
    from fastbridge._bargein import Detector


class Adapter:
    def __init__(self, **settings: float) -> None:
        self.detector = Detector(**settings)  # type: ignore[arg-type]

    def reset(self) -> None:
        self.detector.reset()

    def push(self, caller: bytes, assistant: bytes | None) -> bool:
        return self.detector.feed(caller, assistant)


def factory() -> Adapter:
    return Adapter()


def factory_best() -> Adapter:
    return Adapter(frames=3)
