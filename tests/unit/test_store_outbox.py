"""store.outbox: what is to be done for a call stands where its record stands, or neither does."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fastbridge.store import outbox
from fastbridge.store.database import open_engine
from fastbridge.store.outbox import Item, Outbox
from fastbridge.store.records import RecordStore, document
from unit.test_store_records import record


def call(number: int) -> dict[str, Any]:
    return {**record(), "call_sid": f"CA{number:032x}"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/x.db"


def waiting(url: str, jobs: list[str]) -> list[Item]:
    engine = open_engine(url)
    found = Outbox(engine).waiting(jobs, 100)
    engine.dispose()
    return found


def test_a_record_brings_its_jobs(url: str) -> None:
    store = RecordStore(url)
    store.put(call(1), jobs=("a", "b"))
    store.put(call(2))
    store.close()
    stream = call(1)["stream_sid"]
    sid = call(1)["call_sid"]
    assert sorted(waiting(url, ["a", "b"])) == [Item(f"{job}:{sid}:{stream}", job, sid, stream) for job in "ab"]
    engine = open_engine(url)
    found = document(engine, sid, stream)
    assert found is not None
    assert found["call_sid"] == sid
    assert document(engine, sid, "MZ0") is None
    assert Outbox(engine).others(["a"]) == ["b"]
    engine.dispose()


def test_a_record_that_cannot_be_stored_leaves_no_job(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise sa.exc.DataError("x", {}, Exception("no"))

    monkeypatch.setattr(outbox, "add", fail)
    store = RecordStore(url)
    store.put(call(1), jobs=("a",))
    store.close()
    engine = open_engine(url)
    assert waiting(url, ["a"]) == []
    assert document(engine, call(1)["call_sid"], call(1)["stream_sid"]) is None
    engine.dispose()


def test_one_that_was_stored_twice_has_its_jobs_once(url: str) -> None:
    store = RecordStore(url)
    store.put(call(1), jobs=("a",))
    store.put(call(1), jobs=("a",))
    store.update(call(1))
    store.close()
    assert len(waiting(url, ["a"])) == 1


def test_what_was_taken_is_gone_and_the_oldest_comes_first(url: str) -> None:
    store = RecordStore(url)
    for number in range(1, 6):
        store.put(call(number), jobs=("a",))
    store.close()
    engine = open_engine(url)
    box = Outbox(engine)
    assert [item.call_sid for item in box.waiting(["a"], 2)] == [call(1)["call_sid"], call(2)["call_sid"]]
    for item in box.waiting(["a"], 2):
        box.taken(item.key)
        box.taken(item.key)
    assert [item.call_sid for item in box.waiting(["a"], 9)] == [call(number)["call_sid"] for number in (3, 4, 5)]
    engine.dispose()


def test_what_is_put_twice_is_there_once(url: str) -> None:
    item = Item("recording.fetch:RE1:1", "recording.fetch", "CA1", "RE1")
    engine = open_engine(url)
    outbox.make_table(engine)
    for news in (True, False):
        with engine.begin() as connection:
            assert outbox.put(connection, item) is news
    engine.dispose()
    assert waiting(url, ["recording.fetch"]) == [item]
