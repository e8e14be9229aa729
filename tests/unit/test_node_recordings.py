"""node.recordings: a callback is in the database before it is answered; without files or keys there is no API."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fastbridge.carrier.port import RecordingTold
from fastbridge.config import Settings
from fastbridge.node.recordings import kept, routes
from fastbridge.store.recordings import RecordingStore
from recording_rig import ACCOUNT, CALL, KEY, SID

TOLD = RecordingTold(ACCOUNT, CALL, SID, "completed", 2, 17)


def test_what_is_told_is_kept(tmp_path: Path) -> None:
    rows = RecordingStore(f"sqlite:///{tmp_path}/x.db", fetched=True)
    assert asyncio.run(kept(rows, TOLD))
    row = rows.get(SID)
    assert row is not None
    assert (row.account_sid, row.call_sid, row.channels, row.duration_seconds) == (ACCOUNT, CALL, 2, 17)
    rows.close()


def test_a_database_that_is_away_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    rows = RecordingStore("sqlite:////proc/none/x.db", fetched=True)
    assert not asyncio.run(kept(rows, TOLD))
    assert "a callback could not be kept" in caplog.text
    rows.close()


@pytest.mark.parametrize("missing", ["recordings_url", "api_keys", ""])
def test_the_api_needs_files_and_keys(tmp_path: Path, missing: str) -> None:
    given: dict[str, Any] = {"recordings_url": str(tmp_path / "files"), "api_keys": KEY}
    given.pop(missing, None)
    rows = RecordingStore(f"sqlite:///{tmp_path}/x.db", fetched=True)
    found = routes(Settings(**given, _env_file=None), rows)
    assert bool(found) is (missing == "")
    assert (tmp_path / "files").exists() is (missing == "")
    assert routes(Settings(**given, _env_file=None), None) == []
    rows.close()
