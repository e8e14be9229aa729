"""A node that counts the Python functions it calls, second by second: `python counted_node.py OUT.json`.

Of the loop's thread, the libraries' too. What is compiled is not seen: that is the point.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType

from fastbridge.cli import main

seconds: defaultdict[int, Counter[str]] = defaultdict(Counter)
names: dict[object, str] = {}


def count(frame: FrameType, event: str, argument: object) -> None:
    if event == "call":
        code = frame.f_code
        name = names.get(code)
        if name is None:
            name = names[code] = f"{Path(code.co_filename).stem}.{code.co_qualname}"
        seconds[int(time.monotonic())][name] += 1


if __name__ == "__main__":
    out = Path(sys.argv.pop())
    sys.argv.append("serve")
    sys.setprofile(count)
    try:
        main()
    finally:
        sys.setprofile(None)
        out.write_text(json.dumps([seconds[second] for second in sorted(seconds)]))
