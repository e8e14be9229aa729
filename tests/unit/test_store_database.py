"""store.database: what opens, and what is shown of it."""

import sys
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from fastbridge.errors import ConfigError
from fastbridge.store.database import Store, _insert_once, insert_once, make_tables, open_engine, shown_url


def test_a_password_is_not_shown():
    assert shown_url("postgresql://u:MARKER@h/x") == "postgresql://u:***@h/x"


@pytest.mark.parametrize(("module", "package"), [("MySQLdb", "mysqlclient"), ("pymysql", "pymysql")])
def test_a_driver_that_lacks_is_told_by_what_installs_it(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    dialect = "mysql" if module == "MySQLdb" else f"mysql+{module}"
    with pytest.raises(ConfigError, match=rf"not installed: pip install {package}, or name another one, such as post"):
        open_engine(f"{dialect}://u@h/x")


def test_several_may_make_the_tables_at_once(tmp_path):
    metadata = sa.MetaData()
    sa.Table("one", metadata, sa.Column("id", sa.Integer, primary_key=True))
    sa.Table("two", metadata, sa.Column("id", sa.Integer, primary_key=True))
    url, failed = f"sqlite:///{tmp_path}/x.db", []

    def make() -> None:
        engine = open_engine(url)
        try:
            make_tables(engine, metadata)
            with engine.begin() as connection:
                connection.execute(sa.text("select count(*) from two"))
        except Exception as error:
            failed.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


ONE = sa.Table("one", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("word", sa.Text))


def test_a_row_is_inserted_once_and_the_transaction_goes_on(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    make_tables(engine, ONE.metadata)
    with engine.begin() as connection:
        assert insert_once(connection, ONE, {"id": 1, "word": "first"})
        assert not insert_once(connection, ONE, {"id": 1, "word": "second"})
        assert insert_once(connection, ONE, {"id": 2, "word": "third"})
    with engine.connect() as connection:
        assert connection.execute(sa.select(ONE).order_by(ONE.c.id)).all() == [(1, "first"), (2, "third")]
    engine.dispose()


class Words(Store):
    """One table's."""

    makers = (lambda engine: make_tables(engine, ONE.metadata),)

    def say(self, word):
        with self._begin() as connection:
            connection.execute(sa.insert(ONE).values(word=word))

    def said(self):
        with self._begin() as connection:
            return list(connection.execute(sa.select(ONE.c.word)).scalars())


def test_a_store_makes_its_tables_for_its_owner_alone_when_they_are_needed(tmp_path):
    path = tmp_path / "deep" / "x.db"
    store = Words(open_engine(f"sqlite:///{path}"))
    assert not path.exists()
    store.say("first")
    assert (store.said(), path.stat().st_mode & 0o777) == (["first"], 0o600)
    store.close()
    again = Words(open_engine(f"sqlite:///{path}"))
    assert again.said() == ["first"]
    again.close()


def test_what_a_store_cannot_do_is_undone(tmp_path):
    store = Words(open_engine(f"sqlite:///{tmp_path}/x.db"))

    def fail():
        with store._begin() as connection:
            connection.execute(sa.insert(ONE).values(word="lost"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.said() == []
    store.close()


@pytest.mark.parametrize(
    ("name", "dialect", "words"),
    [
        ("postgresql", postgresql.dialect(), "ON CONFLICT DO NOTHING"),
        ("mysql", mysql.dialect(), "INSERT IGNORE INTO"),
        ("mariadb", mysql.dialect(), "INSERT IGNORE INTO"),
    ],
)
def test_other_databases_have_words_for_it(name, dialect, words):
    assert words in str(_insert_once(name, ONE).compile(dialect=dialect))
