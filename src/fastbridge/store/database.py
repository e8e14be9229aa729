"""The database of this node: where it is, opened; its tables are their owners'.

Whatever is done with it is done off the loop, in a thread or in another process.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from fastbridge.errors import ConfigError
from fastbridge.observe.log_format import clean

NO_DATABASE = "none"
PACKAGES = {"MySQLdb": "mysqlclient", "psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
"""Of drivers that are called otherwise than what installs them."""
ANSWER_SECONDS = 5.0
"""Within which the server of a database takes a connection."""


def open_engine(url: str) -> sa.Engine:
    """An engine for a DATABASE_URL. Nothing is connected yet. ConfigError, a sentence, if it cannot work."""
    try:
        engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except ArgumentError:
        raise ConfigError("DATABASE_URL must be a database's address such as sqlite:///fastbridge.db.") from None
    except ImportError as error:
        package = PACKAGES.get(error.name or "", error.name)
        raise ConfigError(
            f"DATABASE_URL needs a driver that is not installed: pip install {package}, or name another one, such as "
            "postgresql+psycopg:// or mysql+pymysql://."
        ) from None
    if engine.dialect.is_async:
        raise ConfigError("DATABASE_URL must name a synchronous driver, such as postgresql+psycopg or sqlite.")
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: object) -> None:
    """Several processes may write; what was committed survives a crash of ours."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def shown_url(url: str) -> str:
    """A database's address without its password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def reason_of(error: Exception) -> str:
    """In one line; SQLAlchemy's texts go on with the statement, which is of no use to anybody here."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return f"{type(cause).__name__}: {clean(cause)}"


def unanswered(engine: sa.Engine, seconds: float | None = None) -> str | None:
    """Why a database's server cannot be worked with, in a line; None if it answers, or is a file. Blocks for `seconds`
    at most, by default ANSWER_SECONDS: a driver's own patience may have no end."""
    if engine.dialect.name == "sqlite":
        return None
    told: SimpleQueue[str | None] = SimpleQueue()

    def ask() -> None:
        try:
            engine.connect().close()
            told.put(None)
        except Exception as error:  # a driver's own, too
            told.put(reason_of(error))

    threading.Thread(target=ask, name="fastbridge-database", daemon=True).start()
    seconds = ANSWER_SECONDS if seconds is None else seconds
    try:
        return told.get(timeout=seconds)
    except Empty:
        return f"no answer within {seconds:.0f} s"


def make_private(engine: sa.Engine) -> None:
    """SQLite's file is for its owner alone, and so are the ones that SQLite makes beside it."""
    path = sqlite_file(engine.url)
    if path is not None and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def sqlite_file(url: sa.URL) -> Path | None:
    """The file of a SQLite database; None for one in memory and for other databases."""
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:" or name.startswith("file:"):
        return None
    return Path(name)


def make_tables(engine: sa.Engine, metadata: sa.MetaData) -> None:
    """Those of one owner, unless they are there; another process may be making them at this very moment."""
    for table in metadata.sorted_tables:
        try:
            table.create(engine, checkfirst=True)
        except DBAPIError:
            if not sa.inspect(engine).has_table(table.name):
                raise


class Store:
    """To be inherited: what is kept in tables of one database, which are made when they are first needed. Its methods
    block, and raise SQLAlchemy's errors. makers: make_table functions."""

    makers: ClassVar[Sequence[Callable[[sa.Engine], None]]]

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._ready = False

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        if not self._ready:
            make_private(self._engine)
            for make in self.makers:
                make(self._engine)
            self._ready = True
        with self._engine.begin() as connection:
            yield connection


def insert_once(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    """Whether it is new: a row of the same key stays as it is. Never an error that would end the transaction."""
    return bool(connection.execute(_insert_once(connection.dialect.name, table), row).rowcount)


def _insert_once(dialect: str, table: sa.Table) -> sa.Insert:
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    if dialect in ("mysql", "mariadb"):
        return mysql.insert(table).prefix_with("IGNORE")
    return sqlite.insert(table).on_conflict_do_nothing()
