"""Answers of Twilio's REST API: JSON with a status, and refusals with Twilio's error codes.

Codes marked as unverified were never seen of the live service: each is in this one place.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

BAD_REQUEST = 20001
"""For what has no code of its own: an unknown parameter, a value out of range. Unverified."""
AUTHENTICATE = 20003
NOT_FOUND = 20404
TOO_MANY_REQUESTS = 20429
SERVER_ERROR = 20500
NO_TO = 21201
INVALID_URL = 21205
INVALID_SEND_DIGITS = 21206
INVALID_TIMEOUT = 21208
INVALID_METHOD = 21209
FROM_NOT_OURS = 21210
INVALID_TO = 21211
INVALID_FROM = 21212
NO_FROM = 21213
INVALID_UPDATE = 21218
"""Of a Call resource. Unverified."""
WRONG_STATE = 21220
INVALID_WEBHOOK = 21402
INVALID_STATUS_CALLBACK = 21609
INVALID_STATUS_EVENT = 21626
"""Unverified."""
QUEUE_NAME_TAKEN = 22003
"""Unverified."""
STATUS_CODES = {401: AUTHENTICATE, 404: NOT_FOUND, 429: TOO_MANY_REQUESTS}


class Reply(NamedTuple):
    """One answer. `body` goes out as JSON, unless `content` is there to be sent as `content_type`."""

    status: int
    body: Mapping[str, object]
    content: bytes = b""
    content_type: str = "application/json"
    location: str = ""

    def written(self) -> bytes:
        """What follows the headers."""
        return self.content or (b"" if self.status == HTTPStatus.NO_CONTENT else json.dumps(self.body).encode())


class RefusedError(Exception):
    """Twilio would not do it. mistake: of the client's program; else it came too late, or too often."""

    def __init__(self, status: int, code: int, message: str, *, mistake: bool = True) -> None:
        super().__init__(f"{status} {code} {message}")
        self.reply = error(status, code, message)
        self.mistake = mistake


def error(status: int, code: int, message: str) -> Reply:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return Reply(status, {"code": code, "message": message, "more_info": more_info, "status": status})


def failure(status: int) -> Reply:
    """What a simulated fault of this HTTP status looks like."""
    return error(status, STATUS_CODES.get(status, SERVER_ERROR), "simulated")


def bad(code: int, message: str) -> RefusedError:
    return RefusedError(400, code, message)


def not_found(path: str) -> RefusedError:
    return RefusedError(404, NOT_FOUND, f"The requested resource {path} was not found")
