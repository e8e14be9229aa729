"""The Recordings of an account: begun with a call or during it, paused, ended, told of, fetched and deleted.

Source: Twilio, "Recordings resource", "Call Recordings subresource".
"""

import asyncio
from collections.abc import Callable, Mapping

from fastbridge.sim.caller import SimulatedCaller
from fastbridge.sim.recorded import cut, mp3, wav
from fastbridge.sim.twilio_call import ANSWERED, Call
from fastbridge.sim.twilio_calls import DIALLING, Calls
from fastbridge.sim.twilio_form import check, is_true, one_of
from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_leg import Leg
from fastbridge.sim.twilio_page import filters, page
from fastbridge.sim.twilio_recording import Recording
from fastbridge.sim.twilio_reply import BAD_REQUEST, WRONG_STATE, RefusedError, Reply, bad, not_found
from fastbridge.sim.twilio_services import Services

CURRENT = "Twilio.CURRENT"
CREATE = {
    name: rule
    for name, rule in DIALLING.items()
    if name == "Trim" or (name.startswith("Recording") and name != "Recording")
}
UPDATE = {"Status": one_of("paused", "in-progress", "stopped"), "PauseBehavior": one_of("skip", "silence")}
MEDIA = "/recorded-media/"
"""Where the file is, if the API only redirects to it; not under the account, and without credentials."""


class Recordings:
    """ready_seconds: from the end of a recording until its file is there. elsewhere: files are on another host, and
    the API redirects there. base_url(): the API's own."""

    def __init__(
        self, calls: Calls, services: Services, ready_seconds: float, base_url: Callable[[], str], *, elsewhere: bool
    ) -> None:
        self._calls = calls
        self._services = services
        self._ready_seconds = ready_seconds
        self._base_url = base_url
        self._elsewhere = elsewhere
        self._recordings: dict[str, Recording] = {}
        self._files: dict[str, bytes] = {}

    def place(self, call: Call, file: bytes, seconds: float, callback: str) -> str:
        """The sid of one of a call that is over, which becomes this file, and is then told of at `callback`."""
        fields = {"RecordingChannels": "dual", **({"RecordingStatusCallback": callback} if callback else {})}
        began = _now_ms() - seconds * 1000
        recording = Recording(call, fields, "StartCallRecordingAPI", self._services.now() - seconds, began)
        self._recordings[recording.sid] = recording
        self._files[recording.sid] = file
        self._stop(recording)
        return recording.sid

    # The calls that are placed

    def answered(self, call: Call, fields: Mapping[str, str]) -> None:
        if is_true(fields, "Record"):
            self._start(call, fields, "OutboundAPI")

    def ended(self, call: Call) -> Mapping[str, str]:
        """For the last callback of a call that was recorded from its beginning."""
        told: dict[str, str] = {}
        for recording in self._of(call.sid):
            if recording.live:
                self._stop(recording)
            if recording.source == "OutboundAPI":
                url = f"{self._base_url()}{recording.path}"
                told = {"RecordingSid": recording.sid, "RecordingUrl": url}
                told["RecordingDuration"] = str(round(recording.seconds))
        return told

    # Requests

    def create(self, request: Request, account_sid: str, call_sid: str) -> Reply:
        call = self._calls.find(account_sid, call_sid, request.path)
        fields = check(request.form, CREATE)
        if call.state != ANSWERED:
            raise RefusedError(400, WRONG_STATE, "Requested resource is not eligible for recording", mistake=False)
        recording = self._start(call, fields, "StartCallRecordingAPI")
        return Reply(201, recording.view(self._base_url()))

    def update(self, request: Request, account_sid: str, call_sid: str, sid: str) -> Reply:
        recording = self._current(request, call_sid) if sid == CURRENT else self._find(request, account_sid, sid)
        fields = check(request.form, UPDATE)
        if "Status" not in fields or ("PauseBehavior" in fields and fields["Status"] != "paused"):
            raise bad(BAD_REQUEST, f"Invalid update: {sorted(fields)}")
        if recording.call.sid != call_sid:
            raise not_found(request.path)
        if fields["Status"] != recording.state:
            self._move(recording, fields)
        return Reply(200, recording.view(self._base_url()))

    def fetch(self, request: Request, account_sid: str, sid: str) -> Reply:
        return Reply(200, self._find(request, account_sid, sid).view(self._base_url()))

    def fetch_of_call(self, request: Request, account_sid: str, call_sid: str, sid: str) -> Reply:
        return self.fetch(request, account_sid, sid)

    def listed(self, request: Request, account_sid: str) -> Reply:
        wanted = filters(request, {"CallSid"}).get("CallSid")
        return self._page(request, [each for each in self._recordings.values() if wanted in (None, each.call.sid)])

    def listed_of_call(self, request: Request, account_sid: str, call_sid: str) -> Reply:
        self._calls.find(account_sid, call_sid, request.path)
        return self._page(request, self._of(call_sid))

    def delete(self, request: Request, account_sid: str, sid: str) -> Reply:
        recording = self._find(request, account_sid, sid)
        if recording.live:
            raise bad(WRONG_STATE, f"Recording {sid} is in progress")
        del self._recordings[sid]
        return Reply(204, {})

    def media(self, request: Request, account_sid: str, sid: str, suffix: str) -> Reply:
        """The file, or the way to it."""
        recording = self._find(request, account_sid, sid)
        if recording.state != "completed":
            raise RefusedError(404, 20404, f"The requested resource {request.path} was not found", mistake=False)
        channels = request.query.get("RequestedChannels", ["1"])[-1]
        if channels not in ("1", "2") or int(channels) > recording.channels:
            raise RefusedError(400, BAD_REQUEST, f"RequestedChannels {channels[:9]} is not available", mistake=False)
        name = f"{sid}{suffix or '.wav'}"
        if self._elsewhere:
            host = self._base_url().replace("127.0.0.1", "localhost")
            return Reply(307, {}, location=f"{host}{MEDIA}{name}?channels={channels}")
        return self._file(recording, name, int(channels))

    def stored(self, request: Request, name: str) -> Reply:
        """The file, at the other host. Credentials must not get there."""
        recording = self._recordings.get(name.partition(".")[0])
        if recording is None:
            raise not_found(request.path)
        if "authorization" in request.headers:
            raise bad(BAD_REQUEST, "Credentials were sent to another host than the API's")
        return self._file(recording, name, int(request.query.get("channels", ["1"])[-1]))

    # The recordings themselves

    def _start(self, call: Call, fields: Mapping[str, str], source: str) -> Recording:
        recording = Recording(call, fields, source, self._services.now(), _now_ms())
        self._recordings[recording.sid] = recording
        self._tell(recording)
        return recording

    def _move(self, recording: Recording, fields: Mapping[str, str]) -> None:
        if not recording.live:
            raise RefusedError(400, WRONG_STATE, f"Recording {recording.sid} is over", mistake=False)
        if fields["Status"] == "stopped":
            self._stop(recording)
        else:
            recording.move(fields["Status"], _now_ms(), silent=fields.get("PauseBehavior", "silence") == "silence")

    def _stop(self, recording: Recording) -> None:
        recording.move("stopped", _now_ms())
        self._services.start(self._finish(recording))

    async def _finish(self, recording: Recording) -> None:
        await asyncio.sleep(self._ready_seconds)
        recording.finish(_now_ms())
        self._tell(recording)

    def _tell(self, recording: Recording) -> None:
        url = recording.fields.get("RecordingStatusCallback")
        if url is not None and recording.state in recording.events:
            method = recording.fields.get("RecordingStatusCallbackMethod", "POST")
            self._services.callbacks.send(recording.sid, url, method, recording.told(self._base_url()))

    def _file(self, recording: Recording, name: str, channels: int) -> Reply:
        if recording.sid in self._files:
            return Reply(200, {}, self._files[recording.sid], "audio/x-wav")
        if name.endswith(".mp3"):
            return Reply(200, {}, mp3(recording.seconds), "audio/mpeg")
        said, heard, start_ms = self._sound(recording.call.sid)
        wanted = {"inbound": [said], "outbound": [heard]}.get(recording.track, [said, heard])
        tracks = [cut(track, start_ms, recording.spans) for track in wanted]
        return Reply(200, {}, wav(tracks, mixed=channels == 1 or len(tracks) == 1), "audio/x-wav")

    def _sound(self, call_sid: str) -> tuple[bytes, bytes, float]:
        """What the person at the telephone said and heard, and since when on the loop's clock."""
        line = self._calls.line(call_sid)
        phone = line.phone if isinstance(line, Leg) else line
        if not isinstance(phone, SimulatedCaller) or phone.carrier is None:
            return b"", b"", 0.0
        return bytes(phone.carrier.said), bytes(phone.carrier.heard), phone.carrier.start_ms

    def _find(self, request: Request, account_sid: str, sid: str) -> Recording:
        recording = self._recordings.get(sid)
        if recording is None or recording.call.account_sid not in ("", account_sid):
            raise not_found(request.path)
        return recording

    def _current(self, request: Request, call_sid: str) -> Recording:
        """The one recording of a call that goes on."""
        live = [recording for recording in self._of(call_sid) if recording.live]
        if not live:
            raise not_found(request.path)
        return live[-1]

    def _of(self, call_sid: str) -> list[Recording]:
        return [recording for recording in self._recordings.values() if recording.call.sid == call_sid]

    def _page(self, request: Request, recordings: list[Recording]) -> Reply:
        return page(request, "recordings", [recording.view(self._base_url()) for recording in recordings[::-1]])


def _now_ms() -> float:
    return asyncio.get_running_loop().time() * 1000
