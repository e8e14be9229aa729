"""The records of all calls: a table in a database, and a file each where a folder is set. Off the loop, in one thread.

A call never waits for its record and never fails for it. Records wait in a bounded queue; overflow: the new one is lost
and counted. While the database is away the first in the queue is tried again, ever less often; what the database will
never take is lost and counted. Of all that goes wrong the log gets one line in 30 s. What is in a record is `record`'s
affair; here it is a document with a sid.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)

from fastbridge.base.end_reasons import EndReason
from fastbridge.errors import ConfigError
from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter
from fastbridge.store import outbox, recordings
from fastbridge.store.database import (
    NO_DATABASE,
    make_private,
    make_tables,
    open_engine,
    reason_of,
    shown_url,
    sqlite_file,
    unanswered,
)

logger = logging.getLogger(__name__)

READ_MS = 30_000
"""How long a reader waits for what he asks."""
MAX_WAITING = 1000
"""Records in the queue."""
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 30.0
CLOSE_SECONDS = 5.0
CLOSING_ATTEMPTS = 3
LINE_SECONDS = 30.0
SWEEP_SECONDS = 3600.0
CALL_SID = re.compile(r"(CA|OB)[0-9a-f]{32}\Z")
"""Twilio's; or our own, of a call that was never placed."""
STREAM_SID = re.compile(r"(MZ[0-9a-f]{32})?\Z")

_metadata = sa.MetaData()
CALLS = sa.Table(
    "fastbridge_calls",
    _metadata,
    sa.Column("call_sid", sa.String(34), primary_key=True),
    sa.Column("stream_sid", sa.String(34), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("started_at", sa.String(32), nullable=False, index=True),  # ISO 8601, UTC: sorts as it reads
    sa.Column("duration_ms", sa.Integer, nullable=False),
    sa.Column("direction", sa.String(16), nullable=False),
    sa.Column("business_id", sa.String(64)),
    sa.Column("caller", sa.String(80)),
    sa.Column("end_reason", sa.String(32)),
    sa.Column("turns", sa.Integer, nullable=False),
    sa.Column("barge_ins", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Float),
    sa.Column("record", sa.Text, nullable=False),
)


def make_table(engine: sa.Engine) -> None:
    make_tables(engine, _metadata)


def row_of(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row: the document, and what one looks calls up by."""
    # A model may well say half a surrogate pair, or a NUL: as JSON escapes every database takes them.
    return {
        "call_sid": record["call_sid"],
        "stream_sid": record["stream_sid"],
        "version": record["version"],
        "started_at": record["started_at"],
        "duration_ms": record["duration_ms"],
        "direction": record["direction"],
        "business_id": (record["business_id"] or "")[:64] or None,
        "caller": (record["from"] or "")[:80] or None,
        "end_reason": record["end_reason"],
        "turns": record["caller_turns"],
        "barge_ins": len(record["barge_ins"]),
        "cost_usd": record["cost"]["usd"],
        "record": json.dumps(record),
    }


def _key_of(record: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    return [CALLS.c.call_sid == record["call_sid"], CALLS.c.stream_sid == record["stream_sid"]]


class Waiting(NamedTuple):
    """A record, and the jobs that it brings. again: in the place of the one that is there."""

    record: dict[str, Any]
    jobs: Sequence[str] = ()
    again: bool = False


class RecordStore:
    """put(record) from the loop, once a call. url: a DATABASE_URL, or `none`. folder: for a file per call, or None.

    days: after so many days a record is deleted; 0: never. fetched: whether the recording that a record names is to be
    had from the carrier. Raises ConfigError for an address that cannot work.
    """

    def __init__(
        self,
        url: str,
        folder: Path | None = None,
        *,
        days: int = 0,
        fetched: bool = False,
        max_waiting: int = MAX_WAITING,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = {"stored": 0, "updated": 0, "failed": 0, "lost": 0}
        """failed: attempts; lost: records."""
        self.peak_waiting = 0
        self._engine = open_engine(url) if url != NO_DATABASE else None
        self._folder = folder
        self._days = days
        self._fetched = fetched
        self._max_waiting = max_waiting
        self._lines = RateLimiter(now_s)
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._ready = False
        self._swept_s = -SWEEP_SECONDS
        self._now_s = now_s

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def spent_since(self, started_at: str) -> dict[str, float]:
        """What the calls that have begun since then (ISO 8601, UTC) have cost, by business. Blocks: not for the loop.
        Raises SQLAlchemyError."""
        path = sqlite_file(self._engine.url) if self._engine is not None else None
        if self._engine is None or (path is not None and not path.exists()):
            return {}
        return spent_since(self._engine, started_at)

    def put(self, record: dict[str, Any], jobs: Sequence[str] = ()) -> bool:
        """Have a record stored, and with it, or not at all, what is to be done for it by these jobs. False if there was
        no room for it. Never blocks and never raises."""
        return self._put(Waiting(record, jobs))

    def update(self, record: dict[str, Any]) -> bool:
        """Have this record take the place of the one of the same call. False as above."""
        return self._put(Waiting(record, again=True))

    def _put(self, waiting: "Waiting") -> bool:
        if self._engine is None and self._folder is None:
            return True
        if self._closing.is_set() or self.waiting >= self._max_waiting:
            self.counters["lost"] += 1
            self._complain("a call record was lost: %d wait already", self.waiting)
            return False
        self._queue.put(waiting)
        self.peak_waiting = max(self.peak_waiting, self.waiting)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fastbridge-store", daemon=True)
            self._thread.start()
        return True

    def close(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Store what waits, for `timeout` seconds at most; False if that was too short. Blocks: not for the loop."""
        self._closing.set()
        before, in_time = self.counters["lost"], True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(timeout)
            in_time = not self._thread.is_alive()
            self.counters["lost"] += 0 if in_time else self.waiting
        if self.counters["lost"] > before:
            notices.records_lost(self.counters["lost"] - before)
        return in_time

    # --- the thread ---

    def _run(self) -> None:
        while True:
            waiting = self._queue.get()
            if waiting is None:
                break
            if self._folder is not None:
                self._write_file(self._folder, waiting.record, waiting.again)
            if self._engine is not None:
                self._store(self._engine, waiting)
        if self._engine is not None:  # here, since `close` may have stopped waiting for us
            self._engine.dispose()

    def _store(self, engine: sa.Engine, waiting: "Waiting") -> None:
        """Until it is stored, or never will be; once we close, a few times at once."""
        wait_s = FIRST_RETRY_SECONDS
        for attempt in count(1):
            try:
                self._prepare(engine)
                with engine.begin() as connection:
                    if waiting.again:
                        connection.execute(sa.delete(CALLS).where(*_key_of(waiting.record)))
                    _displace(connection, waiting.record)
                    connection.execute(sa.insert(CALLS), row_of(waiting.record))
                    outbox.add(connection, waiting.record, waiting.jobs)
                    recordings.add(connection, waiting.record, fetched=self._fetched)
                self.counters["updated" if waiting.again else "stored"] += 1
                return
            except IntegrityError:  # it is there: an answer that got lost on the way
                self.counters["stored"] += 1
                return
            except Exception as error:
                self.counters["failed"] += 1
                temporary = isinstance(error, OSError) or (isinstance(error, DBAPIError) and _may_pass(error))
                self._complain("a call record could not be stored: %s", reason_of(error))
                if not temporary or (self._closing.wait(wait_s) and attempt >= CLOSING_ATTEMPTS):
                    self.counters["lost"] += 1
                    return
                wait_s = min(wait_s * 2, LAST_RETRY_SECONDS)

    def _prepare(self, engine: sa.Engine) -> None:
        """The table, before the first record; and once an hour the records that have had their time."""
        if not self._ready:
            make_private(engine)
            make_table(engine)
            outbox.make_table(engine)
            recordings.make_table(engine)
            self._ready = True
        if self._days and self._now_s() - self._swept_s >= SWEEP_SECONDS:
            self._swept_s = self._now_s()
            oldest = datetime.now(UTC) - timedelta(days=self._days)
            with engine.begin() as connection:
                connection.execute(sa.delete(CALLS).where(CALLS.c.started_at < oldest.isoformat()))

    def _write_file(self, folder: Path, record: dict[str, Any], again: bool) -> None:
        try:
            write_record(folder, record, again=again)
        except (OSError, ValueError) as error:
            self.counters["failed"] += 1
            self._complain("a call record could not be written to FASTBRIDGE_RECORDS_DIR: %s", reason_of(error))

    def _complain(self, message: str, *arguments: object) -> None:
        if self._lines.every("store", LINE_SECONDS):
            logger.error(f"[DB] {message}", *arguments)


def _displace(connection: sa.Connection, record: dict[str, Any]) -> None:
    """The record of a conversation is late: one that stands for it, written where none was to be found, goes."""
    if record["stream_sid"] and record.get("outbound_id"):
        stands_in = [CALLS.c.call_sid == record["call_sid"], CALLS.c.stream_sid == ""]
        connection.execute(sa.delete(CALLS).where(*stands_in, CALLS.c.end_reason == EndReason.NODE_LOST))


def _may_pass(error: DBAPIError) -> bool:
    """Whether the fault is the database's (away, full, locked, read-only) and not the record's."""
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError | InternalError)


def write_record(folder: Path, record: dict[str, Any], *, again: bool = False) -> None:
    """One JSON file per stream of a call, for its owner's eyes, whole or not at all. again: in its own place. OSError
    if it cannot be, ValueError for a sid that is none."""
    if not CALL_SID.match(record["call_sid"]) or not STREAM_SID.match(record["stream_sid"]):
        raise ValueError("not a call sid")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{record['call_sid']}.json"
    if path.exists():  # a call that came again: its first stream is not written over
        own = folder / f"{record['call_sid']}_{record['stream_sid'] or record['end_reason']}.json"
        path = path if again and not own.exists() and _is_of(path, record) else own
    unfinished = path.with_suffix(".tmp")
    unfinished.unlink(missing_ok=True)
    text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
    file = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # Half a surrogate pair is no reason to lose it.
        with open(file, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        os.replace(unfinished, path)
    except OSError:  # the disk is full
        unfinished.unlink(missing_ok=True)
        raise


def _is_of(path: Path, record: dict[str, Any]) -> bool:
    """Whether the file at `path` is the record's stream's."""
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(written, dict) and written.get("stream_sid") == record["stream_sid"]


# --- reading, for `fastbridge calls` ---


@contextmanager
def reading(url: str) -> Iterator[sa.Connection | None]:
    """A connection to the records; None when there are none. ConfigError when they cannot be read."""
    engine = open_engine(url)
    path = sqlite_file(engine.url)
    try:
        if path is not None and not path.exists():
            yield None
            return
        if (why := unanswered(engine)) is not None:
            raise ConfigError(f"The call records in {shown_url(url)} cannot be read: {why}.")
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"set statement_timeout = {READ_MS}"))  # others may hold the table
            yield connection if sa.inspect(connection).has_table(CALLS.name) else None
    except SQLAlchemyError as error:
        raise ConfigError(f"The call records in {shown_url(url)} cannot be read: {reason_of(error)}.") from None
    finally:
        engine.dispose()


def latest(connection: sa.Connection, limit: int, *, business_id: str | None = None) -> list[dict[str, Any]]:
    """Rows without their documents, the newest first."""
    columns = [column for column in CALLS.c if column.name != "record"]
    query = sa.select(*columns).order_by(CALLS.c.started_at.desc()).limit(limit)
    if business_id is not None:
        query = query.where(CALLS.c.business_id == business_id)
    return [dict(row) for row in connection.execute(query).mappings()]


def spent_since(engine: sa.Engine, started_at: str) -> dict[str, float]:
    """What the calls that have begun since then (ISO 8601, UTC) have cost, by business; empty without a table."""
    total = sa.func.sum(CALLS.c.cost_usd)
    query = sa.select(CALLS.c.business_id, total).where(CALLS.c.started_at >= started_at).group_by(CALLS.c.business_id)
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(CALLS.name):
            return {}
        return {business_id or "": usd or 0.0 for business_id, usd in connection.execute(query)}


def document(engine: sa.Engine, call_sid: str, stream_sid: str) -> dict[str, Any] | None:
    """The record of one stream of a call."""
    query = sa.select(CALLS.c.record).where(CALLS.c.call_sid == call_sid, CALLS.c.stream_sid == stream_sid)
    with engine.connect() as connection:
        text = connection.execute(query).scalar()
    return json.loads(text) if text is not None else None


def find(connection: sa.Connection, call_sid: str) -> list[dict[str, Any]]:
    """The documents of a call, by its sid or the beginning of it, the newest first; two at most."""
    matching = CALLS.c.call_sid.startswith(call_sid, autoescape=True)
    query = sa.select(CALLS.c.record).where(matching).order_by(CALLS.c.started_at.desc()).limit(2)
    return [json.loads(text) for text in connection.execute(query).scalars()]
