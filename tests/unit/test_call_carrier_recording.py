"""fastbridge.call.carrier_recording: begun once, whatever is lost; paused in private; settled at the end."""

import logging

import pytest

from fastbridge.agent import Agent
from fastbridge.call.carrier_recording import DEADLINES_SECONDS, MAX_BEGINNINGS, TRANSITIONS, State
from fastbridge.carrier.port import RecordingBegun, Refused, TryLater, Uncertain
from recorders import RECORDING, CarrierFake, RecordedRig
from transfer_rig import RECEPTION, Legs

REFUSED = Refused(21220, "the call is not in progress")
LATER = TryLater(2.0, "too many requests")
LOST = Uncertain("ReadTimeout")


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level(logging.INFO, "fastbridge.events")


def rig_of(*begins: object, mode: str = "carrier", **given: object) -> RecordedRig:
    carrier = CarrierFake()
    carrier.begins = list(begins)  # type: ignore[arg-type]
    rig = RecordedRig(mode, recorder=carrier, **given)  # type: ignore[arg-type]
    return rig.up()


def state(rig: RecordedRig) -> str:
    return str(rig.call.carrier_recording.state)


def end(rig: RecordedRig) -> dict[str, object]:
    rig.shut()
    document = rig.call.document["carrier_recording"]
    assert isinstance(document, dict)
    return document


def test_a_call_is_recorded_from_when_it_is_known_who_answers(caplog):
    rig = rig_of()
    rig.advance(1)
    assert rig.recorder.asked == ["begin"]
    assert f"recording by the carrier, recording={RECORDING}" in caplog.text
    assert end(rig) == {"sid": RECORDING, "state": "stopped", "paused_seconds": 0.0}


@pytest.mark.parametrize("mode", ["", "local", "local_after_consent", "after_consent"])
def test_one_that_is_not_wanted_is_not_begun(mode):
    rig = rig_of(mode=mode)
    rig.advance(2)
    rig.enter()
    rig.shut()
    assert rig.recorder.asked == []
    assert rig.call.document["carrier_recording"] is None


def test_with_consent_it_begins_once(caplog):
    rig = rig_of(mode="after_consent")
    rig.advance(1)
    for _ in range(2):
        rig.do(rig.call.consent)
    rig.advance(1)
    assert rig.recorder.asked == ["begin"]
    assert caplog.text.count("the caller agrees to be recorded") == 1
    end(rig)


def test_without_credentials_it_is_one_sentence(caplog):
    rig = rig_of(has_recorder=False)
    rig.advance(5)
    assert rig.enter() == [True]
    assert end(rig) == {"sid": None, "state": "failed", "paused_seconds": 0.0}
    assert caplog.text.count("the call is not recorded: there are no Twilio credentials") == 1


class TestBeginning:
    def test_what_was_refused_is_not_asked_for_again(self, caplog):
        rig = rig_of(REFUSED)
        rig.advance(30)
        assert rig.recorder.asked == ["begin"]
        assert end(rig)["state"] == "failed"
        assert "the call is not recorded: the call is not in progress" in caplog.text

    def test_what_surely_did_not_begin_is_begun_in_its_time(self):
        rig = rig_of(LATER, LATER)
        rig.advance(1.9)
        assert rig.recorder.asked == ["begin"]
        rig.advance(3)
        assert rig.recorder.asked == ["begin"] * 3
        assert end(rig)["sid"] == RECORDING

    @pytest.mark.parametrize("has_begun", [True, False])
    def test_a_lost_answer_is_looked_up_and_there_is_one(self, has_begun):
        rig = rig_of(LOST, LOST)
        rig.recorder.lost_begins = has_begun
        rig.advance(5)
        assert rig.recorder.asked == ["begin"] * 3
        assert rig.recorder.recordings == 1
        assert end(rig)["sid"] == RECORDING

    @pytest.mark.parametrize(("answer", "state"), [(LATER, "failed"), (LOST, "uncertain")])
    def test_it_is_given_up(self, answer, state, caplog):
        rig = rig_of(*[answer] * 10)
        rig.advance(60)
        assert rig.recorder.asked == ["begin"] * MAX_BEGINNINGS
        assert end(rig)["state"] == state
        assert caplog.text.count("the call is not recorded") == 1

    def test_an_answer_that_does_not_come_is_a_lost_one(self):
        rig = RecordedRig("carrier", recorder=CarrierFake(seconds=100.0)).up()
        rig.advance(1)
        rig.recorder.seconds = 0.0
        rig.advance(DEADLINES_SECONDS[State.ASKED] + 2)
        assert rig.recorder.asked == ["begin", "begin"]
        assert rig.recorder.recordings == 1
        end(rig)

    @pytest.mark.parametrize(("answers", "state"), [((LATER,), "failed"), ((LOST,), "uncertain")])
    def test_a_call_that_ends_meanwhile(self, answers, state):
        rig = rig_of(*answers)
        rig.advance(0.2)
        assert end(rig)["state"] == state

    def test_one_that_ends_before_the_answer_is_uncertain(self):
        rig = RecordedRig("carrier", recorder=CarrierFake(seconds=5.0)).up()
        rig.advance(1)
        assert end(rig)["state"] == "uncertain"


class TestPrivate:
    def test_it_pauses_and_goes_on_and_that_is_counted(self):
        rig = rig_of()
        rig.advance(1)
        told = rig.enter()
        rig.advance(2)
        assert told == [True]
        assert rig.recorder.state == "paused"
        rig.leave()
        rig.advance(1)
        assert rig.recorder.asked == ["begin", "pause", "resume"]
        document = end(rig)
        assert document["state"] == "stopped"
        assert document["paused_seconds"] == pytest.approx(2.5, abs=0.05)

    def test_one_that_ends_with_its_call_stays_so(self):
        rig = rig_of()
        rig.advance(1)
        rig.enter()
        rig.advance(1)
        assert end(rig)["state"] == "paused"
        assert rig.recorder.asked == ["begin", "pause"]

    def test_nothing_is_begun_in_it(self):
        rig = rig_of(LATER, mode="after_consent")
        assert rig.enter() == [True]
        rig.do(rig.call.consent)
        rig.advance(3)
        assert rig.recorder.asked == []
        rig.leave()
        rig.advance(1)
        assert rig.recorder.asked == ["begin"]
        assert rig.enter() == [True]
        rig.advance(5)
        assert rig.recorder.asked == ["begin"]
        rig.leave()
        rig.advance(3)
        assert rig.recorder.asked == ["begin", "begin"]
        end(rig)

    def test_where_it_is_not_known_whether_there_is_one_it_is_not_private(self):
        rig = rig_of(LOST)
        rig.recorder.lost_begins = True
        rig.advance(0.2)
        assert rig.enter() == [False]
        rig.advance(3)
        told = rig.enter()
        rig.advance(0.2)
        assert told == [True]
        assert rig.recorder.state == "paused"
        end(rig)

    def test_one_that_is_just_being_begun_is_paused_as_soon_as_it_is(self):
        carrier = CarrierFake(seconds=1.0)
        rig = RecordedRig("carrier", recorder=carrier).up()
        told = rig.enter()
        rig.advance(1.5)
        assert told == []
        rig.advance(1)
        assert told == [True]
        assert carrier.asked == ["begin", "pause"]
        end(rig)

    def test_a_pause_that_failed_is_taken_back_for_it_may_have_been_made(self):
        rig = rig_of()
        rig.advance(1)
        rig.recorder.changes, rig.recorder.lost_changes = [False], True
        told = rig.enter()
        rig.advance(0.1)
        assert told == [False]
        assert rig.recorder.state == "paused"
        rig.advance(2)
        assert rig.recorder.asked == ["begin", "pause", "resume"]
        assert rig.recorder.state == "recording"
        end(rig)

    def test_a_resumption_that_fails_is_tried_again_and_given_up(self, caplog):
        rig = rig_of()
        rig.advance(1)
        rig.recorder.changes = [True, *[False] * 20]
        rig.enter()
        rig.leave()
        rig.advance(5)
        assert rig.recorder.asked == ["begin", "pause", "resume", "resume", "resume"]
        assert "the recording could not be resumed" in caplog.text
        assert state(rig) == "doubtful"
        told = rig.enter()
        rig.advance(0.2)
        assert told == [False]  # it may be recording
        end(rig)

    def test_a_change_of_which_nothing_is_heard_is_not_done(self):
        rig = rig_of()
        rig.advance(1)
        rig.recorder.seconds = 100.0
        told = rig.enter()
        rig.advance(DEADLINES_SECONDS[State.PAUSING] + 0.5)
        assert told == [False]
        rig.recorder.seconds = 0.0
        rig.advance(10)
        assert rig.recorder.state == "recording"
        end(rig)


class TestTransfers:
    def left(self, **changes: bool) -> RecordedRig:
        agent = Agent(transfer_to={"desk": "+14155550199"}, **changes)  # type: ignore[arg-type]
        rig = rig_of(agent=agent)
        rig.advance(0.5)
        rig.do(rig.call.transfer, "+14155550199")
        rig.advance(2)
        assert not rig.call.live
        rig.shut()
        return rig

    def test_it_goes_on(self):
        assert self.left().recorder.asked == ["begin"]

    def test_unless_the_agent_says_otherwise(self):
        rig = self.left(record_transfers=False)
        assert rig.recorder.asked == ["begin", "stop"]

    def test_nor_one_that_is_just_being_begun(self):
        agent = Agent(transfer_to={"desk": "+14155550199"}, record_transfers=False)
        rig = RecordedRig("carrier", agent=agent, recorder=CarrierFake(seconds=3.0)).up()
        rig.do(rig.call.transfer, "+14155550199")
        rig.advance(1)
        assert (rig.call.live, rig.recorder.state) == (False, "recording")
        rig.advance(6)
        assert (rig.recorder.asked, rig.recorder.state) == (["begin", "stop"], "stopped")
        assert end(rig)["state"] == "uncertain"

    @pytest.mark.parametrize("goes_on", [True, False])
    def test_so_it_is_where_a_human_has_taken_the_call(self, goes_on):
        agent = Agent(transfer_to={"desk": RECEPTION}, warm_transfer=True, record_transfers=goes_on)
        rig = rig_of(agent=agent)
        rig.call.transfers._legs = legs = Legs()
        rig.advance(0.5)
        assert rig.do(rig.call.remote.transfer, "desk", "Dana.")
        rig.do(legs.listener.answered)
        yes = rig.loop.create_task(legs.listener.accepted())
        rig.advance(0.1)
        rig.carrier({"event": "stop", "streamSid": rig.call.stream_sid})
        rig.do(legs.listener.joined)
        rig.advance(1)
        assert yes.result()
        assert rig.recorder.asked == (["begin"] if goes_on else ["begin", "stop"])
        rig.do(legs.listener.ended, "declined")
        rig.shut()

    def test_a_call_that_is_hung_up_ends_it_by_itself(self):
        rig = rig_of(agent=Agent(record_transfers=False))
        rig.advance(1)
        rig.shut()
        assert rig.recorder.asked == ["begin"]


def test_every_state_that_waits_has_an_end():
    waits = {State.ASKED, State.PAUSING, State.RESUMING}
    assert waits == set(DEADLINES_SECONDS)
    for each in TRANSITIONS.values():
        assert set(each.values()) <= set(TRANSITIONS)
    assert isinstance(RecordingBegun(RECORDING).recording_sid, str)


@pytest.mark.parametrize("private", [False, True])
def test_one_that_the_carrier_could_not_make_is_in_the_record(private, caplog):
    rig = rig_of()
    rig.advance(1)
    if private:
        rig.enter()
        rig.advance(1)
        assert state(rig) == "paused"
    recording = rig.call.carrier_recording
    rig.do(recording.failed, "RE" + "f" * 32)
    assert state(rig) != "failed", "another one"
    for _ in range(2):
        rig.do(recording.failed, RECORDING)
    document = end(rig)
    assert (document["sid"], document["state"]) == (RECORDING, "failed")
    assert caplog.text.count("the call is not recorded: the carrier reports that the recording failed") == 1


def test_one_that_fails_while_it_is_to_pause_is_quiet():
    """No answer of the carrier's is waited for any more."""
    rig = rig_of()
    rig.advance(1)
    rig.recorder.seconds = 3.0
    rig.do(rig.call.carrier_recording.hush)
    rig.do(rig.call.carrier_recording.failed, RECORDING)
    rig.advance(10)
    assert state(rig) == "failed"
    end(rig)
