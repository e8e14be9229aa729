"""jobs.queue: that there is one worker for a database. (What it does: test_jobs_worker, in a process of its own.)"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from fastbridge.errors import ConfigError
from fastbridge.jobs.queue import only_worker
from fastbridge.store.database import open_engine


def test_a_second_one_is_refused_as_long_as_the_first_is_there(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/x.db")
    with only_worker(engine):
        with pytest.raises(ConfigError, match="Another worker"), only_worker(engine):
            pytest.fail("two workers")
        other = open_engine(f"sqlite:///{tmp_path}/y.db")
        with only_worker(other):
            pass
        other.dispose()
    with only_worker(engine):
        pass
    engine.dispose()


class Postgres:
    """A database in which a connection may be lost, and with it the lock. answers: one by one."""

    def __init__(self, *answers: Any) -> None:
        self.url = sa.make_url("postgresql+psycopg://x")
        self.dialect = SimpleNamespace(name="postgresql")
        self.answers = list(answers)
        self.asked: list[str] = []
        self.options: dict[str, Any] = {}
        self.begun = 0

    def connect(self) -> "Postgres":
        return self

    def execution_options(self, **options: Any) -> "Postgres":
        self.options |= options
        return self

    def begin(self) -> "Postgres":
        self.begun += 1
        return self

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(self, *_: object) -> None:
        self.begun = 0

    def execute(self, statement: sa.TextClause, _: object) -> Any:
        assert self.begun == 1, "once lost it would stay so"
        self.asked.append("lock" if "pg_try_advisory_lock" in statement.text else statement.text)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(scalar=lambda: answer)


LOST = OperationalError("x", {}, Exception())


class TestPostgres:
    @pytest.mark.parametrize(("taken", "still"), [(True, True), (False, False)])
    def test_a_lock_that_went_with_its_connection_is_taken_anew_unless_another_has_it(
        self, taken: bool, still: bool
    ) -> None:
        database: Any = Postgres(True, 1, LOST, taken)
        with only_worker(database) as holds:
            assert [holds(), holds()] == [True, still]
        assert database.asked == ["lock", "select 1", "select 1", "lock"]

    def test_while_the_database_is_away_nobody_knows(self) -> None:
        database: Any = Postgres(True, LOST, LOST, LOST, True)
        with only_worker(database) as holds:
            for _ in range(2):
                with pytest.raises(OperationalError):
                    holds()
            assert holds()
        assert database.asked[1:] == ["select 1", "lock", "lock", "lock"]

    def test_a_second_one_is_refused(self) -> None:
        database: Any = Postgres(False)
        with pytest.raises(ConfigError, match="Another worker"), only_worker(database):
            pytest.fail("two workers")

    def test_no_transaction_is_left_open_meanwhile(self) -> None:
        database: Any = Postgres(True)
        with only_worker(database):
            assert database.options == {"isolation_level": "AUTOCOMMIT"}
