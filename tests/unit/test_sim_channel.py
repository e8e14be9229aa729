import json
from typing import Any

import pytest

from fastbridge.sim.channel import Channel
from fastbridge.sim.disruption import (
    EVERY,
    Change,
    Disruption,
    Drop,
    Elapsed,
    Gap,
    Jitter,
    Lose,
    On,
    Postpone,
    Reject,
    Repeat,
    Send,
    Stall,
    StopReading,
)
from fastbridge.sim.model import ModelSession
from fastbridge.sim.scenario import Say, Scenario
from model_client import SILENT_FRAME, VirtualClient, assert_valid, configured

LONG = Say("A long story that goes on and on.", b"\x20" * 40_000)
AUDIO = "response.output_audio.delta"


class Client:
    """A client at the far end of a channel, on a clock of its own."""

    def __init__(self, *disruptions: Disruption, **scenario: Any) -> None:
        self.now_ms = 1000.0
        made = Scenario(**{"greeting": LONG, **scenario}, disruptions=disruptions)
        self.channel = Channel(ModelSession(made, self.now_ms), self.now_ms)
        self.frames: list[str] = []
        self.times_ms: list[float] = []
        self.run(0)

    def send(self, kind: str, **body: Any) -> None:
        self.channel.receive(json.dumps({"type": kind, **body}), self.now_ms)

    def run(self, ms: float = 60_000.0) -> list[str]:
        """Let time pass; the types that came, what is no event as it is."""
        end_ms, mark = self.now_ms + ms, len(self.frames)
        while (due_ms := self.channel.next_due_ms()) is not None and due_ms <= end_ms:
            frames = self.channel.poll(due_ms)
            self.frames += frames
            self.times_ms += [due_ms] * len(frames)
        self.now_ms = end_ms
        return [kind_of(frame) for frame in self.frames[mark:]]

    @property
    def kinds(self) -> list[str]:
        return [kind_of(frame) for frame in self.frames]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.frames if kind_of(frame) == kind]

    def at(self, kind: str) -> float:
        """When the first of this type came."""
        return self.times_ms[self.kinds.index(kind)]


def kind_of(frame: str) -> str:
    try:
        event = json.loads(frame)
    except ValueError:
        return frame
    return str(event.get("type")) if isinstance(event, dict) else frame


def respond(*disruptions: Disruption, **scenario: Any) -> Client:
    """A client that has asked for a response, and seen all that came of it."""
    client = Client(*disruptions, **scenario)
    client.send("response.create")
    client.run()
    return client


def test_without_disruptions_every_frame_passes_as_it_is_when_it_is_due() -> None:
    direct = VirtualClient(Scenario(greeting=LONG))
    direct.send("response.create")
    direct.run()
    client = respond()
    assert [json.loads(frame) for frame in client.frames] == direct.events
    assert client.times_ms == direct.times_ms
    assert client.channel.closed is None


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (1011, "internal error"), (1001, "going away")])
def test_a_drop_ends_it_behind_the_event(code: int, reason: str) -> None:
    client = respond(Disruption(On(AUDIO, 3), Drop(code, reason)))
    assert client.kinds.count(AUDIO) == 3
    assert client.kinds[-1] == AUDIO
    assert client.channel.closed == (code, reason)
    assert client.channel.next_due_ms() is None
    client.send("response.create")
    assert client.run() == []
    assert client.channel.session.received["response.create"] == 1


def test_a_drop_so_long_after_the_event() -> None:
    client = respond(Disruption(On("response.created", after_ms=300.0), Drop()))
    assert client.channel.closed is not None
    assert max(client.times_ms) <= client.at("response.created") + 300.0
    assert client.kinds.count(AUDIO) > 1


def test_a_drop_on_an_event_of_the_clients() -> None:
    client = respond(Disruption(On("response.create"), Drop()))
    assert client.kinds == ["session.created"]
    assert client.channel.closed == (1006, "")


def test_what_was_to_come_behind_an_end_that_is_held_up_is_due_no_more() -> None:
    """Or whoever waits for it would come again and again at one moment."""
    held, end = Disruption(On("session.created"), Jitter(5000)), Disruption(Elapsed(100), Drop(1001, "over"))
    client = Client(held, end, Disruption(Elapsed(200), Send("{")))
    client.send("session.update", session={"type": "realtime"})
    client.run(250)
    due_ms = client.channel.next_due_ms()
    assert due_ms is not None
    assert due_ms > client.now_ms
    client.run()
    assert client.channel.closed is not None
    assert client.channel.next_due_ms() is None


def test_time_alone_may_bring_it_about() -> None:
    client = Client(Disruption(Elapsed(250.0), Send({"type": "response.something_new"})))
    client.run()
    assert client.kinds == ["session.created", "response.something_new"]
    assert client.at("response.something_new") == 1250.0


def test_a_stall_holds_everything_back_and_changes_no_order() -> None:
    quiet, stalled = respond(), respond(Disruption(On(AUDIO, 2), Stall(2000.0)))
    assert [kind for kind in stalled.kinds if kind != "x"] == quiet.kinds
    gaps = [after - before for before, after in zip(stalled.times_ms, stalled.times_ms[1:], strict=False)]
    assert max(gaps) == 2000.0


def test_jitter_delays_and_changes_no_order() -> None:
    quiet, shaken = respond(), respond(Disruption(On("session.created"), Jitter(300.0)))
    assert shaken.kinds == quiet.kinds
    assert shaken.times_ms == sorted(shaken.times_ms)
    delays = [late - due for late, due in zip(shaken.times_ms[1:], quiet.times_ms[1:], strict=True)]
    assert 0 <= min(delays) < max(delays) <= 300.0
    assert respond(Disruption(On("session.created"), Jitter(300.0))).times_ms == shaken.times_ms, "it can be repeated"


def test_an_event_is_lost() -> None:
    client = respond(Disruption(On("response.done"), Lose()))
    assert "response.done" not in client.kinds
    assert "rate_limits.updated" in client.kinds
    assert client.channel.session.active is None, "the service does not know"


def test_what_the_client_sends_is_lost() -> None:
    client = respond(Disruption(On("response.create"), Lose()))
    assert client.kinds == ["session.created"]
    client.send("response.create")
    assert "response.done" in client.run(), "the second is another"


def test_an_event_comes_again() -> None:
    client = respond(Disruption(On(AUDIO, 2, count=2), Repeat(5000.0)))
    deltas = [event["event_id"] for event in client.of(AUDIO)]
    assert deltas[-2:] == deltas[1:3]
    assert len(set(deltas)) == len(deltas) - 2


def test_an_event_is_overtaken() -> None:
    client = respond(Disruption(On("response.created"), Postpone(400.0)))
    assert client.kinds.index(AUDIO) < client.kinds.index("response.created")
    assert client.at("response.created") == 1400.0


def test_an_event_is_changed() -> None:
    def broken(event: dict[str, Any]) -> str:
        return json.dumps(event)[:-1]

    client = respond(
        Disruption(On(AUDIO), Change({"response_id": "resp_other"})), Disruption(On("response.done"), Change(broken))
    )
    assert client.of(AUDIO)[0]["response_id"] == "resp_other"
    assert len({event["response_id"] for event in client.of(AUDIO)}) == 2
    assert client.frames[-2].startswith('{"type": "response.done"')


def test_every_event_from_one_on() -> None:
    client = respond(Disruption(On(AUDIO, 4, count=EVERY), Lose()))
    assert client.kinds.count(AUDIO) == 3


def test_a_refusal_is_an_error_event_and_no_fault_of_the_clients() -> None:
    client = Client(Disruption(On("response.create"), Reject("some_code", "Because.", "param")))
    client.send("response.create", event_id="mine")
    client.run()
    (error,) = client.of("error")
    assert_valid(client.frames[-1])
    assert error["error"] == {
        "type": "invalid_request_error",
        "code": "some_code",
        "message": "Because.",
        "param": "param",
        "event_id": "mine",
    }
    session = client.channel.session
    assert (session.errors, len(session.benign_errors), session.responses) == ([], 1, [])
    assert [request["type"] for request in session.requests] == ["response.create"]


def test_frames_out_of_the_blue_sound_or_not() -> None:
    client = Client(
        Disruption(On("session.created"), Send({"type": "error", "error": {"code": "x"}})),
        Disruption(On("session.created"), Send("no JSON")),
    )
    client.run()
    assert client.kinds == ["session.created", "error", "no JSON"]
    assert json.loads(client.frames[1])["event_id"].startswith("event_")


def test_a_service_that_does_not_read_says_until_when() -> None:
    client = Client(Disruption(On("response.create"), StopReading(700.0)))
    client.send("response.create")
    assert client.channel.deaf_until_ms == client.now_ms + 700.0


def test_the_sessions_own_end_comes_through() -> None:
    client = Client(max_session_ms=500.0)
    client.run()
    assert client.kinds == ["session.created", "error"]
    assert client.channel.closed == (1001, "Your session hit the maximum duration of 60 minutes.")


def test_rubbish_and_binary_frames_are_the_sessions_to_refuse() -> None:
    client = Client(Disruption(On("response.create"), Lose()))
    for text in ("", "{", "[]", "[" * 100_000):
        client.channel.receive(text, client.now_ms)
    client.channel.receive_binary(b"\x00", client.now_ms)
    client.run()
    assert client.kinds == ["session.created", *["error"] * 5]


def test_audio_passes_a_channel_with_disruptions() -> None:
    client = Client(Disruption(On("response.create"), Lose()))
    made = configured()
    made.hear(SILENT_FRAME)
    client.send("input_audio_buffer.append", audio="/" * 20)
    assert client.channel.session.received["input_audio_buffer.append"] == 1


def test_a_gap_loses_one_kind_for_a_while_and_goes_on() -> None:
    plain = respond()
    client = respond(Disruption(On("response.created", after_ms=200.0), Gap(400.0, AUDIO)))
    gone_ms = client.at("response.created") + 200.0
    came = [at for at, kind in zip(client.times_ms, client.kinds, strict=True) if kind == AUDIO]
    assert not [at for at in came if gone_ms <= at < gone_ms + 400.0]
    assert 0 < len(came) < plain.kinds.count(AUDIO)
    others = [kind for kind in client.kinds if kind != AUDIO]
    assert others == [kind for kind in plain.kinds if kind != AUDIO]
