"""recordings.keeping: what is to go goes, ours and the carrier's, and nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fastbridge.recordings.keeping import Deleting, Keeper
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.outbox import Item
from fastbridge.store.recordings import DELETE, DELETED
from recording_rig import ACCOUNT, CALL, SID, Files, sid
from unit.test_store_recordings import DAY_SECONDS, Archive

ITEM = Item(f"{DELETE}:{SID}:2", DELETE, CALL, SID)
FILE = b"RIFF..."


class Desk:
    def __init__(self, folder: Path, account_sid: str | None = None) -> None:
        self.archive = Archive(folder)
        self.path = folder / "files" / f"{SID}.wav"
        self.store = MediaStore(str(folder / "files"))
        self.carrier = Files()
        self.deleting = Deleting(self.archive.store, self.store, self.carrier, account_sid)
        self.archive.told()
        self.path.write_bytes(FILE)
        self.archive.stored()

    def do(self, attempt: int = 1) -> bool:
        return asyncio.run(self.deleting.do(ITEM, attempt))


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    yield made
    made.archive.store.close()


def test_one_that_is_deleted_goes_from_both_and_each_is_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fastbridge.events")
    desk.archive.store.delete(SID)
    assert [desk.do(), desk.do()] == [True, True]
    row = desk.archive.row
    assert (desk.path.exists(), desk.carrier.deleted) == (False, [(ACCOUNT, SID)])
    assert row.gone_s == row.carrier_gone_s == desk.archive.now_s
    assert [
        record.getMessage().partition(",")[0] for record in caplog.records if record.name == "fastbridge.events"
    ] == [
        "[RECORDING_SERVICE] Deleted from our store",
        "[RECORDING_SERVICE] Deleted from the carrier",
    ]


def test_a_carrier_that_does_not_is_asked_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.archive.store.delete(SID)
    desk.carrier.deletes = False
    assert not desk.do()
    assert not desk.path.exists(), "ours does not wait for the carrier's"
    assert "Not deleted: the carrier did not delete it" in caplog.records[-1].getMessage()
    desk.carrier.deletes = True
    assert desk.do(2)


def test_the_carriers_alone_goes_when_ours_is_there(desk: Desk) -> None:
    assert desk.do()
    assert (desk.path.read_bytes(), desk.carrier.deleted) == (FILE, [(ACCOUNT, SID)])
    assert desk.archive.row.carrier_gone_s is not None


@pytest.mark.parametrize("content", [None, FILE[:-1]])
def test_and_stays_when_ours_is_not(desk: Desk, content: bytes | None) -> None:
    desk.path.unlink()
    if content is not None:
        desk.path.write_bytes(content)
    assert not desk.do()
    assert desk.carrier.deleted == []


def test_one_that_is_wanted_anew_is_left_alone(desk: Desk) -> None:
    desk.archive.missed()
    assert desk.do()
    assert (desk.path.exists(), desk.carrier.deleted) == (True, [])


def test_a_file_that_comes_back_goes_again(desk: Desk) -> None:
    desk.archive.store.delete(SID)
    desk.do()
    desk.path.write_bytes(FILE)
    assert desk.do()
    assert not desk.path.exists()


def test_whose_account_it_is_in_is_needed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(tmp_path, account_sid=None)
    desk.archive.store.told(SID, CALL, "", "completed")
    desk.archive.store.delete(SID)
    assert not desk.do()
    assert "set TWILIO_ACCOUNT_SID" in caplog.records[-1].getMessage()
    desk.archive.store.close()


def test_what_it_meets_is_said_and_not_raised(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.archive.store.delete(SID)

    async def away(sid: str) -> bool:
        raise PermissionError("no")

    monkeypatch.setattr(desk.store, "delete", away)
    assert not desk.do()
    assert desk.carrier.deleted == [], "ours goes first"


def test_what_has_had_its_days_is_swept_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbridge.recordings.keeping.SWEPT_AT_ONCE", 3)
    archive = Archive(tmp_path)
    for number in range(8):
        archive.told(number=number)
    archive.now_s += 2 * DAY_SECONDS
    archive.told(number=9)
    store = MediaStore(str(tmp_path / "files"))
    asyncio.run(Keeper(archive.store, store, days=1, release=False).keep_house())
    states = {row.recording_sid: row.state for row in archive.store.of_call(CALL, 20)}
    assert {name for name, state in states.items() if state != DELETED} == {sid(9)}
    archive.store.close()


def test_a_store_that_cannot_be_swept_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = Archive(tmp_path)
    store = MediaStore(str(tmp_path / "files"))
    (tmp_path / "files" / "x.wav#1").mkdir()

    async def sweep() -> None:
        raise PermissionError

    store.sweep = sweep  # type: ignore[method-assign]
    asyncio.run(Keeper(archive.store, store, days=0, release=False).keep_house())
    assert "store of recordings does not answer" in caplog.records[0].getMessage()
    archive.store.close()
