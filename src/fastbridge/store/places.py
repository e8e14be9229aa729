"""Where records are to be kept, looked at before there is one."""

import os
import tempfile
from pathlib import Path

from fastbridge.store.database import NO_DATABASE, open_engine, shown_url, sqlite_file, unanswered

AWAY = "does not answer"
"""By these words in its sentence a database's server is told from a place that cannot be written."""


def unusable(database_url: str, records_dir: Path | None) -> list[str]:
    """A sentence for each place of these at which no record could be kept now. Nothing is left there. Blocks until a
    database's server has answered, or for `database.ANSWER_SECONDS`."""
    engine = open_engine(database_url) if database_url != NO_DATABASE else None
    found = []
    if engine is not None and (why := unanswered(engine)) is not None:
        found.append(
            f"DATABASE_URL: {shown_url(database_url)} {AWAY} ({why}): no record is kept there until it does, "
            "and calls are answered all the same."
        )
    for variable, place, attempt in (
        ("DATABASE_URL", sqlite_file(engine.url) if engine is not None else None, _try_file),
        ("FASTBRIDGE_RECORDS_DIR", records_dir, try_folder),
    ):
        try:
            if place is not None:
                attempt(place)
        except OSError as error:
            why = error.strerror or type(error).__name__
            found.append(
                f"{variable}: {str(place)!r} cannot be made or written ({why}): no record is kept there, and calls are "
                "answered all the same."
            )
    if engine is not None:
        engine.dispose()
    return found


def _try_file(path: Path) -> None:
    if path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    else:
        try_folder(path.parent)


def try_folder(folder: Path) -> None:
    """There, or where it would be made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    tempfile.TemporaryFile(dir=folder).close()
