"""A flood of connections while a call is live: webhooks go through, and the call's audio is in time."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from attacker import RunningNode, new_call_sid

resource = pytest.importorskip("resource")

BARE = 1500
"""Three seconds' worth at one connection a tick."""


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """Enough for both ends of every connection."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 4096:
        pytest.skip("needs 4096 file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(4096, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def bare_connections(node: RunningNode, count: int) -> Iterator[None]:
    """Connections that say nothing, on their way all at once."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            bare = stack.enter_context(socket.socket())
            bare.setblocking(False)
            bare.connect_ex(node.address)
        yield


def test_a_live_call_does_not_make_new_connections_wait(node):
    with node.started(new_call_sid()), bare_connections(node, BARE):
        began = time.monotonic()
        assert node.webhook(new_call_sid()).status == 200
        assert time.monotonic() - began < 1.5
