"""The model speaks by itself when the caller has not for long enough."""

from fastbridge.sim.scenario import Say, Scenario
from model_client import SILENT_FRAME, VirtualClient, configured, types

IDLE = {"type": "server_vad", "idle_timeout_ms": 6000}
AUDIO_MS = 2000
GREETING = Say("Hello.", b"\x20" * (AUDIO_MS * 8))


def greeted(**detection: object) -> VirtualClient:
    made = configured(Scenario(greeting=GREETING), input_settings={"turn_detection": {**IDLE, **detection}})
    made.send("response.create")
    made.run_until("response.done")
    return made


def test_it_counts_from_the_end_of_the_audio_not_of_the_response():
    made = greeted()
    done_ms = made.times_ms[-1]
    made.hear(SILENT_FRAME * 100)
    event = made.run_until("input_audio_buffer.timeout_triggered")
    index = made.events.index(event)
    assert made.times_ms[index] == done_ms + AUDIO_MS + 6000
    assert (event["audio_start_ms"], event["audio_end_ms"]) == (0, 2000)


def test_empty_audio_is_committed_and_answered():
    made = greeted()
    event = made.run_until("input_audio_buffer.timeout_triggered")
    made.run(3000)
    after = made.events[made.events.index(event) :]
    assert types(after)[:5] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert after[1]["item_id"] == event["item_id"]


def test_it_comes_again_and_again_until_somebody_speaks():
    made = greeted()
    made.run(60_000)
    assert len(made.of("input_audio_buffer.timeout_triggered")) > 3
    silent = greeted(idle_timeout_ms=None)
    silent.run(60_000)
    assert silent.of("input_audio_buffer.timeout_triggered") == []


def test_not_while_the_caller_speaks_nor_before_the_first_response():
    made = configured(input_settings={"turn_detection": IDLE})
    made.run(60_000)
    assert made.of("input_audio_buffer.timeout_triggered") == []
    made = greeted(create_response=False)
    made.hear(GREETING.sound() * 6)
    assert made.of("input_audio_buffer.timeout_triggered") == []
    made.hear(SILENT_FRAME * 100)
    stopped_ms = made.times_ms[made.events.index(made.last("input_audio_buffer.committed"))]
    made.run_until("input_audio_buffer.timeout_triggered")
    assert made.times_ms[made.events.index(made.last("input_audio_buffer.timeout_triggered"))] == stopped_ms + 6000
