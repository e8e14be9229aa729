import json

import pytest

from fastbridge.sim import load_events
from fastbridge.sim.audio import level_dbfs, to_frames

FILLED = {1: b"0000000a", 2: b"00000001", 3: b"000000ff", 4: b"1234", 5: b'"raw":1', 6: b"00000002"}


@pytest.mark.parametrize("name", sorted(load_events.scripts().keys() - {"item_added", "delta"}))
def test_a_template_filled_in_is_an_event(name):
    for template in load_events.scripts()[name]:
        raw = b"item_x" if name in ("truncated", "deleted") else FILLED[5]
        for code, text in {**FILLED, 5: raw}.items():
            template = template.replace(bytes([code]), text)
        event = json.loads(template)
        assert list(event)[:2] == ["type", "event_id"]
        assert min(template) >= 32, "nothing is left open"


def test_a_delta_is_open_for_its_audio_and_an_item_for_the_clients():
    [delta] = load_events.scripts()["delta"]
    assert delta.endswith(b'"delta":"')
    added = load_events.scripts()["item_added"]
    assert [template.count(b'"item":\x05}') for template in added] == [1, 1]


def test_there_are_no_more_messages_than_the_players_have_room_for():
    assert max(len(templates) for templates in load_events.scripts().values()) <= 8


def test_the_voice_is_loud_from_its_first_frame_and_the_quiet_is_quiet():
    frames = to_frames(load_events.voice())
    assert len(frames) == load_events.VOICE_FRAMES
    assert all(-15 < level_dbfs(frame) < -9 for frame in frames)
    assert len(load_events.quiet()) == load_events.QUIET_BYTES + 160
    assert level_dbfs(load_events.quiet()) < -70
    assert load_events.quiet()[:160] == load_events.quiet()[-160:]
