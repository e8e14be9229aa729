"""The public port, before anything is served on it: its socket, its signals, and what is said about both.

Nothing here reads or writes a connection.
"""

import contextlib
import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fastbridge.errors import ConfigError
from fastbridge.net import descriptors
from fastbridge.observe import notices

if TYPE_CHECKING:
    from fastbridge.config import Settings

BOTH_FAMILIES = "::"


def prepare(settings: "Settings", calls: int) -> None:
    """What is to be put right, or said, before the port is open. calls: at once, in one process."""
    descriptors.prepare(calls)
    if settings.unsigned:
        notices.unsigned(settings.host, settings.port)


def check_port(host: str, port: int) -> None:
    """Raise ConfigError unless we can listen there. The server binds for itself, and says less when it cannot."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise port_error(host, port, error) from None


def port_error(host: str, port: int, error: OSError) -> ConfigError:
    """Why we could not listen, in a sentence."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"Port {port} is in use: stop what listens there, or choose another with --port or PORT.")
    if error.errno == errno.EACCES:
        return ConfigError(f"Port {port} needs more rights than we have: choose one above 1023 with --port or PORT.")
    return ConfigError(
        f"Cannot listen on {host!r}: set FASTBRIDGE_HOST to an address of this machine, such as 0.0.0.0."
    )


def sockets(settings: "Settings") -> list[socket.socket] | None:
    """The port's socket where it is to serve IPv4 and IPv6; None: the server opens its own. OSError as it does."""
    if settings.host != BOTH_FAMILIES or not socket.has_dualstack_ipv6():
        return None
    address = (settings.host, settings.port)
    return [socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048)]


@contextlib.contextmanager
def hang_ups(told: Callable[[], object]) -> Iterator[None]:
    """A terminal that hangs up (SIGHUP) tells so, as often as it likes. Not where it is ignored, as by nohup."""
    number = getattr(signal, "SIGHUP", None)
    if (
        number is None
        or threading.current_thread() is not threading.main_thread()
        or signal.getsignal(number) is signal.SIG_IGN
    ):
        yield
        return
    before = signal.signal(number, lambda *_: told())
    try:
        yield
    finally:
        signal.signal(number, before)


def fill_standard_descriptors() -> list[int]:
    """Open what of input, output and error is closed on nothing, or the first sockets would get their numbers, and
    whatever is printed would go there. Which those were."""
    filled = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)  # the lowest number that is free
            os.set_inheritable(nothing, True)
            filled.append(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
    return filled


def say_closed(numbers: list[int]) -> None:
    """Those that `fill_standard_descriptors` filled, once there is a log; and on the one of the two outputs that is
    left, where nobody may read the other."""
    if numbers:
        notices.standard_descriptors(" ".join(map(str, numbers)))
    if 1 in numbers and 2 not in numbers:
        print("fastbridge: standard output is closed, so that nobody reads the log.", file=sys.stderr)
