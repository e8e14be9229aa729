"""A recording as a file: WAV with mu-law at 8 kHz, left the caller, right the assistant.

While it grows its name ends in `.part`, its owner holds a lock on it, and its header says that the audio goes to the
file's end, so that it can be played whatever becomes of its owner. `finish` puts the true sizes in and takes the ending
off; `mend` does so for those whose owner has died. No file is ever written over.
"""

import errno
import fcntl
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

MULAW = 7
"""WAVE_FORMAT_MULAW."""
RATE_HZ = 8000
CHANNELS = 2
HEADER_BYTES = 58
TO_THE_END = 0xFFFF_FFFF
"""A size that is not known yet: what every player takes for the rest of the file."""
PART = ".part"
MAX_NAME_CHARS = 80
MAX_SAME = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9-]+")


def header(audio_bytes: int | None) -> bytes:
    """58 bytes. audio_bytes: of both channels; None: not known yet."""
    known = audio_bytes is not None and audio_bytes < TO_THE_END - HEADER_BYTES
    size = audio_bytes if known and audio_bytes is not None else TO_THE_END
    whole = size + HEADER_BYTES - 8 if known else TO_THE_END
    samples = size // CHANNELS if known else TO_THE_END
    form = struct.pack("<HHIIHHH", MULAW, CHANNELS, RATE_HZ, RATE_HZ * CHANNELS, CHANNELS, 8, 0)
    return b"".join((
        struct.pack("<4sI4s", b"RIFF", whole, b"WAVE"),
        struct.pack("<4sI", b"fmt ", len(form)), form,
        struct.pack("<4sII", b"fact", 4, samples),
        struct.pack("<4sI", b"data", size),
    ))  # fmt: skip


def safe_name(*parts: str) -> str:
    """What these are called in a folder, whoever made them up."""
    return "_".join(_UNSAFE.sub("", part)[:MAX_NAME_CHARS] for part in parts if part) or "call"


class WavFile:
    """A recording that grows, readable for its owner only. OSError where it cannot be made."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path = folder / f"{name}.wav{PART}"
        self._file = self._made()
        try:
            _write_all(self._file, header(None))
        except OSError:
            os.close(self._file)
            self.path.unlink(missing_ok=True)
            raise

    def _made(self) -> int:
        """The file, and its lock. Whoever mends may see it before it has one, and take it for one that was left."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            file = os.open(self.path, flags, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(file, self.path):
                    return file
            except OSError:
                self.path.unlink(missing_ok=True)
                os.close(file)
                raise
            os.close(file)

    def append(self, audio: bytes) -> None:
        """A byte of each channel in turn. OSError: the disk is full, or gone; or somebody has taken the file away, and
        what is written would be nowhere."""
        if not _is_at(self._file, self.path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        _write_all(self._file, audio)

    def finish(self) -> Path:
        """It is complete: where it is now. OSError where that cannot be; the lock is gone in any case."""
        try:
            return _finish(self._file, self.path)
        finally:
            os.close(self._file)


def mend(folder: Path) -> Iterator[Path]:
    """Finish what was left unfinished by processes that have died; what a live one holds is left to it."""
    for path in sorted(folder.glob(f"*.wav{PART}")):
        try:
            file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # finished meanwhile, or not ours
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(file, path):  # who held the lock before has finished it
                continue
            if not os.fstat(file).st_size:  # nothing is in it, or not yet
                path.unlink()
            else:
                yield _finish(file, path)
        except OSError:
            continue
        finally:
            os.close(file)


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def _finish(file: int, path: Path) -> Path:
    size = max(os.fstat(file).st_size - HEADER_BYTES, 0) // CHANNELS * CHANNELS
    os.ftruncate(file, HEADER_BYTES + size)
    os.pwrite(file, header(size), 0)
    for finished in _names(path):
        try:
            os.link(path, finished, follow_symlinks=False)  # never over another one
        except FileExistsError:
            continue
        path.unlink()
        return finished
    raise FileExistsError(f"{MAX_SAME} recordings are called {path.stem}")


def _names(path: Path) -> Iterator[Path]:
    name = path.name.removesuffix(f".wav{PART}")
    yield path.with_name(f"{name}.wav")
    yield from (path.with_name(f"{name}_{number}.wav") for number in range(2, MAX_SAME + 1))


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
