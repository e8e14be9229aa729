"""The vocabulary of the log beside that of calls: what an operator must know of the node, its port and its machine.

As in `events`: a function a line, and `docs/logging.md` shows it.
"""

import logging

from fastbridge.logging import event

Field = str | int


def _warn(text: str, **fields: Field) -> None:
    event("NODE", text, level=logging.WARNING, stacklevel=3, **fields)


def crowded(what: str, *, reason: str, more: int, connections: int, address: str) -> None:
    """There are too many connections. what: became of one; more: that many since this was said last."""
    text = f"too many connections: {what}"
    _warn(text, reason=reason, more=more, connections=connections, address=address)


def too_few_descriptors(calls: int, *, needed: int, limit: int) -> None:
    """The limit of open files is below what the configured calls need."""
    text = f"{calls} calls may need {needed} file descriptors: raise the limit (ulimit -n) or lower FASTBRIDGE_MAX_CALLS"
    _warn(text, limit=limit)
