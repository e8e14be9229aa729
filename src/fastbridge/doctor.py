"""`fastbridge doctor`: is this machine fit to answer calls, and if not, what is to be done?

Each check is a function that returns one Finding and never raises; the network ones run side by side, each within 5 s.
Nothing here changes anything, and no secret is printed: answers of servers are read, not shown.
"""

import asyncio
import errno
import importlib
import importlib.metadata
import socket
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from fastbridge.config import Settings, load_settings
from fastbridge.endpoint import azure_base_url
from fastbridge.errors import ConfigError
from fastbridge.store import unusable
from fastbridge.stray_settings import unknown_variables

TIMEOUT_S = 5.0
MAX_SKEW_S = 5.0
OPENAI_URL = "https://api.openai.com/v1"
TWILIO_URL = "https://api.twilio.com/2010-04-01"
COMPILED = ("_assistant", "_bargein", "_caller", "_dsp", "_framing", "_mulaw", "_pacing", "_websocket")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `todo` says what to do, and is empty when all is well."""

    check: str
    detail: str
    todo: str = ""

    @property
    def ok(self) -> bool:
        return not self.todo


def main() -> int:
    """Run every check, print a table, return the exit code: 0 if all is well, else 1."""
    findings = asyncio.run(examine())
    show(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def examine(transport: httpx2.AsyncBaseTransport | None = None) -> list[Finding]:
    """Every check's finding. `transport` stands in for the network."""
    findings = [compiled_modules(), libraries(), *unknown_settings()]
    try:
        settings = load_settings()
    except ConfigError as error:
        return [Finding("settings", "do not work", str(error)), *findings]
    clock = Clock()
    hooks = {"response": [clock.read]}
    async with httpx2.AsyncClient(transport=transport, timeout=TIMEOUT_S, event_hooks=hooks) as client:
        online: list[Awaitable[Finding]] = [
            openai_key(client, settings),
            twilio_credentials(client, settings),
            phone_number(client, settings),
            public_url(client, settings),
            port(client, settings),
        ]
        return [serving(settings), records(settings), *await asyncio.gather(*online), clock.finding(), *findings]


def show(findings: Iterable[Finding]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(title, overflow="fold") for title in ("", "check", "found", "what to do")]
    table = Table(*columns)
    for finding in findings:
        mark = Text("✓", "green") if finding.ok else Text("✗", "bold red")
        # Text, not markup: an address may hold square brackets.
        table.add_row(mark, Text(finding.check), Text(finding.detail), Text(finding.todo))
    Console().print(table)


# Checks that need no network


def serving(settings: Settings) -> Finding:
    try:
        settings.require_serving()
    except ConfigError as error:
        return Finding("settings", "not enough to answer calls", str(error))
    return Finding("settings", f"complete, PUBLIC_URL {settings.public_url}")


def records(settings: Settings) -> Finding:
    try:
        faults = unusable(settings.database_url.get_secret_value(), settings.records_dir)
    except ConfigError as error:
        faults = [str(error)]
    if faults:
        return Finding("records", "cannot be kept", " ".join(faults))
    return Finding("records", "can be kept")


def compiled_modules() -> Finding:
    missing = [name for name in COMPILED if not _importable(f"fastbridge.{name}")]
    if missing:
        todo = "Install a fastbridge wheel, or in a checkout run: pip install -e ."
        return Finding("compiled modules", f"missing: {', '.join(missing)}", todo)
    return Finding("compiled modules", "present")


def libraries() -> Finding:
    found = [f"{name} {importlib.metadata.version(name)}" for name in ("websockets", "uvloop", "uvicorn", "openai")]
    if not _importable("uvloop"):
        return Finding("libraries", ", ".join(found), "uvloop cannot be imported: reinstall it.")
    return Finding("libraries", ", ".join(found))


def unknown_settings() -> list[Finding]:
    """What is called like a setting and is none: told, and no fault."""
    return [Finding("settings", sentence) for sentence in unknown_variables()]


def check_port(host: str, port: int) -> None:
    """Raise ConfigError unless we can listen there. The server binds for itself, and says less when it cannot."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        raise port_error(host, port, error) from None


def port_error(host: str, port: int, error: OSError) -> ConfigError:
    """Why we could not listen, in a sentence."""
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"Port {port} is in use: stop what listens there, or choose another with --port or PORT.")
    if error.errno == errno.EACCES:
        return ConfigError(f"Port {port} needs more rights than we have: choose one above 1023 with --port or PORT.")
    return ConfigError(
        f"Cannot listen on {host!r}: set FASTBRIDGE_HOST to an address of this machine, such as 0.0.0.0."
    )


def _importable(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


# Checks over the network


async def openai_key(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    name = "OpenAI key"
    if settings.azure_openai_endpoint is not None:
        return await azure_key(client, settings, azure_base_url(settings.azure_openai_endpoint))
    base = (settings.openai_base_url or OPENAI_URL).rstrip("/")
    if settings.openai_api_key is None:
        return Finding(name, "not set", "Set OPENAI_API_KEY.")
    headers = {"Authorization": f"Bearer {settings.openai_api_key.get_secret_value()}"}
    answer = await _get(client, f"{base}/models/{settings.model}", headers=headers)
    match answer:
        case str():
            return Finding(name, answer, f"Check this machine's network, proxy and firewall for {_host(base)}.")
        case 200, _:
            return Finding(name, f"works, and may use {settings.model}")
        case 401, _:
            return Finding(name, "refused", "Set OPENAI_API_KEY to a valid key.")
        case 403 | 404, _:
            todo = "Give the key's project access to this model, or set OPENAI_REALTIME_MODEL to one that it may use."
            return Finding(name, f"may not use {settings.model}", todo)
        case _:
            todo = "Check the account's limits and OpenAI's status page, then try again."
            return Finding(name, f"answer {answer[0]}", todo)


async def azure_key(client: httpx2.AsyncClient, settings: Settings, base: str) -> Finding:
    """That the resource lets us in; which deployments it has only its owner's account may ask."""
    name = "Azure OpenAI key"
    key, token = settings.azure_openai_api_key, settings.azure_openai_ad_token
    if key is None and token is None:
        return Finding(name, "not set", "Set AZURE_OPENAI_API_KEY.")
    headers = {"api-key": key.get_secret_value()} if key is not None else {}
    if key is None and token is not None:
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    answer = await _get(client, f"{base}/models", headers=headers)
    match answer:
        case str():
            return Finding(name, answer, f"Check this machine's network, proxy and firewall for {_host(base)}.")
        case 200, _:
            return Finding(name, f"works at {_host(base)}")
        case ((401 | 403), _):
            return Finding(name, "refused", "Set AZURE_OPENAI_API_KEY to a valid key of this resource.")
        case _:
            todo = "Check AZURE_OPENAI_ENDPOINT, then try again."
            return Finding(name, f"answer {answer[0]}", todo)


async def twilio_credentials(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    name = "Twilio credentials"
    answer = await _twilio(client, settings, "")
    match answer:
        case None:
            return Finding(name, "not set", "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.")
        case str():
            return Finding(name, answer, f"Check this machine's network, proxy and firewall for {_host(TWILIO_URL)}.")
        case 200, {"status": "active"}:
            return Finding(name, "work")
        case 200, _:
            return Finding(name, "work, but the account is not active", "Reactivate the account in the Twilio console.")
        case 401 | 403 | 404, _:
            return Finding(
                name, "refused", "Copy TWILIO_ACCOUNT_SID and the primary TWILIO_AUTH_TOKEN from the console."
            )
        case _:
            return Finding(name, f"answer {answer[0]}", "Check Twilio's status page, then try again.")


async def phone_number(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    name = "phone number"
    if settings.twilio_phone_number is None:
        return Finding(name, "not set", "Set TWILIO_PHONE_NUMBER to the number that callers dial.")
    number = settings.twilio_phone_number
    answer = await _twilio(client, settings, "/IncomingPhoneNumbers", params={"PhoneNumber": number})
    match answer:
        case 200, {"incoming_phone_numbers": [{"voice_url": voice_url}, *_]}:
            return _voice_url(number, str(voice_url or ""), f"{settings.public_url}/webhook/incoming_call")
        case 200, _:
            return Finding(
                name, f"{number} is not this account's", "Set TWILIO_PHONE_NUMBER to a number of the account."
            )
        case _:
            return Finding(name, "could not be looked up", "See Twilio credentials.")


def _voice_url(number: str, configured: str, wanted: str) -> Finding:
    # A query string is the operator's own (?business_id=456), and part of no comparison.
    if configured.partition("?")[0].rstrip("/") == wanted:
        return Finding("phone number", f"{number} calls {configured}")
    detail = f"{number} calls {configured or 'nothing'}"
    return Finding("phone number", detail, f"In the Twilio console set its 'A call comes in' webhook to {wanted}.")


async def public_url(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    name = "public URL"
    if not settings.public_url:
        return Finding(name, "not set", "Set PUBLIC_URL to the https address at which Twilio reaches this node.")
    if await _is_node(client, settings.public_url):
        return Finding(name, f"{settings.public_url} reaches a node")
    todo = "Start `fastbridge serve` and your proxy or tunnel, check that PUBLIC_URL leads to them, and run this again."
    return Finding(name, f"{settings.public_url} does not reach a node", todo)


async def port(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    try:
        check_port(settings.host, settings.port)
    except ConfigError as error:
        if await _is_node(client, f"http://127.0.0.1:{settings.port}"):
            return Finding("port", f"{settings.port}: a node is running on it")
        return Finding("port", f"{settings.port} cannot be used", str(error))
    return Finding("port", f"{settings.port} is free")


class Clock:
    """Compares our clock with the Date of every answer."""

    def __init__(self) -> None:
        self._skews_s: list[float] = []

    async def read(self, response: httpx2.Response) -> None:
        try:
            theirs_s = parsedate_to_datetime(response.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        self._skews_s.append(time.time() - theirs_s)

    def finding(self) -> Finding:
        if not self._skews_s:
            return Finding("clock", "no server answered with its time", "Put the network right, and run this again.")
        # The smallest: an answer that was long on its way looks like a clock that is ahead.
        skew_s = min(self._skews_s, key=abs)
        if abs(skew_s) > MAX_SKEW_S:
            return Finding("clock", f"{skew_s:+.0f} s off", "Set this machine's clock by NTP.")
        return Finding("clock", f"right within {MAX_SKEW_S:.0f} s")


async def _twilio(client: httpx2.AsyncClient, settings: Settings, resource: str, **query: Any) -> Any:
    """An answer of Twilio's REST API for this account, as `_get` gives it; None without credentials."""
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    auth = (settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value())
    return await _get(client, f"{TWILIO_URL}/Accounts/{settings.twilio_account_sid}{resource}.json", auth=auth, **query)


async def _is_node(client: httpx2.AsyncClient, url: str) -> bool:
    return await _get(client, f"{url}/healthz") == (200, {"alive": True})


async def _get(client: httpx2.AsyncClient, url: str, **options: Any) -> tuple[int, Any] | str:
    """Status and JSON (None if it is none), or, as a text, why there was no answer."""
    try:
        response = await client.get(url, **options)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return f"no answer from {_host(url)} ({type(error).__name__})"
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
