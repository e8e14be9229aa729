"""fastbridge.model.realtime.handshake: created, updated, checked; asked again, given up."""

from typing import Any, ClassVar

import pytest

from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.realtime.handshake import PCMU, Opening
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


@pytest.mark.parametrize("session", [None, {}, {"id": 7}, []])
def test_a_session_may_be_created_without_a_word_of_itself(rig, session):
    rig.do("connected", rig.sent.append)
    rig.do("on_created", {"session": session})
    assert len(rig.sent) == 1


@pytest.mark.parametrize(("given", "opens"), [("g711_ulaw", True), ("pcm16", False), (None, False)])
def test_the_betas_words_for_formats(rig, given, opens):
    rig.do("connected", rig.sent.append)
    rig.do("on_created", CREATED)
    rig.do("on_updated", {"session": {"input_audio_format": "g711_ulaw", "output_audio_format": given}})
    assert rig.opening.is_ready is opens


class TestRefusals:
    """What a service does not take, and a conversation can do without."""

    CONFIG: ClassVar[dict[str, Any]] = {
        "type": "realtime",
        "instructions": "Be kind.",
        "tools": [],
        "audio": {
            "input": {"format": PCMU, "transcription": {"model": "x", "prompt": "y"}, "noise_reduction": None},
            "output": {"format": PCMU, "voice": "marin"},
        },
    }

    def refuse(self, rig: OpeningRig, param: str = "", words: str = "", code: str = "unknown_parameter") -> bool:
        refused: bool = rig.loop.do(rig.opening.refused, ModelError("no", code, param=param, words=words))
        return refused

    @pytest.fixture
    def asked(self, rig):
        rig.opening.config = self.CONFIG
        rig.do("connected", rig.sent.append)
        rig.do("on_created", CREATED)
        return rig

    @pytest.mark.parametrize(
        "said",
        [
            {"param": "session.audio.output.voice"},
            {"words": "Unknown parameter: 'session.audio.output.voice'."},
        ],
    )
    def test_it_is_left_out_and_the_rest_asked_for_at_once(self, asked, said):
        assert self.refuse(asked, **said)
        assert asked.sent[-1]["session"]["audio"]["output"] == {"format": PCMU}
        assert asked.sent[-1]["session"]["audio"]["input"] == self.CONFIG["audio"]["input"]
        asked.do("on_updated", updated())
        assert asked.readies == 1

    def test_what_was_asked_for_twice_is_refused_twice(self, asked):
        for _ in range(2):
            assert self.refuse(asked, "session.audio.input.transcription.prompt")
        assert len(asked.sent) == 2
        assert asked.sent[-1]["session"]["audio"]["input"]["transcription"] == {"model": "x"}

    def test_what_is_nothing_without_it_goes_too(self, asked):
        assert self.refuse(asked, "session.audio.input.transcription.model", code="model_not_found")
        assert self.refuse(asked, "session.audio.input.transcription.model", code="missing_required_parameter")
        assert "transcription" not in asked.sent[-1]["session"]["audio"]["input"]

    @pytest.mark.parametrize(
        "param",
        [
            "",
            "voice",
            "session",
            "session.type",
            "session.audio",
            "session.audio.input",
            "session.audio.input.format",
            "session.audio.output.format.type",
            "session.instructions",
            "session.tools[0].name",
            "session.none",
            "session.audio.input.none",
            "response.voice",
        ],
    )
    def test_there_is_no_cure(self, asked, param):
        assert not self.refuse(asked, param)
        assert len(asked.sent) == 1

    def test_not_before_it_was_asked_nor_after_it_was_confirmed(self, rig):
        rig.opening.config = self.CONFIG
        assert not self.refuse(rig, "session.audio.output.voice")
        rig.do("connected", rig.sent.append)
        rig.do("on_created", CREATED)
        rig.do("on_updated", updated())
        assert not self.refuse(rig, "session.audio.output.voice")

    def test_a_successor_learns_it_too(self, asked):
        """A session that is made beside the one in use."""
        param = "session.audio.output.voice"
        asked.do("feed", {"type": "error", "error": {"code": "unknown_parameter", "param": param}})
        assert (len(asked.sent), asked.errors) == (2, [])
        asked.do("feed", {"type": "error", "error": {"code": "server_error"}})
        assert [error.code for error in asked.errors] == ["server_error"]
