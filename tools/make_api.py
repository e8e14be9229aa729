"""Writes docs/api.md: what of the package is public, from the code itself.

    python tools/make_api.py

A test holds the page to what this makes.
"""

import importlib
import inspect
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
PUBLIC: dict[str, list[str] | None] = {
    "fastbridge": None,
    "fastbridge.sim": None,
    "fastbridge.testing": None,
    "fastbridge.sim.ear": ["audible", "silences", "sounds", "waits"],
    "fastbridge.sim.audio": ["read_wav", "speech", "write_wav_stereo"],
    "fastbridge.sim.disruption": ["Change", "Drop", "Jitter", "Lose", "Postpone", "Reject", "Repeat", "Send", "Stall"],
    "fastbridge.logging": None,
}
"""By module; None: what its `__all__` has."""
WITH_METHODS = {
    *("Agent", "CallContext", "CallReport", "ModelServer", "NodeProcess", "PlainNode", "CarrierApi", "VirtualCall")
}
THE_NODES_OWN = {
    *("all_tools", "advice", "for_call", "filled", "in_language", "call_settings", "answers", "knows_business"),
    *("names", "variants", "knows_name", "asks_consent"),
    *("jobs", "dial", "close", "clock_ms", "now_ms", "respond", "connections"),
    *("destination", "destination_name", "journal", "take", "intervals", "wrong_sizes"),
}
"""Methods that the node calls, or its own tests."""
HEAD = """# What is public

Made from the code by `python tools/make_api.py`. What is listed here stays, or the changelog says that it changed;
every other module and name is the node's own. A name's whole text: `help(fastbridge.Agent)`. The faults of
`fastbridge.sim.faults` are in [Testing your agent](testing-your-agent.md#what-there-is), pytest's fixtures
[there, too](testing-your-agent.md#a-call-in-a-test).
"""


def page() -> str:
    return "\n".join([HEAD, *(section(name, names) for name, names in PUBLIC.items())])


def section(module_name: str, names: list[str] | None) -> str:
    module = importlib.import_module(module_name)
    lines = [f"## {module_name}", "", "| name | what it is |", "|---|---|"]
    for name in names if names is not None else module.__all__:
        value = getattr(module, name)
        lines.append(row(call(name, value), value))
        if name in WITH_METHODS:
            lines += [row(f".{call(each, method)}", method) for each, method in methods(value)]
    return "\n".join([*lines, ""])


def row(shown: str, value: Any) -> str:
    return f"| `{shown}` | {first_sentence(value)} |"


def methods(cls: type) -> list[tuple[str, Any]]:
    """Those with a text of their own, in the order of the code; its own, then those of what it is made of."""
    ours = [each for each in cls.__mro__ if each.__module__.startswith("fastbridge.")]
    all_members = {name: value for each in reversed(ours) for name, value in vars(each).items()}
    own_first = dict.fromkeys(name for each in ours for name in vars(each))
    members = [(name, all_members[name]) for name in own_first if name[0] != "_" and name not in THE_NODES_OWN]
    return [(name, value) for name, value in members if described(value)]


def described(value: Any) -> bool:
    return (inspect.isfunction(value) or hasattr(value, "fget") or hasattr(value, "attrname")) and bool(value.__doc__)


def call(name: str, value: Any) -> str:
    """`waits(said, heard, over_ms, greeted)`: by the parameters' names."""
    if not inspect.isfunction(value):
        return name
    return f"{name}({', '.join(each for each in inspect.signature(value).parameters if each != 'self')})"


def first_sentence(value: Any) -> str:
    if isinstance(value, (tuple, list, str)):
        return "a constant"
    if inspect.ismodule(value):
        return (inspect.getdoc(value) or "").partition("\n")[0].partition(". ")[0].rstrip(".") + "."
    text = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())
    return (text.partition(". ")[0].rstrip(".:") + ".").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
