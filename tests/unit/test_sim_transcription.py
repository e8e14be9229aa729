from fastbridge.sim.items import Item
from fastbridge.sim.timeline import Timeline
from fastbridge.sim.transcription import transcription
from fastbridge.sim.wire import Event, Ids


def heard() -> Item:
    content = [{"type": "input_audio", "transcript": None}]
    return Item("item_u", "message", {"role": "user", "content": content}, audio=bytearray(b"\x10" * 12_000))


def events(item: Item, transcript: str, *, by_duration: bool = False) -> list[Event]:
    line = Timeline(0.0, transcription(item, transcript, 300.0, Ids("x"), by_duration=by_duration))
    taken: list[Event] = []
    while line.due_ms is not None:
        assert line.due_ms == 300.0
        taken += line.take()
    return taken


def test_deltas_then_the_whole_and_the_item_knows_it_afterwards() -> None:
    item = heard()
    taken = events(item, "Two words.")
    assert [event.type.rsplit(".", 1)[1] for event in taken] == ["delta", "delta", "completed"]
    assert "".join(event.body["delta"] for event in taken[:-1]) == "Two words."
    assert taken[-1].body["transcript"] == "Two words."
    assert taken[-1].body["usage"]["type"] == "tokens"
    assert item.part["transcript"] == "Two words."


def test_a_noise_turn_has_an_empty_transcript_and_no_deltas() -> None:
    taken = events(heard(), "", by_duration=True)
    assert [event.body.get("transcript") for event in taken] == [""]
    assert taken[0].body["usage"] == {"type": "duration", "seconds": 1.5}
