"""Calls out, a row each from the moment they are asked for: what was asked, how far it has come, how it ended.

A row is written before the carrier is asked, and each key of the asker's is one row: so whoever asks twice, and a node
that dies in between, place one call. Its state is the carrier's word, but for the first two. What the carrier tells
comes in any order and twice; a terminal state is the last. All here is one transaction each, for a thread.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from fastbridge.store import records
from fastbridge.store.database import Store, insert_once, make_tables, open_engine

SCHEDULED, PLACING = "scheduled", "placing"
"""Not asked for yet; asked for, and no answer that says of which call."""
ENDED = ("completed", "busy", "no-answer", "failed", "canceled")
STATES = (SCHEDULED, PLACING, "queued", "initiated", "ringing", "in-progress", *ENDED)
LATEST = 1 << 30
"""The sequence number of a state that the carrier was asked for."""
NEVER = 1e12
MOST_ASKINGS = 5
COMPLETED, NODE_LOST = "completed", "node_lost"
NO_RECORD = "It was answered, and its node had ended before it could keep a record."
"""The reason of a completed call of which nobody kept a record."""

_metadata = sa.MetaData()
OUTBOUND = sa.Table(
    "fastbridge_outbound",
    _metadata,
    sa.Column("id", sa.String(34), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), unique=True),
    sa.Column("request", sa.Text, nullable=False),  # JSON; of a call that has ended, without whom it was for
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("call_sid", sa.String(34), unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False, index=True),  # since 1970, as the two below
    sa.Column("asked_s", sa.Float),
    sa.Column("check_s", sa.Float, nullable=False, index=True),  # when it is to be looked at, if nothing is heard
    sa.Column("ended_s", sa.Float),
    sa.Column("duration_seconds", sa.Integer),
    sa.Column("answered_by", sa.String(32)),
    sa.Column("code", sa.Integer),
    sa.Column("reason", sa.Text),
)


def make_table(engine: sa.Engine) -> None:
    make_tables(engine, _metadata)


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """A row. request: as it was asked for. Times are seconds since 1970."""

    id: str
    idempotency_key: str | None
    request: Mapping[str, Any] = field(repr=False)
    digest: str
    call_sid: str | None
    state: str
    sequence: int
    created_s: float
    asked_s: float | None
    check_s: float
    ended_s: float | None
    duration_seconds: int | None
    answered_by: str | None
    code: int | None
    reason: str | None

    @property
    def over(self) -> bool:
        return self.state in ENDED

    @property
    def outcome(self) -> str | None:
        """What came of it: its last state, or NODE_LOST. None before that is known: of one that was answered, when its
        books are closed."""
        if not self.over or (self.state == COMPLETED and self.check_s < NEVER):
            return None
        return NODE_LOST if self.state == COMPLETED and self.reason == NO_RECORD else self.state


class OutboundStore(Store):
    """One database's. now_s(): seconds since 1970."""

    makers = (make_table, records.make_table)

    def __init__(self, url: str, now_s: Any = time.time) -> None:
        super().__init__(open_engine(url))
        self._now_s = now_s

    # --- asked for ---

    def ask(
        self, request: Mapping[str, Any], *, key: str | None, digest: str, due_s: float | None, lease_seconds: float
    ) -> tuple[OutboundCall, bool]:
        """The call of this key, and whether it is a new one. due_s: when it is to be placed; None for now, by whoever
        asks, within `lease_seconds`."""
        now = self._now_s()
        row = {
            "id": f"OB{secrets.token_hex(16)}",
            "idempotency_key": key,
            "request": json.dumps(request),
            "digest": digest,
            "state": PLACING if due_s is None else SCHEDULED,
            "sequence": -1,
            "created_s": now,
            "asked_s": now if due_s is None else None,
            "check_s": now + lease_seconds if due_s is None else due_s,
        }
        for _ in range(MOST_ASKINGS):
            try:
                with self._begin() as connection:
                    connection.execute(sa.insert(OUTBOUND), row)
                    return _read(connection, OUTBOUND.c.id == row["id"]), True
            except IntegrityError:
                with self._begin() as connection:
                    found = _find(connection, OUTBOUND.c.idempotency_key == key)
            if found is not None:  # else whoever had the key has found no place, and given it back
                return found, False
        raise LookupError("a key is taken and given back again and again")

    def placed(self, call_id: str, call_sid: str, state: str, check_seconds: float) -> OutboundCall | None:
        """The carrier has it under this sid. Harmless if a callback was faster."""
        with self._begin() as connection:
            _set(connection, OUTBOUND.c.id == call_id, OUTBOUND.c.call_sid.is_(None), call_sid=call_sid)
            early = OUTBOUND.c.state.in_((SCHEDULED, PLACING))
            _set(connection, OUTBOUND.c.id == call_id, early, state=state, check_s=self._now_s() + check_seconds)
            return _find(connection, OUTBOUND.c.id == call_id)

    def forget(self, call_id: str, *, due_s: float | None = None) -> None:
        """It was surely not placed: the key is free again. due_s: to be tried then instead."""
        with self._begin() as connection:
            if due_s is None:
                connection.execute(sa.delete(OUTBOUND).where(OUTBOUND.c.id == call_id, OUTBOUND.c.call_sid.is_(None)))
            else:
                waiting = OUTBOUND.c.state == PLACING
                _set(connection, OUTBOUND.c.id == call_id, waiting, state=SCHEDULED, check_s=due_s)

    # --- what the carrier tells ---

    def told(
        self,
        *,
        call_id: str | None,
        call_sid: str,
        state: str,
        sequence: int | None,
        check_seconds: float,
        **told: Any,
    ) -> OutboundCall | None:
        """A callback, or an answer (sequence LATEST), about one of these calls; None if it is not one of them, or it
        is nothing new. told: columns, where known."""
        while True:
            with self._begin() as connection:
                row = _told_of(connection, call_id, call_sid)
                if row is None or row.over:
                    return None
                number = LATEST if state in ENDED else row.sequence + 1 if sequence is None else sequence
                if number <= row.sequence:
                    return None
                now = self._now_s()
                known = {name: value for name, value in told.items() if value is not None}
                if state in ENDED:
                    known |= {"ended_s": now}
                changed = _set(
                    connection,
                    OUTBOUND.c.id == row.id,
                    OUTBOUND.c.sequence == row.sequence,
                    call_sid=call_sid,
                    state=state,
                    sequence=number,
                    check_s=now + check_seconds,
                    **known,
                )
                if changed:
                    return _read(connection, OUTBOUND.c.id == row.id)
            # Another process was faster, and what it was told may be older than this.

    def answered_by(self, call_sid: str, verdict: str) -> None:
        """Harmless where it is none of these calls."""
        with self._begin() as connection:
            _set(connection, OUTBOUND.c.call_sid == call_sid, answered_by=verdict)

    def ended(
        self, call_id: str, state: str, *, code: int | None = None, reason: str | None = None, still: str | None = None
    ) -> bool:
        """It never was, or is no more, as far as we know. False if it had ended. still: only if it is in this state,
        and the carrier has not told of it; else False."""
        with self._begin() as connection:
            now = self._now_s()
            open_ = [OUTBOUND.c.id == call_id, OUTBOUND.c.state.not_in(ENDED)]
            if still is not None:
                open_ += [OUTBOUND.c.state == still, OUTBOUND.c.call_sid.is_(None)]
            changed = {"state": state, "sequence": LATEST, "ended_s": now, "check_s": now, "code": code}
            return _set(connection, *open_, **changed, reason=reason)

    def settle(
        self, row: OutboundCall, record: Mapping[str, Any] | None, request: Mapping[str, Any]
    ) -> OutboundCall | None:
        """Its books are closed, with this record if there is none of it, and `request` in the place of what was asked:
        whom it was for is nobody's affair any more. None if they were closed."""
        with self._begin() as connection:
            if not _set(
                connection,
                OUTBOUND.c.id == row.id,
                OUTBOUND.c.check_s < NEVER,
                check_s=NEVER,
                request=json.dumps(request),
            ):
                return None
            if record is not None and not _has_record(connection, row.call_sid or row.id):
                insert_once(connection, records.CALLS, records.row_of(dict(record)))
                if row.state == COMPLETED:
                    _set(connection, OUTBOUND.c.id == row.id, reason=NO_RECORD)
            return _read(connection, OUTBOUND.c.id == row.id)

    def await_record(self, call_id: str, check_seconds: float) -> None:
        """Of a call that has ended: its books are open until its node has written it, or will not any more."""
        with self._begin() as connection:
            open_ = OUTBOUND.c.check_s < NEVER
            _set(connection, OUTBOUND.c.id == call_id, open_, check_s=self._now_s() + check_seconds)

    def has_record(self, call_sid: str) -> bool:
        with self._begin() as connection:
            return _has_record(connection, call_sid)

    # --- what is to be looked at ---

    def claim(self, limit: int, lease_seconds: float) -> list[OutboundCall]:
        """Rows whose time has come: ours for `lease_seconds`, and nobody else's."""
        claimed = []
        with self._begin() as connection:
            now = self._now_s()
            due = sa.select(OUTBOUND).where(OUTBOUND.c.check_s <= now).order_by(OUTBOUND.c.check_s).limit(limit)
            for row in [_row(each) for each in connection.execute(due).mappings()]:
                mine = OUTBOUND.c.check_s == row.check_s
                if _set(connection, OUTBOUND.c.id == row.id, mine, check_s=now + lease_seconds):
                    claimed.append(row)
        return claimed

    def start(self, call_id: str) -> bool:
        """A scheduled call is about to be placed. False if it was canceled, or somebody else has it."""
        with self._begin() as connection:
            waiting = OUTBOUND.c.state == SCHEDULED
            return _set(connection, OUTBOUND.c.id == call_id, waiting, state=PLACING, asked_s=self._now_s())

    def look_again(self, call_id: str, check_seconds: float) -> None:
        """Not at one that has ended meanwhile: when its books are closed is settled."""
        with self._begin() as connection:
            open_ = OUTBOUND.c.state.not_in(ENDED)
            _set(connection, OUTBOUND.c.id == call_id, open_, check_s=self._now_s() + check_seconds)

    def being_placed(self, since_s: float) -> list[OutboundCall]:
        """Those for which the carrier was asked since then, and whose sid nobody knows yet."""
        asked = sa.select(OUTBOUND).where(OUTBOUND.c.state == PLACING, OUTBOUND.c.call_sid.is_(None))
        with self._begin() as connection:
            return [_row(each) for each in connection.execute(asked.where(OUTBOUND.c.asked_s > since_s)).mappings()]

    # --- reading ---

    def get(self, which: str) -> OutboundCall | None:
        """By its id or its call sid."""
        with self._begin() as connection:
            return _find(connection, sa.or_(OUTBOUND.c.id == which, OUTBOUND.c.call_sid == which))

    def known_sids(self, sids: list[str]) -> set[str]:
        with self._begin() as connection:
            found = connection.execute(sa.select(OUTBOUND.c.call_sid).where(OUTBOUND.c.call_sid.in_(sids)))
            return set(found.scalars())

    def listed(
        self, *, state: str | None, ids: list[str] | None, limit: int, before: tuple[float, str] | None
    ) -> list[OutboundCall]:
        """The newest first. before: (created_s, id) of the last one of the page before."""
        query = sa.select(OUTBOUND).order_by(OUTBOUND.c.created_s.desc(), OUTBOUND.c.id.desc()).limit(limit)
        if state is not None:
            query = query.where(OUTBOUND.c.state == state)
        if ids is not None:
            query = query.where(OUTBOUND.c.id.in_(ids))
        if before is not None:
            created_s, call_id = before
            same = sa.and_(OUTBOUND.c.created_s == created_s, OUTBOUND.c.id < call_id)
            query = query.where(sa.or_(OUTBOUND.c.created_s < created_s, same))
        with self._begin() as connection:
            return [_row(each) for each in connection.execute(query).mappings()]


def _set(connection: sa.Connection, *where: sa.ColumnElement[bool], **values: Any) -> bool:
    """Whether there was such a row."""
    return bool(connection.execute(sa.update(OUTBOUND).where(*where).values(**values)).rowcount)


def _find(connection: sa.Connection, where: sa.ColumnElement[bool]) -> OutboundCall | None:
    found = connection.execute(sa.select(OUTBOUND).where(where)).mappings().first()
    return None if found is None else _row(found)


def _told_of(connection: sa.Connection, call_id: str | None, call_sid: str) -> OutboundCall | None:
    """By its sid; by its id only while it has none."""
    row = _find(connection, OUTBOUND.c.call_sid == call_sid)
    if row is None and call_id is not None:
        row = _find(connection, sa.and_(OUTBOUND.c.id == call_id, OUTBOUND.c.call_sid.is_(None)))
    return row


def _read(connection: sa.Connection, where: sa.ColumnElement[bool]) -> OutboundCall:
    found = _find(connection, where)
    if found is None:
        raise LookupError("a call of ours is not there any more")
    return found


def _row(found: sa.RowMapping) -> OutboundCall:
    return OutboundCall(**{**found, "request": json.loads(found["request"])})


def _has_record(connection: sa.Connection, call_sid: str) -> bool:
    query = sa.select(records.CALLS.c.call_sid).where(records.CALLS.c.call_sid == call_sid).limit(1)
    return connection.execute(query).first() is not None
