"""Files of recordings, where FASTBRIDGE_RECORDINGS_URL says: a folder, or a bucket at S3, Google or Azure.

A file is there whole or not at all, under a name made of its sid alone; who puts it twice has it once. It is read in
pieces and never held. The library is obstore; its credentials are those that each cloud's own programs take from the
environment. Never blocks the loop.
"""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fastbridge.errors import ConfigError, NotInstalledError

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url
except ModuleNotFoundError:
    raise NotInstalledError("The store of recordings is not installed: pip install 'fastbridge[recordings]'.") from None

PIECE_BYTES = 256 * 1024
SCHEMES = ("file", "s3", "gs", "az")
WHAT_IT_IS = "a folder, or an address such as s3://bucket/recordings, gs://… or az://…"
LEFT_SECONDS = 86_400.0
"""What a process that was killed in the midst of a write has left behind is old by then."""
ANSWER_SECONDS = 8.0
"""A store that has not answered a question by then does not. The library would go on for three minutes, as it may
with a file that is put."""
_NAME = re.compile(r"(RE|CA|OB)[0-9a-f]{32}\Z")
StoreError = (BaseError, OSError, ValueError)
"""What the library raises where a store does not answer, or not well."""


class Kept(NamedTuple):
    """A file that is there. changed: when it was put there."""

    size_bytes: int
    changed: datetime


class MediaStore:
    """url: as above. ConfigError, a sentence, if that cannot be. Its methods raise StoreError."""

    def __init__(self, url: str) -> None:
        self._folder = folder_of(url)
        with _as_a_sentence():
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._store = from_url(self._folder.resolve().as_uri())
            else:
                self._store = from_url(url)

    async def put(self, sid: str, file: BinaryIO) -> None:
        """The whole file, from its beginning; it outlives a power cut."""
        file.seek(0)
        name = _name(sid)
        await obstore.put_async(self._store, name, file)
        if self._folder is not None:
            await asyncio.to_thread(_settle, self._folder / name)

    async def look(self, sid: str) -> Kept | None:
        """None where there is none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await obstore.head_async(self._store, _name(sid))
        except FileNotFoundError:
            return None
        return Kept(found["size"], found["last_modified"])

    async def read(self, sid: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes from `start` up to, without, `end`, in pieces; none is read before the one in front was taken."""
        for at in range(start, end, PIECE_BYTES):
            async with asyncio.timeout(ANSWER_SECONDS):
                piece = await obstore.get_range_async(self._store, _name(sid), start=at, end=min(at + PIECE_BYTES, end))
            if len(piece) != min(PIECE_BYTES, end - at):
                raise OSError("the file has become shorter")
            yield bytes(piece)

    async def delete(self, sid: str) -> bool:
        """Whether there was one, where the store tells."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await obstore.delete_async(self._store, _name(sid))
        except FileNotFoundError:
            return False
        return True

    async def sweep(self) -> None:
        """Away with what was begun and never finished."""
        if self._folder is not None:
            await asyncio.to_thread(_sweep, self._folder)


def check(url: str) -> None:
    """ConfigError, a sentence, for an address that cannot be. Nothing is made or asked."""
    if folder_of(url) is None:
        with _as_a_sentence():
            from_url(url)


@contextlib.contextmanager
def _as_a_sentence() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"FASTBRIDGE_RECORDINGS_URL cannot be used ({why}): set it to {WHAT_IT_IS}.") from None


def folder_of(url: str) -> Path | None:
    """Of an address that names one, or of a path; None for a bucket. ConfigError for anything else."""
    scheme = urlsplit(url).scheme
    if not scheme:
        return Path(url)
    if scheme not in SCHEMES:
        raise ConfigError(f"FASTBRIDGE_RECORDINGS_URL must be {WHAT_IT_IS}, not {scheme}://.")
    return Path(url2pathname(urlsplit(url).path)) if scheme == "file" else None


def _name(sid: str) -> str:
    if not _NAME.match(sid):
        raise ValueError("not a sid")
    return f"{sid}.wav"


def _settle(path: Path) -> None:
    """For its owner alone, and on the disk: the carrier's may be deleted next."""
    path.chmod(0o600)
    for each in (path, path.parent):
        opened = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _sweep(folder: Path) -> None:
    """The library writes into NAME#NUMBER, and then gives it its name."""
    before = time.time() - LEFT_SECONDS
    for path in folder.glob("*.wav#*"):
        with contextlib.suppress(FileNotFoundError):  # it has just got its name
            if path.stat().st_mtime < before:
                path.unlink()
