"""What a node imports when it first dials the model and first asks the carrier, a line each; it should be nothing."""

import asyncio
import base64
import hashlib
import re
import sys

import uvloop

from fastbridge.agent.definition import Agent
from fastbridge.config import load_settings
from fastbridge.node.node import Node

SETTINGS = {
    "public_url": "https://voice.example.com",
    "openai_api_key": "sk-own",
    "twilio_auth_token": "x" * 32,
    "twilio_account_sid": "AC" + "1" * 32,
    "database_url": "none",
}


ACCEPTED = "HTTP/1.1 101 Ok\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n"
CREATED = b'{"type":"session.created","session":{"id":"s"}}'
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A model that says one thing and is gone, and a carrier that does what it is asked. By hand, to import nothing."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
    if key is None:
        writer.write(DONE)
    else:
        accept = hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(ACCEPTED.format(base64.b64encode(accept).decode()).encode())
        writer.write(bytes([0x81, len(CREATED)]) + CREATED)
    await writer.drain()
    writer.close()


class Caller:
    """Whose call the model is dialled for."""

    model = continues = ""

    def __init__(self) -> None:
        self.told: list[str] = []

    def sink(self, *message: object) -> None:
        self.told.append("message")

    feed_message = sink

    def on_model_connected(self, socket: object) -> None:
        self.told.append("connected")

    def on_model_lost(self, code: int, reason: str) -> None:
        self.told.append("lost")

    def on_model_failed(self, error: Exception) -> None:
        self.told.append(repr(error))


async def main() -> None:
    nowhere = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{nowhere.sockets[0].getsockname()[1]}"
    node = Node(load_settings(**SETTINGS, openai_base_url=f"{url}/v1", twilio_api_url=url), Agent())
    before = set(sys.modules)
    caller = Caller()
    await node._dialler.dial(caller)  # type: ignore[arg-type]
    assert sorted(caller.told) == ["connected", "lost", "message"], caller.told
    assert await node.rest.hang_up(SETTINGS["twilio_account_sid"], "CA" + "1" * 32)
    print("\n".join(sorted(set(sys.modules) - before)))
    nowhere.close()


if __name__ == "__main__":
    uvloop.run(main())
