"""store.database: what opens, and what is shown of it."""

import threading

import sqlalchemy as sa

from fastbridge.store.database import make_tables, open_engine, shown_url


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
