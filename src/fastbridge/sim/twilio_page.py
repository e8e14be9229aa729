"""Lists of the REST API: which of them, and which page of those."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_reply import BAD_REQUEST, Reply, bad

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000
PAGING = frozenset({"PageSize", "Page", "PageToken"})
_DAY = timedelta(days=1)


def filters(request: Request, known: set[str]) -> dict[str, str]:
    """What the query asks for, paging aside. RefusedError for a filter that there is not."""
    for name in request.query:
        if name not in known | PAGING:
            raise bad(BAD_REQUEST, f"Unknown filter {name}")
    return {name: values[-1] for name, values in request.query.items() if name not in PAGING}


def page(request: Request, name: str, items: Sequence[dict[str, object]]) -> Reply:
    """The page that the query names, under `name`."""
    size, number = _whole(request, "PageSize", PAGE_SIZE, 1), _whole(request, "Page", 0, 0)
    size = min(size, MAX_PAGE_SIZE)
    start = size * number
    shown = items[start : start + size]
    more = start + size < len(items)
    return Reply(
        200,
        {
            name: shown,
            "page": number,
            "page_size": size,
            "start": start,
            "end": max(start, start + len(shown) - 1),
            "uri": _uri(request, number, size),
            "first_page_uri": _uri(request, 0, size),
            "next_page_uri": _uri(request, number + 1, size) if more else None,
            "previous_page_uri": _uri(request, number - 1, size) if number else None,
        },
    )


def _uri(request: Request, number: int, size: int) -> str:
    own = [(name, value) for name, values in request.query.items() if name not in PAGING for value in values]
    token = [("PageToken", f"PA{number}")] if number else []
    return f"{request.path}?{urlencode([*own, ('PageSize', size), ('Page', number), *token])}"


def _whole(request: Request, name: str, default: int, low: int) -> int:
    value = request.query.get(name, [str(default)])[-1]
    if not (value.isascii() and value.isdigit()) or int(value) < low:
        raise bad(BAD_REQUEST, f"Invalid {name}: {value[:20]}")
    return int(value)


def within(moment: float | None, name: str, wanted: Mapping[str, str]) -> bool:
    """Whether a time is what `name` (that day), `name>` (from) and `name<` (until) ask for."""
    bounds = {sign: _instant(wanted[name + sign]) for sign in ("", ">", "<") if name + sign in wanted}
    if moment is None:
        return not bounds
    at = datetime.fromtimestamp(moment, UTC)
    day, least, most = bounds.get("", at), bounds.get(">", at), bounds.get("<", at)
    return day <= at < day + _DAY and least <= at <= most


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad(BAD_REQUEST, f"Invalid date: {text[:40]}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
