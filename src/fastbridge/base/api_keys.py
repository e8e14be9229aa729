"""Keys of whoever may ask a node for something, and what each of them is for.

`FASTBRIDGE_API_KEYS` names them, with commas between: `KEY` for everything, `KEY:calls` or `KEY:calls+recordings` for
some of it.
"""

import hashlib
import hmac
import re

from pydantic import SecretStr

SCOPES = frozenset({"calls", "recordings"})
WHAT_KEYS_ARE = (
    "keys of at least 20 letters, digits, _ and -, with commas between, each for all, or with what it is for, such as "
    "KEY:calls or KEY:calls+recordings"
)
_KEY = re.compile(r"[A-Za-z0-9_-]{20,200}")


def parsed(text: str) -> dict[str, frozenset[str]]:
    """What each key is for. ValueError if it is not as above."""
    keys = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        key, colon, names = entry.partition(":")
        scopes = frozenset(names.split("+")) if colon else SCOPES
        if not _KEY.fullmatch(key) or not scopes <= SCOPES:
            raise ValueError("not a key")
        keys[key] = scopes
    if not keys:
        raise ValueError("no key")
    return keys


def key_for(text: str, scope: str) -> str | None:
    """The first key that is for this."""
    return next((key for key, scopes in parsed(text).items() if scope in scopes), None)


class ApiKeys:
    """text: as above. ValueError if it is not that."""

    def __init__(self, text: str) -> None:
        self._scopes = {_hash(key): scopes for key, scopes in parsed(text).items()}

    def scopes(self, authorization: str) -> frozenset[str] | None:
        """What the bearer of this `Authorization` header may do; None if it is nobody's. In constant time."""
        scheme, _, key = authorization.partition(" ")
        given, found = _hash(key.strip()), None
        for known, scopes in self._scopes.items():
            if hmac.compare_digest(known, given) and scheme.lower() == "bearer":
                found = scopes
        return found


def checked_keys(given: SecretStr | None) -> SecretStr | None:
    """Themselves; ValueError if they are none."""
    if given is not None:
        parsed(given.get_secret_value())
    return given


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
