"""`fastbridge doctor`: is this machine fit to answer calls, and if not, what is to be done?

Each check is a function that returns Findings and never raises; the network ones run side by side. All faults are
told, not only the first. No secret is printed: answers of servers are read, not shown. Nothing is changed but by
`--fix`, which shows what it will write, and asks.
"""

import asyncio
import contextlib
import importlib
import importlib.metadata
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2

from fastbridge.base.findings import Finding, as_json, not_tried, show
from fastbridge.base.trust import trust_faults
from fastbridge.base.urls import is_local
from fastbridge.carrier.twilio.api import API_VERSION
from fastbridge.carrier.twilio.number import CHECK as NUMBER
from fastbridge.carrier.twilio.number import Change, Number, Numbers, ask, host_of
from fastbridge.carrier.twilio.rest import api_url, credentials
from fastbridge.carrier.twilio.trial import PUBLIC, STREAM, WEBHOOK, Trial
from fastbridge.config import Settings, variables
from fastbridge.errors import AgentError, ConfigError
from fastbridge.model.endpoint import azure_base_url
from fastbridge.net.listening import check_port
from fastbridge.node import fitness
from fastbridge.node.stray_settings import unknown_variables
from fastbridge.store.places import AWAY

if TYPE_CHECKING:
    from fastbridge.agent.definition import Agent

TIMEOUT_S = 5.0
MAX_SKEW_S = 5.0
OPENAI_URL = "https://api.openai.com/v1"
WRITABLE = "Make the folder writable for this user, or name another."
ANSWERING = "Start the database, or name another."
PUBLISH = "Set PUBLIC_URL to the https address of a proxy or tunnel, or start `fastbridge serve --tunnel`."
COMPILED = ("_assistant", "_bargein", "_caller", "_dsp", "_framing", "_mulaw", "_pacing", "_websocket")

_OF_TWILIO = {"twilio_account_sid", "twilio_auth_token", "twilio_api_key", "twilio_api_secret"}
_OF_TWILIO |= {"twilio_region", "twilio_edge", "twilio_api_url"}
_OF_MODEL = {"openai_api_key", "openai_base_url", "model"}
_OF_AZURE = {"azure_openai_endpoint", "azure_openai_api_key", "azure_openai_ad_token", "model"}
NEEDS: dict[str, set[str]] = {
    "records": {"database_url", "records_dir"},
    "OpenAI key": _OF_MODEL | _OF_AZURE,
    "Azure OpenAI key": _OF_AZURE,
    "Twilio credentials": _OF_TWILIO,
    NUMBER: _OF_TWILIO | {"twilio_phone_number", "public_url"},
    "port": {"host", "port"},
    PUBLIC: {"public_url"},
    WEBHOOK: {"public_url"},
    STREAM: {"public_url"},
}
"""By check: the settings without which there is nothing to try."""
BY_TLS = {"openai_base_url", "azure_openai_endpoint", "twilio_api_url", "public_url"}
"""Of these, whom nobody reaches who cannot tell whom to trust."""

Load = Callable[[Settings], "Agent"]
"""The agent that `serve` would serve, with these settings. Raises as it would."""
Confirm = Callable[[Number, list[Change]], bool]
"""Whether these changes are to be written."""


def main(load: Load, *, json: bool = False, fix: bool = False, yes: bool = False) -> int:
    """Run every check, print a table or JSON, return the exit code: 0 if all is well, else 1.

    fix: set the number's webhooks, if they are not this node's. yes: without asking, which takes a terminal.
    """
    findings = asyncio.run(examine(load, confirm=_confirm(yes) if fix else None))
    if json:
        print(as_json(findings))
    else:
        show(findings)
    return 0 if all(finding.ok for finding in findings) else 1


async def examine(
    load: Load, transport: httpx2.AsyncBaseTransport | None = None, *, confirm: Confirm | None = None
) -> list[Finding]:
    """Every check's findings. `transport` stands in for the network of the APIs."""
    settings, wrong = fitness.load_what_works()
    own = [*compiled_modules(), *libraries()]
    if settings is None:
        if confirm is not None:
            _unchanged("the settings cannot be read.")
        return [*_settings([*wrong.values()]), *unknown_settings(), *own]
    mistaken = {name for field in wrong for name in variables(field)}  # its default has no fault that is anybody's
    faults = [*wrong.values(), *(each for each in fitness.faults(settings) if each.split()[0] not in mistaken)]
    untrusting = bool([*trust_faults()])
    untold = {*wrong, *(BY_TLS if untrusting else ())}
    clock = Clock()
    hooks = {"response": [clock.read]}
    # The client's own way to those who are trusted raises where SSL_CERT_FILE is wrong; with this one nobody is.
    trusted: Any = ssl.create_default_context() if untrusting else True
    async with httpx2.AsyncClient(transport=transport, verify=trusted, timeout=TIMEOUT_S, event_hooks=hooks) as client:
        numbers = Numbers(client, settings)
        online: list[Awaitable[Any]] = [
            openai_key(client, settings),
            twilio_credentials(client, settings),
            port(client, settings),
            numbers.examine(),
            Trial(settings, clock.note).run(),
        ]
        key, account, listening, (number, subject), trial = await asyncio.gather(*online)
        [number] = _tried([number], untold if settings.public_url else {*untold, "public_url"})
        if confirm is not None and (subject is None or number.fault == "not_tried"):
            _unchanged(f"of the {NUMBER}: {number.detail}. {number.todo}")
        elif confirm is not None and subject is not None:
            number = await _fix(numbers, subject, number, trial, confirm)
    well = f"complete, PUBLIC_URL {settings.public_url}"
    told = [*_settings(faults, well), *unknown_settings(), *local_address(settings), *files(settings)]
    found = [*agent_of(settings, load), *records(settings), key, account, number, listening, *trial]
    return [*told, *_tried(found, untold), clock.finding(), *own]


def _settings(faults: list[str], well: str = "") -> list[Finding]:
    return [Finding("settings", each, fault="settings") for each in faults] or [Finding("settings", well)]


def _tried(found: list[Finding], wrong: Collection[str]) -> list[Finding]:
    """Without what was found with a default in place of a setting that was wrong: nobody had asked for that. wrong: the
    settings' fields."""
    untold = {check for check, fields in NEEDS.items() if not fields.isdisjoint(wrong)}
    kept = [not_tried(each.check, "settings") if each.check in untold else each for each in found]
    return list(dict.fromkeys(kept))


# Setting the number's webhooks


async def _fix(numbers: Numbers, subject: Number, found: Finding, trial: list[Finding], confirm: Confirm) -> Finding:
    """Write what makes the number call this node, once somebody has said yes to exactly that."""
    changes = numbers.changes(subject)
    if not changes:
        _unchanged("the number calls this node already.")
        return found
    webhook = next(each for each in trial if each.check == WEBHOOK)
    if not webhook.ok:
        _unchanged("the webhook is not answered at PUBLIC_URL.")
        return Finding(NUMBER, found.detail, "Not set: first let the webhook be answered at PUBLIC_URL.", "not_set")
    if not confirm(subject, changes):
        return found if found.ok else Finding(NUMBER, found.detail, f"Not set. {found.todo}", "not_set")
    why = await numbers.set_webhooks(subject, changes)
    if why:
        return Finding(NUMBER, f"Twilio did not set the webhooks: {why}", "See Twilio credentials.", "refused")
    return (await numbers.examine())[0]


def _unchanged(why: str) -> None:
    print(f"Nothing is changed, because {why}", file=sys.stderr)


def _confirm(yes: bool) -> Confirm:
    def confirm(number: Number, changes: list[Change]) -> bool:
        # On stderr: stdout may be a program's.
        for change in changes:
            print(
                f"{number.number} {change.name}: {change.before or '(nothing)'} → {change.after or '(nothing)'}",
                file=sys.stderr,
            )
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            _unchanged("there is nobody to ask; --yes says yes.")
            return False
        print("Write this to Twilio? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return True
        _unchanged("the answer was no.")
        return False

    return confirm


# Checks that need no network


def agent_of(settings: Settings, load: Load) -> list[Finding]:
    """The agent that would answer, and all that `serve` would refuse of it. Its module is imported here."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints is no finding
            agent = load(settings)
    except ConfigError as error:
        if isinstance(error, AgentError):
            print(error.trace, end="", file=sys.stderr)
        return [Finding("agent", str(error), fault="agent")]
    found = [Finding("agent", each, fault="agent") for each in fitness.agent_faults(settings, agent)]
    found = found or [Finding("agent", f"{len(agent.all_tools)} tools, {len(agent.hooks)} hooks")]
    advice = [*agent.advice(), *fitness.unheeded(settings, agent)]
    return [*found, *(Finding("agent", each, fault="advice", warns=True) for each in advice)]


def records(settings: Settings) -> list[Finding]:
    try:
        faults = fitness.record_faults(settings)
    except ConfigError as error:
        return [Finding("records", str(error), fault="records")]
    todo = {each: ANSWERING if AWAY in each else WRITABLE for each in faults}
    return [Finding("records", each, todo[each], "records") for each in faults] or [Finding("records", "can be kept")]


def compiled_modules() -> Iterator[Finding]:
    missing = [name for name in COMPILED if not _importable(f"fastbridge.{name}")]
    if missing:
        todo = "Install a fastbridge wheel, or in a checkout run: pip install -e ."
        yield Finding("compiled modules", f"missing: {', '.join(missing)}", todo, "missing")
    else:
        yield Finding("compiled modules", "present")


def libraries() -> Iterator[Finding]:
    found = [f"{name} {importlib.metadata.version(name)}" for name in ("websockets", "uvloop", "uvicorn", "openai")]
    if not _importable("uvloop"):
        yield Finding("libraries", ", ".join(found), "uvloop cannot be imported: reinstall it.", "missing")
    else:
        yield Finding("libraries", ", ".join(found))


def unknown_settings() -> list[Finding]:
    """What is called like a setting and is none: told, and no fault."""
    return [Finding("settings", each, fault="unknown_variable", warns=True) for each in unknown_variables()]


def local_address(settings: Settings) -> list[Finding]:
    """A PUBLIC_URL that does for a simulated caller, and for no other."""
    url = settings.public_url
    if not url or not is_local(url):
        return []
    detail = f"PUBLIC_URL leads to {host_of(url)}, where Twilio cannot reach it"
    return [Finding("settings", detail, PUBLISH, "local_address", warns=True)]


def files(settings: Settings) -> list[Finding]:
    """A place for the carrier's files that this machine, at least, has not."""
    return [Finding("settings", each, fault="recordings_url", warns=True) for each in fitness.files_advice(settings)]


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
        return Finding(name, "not set", "Set OPENAI_API_KEY.", "not_set")
    headers = {"Authorization": f"Bearer {settings.openai_api_key.get_secret_value()}"}
    answer = await ask(client, "GET", f"{base}/models/{settings.model}", headers=headers)
    match answer:
        case str():
            return Finding(name, answer, _network(base), "unreachable")
        case 200, _:
            return Finding(name, f"works, and may use {settings.model}")
        case 401, _:
            return Finding(name, "refused", "Set OPENAI_API_KEY to a valid key.", "refused")
        case 403 | 404, _:
            todo = "Give the key's project access to this model, or set OPENAI_REALTIME_MODEL to one that it may use."
            return Finding(name, f"may not use {settings.model}", todo, "model")
        case _:
            todo = "Check the account's limits and OpenAI's status page, then try again."
            return Finding(name, f"answer {answer[0]}", todo, "answer")


async def azure_key(client: httpx2.AsyncClient, settings: Settings, base: str) -> Finding:
    """That the resource lets us in; which deployments it has only its owner's account may ask."""
    name = "Azure OpenAI key"
    key, token = settings.azure_openai_api_key, settings.azure_openai_ad_token
    if key is None and token is None:
        return Finding(name, "not set", "Set AZURE_OPENAI_API_KEY.", "not_set")
    headers = {"api-key": key.get_secret_value()} if key is not None else {}
    if key is None and token is not None:
        headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    answer = await ask(client, "GET", f"{base}/models", headers=headers)
    match answer:
        case str():
            return Finding(name, answer, _network(base), "unreachable")
        case 200, _:
            return Finding(name, f"works at {host_of(base)}")
        case ((401 | 403), _):
            return Finding(name, "refused", "Set AZURE_OPENAI_API_KEY to a valid key of this resource.", "refused")
        case _:
            todo = "Check AZURE_OPENAI_ENDPOINT, then try again."
            return Finding(name, f"answer {answer[0]}", todo, "answer")


async def twilio_credentials(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    name = "Twilio credentials"
    known = credentials(settings)
    if settings.twilio_account_sid is None or known is None:
        return Finding(name, "not set", "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.", "not_set")
    base = api_url(settings)
    url = f"{base}/{API_VERSION}/Accounts/{settings.twilio_account_sid}.json"
    answer = await ask(client, "GET", url, auth=known)
    match answer:
        case str():
            return Finding(name, answer, _network(base), "unreachable")
        case 200, {"status": "active"}:
            return Finding(name, "work")
        case 200, _:
            return Finding(
                name, "work, but the account is not active", "Reactivate the account in the Twilio console.", "inactive"
            )
        case 401 | 403 | 404, _:
            return Finding(
                name,
                "refused",
                "Copy TWILIO_ACCOUNT_SID and the primary TWILIO_AUTH_TOKEN from the console.",
                "refused",
            )
        case _:
            return Finding(name, f"answer {answer[0]}", "Check Twilio's status page, then try again.", "answer")


async def port(client: httpx2.AsyncClient, settings: Settings) -> Finding:
    try:
        check_port(settings.host, settings.port)
    except ConfigError as error:
        if await _is_node(client, f"http://127.0.0.1:{settings.port}"):
            return Finding("port", f"{settings.port}: a node is running on it")
        return Finding("port", f"{settings.port} cannot be used", str(error), "port")
    return Finding("port", f"{settings.port} is free")


class Clock:
    """Compares our clock with the Date of every answer."""

    def __init__(self) -> None:
        self._skews_s: list[float] = []

    async def read(self, response: httpx2.Response) -> None:
        self.note(response.headers)

    def note(self, headers: Mapping[str, str]) -> None:
        """headers: by lower-case name."""
        try:
            theirs_s = parsedate_to_datetime(headers["date"]).timestamp()
        except (KeyError, ValueError):
            return
        self._skews_s.append(time.time() - theirs_s)

    def finding(self) -> Finding:
        if not self._skews_s:
            return Finding(
                "clock", "no server answered with its time", "Put the network right, and run this again.", "no_time"
            )
        # The smallest: an answer that was long on its way looks like a clock that is ahead.
        skew_s = min(self._skews_s, key=abs)
        if abs(skew_s) > MAX_SKEW_S:
            return Finding("clock", f"{skew_s:+.0f} s off", "Set this machine's clock by NTP.", "off")
        return Finding("clock", f"right within {MAX_SKEW_S:.0f} s")


def _network(url: str) -> str:
    return f"Check this machine's network, proxy and firewall for {host_of(url)}."


async def _is_node(client: httpx2.AsyncClient, url: str) -> bool:
    return await ask(client, "GET", f"{url}/healthz") == (200, {"alive": True})
