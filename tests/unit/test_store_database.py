"""store.database: what opens, and what is shown of it."""

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

from fastbridge.store.database import _insert_once, insert_once, make_tables, open_engine, shown_url


def test_a_password_is_not_shown():
    assert shown_url("postgresql://u:MARKER@h/x") == "postgresql://u:***@h/x"


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
