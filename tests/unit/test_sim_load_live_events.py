import pytest

from fastbridge.sim import load_live_events
from live_client import assert_valid

FILLED = {1: b"0000000a", 3: b"000000ff", 4: b"1234"}
SETTINGS = b'"model":"gpt-live-1","audio":{"format":{"type":"audio/pcmu","rate":8000}},"delegation":{"type":"client"}'
RAW = {"spoken": b"1534", "heard": b"1534", "started": SETTINGS}
"""Text as it comes; elsewhere the id that the client gave."""


def filled(name: str, raw: bytes) -> str:
    [template] = load_live_events.scripts()[name]
    for code, text in {**FILLED, 5: raw}.items():
        template = template.replace(bytes([code]), text)
    assert min(template) >= 32, "nothing is left open"
    return template.decode()


ACKNOWLEDGED = {"commentary", "instructions", "thinking", "updated"}


@pytest.mark.parametrize("name", sorted(load_live_events.scripts().keys() - {"audio", "updated", "closed"}))
def test_a_template_filled_in_is_an_event_that_the_sdk_knows(name: str) -> None:
    assert_valid(filled(name, RAW.get(name, b"")))


@pytest.mark.parametrize("name", sorted(ACKNOWLEDGED))
def test_an_acknowledgement_names_the_clients_event(name: str) -> None:
    assert '"client_event_id":"mine","' in filled(name, b'"client_event_id":"mine",')


def test_a_delta_is_open_for_its_audio() -> None:
    assert load_live_events.scripts()["audio"] == [b'{"type":"session.output_audio.delta","delta":"']
