"""Which events of a call are told, and with what."""

from typing import Any

import pytest

from fastbridge.sim.twilio_call import Call
from fastbridge.sim.twilio_progress import EVENTS, Progress

NOW = 1_700_000_000.0


class Services:
    """Keeps what would be sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, dict[str, str]]] = []
        self.callbacks = self

    def now(self) -> float:
        return NOW

    def send(self, about: str, url: str, method: str, told: dict[str, str]) -> None:
        self.sent.append((url, method, told))


def told(events: Any, *states: str, url: str = "https://ours.example/status", answered_by: str = "") -> Any:
    services: Any = Services()
    call = Call("AC1", "+1", "+2", NOW)
    progress = Progress(call, services, url, "GET", events)
    for state in states:
        call.move(state, NOW)
        call.answered_by = answered_by or None
        progress.tell(SipResponseCode="200")
    return services.sent


def test_all_events_and_their_numbers() -> None:
    sent = told(EVENTS, "initiated", "ringing", "in-progress", "completed")
    assert [form["CallStatus"] for _, _, form in sent] == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for _, _, form in sent] == ["0", "1", "2", "3"]
    assert {(url, method) for url, method, _ in sent} == {("https://ours.example/status", "GET")}
    assert {form["Timestamp"] for _, _, form in sent} == {"Tue, 14 Nov 2023 22:13:20 +0000"}


@pytest.mark.parametrize(
    ("events", "statuses"),
    [
        (["answered"], ["in-progress"]),
        (["initiated", "completed"], ["initiated", "completed"]),
        ([], []),
    ],
)
def test_only_those_asked_for(events: list[str], statuses: list[str]) -> None:
    sent = told(events, "initiated", "ringing", "in-progress", "completed")
    assert [form["CallStatus"] for _, _, form in sent] == statuses
    assert [form["SequenceNumber"] for _, _, form in sent] == [str(number) for number in range(len(statuses))]


def test_how_long_it_was_comes_at_the_end() -> None:
    first, *_, last = told(EVENTS, "initiated", "ringing", "in-progress", "completed", answered_by="human")
    assert "CallDuration" not in first[2]
    assert (last[2]["CallDuration"], last[2]["Duration"], last[2]["AnsweredBy"]) == ("0", "0", "human")
    missed = told(EVENTS, "initiated", "busy")[-1][2]
    assert (missed["CallDuration"], "Duration" in missed, "AnsweredBy" in missed) == ("0", False, False)


def test_nobody_is_told() -> None:
    assert told(EVENTS, "initiated", "busy", url="") == []
