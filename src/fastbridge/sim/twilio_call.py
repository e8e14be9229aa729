"""One Call resource: its states, and how Twilio's answers and callbacks show it.

A pure record: whoever plays the call moves it on. Times are seconds since the epoch.
"""

import math
import secrets
from email.utils import formatdate
from typing import Final

API_VERSION = "2010-04-01"
ANSWERED: Final = "in-progress"
STATES: dict[str, set[str]] = {
    "queued": {"initiated", "canceled", "failed"},
    "initiated": {"ringing", "busy", "no-answer", "failed", "canceled"},
    "ringing": {ANSWERED, "busy", "no-answer", "failed", "canceled"},
    ANSWERED: {"completed", "failed"},
    **{state: set() for state in ("completed", "busy", "no-answer", "failed", "canceled")},
}
"""What may follow each state. `initiated` is a callback's word: the resource says `queued` until it rings."""
TERMINAL = frozenset(state for state, then in STATES.items() if not then)


def sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def rfc2822(moment: float | None) -> str | None:
    return None if moment is None else formatdate(moment).replace("-0000", "+0000")


class Call:
    """One call, from `queued` on. parent: the sid of the call that dialled it. call_sid: if it has one already."""

    def __init__(
        self,
        account_sid: str,
        from_number: str,
        to_number: str,
        now: float,
        *,
        direction: str = "outbound-api",
        parent: str | None = None,
        call_sid: str = "",
    ) -> None:
        self.sid = call_sid or sid("CA")
        self.account_sid = account_sid
        self.from_number = from_number
        self.to_number = to_number
        self.direction = direction
        self.parent = parent
        self.state = "queued"
        self.created = now
        self.updated = now
        self.started: float | None = None
        self.answered: float | None = None
        self.ended: float | None = None
        self.answered_by: str | None = None
        self.recording_sids: list[str] = []

    @property
    def over(self) -> bool:
        return self.state in TERMINAL

    @property
    def status(self) -> str:
        """As the resource has it."""
        return "queued" if self.state == "initiated" else self.state

    @property
    def seconds(self) -> int:
        """Billed: from the answer, begun seconds are whole ones."""
        if self.answered is None or self.ended is None:
            return 0
        return math.ceil(self.ended - self.answered)

    def move(self, state: str, now: float) -> None:
        """ValueError for a way that there is not."""
        if state not in STATES[self.state]:
            raise ValueError(f"a call that is {self.state} does not become {state}")
        self.state = state
        self.updated = now
        if state == "initiated":
            self.started = now
        elif state == ANSWERED:
            self.answered = now
        elif state in TERMINAL:
            self.ended = now

    def view(self) -> dict[str, object]:
        """The resource."""
        path = f"/{API_VERSION}/Accounts/{self.account_sid}/Calls/{self.sid}"
        ended = self.state == "completed"
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "parent_call_sid": self.parent,
            "status": self.status,
            "direction": self.direction,
            "from": self.from_number,
            "from_formatted": self.from_number,
            "to": self.to_number,
            "to_formatted": self.to_number,
            "phone_number_sid": None,
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "start_time": rfc2822(self.started),
            "end_time": rfc2822(self.ended),
            "duration": str(self.seconds) if ended else None,
            "price": None,
            "price_unit": "USD",
            "answered_by": self.answered_by,
            "annotation": None,
            "api_version": API_VERSION,
            "caller_name": None,
            "forwarded_from": None,
            "group_sid": None,
            "queue_time": "0",
            "trunk_sid": None,
            "uri": f"{path}.json",
            "subresource_uris": {
                "recordings": f"{path}/Recordings.json",
                "notifications": f"{path}/Notifications.json",
            },
        }

    def parameters(self) -> dict[str, str]:
        """What every webhook about this call says."""
        return {
            "CallSid": self.sid,
            "AccountSid": self.account_sid,
            "From": self.from_number,
            "To": self.to_number,
            "Caller": self.from_number,
            "Called": self.to_number,
            "Direction": self.direction,
            "ApiVersion": API_VERSION,
            **({"ParentCallSid": self.parent} if self.parent else {}),
        }
