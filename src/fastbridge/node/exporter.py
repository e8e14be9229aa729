"""Metrics in Prometheus' text format, and the small HTTP listener that serves them, apart from the public port.

Written out piece by piece, with a turn of the loop between the pieces: a scrape may not make audio late. The listener
answers `GET /metrics` and nothing else, a few at a time, and gives nobody longer than 5 s.
"""

import asyncio
import contextlib
import errno
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.utils import floatToGoString

from fastbridge.node.metrics import CATALOGUE, Snapshot

logger = logging.getLogger(__name__)

CONTENT_TYPE = CONTENT_TYPE_LATEST
MAX_REQUESTS = 4
MAX_OPEN = 64
REQUEST_SECONDS = 5.0
MAX_HEAD_BYTES = 8192


def families(snapshot: Snapshot) -> Iterator[Metric]:
    """The snapshot as the families of prometheus_client."""
    for name, samples in snapshot.items():
        metric = CATALOGUE[name]
        labels = list(metric.labels)
        family: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
        if metric.kind == "counter":
            family = CounterMetricFamily(metric.name, metric.help, labels=labels)
        elif metric.kind == "gauge":
            family = GaugeMetricFamily(metric.name, metric.help, labels=labels)
        else:
            family = HistogramMetricFamily(metric.name, metric.help, labels=labels)
        for values, value in samples:
            if isinstance(family, HistogramMetricFamily):
                assert isinstance(value, list)
                family.add_metric(values, _buckets(metric.buckets, value), value[-1])
            else:
                assert not isinstance(value, list)
                family.add_metric(values, value)
        yield family


def _buckets(bounds: tuple[float, ...], value: list[float]) -> list[tuple[str, float]]:
    """Prometheus counts cumulatively."""
    seen = 0.0
    found = []
    for bound, count in zip((*bounds, float("inf")), value[:-1], strict=True):
        seen += count
        found.append((str(floatToGoString(bound)), seen))  # type: ignore[no-untyped-call]
    return found


class _One(CollectorRegistry):
    """A registry of one family: what generate_latest takes."""

    def __init__(self, family: Metric) -> None:
        super().__init__(auto_describe=False)
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def processes(pids: Iterable[int]) -> Iterator[Metric]:
    """What the kernel knows of these processes, summed; their start is the first one's."""
    summed: dict[str, Metric] = {}
    for pid in pids:
        for family in ProcessCollector(pid=partial(int, pid), registry=None).collect():
            total = summed.setdefault(family.name, family)
            if total is not family:
                total.samples = [
                    old._replace(value=min(old.value, new.value) if "start_time" in old.name else old.value + new.value)
                    for old, new in zip(total.samples, family.samples, strict=True)
                ]
    yield from summed.values()


async def exposition(snapshot: Snapshot, pids: Iterable[int]) -> bytes:
    """All of it, and what the kernel knows of the node's processes."""
    parts = []
    for family in (*families(snapshot), *processes(pids)):
        parts.append(generate_latest(_One(family)))
        await asyncio.sleep(0)
    return b"".join(parts)


class Exporter:
    """collect(): the numbers at this moment. pids(): the processes they are of."""

    def __init__(
        self, collect: Callable[[], Awaitable[Snapshot]], pids: Callable[[], list[int]] = lambda: [os.getpid()]
    ) -> None:
        self._collect = collect
        self._pids = pids
        self._server: asyncio.Server | None = None
        self._requests = 0

    @property
    def port(self) -> int:
        """Where it listens; 0 when it does not."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else 0

    async def start(self, host: str, port: int) -> None:
        """Listen. A port that is taken costs the metrics, not the calls."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=MAX_HEAD_BYTES)
        except OSError as error:
            logger.warning("metrics are not served: %s port %d %s", host, port, _why(error))

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._requests += 1
        try:
            if self._requests > MAX_OPEN:
                return
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or never asked
        finally:
            self._requests -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, head: bytes) -> bytes:
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or words[0] not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"")
        if words[1].split(b"?")[0] != b"/metrics":
            return _response("404 Not Found", b"")
        if self._requests > MAX_REQUESTS:
            return _response("503 Service Unavailable", b"")
        body = await exposition(await self._collect(), self._pids())
        return _response("200 OK", body, head_only=words[0] == b"HEAD")


def _why(error: OSError) -> str:
    """Why nobody can listen there, and what to do. asyncio's own words say the address again."""
    if error.errno == errno.EADDRINUSE:
        return "is in use: set FASTBRIDGE_METRICS_PORT to another, or to 0 for no metrics"
    number = error.errno or 0  # of a name that has no address it is negative
    why = os.strerror(number) if number > 0 else error.strerror or str(error)
    return f"cannot be listened on ({why}): set FASTBRIDGE_METRICS_HOST and FASTBRIDGE_METRICS_PORT to what can be"


def _response(status: str, body: bytes, *, head_only: bool = False) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}", "Connection: close")
    return "\r\n".join((*lines, "", "")).encode() + (b"" if head_only else body)
