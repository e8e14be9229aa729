"""Calls out by Twilio's REST API: placed, looked up, found again, ended. Nothing raises, and nothing is asked twice
that might have been done.

Twilio knows no idempotency for a call: where its answer is lost, the call may be there, and `find` looks for it among
those between the same two numbers. Source: Twilio, "Calls resource".
"""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from fastbridge.carrier.port import Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.carrier.twilio.error_codes import sentence
from fastbridge.carrier.twilio.messages import CALL_SID, CALL_STATUSES
from fastbridge.carrier.twilio.rest import API_VERSION, ENDED_CODES, api_url, credentials, error_code
from fastbridge.config import Settings

REQUEST_SECONDS = 10.0
CONNECTING_TRIES = 2
LATER_SECONDS = 2.0
"""Where Twilio names no time itself."""
MAX_LATER_SECONDS = 60.0
CONNECTIONS = 20
EVENTS = ("initiated", "ringing", "answered", "completed")
_PAGE = 50


class TwilioCalls:
    """One client for all calls out. base_url: `https://api.twilio.com`. user, secret: account sid and auth token, or an
    API key and its secret. http: for tests, a client in place of its own."""

    def __init__(
        self, base_url: str, account_sid: str, user: str, secret: str, http: httpx2.AsyncClient | None = None
    ) -> None:
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self._http = http or httpx2.AsyncClient(timeout=REQUEST_SECONDS, follow_redirects=False, limits=limits)
        self._url = f"{base_url.rstrip('/')}/{API_VERSION}/Accounts/{account_sid}/Calls"
        self._auth = httpx2.BasicAuth(user, secret)

    async def close(self) -> None:
        await self._http.aclose()

    async def place(self, placement: Placement) -> Placed | Refused | TryLater | Uncertain:
        answer = await self._ask("POST", ".json", data=_form(placement))
        if isinstance(answer, TryLater | Uncertain):
            return answer
        document = _document(answer)
        if answer.is_success:
            call = _call(document)
            return Placed(call.call_sid, call.state) if call is not None else Uncertain("Twilio's answer names no call")
        if answer.status_code in (429, 503):
            return TryLater(_retry_after(answer), f"Twilio takes no more calls just now (HTTP {answer.status_code}).")
        if answer.status_code >= 500:
            return Uncertain(f"HTTP {answer.status_code}")
        code = error_code(document)
        return Refused(code, sentence(code, answer.status_code))

    async def look_up(self, call_sid: str) -> PlacedCall | None:
        answer = await self._ask("GET", f"/{call_sid}.json")
        if isinstance(answer, TryLater | Uncertain):
            return None
        return _call(_document(answer)) if answer.is_success else None

    async def find(self, to_number: str, from_number: str, since_s: float) -> list[PlacedCall] | None:
        day = datetime.fromtimestamp(since_s, UTC).date().isoformat()
        wanted = {"To": to_number, "From": from_number, "StartTime>": day, "PageSize": str(_PAGE)}
        answer = await self._ask("GET", ".json", params=wanted)
        if isinstance(answer, TryLater | Uncertain) or not answer.is_success:
            return None
        listed = _document(answer).get("calls")
        calls = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        found = [_call(each) for each in calls if _created_s(each) >= since_s]
        return [call for call in found if call is not None]

    async def end(self, call_sid: str) -> bool:
        """Both words, since each is for a state that may have passed meanwhile."""
        done = False
        for status in ("canceled", "completed"):
            answer = await self._ask("POST", f"/{call_sid}.json", data={"Status": status})
            if isinstance(answer, TryLater | Uncertain):
                return False
            if error_code(_document(answer)) in ENDED_CODES:
                return True
            call = _call(_document(answer)) if answer.is_success else None
            if call is not None and call.state not in ("queued", "ringing", "in-progress"):
                return True
            done = answer.is_success
        return done

    async def change(self, call_sid: str, form: dict[str, str]) -> bool | None:
        """Give a call other TwiML. True: it is done; False: surely not; None: the answer was lost."""
        answer = await self._ask("POST", f"/{call_sid}.json", data=form)
        if isinstance(answer, TryLater):
            return False
        if isinstance(answer, Uncertain) or (answer.status_code >= 500 and answer.status_code != 503):
            return None
        return answer.is_success

    async def _ask(self, method: str, path: str, **given: Any) -> httpx2.Response | TryLater | Uncertain:
        """Once more where nothing can have arrived."""
        for left in reversed(range(CONNECTING_TRIES)):
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    return await self._http.request(method, self._url + path, auth=self._auth, **given)
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                if not left:
                    return TryLater(LATER_SECONDS, f"Twilio's API cannot be reached: {type(error).__name__}.")
            except (TimeoutError, httpx2.TransportError) as error:
                return Uncertain(f"{type(error).__name__}: {error}".removesuffix(": "))
        raise AssertionError("the last try returns")


def twilio_calls(settings: Settings) -> TwilioCalls | None:
    """The client that these settings are enough for; None without credentials."""
    known = credentials(settings)
    if known is None or settings.twilio_account_sid is None:
        return None
    return TwilioCalls(api_url(settings), settings.twilio_account_sid, *known)


def _form(placement: Placement) -> dict[str, Any]:
    form: dict[str, Any] = {
        "To": placement.to_number,
        "From": placement.from_number,
        "Url": placement.answer_url,
        "Method": "POST",
        "StatusCallback": placement.status_url,
        "StatusCallbackEvent": list(EVENTS),
        "StatusCallbackMethod": "POST",
        "Timeout": str(placement.ring_seconds),
    }
    if placement.machine:
        form |= {"MachineDetection": "Enable", "AsyncAmd": "true", "AsyncAmdStatusCallback": placement.status_url}
    return form


def _document(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _call(document: dict[str, Any]) -> PlacedCall | None:
    call_sid, state = document.get("sid"), document.get("status")
    if not isinstance(call_sid, str) or not CALL_SID.match(call_sid) or state not in CALL_STATUSES:
        return None
    duration, answered_by = str(document.get("duration") or ""), document.get("answered_by")
    seconds = int(duration) if duration.isascii() and duration.isdigit() and len(duration) < 7 else None
    return PlacedCall(call_sid, state, seconds, answered_by if isinstance(answered_by, str) else None)


def _created_s(document: dict[str, Any]) -> float:
    """Since 1970; 0.0 where it does not say."""
    try:
        return parsedate_to_datetime(str(document.get("date_created"))).timestamp()
    except (TypeError, ValueError):
        return 0.0


def _retry_after(answer: httpx2.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else LATER_SECONDS
    return min(max(seconds, 0.5), MAX_LATER_SECONDS)
