"""Where the model is, by settings alone: OpenAI, a server that speaks the same, or Azure. The SDK does the rest.

A model's name says which dialect it speaks, and so which address of the service is dialled.

OPENAI_BASE_URL names any compatible server. AZURE_OPENAI_ENDPOINT names a resource of Azure's, which speaks the same
under `/openai/v1`, without an API version; the model's name is that of the deployment. Its socket takes a token as
OpenAI's does, and a key in a header of its own.
"""

from collections.abc import Callable
from typing import Any

import openai
from pydantic import SecretStr

from fastbridge.config import Settings, speaks_live
from fastbridge.model.attempt import Attempt
from fastbridge.model.socket import MAX_MODEL_MESSAGE_BYTES, MODEL_BUFFER_BYTES
from fastbridge.net.tls import client_context

AZURE_PATH = "/openai/v1"
SOCKET_OPTIONS = {
    "compression": None,
    "max_size": MAX_MODEL_MESSAGE_BYTES,
    "max_queue": None,
    # Who takes no audio, or does not hear it, is found out sooner: `model.line`, `call.upload_watch`.
    "ping_interval": None,
    "open_timeout": None,  # the node has one for all of it
    "write_limit": MODEL_BUFFER_BYTES,
}


def model_client(settings: Settings) -> openai.AsyncOpenAI:
    """The SDK's client for these settings, which `Settings.require_serving` has found enough."""
    if settings.azure_openai_endpoint is not None:
        base_url, key = azure_base_url(settings.azure_openai_endpoint), settings.azure_openai_api_key
        if key is not None:
            headers: dict[str, Any] = {"Authorization": openai.Omit(), "api-key": key.get_secret_value()}
            return openai.AsyncOpenAI(api_key="none", base_url=base_url, default_headers=headers)
        return openai.AsyncOpenAI(api_key=_told(settings.azure_openai_ad_token), base_url=base_url)
    return openai.AsyncOpenAI(api_key=_told(settings.openai_api_key), base_url=settings.openai_base_url)


def _told(secret: SecretStr | None) -> str:
    """For the SDK, which wants one where none is needed, too."""
    return secret.get_secret_value() if secret is not None else "none"


class Endpoint:
    """The service that a node's calls are connected to."""

    def __init__(self, settings: Settings) -> None:
        self._client = client = model_client(settings)
        self._tls = client_context() if client.base_url.scheme == "https" else None
        # What the SDK does at first use would be a call's, and stop all others: imports, a process that asks `uname`.
        _ = client.realtime, client.live.forks, client.default_headers

    async def dial(self, model: str, attempt: Attempt, create_connection: Callable[..., Any]) -> Any:
        """A connection of the SDK's, entered. create_connection: of websockets, the protocol."""
        options: dict[str, Any] = {**SOCKET_OPTIONS, "create_connection": create_connection}
        if self._tls is not None:
            options["ssl"] = self._tls
        connecting: Any
        if not speaks_live(model):
            connecting = self._client.realtime.connect(model=model, websocket_connection_options=options)  # type: ignore[arg-type]
        elif attempt.continues:
            connecting = self._client.live.forks.connect(
                session_id=attempt.continues,
                websocket_connection_options=options,  # type: ignore[arg-type]
            )
        else:
            connecting = self._client.live.connect(websocket_connection_options=options)  # type: ignore[arg-type]
        return await connecting.enter()

    async def close(self) -> None:
        await self._client.close()


def azure_base_url(endpoint: str) -> str:
    """The address of a resource's own OpenAI API, whether the endpoint is given with its path or without."""
    return endpoint.rstrip("/").removesuffix(AZURE_PATH) + AZURE_PATH
