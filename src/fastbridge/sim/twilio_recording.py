"""One Recording resource: its states, the times that were recorded, and how Twilio shows it.

A pure record. Moments are seconds since the epoch, times in milliseconds are the loop's.
"""

from collections.abc import Mapping

from fastbridge.sim.recorded import Span
from fastbridge.sim.twilio_call import API_VERSION, Call, rfc2822, sid

SHORTEST_SECONDS = 1.0
"""What is shorter is absent: Twilio's 16101. The limit is unverified."""
TOO_SHORT = "16101"
STATES: dict[str, set[str]] = {
    "in-progress": {"paused", "stopped"},
    "paused": {"in-progress", "stopped"},
    "stopped": {"completed", "absent"},
    **{state: set() for state in ("completed", "absent")},
}
"""What may follow each state. `stopped` is shown as `processing`, as Twilio does until the file is there."""


class Recording:
    """now: when it began; now_ms: the same on the loop's clock. fields: of the request that asked for it."""

    def __init__(self, call: Call, fields: Mapping[str, str], source: str, now: float, now_ms: float) -> None:
        self.sid = sid("RE")
        self.call = call
        self.state = "in-progress"
        self.channels = 2 if fields.get("RecordingChannels") == "dual" else 1
        self.track = fields.get("RecordingTrack", "both")
        self.source = source
        self.started = now
        self.fields = dict(fields)
        self._spans: list[Span] = []
        self._since_ms = now_ms
        self._silent = False

    @property
    def events(self) -> list[str]:
        """What its callback is told of."""
        return self.fields.get("RecordingStatusCallbackEvent", "completed").split()

    @property
    def live(self) -> bool:
        return self.state in ("in-progress", "paused")

    @property
    def spans(self) -> list[Span]:
        return list(self._spans)

    @property
    def seconds(self) -> float:
        return sum(span.until_ms - span.from_ms for span in self._spans) / 1000

    def move(self, state: str, now_ms: float, *, silent: bool = False) -> None:
        """silent: of a pause whose length is kept. ValueError for a way that there is not."""
        if state not in STATES[self.state]:
            raise ValueError(f"a recording that is {self.state} does not become {state}")
        if self.state == "in-progress" or (self.state == "paused" and self._silent):
            self._spans.append(Span(self._since_ms, now_ms, self.state == "paused"))
        self.state, self._since_ms, self._silent = state, now_ms, silent

    def finish(self, now_ms: float) -> str:
        """The file is there, or there is none."""
        self.move("completed" if self.seconds >= SHORTEST_SECONDS else "absent", now_ms)
        return self.state

    @property
    def path(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.call.account_sid}/Recordings/{self.sid}"

    def view(self, base_url: str) -> dict[str, object]:
        """The resource."""
        done = self.state == "completed"
        return {
            "sid": self.sid,
            "account_sid": self.call.account_sid,
            "call_sid": self.call.sid,
            "conference_sid": None,
            "status": "processing" if self.state == "stopped" else self.state,
            "channels": self.channels,
            "track": self.track,
            "source": self.source,
            "duration": str(round(self.seconds)) if done else "-1",
            "start_time": rfc2822(self.started),
            "date_created": rfc2822(self.started),
            "date_updated": rfc2822(self.started),
            "price": None,
            "price_unit": "USD",
            "error_code": int(TOO_SHORT) if self.state == "absent" else None,
            "api_version": API_VERSION,
            "encryption_details": None,
            "media_url": f"{base_url}{self.path}",
            "uri": f"{self.path}.json",
            "subresource_uris": {},
        }

    def told(self, base_url: str) -> dict[str, str]:
        """Of its callback."""
        told = {
            "AccountSid": self.call.account_sid,
            "CallSid": self.call.sid,
            "RecordingSid": self.sid,
            "RecordingUrl": f"{base_url}{self.path}",
            "RecordingStatus": self.state,
            "RecordingChannels": str(self.channels),
            "RecordingStartTime": rfc2822(self.started) or "",
            "RecordingSource": self.source,
            "RecordingTrack": self.track,
        }
        if self.state == "completed":
            told["RecordingDuration"] = str(round(self.seconds))
        return told | ({"ErrorCode": TOO_SHORT} if self.state == "absent" else {})
