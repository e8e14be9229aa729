"""fastbridge.net.listening: the port and the process before anything is served."""

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.errors import ConfigError
from fastbridge.net import descriptors, listening
from fastbridge.observe import notices


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1"])
def test_other_hosts_are_the_servers(host):
    assert listening.sockets(load_settings(host=host)) is None


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
def test_both_families_are_served():
    (port,) = listening.sockets(load_settings(host="::", port=0))
    with port:
        number = port.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, number), 5):
                port.accept()[0].close()


def test_who_is_unsigned_says_so(monkeypatch):
    said = []
    monkeypatch.setattr(notices, "unsigned", lambda *where: said.append(where))
    monkeypatch.setattr(descriptors, "prepare", said.append)
    listening.prepare(load_settings(dev=True, twilio_auth_token="x" * 32), 7)
    listening.prepare(load_settings(), 7)
    assert said == [7, 7]
    listening.prepare(load_settings(dev=True), 8)
    assert said[2:] == [8, ("127.0.0.1", 5050)]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP here")
class TestHangUps:
    def test_each_is_told_and_then_it_is_as_before(self):
        told = []
        before = signal.getsignal(signal.SIGHUP)
        with listening.hang_ups(lambda: told.append("hang-up")):
            for _ in range(2):
                signal.raise_signal(signal.SIGHUP)
        assert told == ["hang-up"] * 2
        assert signal.getsignal(signal.SIGHUP) is before

    def test_who_was_told_to_ignore_it_does(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with listening.hang_ups(lambda: 1 / 0):
                signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGHUP, before)

    def test_in_another_thread_nothing_is_done(self):
        def inside() -> None:
            with listening.hang_ups(lambda: None):
                found.append(signal.getsignal(signal.SIGHUP))

        found: list[object] = []
        before = signal.getsignal(signal.SIGHUP)
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        assert found == [before]


CLOSED = """
import os, sys
for number in {closed}: os.close(number)
{forget}
from fastbridge.net.listening import fill_standard_descriptors
filled = fill_standard_descriptors()
left = os.open({out!r}, os.O_WRONLY | os.O_CREAT)
print("out"); print("err", file=sys.stderr); sys.stdout.flush()
assert all(os.get_inheritable(number) for number in range(3))
os.write(left, f"{{filled}} {{left > 2}}".encode())
"""


@pytest.mark.parametrize("closed", [[], [0], [1], [2], [0, 1, 2]])
def test_closed_descriptors_are_nothing_and_no_files_of_ours(tmp_path, closed):
    """As with `<&- >&- 2>&-`, where the interpreter itself has no such file."""
    forget = "".join(f"sys.{name} = None\n" for number, name in ((1, "stdout"), (2, "stderr")) if number in closed)
    out = str(tmp_path / "out")
    subprocess.run([sys.executable, "-c", CLOSED.format(closed=closed, forget=forget, out=out)], check=True, timeout=60)
    assert (tmp_path / "out").read_text() == f"{closed} True"


def test_what_was_closed_is_said_where_somebody_reads(monkeypatch, capsys):
    said = []
    monkeypatch.setattr(notices, "standard_descriptors", said.append)
    listening.say_closed([])
    assert (said, capsys.readouterr().err) == ([], "")
    listening.say_closed([0, 2])
    assert (said, capsys.readouterr().err) == (["0 2"], "")
    listening.say_closed([1])
    assert said[1:] == ["1"]
    assert capsys.readouterr().err.count("\n") == 1
    assert os.fstat(1)


def test_check_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        free_port = server.getsockname()[1]
    listening.check_port("127.0.0.1", free_port)
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(ConfigError, match=f"Port {free_port} is in use"),
    ):
        listening.check_port("127.0.0.1", free_port)
    listening.check_port("127.0.0.1", free_port)
    with pytest.raises(ConfigError, match=r"Cannot listen on '192\.0\.2\.1': set FASTBRIDGE_HOST"):
        listening.check_port("192.0.2.1", free_port)
    assert "choose one above 1023" in str(listening.port_error("127.0.0.1", 80, PermissionError(13, "denied")))
