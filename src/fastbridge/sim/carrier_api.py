"""Twilio's REST API on a loopback socket, as far as we ask it: `POST …/Calls/{sid}.json` for a live call, and what
`fastbridge doctor` looks at, the account and its numbers, whose webhooks may be set.

Real HTTP, Basic authentication, Twilio's answers and error codes. Calls of a `SimulatedCaller` that is registered are
really ended or redirected. Faults come from a list, one a request. Sources: Twilio, "Update a
Call resource", "IncomingPhoneNumber resource".
"""

import asyncio
import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import parse_qs

import h11

API_VERSION = "2010-04-01"
_PATH = re.compile(rf"/{API_VERSION}/Accounts/(AC[0-9a-f]{{32}})/Calls/(CA[0-9a-f]{{32}})\.json")

_ACCOUNT = re.compile(rf"/{API_VERSION}/Accounts/(AC[0-9a-f]{{32}})\.json")
_NUMBERS = re.compile(
    rf"/{API_VERSION}/Accounts/(AC[0-9a-f]{{32}})/IncomingPhoneNumbers(?:/(PN[0-9a-f]{{32}}))?\.json(?:\?(.*))?"
)
_WEBHOOKS = {
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
    "VoiceApplicationSid": "voice_application_sid",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
}
"""What may be set of a number, and how it is called in answers."""

RESET = "reset"
Fault = int | float | str
"""What happens to a request: an HTTP status it is answered with, seconds (a float) before it is answered, or RESET."""


class Line(Protocol):
    """A call that can be changed."""

    @property
    def call_sid(self) -> str: ...
    def update(self, form: dict[str, str]) -> bool:
        """End it (`Status`) or give it other TwiML (`Twiml`). False if it is not in progress."""


@dataclass(frozen=True, slots=True)
class Update:
    """One authentic request."""

    account_sid: str
    call_sid: str
    form: dict[str, str]


class CarrierApi:
    """`async with CarrierApi(user, secret) as api`: `api.url` is what FASTBRIDGE_TWILIO_API_URL should be.

    faults: one for each request to come; after the last of them all goes well. `updates` is what was asked for, failed
    requests too; `errors` what Twilio would have refused. numbers: the account's, as Twilio's answers show them
    (`sid`, `phone_number`, `voice_url` …); what is set of them is set there.
    """

    def __init__(
        self, user: str, secret: str, *, faults: Sequence[Fault] = (), numbers: Sequence[dict[str, str]] = ()
    ) -> None:
        self.numbers = [dict(number) for number in numbers]
        self.updates: list[Update] = []
        self.errors: list[str] = []
        self._credentials = f"{user}:{secret}"
        self._faults = list(faults)
        self._lines: dict[str, Line] = {}
        self._server: asyncio.Server | None = None

    def register(self, line: Line) -> None:
        """A call that requests may change."""
        self._lines[line.call_sid] = line

    @property
    def url(self) -> str:
        """RuntimeError before it runs."""
        if self._server is None:
            raise RuntimeError("the API is not running")
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        try:
            request, body = await _read(reader)
            fault = self.next_fault()
            if fault == RESET:
                writer.transport.abort()
                return
            if isinstance(fault, float):
                await asyncio.sleep(fault)
            status, answer = self.answer(request, body, fault if isinstance(fault, int) else None)
            writer.write(_response(status, answer))
            await writer.drain()
        except (ConnectionError, h11.ProtocolError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            writer.close()

    def next_fault(self) -> Fault | None:
        return self._faults.pop(0) if self._faults else None

    def answer(self, request: h11.Request, body: bytes, fault: int | None) -> tuple[int, dict[str, object]]:
        """Status and body. fault: a status in place of the right one."""
        headers = {name.lower(): value for name, value in request.headers}
        if headers.get(b"authorization") != b"Basic " + base64.b64encode(self._credentials.encode()):
            return self._refuse(401, 20003, "Authenticate")
        target = request.target.decode("ascii", "replace")
        if (found := _NUMBERS.fullmatch(target)) is not None:
            if fault is not None:
                return fault, _error(fault, 20429 if fault == 429 else 20500, "simulated")
            return self._number(found[2], body) if found[2] else self._listed(found[3] or "")
        if request.method == b"GET" and (found := _ACCOUNT.fullmatch(target)) is not None:
            return 200, {"sid": found[1], "status": "active"}
        found = _PATH.fullmatch(target)
        if found is None or request.method != b"POST":
            return self._refuse(404, 20404, "The requested resource was not found")
        form = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        update = Update(found[1], found[2], form)
        self.updates.append(update)
        if fault is not None:
            return fault, _error(fault, 20429 if fault == 429 else 20500, "simulated")
        if form.keys() - {"Status", "Twiml"} or len(form) != 1 or form.get("Status", "completed") != "completed":
            return self._refuse(400, 21218, f"Invalid update: {sorted(form)}")
        line = self._lines.get(update.call_sid)
        if line is None or not line.update(form):
            return 404, _error(404, 20404, f"Call {update.call_sid} is not in progress")
        status = "completed" if "Status" in form else "in-progress"
        return 200, {"sid": update.call_sid, "account_sid": update.account_sid, "status": status}

    def _listed(self, query: str) -> tuple[int, dict[str, object]]:
        wanted = parse_qs(query).get("PhoneNumber")
        listed = [number for number in self.numbers if wanted is None or number["phone_number"] in wanted]
        return 200, {"incoming_phone_numbers": listed, "page_size": 50}

    def _number(self, sid: str, body: bytes) -> tuple[int, dict[str, object]]:
        number = next((number for number in self.numbers if number["sid"] == sid), None)
        form = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        if number is None:
            return self._refuse(404, 20404, "The requested resource was not found")
        for name, value in form.items():
            if name not in _WEBHOOKS or (name.endswith("Method") and value not in ("GET", "POST")):
                return self._refuse(400, 21402, f"Invalid {name}")
            if name in ("VoiceUrl", "StatusCallback") and not value.startswith(("http://", "https://")):
                return self._refuse(400, 21402, f"Invalid {name}")
        number |= {_WEBHOOKS[name]: value for name, value in form.items()}
        return 200, dict(number)

    def _refuse(self, status: int, code: int, message: str) -> tuple[int, dict[str, object]]:
        self.errors.append(f"{status} {code} {message}")
        return status, _error(status, code, message)


async def _read(reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    connection = h11.Connection(h11.SERVER)
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65_536)
            if not data:
                raise ConnectionResetError("the request was not finished")
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            break
    if request is None:
        raise ConnectionResetError("no request")
    return request, bytes(body)


def _response(status: int, answer: dict[str, object]) -> bytes:
    body = json.dumps(answer).encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return f"{head}\r\n\r\n".encode() + body


def _error(status: int, code: int, message: str) -> dict[str, object]:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": message, "more_info": more_info, "status": status}
