"""Twilio's REST API, as far as a live call needs it: end a call, give it other TwiML.

Two requests by hand rather than the SDK's client, which would cost a node more than its own code. Each try has its
time; one more follows where the first was surely not carried out, or where doing it twice does no harm. Nothing raises:
True is done, False is not, and then `told` hears why. Never blocks the loop. Source: Twilio, "Update a Call resource".
"""

import asyncio
from collections.abc import Callable

import httpx2

from fastbridge.carrier.twilio.api import API_VERSION
from fastbridge.carrier.twilio.twiml import transfer_twiml
from fastbridge.config import Settings
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

TRY_SECONDS = 3.0
RETRY_SECONDS = 0.3
ENDED_CODES = frozenset({20404, 21220})
"""The call is not in progress any more."""


Told = Callable[[str, str], object]
"""told(call_sid, problem): something was not done."""


def say(call_sid: str, problem: str) -> None:
    """In the log, for a call that is not there any more."""
    events.carrier_refused(CallLog(call_sid), problem)


class CarrierRest:
    """One client for all calls. base_url: `https://api.twilio.com`. user, secret: account sid and auth token, or an
    API key and its secret. http: for tests, a client in place of its own."""

    def __init__(
        self, base_url: str, user: str, secret: str, http: httpx2.AsyncClient | None = None, *, told: Told = say
    ) -> None:
        self._told = told
        self._base_url = base_url.rstrip("/")
        self._http = http or httpx2.AsyncClient(timeout=TRY_SECONDS, follow_redirects=False)
        self._auth = httpx2.BasicAuth(user, secret)

    async def hang_up(self, account_sid: str, call_sid: str) -> bool:
        """End the call. True also where it had ended already."""
        return await self._update(account_sid, call_sid, {"Status": "completed"}, ended_is_well=True)

    async def connect(self, account_sid: str, call_sid: str, number: str) -> bool:
        """Let the call go on with this number (E.164); its media stream ends thereby."""
        return await self._update(account_sid, call_sid, {"Twiml": transfer_twiml(number)}, ended_is_well=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def _update(self, account_sid: str, call_sid: str, form: dict[str, str], *, ended_is_well: bool) -> bool:
        url = f"{self._base_url}/{API_VERSION}/Accounts/{account_sid}/Calls/{call_sid}.json"
        for last in (False, True):
            try:
                async with asyncio.timeout(TRY_SECONDS):
                    response = await self._http.post(url, data=form, auth=self._auth)
            except (TimeoutError, httpx2.TransportError) as error:
                # What may have been carried out must not be done twice, if twice is not the same as once.
                again = ended_is_well or isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
                problem = f"{type(error).__name__}: {error}"
            else:
                code = _code(response)
                if response.is_success or (ended_is_well and code in ENDED_CODES):
                    return True
                again = response.status_code in (429, 503) or (ended_is_well and response.status_code >= 500)
                problem = f"HTTP {response.status_code}" + (f", code {code}" if code is not None else "")
            if last or not again:
                break
            await asyncio.sleep(RETRY_SECONDS)
        self._told(call_sid, problem)
        return False


def _code(response: httpx2.Response) -> int | None:
    try:
        return error_code(response.json())
    except ValueError:
        return None


def error_code(document: object) -> int | None:
    """Twilio's, if an answer's body holds one."""
    code = document.get("code") if isinstance(document, dict) else None
    return code if isinstance(code, int) else None


def carrier_rest(settings: Settings, *, told: Told = say) -> CarrierRest | None:
    """The client that these settings are enough for; None without credentials."""
    known = credentials(settings)
    return CarrierRest(api_url(settings), *known, told=told) if known is not None else None


def credentials(settings: Settings) -> tuple[str, str] | None:
    """User and password of Twilio's API: an API key's, or the account's own."""
    if settings.twilio_api_key is not None and settings.twilio_api_secret is not None:
        return settings.twilio_api_key, settings.twilio_api_secret.get_secret_value()
    if settings.twilio_account_sid is None or settings.twilio_auth_token is None:
        return None
    return settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value()


def api_url(settings: Settings) -> str:
    """Where Twilio's API is, by region and edge; an edge without a region is in the USA."""
    if settings.twilio_api_url is not None:
        return settings.twilio_api_url
    region = settings.twilio_region or ("us1" if settings.twilio_edge else None)
    host = ".".join(part for part in ("api", settings.twilio_edge, region, "twilio", "com") if part)
    return f"https://{host}"
