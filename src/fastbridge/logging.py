"""The logging policy, for any service: `configure()` goes by the environment, `event()` writes a macro event.

Of what is behind it (`observe`) the standard library is all that is needed.
"""

from fastbridge.observe.limits import EveryNth, OncePerCall, RateLimiter, log_every, log_every_n
from fastbridge.observe.log_format import mask_phone
from fastbridge.observe.log_policy import (
    NOISY,
    configure,
    configure_from,
    counters,
    event,
    flush,
    log_uncaught,
)

__all__ = [
    "NOISY",
    "EveryNth",
    "OncePerCall",
    "RateLimiter",
    "configure",
    "configure_from",
    "counters",
    "event",
    "flush",
    "log_every",
    "log_every_n",
    "log_uncaught",
    "mask_phone",
]
