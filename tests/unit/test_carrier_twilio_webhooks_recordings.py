"""carrier.twilio.webhooks: what Twilio tells of a recording is kept before it is answered."""

import pytest

from fastbridge.carrier.port import RecordingTold
from front_desk import ACCOUNT, CALL, FORM, exchange, get, make_node, post
from recording_rig import SID

PATH = "/webhook/recording_status"
TOLD = {
    "AccountSid": ACCOUNT,
    "CallSid": CALL,
    "RecordingSid": SID,
    "RecordingUrl": "http://169.254.169.254/latest/meta-data",
    "RecordingStatus": "completed",
    "RecordingDuration": "17",
    "RecordingChannels": "2",
}


@pytest.fixture
def node():
    return make_node()


@pytest.mark.parametrize("status", ["completed", "absent", "in-progress", "failed"])
def test_is_passed_on_without_its_url(node, status):
    answer = post(node, PATH, {**TOLD, "RecordingStatus": status})
    assert (answer.status, answer.body) == (204, b"")
    assert node.recordings == [RecordingTold(ACCOUNT, CALL, SID, status, 2, 17)]


def test_what_could_not_be_kept_is_asked_for_again(node):
    node.keeps = False
    answer = post(node, PATH, TOLD)
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


def test_a_bug_of_ours_is_asked_for_again_too(node, caplog):
    async def breaks(told):
        raise KeyError("x")

    node.on_recording_status = breaks
    assert post(node, PATH, TOLD).status == 503
    assert "Traceback" not in str(post(node, PATH, TOLD).body)


@pytest.mark.parametrize(
    "changed",
    [
        {"RecordingSid": ""},
        {"RecordingSid": "RE1"},
        {"RecordingSid": f"../{SID}"},
        {"RecordingSid": SID + "\n"},
        {"RecordingStatus": "broken"},
        {"RecordingStatus": ""},
    ],
)
def test_what_is_no_recordings_is_nobodys(node, changed):
    assert post(node, PATH, TOLD | changed).status == 204
    assert node.recordings == []


@pytest.mark.parametrize("number", ["", "-1", "٣", "9" * 30, "x", "1.5"])
def test_a_number_that_is_none_is_left_out(node, number):
    post(node, PATH, TOLD | {"RecordingDuration": number, "RecordingChannels": number})
    assert node.recordings == [RecordingTold(ACCOUNT, CALL, SID, "completed", None, None)]


def test_only_twilio_is_heard_and_by_post_alone(node):
    assert post(node, PATH, TOLD, headers={"X-Twilio-Signature": "x"}).status == 403
    assert exchange(node, "POST", PATH, headers={"Content-Type": FORM}).status == 403
    assert get(node, PATH, TOLD).status == 405
    assert post(node, PATH, TOLD | {"CallSid": "CA1"}).status == 403
    assert node.recordings == []
