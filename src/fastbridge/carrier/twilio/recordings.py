"""Recordings at Twilio: begun, paused, resumed and stopped while a call goes on; looked at, fetched and deleted after.

Nothing raises. Every address is made of sids that look like sids. Twilio knows no idempotency: before a recording is
begun it is looked whether there is one. Source: Twilio, "Recordings resource", "Call Recordings subresource".
"""

from typing import Any

import httpx2

from fastbridge.carrier.port import (
    Fetched,
    FileDetails,
    NotFetched,
    NotThere,
    RecordingBegun,
    RecordingChange,
    Refused,
    TryLater,
    Uncertain,
)
from fastbridge.carrier.twilio.api import LATER_SECONDS, TwilioApi, document, later
from fastbridge.carrier.twilio.error_codes import sentence
from fastbridge.carrier.twilio.messages import ACCOUNT_SID, CALL_SID, RECORDING_SID
from fastbridge.carrier.twilio.recording_file import RecordingFile, Sink
from fastbridge.carrier.twilio.rest import ENDED_CODES, api_url, credentials, error_code
from fastbridge.config import Settings

STATUS_PATH = "/webhook/recording_status"
NO_SID = Refused(None, "This is no sid of Twilio's.")
_LIVE = ("in-progress", "paused")
_CHANGES = {
    RecordingChange.PAUSE: {"Status": "paused", "PauseBehavior": "silence"},
    RecordingChange.RESUME: {"Status": "in-progress"},
    RecordingChange.STOP: {"Status": "stopped"},
}
_TRIES = 2
"""Of what does no harm twice."""


class TwilioRecordings:
    """One client for all recordings. public_url: of this node, which Twilio tells how they go. hosts: where files may
    be, beside Twilio's own."""

    def __init__(self, api: TwilioApi, public_url: str, hosts: frozenset[str] = frozenset()) -> None:
        self._api = api
        self._file = RecordingFile(api, hosts)
        self._status_url = f"{public_url}{STATUS_PATH}"

    async def close(self) -> None:
        await self._api.close()

    # --- while the call goes on ---

    async def begin(self, account_sid: str, call_sid: str) -> RecordingBegun | Refused | TryLater | Uncertain:
        if not ACCOUNT_SID.match(account_sid) or not CALL_SID.match(call_sid):
            return NO_SID
        url = f"{self._api.account(account_sid)}/Calls/{call_sid}/Recordings.json"
        under_way = await self._under_way(url)
        if not isinstance(under_way, str):
            return under_way
        return RecordingBegun(under_way) if under_way else await self._begin(url)

    async def _under_way(self, url: str) -> str | Refused | TryLater:
        """The sid of one that is; empty where there is none. Nothing was begun by asking."""
        answer = await self._api.ask("GET", url, params={"PageSize": "50"})
        if isinstance(answer, Uncertain):
            return TryLater(LATER_SECONDS, answer.reason)
        if isinstance(answer, TryLater):
            return answer
        told = document(answer)
        if not answer.is_success:
            unsure = later(answer, "does not tell of recordings")
            if unsure is None:
                return _refused(answer)
            return unsure if isinstance(unsure, TryLater) else TryLater(LATER_SECONDS, unsure.reason)
        listed = told.get("recordings")
        each = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        live = (sid_of(one) for one in each if one.get("status") in _LIVE)
        return next((sid for sid in live if sid is not None), "")

    async def _begin(self, url: str) -> RecordingBegun | Refused | TryLater | Uncertain:
        form = {
            "RecordingChannels": "dual",
            "RecordingTrack": "both",
            "RecordingStatusCallback": self._status_url,
            "RecordingStatusCallbackEvent": "in-progress completed absent",
            "RecordingStatusCallbackMethod": "POST",
        }
        answer = await self._api.ask("POST", url, data=form)
        if isinstance(answer, TryLater | Uncertain):
            return answer
        if answer.is_success:
            sid = sid_of(document(answer))
            return RecordingBegun(sid) if sid is not None else Uncertain("Twilio's answer names no recording")
        return later(answer, "begins no more recordings") or _refused(answer)

    async def change(self, account_sid: str, call_sid: str, recording_sid: str, to: RecordingChange) -> bool:
        if not ACCOUNT_SID.match(account_sid) or not CALL_SID.match(call_sid) or not RECORDING_SID.match(recording_sid):
            return False
        url = f"{self._api.account(account_sid)}/Calls/{call_sid}/Recordings/{recording_sid}.json"
        answer = await self._twice("POST", url, data=_CHANGES[to])
        if answer is None:
            return False
        over = to is RecordingChange.STOP and error_code(document(answer)) in ENDED_CODES
        return answer.is_success or over

    # --- when it is over ---

    async def details(self, account_sid: str, recording_sid: str) -> FileDetails | None:
        url = self._url(account_sid, recording_sid)
        answer = await self._twice("GET", f"{url}.json") if url is not None else None
        if answer is None or (not answer.is_success and answer.status_code != 404):
            return None
        return FileDetails("gone") if answer.status_code == 404 else _details(document(answer))

    async def fetch(self, account_sid: str, recording_sid: str, sink: Sink) -> Fetched | NotThere | NotFetched:
        url = self._url(account_sid, recording_sid)
        return await self._file.fetch(url, sink) if url is not None else NotFetched(NO_SID.reason)

    async def delete(self, account_sid: str, recording_sid: str) -> bool:
        url = self._url(account_sid, recording_sid)
        answer = await self._twice("DELETE", f"{url}.json") if url is not None else None
        return answer is not None and (answer.is_success or answer.status_code == 404)

    def _url(self, account_sid: str, recording_sid: str) -> str | None:
        if not ACCOUNT_SID.match(account_sid) or not RECORDING_SID.match(recording_sid):
            return None
        return f"{self._api.account(account_sid)}/Recordings/{recording_sid}"

    async def _twice(self, method: str, url: str, **given: Any) -> httpx2.Response | None:
        """Once more where the answer was lost; for what may be done twice. None: no answer at all."""
        for _ in range(_TRIES):
            answer = await self._api.ask(method, url, **given)
            if not isinstance(answer, TryLater | Uncertain) and answer.status_code < 500:
                return answer
        return None


def twilio_recordings(settings: Settings) -> TwilioRecordings | None:
    """The client that these settings are enough for; None without credentials."""
    known = credentials(settings)
    if known is None:
        return None
    api = TwilioApi(api_url(settings), *known)
    return TwilioRecordings(api, settings.public_url, settings.media_hosts)


def sid_of(told: dict[str, Any]) -> str | None:
    sid = told.get("sid")
    return sid if isinstance(sid, str) and RECORDING_SID.match(sid) else None


def _refused(answer: httpx2.Response) -> Refused:
    code = error_code(document(answer))
    return Refused(code, sentence(code, answer.status_code))


def _details(told: dict[str, Any]) -> FileDetails | None:
    state, call_sid = told.get("status"), told.get("call_sid")
    if not isinstance(state, str) or sid_of(told) is None:
        return None
    known = call_sid if isinstance(call_sid, str) and CALL_SID.match(call_sid) else None
    return FileDetails(state, known, _number(told.get("channels")), _number(told.get("duration")))


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
