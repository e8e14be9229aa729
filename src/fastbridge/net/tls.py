"""TLS to a service whose connections are many and whose records are small.

Both things here keep the loop free. To read the certificates of all who are trusted takes it 50 ms, in which no call's
frame leaves in time: it is done once, at the start. And the library reads and writes a record by functions in Python
around OpenSSL's: for a call with GPT-Live that is 200 times a second.
"""

import ssl
from collections.abc import Callable


class DirectSslObject(ssl.SSLObject):
    """Whose methods for each record are OpenSSL's own, as CPython wraps them: `SSLObject` keeps that in `_sslobj`."""

    @property
    def pending(self) -> Callable[[], int]:
        return self._sslobj.pending  # type: ignore[attr-defined, no-any-return]

    @property
    def read(self) -> Callable[..., bytes]:
        return self._sslobj.read  # type: ignore[attr-defined, no-any-return]

    @property
    def write(self) -> Callable[[bytes], int]:  # type: ignore[override]
        return self._sslobj.write  # type: ignore[attr-defined, no-any-return]


def client_context() -> ssl.SSLContext:
    """For all connections of a process: the peer is checked, certificate and name, by whom this machine trusts now."""
    context = ssl.create_default_context()
    context.sslobject_class = DirectSslObject
    return context
