"""store.places: that no record can be kept somewhere is told before there is one."""

import socket

import pytest

from fastbridge.errors import ConfigError
from fastbridge.store import database
from fastbridge.store.places import unusable


def test_a_place_where_no_record_can_be_is_told_before_there_is_one(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    ours = f"sqlite:///{tmp_path / 'new' / 'calls.db'}"
    assert unusable(ours, tmp_path / "records" / "of" / "calls") == []
    assert unusable(f"sqlite:///{file}", tmp_path) == []
    assert unusable("none", None) == unusable("sqlite://", None) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"], "nothing is left there"
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        unusable("no address", None)


@pytest.mark.parametrize("below", ["file", "file/x", "file/x/y"])
def test_a_file_in_the_way_of_records_is_told(tmp_path, below):
    (tmp_path / "file").write_text("")
    where = tmp_path / below
    [sentence] = unusable("none", where)
    why = "cannot be made or written (Not a directory)"
    told = f"FASTBRIDGE_RECORDS_DIR: {str(where)!r} {why}: no record is kept there"
    assert sentence == f"{told}, and calls are answered all the same."
    [sentence] = unusable(f"sqlite:///{where}/calls.db", None)
    assert sentence.startswith(f"DATABASE_URL: {str(where / 'calls.db')!r} {why}")


def test_a_folder_in_place_of_the_database_is_told(tmp_path):
    [sentence] = unusable(f"sqlite:///{tmp_path}", None)
    assert "(Is a directory)" in sentence


def test_a_database_whose_server_is_not_there_is_told():
    [sentence] = unusable("postgresql+psycopg://u:MARKER@127.0.0.1:1/x", None)
    assert sentence.startswith("DATABASE_URL: postgresql+psycopg://u:***@127.0.0.1:1/x does not answer (Operational")
    assert sentence.endswith("): no record is kept there until it does, and calls are answered all the same.")


def test_one_that_takes_connections_and_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(database, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        [sentence] = unusable(f"postgresql+psycopg://u@127.0.0.1:{silent.getsockname()[1]}/x", None)
    assert "does not answer (no answer within 0 s)" in sentence
