"""The socket of a session of the model's, whichever dialect it speaks: events out, in order, and its end."""

import asyncio
import json
from typing import Any

from websockets.asyncio.server import ServerConnection


class Wire:
    """To be inherited."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def _write(self) -> None:
        while True:
            await self._socket.send(json.dumps(await self._outgoing.get(), separators=(",", ":")))

    async def drop(self, code: int = 1011) -> None:
        """The connection ends without a word of the session's."""
        await self._socket.close(code, "dropped")
