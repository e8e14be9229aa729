"""The list of a campaign and what came of it, as CSV: read whole and checked before anybody is called."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from datetime import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from fastbridge.errors import ConfigError, NotInstalledError
from fastbridge.outbound.campaign import Callee, Hours, Retry
from fastbridge.outbound.requests import CallRequest, faults

RESULTS = ("to", "outcome", "tries", "call_sid", "id", "duration_seconds", "answered_by", "reason", "ended_at")
MAX_FAULTS = 5
"""Lines that are complained of at once."""
_COMMON = ("from", "business_id", "agent")
_COLUMNS = {"to", "time_zone", *_COMMON}
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_RETRY = re.compile(r"(busy|no-answer|failed|canceled):(\d{1,2}):(\d{1,6})")


def read_callees(path: Path, *, common: dict[str, Any], with_zones: bool) -> list[Callee]:
    """Everybody in the list. common: what is asked for all of them. Each number once. ConfigError: a sentence that
    names the lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if "to" not in (reader.fieldnames or ()):
                raise ConfigError(f"{path}: the first line must name the columns, one of them `to`.")
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as CSV in UTF-8: {error}.") from None
    found: dict[str, Callee] = {}
    wrong: list[str] = []
    for number, row in enumerate(rows, 2):
        try:
            callee = _callee(row, common, with_zones=with_zones)
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
            continue
        found.setdefault(callee.to, callee)
    if wrong:
        more = f" … and {len(wrong) - MAX_FAULTS} more" if len(wrong) > MAX_FAULTS else ""
        raise ConfigError(f"{path}: {'; '.join(wrong[:MAX_FAULTS])}{more}.")
    if not found:
        raise ConfigError(f"{path} names nobody to call.")
    return list(found.values())


def _callee(row: dict[str, Any], common: dict[str, Any], *, with_zones: bool) -> Callee:
    """ValueError, in words, for a row that cannot be called."""
    given = {name: value.strip() for name, value in row.items() if isinstance(value, str) and value.strip() and name}
    if None in row:
        raise ValueError("it has more fields than the first line names")
    request: dict[str, Any] = {**common, **{name: given[name] for name in _COMMON if name in given}}
    parameters = {name: value for name, value in given.items() if name not in _COLUMNS}
    if parameters:
        request["parameters"] = {**common.get("parameters", {}), **parameters}
    try:
        CallRequest.model_validate({**request, "to": given.get("to", "")})
    except ValidationError as error:
        first = faults(error)[0]
        raise ValueError(f"{first['field']} {first['problem']}") from None
    zones = _zones(given["to"], given.get("time_zone")) if with_zones else ()
    return Callee(given["to"], request, zones)


def _zones(number: str, named: str | None) -> Sequence[ZoneInfo]:
    """Where this number may be: what the list says, or all that its digits allow."""
    names = [named] if named is not None else list(_zone_names(number))
    try:
        return [ZoneInfo(name) for name in names]
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"time_zone {named!r} is none: write it as Europe/Berlin") from None


def _zone_names(number: str) -> Iterator[str]:
    try:
        import phonenumbers
        from phonenumbers import timezone
    except ModuleNotFoundError:
        raise NotInstalledError(
            "To know the hours of those who are called: pip install 'fastbridge[campaign]', give the list a column "
            "time_zone, or say --hours any."
        ) from None
    try:
        names = timezone.time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        names = ()
    if names in ((), (timezone.UNKNOWN_TIMEZONE,)):
        raise ValueError("its number tells no time zone: give the list a column time_zone")
    yield from names


def parse_hours(text: str) -> Hours | None:
    """`08:00-21:00`, or `any`. ConfigError for anything else."""
    if text == "any":
        return None
    found = _HOURS.fullmatch(text)
    try:
        since, until = (time(int(found[at]), int(found[at + 1])) for at in (1, 3)) if found else (None, None)
    except ValueError:
        since = until = None
    if since is None or until is None or since == until:
        raise ConfigError(f"--hours must be as 08:00-21:00, or any, not {text!r}.")
    return Hours(since, until)


def parse_retries(given: Sequence[str]) -> dict[str, Retry]:
    """`busy:2:300`: a busy line is tried twice again, each time 300 s later. ConfigError for anything else."""
    retries = {}
    for text in given:
        found = _RETRY.fullmatch(text)
        if found is None:
            raise ConfigError(f"--retry must be OUTCOME:TIMES:SECONDS, such as busy:2:300, not {text!r}.")
        retries[found[1]] = Retry(int(found[2]), float(found[3]))
    return retries


def write_results(path: Path, callees: Sequence[Callee]) -> None:
    """A line each, in the list's order; whole or not at all, for its owner's eyes."""
    unfinished = path.with_name(f"{path.name}.tmp")
    file = os.open(unfinished, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with open(file, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, RESULTS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(_result(callee) for callee in callees)
    os.replace(unfinished, path)


def _result(callee: Callee) -> dict[str, Any]:
    call = callee.call or {}
    outcome = callee.outcome or ("under way" if callee.under_way else "waiting")
    reason = callee.reason or call.get("reason") or ""
    return {**call, "to": callee.to, "outcome": outcome, "tries": callee.tries, "reason": reason}
