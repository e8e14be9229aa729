"""Recordings for tests: files, sids, and a worker that fetches them."""

import io
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2

from fastbridge.carrier.port import Fetched, FileDetails, NotFetched, NotThere

ACCOUNT = "AC" + "1" * 32
CALL = "CA" + "2" * 32
SID = "RE" + "3" * 32
KEY = "key-of-a-test-for-recordings"


def sid(number: int) -> str:
    return f"RE{number:032x}"


def wav(frames: int = 8000, *, channels: int = 2, seed: int = 1) -> bytes:
    """A WAV file of 16 bit at 8 kHz; other seeds are other files."""
    made = io.BytesIO()
    with wave.open(made, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes((seed.to_bytes(4, "little") * frames * channels)[: 2 * frames * channels])
    return made.getvalue()


class Pieces(httpx2.AsyncByteStream):
    """A body as the network has it: in pieces, and read once."""

    def __init__(self, content: bytes, size: int = 5000) -> None:
        self._pieces = [content[at : at + size] for at in range(0, len(content), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Files:
    """A carrier's files, by sid. answers: in place of that, one for each fetch to come; a function is called first."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = files or {}
        self.answers: list[Any] = []
        self.states: dict[str, FileDetails | None] = {}
        self.deletes = True
        self.fetched: list[tuple[str, str]] = []
        self.deleted: list[tuple[str, str]] = []

    async def details(self, account_sid: str, recording_sid: str) -> FileDetails | None:
        return self.states.get(recording_sid)

    async def fetch(
        self, account_sid: str, recording_sid: str, sink: Callable[[bytes], object]
    ) -> Fetched | NotThere | NotFetched:
        self.fetched.append((account_sid, recording_sid))
        answer = self.answers.pop(0) if self.answers else None
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            sink(b"half of it")
            return answer  # type: ignore[no-any-return]
        file = self.files.get(recording_sid)
        if file is None:
            return NotThere()
        sink(file)
        return Fetched(len(file), 2)

    async def delete(self, account_sid: str, recording_sid: str) -> bool:
        self.deleted.append((account_sid, recording_sid))
        return self.deletes

    async def close(self) -> None: ...


def start_worker(folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    """`fastbridge worker` with the built-in agent; its log is appended to folder/worker.log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FASTBRIDGE_", "TWILIO_"))}
    environment |= {"LOG_LEVEL": "INFO", **variables}
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "fastbridge", "worker"]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
