"""Recordings of calls, a row each from when the carrier first tells of one: where its file is, and what is still to be
done for it.

A row is made by whoever hears of the recording first, the carrier's callback or the call's record, and each changes
only what the other has not settled: they come in any order, twice, or not at all. A job goes to the outbox in the
transaction that wants it, under a key of its round: asked for by many it is there once. Its file's state is
`wanted` (the carrier has it, or will), `stored`, `absent` (there never was one), `lost` (it could not be had) or
`deleted`, which is the last. All here is one transaction each, for a thread.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from fastbridge.store import outbox
from fastbridge.store.database import Store, insert_once, make_tables, open_engine

WANTED, STORED, ABSENT, LOST, DELETED = STATES = ("wanted", "stored", "absent", "lost", "deleted")
FETCH, DELETE = ("recording.fetch", "recording.delete")
"""With a point, which no job of a user's has in its name."""
RECORDING_SID = re.compile(r"RE[0-9a-f]{32}\Z")
_ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}\Z")
NOT_MADE = "the carrier reports that the recording failed"
UNTOLD_SECONDS = 3600.0
"""A recording that has begun, and of which nothing more was heard, is looked for then."""
FORGOTTEN_SECONDS = 4 * 86_400.0
"""A job that is not done by then is not in the queue any more: it ends after three days, done or not."""

_metadata = sa.MetaData()
RECORDINGS = sa.Table(
    "fastbridge_recordings",
    _metadata,
    sa.Column("recording_sid", sa.String(34), primary_key=True),
    sa.Column("account_sid", sa.String(34)),  # the node's, where it is null
    sa.Column("call_sid", sa.String(34), nullable=False, index=True),
    sa.Column("stream_sid", sa.String(34)),
    sa.Column("business_id", sa.String(64)),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("etag", sa.String(64)),  # SHA-256 of the file, in hexadecimal digits
    sa.Column("channels", sa.Integer),
    sa.Column("duration_seconds", sa.Integer),
    sa.Column("problem", sa.Text),
    sa.Column("created_s", sa.Float, nullable=False, index=True),  # since 1970, as all below
    sa.Column("stored_s", sa.Float),
    sa.Column("deleted_s", sa.Float),  # since when nobody gets it any more
    sa.Column("gone_s", sa.Float),  # since when our file is not there, of one that is deleted
    sa.Column("carrier_gone_s", sa.Float),  # the same of the carrier's
    sa.Column("job_s", sa.Float),  # when its last job was put into the outbox
    sa.Column("round", sa.Integer, nullable=False),  # of jobs, so that each has a key of its own
)


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A row, as its columns are told above."""

    recording_sid: str
    account_sid: str | None
    call_sid: str
    stream_sid: str | None
    business_id: str | None
    state: str
    size_bytes: int | None
    etag: str | None
    channels: int | None
    duration_seconds: int | None
    problem: str | None
    created_s: float
    stored_s: float | None
    deleted_s: float | None
    gone_s: float | None
    carrier_gone_s: float | None
    job_s: float | None
    round: int


def make_table(engine: sa.Engine) -> None:
    make_tables(engine, _metadata)


def add(connection: sa.Connection, record: Mapping[str, Any], *, fetched: bool) -> None:
    """Into the transaction that stores this record: the recording that it names, if it names one, and its job."""
    named = record.get("carrier_recording")
    sid = named.get("sid") if isinstance(named, Mapping) else None
    if not isinstance(named, Mapping) or not isinstance(sid, str) or not RECORDING_SID.match(sid):
        return
    account_sid = named.get("account_sid")
    known = isinstance(account_sid, str) and _ACCOUNT_SID.match(account_sid)
    _begin(connection, sid, record["call_sid"], account_sid if known else None, time.time())
    more = {"stream_sid": record["stream_sid"] or None, "business_id": (record["business_id"] or "")[:64] or None}
    _set(connection, RECORDINGS.c.recording_sid == sid, **more)
    if fetched:
        _first_job(connection, sid, time.time())


class RecordingStore(Store):
    """One database's. fetched: whether files are to be had from the carrier. now_s(): seconds since 1970."""

    makers = (make_table, outbox.make_table)

    def __init__(self, url: str, *, fetched: bool, now_s: Any = time.time) -> None:
        super().__init__(open_engine(url))
        self._fetched = fetched
        self._now_s = now_s

    # --- what the carrier tells ---

    def told(self, recording_sid: str, call_sid: str, account_sid: str, status: str, **known: Any) -> None:
        """A callback. status: in-progress, completed, absent or failed. known: columns, where they are."""
        with self._begin() as connection:
            now = self._now_s()
            _begin(connection, recording_sid, call_sid, account_sid, now)
            it, settled = RECORDINGS.c.recording_sid == recording_sid, RECORDINGS.c.state.in_((STORED, DELETED))
            _set(connection, it, account_sid=account_sid)
            told = {name: value for name, value in known.items() if value is not None}
            if status == "absent":
                _set(connection, it, sa.not_(settled), state=ABSENT, **told)
            elif status == "failed":
                _set(connection, it, sa.not_(settled), state=LOST, problem=NOT_MADE, **told)
            elif status == "completed":
                _set(connection, it, RECORDINGS.c.state.in_((ABSENT, LOST)), state=WANTED, job_s=None, problem=None)
                _set(connection, it, sa.not_(settled), **told)
                if self._fetched:
                    _first_job(connection, recording_sid, now)

    # --- what is asked for ---

    def get(self, recording_sid: str) -> RecordingRow | None:
        with self._begin() as connection:
            return _find(connection, recording_sid)

    def of_call(self, call_sid: str, limit: int) -> list[RecordingRow]:
        """The oldest first."""
        query = sa.select(RECORDINGS).where(RECORDINGS.c.call_sid == call_sid).order_by(RECORDINGS.c.created_s)
        with self._begin() as connection:
            return [RecordingRow(**row) for row in connection.execute(query.limit(limit)).mappings()]

    def missed(self, seen: RecordingRow) -> bool:
        """Somebody wants it, and its file was not in the store when the row was as it is given. Whether that is news: a
        job was put. A file that was stored since then is not fetched again."""
        with self._begin() as connection:
            c, now = RECORDINGS.c, self._now_s()
            unchanged = [c.recording_sid == seen.recording_sid, c.state == seen.state]
            unchanged.append(c.stored_s.is_not_distinct_from(seen.stored_s))
            again = c.state.in_((STORED, LOST))
            _set(connection, *unchanged, again, state=WANTED, stored_s=None, job_s=None, problem=None)
            return _first_job(connection, seen.recording_sid, now)

    def delete(self, recording_sid: str) -> bool:
        """From now on nobody gets it; its files go by a job. False if that was so, or there is no such."""
        with self._begin() as connection:
            return self._delete(connection, RECORDINGS.c.recording_sid == recording_sid)

    def _delete(self, connection: sa.Connection, which: sa.ColumnElement[bool]) -> bool:
        now = self._now_s()
        open_ = RECORDINGS.c.state != DELETED
        query = sa.select(RECORDINGS.c.recording_sid).where(which, open_)
        sids = list(connection.execute(query).scalars())
        for sid in sids:
            if _set(connection, RECORDINGS.c.recording_sid == sid, open_, state=DELETED, deleted_s=now):
                _put_job(connection, sid, DELETE, now)
        return bool(sids)

    # --- what the worker does ---

    def stored(self, recording_sid: str, *, size_bytes: int, etag: str, channels: int, release: bool) -> bool:
        """Its file is in the store. release: the carrier's goes, by a job. False: it was deleted meanwhile, and so is
        the file to be."""
        with self._begin() as connection:
            now = self._now_s()
            told = {"size_bytes": size_bytes, "etag": etag, "channels": channels, "problem": None}
            it, open_ = RECORDINGS.c.recording_sid == recording_sid, RECORDINGS.c.state != DELETED
            if not _set(connection, it, open_, state=STORED, stored_s=now, **told):
                return False
            if release:
                _put_job(connection, recording_sid, DELETE, now)
            return True

    def not_stored(self, recording_sid: str, state: str, problem: str | None = None) -> bool:
        """state: absent or lost. False if nobody waits for it any more."""
        with self._begin() as connection:
            waiting = RECORDINGS.c.state == WANTED
            return _set(connection, RECORDINGS.c.recording_sid == recording_sid, waiting, state=state, problem=problem)

    def gone(self, recording_sid: str, *, ours: bool = False, carriers: bool = False) -> None:
        """Such a file is not there any more."""
        now = self._now_s()
        told = ({"gone_s": now} if ours else {}) | ({"carrier_gone_s": now} if carriers else {})
        with self._begin() as connection:
            _set(connection, RECORDINGS.c.recording_sid == recording_sid, **told)

    def sweep(self, *, days: int, release: bool, limit: int) -> list[str]:
        """Recordings that have had their days (0: for ever) are deleted; jobs that got lost are put again. release: as
        above. The sids of those that were deleted."""
        with self._begin() as connection:
            now = self._now_s()
            old = RECORDINGS.c.created_s < now - days * 86_400.0
            query = sa.select(RECORDINGS.c.recording_sid).where(old, RECORDINGS.c.state != DELETED).limit(limit)
            sids = list(connection.execute(query).scalars()) if days else []
            for sid in sids:
                self._delete(connection, RECORDINGS.c.recording_sid == sid)
            for job, row in self._forgotten(connection, now, release, limit):
                c = RECORDINGS.c  # somebody may have seen to it since it was read
                unchanged = [c.recording_sid == row.recording_sid, c.state == row.state]
                if _set(connection, *unchanged, c.job_s.is_not_distinct_from(row.job_s), job_s=now):
                    _put_job(connection, row.recording_sid, job, now)
            return sids

    def _forgotten(
        self, connection: sa.Connection, now: float, release: bool, limit: int
    ) -> list[tuple[str, RecordingRow]]:
        c = RECORDINGS.c
        untold = sa.and_(c.job_s.is_(None), c.created_s < now - UNTOLD_SECONDS)
        due = sa.or_(untold, c.job_s < now - FORGOTTEN_SECONDS)
        left = sa.and_(c.state == DELETED, sa.or_(c.gone_s.is_(None), c.carrier_gone_s.is_(None)))
        wanted = [(FETCH, sa.and_(c.state == WANTED, due)), (DELETE, sa.and_(left, due))]
        if release:
            wanted.append((DELETE, sa.and_(c.state == STORED, c.carrier_gone_s.is_(None), due)))
        found: list[tuple[str, RecordingRow]] = []
        for job, which in wanted:
            rows = connection.execute(sa.select(RECORDINGS).where(which).limit(limit)).mappings()
            found += [(job, RecordingRow(**row)) for row in rows]
        return found


def _begin(connection: sa.Connection, sid: str, call_sid: str, account_sid: str | None, now: float) -> None:
    row = {"recording_sid": sid, "call_sid": call_sid, "account_sid": account_sid}
    insert_once(connection, RECORDINGS, {**row, "state": WANTED, "created_s": now, "round": 0})


def _first_job(connection: sa.Connection, sid: str, now: float) -> bool:
    """Unless it has one, or wants none."""
    c = RECORDINGS.c
    idle = [c.recording_sid == sid, c.state == WANTED, c.job_s.is_(None)]
    return _set(connection, *idle, job_s=now) and _put_job(connection, sid, FETCH, now)


def _put_job(connection: sa.Connection, sid: str, job: str, now: float) -> bool:
    _set(connection, RECORDINGS.c.recording_sid == sid, job_s=now, round=RECORDINGS.c.round + 1)
    row = _find(connection, sid)
    return row is not None and outbox.put(connection, outbox.Item(f"{job}:{sid}:{row.round}", job, row.call_sid, sid))


def _set(connection: sa.Connection, *where: sa.ColumnElement[bool], **values: Any) -> bool:
    """Whether there was such a row, and something to be said of it."""
    return bool(values) and bool(connection.execute(sa.update(RECORDINGS).where(*where).values(**values)).rowcount)


def _find(connection: sa.Connection, sid: str) -> RecordingRow | None:
    found = connection.execute(sa.select(RECORDINGS).where(RECORDINGS.c.recording_sid == sid)).mappings().first()
    return None if found is None else RecordingRow(**found)
