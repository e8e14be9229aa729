"""fastbridge.model.realtime.handshake: created, updated, checked; asked again, given up."""

from typing import Any

import pytest

from fastbridge.errors import ModelUnavailable
from fastbridge.model.realtime.handshake import Opening
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble
from virtual import VirtualLoop

CREATED = {"session": {"id": "sess_1", "expires_at": 1_800_000_000}}


def updated(given: str = "audio/pcmu", taken: str = "audio/pcmu") -> dict[str, Any]:
    return {"session": {"audio": {"input": {"format": {"type": given}}, "output": {"format": {"type": taken}}}}}


class OpeningRig:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.sent: list[dict[str, Any]] = []
        self.readies = 0
        self.errors: list[ModelUnavailable] = []
        self.opening = Opening(
            clock=self.loop.clock,
            config={"type": "realtime"},
            ready=self.ready,
            failed=self.errors.append,
            trouble=Trouble(CallLog("CA1"), CallStats()),
        )

    def ready(self) -> None:
        self.readies += 1

    def do(self, verb: str, *arguments: Any) -> None:
        self.loop.do(getattr(self.opening, verb), *arguments)


@pytest.fixture
def rig():
    rig = OpeningRig()
    yield rig
    rig.opening.close()
    assert (rig.loop.failures, rig.loop.pending_timers()) == ([], [])
    rig.loop.close()


@pytest.mark.parametrize("order", [("connected", "on_created"), ("on_created", "connected")])
def test_the_update_follows_both(rig, order):
    for verb in order:
        rig.do(verb, rig.sent.append if verb == "connected" else CREATED)
    assert rig.sent == [{"type": "session.update", "session": {"type": "realtime"}}]
    assert (rig.opening.session_id, rig.opening.expires_at_s) == ("sess_1", 1_800_000_000.0)


def test_a_checked_confirmation_opens_once(rig):
    rig.do("connected", rig.sent.append)
    rig.do("on_created", CREATED)
    for _ in range(2):
        rig.do("on_updated", updated())
    assert (rig.readies, rig.opening.is_ready, rig.loop.pending_timers()) == (1, True, [])


@pytest.mark.parametrize("formats", [("audio/pcmu", "audio/pcmu"), ("audio/pcm", "audio/pcm")])
def test_what_was_not_asked_for_confirms_nothing(rig, formats):
    rig.do("connected", rig.sent.append)
    rig.do("on_updated", updated(*formats))
    assert (rig.readies, rig.opening.is_ready, rig.opening.format_mismatches) == (0, False, 0)
    rig.do("on_created", CREATED)
    rig.do("on_updated", updated())
    assert rig.readies == 1


@pytest.mark.parametrize("wrong", [("audio/pcm", "audio/pcmu"), ("audio/pcmu", "audio/pcma")])
def test_the_wrong_format_does_not_and_is_named_at_the_end(rig, wrong):
    rig.do("connected", rig.sent.append)
    rig.do("on_created", CREATED)
    rig.do("on_updated", updated(*wrong))
    rig.loop.advance(8.1)
    assert (rig.readies, len(rig.sent), [error.code for error in rig.errors]) == (0, 3, ["format_mismatch"])


def test_silence_is_named_too(rig):
    rig.do("connected", rig.sent.append)
    rig.loop.advance(8.1)
    assert [error.code for error in rig.errors] == ["session_update_timeout"]


def test_a_confirmation_before_the_socket_is_ours_opens_nothing(rig):
    rig.do("on_updated", updated())
    assert rig.readies == 0
