"""store.recordings: whatever is told, in any order and twice, there is one row, and one job for each round."""

from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fastbridge.store.database import open_engine
from fastbridge.store.outbox import OUTBOX
from fastbridge.store.recordings import (
    ABSENT,
    DELETE,
    DELETED,
    FETCH,
    FORGOTTEN_SECONDS,
    LOST,
    NOT_MADE,
    STORED,
    UNTOLD_SECONDS,
    WANTED,
    RecordingRow,
    RecordingStore,
)
from fastbridge.store.records import RecordStore
from recording_rig import ACCOUNT, CALL, SID, sid
from unit.test_store_outbox import call

DAY_SECONDS = 86_400.0


class Archive:
    """A store on a clock of its own."""

    def __init__(self, folder: Path, *, fetched: bool = True) -> None:
        self.url = f"sqlite:///{folder}/x.db"
        self.now_s = 1_000_000.0
        self.store = RecordingStore(self.url, fetched=fetched, now_s=lambda: self.now_s)

    def told(self, status: str = "completed", number: int | None = None, **known: Any) -> None:
        self.store.told(SID if number is None else sid(number), CALL, ACCOUNT, status, **known)

    def stored(self, *, release: bool = False) -> bool:
        return self.store.stored(SID, size_bytes=7, etag="ab", channels=2, release=release)

    @property
    def row(self) -> RecordingRow:
        row = self.store.get(SID)
        assert row is not None
        return row

    def missed(self) -> bool:
        """Whoever asks has read the row just before."""
        row = self.store.get(SID)
        return row is not None and self.store.missed(row)

    @property
    def jobs(self) -> list[str]:
        """Those in the outbox, by their keys."""
        engine = open_engine(self.url)
        with engine.connect() as connection:
            found = list(connection.execute(sa.select(OUTBOX.c.key).order_by(OUTBOX.c.created_s)).scalars())
        engine.dispose()
        return found


@pytest.fixture
def archive(tmp_path: Path) -> Any:
    made = Archive(tmp_path)
    yield made
    made.store.close()


class TestTold:
    @pytest.mark.parametrize("order", [*permutations(["in-progress", "completed", "completed"])])
    def test_in_any_order_it_is_wanted_and_has_one_job(self, archive: Archive, order: tuple[str, ...]) -> None:
        for status in order:
            archive.told(status, duration_seconds=9, channels=2)
        row = archive.row
        assert (row.state, row.call_sid, row.account_sid, row.duration_seconds) == (WANTED, CALL, ACCOUNT, 9)
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    def test_without_its_numbers_it_is_wanted_all_the_same(self, archive: Archive) -> None:
        archive.told(duration_seconds=None)
        assert (archive.row.state, len(archive.jobs)) == (WANTED, 1)

    def test_what_goes_on_has_no_job_yet(self, archive: Archive) -> None:
        archive.told("in-progress")
        assert (archive.row.state, archive.jobs) == (WANTED, [])

    def test_what_never_was_has_none(self, archive: Archive) -> None:
        archive.told("in-progress")
        archive.told("absent")
        archive.told("in-progress")
        assert (archive.row.state, archive.jobs) == (ABSENT, [])

    def test_what_the_carrier_could_not_make_says_so(self, archive: Archive) -> None:
        archive.told("in-progress")
        archive.told("failed")
        assert (archive.row.state, archive.row.problem, archive.jobs) == (LOST, NOT_MADE, [])
        archive.told("in-progress")
        assert archive.row.state == LOST
        archive.told("completed")
        assert (archive.row.state, archive.row.problem, len(archive.jobs)) == (WANTED, None, 1)

    def test_what_is_stored_or_deleted_stays_so(self, archive: Archive) -> None:
        archive.told()
        archive.stored()
        for status in ("completed", "in-progress", "absent", "failed"):
            archive.told(status)
        assert archive.row.state == STORED
        archive.store.delete(SID)
        for status in ("completed", "in-progress", "absent"):
            archive.told(status)
        assert (archive.row.state, len(archive.jobs)) == (DELETED, 2)

    def test_what_was_lost_is_wanted_again(self, archive: Archive) -> None:
        archive.told()
        archive.store.not_stored(SID, LOST, "no")
        archive.told()
        assert (archive.row.state, archive.row.problem) == (WANTED, None)
        assert archive.jobs == [f"{FETCH}:{SID}:1", f"{FETCH}:{SID}:2"]

    def test_where_nothing_is_fetched_it_is_written_down(self, tmp_path: Path) -> None:
        archive = Archive(tmp_path, fetched=False)
        archive.told()
        assert (archive.row.state, archive.jobs) == (WANTED, [])
        archive.store.close()


class TestTheRecord:
    """A lost callback loses nothing."""

    def put(self, archive: Archive, recording: Any, *, fetched: bool = True) -> None:
        store = RecordStore(archive.url, fetched=fetched)
        store.put({**call(1), "call_sid": CALL, "carrier_recording": recording, "business_id": "456"})
        assert store.close()
        assert store.counters["stored"] == 1

    def test_names_its_recording(self, archive: Archive) -> None:
        self.put(archive, {"sid": SID, "state": "stopped"})
        row = archive.row
        assert (row.state, row.call_sid, row.account_sid, row.business_id) == (WANTED, CALL, None, "456")
        assert row.stream_sid == call(1)["stream_sid"]
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    def test_beside_the_callback_it_is_one(self, archive: Archive) -> None:
        archive.told()
        self.put(archive, {"sid": SID, "state": "stopped", "account_sid": "AC" + "9" * 32})
        archive.told()
        assert (archive.row.account_sid, archive.row.business_id) == (ACCOUNT, "456")
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    @pytest.mark.parametrize("recording", [None, {}, {"sid": None}, {"sid": "RE1"}, {"sid": f"../{SID}"}, "x", [], 7])
    def test_names_none(self, archive: Archive, recording: Any) -> None:
        self.put(archive, recording)
        assert (archive.store.get(SID), archive.jobs) == (None, [])

    def test_where_nothing_is_fetched_there_is_no_job(self, archive: Archive) -> None:
        self.put(archive, {"sid": SID}, fetched=False)
        assert (archive.row.state, archive.jobs) == (WANTED, [])


class TestMissed:
    def test_puts_one_job_however_many_ask(self, archive: Archive) -> None:
        archive.told("in-progress")
        assert [archive.missed() for _ in range(3)] == [True, False, False]
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    @pytest.mark.parametrize("state", [STORED, LOST])
    def test_sets_off_a_new_round(self, archive: Archive, state: str) -> None:
        archive.told()
        if state == STORED:
            archive.stored()
        else:
            archive.store.not_stored(SID, LOST, "no")
        assert archive.row.state == state
        assert [archive.missed() for _ in range(3)] == [True, False, False]
        assert archive.row.state == WANTED
        assert archive.jobs == [f"{FETCH}:{SID}:1", f"{FETCH}:{SID}:2"]

    @pytest.mark.parametrize("state", [WANTED, LOST, STORED])
    def test_is_no_news_of_one_that_was_stored_since_it_was_looked_for(self, archive: Archive, state: str) -> None:
        archive.told()
        if state == LOST:
            archive.store.not_stored(SID, LOST, "no")
        elif state == STORED:
            archive.stored()
        seen = archive.row
        assert seen.state == state
        archive.now_s += 0.1
        archive.stored()
        assert not archive.store.missed(seen)
        assert archive.row.state == STORED
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    def test_of_what_is_deleted_is_nothing(self, archive: Archive) -> None:
        archive.told()
        seen = archive.row
        archive.store.delete(SID)
        assert not archive.store.missed(seen)
        assert not archive.missed()
        assert archive.row.state == DELETED


class TestDelete:
    def test_is_once_and_by_a_job(self, archive: Archive) -> None:
        archive.told()
        assert [archive.store.delete(SID) for _ in range(2)] == [True, False]
        assert (archive.row.state, archive.row.deleted_s) == (DELETED, archive.now_s)
        assert archive.jobs == [f"{FETCH}:{SID}:1", f"{DELETE}:{SID}:2"]
        assert not archive.stored(), "whoever fetched it meanwhile deletes what he has"
        assert archive.row.state == DELETED
        assert not archive.store.delete(sid(5))

    def test_of_the_carriers_follows_the_storing(self, archive: Archive) -> None:
        archive.told()
        assert archive.stored(release=True)
        assert archive.jobs == [f"{FETCH}:{SID}:1", f"{DELETE}:{SID}:2"]


class TestSweep:
    def sweep(self, archive: Archive, *, days: int = 0, release: bool = False) -> list[str]:
        return archive.store.sweep(days=days, release=release, limit=10)

    def test_deletes_what_has_had_its_days(self, archive: Archive) -> None:
        archive.told(number=1)
        archive.now_s += 2 * DAY_SECONDS
        archive.told(number=2)
        archive.now_s += DAY_SECONDS
        assert self.sweep(archive) == []
        assert self.sweep(archive, days=2) == [sid(1)]
        assert self.sweep(archive, days=2) == []
        row = archive.store.get(sid(1))
        assert row is not None
        assert row.state == DELETED
        assert archive.jobs.count(f"{DELETE}:{sid(1)}:2") == 1

    def test_puts_again_what_was_forgotten(self, archive: Archive) -> None:
        archive.told()
        archive.now_s += FORGOTTEN_SECONDS - 1
        self.sweep(archive)
        assert len(archive.jobs) == 1
        archive.now_s += 2
        self.sweep(archive)
        self.sweep(archive)
        assert archive.jobs == [f"{FETCH}:{SID}:1", f"{FETCH}:{SID}:2"]

    def test_looks_for_what_has_begun_and_was_never_told_of_again(self, archive: Archive) -> None:
        archive.told("in-progress")
        archive.now_s += UNTOLD_SECONDS - 1
        self.sweep(archive)
        assert archive.jobs == []
        archive.now_s += 2
        self.sweep(archive)
        assert archive.jobs == [f"{FETCH}:{SID}:1"]

    def test_is_not_ahead_of_who_has_seen_to_it_meanwhile(
        self, archive: Archive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        archive.told("in-progress")
        archive.now_s += UNTOLD_SECONDS + 1
        node = RecordingStore(archive.url, fetched=True, now_s=lambda: archive.now_s)
        forgotten = archive.store._forgotten

        def late(*given: Any) -> Any:
            found = forgotten(*given)
            node.told(SID, CALL, ACCOUNT, "completed")
            return found

        monkeypatch.setattr(archive.store, "_forgotten", late)
        self.sweep(archive)
        assert archive.jobs == [f"{FETCH}:{SID}:1"]
        node.close()

    def test_deletes_again_until_both_are_gone(self, archive: Archive) -> None:
        archive.told()
        archive.store.delete(SID)
        archive.store.gone(SID, ours=True)
        archive.now_s += FORGOTTEN_SECONDS + 1
        self.sweep(archive)
        assert len(archive.jobs) == 3
        archive.store.gone(SID, carriers=True)
        archive.now_s += FORGOTTEN_SECONDS + 1
        self.sweep(archive)
        assert len(archive.jobs) == 3

    def test_what_is_settled_is_left_alone(self, archive: Archive) -> None:
        archive.told(number=1)
        archive.store.not_stored(sid(1), LOST, "no")
        archive.told("absent", number=2)
        archive.told()
        archive.stored()
        before = archive.jobs
        archive.now_s += 100 * DAY_SECONDS
        assert (self.sweep(archive), archive.jobs) == ([], before)
        self.sweep(archive, release=True)
        assert archive.jobs == [*before, f"{DELETE}:{SID}:2"]


def test_those_of_a_call_are_listed_the_oldest_first(archive: Archive) -> None:
    for number in (3, 1, 2):
        archive.told(number=number)
        archive.now_s += 1
    assert [row.recording_sid for row in archive.store.of_call(CALL, 2)] == [sid(3), sid(1)]
    assert archive.store.of_call("CA" + "9" * 32, 9) == []
