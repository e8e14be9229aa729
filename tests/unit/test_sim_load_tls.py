import asyncio
import ssl
import sys

import pytest

from fastbridge.sim.load_bridge import certificate, tls_in_front

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data.upper())
        await writer.drain()
    writer.close()


async def through(folder, text: bytes) -> bytes:
    """What comes back of a text, said in TLS to a server that speaks none."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, tls_in_front(server.sockets[0].getsockname()[1], folder, {0}) as (port, pid):
        assert pid > 0
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(text)
        answer = await reader.readexactly(len(text))
        writer.close()
        await writer.wait_closed()
    return answer


def test_what_is_said_in_tls_comes_in_plain_and_back():
    text = b"hello, model. " * 40_000
    with certificate() as folder:
        assert asyncio.run(through(folder, text)) == text.upper()
