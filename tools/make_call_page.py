"""Writes docs/call.md: what happens in a call, who is told of it in which order, and the state machines, from the code.

    python tools/make_call_page.py

A test holds the page to what this makes.
"""

import importlib
import inspect
from pathlib import Path
from typing import Any, get_type_hints

from fastbridge.call.order import TABLE
from fastbridge.call.parts import Parts

PAGE = Path(__file__).parents[1] / "docs" / "call.md"
MACHINES = {
    "call.barge_in": "An interruption",
    "call.hangup": "Leaving",
    "call.idle": "Silence",
    "call.privacy": "What is private",
    "call.carrier_recording": "The carrier's recording",
    "call.transfer_states": "A warm transfer",
    "call.fallback": "The end, where the model has failed",
    "model.line": "The line to the model",
    "model.renewal": "A session's successor",
    "model.response_states": "The response under way",
    "model.floor": "Whose turn it is to speak",
    "model.realtime.function_calls": "A function call",
    "model.live.caller_turns": "A turn of the caller's, read out of fragments",
}
HEAD = """# A call, drawn

Made from the code by `python tools/make_call_page.py`. Why it is so:
[architecture.md](architecture.md#the-parts-of-a-call).

## Who is told what

Each row is an event, and who is told of it, one after the other, at once. A part that throws is booked to the call, and
the others are told all the same. It is `call/order.py`; the events are in `call/happenings.py`, `model/port.py` and
`carrier/port.py`.

| what happens | who is told, in this order |
|---|---|
"""


def page() -> str:
    rows = [f"| `{shown(event)}` | {', '.join(f'`{name}`' for name in names(event))} |" for event in TABLE]
    parts = [f"| `{name}` | `{module_of(kind)}` | {first_sentence(kind)} |" for name, kind in told().items()]
    drawn = [drawing(module, title) for module, title in MACHINES.items()]
    whose = ["\n## Whose names these are\n", "| name | module | what it is for |", "|---|---|---|", *parts]
    states = "\n## States\n\nWhat is in brackets is how long a state may last.\n"
    return HEAD + "\n".join([*rows, *whose, states, *drawn])


def shown(event: type) -> str:
    fields = ", ".join(getattr(event, "_fields", ()))
    return f"{event.__name__}({fields})" if fields else event.__name__


def names(event: type) -> list[str]:
    return [f"{part}.{method}" if part else f"the call's {method}" for part, method in TABLE[event]]


def told() -> dict[str, type]:
    kinds = get_type_hints(Parts)
    used = {part for row in TABLE.values() for part, _ in row if part}
    return {name: kinds[name] for name in sorted(used)}


def module_of(kind: type) -> str:
    path = kind.__module__.removeprefix("fastbridge.").replace(".", "/")
    return path if path.startswith("_") else f"{path}.py"


def first_sentence(kind: type) -> str:
    """Of its module: what a part is for is said there."""
    text = " ".join((inspect.getdoc(importlib.import_module(kind.__module__)) or "").split())
    return text.split(". ")[0].rstrip(".").replace("|", "\\|") + "."


def drawing(module_name: str, title: str) -> str:
    module: Any = importlib.import_module(f"fastbridge.{module_name}")
    deadlines = getattr(module, "DEADLINES_SECONDS", {})
    start = next(iter(module.TRANSITIONS))
    lines = [f"    [*] --> {start}"]
    lines += [f"    {state} : {state} ({deadlines[state]:g} s)" for state in module.TRANSITIONS if state in deadlines]
    for state, row in module.TRANSITIONS.items():
        targets: dict[str, list[str]] = {}
        for event, target in row.items():
            targets.setdefault(str(target), []).append(str(event))
        lines += [f"    {state} --> {target} : {', '.join(events)}" for target, events in targets.items()]
    body = "\n".join(lines)
    return f"\n### {title} (`{module_name.replace('.', '/')}.py`)\n\n```mermaid\nstateDiagram-v2\n{body}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
