"""The kernel's time stamps reach us."""

import socket
import sys
import threading
import time

import pytest

from fastbridge.sim.tap import TappedSocket


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel stamps packets on Linux only")
def test_the_kernel_knows_when_a_packet_arrived_though_it_is_read_late() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        tapped = TappedSocket(socket.AF_INET, socket.SOCK_STREAM)
        tapped.connect(server.getsockname())
        tapped.tap()
        peer, _ = server.accept()
        late = threading.Event()
        with tapped, peer:
            for _ in range(10):  # the kernel begins to stamp a little after it was asked to
                sent_ns = time.monotonic_ns()
                peer.send(b"early")
                late.wait(0.05)
                assert tapped.recv(100) == b"early"
                if tapped.arrived_ns - sent_ns < 25_000_000:
                    break
            assert sent_ns - 1_000_000 < tapped.arrived_ns < sent_ns + 25_000_000
