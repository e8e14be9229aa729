"""What a worker and a node need of recordings, made of the settings."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.routing import Route

from fastbridge.base.api_keys import ApiKeys
from fastbridge.carrier.port import CarrierFiles
from fastbridge.config import Settings
from fastbridge.recordings import api
from fastbridge.recordings.fetching import Fetching
from fastbridge.recordings.keeping import Deleting, Keeper
from fastbridge.recordings.links import Links
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.recordings import DELETE, FETCH, RecordingStore


class Upkeep(NamedTuple):
    """The worker's part. doers: by the names of their jobs."""

    doers: Mapping[str, Fetching | Deleting]
    keeper: Keeper
    rows: RecordingStore


def upkeep(settings: Settings, url: str, carrier: CarrierFiles) -> Upkeep:
    """url: FASTBRIDGE_RECORDINGS_URL. ConfigError."""
    account_sid, release = settings.twilio_account_sid, settings.recording_release
    store = MediaStore(url)
    rows = RecordingStore(settings.database_url.get_secret_value(), fetched=True)
    doers: dict[str, Fetching | Deleting] = {
        FETCH: Fetching(rows, store, carrier, account_sid, release=release),
        DELETE: Deleting(rows, store, carrier, account_sid),
    }
    return Upkeep(doers, Keeper(rows, store, days=settings.recording_days, release=release), rows)


def routes(settings: Settings, url: str, rows: RecordingStore, keys: str) -> list[Route]:
    """The node's part. url: as above. keys: FASTBRIDGE_API_KEYS. ConfigError."""
    return api.routes(rows, MediaStore(url), ApiKeys(keys), Links(keys), settings.public_url)
