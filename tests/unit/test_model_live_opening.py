"""fastbridge.model.live.opening: said once, checked, given up."""

from base64 import b64encode
from typing import Any

import pytest

from fastbridge.base.json_text import Malformed
from fastbridge.model.live.opening import START_DEADLINE_SECONDS, Opening
from virtual import VirtualLoop

PCMU = {"type": "audio/pcmu", "rate": 8000}


class Scene:
    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.sent: list[dict[str, Any]] = []
        self.config: dict[str, Any] | None = {"model": "gpt-live-1"}
        self.ready = 0
        self.failed: list[str | None] = []
        self.formats: list[Any] = []
        trouble: Any = type("Trouble", (), {"wrong_format": lambda _, formats: self.formats.append(formats)})()
        self.opening = Opening(
            clock=self.loop.clock,
            config=lambda: self.config,
            ready=self.on_ready,
            failed=lambda error: self.failed.append(error.code),
            trouble=trouble,
        )

    def on_ready(self) -> None:
        self.ready += 1

    def connected(self) -> "Scene":
        self.loop.do(self.opening.connected, self.sent.append)
        return self

    def started(self, audio_format: Any = PCMU, **session: Any) -> None:
        event = {"type": "session.started", "session": {"id": "live_1", "audio": {"format": audio_format}, **session}}
        self.loop.do(self.opening.feed, event)


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.opening.close()
    scene.loop.close()


def test_is_said_at_once_and_once(scene):
    scene.connected()
    scene.loop.do(scene.opening.configure)
    assert scene.sent == [{"type": "session.start", "session": {"model": "gpt-live-1"}}]


def test_waits_for_who_answers(scene):
    scene.config = None
    scene.connected()
    assert scene.sent == []
    scene.config = {"model": "gpt-live-1"}
    scene.loop.do(scene.opening.configure)
    assert len(scene.sent) == 1


def test_is_ready_once_it_is_confirmed(scene):
    scene.connected().started(expires_at=1_900_000_000)
    scene.started()
    scene.loop.advance(START_DEADLINE_SECONDS)
    assert (scene.ready, scene.failed) == (1, [])
    assert (scene.opening.session_id, scene.opening.expires_at_s) == ("live_1", 1_900_000_000)


@pytest.mark.parametrize("expires_at", [0, -1, "soon", None, 1e12, True])
def test_an_expiry_that_is_none_is_not_known(scene, expires_at):
    scene.connected().started(expires_at=expires_at)
    assert scene.opening.expires_at_s in (None, 1.0)


def test_nothing_confirms_what_was_not_said(scene):
    scene.config = None
    scene.connected().started()
    assert scene.ready == 0


@pytest.mark.parametrize("audio_format", [{"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}, {}])
def test_another_format_is_the_end(scene, audio_format):
    scene.connected().started(audio_format)
    assert (scene.ready, scene.failed, len(scene.formats)) == (0, ["format_mismatch"], 1)


def test_no_answer_is_the_end(scene):
    scene.connected()
    scene.loop.advance(START_DEADLINE_SECONDS + 0.01)
    assert scene.failed == ["session_start_timeout"]


def test_an_error_is_the_end_of_one_that_is_not_ready(scene):
    error = {"type": "error", "error": {"code": "unknown_parameter", "type": "invalid_request_error", "message": "no"}}
    scene.connected()
    scene.loop.do(scene.opening.feed, error)
    scene.loop.do(scene.opening.feed, {"type": "session.closed", "reason": "content"})
    assert scene.failed == ["unknown_parameter", "closed_before_use"]


def test_a_confirmation_without_its_fields_is_malformed(scene):
    scene.connected()
    with pytest.raises(Malformed):
        scene.loop.do(scene.opening.feed, {"type": "session.started", "session": {}})


def test_what_is_streamed_before_it_is_in_use_is_counted(scene):
    """Its clock runs, from its start on."""
    scene.connected()
    delta = {"type": "session.output_audio.delta", "delta": b64encode(bytes(800)).decode()}
    scene.loop.do(scene.opening.feed, delta)
    scene.started()
    for each in (delta, delta, {**delta, "delta": None}, {**delta, "delta": b64encode(bytes(320)).decode()}):
        scene.loop.do(scene.opening.feed, each)
    assert scene.opening.streamed_ms == 240
