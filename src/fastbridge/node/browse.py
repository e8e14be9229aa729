"""`fastbridge calls`: what the store knows, as tables for people or JSON for programs. Reads only.

Texts in a record are peers' words: they are escaped before a terminal sees them.
"""

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fastbridge.errors import ConfigError
from fastbridge.observe.log_format import escape
from fastbridge.store import records as store
from fastbridge.store.database import NO_DATABASE, shown_url

NO_STORE = "Call records are not kept in a database: DATABASE_URL is none."


def show_calls(url: str, *, limit: int, business_id: str | None = None, as_json: bool = False) -> None:
    """The latest calls, the newest first. ConfigError, in one sentence, if they cannot be read."""
    rows = _rows(url, limit, business_id)
    if as_json:
        print(json.dumps(rows, indent=2))
    elif not rows:
        print(f"No calls are recorded yet in {shown_url(url)}.")
    else:
        _console().print(_calls_table(rows))


def show_call(url: str, call_sid: str, *, as_json: bool = False) -> None:
    """One call, by its sid or the beginning of it. ConfigError if there is none, or more than one."""
    if url == NO_DATABASE:
        raise ConfigError(NO_STORE)
    with store.reading(url) as connection:
        found = store.find(connection, call_sid) if connection is not None else []
    sids = {record["call_sid"] for record in found}
    if not found:
        raise ConfigError(f"There is no call {call_sid!r} in {shown_url(url)}.")
    if len(sids) > 1:
        raise ConfigError(f"More than one call begins with {call_sid!r}: give more of the sid.")
    if as_json:
        print(json.dumps(found[0], indent=2))
        return
    console = _console()
    for part in _call_tables(found[0]):
        console.print(part)


def _rows(url: str, limit: int, business_id: str | None) -> list[dict[str, Any]]:
    if url == NO_DATABASE:
        raise ConfigError(NO_STORE)
    with store.reading(url) as connection:
        return store.latest(connection, limit, business_id=business_id) if connection is not None else []


def _console() -> Console:
    # A file or a pipe has no width: none of a sid may be cut there.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def _calls_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("started", "call sid", "", "caller", "length", "turns", "barge-ins", "cost", "end", box=None)
    for row in rows:
        cells = (
            str(row["started_at"])[:19].replace("T", " "),
            row["call_sid"],
            {"inbound": "in", "outbound": "out"}.get(row["direction"], row["direction"]),
            row["caller"],
            _length(row["duration_ms"]),
            row["turns"],
            row["barge_ins"],
            _dollars(row["cost_usd"]),
            row["end_reason"],
        )
        table.add_row(*map(_cell, cells))
    return table


def _call_tables(record: dict[str, Any]) -> list[Table | Text]:
    parts: list[Table | Text] = [_facts(record)]
    if record["turns"]:
        turns = Table("", "turn", "heard", box=None, title="conversation", title_justify="left")
        for turn in record["turns"]:
            text = turn["text"] if turn["text"] is not None else f"({turn.get('characters', 0)} characters)"
            text = "(not written down)" if turn.get("failed") else text
            heard = f"{turn['heard_ms']} ms" if turn["heard_ms"] is not None else ""
            turns.add_row(_cell(turn["role"]), _cell(text), _cell(heard))
        parts += [Text(), turns]
    for title, rows in (("interruptions", record["barge_ins"]), ("tools", record["tools"])):
        if rows:
            names = list(
                dict.fromkeys(name for row in rows for name, value in row.items() if not isinstance(value, list))
            )
            table = Table(*names, box=None, title=title, title_justify="left")
            for row in rows:
                table.add_row(*(_cell(row.get(name)) for name in names))
            parts += [Text(), table]
    return parts


def _facts(record: dict[str, Any]) -> Table:
    books, pacing, timings = record["accounting"], record["pacing"], record["timings_ms"]
    reasons = ", ".join(f"{name} {count}" for name, count in books["by_reason"].items())
    pauses = sorted(pause for pause in timings.get("pauses", timings["responses"]) if pause is not None)
    facts = {
        "call": record["call_sid"],
        "started": f"{record['started_at']}, {record['direction']}",
        "from, to": f"{record['from'] or 'not kept'}, {record['to'] or 'not kept'}",
        "business": record["business_id"],
        "length": _length(record["duration_ms"]),
        "end": " to ".join(filter(None, (record["end_reason"], record.get("transferred_to")))),
        "after": ", ".join(f"{name} {_ms(timings[name])}" for name in ("connect", "ready", "greeting", "first_speech")),
        "answers": f"median {_ms(pauses[len(pauses) // 2])}, longest {_ms(pauses[-1])}" if pauses else None,
        "caller's frames": f"{books['frames_in']} = {books['forwarded']} + {books['dropped']}"
        + (f" ({reasons})" if reasons else ""),
        "our frames": f"{pacing['tx']} of {pacing['frames_enqueued']} sent, {pacing['tx_late_frames']} late, "
        f"{pacing['tx_schedule_resets']} resets, {pacing['underruns']} underruns, p99 {pacing['interval_p99_ms']} ms",
        "model": ", then ".join(map(_used, _models(record))),
        "cost": _dollars(record["cost"]["usd"]) or "no price known",
        "errors": ", ".join(record["errors"]) or "none",
    }
    table = Table("", "", box=None, show_header=False)
    for name, value in facts.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), _cell(value))
    return table


def _models(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Each in its turn. Records of older versions have the sum alone."""
    cost = record["cost"]
    whole = {"model": cost.get("model", "unknown"), "tokens": record["tokens"]["total_tokens"]}
    return cost.get("models") or [whole]


def _used(model: dict[str, Any]) -> str:
    lasted = f"{_length(round(model['seconds'] * 1000))}, " if "seconds" in model else ""
    return f"{model['model']} ({lasted}{model['tokens']} tokens)"


def _cell(value: object) -> Text:
    return Text(escape("" if value is None else str(value)))


def _length(duration_ms: int) -> str:
    minutes, seconds = divmod(duration_ms // 1000, 60)
    return f"{minutes}:{seconds:02}"


def _ms(value: int | None) -> str:
    return "never" if value is None else f"{value} ms"


def _dollars(value: float | None) -> str:
    return "" if value is None else f"${value:.4f}"
