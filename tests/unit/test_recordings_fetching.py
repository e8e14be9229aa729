"""recordings.fetching: one file for one recording, whatever fails and whenever it is broken off."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from fastbridge.carrier.port import FileDetails, NotFetched
from fastbridge.recordings import fetching
from fastbridge.recordings.fetching import GONE_TRIES, QUIET_TRIES, TRIES, Fetching
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.outbox import Item
from fastbridge.store.recordings import ABSENT, DELETED, FETCH, LOST, STORED, WANTED
from recording_rig import ACCOUNT, CALL, SID, Files, wav
from unit.test_store_recordings import Archive

FILE = wav()
ITEM = Item(f"{FETCH}:{SID}:1", FETCH, CALL, SID)


class Desk:
    """A worker's fetching, before a carrier of ours."""

    def __init__(self, folder: Path, *, account_sid: str | None = None, release: bool = False) -> None:
        self.archive = Archive(folder)
        self.folder = folder / "files"
        self.store = MediaStore(str(self.folder))
        self.carrier = Files({SID: FILE})
        self.fetching = Fetching(self.archive.store, self.store, self.carrier, account_sid, release=release)

    def do(self, attempt: int = 1) -> bool:
        return asyncio.run(self.fetching.do(ITEM, attempt))

    @property
    def names(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()]


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    made.archive.told()
    yield made
    made.archive.store.close()


def test_a_file_is_stored_told_and_never_fetched_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fastbridge.events")
    assert [desk.do(), desk.do()] == [True, True]
    assert desk.carrier.fetched == [(ACCOUNT, SID)]
    row = desk.archive.row
    assert (row.state, row.size_bytes, row.channels, row.stored_s) == (STORED, len(FILE), 2, desk.archive.now_s)
    assert row.etag == hashlib.sha256(FILE).hexdigest()
    assert (desk.folder / f"{SID}.wav").read_bytes() == FILE
    assert [
        record.getMessage().partition(", took")[0] for record in caplog.records if record.name == "fastbridge.events"
    ] == [f"[RECORDING_SERVICE] Download complete, recording_sid={SID}"]


def test_what_was_half_fetched_is_nowhere(desk: Desk) -> None:
    desk.carrier.answers = [NotFetched("HTTP 503"), RuntimeError("no")]
    assert [desk.do(1), desk.do(2)] == [False, False]
    assert (desk.names, desk.archive.row.state) == ([], WANTED)
    assert desk.do(3)
    assert (desk.folder / f"{SID}.wav").read_bytes() == FILE


def test_what_is_in_the_way_is_said(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.carrier.answers = [NotFetched("HTTP 503"), OSError("No space left on device")]
    desk.do(1), desk.do(2)
    said = [record.getMessage() for record in caplog.records]
    assert said[0].startswith("[RECORDING_SERVICE] Not downloaded: HTTP 503, recording_sid=")
    assert "Not downloaded: OSError: No space left on device" in said[1]


def test_that_there_is_none_yet_is_no_news_at_first(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.carrier.files.clear()
    desk.carrier.states[SID] = FileDetails("processing")
    assert [desk.do(attempt) for attempt in range(1, QUIET_TRIES + 1)] == [False] * QUIET_TRIES
    assert caplog.records == []
    assert not desk.do(QUIET_TRIES + 1)
    assert "no file yet, state processing" in caplog.records[0].getMessage()


def test_what_never_was_is_absent(desk: Desk) -> None:
    desk.carrier.files.clear()
    desk.carrier.states[SID] = FileDetails("absent")
    assert desk.do()
    assert desk.archive.row.state == ABSENT


def test_what_the_carrier_has_deleted_is_lost_after_half_an_hour(desk: Desk) -> None:
    desk.carrier.files.clear()
    desk.carrier.states[SID] = FileDetails("gone")
    assert not desk.do(GONE_TRIES - 1)
    assert desk.do(GONE_TRIES)
    assert (desk.archive.row.state, desk.archive.row.problem) == (LOST, "the carrier has deleted it")


def test_what_is_in_the_store_and_not_in_its_row_is_found_where_the_carrier_has_it_no_more(desk: Desk) -> None:
    """After a power cut: the carrier's was deleted, and the database forgot what it was told last."""
    desk.carrier.files.clear()
    desk.carrier.states[SID] = FileDetails("gone")
    (desk.folder / f"{SID}.wav").write_bytes(FILE)
    assert desk.do()
    row = desk.archive.row
    assert (row.state, row.size_bytes, row.etag) == (STORED, len(FILE), hashlib.sha256(FILE).hexdigest())


@pytest.mark.parametrize("content", [FILE[:-1], FILE[:-1] + b"x"])
def test_but_not_one_that_was_spoilt(desk: Desk, content: bytes) -> None:
    assert desk.do()
    (desk.folder / f"{SID}.wav").write_bytes(content)
    desk.archive.missed()
    desk.carrier.files.clear()
    desk.carrier.states[SID] = FileDetails("gone")
    assert not desk.do()
    assert desk.archive.row.state == WANTED


@pytest.mark.parametrize("answer", [NotFetched("HTTP 500"), None, RuntimeError("no")])
def test_after_the_last_try_it_is_lost(desk: Desk, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    desk.carrier.files.clear()
    desk.carrier.answers = [answer]
    assert desk.do(TRIES)
    assert desk.archive.row.state == LOST
    assert caplog.records[-1].levelname == "ERROR"


def test_one_that_is_deleted_before_it_is_given_up_is_not_told_to_be_lost(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.carrier.files.clear()
    desk.carrier.answers = [lambda: desk.archive.store.delete(SID) and None]
    desk.carrier.states[SID] = FileDetails("processing")
    assert desk.do(TRIES)
    assert (desk.archive.row.state, caplog.records) == (DELETED, [])


def test_one_that_is_deleted_while_it_is_fetched_stays_deleted(desk: Desk) -> None:
    desk.carrier.answers = [lambda: desk.archive.store.delete(SID) and None]
    assert desk.do()
    assert (desk.archive.row.state, desk.names) == (DELETED, [])


def test_one_that_was_put_and_never_noted_before_it_was_deleted_goes(desk: Desk) -> None:
    """Killed between the two, and deleted before it is taken up again."""
    (desk.folder / f"{SID}.wav").write_bytes(FILE)
    desk.archive.store.delete(SID)
    assert desk.do()
    assert (desk.names, desk.carrier.fetched) == ([], [])


def test_a_store_that_has_another_file_is_found_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def put(sid: str, file: Any) -> None:
        (desk.folder / f"{sid}.wav").write_bytes(FILE[:-1])

    monkeypatch.setattr(desk.store, "put", put)
    assert not desk.do()
    assert desk.archive.row.state == WANTED


def test_whose_account_it_is_in_is_needed(tmp_path: Path) -> None:
    for folder, account in (("a", None), ("b", ACCOUNT)):
        (tmp_path / folder).mkdir()
        desk = Desk(tmp_path / folder, account_sid=account)
        desk.archive.store.told(SID, CALL, "", "completed")
        assert desk.do() is (account is not None)
        desk.archive.store.close()


def test_of_what_is_not_there_nothing_is_done(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.do()
    assert desk.carrier.fetched == []
    desk.archive.store.close()


def test_the_carriers_goes_where_that_was_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, release=True)
    desk.archive.told()
    assert desk.do()
    assert desk.archive.jobs[-1] == f"recording.delete:{SID}:2"
    desk.archive.store.close()


def test_it_waits_ever_longer_for_three_days(desk: Desk) -> None:
    waits = [desk.fetching.wait_seconds(attempt) for attempt in range(1, TRIES)]
    assert waits[:4] == [2, 4, 8, 16]
    assert waits == sorted(waits)
    assert max(waits) == fetching.LAST_WAIT_SECONDS
    assert 3.0 <= sum(waits) / 86_400 < 3.1
