"""Recordings: whatever is told, asked for and done, in whichever order, none is lost, none is fetched twice over, and
what is deleted stays deleted."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge.store.recordings import ABSENT, DELETE, DELETED, FETCH, LOST, STORED, WANTED
from unit.test_store_recordings import SID, Archive

TOLD = ("in-progress", "completed", "absent")
STEPS = (*TOLD, "missed", "stored", "lost", "delete", "gone", "sweep", "later")


def take(archive: Archive, step: str) -> None:
    if step in TOLD:
        archive.told(step, channels=2)
    elif step == "missed":
        archive.missed()
    elif step == "stored":
        archive.stored(release=True)
    elif step == "lost":
        archive.store.not_stored(SID, LOST, "no")
    elif step == "delete":
        archive.store.delete(SID)
    elif step == "gone":
        archive.store.gone(SID, carriers=True)
    elif step == "sweep":
        archive.store.sweep(days=9, release=True, limit=5)
    else:
        archive.now_s += 2 * 86_400.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=14))
def test_of_any_history(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder))
        before, keys, wanted_again = None, [], 1
        for step in steps:
            take(archive, step)
            row = archive.store.get(SID)
            jobs = archive.jobs
            assert jobs[: len(keys)] == keys, "what was put stays until it is taken"
            keys = jobs
            if row is None:
                assert step not in TOLD
                continue
            assert before != DELETED or row.state == DELETED
            assert before != STORED or step not in TOLD or row.state == STORED
            assert before != ABSENT or step != "missed" or row.state == ABSENT
            if row.state == WANTED and before not in (None, WANTED):
                wanted_again += 1
            if row.state == WANTED and step in ("completed", "missed"):
                assert row.job_s is not None, "somebody fetches it"
            if row.state == DELETED:
                assert any(key.startswith(DELETE) for key in jobs)
            swept = steps.count("sweep")
            assert sum(key.startswith(FETCH) for key in jobs) <= wanted_again + swept
            before = row.state
        archive.store.close()
