"""Recordings and privacy in any order, with a carrier that fails in any way: nothing private is ever kept, whoever was
told that it is private was told the truth, the carrier does one thing at a time, and all is settled at the end."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fastbridge.agent import Agent
from fastbridge.agent.fields import RECORDS
from fastbridge.call.privacy import State
from fastbridge.carrier.port import RecordingBegun, Refused, TryLater, Uncertain
from helpers import numbered_frame
from recorders import RECORDING, CarrierFake, RecordedRig

SAID, SECRET = numbered_frame(0x11111111), numbered_frame(0x66666666)
SPOKEN, PRIVATELY = numbered_frame(0x22222222), numbered_frame(0x77777777)
DESK = "+14155550199"
BEGINS = (RecordingBegun(RECORDING), Refused(21220, "no"), TryLater(1.0, "busy"), Uncertain("lost"))

BLOCK = st.tuples(st.just("block"), st.tuples(st.sampled_from("abc"), st.booleans(), st.sampled_from([0.2, 1.5, 9.0])))
"""One that is entered, spoken in by both, perhaps with consent, and left."""
steps = st.one_of(
    BLOCK,
    BLOCK,
    st.tuples(st.just("speak"), st.sampled_from([1, 7, 60])),
    st.tuples(st.just("assistant"), st.sampled_from([5, 100])),
    st.tuples(st.just("pass"), st.sampled_from([0.1, 0.4, 1.1, 7.0])),
    st.tuples(st.just("enter"), st.tuples(st.sampled_from("abc"), st.sampled_from([1.0, 60.0]))),
    st.tuples(st.just("leave"), st.sampled_from("abc")),
    st.tuples(st.just("consent"), st.none()),
    st.tuples(st.just("keys"), st.sampled_from(["1", "23#"])),
    st.tuples(st.just("gather"), st.sampled_from([1, 3])),
    st.tuples(st.just("carrier takes"), st.sampled_from([0.0, 0.3, 8.0, 40.0])),
    st.tuples(st.just("carrier loses"), st.booleans()),
    st.tuples(st.just("model goes"), st.none()),
    st.tuples(st.just("transfer"), st.none()),
    st.tuples(st.just("hang up"), st.none()),
)


class Play:
    def __init__(self, mode: str, goes_on: bool, begins: list[int], changes: list[bool]) -> None:
        carrier = CarrierFake()
        carrier.begins = [BEGINS[number] for number in begins]
        carrier.changes = list(changes)
        agent = Agent(transfer_to={"desk": DESK}, record_transfers=goes_on)
        self.rig = RecordedRig(mode, agent=agent, recorder=carrier)
        self.rig.up()
        self.responses = 0
        self.told: list[list[bool]] = []
        self.gathered: list[list[str]] = []
        self.stretches: list[tuple[int, int]] = []

    @property
    def private(self) -> bool:
        return bool(self.rig.call.facts.private)

    def speaks(self, frames: int) -> None:
        for _ in range(frames):
            if self.rig.call.live:
                self.rig.caller_says(SECRET if self.private else SAID)
            self.check()

    def does(self, what: str, value: object) -> None:
        rig = self.rig
        if what == "speak":
            self.speaks(int(str(value)))
        elif what == "assistant" and rig.call.live and rig.call.session.ready:
            self.responses += 1
            rig.respond((PRIVATELY if self.private else SPOKEN) * int(str(value)), 100 + self.responses)
        elif what == "pass":
            rig.advance(float(str(value)))
        elif what == "enter":
            ticket, seconds = value  # type: ignore[misc]
            self.told.append(rig.enter(seconds, ticket))
        elif what == "leave":
            rig.leave(value)
        elif what == "block":
            self.block(*value)  # type: ignore[misc]
        elif what == "consent":
            rig.do(rig.call.consent)
        elif what == "keys" and rig.call.live:
            rig.press(str(value))
        elif what == "gather":
            self.gathered.append(rig.gather(int(str(value)), timeout_seconds=2.0))
        elif what == "carrier takes":
            rig.recorder.seconds = float(str(value))
        elif what == "carrier loses":
            rig.recorder.lost_begins = rig.recorder.lost_changes = bool(value)
        elif what == "model goes" and rig.call.live and rig.call.line.up:
            rig.lose_model()
            rig.advance(0.5)
            rig.connect()
            rig.open_session(2)
        elif what == "transfer" and rig.call.live:
            rig.do(rig.call.transfer, DESK)
        elif what == "hang up":
            rig.do(rig.call.close, "customer_hangup")
        self.check()

    def block(self, ticket: str, consents: bool, seconds: float) -> None:
        self.does("enter", (ticket, 60.0))
        self.does("assistant", 40)
        self.speaks(5)
        if consents:
            self.does("consent", None)
        self.speaks(5)
        self.does("pass", seconds)
        self.speaks(5)
        self.does("leave", ticket)
        self.does("pass", 0.3)
        self.speaks(20)

    def check(self) -> None:
        call = self.rig.call
        tape = call.local_recording._tape
        if tape is not None and self.private:
            self.stretch()
        if call.live and call.privacy.state is State.PRIVATE:
            assert self.rig.recorder.state != "recording", "told that it is private, and it is not"

    def stretch(self) -> None:
        """It is private now, and is on the tape at this byte."""
        began_ms = self.rig.call.local_recording._began_ms
        at = 8 * (self.rig.call.clock.now_ms() - began_ms)
        self.stretches.append((at, at + 8))

    def check_assistant(self, right: bytes) -> None:
        """Silent on the right, too, wherever it was private; what began there may go on behind it."""
        for begin, end in self.stretches:
            assert right[begin:end].strip(b"\xff") == b""

    def ends(self) -> None:
        rig = self.rig
        rig.recorder.seconds = 0.0
        rig.do(rig.call.close, "shutdown")
        rig.loop.advance(50)
        rig.shut()
        assert all(len(told) == 1 for told in self.told)
        assert all(len(digits) == 1 for digits in self.gathered)
        assert SECRET not in rig.uplink
        for reel in rig.local.reels:
            assert reel.finished
            assert SECRET[:4] not in reel.audio[0::2]
            self.check_assistant(reel.audio[1::2])
        assert len(rig.local.reels) <= 1
        assert rig.recorder.recordings <= 1
        document = rig.call.document["carrier_recording"]
        if document is not None:
            assert document["state"] in ("off", "stopped", "paused", "failed", "uncertain")


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(RECORDS[1:]),
    st.booleans(),
    st.lists(st.integers(0, len(BEGINS) - 1), max_size=4),
    st.lists(st.booleans(), max_size=6),
    st.lists(steps, min_size=1, max_size=10),
)
def test_nothing_private_is_kept_and_all_is_settled(mode, goes_on, begins, changes, play):
    scene = Play(mode, goes_on, begins, changes)
    try:
        for what, value in play:
            scene.does(what, value)
    finally:
        scene.ends()
