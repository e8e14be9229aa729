"""Variables that are called like a setting of ours and are none: most often a slip of the pen, and never an error."""

import difflib
import os
from collections.abc import Collection, Mapping

from dotenv import dotenv_values

from fastbridge.config import Settings, variables

OWN = "FASTBRIDGE_"


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each, of the environment or `.env`."""
    known = {name.removeprefix(OWN): name for field in Settings.model_fields for name in variables(field)}
    given = {*(os.environ if environ is None else environ), *_names_in_env_file()}
    found = []
    for name in sorted(given - {*known.values()}):
        if name.startswith(OWN):
            nearest = difflib.get_close_matches(name.removeprefix(OWN), known, 1, 0.7)
            found.append(f"{name} is no setting" + (f": did you mean {known[nearest[0]]}?" if nearest else "."))
    return found


def _names_in_env_file() -> Collection[str]:
    try:
        return dotenv_values(".env").keys()
    except (OSError, UnicodeDecodeError):
        return ()  # load_settings says so
