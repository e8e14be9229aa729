"""call.media_gap for a model whose stream never pauses: silence in every gap, as long as there is a session."""

from types import SimpleNamespace
from typing import Any

import pytest

from fastbridge.call.facts import MEDIA_GAP_SECONDS
from fastbridge.call.media_gap import IN_TIME_FRAMES, MediaGap
from virtual import VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("always", [True, False])
def test_whoever_speaks(loop, always):
    sent: list[int] = []
    lane: Any = SimpleNamespace(last_media_ns=loop.now_ns, send_silence=sent.append)
    gap = MediaGap(clock=loop.clock, caller=lane, always=always)
    loop.do(gap.line_up)
    loop.do(gap.end)  # of his speech, which is no end of the stream
    loop.advance(2 * MEDIA_GAP_SECONDS + 0.01)
    assert sent == ([IN_TIME_FRAMES] * 2 if always else [])
    assert abs(IN_TIME_FRAMES * 0.02 - MEDIA_GAP_SECONDS) < 0.02  # what comes behind it is heard in its time
    gap.close()
    loop.advance(5)
    assert len(sent) == 2 * always
    assert loop.pending_timers() == []
