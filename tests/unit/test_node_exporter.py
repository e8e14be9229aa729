"""Prometheus' text format, and the listener that serves it."""

import asyncio
import os
import re
import socket
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fastbridge.node import exporter
from fastbridge.node.exporter import Exporter, exposition, processes
from fastbridge.node.metrics import CATALOGUE, Metrics


async def ask(port: int, request: bytes) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.decode().split("\r\n")[0], body


def serving(scene: Any, metrics: Metrics | None = None) -> Any:
    counted = metrics or Metrics()

    async def run() -> Any:
        async def collect() -> Any:
            return counted.snapshot()

        server = Exporter(collect)
        await server.start("127.0.0.1", 0)
        try:
            return await scene(server.port)
        finally:
            await server.close()

    return asyncio.run(run())


def test_what_is_written_is_what_prometheus_reads():
    metrics = Metrics()
    metrics.add("calls", 2, "inbound", "customer_hangup")
    metrics.set("calls_live", 7)
    for lag in (0.0001, 0.003, 5.0):
        metrics.observe("loop_lag_seconds", lag)
    text = asyncio.run(exposition(metrics.snapshot(), [os.getpid()])).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert {metric.name for metric in CATALOGUE.values()} <= set(families)
    for metric in CATALOGUE.values():
        assert families[metric.name].type == metric.kind
        assert families[metric.name].documentation == metric.help
    samples = {(s.name, *sorted(s.labels.items())): s.value for family in families.values() for s in family.samples}
    assert samples["fastbridge_calls_total", ("direction", "inbound"), ("reason", "customer_hangup")] == 2
    assert samples["fastbridge_calls_total", ("direction", "inbound"), ("reason", "shutdown")] == 0
    assert samples["fastbridge_calls_live",] == 7
    buckets = [samples["fastbridge_loop_lag_seconds_bucket", ("le", bound)] for bound in ("0.0005", "0.005", "+Inf")]
    assert buckets == [1, 2, 3]
    assert samples["fastbridge_loop_lag_seconds_count",] == 3
    assert samples["fastbridge_loop_lag_seconds_sum",] == pytest.approx(5.0031)
    assert "process_cpu_seconds" in families


def test_what_the_kernel_knows_of_several_processes_is_summed():
    def of(pids: list[int]) -> dict[str, float]:
        return {family.name: family.samples[0].value for family in processes(pids)}

    up = "print(flush=True); input()"  # a process that has not begun yet has no memory, as the kernel counts it
    with subprocess.Popen([sys.executable, "-c", up], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        one, both = of([other.pid]), of([os.getpid(), other.pid])
        assert of([os.getpid(), 2**22 + 1]) == pytest.approx(of([os.getpid()]), rel=0.5)  # a process that is gone
        other.communicate(b"\n")
    assert both["process_open_fds"] > one["process_open_fds"] > 0
    assert both["process_resident_memory_bytes"] > one["process_resident_memory_bytes"] > 0
    assert both["process_start_time_seconds"] < one["process_start_time_seconds"]


def test_the_loop_turns_between_the_pieces():
    turns = 0

    async def scene() -> None:
        nonlocal turns

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(count())
        await exposition(Metrics().snapshot(), [os.getpid()])
        task.cancel()

    asyncio.run(scene())
    assert turns >= len(CATALOGUE)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /metrics HTTP/1.1", "200 OK"),
        (b"GET /metrics?x=1 HTTP/1.0", "200 OK"),
        (b"HEAD /metrics HTTP/1.1", "200 OK"),
        (b"GET / HTTP/1.1", "404 Not Found"),
        (b"GET /metrics/../etc HTTP/1.1", "404 Not Found"),
        (b"POST /metrics HTTP/1.1", "405 Method Not Allowed"),
        (b"\x16\x03\x01", "405 Method Not Allowed"),
    ],
)
def test_requests(request_line, status):
    found, body = serving(lambda port: ask(port, request_line + b"\r\nHost: x\r\n\r\n"))
    assert found == f"HTTP/1.1 {status}"
    assert (b"fastbridge_calls_live" in body) == (request_line.startswith(b"GET") and status == "200 OK")


def test_nobody_gets_longer_than_his_time(monkeypatch):
    monkeypatch.setattr(exporter, "REQUEST_SECONDS", 0.05)
    assert serving(lambda port: ask(port, b"GET /metrics HTTP/1.1\r\n")) == ("", b"")


def test_a_head_without_end_is_cut_off():
    assert serving(lambda port: ask(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)) == ("", b"")


def test_only_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr(exporter, "MAX_REQUESTS", 1)

    async def scene(port: int) -> list[str]:
        idle = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        busy = await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        idle[1].close()
        await idle[1].wait_closed()
        await asyncio.sleep(0.05)
        free = await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
        return [busy[0], free[0]]

    assert serving(scene) == ["HTTP/1.1 503 Service Unavailable", "HTTP/1.1 200 OK"]


def test_connections_that_say_nothing_are_bounded(monkeypatch):
    monkeypatch.setattr(exporter, "MAX_OPEN", 3)

    async def scene(port: int) -> list[bool]:
        made = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await asyncio.sleep(0.05)
        made.append(await asyncio.open_connection("127.0.0.1", port))
        assert await asyncio.wait_for(made[-1][0].read(), 2) == b""
        still_open = [not reader.at_eof() for reader, _ in made]
        for _, writer in made:
            writer.close()
            await writer.wait_closed()
        return still_open

    assert serving(scene) == [True, True, True, False]


def test_a_port_that_is_taken_costs_the_metrics_only(caplog):
    async def scene() -> int:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            server = Exporter(lambda: asyncio.sleep(0, {}))
            await server.start("127.0.0.1", taken.getsockname()[1])
            await server.close()
            return server.port

    assert asyncio.run(scene()) == 0
    [said] = [record.getMessage() for record in caplog.records if "metrics are not" in record.getMessage()]
    assert re.sub(r"port \d+", "port N", said) == (
        "metrics are not served: 127.0.0.1 port N is in use: "
        "set FASTBRIDGE_METRICS_PORT to another, or to 0 for no metrics"
    )


@pytest.mark.parametrize(
    ("host", "why"), [("192.0.2.1", "(Cannot assign requested address)"), ("no.such.host.invalid", "(")]
)
def test_a_place_where_nobody_can_listen_is_told_once(caplog, host, why):
    async def scene() -> None:
        await Exporter(lambda: asyncio.sleep(0, {})).start(host, 0)

    asyncio.run(scene())
    [said] = [record.getMessage() for record in caplog.records if "metrics are not" in record.getMessage()]
    assert said.startswith(f"metrics are not served: {host} port 0 cannot be listened on {why}")
    assert said.count(host) == 1
    assert "FASTBRIDGE_METRICS_HOST" in said
