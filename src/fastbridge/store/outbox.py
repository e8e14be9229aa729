"""The outbox: what is to be done beside the calls, written with what it is done for, in one transaction.

So there is no record without its jobs, and no recording, whenever a node dies. The worker takes them from here to its
queue, where each is known by its key: taken twice, by one that died in between, it is there once.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from fastbridge.store.database import Store, insert_once, make_tables

_metadata = sa.MetaData()
OUTBOX = sa.Table(
    "fastbridge_outbox",
    _metadata,
    sa.Column("key", sa.String(160), primary_key=True),
    sa.Column("job", sa.String(64), nullable=False),
    sa.Column("call_sid", sa.String(34), nullable=False),
    sa.Column("stream_sid", sa.String(34), nullable=False, key="subject"),
    sa.Column("created_s", sa.Float, nullable=False, index=True),
)


class Item(NamedTuple):
    """A job to be done. key: of this job for this subject, and no other. subject: the sid of what it is about, of a
    stream or of a recording."""

    key: str
    job: str
    call_sid: str
    subject: str


def make_table(engine: sa.Engine) -> None:
    make_tables(engine, _metadata)


def add(connection: sa.Connection, record: Mapping[str, Any], jobs: Sequence[str]) -> None:
    """Into the transaction that stores this record."""
    call_sid, stream_sid = record["call_sid"], record["stream_sid"]
    rows = [_row(Item(f"{job}:{call_sid}:{stream_sid}", job, call_sid, stream_sid)) for job in jobs]
    if rows:
        connection.execute(sa.insert(OUTBOX), rows)


def put(connection: sa.Connection, item: Item) -> bool:
    """Into the transaction that wants it. False if it is there."""
    return insert_once(connection, OUTBOX, _row(item))


def _row(item: Item) -> dict[str, Any]:
    return {**item._asdict(), "created_s": time.time()}


class Outbox(Store):
    """The worker's side."""

    makers = (make_table,)

    def waiting(self, jobs: Sequence[str], limit: int) -> list[Item]:
        """The oldest of these jobs."""
        query = sa.select(OUTBOX).where(OUTBOX.c.job.in_(jobs)).order_by(OUTBOX.c.created_s).limit(limit)
        with self._begin() as connection:
            return [
                Item(row["key"], row["job"], row["call_sid"], row["subject"])
                for row in connection.execute(query).mappings()
            ]

    def others(self, jobs: Sequence[str]) -> list[str]:
        """Jobs that wait, and are none of these."""
        query = sa.select(OUTBOX.c.job).where(OUTBOX.c.job.not_in(jobs)).distinct()
        with self._begin() as connection:
            return sorted(connection.execute(query).scalars())

    def taken(self, key: str) -> None:
        """It is in the queue."""
        with self._begin() as connection:
            connection.execute(sa.delete(OUTBOX).where(OUTBOX.c.key == key))
