"""Variables that are called like a setting of ours and are none: most often a slip of the pen, and never an error.

Of those without our prefix only what nobody else is likely to read: names of two words or more that are a setting's but
for the prefix, and not the few that are anybody's (`SHARED`). LANGUAGE, VOICE and HOST are thus no slips.
"""

import difflib
import os
from collections.abc import Collection, Mapping

from dotenv import dotenv_values

from fastbridge.config import Settings, variables

OWN = "FASTBRIDGE_"
SHARED = frozenset({"MAX_CONNECTIONS", "MAX_OUTPUT_TOKENS", "REASONING_EFFORT", "TRUSTED_PROXIES"})
"""Names of two words that other programs read as well."""


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each, of the environment or `.env`."""
    names = {name for field in Settings.model_fields for name in variables(field)}
    known = {name.removeprefix(OWN): name for name in sorted(names)}
    given = {*(os.environ if environ is None else environ), *_names_in_env_file()}
    found = []
    for name in sorted(given - names):
        if name.startswith(OWN):
            nearest = difflib.get_close_matches(name.removeprefix(OWN), known, 1, 0.7)
            found.append(f"{name} is no setting" + (f": did you mean {known[nearest[0]]}?" if nearest else "."))
        elif name in known and "_" in name and name not in SHARED:
            found.append(f"{name} is no setting: did you mean {known[name]}?")
    return found


def _names_in_env_file() -> Collection[str]:
    try:
        return dotenv_values(".env").keys()
    except (OSError, UnicodeDecodeError):
        return ()  # load_settings says so
