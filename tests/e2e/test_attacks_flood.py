"""A flood of connections: webhooks go through, whether or not calls are live, and it is said."""

import asyncio
import contextlib
import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacker import SLOW_WEBHOOK, Line, eventually, new_call_sid, wire
from fastbridge.net import descriptors as descriptors_module
from fastbridge.net import http_socket as webhook_socket
from fastbridge.sim import ModelServer, NodeProcess

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
def bare_connections(address: tuple[str, int], count: int, *, sent: bytes = b"") -> Iterator[None]:
    """Connections that say nothing, on their way all at once; or `sent`, as soon as they can."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            bare = stack.enter_context(socket.socket())
            bare.setblocking(False)
            bare.connect_ex(address)
            if sent:
                bare.settimeout(2)
                with contextlib.suppress(OSError):
                    bare.sendall(sent)
        yield


def test_a_live_call_does_not_make_new_connections_wait(node):
    with node.started(new_call_sid()), bare_connections(node.address, BARE):
        began = time.monotonic()
        assert node.webhook(new_call_sid()).status == 200
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("sent", [b"", SLOW_WEBHOOK[:40], SLOW_WEBHOOK], ids=["silence", "heads", "bodies"])
def test_what_one_address_leaves_unfinished_costs_it_the_oldest_and_not_a_webhook(node_with, caplog, sent):
    """As behind a proxy, where all have one address."""
    node = node_with()
    with bare_connections(node.address, 205, sent=sent):
        assert eventually(lambda: node.do(lambda: node.node.connections.open) >= 200)
        for _ in range(30):
            assert node.webhook(new_call_sid()).status == 200
        assert node.counters["too_many_readers"] >= 5
    assert "[NODE] too many connections: the oldest " in caplog.text
    assert caplog.text.count("[NODE]") == 1


def test_when_all_places_are_taken_the_silent_make_room(node_with, monkeypatch, caplog):
    monkeypatch.setattr(descriptors_module, "REQUESTS", 40)
    node = node_with(max_connections=10, max_requests_per_ip=1000)
    with node.started(new_call_sid()) as line, bare_connections(node.address, 300):
        for _ in range(20):
            assert node.webhook(new_call_sid()).status == 200
            assert node.request(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        assert node.do(lambda: node.node.connections.open) <= 50
        assert node.counters["connections"] >= 250
        line.media()
        assert node.live == 1
    assert "[NODE] too many connections: the oldest silent one made room" in caplog.text


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="workers are for Linux")
def test_idle_connections_in_front_of_several_workers() -> None:
    async def scene() -> None:
        settings = {"FASTBRIDGE_WORKERS": "2", "FASTBRIDGE_METRICS_PUBLIC": "1"}
        async with ModelServer() as model, NodeProcess(model.base_url, settings=settings) as node:
            await asyncio.to_thread(ask, node.url)
            await node.stop()
            assert "[NODE] too many connections: the oldest silent one made room" in node.log()

    def ask(url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        with bare_connections((host, int(port)), 230):
            for path, status in (("/healthz", 200), ("/readyz", 200), ("/webhook/none", 404)) * 5:
                connection = http.client.HTTPConnection(host, int(port), timeout=5)
                connection.request("GET", path)
                assert connection.getresponse().status == status
                connection.close()
            with urllib.request.urlopen(url + "/metrics", timeout=5) as answer:
                assert b'fastbridge_connections_evicted_total{doing="silent"}' in answer.read()

    asyncio.run(scene())


FLOODS = {
    "pings": wire(9) * 20_000,
    "pongs": wire(10) * 20_000,
    "empty fragments": wire(1, fin=False) + wire(0, fin=False) * 20_000,
    "short messages in fragments": (wire(1, b"{", fin=False) + wire(0, b"}")) * 10_000,
    "messages of nobody": wire(1, b"{}") * 20_000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
@pytest.mark.parametrize("started", [True, False], ids=["call", "stream"])
def test_a_flood_on_one_media_socket_is_no_silence_on_another(node, flood, started):
    """Neither before its verdict nor behind it; and it does not get away with it."""
    other, mine = new_call_sid(), new_call_sid()
    with node.started(other) as bystander, node.started(mine) if started else node.admitted(mine) as line:
        over = threading.Event()
        threads = [threading.Thread(target=speak, args=(bystander, over))]
        threads.append(threading.Thread(target=pour, args=(line, flood, over)))
        for thread in threads:
            thread.start()
        call, gaps, last = node.call(other), [0.0], time.monotonic()
        frames = call.caller.frames_in
        until = last + 1.5
        while time.monotonic() < until:
            if call.caller.frames_in != frames:
                frames, now = call.caller.frames_in, time.monotonic()
                gaps.append(now - last)
                last = now
            time.sleep(0.005)
        over.set()
        for thread in threads:
            thread.join()
        assert max(gaps) < 0.4
        assert len(gaps) > 20
        assert node.call(mine) is None


def speak(line: Line, over: threading.Event) -> None:
    while not over.wait(0.02):
        line.media()


def pour(line: Line, flood: bytes, over: threading.Event) -> None:
    line.socket.settimeout(0.2)
    while not over.is_set():
        try:
            line.socket.sendall(flood)
        except TimeoutError:
            continue
        except OSError:
            return


def test_requests_sent_before_the_answer_cost_nobody_a_gap(node):
    """A hundred connections with thousands of requests each, of which nobody reads the answers."""
    flood = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1500
    other = new_call_sid()
    with node.started(other) as bystander, contextlib.ExitStack() as stack:
        over = threading.Event()
        speaker = threading.Thread(target=speak, args=(bystander, over))
        speaker.start()
        pipelined = node.counters.get("pipelined", 0)
        for _ in range(100):
            connection = stack.enter_context(socket.create_connection(node.address, timeout=2))
            with contextlib.suppress(OSError):
                connection.sendall(flood)
        began = time.monotonic()
        assert node.webhook(new_call_sid()).status == 200
        assert time.monotonic() - began < 1.0
        assert eventually(lambda: node.counters.get("pipelined", 0) - pipelined == 100)
        assert eventually(lambda: node.do(lambda: node.node.connections.open) < 10)
        over.set()
        speaker.join()
        assert node.live == 1


def test_an_answer_that_is_not_taken_is_not_kept(node_with, monkeypatch):
    monkeypatch.setattr(webhook_socket, "TAKE_SECONDS", 0.5)
    node = node_with(metrics_public=True)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.connect(node.address)
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        assert eventually(lambda: node.counters.get("pipelined") == 3)
        assert eventually(lambda: node.do(lambda: node.node.connections.open) == 0, 5)
