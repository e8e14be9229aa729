"""File descriptors: how many this process may have, and how many of them are for the public port.

A call takes two, its stream's and its model's, and a third while its session is renewed. Without a descriptor nothing
can be accepted, so there are never more connections than there is room for.
"""

import contextlib
from typing import TYPE_CHECKING

from fastbridge.observe import notices

if TYPE_CHECKING:
    from fastbridge.config import Settings

try:
    import resource
except ImportError:  # not on this system: what it says is not known
    resource = None  # type: ignore[assignment]

OWN = 64
"""Files, the log, the database, the loop's and the metrics'."""
PER_CALL = 3
REQUESTS = 1000
"""Connections without a stream, beside `max_connections` with one."""
UNKNOWN_LIMIT = 1024


def limit() -> int:
    """How many descriptors this process may have."""
    if resource is None:
        return UNKNOWN_LIMIT
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 1 << 30


def raise_limit() -> int:
    """As many as there may be without asking anybody; how many that is."""
    if resource is not None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with contextlib.suppress(ValueError, OSError):  # a system may have another limit below "unlimited"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def connections(settings: "Settings", descriptors: int) -> int:
    """The budget of the public port: beside it there is room for the model's sockets of as many calls."""
    left = descriptors - OWN
    return max(8, min(settings.max_connections + REQUESTS, max(left // 2, left - (PER_CALL - 1) * settings.max_calls)))


def prepare(calls: int) -> None:
    """Raise the limit, and say so if so many calls do not fit below it."""
    descriptors, needed = raise_limit(), OWN + PER_CALL * calls
    if needed > descriptors:
        notices.too_few_descriptors(calls, needed=needed, limit=descriptors)
