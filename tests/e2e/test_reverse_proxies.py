"""docs/reverse-proxies.md in earnest: its configurations, with the real programs, before a real node.

A certificate of our own, other ports and other folders are put into the text; all else is as it is shown there.
"""

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacker import HOST, SLOW_WEBHOOK, Connection, RunningNode, eventually, new_call_sid
from fastbridge.sim.node import free_port

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reverse-proxies.md").read_text(encoding="utf-8")
CERTIFICATE = "/etc/ssl/private/voice.example.com.pem"
LANGUAGES = {"nginx": "nginx", "caddy": "caddyfile", "haproxy": "haproxy"}
SLOW_SENDERS = 220
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    file = tmp_path_factory.mktemp("certificate") / "voice.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=voice.example.com"
    names = ["-addext", "subjectAltName=DNS:voice.example.com"]
    out = subprocess.run([*command.split(), *names, "-keyout", "-"], capture_output=True, check=True)
    file.write_bytes(out.stdout)
    return file


class Proxy:
    """One of the programs, with what the document tells it, before a node."""

    def __init__(self, program: str, node: RunningNode, certificate: Path, folder: Path) -> None:
        self.address = ("127.0.0.1", free_port())
        (text,) = re.findall(rf"^```{LANGUAGES[program]}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
        text = text.replace("127.0.0.1:5050", f"127.0.0.1:{node.address[1]}").replace(CERTIFICATE, str(certificate))
        self._config, self._log = folder / f"{program}.conf", folder / "log"
        self._command = getattr(self, f"_{program}")(text, certificate, folder)
        self._environment = os.environ | {
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "HOME": str(folder),
        }

    def _nginx(self, text: str, certificate: Path, folder: Path) -> list[str]:
        folders = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.address[1]} ssl;")
        self._config.write_text(text.replace("http {", f"http {{ access_log off; {folders}", 1))
        own = f"daemon off; pid {folder}/nginx.pid; user {os.environ.get('USER', 'root')};" if os.getuid() == 0 else ""
        own = own or f"daemon off; pid {folder}/nginx.pid;"
        return ["nginx", "-c", str(self._config), "-p", str(folder), "-e", "stderr", "-g", own]

    def _haproxy(self, text: str, certificate: Path, folder: Path) -> list[str]:
        self._config.write_text(text.replace("bind :443", f"bind 127.0.0.1:{self.address[1]}"))
        return ["haproxy", "-db", "-f", str(self._config)]

    def _caddy(self, text: str, certificate: Path, folder: Path) -> list[str]:
        text = text.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
        tls = f"\tbind 127.0.0.1\n\ttls {certificate} {certificate}"
        site = f"https://voice.example.com:{self.address[1]} {{\n{tls}"
        self._config.write_text(text.replace("voice.example.com {", site))
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(self._config)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment | {"PATH": PATH})
        try:
            assert eventually(self._listens, 10), self._log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def dial(self, source: str) -> socket.socket:
        """A connection by TLS, from this address."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = socket.create_connection(self.address, 5, (source, 0))
        return context.wrap_socket(sock, server_hostname=HOST)


@pytest.fixture(params=sorted(LANGUAGES))
def behind(request, node_with, certificate, tmp_path) -> Iterator[tuple[RunningNode, Proxy]]:
    """A node that is reached only through its proxy; its clients' address is 127.0.0.2."""
    if shutil.which(request.param, path=PATH) is None:
        pytest.skip(f"{request.param} is not installed")
    node = node_with(trusted_proxies="127.0.0.1")
    proxy = Proxy(request.param, node, certificate, tmp_path)
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
