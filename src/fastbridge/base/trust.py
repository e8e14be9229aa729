"""Who is trusted by TLS, where the environment says so: SSL_CERT_FILE, which is no setting of ours.

Whoever connects reads it, and breaks where it is wrong; so it is looked at before, and said in a sentence.
"""

import os
from collections.abc import Iterator

from fastbridge.errors import ConfigError

VARIABLE = "SSL_CERT_FILE"


def trust_faults() -> Iterator[str]:
    """A sentence, where nobody could be connected to."""
    path = os.environ.get(VARIABLE, "")
    if not path:
        return
    import ssl  # by its few users alone

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:
        why = "there is no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        yield f"{VARIABLE}: {path[:200]!r} cannot be used ({why}): name a PEM file of whom you trust, or unset it."


def require_trust() -> None:
    """ConfigError, with that sentence."""
    for fault in trust_faults():
        raise ConfigError(fault)
