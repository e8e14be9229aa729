"""jobs.queue: that there is one worker for a database. (What it does: test_jobs_worker, in a process of its own.)"""

from pathlib import Path

import pytest

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
