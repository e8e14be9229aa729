"""docs/reverse-proxies.md in earnest: its configurations, with the real programs, before a real node."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacker import HOST, SLOW_WEBHOOK, Connection, RunningNode, eventually, new_call_sid
from proxies import LANGUAGES, PATH, Proxy, make_certificate

SLOW_SENDERS = 220


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return make_certificate(tmp_path_factory.mktemp("certificate") / "voice.pem")


@pytest.fixture(params=sorted(LANGUAGES))
def behind(request, node_with, certificate, tmp_path) -> Iterator[tuple[RunningNode, Proxy]]:
    """A node that is reached only through its proxy; its clients' address is 127.0.0.2."""
    if shutil.which(request.param, path=PATH) is None:
        pytest.skip(f"{request.param} is not installed")
    node = node_with(trusted_proxies="127.0.0.1")
    proxy = Proxy(request.param, node.address[1], certificate, tmp_path)
    node.dial = lambda receive_buffer_bytes=0: proxy.dial("127.0.0.2")
    with proxy.running():
        yield node, proxy


def test_a_call_goes_through(behind):
    node, _ = behind
    assert node.request(f"GET /healthz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()).status == 200
    call_sid = new_call_sid()
    with node.started(call_sid) as line:
        for _ in range(10):
            line.media()
        assert eventually(lambda: node.call(call_sid).caller.frames_in == 10)
        line.text({"event": "stop"})
        assert line.close_code() == 1000
    assert eventually(lambda: node.call(call_sid) is None)


def test_whose_address_it_is(behind, caplog):
    """The one that the proxy sees, whatever the client says it is."""
    node, _ = behind
    forged = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
    assert node.webhook(new_call_sid(), signed=False, headers=forged).status == 403
    assert "webhook refused: no_signature (1 so far), from 127.0.0.2" in caplog.text


def test_a_forged_host_signs_nothing(behind):
    node, _ = behind
    assert node.webhook(new_call_sid(), headers="X-Forwarded-Host: evil.example\r\n").status == 200
    assert node.webhook(new_call_sid(), headers="X-Forwarded-Proto: http\r\n").status == 200


def test_slow_senders_cost_nobody_elses_webhook(behind):
    node, proxy = behind

    def send_slowly() -> None:
        with contextlib.suppress(OSError):
            held.append(Connection(proxy.dial("127.0.0.3")))
            held[-1].send(SLOW_WEBHOOK)

    held: list[Connection] = []
    senders = [threading.Thread(target=send_slowly) for _ in range(SLOW_SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    try:
        assert len(held) > SLOW_SENDERS // 2
        assert [node.webhook(new_call_sid()).status for _ in range(30)] == [200] * 30
    finally:
        for connection in held:
            connection.close()
