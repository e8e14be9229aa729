"""The telephone number at Twilio: which address its calls ask, whether that is this node's, and setting it there.

Which number: TWILIO_PHONE_NUMBER, or else what the account has. Nothing is written but by `set_webhooks`, which writes
exactly what `changes` has shown. Source: Twilio, "IncomingPhoneNumber resource".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2

from fastbridge.base.findings import Finding
from fastbridge.carrier.twilio.api import API_VERSION
from fastbridge.carrier.twilio.rest import api_url, credentials
from fastbridge.config import Settings

CHECK = "phone number"
VOICE, STATUS = "/webhook/incoming_call", "/webhook/call_status"
MAX_NUMBERS = 100
ASK_CONSOLE = "In the Twilio console set its 'A call comes in' webhook to {}, or run `fastbridge doctor --fix`."


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a number's, as Twilio's API calls it."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Number:
    """What Twilio says of one."""

    sid: str
    number: str
    fields: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


class Numbers:
    """Those of the account of these settings. Answers are read, not shown; no method raises for the network's sake."""

    def __init__(self, client: httpx2.AsyncClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._url = f"{api_url(settings)}/{API_VERSION}/Accounts/{settings.twilio_account_sid}/IncomingPhoneNumbers"

    async def examine(self) -> tuple[Finding, Number | None]:
        """What was found, and the number that `--fix` would be about, if there is one."""
        settings = self._settings
        if settings.twilio_account_sid is None or credentials(settings) is None:
            return Finding(CHECK, "could not be looked up", "See Twilio credentials.", "not_tried"), None
        found = await self._look_up()
        if found is None:
            return Finding(CHECK, "could not be looked up", "See Twilio credentials.", "not_tried"), None
        wanted = settings.twilio_phone_number
        if wanted is not None and not found:
            todo = "Set TWILIO_PHONE_NUMBER to a number of the account."
            return Finding(CHECK, f"{wanted} is not this account's", todo, "not_ours"), None
        if not found:
            return Finding(
                CHECK, "the account has none", "Buy a number with voice in the Twilio console.", "none"
            ), None
        return self._judge(found)

    async def set_webhooks(self, number: Number, changes: Sequence[Change]) -> str:
        """Write them; why that was not done, in a few words, or nothing."""
        form = {change.name: change.after for change in changes}
        answer = await self._ask("POST", f"{self._url}/{number.sid}.json", data=form)
        if isinstance(answer, str):
            return answer
        status, document = answer
        if status != 200:
            code = document.get("code") if isinstance(document, dict) else None
            return f"HTTP {status}" + (f", code {code}" if isinstance(code, int) else "")
        return ""

    def changes(self, number: Number) -> list[Change]:
        """What makes this number call this node. Its own query, and a status callback to somebody else, stay."""
        base, voice, status = self._settings.public_url, number["voice_url"], number["status_callback"]
        query = urlsplit(voice).query if urlsplit(voice).path.endswith(VOICE) else ""
        wanted = {"VoiceUrl": (voice, f"{base}{VOICE}" + (f"?{query}" if query else ""))}
        wanted["VoiceMethod"] = (number["voice_method"], "POST")
        if number["voice_application_sid"]:
            wanted["VoiceApplicationSid"] = (number["voice_application_sid"], "")
        if not status or urlsplit(status).path.endswith(STATUS):
            wanted["StatusCallback"] = (status, f"{base}{STATUS}")
            wanted["StatusCallbackMethod"] = (number["status_callback_method"], "POST")
        return [Change(name, before, after) for name, (before, after) in wanted.items() if before != after]

    # --- what was found ---

    def _judge(self, found: list[Number]) -> tuple[Finding, Number | None]:
        ours = [number for number in found if self._calls_us(number)]
        if ours:
            return Finding(
                CHECK, ", ".join(f"{number.number} calls {number['voice_url']}" for number in ours[:3])
            ), ours[0]
        if len(found) > 1:
            shown = ", ".join(number.number for number in found[:5]) + (" …" if len(found) > 5 else "")
            todo = f"Set TWILIO_PHONE_NUMBER to the one that is to call {self._settings.public_url}{VOICE}."
            return Finding(CHECK, f"none of {len(found)} calls this node: {shown}", todo, "which"), None
        number = found[0]
        if number["trunk_sid"]:
            todo = "In the Twilio console take it off its SIP trunk."
            return Finding(CHECK, f"{number.number} belongs to a SIP trunk, which gets its calls", todo, "trunk"), None
        target = ASK_CONSOLE.format(f"{self._settings.public_url}{VOICE}")
        if number["voice_application_sid"]:
            detail = f"{number.number} asks a TwiML application, and not its own webhook"
            return Finding(CHECK, detail, target, "application"), number
        called = number["voice_url"] or "nothing"
        return Finding(CHECK, f"{number.number} calls {called}", target, "voice_url"), number

    def _calls_us(self, number: Number) -> bool:
        # A query string is the operator's own (?business_id=456), and part of no comparison.
        called = number["voice_url"].partition("?")[0].rstrip("/")
        return (
            called == f"{self._settings.public_url}{VOICE}"
            and not number["voice_application_sid"] + number["trunk_sid"]
        )

    # --- Twilio's API ---

    async def _look_up(self) -> list[Number] | None:
        wanted = self._settings.twilio_phone_number
        query = {"PhoneNumber": wanted} if wanted is not None else {"PageSize": str(MAX_NUMBERS)}
        answer = await self._ask("GET", f"{self._url}.json", params=query)
        if isinstance(answer, str) or answer[0] != 200 or not isinstance(answer[1], dict):
            return None
        listed = answer[1].get("incoming_phone_numbers")
        each = [_number(entry) for entry in listed] if isinstance(listed, list) else []
        return [number for number in each if wanted is None or number.number == wanted]

    async def _ask(self, method: str, url: str, **options: Any) -> tuple[int, Any] | str:
        return await ask(self._client, method, url, auth=credentials(self._settings), **options)


async def ask(client: httpx2.AsyncClient, method: str, url: str, **options: Any) -> tuple[int, Any] | str:
    """Status and JSON (None if it is none), or, as a text, why there was no answer."""
    try:
        response = await client.request(method, url, **options)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return f"no answer from {host_of(url)} ({type(error).__name__})"
    try:
        return response.status_code, response.json()
    except ValueError:
        return response.status_code, None


def host_of(url: str) -> str:
    return urlsplit(url).hostname or url


def _number(entry: Any) -> Number:
    found = entry if isinstance(entry, dict) else {}
    texts = {str(name): value for name, value in found.items() if isinstance(value, str)}
    return Number(texts.get("sid", ""), texts.get("phone_number", ""), texts)
