"""fastbridge.model.endpoint: the address and the headers that arrive at a server, for each way to name one."""

import asyncio
import functools
import platform
import ssl
from typing import Any

import pytest
from openai import _base_client
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import Request, ServerConnection, serve

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.errors import ConfigError
from fastbridge.model.attempt import Attempt
from fastbridge.model.endpoint import Endpoint, azure_base_url, model_client
from fastbridge.sim.load_bridge import certificate


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


def dialled(model: str = "gpt-realtime-2.1", **variables: str) -> Request:
    """The handshake that arrives; `{url}` in a value is the server's address."""
    requests: list[Request] = []
    owner: Any = None

    async def listen(connection: ServerConnection) -> None:
        assert connection.request is not None
        requests.append(connection.request)

    async def run() -> None:
        async with serve(listen, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            given: dict[str, Any] = {name: value.format(url=url) for name, value in variables.items()}
            settings = load_settings(public_url="https://voice.example.com", twilio_auth_token="x" * 32, **given)
            settings.require_serving()
            endpoint = Endpoint(settings)
            connection = await endpoint.dial(model, Attempt(owner, print, print), ClientConnection)
            await connection.close()
            await endpoint.close()

    asyncio.run(run())
    return requests[0]


def test_a_compatible_server():
    request = dialled(openai_api_key="sk-own", openai_base_url="{url}/v1")
    assert request.path == "/v1/realtime?model=gpt-realtime-2.1"
    assert request.headers["Authorization"] == "Bearer sk-own"
    assert "OpenAI-Beta" not in request.headers


def test_azures_own_openai_address():
    request = dialled("my-deployment", openai_api_key="azure-key", openai_base_url="{url}/openai/v1")
    assert request.path == "/openai/v1/realtime?model=my-deployment"
    assert request.headers["Authorization"] == "Bearer azure-key"


def test_azure_with_a_key():
    request = dialled(
        "my-deployment",
        azure_openai_endpoint="{url}",
        azure_openai_api_key="azure-key",
    )
    assert request.path == "/openai/v1/realtime?model=my-deployment"
    assert request.headers["api-key"] == "azure-key"
    assert "Authorization" not in request.headers


def test_azure_in_earnest_is_encrypted():
    settings = load_settings(
        azure_openai_endpoint="https://x.openai.azure.com/", azure_openai_api_key="k", openai_base_url=None
    )
    assert str(model_client(settings).base_url) == "https://x.openai.azure.com/openai/v1/"


@pytest.mark.parametrize("path", ["", "/", "/openai/v1", "/openai/v1/"])
def test_azures_address_with_its_path_or_without(path):
    assert azure_base_url(f"https://x.openai.azure.com{path}") == "https://x.openai.azure.com/openai/v1"


def test_an_api_version_is_nobodys(monkeypatch):
    """Other programs on the machine may want one."""
    monkeypatch.setenv("OPENAI_API_VERSION", "2025-08-28")
    assert not hasattr(load_settings(), "openai_api_version")


def test_azure_with_a_token():
    request = dialled(azure_openai_endpoint="{url}", azure_openai_ad_token="entra")
    assert request.headers["Authorization"] == "Bearer entra"


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({}, "OPENAI_API_KEY is missing"),
        ({"azure_openai_endpoint": "https://x.openai.azure.com"}, "AZURE_OPENAI_API_KEY is missing"),
        (
            {"azure_openai_endpoint": "https://x.openai.azure.com", "openai_base_url": "https://api.openai.com/v1"},
            "name two places",
        ),
    ],
)
def test_what_is_missing_is_said(variables, complaint):
    settings = load_settings(public_url="https://voice.example.com", twilio_auth_token="x" * 32, **variables)
    with pytest.raises(ConfigError, match=complaint):
        settings.require_serving()


def test_the_certificates_of_who_is_trusted_are_read_once(monkeypatch):
    """That stops the loop, and every call on it, for 50 ms."""
    with certificate() as folder:
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ours.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        read: list[object] = []
        load = ssl.SSLContext.load_default_certs
        monkeypatch.setattr(
            ssl.SSLContext, "load_default_certs", lambda *given, **more: read.append(given) or load(*given, **more)
        )
        asyncio.run(dial_securely(ours))
        assert len(read) == 1


def test_what_machine_this_is_is_asked_before_any_call(monkeypatch):
    """The SDK tells the service, and asks the system by a process of its own."""
    monkeypatch.setattr(_base_client, "platform_headers", functools.cache(_base_client.platform_headers.__wrapped__))
    asked: list[None] = []
    monkeypatch.setattr(platform, "platform", lambda: asked.append(None) or "Linux")
    Endpoint(load_settings(openai_api_key="sk-own"))
    assert asked == [None]


async def dial_securely(ours: ssl.SSLContext) -> None:
    """Two calls, in either dialect."""
    owner: Any = None

    async def listen(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(listen, "127.0.0.1", 0, ssl=ours) as server:
        url = f"https://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/v1"
        endpoint = Endpoint(load_settings(openai_api_key="sk-own", openai_base_url=url))
        for model in ("gpt-realtime-2.1", "gpt-live-1"):
            connection = await endpoint.dial(model, Attempt(owner, print, print), ClientConnection)
            await connection.close()
        await endpoint.close()
