"""The store: what became of a record when the database is there, full, away, read-only or slow."""

import errno
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DataError, OperationalError

from fastbridge.errors import ConfigError
from fastbridge.store import database
from fastbridge.store import records as store
from fastbridge.store.database import open_engine
from fastbridge.store.records import RecordStore

SID = "CA" + "1f" * 16


def record(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "version": 2,
        "call_sid": f"CA{number:032x}",
        "stream_sid": f"MZ{number:032x}",
        "direction": "inbound",
        "business_id": "456",
        "from": "+1415****00",
        "started_at": f"2026-01-01T00:00:{number % 60:02}.000+00:00",
        "duration_ms": 45_000,
        "end_reason": "customer_hangup",
        "caller_turns": 4,
        "barge_ins": [],
        "cost": {"usd": 0.01},
        "text": "שלום \ud800 \x00",
    } | changes


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/deep/calls.db"


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(store, "FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(store, "LAST_RETRY_SECONDS", 0.002)


def stored(url: str, limit: int = 100) -> list[dict[str, Any]]:
    with store.reading(url) as connection:
        return store.latest(connection, limit) if connection is not None else []


def test_records_are_stored_and_found_again(url):
    calls = RecordStore(url)
    for number in range(25):
        assert calls.put(record(number))
    assert calls.close()
    assert calls.counters == {"stored": 25, "updated": 0, "failed": 0, "lost": 0}
    assert 1 <= calls.peak_waiting <= 25
    rows = stored(url, 10)
    assert [row["call_sid"] for row in rows] == [f"CA{number:032x}" for number in range(24, 14, -1)]
    assert rows[0]["cost_usd"] == 0.01
    assert "record" not in rows[0]
    with store.reading(url) as connection:
        assert store.find(connection, f"CA{7:032x}") == [record(7)]
        assert len(store.find(connection, "CA0")) == 2
        assert store.find(connection, "CA_") == store.find(connection, "%") == []
        assert store.latest(connection, 5, business_id="9") == []


def test_what_was_spent_since_by_business(url):
    keeper = RecordStore(url)
    assert keeper.spent_since("2026-01-01") == {}
    assert RecordStore("none").spent_since("2026-01-01") == {}
    keeper.put(record(1))
    keeper.put(record(2, cost={"usd": None}))
    keeper.put(record(3, business_id=None, cost={"usd": 0.5}))
    keeper.put(record(4, started_at="2025-12-31T23:59:59.999+00:00"))
    keeper.put(record(5, cost={"usd": 0.02}))
    keeper.close()
    assert RecordStore(url).spent_since("2026-01-01T00:00:00.000+00:00") == {"456": pytest.approx(0.03), "": 0.5}


def test_the_file_and_what_sqlite_puts_beside_it_are_the_owners_alone(url, tmp_path):
    before = os.umask(0)
    try:
        calls = RecordStore(url, tmp_path / "files")
        calls.put(record())
        calls.close()
    finally:
        os.umask(before)
    for path in [*(tmp_path / "deep").iterdir(), *(tmp_path / "files").iterdir()]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700


def test_the_same_record_twice_is_one(url):
    calls = RecordStore(url)
    calls.put(record())
    calls.put(record())
    assert calls.close()
    assert calls.counters == {"stored": 2, "updated": 0, "failed": 0, "lost": 0}
    assert len(stored(url)) == 1


def test_a_record_that_has_changed_takes_the_place_of_the_first(url, tmp_path):
    calls = RecordStore(url, tmp_path / "files")
    calls.put(record(1))
    calls.put(record(2))
    calls.update(record(1) | {"caller_turns": 5, "text": "late"})
    calls.update(record(3))  # the first was lost
    assert calls.close()
    assert calls.counters == {"stored": 2, "updated": 2, "failed": 0, "lost": 0}
    assert {row["call_sid"][-1]: row["turns"] for row in stored(url)} == {"1": 5, "2": 4, "3": 4}
    with store.reading(url) as connection:
        assert store.find(connection, f"CA{1:032x}")[0]["text"] == "late"
    assert json.loads((tmp_path / "files" / f"CA{1:032x}.json").read_text())["text"] == "late"


@pytest.mark.parametrize("first", ["whole", "half", "other"])
def test_an_update_leaves_another_stream_of_the_call_alone(url, tmp_path, first):
    calls, folder = RecordStore(url, tmp_path / "files"), tmp_path / "files"
    path, stream_sid = folder / f"CA{1:032x}.json", "MZ" + "f" * 32
    calls.put(record(1))
    assert calls.close()
    if first != "whole":
        path.write_text("[" if first == "half" else "[]")
    before, calls = path.read_text(), RecordStore(url, folder)
    for text in ("early", "late"):
        calls.update(record(1) | {"stream_sid": stream_sid, "text": text})
    assert calls.close()
    assert len(stored(url)) == 2
    assert path.read_text() == before
    assert json.loads((folder / f"CA{1:032x}_{stream_sid}.json").read_text())["text"] == "late"
    assert len(list(folder.iterdir())) == 2


def test_two_processes_may_write(url):
    code = """
import json, sys
from fastbridge.store.records import RecordStore
calls = RecordStore(sys.argv[1])
for each in json.loads(sys.argv[2]):
    calls.put(each)
assert calls.close(30)
"""
    workers = [
        subprocess.Popen([sys.executable, "-c", code, url, json.dumps([record(base + n) for n in range(40)])])
        for base in (0, 1000)
    ]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert len(stored(url)) == 80


class Faulty:
    """A database that does what it is told. Threads of other tests, still at their own, are not told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self.url = url
        self.faults: list[Exception] = []
        self.attempts = 0
        self.gate = threading.Event()
        self.gate.set()
        monkeypatch.setattr(RecordStore, "_prepare", self.prepare)

    def prepare(self, engine: Any) -> None:
        if engine.url != sa.make_url(self.url):
            return
        self.gate.wait(10)
        self.attempts += 1
        if self.faults:
            raise self.faults.pop(0)
        store._metadata.create_all(engine)


@pytest.fixture
def faulty(monkeypatch, url):
    return Faulty(monkeypatch, url)


def broken(kind: type, text: str = "database or disk is full") -> Exception:
    return kind("INSERT", {"secret": "MARKER"}, sqlite3.OperationalError(text))


@pytest.mark.parametrize("text", ["database or disk is full", "attempt to write a readonly database", "unable to open"])
def test_while_the_database_is_away_the_first_record_is_tried_again(url, faulty, fast, text, caplog, tmp_path):
    (tmp_path / "deep").mkdir()
    faulty.faults = [broken(OperationalError, text)] * 20
    calls = RecordStore(url)
    calls.put(record(1))
    calls.put(record(2))
    while calls.counters["stored"] < 2:
        threading.Event().wait(0.001)
    assert calls.close()
    assert calls.counters == {"stored": 2, "updated": 0, "failed": 20, "lost": 0}
    (line,) = [entry.getMessage() for entry in caplog.records]
    assert line == f"[DB] a call record could not be stored: OperationalError: {text}"


def test_what_the_database_will_never_take_is_lost_alone(url, faulty, caplog, tmp_path):
    (tmp_path / "deep").mkdir()
    faulty.faults = [broken(DataError)]
    calls = RecordStore(url)
    calls.put(record(1))
    calls.put(record(2))
    assert calls.close()
    assert calls.counters == {"stored": 1, "updated": 0, "failed": 1, "lost": 1}
    assert "MARKER" not in caplog.text


def test_a_full_queue_loses_the_new_record_and_nobody_waits(url, faulty, caplog, tmp_path):
    (tmp_path / "deep").mkdir()
    faulty.gate.clear()
    calls = RecordStore(url, max_waiting=3)
    results = [calls.put(record(number)) for number in range(10)]
    assert results.count(True) in (3, 4)  # the thread may have taken one
    assert calls.counters["lost"] == results.count(False)
    assert len(caplog.records) == 1
    faulty.gate.set()
    assert calls.close()
    assert calls.counters["stored"] == results.count(True)


def test_closing_waits_only_so_long(url, faulty, caplog, tmp_path):
    (tmp_path / "deep").mkdir()
    faulty.gate.clear()
    calls = RecordStore(url)
    for number in range(3):
        calls.put(record(number))
    while calls.waiting == 3:
        threading.Event().wait(0.001)
    assert not calls.close(0.01)
    assert calls.counters["lost"] == 3
    assert not calls.put(record())
    assert "3 call records were lost" in caplog.text
    faulty.gate.set()
    assert calls._thread is not None
    calls._thread.join(10)
    assert calls._engine.pool.checkedin() == 0  # whoever stops waiting leaves no connection open


def test_a_database_that_is_away_does_not_hold_up_the_end(url, faulty, tmp_path):
    faulty.faults = [broken(OperationalError)] * 10
    calls = RecordStore(url)
    calls.put(record(1))
    calls.put(record(2))
    assert calls.close()
    assert calls.counters["lost"] == 2


def test_the_last_records_are_tried_more_than_once(url, faulty, tmp_path):
    (tmp_path / "deep").mkdir()
    faulty.gate.clear()
    calls = RecordStore(url)
    faulty.faults = [broken(OperationalError)] * (store.CLOSING_ATTEMPTS - 1)
    calls.put(record(1))
    calls._closing.set()
    faulty.gate.set()
    assert calls.close()
    assert calls.counters == {"stored": 1, "updated": 0, "failed": store.CLOSING_ATTEMPTS - 1, "lost": 0}


def test_a_table_that_another_process_makes_meanwhile_is_no_fault(url, monkeypatch, tmp_path):
    (tmp_path / "deep").mkdir()
    make = store._metadata.create_all

    def raced(engine: Any) -> None:
        make(engine)
        raise broken(OperationalError, "table fastbridge_calls already exists")

    monkeypatch.setattr(store._metadata, "create_all", raced)
    calls = RecordStore(url)
    calls.put(record())
    assert calls.close()
    assert calls.counters == {"stored": 1, "updated": 0, "failed": 0, "lost": 0}


def test_a_folder_in_the_way_costs_no_call(tmp_path, fast, caplog):
    (tmp_path / "file").write_text("in the way")
    calls = RecordStore(f"sqlite:///{tmp_path}/file/calls.db", tmp_path / "file" / "records")
    calls.put(record())
    while calls.counters["failed"] < 3:
        threading.Event().wait(0.001)
    calls.close()
    assert calls.counters["lost"] == 1
    assert len(caplog.records) == 2
    assert "[NODE] 1 call records were lost" in caplog.text


def test_all_that_a_stop_loses_is_one_line(tmp_path, fast, caplog):
    """However often it was tried, and whatever was said before."""
    (tmp_path / "file").write_text("in the way")
    calls = RecordStore(f"sqlite:///{tmp_path}/file/calls.db")
    for number in range(5):
        calls.put(record(number))
    calls.close()
    assert calls.counters["lost"] == 5
    assert "[NODE] 5 call records were lost: they could not be stored before the stop" in caplog.text
    calls.close()
    assert caplog.text.count("[NODE]") == 1


def test_old_records_go(url):
    calls = RecordStore(url, days=30)
    calls.put(record(1, started_at="2020-01-01T00:00:00.000+00:00"))
    calls.put(record(2, started_at="2999-01-01T00:00:00.000+00:00"))
    calls._now_s = lambda: 0.0
    assert calls.close()
    again = RecordStore(url, days=30)
    again.put(record(3, started_at="2999-01-01T00:00:00.000+00:00"))
    assert again.close()
    assert {row["call_sid"] for row in stored(url)} == {f"CA{2:032x}", f"CA{3:032x}"}


def test_without_a_database_there_is_nothing_to_do():
    calls = RecordStore("none")
    assert calls.put(record())
    assert calls.close()
    assert calls._thread is None


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("nonsense", "must be a database's address"),
        ("foo://x", "must be a database's address"),
        ("mysql+pymysql://u:MARKER@h/x", "pip install pymysql"),
        ("sqlite+aiosqlite:///x", "pip install aiosqlite"),
    ],
)
def test_an_address_that_cannot_work_is_said_at_once(url, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        RecordStore(url)
    assert "MARKER" not in str(error.value)


class TestFiles:
    def test_whole_or_not_at_all(self, tmp_path, monkeypatch):
        def interrupted(source: Any, target: Any) -> None:
            assert json.loads(source.read_text())["text"] == "first"
            raise OSError("the disk is full")

        record = {"call_sid": SID, "stream_sid": "", "end_reason": "x", "text": "first"}
        monkeypatch.setattr(store.os, "replace", interrupted)
        with pytest.raises(OSError, match="full"):
            store.write_record(tmp_path, record)
        assert not (tmp_path / f"{SID}.json").exists()
        monkeypatch.undo()
        store.write_record(tmp_path, record)
        assert json.loads((tmp_path / f"{SID}.json").read_text())["text"] == "first"

    def test_a_call_that_came_again_is_not_written_over(self, tmp_path):
        streams = ["MZ" + "1" * 32, "MZ" + "2" * 32, ""]
        for stream_sid in streams:
            record = {"call_sid": SID, "stream_sid": stream_sid, "end_reason": "no_stream"}
            store.write_record(tmp_path, record)
        written = {path.name: json.loads(path.read_text())["stream_sid"] for path in tmp_path.iterdir()}
        names = [f"{SID}.json", f"{SID}_{streams[1]}.json", f"{SID}_no_stream.json"]
        assert written == dict(zip(names, streams, strict=True))

    @pytest.mark.parametrize("text", ["שלום", "\ud800", "a\u2028b", "😀"])
    def test_any_text(self, tmp_path, text):
        store.write_record(
            tmp_path / "new" / "folder", {"call_sid": SID, "stream_sid": "", "end_reason": "x", "text": text}
        )
        (path,) = (tmp_path / "new" / "folder").iterdir()
        assert json.loads(path.read_text(encoding="utf-8"))["text"] == text.encode("utf-8", "replace").decode()

    @pytest.mark.parametrize("sid", ["../x", SID + "/", SID.lower(), "", SID + "\n"])
    def test_a_name_that_is_no_sid_is_no_path(self, tmp_path, sid):
        with pytest.raises(ValueError, match="sid"):
            store.write_record(tmp_path, {"call_sid": sid, "stream_sid": ""})
        assert list(tmp_path.iterdir()) == []

    def test_a_link_in_its_place_is_not_followed(self, tmp_path):
        target = tmp_path / "target"
        target.write_text("mine")
        (tmp_path / f"{SID}.tmp").symlink_to(target)
        store.write_record(tmp_path, {"call_sid": SID, "stream_sid": ""})
        assert target.read_text() == "mine"


def test_reading_makes_no_database(url, tmp_path):
    assert stored(url) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_a_sentence(tmp_path):
    (tmp_path / "x.db").write_text("no database " * 1000)
    with pytest.raises(ConfigError, match="cannot be read"):
        stored(f"sqlite:///{tmp_path}/x.db")


def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://u:MARKER@127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(ConfigError, match=r"u:\*\*\*@.* cannot be read: no answer within") as caught:
            stored(url)
    assert "MARKER" not in str(caught.value)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        store.write_record(tmp_path, record())
    assert list(tmp_path.iterdir()) == []


def test_rows_are_found_by_index(url):
    calls = RecordStore(url)
    calls.put(record())
    calls.close()
    engine = open_engine(url)
    assert {index["name"] for index in sa.inspect(engine).get_indexes("fastbridge_calls")}
    engine.dispose()


@pytest.mark.parametrize(
    ("stands_in", "end_reasons"),
    [
        ({"end_reason": "node_lost"}, ["customer_hangup"]),
        ({"end_reason": "busy"}, ["busy", "customer_hangup"]),
        ({"end_reason": "node_lost", "stream_sid": "MZ" + "9" * 32}, ["customer_hangup", "node_lost"]),
    ],
)
def test_a_late_record_takes_the_place_of_the_one_that_stands_for_it(url, stands_in, end_reasons):
    """The database was away, and whoever looked after the call was back before the queue."""
    calls = RecordStore(url)
    calls.put(record(1, stream_sid="", outbound_id="OB1") | stands_in)
    calls.put(record(1, outbound_id="OB1"))
    assert calls.close()
    assert sorted(row["end_reason"] for row in stored(url)) == end_reasons
