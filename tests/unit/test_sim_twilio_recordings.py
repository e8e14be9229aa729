"""Recordings: begun, paused, ended, told of, fetched and deleted."""

import asyncio
import io
import wave
from typing import Any

import httpx2
import pytest

from fastbridge.sim.callee import Callee
from fastbridge.sim.caller import SimulatedCaller
from twilio_rig import ACCOUNT, OURS, TALK, THEIRS, TOKEN, VirtualStage, stage, until

pytestmark = pytest.mark.usefixtures("virtual_loops")
RECORDED = {"Record": "true", "RecordingStatusCallback": "https://ours.example/recording"}


def talking(**options: Any) -> tuple[VirtualStage, str]:
    """A call that has just been answered."""
    form = options.pop("form", {})
    made = VirtualStage(callees={THEIRS: options.pop("callee", Callee())}, **options)
    sid = made.call(**form)
    made.advance(1.5)
    return made, sid


def started(made: VirtualStage, sid: str, **form: str) -> str:
    form = {"RecordingStatusCallback": f"{made.office.url}/recording", **form}
    status, body = made.ask("POST", f"/Calls/{sid}/Recordings.json", form)
    assert (status, body["status"], body["source"]) == (201, "in-progress", "StartCallRecordingAPI"), body
    return str(body["sid"])


def test_with_the_call() -> None:
    made, sid = talking(form=RECORDED, callee=Callee(hangs_up_after_seconds=20))
    with made:
        made.advance(30)
        (told,) = made.office.told("/recording")
        assert (told["RecordingStatus"], told["RecordingSource"], told["CallSid"]) == ("completed", "OutboundAPI", sid)
        assert (told["RecordingDuration"], told["RecordingChannels"]) == ("20", "1")
        last = made.office.told()[-1]
        assert (last["RecordingSid"], last["RecordingDuration"]) == (told["RecordingSid"], "20")
        assert last["RecordingUrl"] == told["RecordingUrl"]


def test_during_the_call() -> None:
    made, sid = talking()
    with made:
        recording = started(made, sid, RecordingChannels="dual", RecordingStatusCallbackEvent="in-progress completed")
        made.advance(10)
        made.ask("POST", f"/Calls/{sid}.json", {"Status": "completed"})
        made.advance(5)
        assert [told["RecordingStatus"] for told in made.office.told("/recording")] == ["in-progress", "completed"]
        shown = made.ask("GET", f"/Recordings/{recording}.json")[1]
        assert (shown["status"], shown["duration"], shown["channels"]) == ("completed", "10", 2)
        assert "RecordingSid" not in made.office.told()[-1]


def test_only_while_it_is_in_progress() -> None:
    with VirtualStage(callees={}) as made:
        sid = made.call()
        assert made.ask("POST", f"/Calls/{sid}/Recordings.json")[1]["code"] == 21220
        made.advance(2)
        made.ask("POST", f"/Calls/{sid}.json", {"Status": "completed"})
        made.advance(1)
        assert made.ask("POST", f"/Calls/{sid}/Recordings.json")[1]["code"] == 21220
        assert made.ask("POST", f"/Calls/CA{'f' * 32}/Recordings.json")[1]["code"] == 20404
        assert made.ask("POST", f"/Calls/{sid}/Recordings.json", {"Record": "true"})[1]["code"] == 20001


@pytest.mark.parametrize(
    ("pause", "duration"), [({"PauseBehavior": "skip"}, "7"), ({"PauseBehavior": "silence"}, "10"), ({}, "10")]
)
@pytest.mark.parametrize("current", [False, True])
def test_paused_and_taken_up_again(pause: dict[str, str], duration: str, current: bool) -> None:
    made, sid = talking()
    with made:
        recording = started(made, sid)
        path = f"/Calls/{sid}/Recordings/{'Twilio.CURRENT' if current else recording}.json"
        made.advance(5)
        assert made.ask("POST", path, {"Status": "paused", **pause})[1]["status"] == "paused"
        made.advance(3)
        assert made.ask("POST", path, {"Status": "in-progress"})[1]["status"] == "in-progress"
        made.advance(2)
        assert made.ask("POST", path, {"Status": "stopped"})[1]["status"] == "processing"
        made.advance(2)
        assert made.ask("GET", f"/Recordings/{recording}.json")[1]["duration"] == duration
        assert made.status(sid) == "in-progress"


@pytest.mark.parametrize(
    "form", [{}, {"Status": "completed"}, {"Status": "stopped", "PauseBehavior": "skip"}, {"X": "y"}]
)
def test_changes_that_there_are_not(form: dict[str, str]) -> None:
    made, sid = talking()
    with made:
        started(made, sid)
        assert made.ask("POST", f"/Calls/{sid}/Recordings/Twilio.CURRENT.json", form)[0] == 400


def test_nothing_to_be_changed() -> None:
    made, sid = talking()
    with made:
        assert made.ask("POST", f"/Calls/{sid}/Recordings/Twilio.CURRENT.json", {"Status": "paused"})[0] == 404
        recording = started(made, sid)
        path = f"/Calls/{sid}/Recordings/{recording}.json"
        assert made.ask("POST", f"/Calls/CA{'f' * 32}/Recordings/{recording}.json", {"Status": "paused"})[0] == 404
        assert made.ask("POST", path, {"Status": "stopped"})[0] == 200
        assert made.ask("POST", path, {"Status": "paused"})[1]["code"] == 21220
        assert made.ask("POST", f"/Calls/{sid}/Recordings/Twilio.CURRENT.json", {"Status": "paused"})[0] == 404


def test_one_that_is_too_short_is_absent() -> None:
    made, sid = talking(form=RECORDED | {"RecordingStatusCallbackEvent": "completed absent"})
    with made:
        made.ask("POST", f"/Calls/{sid}.json", {"Status": "completed"})
        made.advance(5)
        (told,) = made.office.told("/recording")
        assert (told["RecordingStatus"], told["ErrorCode"]) == ("absent", "16101")
        assert made.ask("GET", f"/Recordings/{told['RecordingSid']}.wav")[0] == 404


def finished(**options: Any) -> tuple[VirtualStage, str]:
    made, sid = talking(**options)
    recording = started(made, sid, RecordingChannels="dual")
    made.advance(5)
    made.ask("POST", f"/Calls/{sid}/Recordings/{recording}.json", {"Status": "stopped"})
    return made, recording


def test_the_file_is_there_after_a_while() -> None:
    made, recording = finished(recording_ready_seconds=4)
    with made:
        assert made.ask("GET", f"/Recordings/{recording}")[0] == 404
        made.advance(3.9)
        assert made.ask("GET", f"/Recordings/{recording}.wav")[0] == 404
        assert made.ask("GET", f"/Recordings/{recording}.json")[1]["status"] == "processing"
        made.advance(0.2)
        status, content = made.ask("GET", f"/Recordings/{recording}.wav")
        assert (status, content[:4]) == (200, b"RIFF")
        assert made.api.errors == [], "who asks too early makes no mistake"


def channels(content: bytes) -> int:
    with wave.open(io.BytesIO(content)) as file:
        assert file.getnframes() == 5 * 8000
        return file.getnchannels()


def test_in_one_channel_or_two_where_there_are_two() -> None:
    made, recording = finished()
    with made:
        made.advance(2)
        assert channels(made.ask("GET", f"/Recordings/{recording}")[1]) == 1
        assert channels(made.ask("GET", f"/Recordings/{recording}.wav", RequestedChannels="2")[1]) == 2
        assert made.ask("GET", f"/Recordings/{recording}.mp3")[1].startswith(b"\xff\xe3")
        assert made.ask("GET", f"/Recordings/{recording}.wav", RequestedChannels="3")[0] == 400
    made, _ = talking(form=RECORDED, callee=Callee(hangs_up_after_seconds=5))
    with made:
        made.advance(10)
        mono = made.office.told("/recording")[0]["RecordingSid"]
        assert made.ask("GET", f"/Recordings/{mono}.wav", RequestedChannels="2")[0] == 400
        assert channels(made.ask("GET", f"/Recordings/{mono}.wav", RequestedChannels="1")[1]) == 1


def test_until_it_is_deleted() -> None:
    made, recording = finished()
    with made:
        made.advance(2)
        assert made.ask("DELETE", f"/Recordings/{recording}.json")[0] == 204
        assert made.ask("GET", f"/Recordings/{recording}.json")[0] == 404
        assert made.ask("GET", f"/Recordings/{recording}.wav")[0] == 404
    made, sid = talking()
    with made:
        assert made.ask("DELETE", f"/Recordings/{started(made, sid)}.json")[0] == 400


def test_which_there_are() -> None:
    made, sid = talking()
    with made:
        first = started(made, sid)
        second = started(made, sid)
        for path in (f"/Calls/{sid}/Recordings.json", "/Recordings.json"):
            assert [each["sid"] for each in made.ask("GET", path)[1]["recordings"]] == [second, first]
        assert made.ask("GET", "/Recordings.json", CallSid="CA1")[1]["recordings"] == []
        assert made.ask("GET", f"/Calls/{sid}/Recordings/{first}.json")[1]["sid"] == first


def test_of_a_call_that_a_test_registered() -> None:
    with VirtualStage({"/webhook/incoming_call": TALK}) as made:
        caller = SimulatedCaller("https://ours.example", [], account_sid=ACCOUNT, auth_token=TOKEN)
        made.api.register(caller)
        recording = started(made, caller.call_sid)
        made.advance(3)
        made.loop.do(caller.at_end)
        made.advance(2)
        assert made.ask("GET", f"/Recordings/{recording}.json")[1]["duration"] == "3"
        assert made.status(caller.call_sid) == "completed"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_credentials_are_needed_here_and_must_not_get_elsewhere(elsewhere: bool) -> None:
    async def run() -> None:
        callee = Callee(rings_seconds=0, hangs_up_after_seconds=1.1)
        options = {"recording_ready_seconds": 0.0, "recordings_elsewhere": elsewhere}
        async with stage(callees={THEIRS: callee}, **options) as (api, office, client):
            await asyncio.to_thread(
                client.calls.create,
                to=THEIRS,
                from_=OURS,
                twiml=TALK,
                record=True,
                recording_channels="dual",
                recording_status_callback=f"{office.url}/recording",
                recording_status_callback_event=["completed", "absent"],
            )
            await until(lambda: office.told("/recording"))
            (told,) = office.told("/recording")
            recording = await asyncio.to_thread(client.recordings(told["RecordingSid"]).fetch)
            assert (recording.status, recording.duration, recording.channels) == ("completed", "1", 2)
            url = f"{told['RecordingUrl']}?RequestedChannels=2"
            async with httpx2.AsyncClient(follow_redirects=True) as http:
                assert (await http.get(url)).status_code == 401
                file = await http.get(url, auth=(ACCOUNT, TOKEN))
            assert (file.status_code, file.headers["content-type"], file.content[:4]) == (200, "audio/x-wav", b"RIFF")
            assert (file.url.host == "localhost") is elsewhere
            assert api.errors == ["401 20003 Authenticate"]
            if elsewhere:
                async with httpx2.AsyncClient() as http:
                    there = (await http.get(url, auth=(ACCOUNT, TOKEN))).headers["location"]
                    assert (await http.get(there, auth=(ACCOUNT, TOKEN))).status_code == 400
                assert "Credentials were sent to another host" in api.errors[-1]
            assert await asyncio.to_thread(client.recordings(told["RecordingSid"]).delete)

    asyncio.run(run())


def test_one_of_a_call_that_is_over_becomes_the_file_that_was_given() -> None:
    made, sid = talking()
    with made:
        callback = f"{made.office.url}/recording"
        placed = made.loop.do(lambda: made.api.record(sid, b"RIFF", seconds=7, callback=callback))
        assert made.ask("GET", f"/Recordings/{placed}.wav")[0] == 404
        made.advance(2)
        (told,) = made.office.told("/recording")
        assert (told["RecordingSid"], told["RecordingDuration"], told["CallSid"]) == (placed, "7", sid)
        assert made.ask("GET", f"/Recordings/{placed}.json")[1]["status"] == "completed"
