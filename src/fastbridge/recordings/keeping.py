"""How long recordings are kept, and the job that deletes them: ours and the carrier's, each told in the log.

From the moment one is deleted nobody gets it; its files go by this job, which is tried for three days, and again from
then on. Ours goes first. Where the carrier's is to go as soon as ours is there, it is looked whether ours is there.
"""

import asyncio

from fastbridge.carrier.port import CarrierFiles
from fastbridge.observe import notices
from fastbridge.recordings.fetching import FIRST_WAIT_SECONDS, LAST_WAIT_SECONDS, NO_ACCOUNT, TRIES
from fastbridge.recordings.media_store import MediaStore, StoreError
from fastbridge.store.outbox import Item
from fastbridge.store.recordings import DELETED, STORED, RecordingRow, RecordingStore

AT_ONCE = 2
SWEPT_AT_ONCE = 200
OURS, CARRIERS = "our store", "the carrier"


class Deleting:
    """account_sid: whose recordings are that do not say."""

    tries = TRIES

    def __init__(self, rows: RecordingStore, store: MediaStore, carrier: CarrierFiles, account_sid: str | None) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self._rows = rows
        self._store = store
        self._carrier = carrier
        self._account_sid = account_sid

    def wait_seconds(self, attempt: int) -> float:
        return float(min(FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), LAST_WAIT_SECONDS))

    async def do(self, item: Item, attempt: int) -> bool:
        """Whether all is gone that is to go."""
        try:
            row = await asyncio.to_thread(self._rows.get, item.subject)
            problem = await self._delete(row) if row is not None else None
        except Exception as error:
            problem = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".removesuffix(": ")
        if problem is None:
            return True
        notices.recording_not_deleted(item.subject, item.call_sid, problem, attempt=attempt, tries=self.tries)
        return False

    async def _delete(self, row: RecordingRow) -> str | None:
        """What is in the way; None: nothing."""
        if row.state == DELETED:
            await self._delete_ours(row)
            return await self._delete_carriers(row)
        if row.state != STORED:  # fetched anew meanwhile: another job's affair
            return None
        kept = await self._store.look(row.recording_sid)
        if kept is None or kept.size_bytes != row.size_bytes:
            return "our own file is not there"
        return await self._delete_carriers(row)

    async def _delete_ours(self, row: RecordingRow) -> None:
        if await self._store.delete(row.recording_sid) or row.gone_s is None:
            await asyncio.to_thread(lambda: self._rows.gone(row.recording_sid, ours=True))
            notices.recording_deleted(row.recording_sid, row.call_sid, where=OURS)

    async def _delete_carriers(self, row: RecordingRow) -> str | None:
        account_sid = row.account_sid or self._account_sid
        if row.carrier_gone_s is not None:
            return None
        if account_sid is None:
            return NO_ACCOUNT
        if not await self._carrier.delete(account_sid, row.recording_sid):
            return "the carrier did not delete it"
        await asyncio.to_thread(lambda: self._rows.gone(row.recording_sid, carriers=True))
        notices.recording_deleted(row.recording_sid, row.call_sid, where=CARRIERS)
        return None


class Keeper:
    """days: 0 for ever. release: the carrier's files go when ours are there."""

    def __init__(self, rows: RecordingStore, store: MediaStore, *, days: int, release: bool) -> None:
        self._rows = rows
        self._store = store
        self._days = days
        self._release = release

    async def keep_house(self) -> None:
        """What has had its days goes; what was forgotten is done."""
        while await asyncio.to_thread(self._sweep):
            pass
        try:
            await self._store.sweep()
        except StoreError as error:
            notices.recording_store_away(error)

    def _sweep(self) -> bool:
        """Whether there may be more."""
        swept = self._rows.sweep(days=self._days, release=self._release, limit=SWEPT_AT_ONCE)
        return len(swept) == SWEPT_AT_ONCE
