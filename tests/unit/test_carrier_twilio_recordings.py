"""carrier.twilio.recordings: never two, no address that is none, and nothing raises."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from fastbridge.carrier.port import (
    Fetched,
    FileDetails,
    NotFetched,
    RecordingBegun,
    RecordingChange,
    Refused,
    TryLater,
    Uncertain,
)
from fastbridge.carrier.twilio.api import TwilioApi
from fastbridge.carrier.twilio.error_codes import SENTENCES
from fastbridge.carrier.twilio.recordings import TwilioRecordings, twilio_recordings
from fastbridge.config import Settings
from recording_rig import ACCOUNT, CALL, SID, Pieces, sid, wav
from unit.test_carrier_twilio_calls_out import Api as CallsApi

BASE = f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}"
NONE: tuple[int, Any] = (200, {"recordings": []})
BROKEN = [
    "",
    "RE",
    "RE" + "3" * 31,
    "RE" + "3" * 33,
    f"../{SID}",
    SID.lower(),
    SID + "\n",
    f"{SID}/../x",
    "RE%2e%2e",
    "é",
]


class Api(CallsApi):
    """The same, for recordings."""

    def run(self, step: Callable[[Any], Any]) -> Any:
        async def live() -> Any:
            http = httpx2.AsyncClient(transport=httpx2.MockTransport(self))
            recordings = TwilioRecordings(
                TwilioApi("https://api.twilio.com", "SK1", "s", http), "https://v.example.com"
            )
            try:
                return await step(recordings)
            finally:
                await recordings.close()

        return asyncio.run(live())

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.asked]


class Files(Api):
    """Has one."""

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return httpx2.Response(200, stream=Pieces(wav()))


def begin(api: Api) -> Any:
    return api.run(lambda recordings: recordings.begin(ACCOUNT, CALL))


class TestBegin:
    def test_asks_for_both_sides_and_to_be_told(self) -> None:
        api = Api(NONE, (201, {"sid": SID, "status": "in-progress"}))
        assert begin(api) == RecordingBegun(SID)
        look, post = api.asked
        assert (look.method, str(look.url)) == ("GET", f"{BASE}/Calls/{CALL}/Recordings.json?PageSize=50")
        assert (post.method, str(post.url)) == ("POST", f"{BASE}/Calls/{CALL}/Recordings.json")
        assert parse_qs(post.content.decode()) == {
            "RecordingChannels": ["dual"],
            "RecordingTrack": ["both"],
            "RecordingStatusCallback": ["https://v.example.com/webhook/recording_status"],
            "RecordingStatusCallbackEvent": ["in-progress completed absent"],
            "RecordingStatusCallbackMethod": ["POST"],
        }

    @pytest.mark.parametrize("status", ["in-progress", "paused"])
    def test_one_that_is_under_way_is_the_one(self, status: str) -> None:
        over = {"sid": sid(1), "status": "completed"}
        api = Api((200, {"recordings": [over, None, {"sid": SID, "status": status}]}))
        assert begin(api) == RecordingBegun(SID)
        assert api.methods == ["GET"]

    def test_one_that_is_over_is_none(self) -> None:
        api = Api((200, {"recordings": [{"sid": sid(1), "status": "stopped"}]}), (201, {"sid": SID}))
        assert begin(api) == RecordingBegun(SID)

    @pytest.mark.parametrize(
        "look", [httpx2.ReadTimeout("x"), httpx2.ConnectError("x"), (500, {}), (429, {}), (503, {})]
    )
    def test_where_it_cannot_be_looked_none_is_begun(self, look: Any) -> None:
        api = Api(look)
        assert isinstance(begin(api), TryLater)
        assert "POST" not in api.methods

    def test_a_lost_answer_is_uncertain_and_not_asked_again(self) -> None:
        api = Api(NONE, httpx2.ReadTimeout("x"))
        assert isinstance(begin(api), Uncertain)
        assert api.methods == ["GET", "POST"]
        assert isinstance(begin(Api(NONE, (500, {}))), Uncertain)
        assert isinstance(begin(Api(NONE, (201, {"sid": "RE1"}))), Uncertain)

    def test_a_refusal_is_a_sentence(self) -> None:
        assert begin(Api(NONE, (400, {"code": 21220}))) == Refused(21220, SENTENCES[21220])
        assert begin(Api((401, {"code": 20003}))) == Refused(20003, SENTENCES[20003])
        assert isinstance(begin(Api(NONE, (429, {}))), TryLater)

    @pytest.mark.parametrize("given", ["", "AC1", f"../{ACCOUNT}", ACCOUNT + "/"])
    def test_of_what_is_no_sid_nothing_is_asked(self, given: str) -> None:
        api = Api(NONE)
        assert isinstance(api.run(lambda recordings: recordings.begin(given, CALL)), Refused)
        assert isinstance(api.run(lambda recordings: recordings.begin(ACCOUNT, given)), Refused)
        assert api.asked == []


class TestChange:
    @pytest.mark.parametrize(
        ("to", "form"),
        [
            (RecordingChange.PAUSE, {"Status": ["paused"], "PauseBehavior": ["silence"]}),
            (RecordingChange.RESUME, {"Status": ["in-progress"]}),
            (RecordingChange.STOP, {"Status": ["stopped"]}),
        ],
    )
    def test_asks_for_it(self, to: RecordingChange, form: dict[str, list[str]]) -> None:
        api = Api((200, {"sid": SID}))
        assert api.run(lambda recordings: recordings.change(ACCOUNT, CALL, SID, to)) is True
        assert str(api.asked[0].url) == f"{BASE}/Calls/{CALL}/Recordings/{SID}.json"
        assert api.form() == form

    def test_a_lost_answer_is_asked_for_again_since_it_does_no_harm(self) -> None:
        api = Api(httpx2.ReadTimeout("x"), (200, {}))
        assert api.run(lambda recordings: recordings.change(ACCOUNT, CALL, SID, RecordingChange.PAUSE)) is True
        assert len(api.asked) == 2

    @pytest.mark.parametrize(("to", "well"), [(RecordingChange.STOP, True), (RecordingChange.PAUSE, False)])
    def test_one_that_is_over_is_stopped_and_not_paused(self, to: RecordingChange, well: bool) -> None:
        api = Api((404, {"code": 20404}))
        assert api.run(lambda recordings: recordings.change(ACCOUNT, CALL, SID, to)) is well

    @pytest.mark.parametrize("answer", [(500, {}), (401, {}), httpx2.ConnectError("x")])
    def test_what_is_not_done_is_said(self, answer: Any) -> None:
        api = Api(answer)
        assert api.run(lambda recordings: recordings.change(ACCOUNT, CALL, SID, RecordingChange.RESUME)) is False

    @pytest.mark.parametrize("given", BROKEN)
    def test_of_what_is_no_sid_nothing_is_asked(self, given: str) -> None:
        api = Api((200, {}))
        assert api.run(lambda recordings: recordings.change(ACCOUNT, CALL, given, RecordingChange.STOP)) is False
        assert api.asked == []


class TestAfter:
    def test_details(self) -> None:
        told = {"sid": SID, "status": "completed", "call_sid": CALL, "channels": 2, "duration": "17"}
        api = Api((200, told))
        assert api.run(lambda recordings: recordings.details(ACCOUNT, SID)) == FileDetails("completed", CALL, 2, 17)
        assert str(api.asked[0].url) == f"{BASE}/Recordings/{SID}.json"

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            ((404, {}), FileDetails("gone")),
            ((200, {}), None),
            ((200, {"sid": SID, "status": 7}), None),
            ((500, {}), None),
            ((200, {"sid": SID, "status": "processing", "call_sid": "x", "duration": "-1"}), FileDetails("processing")),
        ],
    )
    def test_details_that_are_none(self, answer: Any, found: FileDetails | None) -> None:
        assert Api(answer).run(lambda recordings: recordings.details(ACCOUNT, SID)) == found

    @pytest.mark.parametrize(("status", "done"), [(204, True), (404, True), (400, False), (401, False), (500, False)])
    def test_delete(self, status: int, done: bool) -> None:
        api = Api((status, {}))
        assert api.run(lambda recordings: recordings.delete(ACCOUNT, SID)) is done
        assert set(api.methods) == {"DELETE"}

    def test_fetch(self) -> None:
        sink = bytearray()
        api = Files()
        assert api.run(lambda recordings: recordings.fetch(ACCOUNT, SID, sink.extend)) == Fetched(len(wav()), 2)
        assert bytes(sink) == wav()
        assert str(api.asked[0].url) == f"{BASE}/Recordings/{SID}.wav?RequestedChannels=2"

    @pytest.mark.parametrize("given", BROKEN)
    def test_of_what_is_no_sid_nothing_is_asked(self, given: str) -> None:
        api = Api((200, {}))

        async def all_three(recordings: TwilioRecordings) -> list[Any]:
            fetched = await recordings.fetch(ACCOUNT, given, bytearray().extend)
            return [await recordings.details(ACCOUNT, given), await recordings.delete(ACCOUNT, given), fetched]

        details, deleted, fetched = api.run(all_three)
        assert (details, deleted, type(fetched)) == (None, False, NotFetched)
        assert api.run(lambda recordings: recordings.delete(f"{ACCOUNT}/..", SID)) is False
        assert api.asked == []


def test_credentials_make_a_client() -> None:
    assert twilio_recordings(Settings(_env_file=None)) is None
    made = twilio_recordings(Settings(twilio_account_sid=ACCOUNT, twilio_auth_token="t" * 32, _env_file=None))
    assert made is not None
    asyncio.run(made.close())
