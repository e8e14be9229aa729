"""What a node does for recordings: it writes down what the carrier tells of them, and serves their files.

The rest is the worker's. Who keeps no files needs none of their libraries.
"""

import asyncio

from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import Route

from fastbridge.carrier.port import RecordingTold
from fastbridge.config import Settings
from fastbridge.observe import notices
from fastbridge.store.recordings import RecordingStore


async def kept(rows: RecordingStore, told: RecordingTold) -> bool:
    """A callback, in the database before anybody is told so. False if it could not be."""
    numbers = {"channels": told.channels, "duration_seconds": told.duration_seconds}
    try:
        await asyncio.to_thread(
            lambda: rows.told(told.recording_sid, told.call_sid, told.account_sid, told.status, **numbers)
        )
    except (SQLAlchemyError, OSError) as error:
        notices.recording_untold(told.recording_sid, told.call_sid, error)
        return False
    return True


def routes(settings: Settings, rows: RecordingStore | None) -> list[Route]:
    """Of their API; none without a place for files, or without keys. ConfigError."""
    if settings.recordings_url is None or settings.api_keys is None or rows is None:
        return []
    from fastbridge.recordings import assembly

    return assembly.routes(settings, settings.recordings_url, rows, settings.api_keys.get_secret_value())
