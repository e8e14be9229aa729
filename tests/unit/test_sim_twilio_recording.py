"""One Recording resource."""

import pytest

from fastbridge.sim.recorded import Span
from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_recording import Recording

CALL = Call("AC" + "0" * 32, "+1", "+2", 0.0)


def recording(**fields: str) -> Recording:
    return Recording(CALL, fields, "OutboundAPI", 1_700_000_000.0, 1000.0)


def test_from_beginning_to_end() -> None:
    made = recording()
    assert made.live
    made.move("stopped", 6400.0)
    assert (made.live, made.view("")["status"], made.view("")["duration"]) == (False, "processing", "-1")
    assert made.finish(9000.0) == "completed"
    assert (made.view("")["status"], made.view("")["duration"]) == ("completed", "5")
    assert made.spans == [Span(1000.0, 6400.0)]


@pytest.mark.parametrize(("silent", "seconds"), [(False, 3.0), (True, 5.0)])
def test_a_pause_is_cut_out_or_is_silence(silent: bool, seconds: float) -> None:
    made = recording()
    made.move("paused", 2000.0, silent=silent)
    assert made.live
    made.move("in-progress", 4000.0)
    made.move("stopped", 6000.0)
    assert made.seconds == seconds
    assert [span.silent for span in made.spans] == ([False, True, False] if silent else [False, False])


@pytest.mark.parametrize(("silent", "seconds"), [(False, 1.0), (True, 4.0)])
def test_one_may_end_in_a_pause(silent: bool, seconds: float) -> None:
    made = recording()
    made.move("paused", 2000.0, silent=silent)
    made.move("stopped", 5000.0)
    assert made.seconds == seconds


@pytest.mark.parametrize("state", ["in-progress", "completed", "absent"])
def test_ways_that_there_are_not(state: str) -> None:
    with pytest.raises(ValueError, match="does not become"):
        recording().move(state, 2000.0)


def test_a_short_one_is_absent() -> None:
    made = recording()
    made.move("stopped", 1900.0)
    assert made.finish(2000.0) == "absent"
    told = made.told("https://api.example")
    assert (told["RecordingStatus"], told["ErrorCode"], "RecordingDuration" in told) == ("absent", "16101", False)
    assert made.view("")["error_code"] == 16101


def test_what_its_callback_says() -> None:
    made = recording(
        RecordingChannels="dual", RecordingTrack="inbound", RecordingStatusCallbackEvent="absent completed"
    )
    assert made.events == ["absent", "completed"]
    assert recording().events == ["completed"]
    made.move("stopped", 4000.0)
    made.finish(4000.0)
    told = made.told("https://api.example")
    assert told["RecordingUrl"] == f"https://api.example/2010-04-01/Accounts/{CALL.account_sid}/Recordings/{made.sid}"
    assert (told["RecordingDuration"], told["RecordingChannels"], told["RecordingTrack"]) == ("3", "2", "inbound")
    assert told["RecordingSource"] == "OutboundAPI"
