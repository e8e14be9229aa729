"""model.farewell: a link is hung up once, when all is said or after a while."""

import pytest

from alone import Alone
from fastbridge.model.farewell import FAREWELL_SECONDS, part


class Scene(Alone):
    def __init__(self) -> None:
        super().__init__()
        self.did: list[str] = []

    # A link.

    def redirect(self, sink, feed_message) -> None:
        self.did.append("redirect")
        self.feed = feed_message

    def resume_reading(self) -> None:
        self.did.append("resume_reading")

    def hang_up(self) -> None:
        self.did.append("hang_up")


@pytest.fixture
def scene():
    scene = Scene()
    yield scene
    scene.shut(lambda: None)


def test_where_nobody_reads_it_is_hung_up(scene):
    scene.do(part, scene, scene.clock, None)
    assert scene.did == ["hang_up"]


def test_it_is_read_until_all_is_said(scene):
    heard = []
    scene.do(part, scene, scene.clock, lambda message: heard.append(message) or message == b"last")
    assert scene.did == ["redirect", "resume_reading"]
    for message in (b"first", b"last", b"another"):
        scene.do(scene.feed, message)
    scene.advance(1)
    assert (scene.did[2:], heard) == (["hang_up"], [b"first", b"last"])


def test_and_not_for_long(scene):
    heard = []
    scene.do(part, scene, scene.clock, lambda message: heard.append(message))
    scene.advance(FAREWELL_SECONDS - 0.01)
    assert scene.did[2:] == []
    scene.advance(0.02)
    scene.do(scene.feed, b"late")
    assert (scene.did[2:], heard) == (["hang_up"], [])
