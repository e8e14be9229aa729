"""When a request came: the moments from which its sender waits for us, and those in which we wait for it.

A request is here when its bytes are, not when the loop gets round to them; how long they lay, the kernel knows.
"""

import socket
import struct
import time
from typing import Any

_LAST_DATA_RECEIVED = struct.Struct("=52xI")
"""Of Linux's `struct tcp_info`: ms since data came, of which all was read until now."""
_TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)


class Arrival:
    """One request's, in ns of the monotonic clock: its head was here, its body was here, we had read it."""

    __slots__ = ("_body_ns", "_head_ns", "_read_ns")

    def __init__(self) -> None:
        self.head(time.monotonic_ns())

    def head(self, now_ns: int) -> None:
        """The head has come, and with it perhaps all of it."""
        self._head_ns = now_ns
        self._body_ns: int | None = None
        self._read_ns: int | None = None

    def body(self, now_ns: int) -> None:
        """The last of it has come."""
        self._body_ns = max(now_ns, self._head_ns)

    def read(self) -> None:
        """It is read, and can be judged. Where nobody has said when its body came, it came now."""
        self._read_ns = time.monotonic_ns()
        if self._body_ns is None:
            self._body_ns = self._read_ns

    def waits_ms(self) -> tuple[float, dict[str, int]]:
        """How long its sender has waited by now, and for what: `body_ms` for its own body to come, `lag_ms` for the
        loop, which had something else to do, `work_ms` for our judgement and answer."""
        now_ns = time.monotonic_ns()
        body_ns = self._body_ns or now_ns
        read_ns = self._read_ns or now_ns
        parts = {"body_ms": body_ns - self._head_ns, "lag_ms": read_ns - body_ns, "work_ms": now_ns - read_ns}
        return (now_ns - self._head_ns) / 1e6, {name: round(part_ns / 1e6) for name, part_ns in parts.items()}


def came_ns(transport: Any) -> int:
    """When the newest bytes of this connection came: earlier than now by as long as they lay in the kernel."""
    now_ns = time.monotonic_ns()
    try:
        info = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _LAST_DATA_RECEIVED.size)
        lay_ms: int = _LAST_DATA_RECEIVED.unpack(info)[0]
    except (OSError, AttributeError, TypeError, NotImplementedError, struct.error):
        return now_ns  # no TCP, or not Linux
    return now_ns - lay_ms * 1_000_000
