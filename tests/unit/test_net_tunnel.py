"""The tunnel, by stand-ins that print what cloudflared and ngrok are documented to print: neither program is here."""

import http.server
import json
import os
import signal
import threading
import time

import pytest

from fastbridge.errors import ConfigError
from fastbridge.net import tunnel
from fastbridge.net.tunnel import Tunnel, ngrok_address
from tunnels import CLOUDFLARED_URL, NGROK_URL, finder, stand_in


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tunnel, "ngrok_address", lambda port: "")
    return tmp_path


def over(process):
    return process.poll() is not None


@pytest.mark.parametrize(("program", "url"), [("cloudflared", CLOUDFLARED_URL), ("ngrok", NGROK_URL)])
def test_the_address_is_what_the_program_prints(folder, program, url):
    with Tunnel(5050, find=finder(stand_in(folder, program))) as opened:
        assert (opened.program, opened.url) == (program, url)
        assert (folder / "target").read_text() == "http://127.0.0.1:5050"
        assert f"PUBLIC_URL={url} fastbridge doctor --fix" in opened.told
        process = opened._process
        assert not over(process)
    assert process.returncode == 0, "it was asked to end, and did"


@pytest.mark.parametrize(
    ("host", "target"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("192.0.2.1", "192.0.2.1"), ("::1", "[::1]")],
)
def test_where_it_leads(folder, host, target):
    with Tunnel(80, host, find=finder(stand_in(folder, "cloudflared"))):
        assert (folder / "target").read_text() == f"http://{target}:80"


def test_cloudflared_goes_before_ngrok(folder):
    found = finder(stand_in(folder, "ngrok"), stand_in(folder, "cloudflared"))
    assert Tunnel(5050, find=found).program == "cloudflared"


def test_neither_is_installed():
    with pytest.raises(ConfigError, match=r"^--tunnel needs cloudflared or ngrok: install one, or set PUBLIC_URL"):
        Tunnel(5050, find=finder())


def test_one_that_fails_is_told_in_its_own_words(folder):
    before = (
        'say("ERR failed to request quick Tunnel: https://api.trycloudflare.com/tunnel: no such host"); sys.exit(1)'
    )
    opening = Tunnel(5050, find=finder(stand_in(folder, "cloudflared", before=before)))
    with pytest.raises(ConfigError, match=r"^cloudflared opened no tunnel: .*no such host"), opening:
        pass


def test_one_that_says_nothing_is_given_up_and_ended(folder, monkeypatch):
    monkeypatch.setattr(tunnel, "OPEN_SECONDS", 0.3)
    opening = Tunnel(5050, find=finder(stand_in(folder, "ngrok", before="time.sleep(60)")))
    with pytest.raises(ConfigError, match=r"^ngrok opened no tunnel within 0 s"), opening:
        pass
    assert over(opening._process)


def test_one_that_does_not_want_to_end_is_ended(folder, monkeypatch):
    monkeypatch.setattr(tunnel, "STOP_SECONDS", 0.2)
    script = stand_in(folder, "cloudflared", before="signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with Tunnel(5050, find=finder(script)) as opened:
        pass
    assert opened._process.returncode == -signal.SIGKILL


def test_what_it_prints_is_read_to_the_end(folder):
    """More than a pipe holds would stop it."""
    script = stand_in(folder, "cloudflared", after='[say("x" * 1000) for _ in range(500)]; open("done", "w").close()')
    with Tunnel(5050, find=finder(script)):
        deadline_s = time.monotonic() + 10
        while not (folder / "done").exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_a_terminals_ctrl_c_is_not_its_own(folder):
    with Tunnel(5050, find=finder(stand_in(folder, "cloudflared"))) as opened:
        assert os.getsid(opened._process.pid) != os.getsid(0)


def test_one_that_ends_by_itself_is_an_error_in_the_log(folder, caplog):
    with Tunnel(5050, find=finder(stand_in(folder, "cloudflared", after="time.sleep(0.5); sys.exit(3)"))) as opened:
        opened._process.wait(10)
        opened._reader.join(10)
        (record,) = caplog.records
        assert (record.levelname, record.getMessage()) == (
            "ERROR",
            f"[NODE] cloudflared has ended: no call comes in any more, public_url={CLOUDFLARED_URL}",
        )


def test_one_that_we_end_is_none(folder, caplog):
    with Tunnel(5050, find=finder(stand_in(folder, "cloudflared"))) as opened:
        pass
    opened._reader.join(10)
    assert caplog.records == []


# ngrok's own API


class Agent:
    """Its local API, which says this."""

    def __init__(self, said):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if self.path == "/api/tunnels" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/tunnels"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def entry(url=NGROK_URL, addr="http://127.0.0.1:5050"):
    return {"name": "command_line", "public_url": url, "proto": "https", "config": {"addr": addr, "inspect": True}}


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ({"tunnels": [entry()], "uri": "/api/tunnels"}, NGROK_URL),
        (
            {"tunnels": [entry("https://other.ngrok.app", "http://localhost:80"), entry(addr="localhost:5050")]},
            NGROK_URL,
        ),
        ({"tunnels": [entry("http://84c5df439d74.ngrok-free.app")]}, ""),
        ({"tunnels": [entry(addr="http://127.0.0.1:15050")]}, ""),
        ({"tunnels": []}, ""),
        ({"tunnels": [3]}, ""),
        ([], ""),
        (b"<html>", ""),
    ],
)
def test_ngroks_own_word(said, url):
    with Agent(said) as agent:
        assert ngrok_address(5050, agent.url) == url


def test_an_api_that_is_not_there():
    assert ngrok_address(5050, "http://127.0.0.1:9/api/tunnels") == ""


def test_ngrok_that_prints_nothing_is_asked(folder, monkeypatch):
    with Agent({"tunnels": [entry()]}) as agent:
        monkeypatch.setattr(tunnel, "ngrok_address", lambda port: ngrok_address(port, agent.url))
        with Tunnel(5050, find=finder(stand_in(folder, "ngrok", before="time.sleep(60)"))) as opened:
            assert opened.url == NGROK_URL
