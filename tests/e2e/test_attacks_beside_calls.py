"""Attacks beside fifty calls, whatever their model speaks: none is dropped, no caller hears a gap, webhooks and health
are answered.

The calls are `fastbridge load`'s, in a process of its own, as the node is. One attack follows another, while
they are measured.
"""

import asyncio
import contextlib
import itertools
import json
import re
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from attacker import ACCOUNT_SID, AUTH_TOKEN, HOST, PUBLIC_URL, Connection, Door, Line, eventually, new_call_sid, wire
from e2e.dialects import LIVE, REALTIME, both, model_of
from fastbridge.sim import NodeProcess
from fastbridge.sim.node import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")

CALLS = 50
POST = f"POST /webhook/incoming_call HTTP/1.1\r\nHost: {HOST}\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
SECONDS = 3.0
"""Of each attack."""
SETTLE_SECONDS = 4.0
"""Between the last call's start and the load's first measurement."""
MAX_GAP_MS = 60
MAX_WEBHOOK_SECONDS = 1.0
STALL_SECONDS = 2.5

Attack = Callable[[Door, threading.Event], None]


# The attacks. Each goes on until it is told to stop.


def in_chunks(door: Door, over: threading.Event) -> None:
    """Sixty thousand chunks of one byte in a request, again and again."""
    pour(door, f"{POST}{FORM}Transfer-Encoding: chunked\r\n\r\n", over)


def of_many_headers(door: Door, over: threading.Event) -> None:
    """62 KB of 15,500 headers in a request."""
    pour(door, POST + "X: \r\n" * 15_500, over)


def by_bare_connections(door: Door, over: threading.Event) -> None:
    """A thousand connections a second that say nothing; the last five hundred are kept open."""
    with contextlib.ExitStack() as stack:
        kept: list[socket.socket] = []
        began = time.monotonic()
        for number in itertools.count():
            if over.wait(max(began + number / 1000 - time.monotonic(), 0)):
                return
            bare = stack.enter_context(socket.socket())
            bare.setblocking(False)
            bare.connect_ex(door.address)
            kept.append(bare)
            if len(kept) > 500:
                kept.pop(0).close()


def by_slow_bodies(door: Door, over: threading.Event) -> None:
    """205 requests whose bodies do not come, and 205 connections that are idle, from one address."""
    head = f"{POST}{FORM}X-Twilio-Signature: x\r\nContent-Length: 9\r\n\r\n"
    with contextlib.ExitStack() as stack:
        while not over.is_set():
            for sent in [head.encode(), b""] * 205:
                bare = stack.enter_context(socket.create_connection(door.address))
                with contextlib.suppress(OSError):
                    bare.sendall(sent)
            over.wait(1.0)


def behind_a_verdict(door: Door, over: threading.Event) -> None:
    """Pings, pongs and empty fragments on a stream that was told to go."""
    flood = (wire(9) + wire(10)) * 5_000 + wire(1, fin=False) + wire(0, fin=False) * 10_000
    while not over.is_set():
        with door.admitted(new_call_sid()) as line:
            line.send(wire(2, b"no such thing on this line"))
            line.socket.settimeout(0.2)
            with contextlib.suppress(OSError):
                while not over.is_set():
                    line.socket.sendall(flood)


def by_a_carrier_that_stalls(door: Door, over: threading.Event) -> None:
    """A call whose socket is not read for seconds, and then is, and again."""
    call_sid = new_call_sid()
    with door.started_at_once(call_sid) as line:
        while not over.wait(STALL_SECONDS):
            drain(line)


def pour(door: Door, request: str, over: threading.Event) -> None:
    body = b"1\r\nx\r\n" * 60_000
    while not over.is_set():
        with Connection(door.dial()) as connection, contextlib.suppress(OSError):
            connection.socket.settimeout(1)
            connection.socket.sendall(request.encode() + body)
            connection.socket.recv(4096)


def drain(line: Line) -> None:
    while select.select([line.socket], [], [], 0)[0] and line.socket.recv(65536):
        pass


STRANGERS = (in_chunks, of_many_headers, by_bare_connections, by_slow_bodies, behind_a_verdict)
CALLERS = (by_a_carrier_that_stalls,)


# The calls beside it.


class Target(Door):
    """A node in a process of its own."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)

    def metric(self, name: str) -> float:
        with self.connect() as connection:
            connection.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            found = re.search(rf"^{name} (\S+)$", connection.answer().body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0


@cache
def beside(attacks: Sequence[Attack], dialect: str) -> dict[str, Any]:
    """What came of the calls."""
    with TemporaryDirectory() as folder:
        return asyncio.run(measured(attacks, dialect, Path(folder) / "load.json"))


async def measured(attacks: Sequence[Attack], dialect: str, output: Path) -> dict[str, Any]:
    """What the load says of its calls; what it printed, and `webhook_seconds` by attack."""
    model_port = free_port()
    settings = {
        **model_of(dialect),
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "PUBLIC_URL": PUBLIC_URL,
        "ENABLE_MIN_DSP": "0",  # for the load to know the callers' audio again
        "FASTBRIDGE_METRICS_PUBLIC": "1",
        "FASTBRIDGE_MAX_CALLS": str(CALLS + 50),
    }
    async with NodeProcess(f"http://127.0.0.1:{model_port}/v1", settings=settings) as node:
        target = Target(int(node.url.rpartition(":")[2]))
        options = ["--calls", CALLS, "--seconds", len(attacks) * SECONDS, "--json", output, "--no-tls"]
        options += ["--model", dialect]
        options += ["--bridge", node.url, "--pid", node.pid, "--model-port", model_port, "--public-url", PUBLIC_URL]
        options += ["--auth-token", AUTH_TOKEN, "--account-sid", ACCOUNT_SID]
        load = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "fastbridge", "load", *map(str, options),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        taken = await asyncio.to_thread(under_all, target, attacks)
        printed = (await load.communicate())[0].decode()
    assert load.returncode in (0, 1), printed
    [run] = json.loads(await asyncio.to_thread(output.read_text))["runs"]
    return run | {"printed": printed, "webhook_seconds": taken}


def under_all(target: Target, attacks: Sequence[Attack]) -> dict[str, list[float]]:
    """One attack after the other, once the calls are up."""
    assert eventually(lambda: target.metric("fastbridge_calls_live") >= CALLS, 30), "the calls do not come up"
    time.sleep(SETTLE_SECONDS)
    taken = {attack.__name__: under(attack, target) for attack in attacks}
    assert target.metric("fastbridge_calls_live") >= CALLS, "a call was dropped"
    return taken


def under(attack: Attack, target: Target) -> list[float]:
    over = threading.Event()
    attackers = [threading.Thread(target=attack, args=(target, over)) for _ in range(2)]
    for thread in attackers:
        thread.start()
    try:
        return sorted(probes(target, SECONDS))
    finally:
        over.set()
        for thread in attackers:
            thread.join()


def probes(target: Target, seconds: float) -> Iterator[float]:
    """Signed webhooks of one call, and the node's health: how long each took to be answered."""
    until = time.monotonic() + seconds
    call_sid = new_call_sid()
    while time.monotonic() < until:
        began = time.monotonic()
        assert target.webhook(call_sid).status == 200
        yield time.monotonic() - began
        assert target.request(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").status == 200
        time.sleep(0.02)


def assert_calls_go_on(result: dict[str, Any]) -> None:
    """What a stream does not send of a pause is a distance, and no gap: there it is how late the rest comes."""
    assert result["setup_failures"] == []
    assert result["uplink"]["lost"] == 0, result["printed"]
    gaps = result["downlink"]["late" if result["model"] == LIVE else "spacing"]
    assert gaps["max"] < MAX_GAP_MS, result["printed"]


def assert_webhooks_are_answered(result: dict[str, Any], attack: Attack) -> None:
    taken = result["webhook_seconds"][attack.__name__]
    assert len(taken) >= 10
    assert taken[int(len(taken) * 0.99)] < MAX_WEBHOOK_SECONDS


@both
def test_no_call_is_dropped_and_nobody_hears_a_gap(dialect):
    result = beside(STRANGERS, dialect)
    assert_calls_go_on(result)
    assert result["held"] == CALLS
    whole = result["integrity"]
    if dialect == REALTIME:
        assert whole["faults"] == 0, result["printed"]
    else:  # a greeting is in the stream before the load knows whose session it is: one call's loss, another's gain
        assert whole["altered"] == whole["repeated"] == 0, result["printed"]
        assert whole["lost"] <= whole["foreign"], result["printed"]


@both
@pytest.mark.parametrize("attack", STRANGERS)
def test_webhooks_are_answered(attack, dialect):
    assert_webhooks_are_answered(beside(STRANGERS, dialect), attack)


@both
def test_a_caller_that_stalls_is_no_gap_at_others(dialect):
    """The load's model speaks to him too, counts him, and misses what he has not taken: no fault of the others'."""
    result = beside(CALLERS, dialect)
    assert_calls_go_on(result)
    assert_webhooks_are_answered(result, by_a_carrier_that_stalls)
