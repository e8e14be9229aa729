"""The job that fetches a recording: from the carrier into a nameless file, and from there, whole, into the store.

It may be killed at any moment and is then done again: what was begun has no name, what is put twice is there once, and
the row is the last to say that it is there. The carrier has a file only some time after a call, so the first tries that
find none are no news. After three days it is lost, and somebody who asks for it sets off a new round.
"""

import asyncio
import hashlib
import tempfile
import time
from typing import BinaryIO

from fastbridge.carrier.port import CarrierFiles, Fetched, NotThere
from fastbridge.observe import notices
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.outbox import Item
from fastbridge.store.recordings import ABSENT, DELETED, LOST, WANTED, RecordingRow, RecordingStore

FIRST_WAIT_SECONDS = 2.0
LAST_WAIT_SECONDS = 3600.0
TRIES = 83
"""Twelve in the first 70 minutes, then one an hour: three days."""
QUIET_TRIES = 7
"""The first four minutes."""
GONE_TRIES = 10
"""Half an hour: what the carrier does not know by then it has deleted."""
AT_ONCE = 4
NO_ACCOUNT = "nobody knows whose account it is in: set TWILIO_ACCOUNT_SID"


class Fetching:
    """account_sid: whose recordings are that do not say. release: the carrier's file goes when ours is there."""

    tries = TRIES

    def __init__(
        self, rows: RecordingStore, store: MediaStore, carrier: CarrierFiles, account_sid: str | None, *, release: bool
    ) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self._rows = rows
        self._store = store
        self._carrier = carrier
        self._account_sid = account_sid
        self._release = release

    def wait_seconds(self, attempt: int) -> float:
        """Before the next try."""
        return float(min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), LAST_WAIT_SECONDS))

    async def do(self, item: Item, attempt: int) -> bool:
        """Whether it is done with, one way or another."""
        try:
            row = await asyncio.to_thread(self._rows.get, item.subject)
            if row is not None and row.state == DELETED:  # perhaps put by us, before we were killed
                await self._store.delete(row.recording_sid)
            if row is None or row.state != WANTED:
                return True
            problem = await self._fetch(row, attempt)
        except Exception as error:
            problem = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")
        if problem is None:
            return True
        if attempt < self.tries and problem:
            notices.recording_not_fetched(item.subject, item.call_sid, problem, attempt=attempt, tries=self.tries)
        elif attempt >= self.tries:
            return await self._lose(item, problem or "the carrier never had it")
        return False

    async def _fetch(self, row: RecordingRow, attempt: int) -> str | None:
        """What is in the way, empty where that is no news; None: nothing."""
        account_sid = row.account_sid or self._account_sid
        if account_sid is None:
            return NO_ACCOUNT
        began_s, digest = time.monotonic(), hashlib.sha256()
        with tempfile.TemporaryFile() as file:

            def sink(piece: bytes) -> None:
                file.write(piece)
                digest.update(piece)

            found = await self._carrier.fetch(account_sid, row.recording_sid, sink)
            if isinstance(found, NotThere):
                return await self._not_there(row, account_sid, attempt)
            if not isinstance(found, Fetched):
                return found.reason
            await self._keep(row, file, found, digest.hexdigest(), began_s)
        return None

    async def _keep(self, row: RecordingRow, file: BinaryIO, found: Fetched, etag: str, began_s: float) -> None:
        sid = row.recording_sid
        await self._store.put(sid, file)
        kept = await self._store.look(sid)
        if kept is None or kept.size_bytes != found.size_bytes:
            raise OSError("the store has another file than it was given")
        await self._note(row, found, etag, began_s)

    async def _note(self, row: RecordingRow, found: Fetched, etag: str, began_s: float) -> None:
        sid = row.recording_sid
        is_news = await asyncio.to_thread(
            self._rows.stored,
            sid,
            size_bytes=found.size_bytes,
            etag=etag,
            channels=found.channels,
            release=self._release,
        )
        if is_news:
            took_ms = int((time.monotonic() - began_s) * 1000)
            notices.recording_fetched(sid, row.call_sid, took_ms=took_ms, size_bytes=found.size_bytes)
        else:
            await self._store.delete(sid)

    async def _not_there(self, row: RecordingRow, account_sid: str, attempt: int) -> str | None:
        """Not yet; or never, which the carrier tells where it is asked."""
        details = await self._carrier.details(account_sid, row.recording_sid)
        state = details.state if details is not None else "unknown"
        if state == "absent":
            await asyncio.to_thread(self._rows.not_stored, row.recording_sid, ABSENT)
            return None
        if state == "gone" and await self._adopt(row):
            return None
        if state == "gone" and attempt >= GONE_TRIES:
            await self._lose(Item("", "", row.call_sid, row.recording_sid), "the carrier has deleted it")
            return None
        return f"the carrier has no file yet, state {state}" if attempt > QUIET_TRIES else ""

    async def _adopt(self, row: RecordingRow) -> bool:
        """A file that is in the store, and of which a power cut took the note, when the carrier's was deleted. Where
        the row knows what it was, it is that."""
        began_s, digest = time.monotonic(), hashlib.sha256()
        kept = await self._store.look(row.recording_sid)
        if kept is None or row.size_bytes not in (None, kept.size_bytes):
            return False
        async for piece in self._store.read(row.recording_sid, 0, kept.size_bytes):
            digest.update(piece)
        etag = digest.hexdigest()
        if row.etag not in (None, etag):
            return False
        await self._note(row, Fetched(kept.size_bytes, row.channels or 1), etag, began_s)
        return True

    async def _lose(self, item: Item, problem: str) -> bool:
        if await asyncio.to_thread(self._rows.not_stored, item.subject, LOST, problem):
            notices.recording_lost(item.subject, item.call_sid, problem)
        return True
