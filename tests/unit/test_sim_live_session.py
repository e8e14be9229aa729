import json
from base64 import b64encode
from itertools import pairwise
from typing import Any

import pytest

from fastbridge.sim.live_script import Live
from fastbridge.sim.scenario import CallTool, Fail, Say, Scenario, babble
from live_client import AUDIO, RESPONSES, LiveClient, started
from model_client import errors

SPEECH = babble("When are you open?")
PAUSE_MS = 900
GREETED = Scenario(greeting=Say("Hello there."), turns=(Say("We open at nine."), Say("Goodbye.")))
TOOL = {"type": "function", "name": "lookup", "parameters": {"type": "object", "properties": {}}}


def greeted(scenario: Scenario = GREETED, **settings: Any) -> LiveClient:
    made = started(scenario, **settings)
    made.append("commentary", "Say hello.")
    made.listen(2500)
    return made


def with_tools(**changes: Any) -> dict[str, Any]:
    return {"type": "responses", "responses": {"model": "gpt-5.5", "tools": [TOOL], **changes}}


def ask(made: LiveClient, after_ms: float = 3000) -> None:
    made.hear(SPEECH)
    made.listen(after_ms)


# The beginning.


def test_a_session_starts_with_its_settings_resolved() -> None:
    session = LiveClient().start(instructions="Be kind.")["session"]
    assert session["status"] == "active"
    assert session["audio"] == {"format": {"type": "audio/pcmu", "rate": 8000}, "output": {"voice": "marin"}}
    assert session["delegation"] == {"type": "client"}
    assert session["instructions"] == "Be kind."


def test_nothing_comes_before_the_start() -> None:
    made = LiveClient()
    assert made.run(60_000) == []


@pytest.mark.parametrize("kind", ["session.input_audio.mute", "session.close", "response.create"])
def test_a_command_before_the_start_is_refused(kind: str) -> None:
    made = LiveClient()
    made.send(kind, event_id="mine")
    made.run()
    assert errors(made) == [("session_not_started", None)]
    assert made.last("error")["error"]["client_event_id"] == "mine"
    assert made.session.errors == [f"{kind}: session_not_started: {made.last('error')['error']['message']}"]


def test_audio_between_start_and_started_is_refused() -> None:
    made = LiveClient()
    made.send("session.start", session={"model": "gpt-live-1"})
    made.send("session.input_audio.append", audio="////")
    made.run()
    assert errors(made) == [("session_not_started", None)]


def test_a_second_start_is_refused() -> None:
    made = started()
    made.send("session.start", session={"model": "gpt-live-1"})
    made.run()
    assert errors(made) == [("session_already_started", None)]


def test_a_refused_start_starts_nothing_and_may_be_repeated() -> None:
    made = LiveClient()
    made.send("session.start", session={"model": "gpt-realtime-2.1"})
    made.run()
    assert errors(made) == [("model_not_found", "session.model")]
    assert made.start()["session"]["model"] == "gpt-live-1"


# The stream.


def test_audio_flows_at_the_pace_of_time_without_a_pause() -> None:
    made = started()
    made.listen(10_000)
    deltas = [at for at, event in zip(made.times_ms, made.events, strict=True) if event["type"] == AUDIO]
    assert {round(after - before, 6) for before, after in pairwise(deltas)} == {100.0}
    assert made.audio() == b"\xff" * 80_000


def test_the_stream_waits_for_the_caller_s_audio() -> None:
    made = LiveClient(GREETED)
    made.start()
    made.append("commentary", "Hello.")
    made.run(5000)
    assert made.of(AUDIO) == made.of("session.commentary.appended") == []
    made.listen(2000)
    assert made.said() == "Hello there."


def test_or_not() -> None:
    made = LiveClient(Scenario(live=Live(waits_for_input=False)))
    made.start()
    made.run(1000)
    assert len(made.of(AUDIO)) == 10


@pytest.mark.parametrize("ppm", [-2000, 2000])
def test_a_clock_that_drifts_sends_more_or_less_than_time(ppm: float) -> None:
    made = started(Scenario(live=Live(drift_ppm=ppm)))
    made.listen(100_000)
    assert len(made.audio()) / 8 == pytest.approx(100_020 * (1 + ppm / 1e6), abs=101)


def test_deltas_of_odd_sizes_keep_the_pace() -> None:
    made = started(Scenario(live=Live(odd_sizes=True)))
    made.listen(10_000)
    sizes = {len(event["delta"]) for event in made.of(AUDIO)}
    assert len(sizes) > 50
    assert len(made.audio()) / 8 == pytest.approx(10_020, abs=101)


@pytest.mark.parametrize(("rate", "size"), [(16_000, 3200), (24_000, 4800)])
def test_pcm_is_spoken_where_it_was_asked_for(rate: int, size: int) -> None:
    made = started(audio={"format": {"type": "audio/pcm", "rate": rate}})
    made.run(1000)
    assert {len(event["delta"]) for event in made.of(AUDIO)} == {len(b64encode(b"x" * size))}


# What the model says.


def test_the_first_commentary_is_the_greeting_of_the_scenario() -> None:
    made = started(GREETED)
    began_ms = made.session.clock_ms
    made.append("commentary", "Greet the caller.", event_id="mine")
    made.listen(2500)
    first = made.of("session.output_transcript.delta")[0]
    assert made.said() == "Hello there."
    assert first["start_ms"] == pytest.approx(began_ms + 850, abs=100)
    assert made.last("session.commentary.appended")["client_event_id"] == "mine"


def test_later_commentary_is_spoken_word_for_word() -> None:
    made = greeted()
    made.append("commentary", "One moment, please.")
    made.listen(3000)
    assert made.said() == "Hello there.One moment, please."


def test_instructions_make_the_model_speak_later() -> None:
    made = started(GREETED)
    made.append("instructions", "Greet the caller.")
    made.listen(4000)
    assert made.said() == "Hello there."
    assert made.of("session.output_transcript.delta")[0]["start_ms"] >= 2050


def test_thinking_is_silent() -> None:
    made = started(GREETED)
    made.append("thinking", "He is a friend.")
    made.listen(5000)
    assert made.said() == ""
    assert len(made.of("session.thinking.appended")) == 1


def test_the_sound_lies_where_the_transcript_says() -> None:
    made = greeted()
    (first, *_, last) = made.of("session.output_transcript.delta")
    sound = babble("Hello there.")
    audio = made.audio()
    assert audio[first["start_ms"] * 8 : first["start_ms"] * 8 + len(sound)] == sound
    assert last["end_ms"] == first["start_ms"] + len(sound) // 8


def test_the_model_answers_when_the_caller_has_spoken() -> None:
    made = greeted()
    ask(made)
    assert made.understood() == "Hi, I have a question."
    assert made.said() == "Hello there.We open at nine."
    assert made.session.errors == []


def test_the_caller_s_words_come_while_he_speaks_and_do_not_overlap() -> None:
    made = greeted()
    events = made.hear(SPEECH)
    assert [event["delta"] for event in events if event["type"] == "session.input_transcript.delta"][:1] == ["Hi,"]
    made.listen(2000)
    spans = [(event["start_ms"], event["end_ms"]) for event in made.of("session.input_transcript.delta")]
    assert spans == sorted(spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_an_answer_waits_until_the_caller_is_done() -> None:
    made = greeted()
    made.hear(SPEECH)
    made.listen(600)  # the end of the turn is known, the answer has not begun
    ask(made)
    assert made.said() == "Hello there.We open at nine."


def test_the_model_stops_when_the_caller_speaks() -> None:
    long = Say("I will now read the whole of our terms and conditions to you. " * 4)
    made = started(Scenario(greeting=long, turns=(Say("Yes?"),)))
    made.append("commentary", "Go on.")
    made.listen(4000)
    spoken = len(made.said())
    ask(made)
    assert len(made.said()) < spoken + 30
    assert made.said().endswith("Yes?")


def test_or_does_not() -> None:
    long = Say("I will now read the whole of our terms and conditions to you.")
    made = started(Scenario(greeting=long, turns=(Say("Yes?"),), live=Live(interruptible=False)))
    made.append("commentary", "Go on.")
    made.listen(2000)
    ask(made, 5000)
    assert made.said() == f"{long.transcript}Yes?"


def test_the_model_may_speak_over_the_caller() -> None:
    made = greeted(Scenario(greeting=Say("Hello."), turns=(Say("I know!"),), live=Live(speaks_over_ms=200)))
    events = made.hear(SPEECH)
    assert "".join(event["delta"] for event in events if "output_transcript" in event["type"]) == "I know!"
    made.listen(3000)
    assert made.said() == "Hello.I know!"


def test_commentary_waits_while_the_caller_speaks() -> None:
    made = greeted()
    made.hear(SPEECH[:4000])
    made.append("commentary", "By the way.")
    made.hear(SPEECH * 2)
    assert made.said() == "Hello there."
    made.listen(5000)
    assert made.said() == "Hello there.By the way.We open at nine."


def test_an_unanswered_turn_has_no_answer() -> None:
    made = greeted(Scenario(greeting=Say("Hi."), unanswered_turns={0}))
    ask(made)
    assert made.said() == "Hi."


def test_a_turn_that_fails_is_an_error_event_and_no_mistake_of_the_client_s() -> None:
    made = greeted(Scenario(greeting=Say("Hi."), turns=(Fail("rate_limit_exceeded", "Too much."),)))
    ask(made)
    assert errors(made) == [("rate_limit_exceeded", None)]
    assert made.session.errors == []


def test_a_caller_who_stops_sending_is_taken_for_silent() -> None:
    made = greeted()
    made.hear(SPEECH)
    made.run(4000)
    assert made.said() == "Hello there.We open at nine."
    assert made.session.ear is not None
    assert made.session.ear.starved_ms > 3000


# Mute and fixtures.


def test_a_muted_caller_is_not_heard() -> None:
    made = greeted()
    made.send("session.input_audio.mute", event_id="m")
    ask(made)
    assert made.understood() == ""
    assert made.last("session.input_audio.muted")["client_event_id"] == "m"
    made.send("session.input_audio.unmute")
    ask(made)
    assert made.of("session.input_audio.unmuted")
    assert made.understood() == "Hi, I have a question."


def fixture(ms: int) -> str:
    return b64encode(b"\x10\x27" * 24 * ms).decode()


def test_a_fixture_silences_the_model_and_the_caller() -> None:
    long = Say("I will now read the whole of our terms and conditions to you.")
    made = started(Scenario(greeting=long))
    made.append("commentary", "Go on.")
    made.listen(2000)
    spoken = made.said()
    made.send("session.output_audio.fixture.play", audio=fixture(2000), event_id="f")
    made.hear(SPEECH)
    made.append("commentary", "Now.")
    made.listen(400)
    assert errors(made) == [("fixture_active", None)]
    made.listen(1500)
    kinds = [event["type"] for event in made.events if "fixture" in event["type"]]
    assert kinds == ["session.output_audio.fixture.playing", "session.output_audio.fixture.played"]
    assert made.last("session.output_audio.fixture.played")["client_event_id"] == "f"
    assert (made.said(), made.understood()) == (spoken, "")


@pytest.mark.parametrize("audio", ["AA==", "not base64!", fixture(31_000)])
def test_a_fixture_that_cannot_be_played_changes_nothing(audio: str) -> None:
    made = started()
    made.send("session.output_audio.fixture.play", audio=audio)
    made.run()
    assert errors(made) == [("invalid_audio", "audio")]
    assert not made.of("session.output_audio.fixture.playing")


def test_a_second_fixture_waits_for_the_first() -> None:
    made = started()
    for _ in range(2):
        made.send("session.output_audio.fixture.play", audio=fixture(500))
    made.run(1000)
    assert errors(made) == [("fixture_active", None)]
    assert len(made.of("session.output_audio.fixture.played")) == 1


def test_what_was_heard_and_sent_can_be_read() -> None:
    made = started(GREETED)
    assert made.session.input_audio == b"\xff" * 160
    made.append("commentary", "Greet.")
    made.listen(1500)
    assert made.session.speaking
    assert made.session.sent[AUDIO] == len(made.of(AUDIO))
    assert bytes(made.session.output) == made.audio()
    assert made.session.received["session.input_audio.append"] == 76
    assert [each["type"] for each in made.session.requests] == ["session.start", "session.commentary.append"]


# Delegation.


def test_an_update_is_confirmed_with_all_the_settings() -> None:
    made = started(delegation=with_tools())
    update = {"delegation": {"type": "responses", "responses": {"instructions": "Quick."}}}
    made.send("session.update", session=update, event_id="u")
    made.run(100)
    updated = made.last("session.updated")
    assert updated["client_event_id"] == "u"
    backend = {"model": "gpt-5.5", "tools": [TOOL], "instructions": "Quick."}
    assert updated["session"]["delegation"]["responses"] == backend


def test_a_call_comes_as_an_item_that_is_done_and_goes_on_with_its_output() -> None:
    scenario = Scenario(greeting=Say("Hi."), turns=(CallTool("lookup", {"day": "Monday"}), Say("At nine.")))
    made = greeted(scenario, delegation=with_tools())
    ask(made, 2000)
    delegation = made.last("session.delegation.created")["delegation"]
    (done,) = made.nested("response.output_item.done")
    assert delegation["target"] == "responses"
    assert done["item"]["status"] == "completed"
    assert (done["item"]["name"], done["item"]["arguments"]) == ("lookup", '{"day":"Monday"}')
    assert made.last("response.event")["delegation_id"] == delegation["id"]
    assert made.nested("response.completed")[0]["response"]["id"] == delegation["response_id"]
    output = {"type": "function_call_output", "call_id": done["item"]["call_id"], "output": "9"}
    made.send("response.item.create", item=output)
    made.send("response.create")
    made.listen(3000)
    assert made.nested("response.output_text.done")[0]["text"] == "At nine."
    assert made.said() == "Hi.At nine."
    assert made.session.tool_outputs == {done["item"]["call_id"]: "9"}
    assert len(made.of("session.delegation.created")) == 1
    assert made.session.errors == []


def test_a_call_of_a_tool_that_is_not_offered_is_the_script_s_mistake() -> None:
    made = greeted(Scenario(greeting=Say("Hi."), turns=(CallTool("other"),)), delegation=with_tools())
    ask(made)
    assert made.session.errors == ["the script calls 'other', a tool that the session does not offer"]


def test_a_task_for_the_client_says_nothing_of_what_it_is() -> None:
    made = greeted(Scenario(greeting=Say("Hi."), turns=(CallTool("lookup"),)))
    ask(made)
    delegation = made.last("session.delegation.created")["delegation"]
    assert delegation == {"id": delegation["id"], "type": "delegation", "target": "client"}
    assert made.session.delegations[0].calls == [CallTool("lookup")]
    made.append("commentary", "We open at nine.", delegation["id"])
    made.listen(3000)
    assert made.said() == "Hi.We open at nine."
    assert made.session.errors == []


def test_the_model_may_say_that_it_has_delegated() -> None:
    scenario = Scenario(greeting=Say("Hi."), turns=(CallTool("lookup"),), live=Live(acknowledgement="One moment."))
    made = greeted(scenario)
    ask(made)
    assert made.said() == "Hi.One moment."


@pytest.mark.parametrize(
    ("delegation", "kind", "body", "code"),
    [
        ({"type": "client"}, "response.create", {}, "invalid_request"),
        ({"type": "client"}, "response.item.create", {"item": {"role": "user", "content": ""}}, "invalid_request"),
        ({"type": "client"}, "decision.create", {"event_id": "x"}, "invalid_request"),
        (RESPONSES, "response.create", {}, "response_without_input"),
        (
            RESPONSES,
            "response.item.create",
            {"item": {"type": "function_call_output", "call_id": "call_x", "output": ""}},
            "invalid_tool_call_id",
        ),
        (RESPONSES, "session.thinking.append", {"content": "x", "delegation_id": "x"}, "invalid_value"),
        ({"type": "client"}, "session.thinking.append", {"content": "x", "delegation_id": "x"}, "invalid_value"),
        (
            {"type": "client"},
            "session.commentary.append",
            {"content": "x" * 2004, "delegation_id": None},
            "string_above_max_length",
        ),
        ({"type": "client"}, "session.commentary.append", {"content": "x"}, "missing_required_parameter"),
        ({"type": "client"}, "session.update", {"session": {"delegation": RESPONSES}}, "immutable_field_update"),
        ({"type": "client"}, "session.input_audio.append", {"audio": "?"}, "invalid_audio"),
        ({"type": "client"}, "response.cancel", {}, "invalid_value"),
    ],
)
def test_what_the_state_does_not_allow_is_refused(
    delegation: dict[str, Any], kind: str, body: dict[str, Any], code: str
) -> None:
    made = started(delegation=delegation)
    made.send(kind, **body)
    made.run()
    assert [each for each, _ in errors(made)] == [code]
    assert len(made.session.errors) == 1


def test_a_response_waits_for_every_output() -> None:
    scenario = Scenario(greeting=Say("Hi."), turns=((CallTool("lookup"), CallTool("lookup")), Say("Done.")))
    made = greeted(scenario, delegation=with_tools())
    ask(made)
    first, second = (each["item"]["call_id"] for each in made.nested("response.output_item.done"))
    made.send("response.item.create", item={"type": "function_call_output", "call_id": first, "output": "1"})
    made.send("response.create")
    made.run(100)
    assert errors(made) == [("missing_tool_output", None)]
    made.send("response.item.create", item={"type": "function_call_output", "call_id": second, "output": "2"})
    made.send("response.create")
    made.listen(3000)
    assert made.said() == "Hi.Done."


# The end.


def test_a_session_that_is_closed_says_so_and_what_it_cost() -> None:
    made = started()
    made.listen(3000)
    made.send("session.close", event_id="bye")
    made.send("session.input_audio.mute")
    made.run(100)
    closed = made.last("session.closed")
    assert (closed["reason"], closed["usage"], closed["client_event_id"]) == ("close_requested", {"seconds": 3}, "bye")
    assert made.session.closed == (1000, "")
    assert errors(made) == [("session_closing", None)]
    assert made.session.errors == []
    assert made.events[-1] == closed


def test_a_session_expires() -> None:
    made = started(Scenario(live=Live(max_session_ms=5000)))
    made.run(6000)
    assert made.last("session.closed")["reason"] == "expired"
    assert made.session.closed == (1000, "")


def test_usage_comes_again_and_again_and_adds_up_by_itself() -> None:
    made = started()
    made.run(31_000)
    assert [event["usage"] for event in made.of("session.usage.updated")] == [{"seconds": 15}, {"seconds": 30}]


# Forks.


def test_a_fork_goes_on_where_the_stored_session_is() -> None:
    made = greeted(store=True, instructions="Be kind.")
    ask(made)
    fork = LiveClient(GREETED, serial=1, stored=made.session)
    fork.send("session.start", session={})
    fork.run(50)
    session = fork.last("session.started")["session"]
    assert session["instructions"] == "Be kind."
    assert session["id"] != made.session.id
    assert session["audio"]["format"] == {"type": "audio/pcmu", "rate": 8000}
    fork.listen(20)
    ask(fork)
    assert fork.said() == "Goodbye."


def test_a_fork_takes_no_model() -> None:
    fork = LiveClient(stored=started(store=True).session)
    fork.send("session.start", session={"model": "gpt-live-1"})
    fork.run(50)
    assert errors(fork) == [("unknown_parameter", "session.model")]


# Whatever comes.


def test_what_is_not_json_or_not_text_is_refused() -> None:
    made = started()
    for text in ("", "[1]", "{", '{"type": 7}', "NaN", json.dumps({"no": "type"}), "[" * 100_000):
        made.send_text(text)
    made.session.receive_binary(b"x", made.now_ms)
    made.run(50)
    assert len(made.of("error")) == len(made.session.errors) == 8
