"""Recordings for tests: files, sids, and a worker that fetches them."""

import io
import os
import subprocess
import sys
import wave
from pathlib import Path

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


def start_worker(folder: Path, **variables: str) -> "subprocess.Popen[bytes]":
    """`fastbridge worker` with the built-in agent; its log is appended to folder/worker.log."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("FASTBRIDGE_", "TWILIO_"))}
    environment |= {"LOG_LEVEL": "INFO", **variables}
    with (folder / "worker.log").open("ab") as log:
        command = [sys.executable, "-m", "fastbridge", "worker"]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
