"""Links to one recording, for whoever holds them, until they expire. Signed, so that nobody makes one but us.

The key is made of the node's API keys: with a key that is taken away, every link goes. Library: itsdangerous.
"""

import hashlib
import time
from collections.abc import Callable

from itsdangerous import BadData, URLSafeSerializer

MIN_SECONDS = 60
MAX_SECONDS = 7 * 86_400
DEFAULT_SECONDS = 3600
MAX_TOKEN_CHARS = 300
_SALT = "fastbridge link to a recording"


class Links:
    """keys: FASTBRIDGE_API_KEYS, as it is. now_s(): seconds since 1970."""

    def __init__(self, keys: str, now_s: Callable[[], float] = time.time) -> None:
        key = hashlib.sha256(b"fastbridge links\0" + keys.encode("utf-8", "replace")).digest()
        self._signer = URLSafeSerializer(key, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256})
        self._now_s = now_s

    def make(self, recording_sid: str, seconds: float) -> tuple[str, int]:
        """A token, and until when it is good, in seconds since 1970."""
        until_s = int(self._now_s() + seconds)
        return str(self._signer.dumps([recording_sid, until_s])), until_s

    def good(self, token: str, recording_sid: str) -> bool:
        """Whether it is one of ours, for this recording, and has not expired."""
        if not token.isascii() or len(token) > MAX_TOKEN_CHARS:
            return False
        try:
            named, until_s = self._signer.loads(token)
            return bool(named == recording_sid and self._now_s() < until_s)
        except (BadData, ValueError, TypeError):
            return False
