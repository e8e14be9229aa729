"""Calls out by Twilio's REST API: placed, looked up, found again, ended. Nothing raises, and nothing is asked twice
that might have been done.

Twilio knows no idempotency for a call: where its answer is lost, the call may be there, and `find` looks for it among
those between the same two numbers. Source: Twilio, "Calls resource".
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from fastbridge.carrier.port import Placed, PlacedCall, Placement, Refused, TryLater, Uncertain
from fastbridge.carrier.twilio.api import TwilioApi, document, later
from fastbridge.carrier.twilio.error_codes import sentence
from fastbridge.carrier.twilio.messages import CALL_SID, CALL_STATUSES
from fastbridge.carrier.twilio.rest import ENDED_CODES, api_url, credentials, error_code
from fastbridge.config import Settings

EVENTS = ("initiated", "ringing", "answered", "completed")
_PAGE = 50


class TwilioCalls:
    """One client for all calls out. base_url: `https://api.twilio.com`. user, secret: account sid and auth token, or an
    API key and its secret. http: for tests, a client in place of its own."""

    def __init__(
        self, base_url: str, account_sid: str, user: str, secret: str, http: httpx2.AsyncClient | None = None
    ) -> None:
        self._api = TwilioApi(base_url, user, secret, http)
        self._url = f"{self._api.account(account_sid)}/Calls"

    async def close(self) -> None:
        await self._api.close()

    async def place(self, placement: Placement) -> Placed | Refused | TryLater | Uncertain:
        answer = await self._ask("POST", ".json", data=_form(placement))
        if isinstance(answer, TryLater | Uncertain):
            return answer
        told = document(answer)
        if answer.is_success:
            call = _call(told)
            return Placed(call.call_sid, call.state) if call is not None else Uncertain("Twilio's answer names no call")
        code = error_code(told)
        return later(answer, "takes no more calls") or Refused(code, sentence(code, answer.status_code))

    async def look_up(self, call_sid: str) -> PlacedCall | None:
        answer = await self._ask("GET", f"/{call_sid}.json")
        if isinstance(answer, TryLater | Uncertain):
            return None
        return _call(document(answer)) if answer.is_success else None

    async def find(self, to_number: str, from_number: str, since_s: float) -> list[PlacedCall] | None:
        day = datetime.fromtimestamp(since_s, UTC).date().isoformat()
        wanted = {"To": to_number, "From": from_number, "StartTime>": day, "PageSize": str(_PAGE)}
        answer = await self._ask("GET", ".json", params=wanted)
        if isinstance(answer, TryLater | Uncertain) or not answer.is_success:
            return None
        listed = document(answer).get("calls")
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
            if error_code(document(answer)) in ENDED_CODES:
                return True
            call = _call(document(answer)) if answer.is_success else None
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
        return await self._api.ask(method, self._url + path, **given)


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


def _call(told: dict[str, Any]) -> PlacedCall | None:
    call_sid, state = told.get("sid"), told.get("status")
    if not isinstance(call_sid, str) or not CALL_SID.match(call_sid) or state not in CALL_STATUSES:
        return None
    duration, answered_by = str(told.get("duration") or ""), told.get("answered_by")
    seconds = int(duration) if duration.isascii() and duration.isdigit() and len(duration) < 7 else None
    return PlacedCall(call_sid, state, seconds, answered_by if isinstance(answered_by, str) else None)


def _created_s(told: dict[str, Any]) -> float:
    """Since 1970; 0.0 where it does not say."""
    try:
        return parsedate_to_datetime(str(told.get("date_created"))).timestamp()
    except (TypeError, ValueError):
        return 0.0
