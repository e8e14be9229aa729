"""`fastbridge doctor` before a real node behind a real nginx, whose configuration lacks or spoils one thing after the
other. What it says of each is what an operator reads."""

import asyncio
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from attacker import HOST, RunningNode, eventually, new_call_sid
from fastbridge.base.findings import Finding
from fastbridge.carrier.twilio.trial import Trial
from fastbridge.sim.node import free_port
from proxies import PATH, Proxy, make_certificate

NAME = "localhost"
Change = Callable[[str], str]


def without(*lines: str) -> Change:
    def change(text: str) -> str:
        kept = [line for line in text.splitlines() if not line.strip().startswith(lines)]
        assert len(kept) < len(text.splitlines())
        return "\n".join(kept)

    return change


def instead(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    for program in ("openssl", "nginx"):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("certificates")

    def make(name: str = NAME, **options: str) -> Path:
        file = folder / f"{name}{''.join(options.values())}.pem"
        return file if file.exists() else make_certificate(file, name, **options)

    return make


class Scene:
    """A node, an nginx before it, and what the doctor finds when something of that is changed."""

    def __init__(self, make_node: Callable[..., RunningNode], certificates: Callable[..., Path], folder: Path) -> None:
        self._make_node, self._certificates, self._folder = make_node, certificates, folder
        self.node: RunningNode
        self.port = free_port()

    def examine(
        self,
        change: Change = str,
        *,
        certificate: Path | None = None,
        prefix: str = "",
        node_url: str = "",
        passes_to: int = 0,
        **doctors: Any,
    ) -> dict[str, Finding]:
        """By check. node_url: the PUBLIC_URL that the node has. passes_to: a port in place of the node's. doctors: what
        differs in the doctor's settings."""
        url = f"https://{NAME}:{self.port}{prefix}"
        self.node = self._make_node(public_url=node_url or url, trusted_proxies="127.0.0.1")
        own = {"public_url": url, "port": self.node.address[1]} | doctors
        proxy = Proxy(
            "nginx",
            passes_to or self.node.address[1],
            certificate or self._certificates(),
            self._folder,
            port=self.port,
            changed=change,
        )
        with proxy.running():
            findings = asyncio.run(Trial(self.node.settings.model_copy(update=own)).run())
        return {each.check: each for each in findings}

    def fault(self, change: Change = str, **options: Any) -> Finding:
        """The finding of the first check that fails."""
        first, *others = [each for each in self.examine(change, **options).values() if not each.ok]
        assert all(each.fault == "not_tried" for each in others)
        print(f"{first.check}: {first.detail}. {first.todo}")
        return first


@pytest.fixture
def scene(
    node_with: Callable[..., RunningNode],
    certificates: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    """Whose certificate is believed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates()))
    return Scene(node_with, certificates, tmp_path)


def test_all_is_well_and_no_call_was_booked(scene, caplog):
    found = scene.examine()
    assert [each.todo for each in found.values()] == ["", "", ""]
    assert found["media stream"].detail.startswith("opens, and passes both ways, in ")
    node = scene.node
    assert eventually(lambda: not node.server.server_state.connections)
    assert (node.live, node.do(lambda: node.node.directory.pending), node.counters) == (0, 0, {})
    assert not [record for record in caplog.records if record.levelname == "WARNING" or "CALL" in record.message]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (without("proxy_set_header Upgrade", "proxy_set_header Connection"), "Upgrade and Connection"),
        (without("proxy_set_header Upgrade"), "Upgrade"),
        (without("proxy_set_header Connection"), "Connection"),
    ],
)
def test_a_proxy_that_drops_the_upgrade(scene, change, missing, caplog):
    found = scene.fault(change)
    assert (found.check, found.fault) == ("media stream", "upgrade_dropped")
    assert found.detail == f"the proxy (nginx) drops {missing}: the node gets a plain request, and Twilio no stream"
    for line in ("proxy_http_version 1.1", "Upgrade $http_upgrade", 'Connection "upgrade"'):
        assert line in found.todo
    assert scene.node.counters == {"no_upgrade": 1}
    assert f"a proxy has dropped Upgrade, missing={missing.replace(' and', '')}, admitted=yes" in caplog.text
    assert "never began" not in caplog.text


def test_the_lines_that_are_named_are_enough(scene):
    """Without the document's map, and with what the sentence says."""
    found = scene.examine(instead("Connection $connection_upgrade", 'Connection "upgrade"'))
    assert all(each.ok for each in found.values())


def test_streams_pass_in_http_1_0_too(scene):
    assert all(each.ok for each in scene.examine(instead("proxy_http_version 1.1", "proxy_http_version 1.0")).values())


LOCATION = "proxy_pass http://fastbridge;"


@pytest.mark.parametrize(
    ("change", "check", "fault", "detail"),
    [
        (instead(LOCATION, f"return 401; {LOCATION}"), "public URL", "login", "asks for a login (401, nginx)"),
        (instead(LOCATION, f"deny all; {LOCATION}"), "public URL", "forbidden", "is forbidden (403, nginx)"),
        (instead("location / {", "location /calls/ {"), "public URL", "not_found", "is not found (404, nginx)"),
        (
            instead(LOCATION, "return 301 https://b.example/;"),
            "public URL",
            "redirect",
            "redirects to b.example (301, nginx)",
        ),
        (
            instead(LOCATION, "return 200 hello;"),
            "public URL",
            "another",
            "is answered by another program (200, nginx)",
        ),
        (instead(LOCATION, "return 503;"), "public URL", "unavailable", "is a proxy that has no node to ask"),
        (
            instead("location / {", "location /media/ { deny all; } location / {"),
            "media stream",
            "forbidden",
            "(403, nginx)",
        ),
        (
            instead("location / {", "location /webhook/ { return 429; } location / {"),
            "webhook",
            "throttled",
            "the webhook has its rate limited (429, nginx)",
        ),
        (
            instead(LOCATION, "proxy_pass http://fastbridge$uri;"),
            "webhook",
            "url_changed",
            "the node does not believe its signature, though it does without the proxy",
        ),
        (
            instead(LOCATION, f'proxy_set_header X-Twilio-Signature ""; {LOCATION}'),
            "webhook",
            "url_changed",
            "the node does not believe its signature, though it does without the proxy",
        ),
        (
            instead(
                "location / {",
                "location = /healthz { proxy_pass http://fastbridge; } location / { limit_except GET { deny all; }",
            ),
            "webhook",
            "forbidden",
            "(403, nginx)",
        ),
        (instead("listen 443 ssl;", "listen 443;"), "public URL", "no_tls", "speaks no TLS"),
    ],
)
def test_a_proxy_that_is_set_up_otherwise(scene, change, check, fault, detail):
    if fault == "no_tls":
        plain = change

        def change(text: str) -> str:
            return (
                plain(text).replace("ssl_certificate", "# ").replace("listen 443;", f"listen 127.0.0.1:{scene.port};")
            )

    found = scene.fault(change)
    assert (found.check, found.fault) == (check, fault)
    assert detail in found.detail


def test_a_path_before_the_webhooks(scene):
    """PUBLIC_URL has one: the proxy must take it off."""
    assert scene.fault(prefix="/voice").fault == "path_prefix"


def test_a_path_that_the_proxy_takes_off(scene):
    change = instead(LOCATION, "proxy_pass http://fastbridge/;")
    found = scene.examine(lambda text: change(text).replace("location / {", "location /voice/ {"), prefix="/voice")
    assert all(each.ok for each in found.values())


def test_no_node(scene):
    found = scene.fault(passes_to=free_port())
    assert (found.fault, found.detail.endswith("is a proxy that finds no node (502, nginx)")) == ("bad_gateway", True)


def test_a_node_that_does_not_answer(scene):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        found = scene.fault(instead("proxy_read_timeout 1h", "proxy_read_timeout 1s"), passes_to=deaf.getsockname()[1])
        assert found.fault == "timeout"


def test_another_node_has_the_stream(scene):
    other = scene._make_node(public_url=f"https://{NAME}:{scene.port}")
    to = f"location /media/ {{ proxy_pass http://127.0.0.1:{other.address[1]}; proxy_set_header Upgrade $http_upgrade; "
    to += 'proxy_set_header Connection "upgrade"; proxy_http_version 1.1; } location / {'
    assert scene.fault(instead("location / {", to)).fault == "another_node"


def test_a_node_with_another_public_url_and_one_with_another_token(scene):
    found = scene.fault(node_url=f"http://{NAME}:{scene.port}", port=free_port(), dev=True)
    assert (found.fault, found.detail) == (
        "another_public_url",
        f"the node thinks that its PUBLIC_URL is http://{NAME}:{scene.port}",
    )


def test_a_node_with_another_auth_token(scene):
    found = scene.fault(twilio_auth_token=SecretStr("f" * 32))
    assert found.fault == "signature"


@pytest.mark.parametrize(
    ("name", "options", "believed", "fault"),
    [
        (NAME, {"not_after": "20200101000000Z"}, True, "tls_expired"),
        ("another.example", {}, True, "tls_hostname"),
        ("another.example", {}, False, "tls_self_signed"),
    ],
)
def test_a_certificate_that_twilio_would_not_take(scene, certificates, monkeypatch, name, options, believed, fault):
    certificate = certificates(name, **options)
    if believed:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert scene.fault(certificate=certificate).fault == fault


def test_a_call_whose_stream_does_not_come_is_missed_without_anybody_asking(node_with, caplog):
    node = node_with(stream_token_seconds=1)
    call_sid = new_call_sid()
    token = node.token(call_sid)
    assert eventually(lambda: "never began" in caplog.text)
    (line,) = (record.getMessage() for record in caplog.records if "never began" in record.getMessage())
    why = "no stream came in time: does the proxy pass on Upgrade? fastbridge doctor tells"
    where = f"stream_url=wss://{HOST}/media/, call_sid={call_sid}"
    assert line == f"[CALL_END] never began, reason=no_stream, why={why}, {where}"
    assert token not in caplog.text
    assert node.status(f"/media/{token}") == 403
    assert "[NODE] a media stream was refused: its token has expired" in caplog.text
