"""A transport for the library whose writing end is a Wire, so that its frames keep their place among ours."""

import asyncio
from typing import Any

from fastbridge._wire import Wire


class WiredTransport:
    """The transport, but for `write`, and that nothing is written once it closes."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.wire = Wire(transport)
        self.write = self.wire.write

    def close(self) -> None:
        self.wire.close()  # what was given to the transport still leaves
        self.transport.close()

    def abort(self) -> None:
        self.wire.close()
        self.transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
