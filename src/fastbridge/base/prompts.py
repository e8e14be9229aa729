"""Our own recordings: what a caller hears when the model has nothing to say for itself.

Files of raw 8 kHz mono mu-law, `<language>/<name>.ulaw`, shipped with the package; a directory of the user's own wins
over them, file by file. They are read once and kept. A recording that is missing is not an error: it is not played.
"""

import functools
import logging
import struct
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from fastbridge.base.languages import FALLBACK, short

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "prompts"
NAMES = ("filler_1", "filler_2", "hold", "apology", "transfer")
"""filler_1, filler_2: a moment, please. hold: still there. apology: something is wrong, goodbye. transfer: something is
wrong, somebody else will take over."""
MAX_SECONDS = 20
BYTES_PER_SECOND = 8000


@dataclass(frozen=True)
class Prompt:
    """One recording: its audio as base64 text, and how long it is."""

    name: str
    base64: bytes
    seconds: float


class Prompts:
    """The recordings of one language."""

    def __init__(self, prompts: dict[str, Prompt]) -> None:
        self._prompts = prompts

    def get(self, name: str) -> Prompt | None:
        return self._prompts.get(name)


@functools.lru_cache(maxsize=64)
def load_prompts(language: str = "", folder: Path | None = None) -> Prompts:
    """The recordings for a language such as `de` or `de-AT`, each from the first place that has it: the user's folder
    in the language, the user's folder itself, the package in the language, the package in English."""
    places = [*_places(FOLDER, language), FOLDER / FALLBACK]
    if folder is not None:
        places = [*_places(folder, language), folder, *places]
    found = {name: prompt for name in NAMES if (prompt := _first(name, places)) is not None}
    return Prompts(found)


def recording(name: str, folder: Path) -> bytes | None:
    """The recording of this name in a folder, as raw mu-law; None where there is none that can be used."""
    found = _first(name, [folder])
    return None if found is None else b64decode(found.base64)


def wav(audio: bytes) -> bytes:
    """A WAV file of mu-law as it is (format 7)."""
    form = struct.pack("<HHIIHHH", 7, 1, BYTES_PER_SECOND, BYTES_PER_SECOND, 1, 8, 0)
    chunks = ((b"fmt ", form), (b"fact", struct.pack("<I", len(audio))), (b"data", audio))
    body = b"WAVE" + b"".join(
        name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2) for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _places(folder: Path, language: str) -> list[Path]:
    """Where it may have recordings in this language. A code that is none is no path."""
    return [folder / short(language)] if short(language) else []


def _first(name: str, places: list[Path]) -> Prompt | None:
    for place in places:
        path = place / f"{name}.ulaw"
        try:
            audio = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            logger.exception("[SERVER_ERROR] the recording %s cannot be read", path)
            continue
        if 0 < len(audio) <= MAX_SECONDS * BYTES_PER_SECOND:
            return Prompt(name, b64encode(audio), len(audio) / BYTES_PER_SECOND)
        logger.error("[SERVER_ERROR] the recording %s is empty or longer than %d s", path, MAX_SECONDS)
    return None
