import json
from base64 import b64decode
from typing import Any

import pytest

from fastbridge.sim.scenario import CallTool, Fail, ResponseRequest, Say, Scenario, Turn, babble
from model_client import SILENT_FRAME, VirtualClient, configured, errors, types

SPEECH = babble("This is the caller, speaking to the machine.")[: 1000 * 8]
PAUSE = SILENT_FRAME * 50
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
TOOL = {"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}
LONG = Say("A long story that goes on and on.", b"\x20" * 80_000)


# Opening and settings.


def test_created_comes_first_and_names_the_session() -> None:
    made = VirtualClient(unix_s=1000.0, model="gpt-realtime-1.5")
    assert types(made.events) == ["session.created"]
    session = made.events[0]["session"]
    assert session["id"].startswith("sess_")
    assert (session["expires_at"], session["model"]) == (1000 + 3600, "gpt-realtime-1.5")
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_an_update_is_echoed_merged_and_a_little_later() -> None:
    made = VirtualClient()
    asked_ms = made.now_ms
    session = made.configure(turn_detection=VAD)["session"]
    assert made.times_ms[-1] == asked_ms + made.session.scenario.update_ms
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    assert session["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.0}
    assert made.session.configured
    assert made.session.errors == []


def test_what_follows_an_update_waits_for_it() -> None:
    made = VirtualClient()
    made.send("session.update", session={"type": "realtime", "instructions": "x"})
    made.send("response.create")
    made.send("session.update", session={"type": "realtime", "instructions": "y"})
    made.send("input_audio_buffer.clear")
    order = ["session.updated", "response.created", "session.updated", "input_audio_buffer.cleared"]
    assert types(made.run(60)) == order


def test_a_refused_update_changes_nothing_and_says_which_event_it_was() -> None:
    made = VirtualClient()
    made.send("session.update", event_id="mine", session={"type": "realtime", "voice": "marin"})
    made.run()
    assert types(made.events) == ["session.created", "error"]
    assert made.events[1]["error"] == {
        "type": "invalid_request_error",
        "code": "unknown_parameter",
        "message": "Unknown parameter: 'session.voice'.",
        "param": "session.voice",
        "event_id": "mine",
    }
    assert made.session.errors == ["session.update: unknown_parameter: Unknown parameter: 'session.voice'."]
    assert not made.session.configured


def test_the_voice_is_fixed_by_the_first_audio() -> None:
    made = configured()
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    made.send("session.update", session={"type": "realtime", "audio": {"output": {"voice": "cedar"}}})
    made.run()
    made.send("response.create", response={"audio": {"output": {"voice": "cedar"}}})
    made.run()
    assert errors(made) == [("cannot_update_voice", None)] * 2


NOT_A_NUMBER = '{"type":"session.update","session":{"type":"realtime","audio":{"output":{"speed":NaN}}}}'


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"type":"x"}', NOT_A_NUMBER, "[" * 100_000, '{"type":null}', '"\\ud800"']
)
def test_rubbish_is_refused_and_the_session_goes_on(text: str) -> None:
    made = configured()
    made.send_text(text)
    made.send("response.create")
    made.run_until("response.done")
    assert len(made.of("error")) == len(made.session.errors) == 1


def test_binary_frames_are_refused() -> None:
    made = configured()
    made.session.receive_binary(b"\x00" * 160, made.now_ms)
    assert types(made.run(0)) == ["error"]
    assert "binary" in made.session.errors[0]


def test_the_beta_shape_is_refused_and_the_connection_closed() -> None:
    made = VirtualClient(beta=True)
    assert types(made.events) == ["error"]
    assert made.events[0]["error"]["code"] == "beta_api_shape_disabled"
    assert made.session.closed == (4000, "invalid_request_error.beta_api_shape_disabled")
    assert made.session.next_due_ms() is None
    made.send("response.create")
    assert made.run() == []
    assert len(made.session.errors) == 1


def test_a_session_lasts_an_hour() -> None:
    made = configured()
    made.run(3_599_000 - 25)
    assert made.session.closed is None
    made.run(2_000)
    assert made.last("error")["error"]["code"] == "session_expired"
    assert made.session.closed == (1001, "Your session hit the maximum duration of 60 minutes.")
    assert made.session.errors == [], "expiry is no mistake of the client"


def test_after_the_end_nothing_is_due_whatever_was_under_way() -> None:
    made = configured(Scenario(greeting=LONG, max_session_ms=500.0))
    made.send("response.create")
    made.run()
    assert types(made.events)[-1] == "error"
    assert made.session.active is not None
    assert made.session.next_due_ms() is None
    assert made.session.poll(made.now_ms + 60_000) == []


# Responses.


def test_greeting_first_then_the_turns() -> None:
    made = configured(Scenario(greeting=Say("hello"), turns=(Say("one"), Say("two"))))
    for _ in range(4):
        made.send("response.create")
        made.run_until("response.done")
    spoken = [event["transcript"] for event in made.of("response.output_audio_transcript.done")]
    assert spoken == ["hello", "one", "two", "one"]


def test_a_failed_greeting_is_tried_again_a_replayed_conversation_is_not_greeted() -> None:
    failing = configured(Scenario(greeting=Fail(), turns=(Say("one"),)))
    for _ in range(2):
        failing.send("response.create")
        assert failing.run_until("response.done")["response"]["status"] == "failed"
    replayed = configured(Scenario(greeting=Say("hello"), turns=(Say("one"),)))
    part = {"type": "output_text", "text": "Hello before."}
    replayed.send("conversation.item.create", item={"type": "message", "role": "assistant", "content": [part]})
    replayed.send("response.create")
    assert replayed.run_until("response.output_audio_transcript.done")["transcript"] == "one"


def test_a_response_beside_the_conversation_is_no_greeting() -> None:
    made = configured(Scenario(greeting=Say("hello"), turns=(Say("one"),)))
    made.send("response.create", response={"conversation": "none"})
    assert made.run_until("response.output_audio_transcript.done")["transcript"] == "one"


def test_what_response_create_says_is_echoed() -> None:
    made = configured()
    made.send("response.create", response={"metadata": {"purpose": "greeting"}, "max_output_tokens": 100})
    done = made.run_until("response.done")["response"]
    assert made.last("response.created")["response"]["metadata"] == done["metadata"] == {"purpose": "greeting"}
    assert done["max_output_tokens"] == 100
    assert done["audio"]["output"] == {"format": {"type": "audio/pcmu"}, "voice": "marin"}


def test_all_audio_arrives_and_is_remembered_by_item() -> None:
    made = configured(Scenario(greeting=LONG))
    made.send("response.create")
    item_id = made.run_until("response.done")["response"]["output"][0]["id"]
    assert made.audio() == LONG.audio == bytes(made.session.items[item_id].audio)


def test_before_an_update_audio_is_24_khz_pcm() -> None:
    made = VirtualClient(Scenario(greeting=Say("Hi", b"\xff" * 800)))
    made.send("response.create")
    made.run()
    assert made.audio() == bytes(4800)


def test_one_response_at_a_time() -> None:
    made = configured()
    made.send("response.create")
    active = made.run_until("response.created")["response"]["id"]
    made.send("response.create")
    refused = made.run_until("error")["error"]
    assert refused["code"] == "conversation_already_has_active_response"
    assert active in refused["message"]
    assert len(made.session.benign_errors) == 1
    assert made.session.errors == []
    made.run()
    assert len(made.of("response.done")) == 1


def test_beside_the_conversation_there_may_be_another() -> None:
    made = configured(Scenario(greeting=LONG, turns=(Say("aside"),)))
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    made.send("response.create", response={"conversation": "none", "metadata": {"purpose": "check"}})
    made.run()
    aside, main = (event["response"] for event in made.of("response.done"))
    assert (aside["conversation_id"], aside["metadata"]) == (None, {"purpose": "check"})
    assert main["status"] == "completed"
    assert len(made.session.conversation) == 1


def test_cancel_ends_the_response_a_little_later() -> None:
    made = configured(Scenario(greeting=LONG, cancel_ms=20.0))
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    made.run(300)
    asked_ms = made.now_ms
    made.send("response.cancel", response_id=made.last("response.created")["response"]["id"])
    done = made.run_until("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert made.now_ms == asked_ms + 20.0
    assert made.run(10_000) == []
    assert made.session.active is None


def test_cancelling_nothing_is_benign() -> None:
    made = configured(Scenario(greeting=LONG))
    made.send("response.cancel")
    made.send("response.create")
    made.run_until("response.output_audio.delta")
    made.send("response.cancel", response_id="resp_other")
    made.send("response.cancel")
    made.send("response.cancel")
    made.run()
    made.send("response.cancel", response_id=made.last("response.created")["response"]["id"])
    made.run()
    assert errors(made) == [("response_cancel_not_active", None)] * 4
    assert made.session.errors == []


def test_a_script_sees_why_it_is_asked() -> None:
    asked: list[ResponseRequest] = []

    def script(request: ResponseRequest) -> Turn:
        asked.append(request)
        return Say("x", b"")

    made = configured(Scenario(script=script), input_settings={"turn_detection": VAD})
    made.send("response.create", response={"instructions": "Greet."})
    made.run(1000)
    made.hear(SPEECH + PAUSE)
    assert [(each.trigger, each.index, each.reply_index, each.is_greeting) for each in asked] == [
        ("client", 0, 0, True),
        ("vad", 1, 0, False),
    ]
    assert asked[0].params == {"instructions": "Greet."}
    assert [item["role"] for item in asked[1].conversation] == ["assistant", "user"]


def test_the_same_seed_and_serial_repeat_everything_another_serial_has_other_ids() -> None:
    def run(serial: int) -> list[dict[str, Any]]:
        made = VirtualClient(Scenario(greeting=LONG), serial=serial)
        made.send("response.create")
        made.run()
        return made.events

    first, again, other = run(0), run(0), run(1)
    assert first == again
    assert not {event["event_id"] for event in first} & {event["event_id"] for event in other}


def test_polling_late_changes_nothing_but_the_moment() -> None:
    made, late = VirtualClient(Scenario(greeting=LONG)), VirtualClient(Scenario(greeting=LONG))
    for each in (made, late):
        each.send("session.update", session={"type": "realtime"})
        each.send("response.create")
    made.run()
    frames = late.session.poll(late.now_ms + 60_000)
    assert [json.loads(frame) for frame in frames] == made.events[1:]


# Tools.


def test_a_tool_call_waits_for_its_output_and_a_new_response() -> None:
    turns = (CallTool("look_up", {"city": "Haifa"}), Say("It is sunny."))
    made = configured(Scenario(turns=turns, greeting=Say("hi", b"")))
    made.send("session.update", session={"type": "realtime", "tools": [TOOL]})
    made.send("response.create")
    made.run_until("response.done")
    made.send("response.create")
    call = made.run_until("response.function_call_arguments.done")
    made.run()
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"sky":"clear"}'}
    made.send("conversation.item.create", item=output)
    assert types(made.run(5_000)) == ["conversation.item.added", "conversation.item.done"]
    made.send("response.create")
    assert made.run_until("response.output_audio_transcript.done")["transcript"] == "It is sunny."
    assert made.session.tool_outputs == {call["call_id"]: '{"sky":"clear"}'}
    assert made.session.errors == []


def test_tool_mistakes_of_the_client_are_noted() -> None:
    made = configured(Scenario(greeting=CallTool("look_up")))
    made.send("response.create")
    call_id = made.run_until("response.function_call_arguments.done")["call_id"]
    made.run()
    for each in ("call_unknown", call_id, call_id):
        item = {"type": "function_call_output", "call_id": each, "output": ""}
        made.send("conversation.item.create", item=item)
    made.run()
    assert errors(made) == [("invalid_tool_call_id", None)]
    assert [note.split(":")[0] for note in made.session.errors] == [
        "the script calls 'look_up', a tool that the session does not offer",
        "conversation.item.create",
        "conversation.item.create",
    ]


def test_a_response_may_bring_its_own_tools() -> None:
    made = configured(Scenario(greeting=CallTool("look_up")))
    made.send("response.create", response={"tools": [TOOL]})
    made.run_until("response.function_call_arguments.done")
    assert made.session.errors == []


# Items.


def spoken_item(made: VirtualClient) -> str:
    made.send("response.create")
    item_id: str = made.run_until("response.done")["response"]["output"][0]["id"]
    made.run()
    return item_id


def test_truncate_says_so_and_is_remembered() -> None:
    made = configured(Scenario(greeting=LONG))
    item_id = spoken_item(made)
    made.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=1500)
    assert made.run_until("conversation.item.truncated")["audio_end_ms"] == 1500
    assert made.session.items[item_id].audio_end_ms == 1500
    assert made.session.items[item_id].view()["content"][0]["transcript"] is None


def test_truncate_beyond_the_audio_is_benign_an_unknown_item_is_not() -> None:
    made = configured(Scenario(greeting=LONG))
    item_id = spoken_item(made)
    for target, end_ms in ((item_id, 10_001), ("item_other", 1)):
        made.send("conversation.item.truncate", item_id=target, content_index=0, audio_end_ms=end_ms)
    made.run()
    assert errors(made) == [("invalid_value", "audio_end_ms"), ("item_truncate_invalid_item_id", "item_id")]
    assert made.of("error")[0]["error"]["message"] == "Audio content of 10000ms is already shorter than 10001ms"
    assert (len(made.session.benign_errors), len(made.session.errors)) == (1, 1)


def test_truncate_counts_only_audio_that_went_out() -> None:
    made = configured(Scenario(greeting=LONG))
    made.send("response.create")
    item_id = made.run_until("response.output_audio.delta")["item_id"]
    made.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=101)
    made.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
    made.run(0)
    assert types(made.events)[-2:] == ["error", "conversation.item.truncated"]


def test_items_are_created_retrieved_and_deleted() -> None:
    made = configured(Scenario(greeting=Say("Hi", b"\x20" * 800)))
    item_id = spoken_item(made)
    part = {"type": "input_text", "text": "Be brief."}
    item = {"type": "message", "id": "mine", "role": "system", "content": [part]}
    made.send("conversation.item.create", previous_item_id="root", item=item)
    made.send("conversation.item.retrieve", item_id=item_id)
    made.send("conversation.item.delete", item_id=item_id)
    made.send("conversation.item.delete", item_id=item_id)
    made.run()
    assert made.last("conversation.item.done")["item"]["content"] == [part]
    assert made.last("conversation.item.done")["previous_item_id"] is None
    retrieved = made.last("conversation.item.retrieved")["item"]["content"][0]
    assert b64decode(retrieved["audio"]) == b"\x20" * 800
    assert made.last("conversation.item.deleted")["item_id"] == item_id
    assert errors(made) == [("item_delete_invalid_item_id", "item_id")]
    assert [each.id for each in made.session.conversation] == ["mine"]


def test_a_response_may_refer_only_to_items_there_are() -> None:
    made = configured()
    made.send("response.create", response={"input": [{"type": "item_reference", "id": "item_x"}]})
    made.run()
    assert errors(made) == [("invalid_value", "response.input[0].id")]


def test_events_are_counted_both_ways() -> None:
    made = configured()
    made.hear(SILENT_FRAME * 3)
    made.send("response.create")
    made.run()
    assert made.session.received["input_audio_buffer.append"] == 3
    assert made.session.sent["response.done"] == 1
    assert sum(made.session.sent.values()) == len(made.events)


# What goes wrong.


def test_a_turn_whose_end_is_not_noticed_ends_by_a_commit() -> None:
    made = configured(Scenario(endless_turns={0}), input_settings={"turn_detection": VAD})
    made.hear(SPEECH + PAUSE + SPEECH + PAUSE)
    assert types(made.events).count("input_audio_buffer.speech_started") == 1
    assert made.of("input_audio_buffer.speech_stopped") == made.of("response.created") == []
    made.send("input_audio_buffer.commit")
    committed = made.run_until("input_audio_buffer.committed")
    assert committed["item_id"] == made.last("input_audio_buffer.speech_started")["item_id"]
    made.hear(SPEECH + PAUSE)
    assert len(made.of("response.created")) == 1


def test_a_turn_that_is_not_answered() -> None:
    made = configured(Scenario(unanswered_turns={0}), input_settings={"turn_detection": VAD})
    made.hear(SPEECH + PAUSE)
    assert len(made.of("input_audio_buffer.committed")) == 1
    assert made.of("response.created") == []
    made.hear(SPEECH + PAUSE)
    assert len(made.of("response.created")) == 1


def test_what_was_asked_for_is_kept_in_order() -> None:
    made = configured()
    made.hear(SILENT_FRAME)
    made.send("response.create", event_id="mine")
    assert [(event["type"], event.get("event_id")) for event in made.session.requests] == [
        ("session.update", None),
        ("response.create", "mine"),
    ]


def test_a_greeting_without_a_word_is_none() -> None:
    made = configured(Scenario(greeting=Say("", b""), turns=(Say("one"),)))
    for _ in range(2):
        made.send("response.create")
        made.run_until("response.done")
    assert [event["transcript"] for event in made.of("response.output_audio_transcript.done")] == ["", ""]
