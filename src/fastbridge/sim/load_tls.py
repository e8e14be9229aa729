"""TLS for the model of a load run: takes connections, and passes their bytes on to the players in plain.

`python -m fastbridge.sim.load_tls CERT KEY PORT` prints the port it listens on, and ends when its stdin does. A process
of its own, since this is Python and costs more than all the players: its share is reported beside theirs.
"""

import asyncio
import ssl
import sys
from typing import cast

import uvloop

HIGH_WATER_BYTES = 1 << 20


class Relay(asyncio.Protocol):
    """One end of a connection; `other` is the other end."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: Relay | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        else:
            self.early.append(data)

    def join(self, other: "Relay") -> None:
        """From now on each gets what the other is sent."""
        self.other, other.other = other, self
        early, self.early = self.early, []
        for data in early:
            self.data_received(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def relay(certificate: str, key: str, port: int) -> None:
    """Serve until stdin ends."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    tasks: set[asyncio.Task[None]] = set()

    async def dial(inner: Relay) -> None:
        try:
            _, outer = await loop.create_connection(Relay, "127.0.0.1", port)
        except OSError:
            if inner.transport is not None:
                inner.transport.abort()
            return
        inner.join(outer)

    def accepted() -> Relay:
        made = Relay()
        task = loop.create_task(dial(made))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return made

    server = await loop.create_server(accepted, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    server.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(relay(sys.argv[1], sys.argv[2], int(sys.argv[3])))
