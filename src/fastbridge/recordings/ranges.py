"""Which bytes of a file a request wants, by RFC 9110, section 14. Pure.

One range is served; what is no range, or several, gets the whole, as the standard lets a server do.
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

_ONE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*\Z", re.ASCII | re.IGNORECASE)


class Span(NamedTuple):
    """Bytes from `start` up to, without, `end`."""

    start: int
    end: int


class UnsatisfiableError(Exception):
    """A range that lies behind the end: 416."""


def wanted(given: str | None, size: int) -> Span | None:
    """None for the whole. UnsatisfiableError."""
    found = _ONE.match(given or "")
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:  # the last so many
        return _within(max(size - int(found[2]), 0), size, size) if int(found[2]) else _within(size, size, size)
    start = int(found[1])
    end = int(found[2]) + 1 if found[2] else size
    return None if end <= start and found[2] else _within(start, end, size)


def _within(start: int, end: int, size: int) -> Span:
    if start >= size:
        raise UnsatisfiableError
    return Span(start, min(end, size))


def still(if_range: str | None, etag: str, changed: datetime) -> bool:
    """Whether the file is the one that a range is asked of: by its strong ETag, or by the second of its change."""
    return if_range is None or if_range.strip() in (etag, http_date(changed))


def known(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has it."""
    given = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return "*" in given or etag in given


def http_date(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC), usegmt=True)
