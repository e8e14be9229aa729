"""What operator and agent may set of a session, in whole calls: what the model is told, and what we must know of it."""

from typing import Any

import pytest

from fastbridge.agent import Agent, CallContext
from fastbridge.config import load_settings
from fastbridge.errors import ConfigError
from fastbridge.model.history import SPEECH_CHARS_PER_MS
from fastbridge.node.node import Node
from fastbridge.observe.stats import CallStats
from fastbridge.sim.scenario import Say, Scenario, babble
from helpers import LOUD
from stage import Stage
from virtual import Rig

SECOND = bytes(range(160)) * 50
SPEECH_STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "item_u"}


@pytest.fixture
def make():
    rigs: list[Rig] = []

    def make(agent: Agent | None = None, **settings: Any) -> Rig:
        rigs.append(Rig(agent, **{"silence_seconds": 0, **settings}))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.shut()


def told(rig: Rig) -> dict[str, Any]:
    """The session that the model was told of."""
    (update,) = rig.sent("session.update")
    session: dict[str, Any] = update["session"]
    return session


# Who answers


def test_the_agents_own_beat_the_nodes(make):
    agent = Agent(settings={"vad_threshold": 0.8})
    rig = make(agent, vad_threshold=0.3, vad_silence_ms=900).up()
    detection = told(rig)["audio"]["input"]["turn_detection"]
    assert (detection["threshold"], detection["silence_duration_ms"]) == (0.8, 900)


def test_what_on_call_changes_reaches_the_session(make):
    agent = Agent(settings={"vad_threshold": 0.8})

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return context.agent.changed(settings={"vad_silence_ms": 1200, "noise_reduction": "far_field"})

    rig = make(agent, vad_threshold=0.8).up()
    given = told(rig)["audio"]["input"]
    assert given["turn_detection"]["silence_duration_ms"] == 1200
    assert given["turn_detection"]["threshold"] == 0.8
    assert given["noise_reduction"] == {"type": "far_field"}
    assert rig.call.session.settings.vad_silence_ms == 1200


def test_what_on_call_changes_to_what_no_model_takes_is_not_used(make, caplog):
    agent = Agent()

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return context.agent.changed(greeting="Hi.", settings={"vad_eagerness": "low", "speed": 1.2})

    rig = make(agent).up()
    assert told(rig)["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert "speed" not in told(rig)["audio"]["output"]
    assert [record.levelname for record in caplog.records if "VAD_EAGERNESS" in record.getMessage()] == ["WARNING"]
    assert len(rig.sent("response.create")) == 1, "the greeting is the changed agent's all the same"


OTHERWISE: dict[str, Any] = {
    "dsp": False,
    "allowed_callers": ["+14155550100"],
    "silence_seconds": 31,
    "barge_in_frames": 7,
    "max_call_seconds": 61,
    "busy_message": "Later.",
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_what_on_call_cannot_change_any_more_is_named(make, caplog, name):
    change = {name: OTHERWISE[name]}
    agent = Agent()

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return context.agent.changed(**change if hasattr(Agent(), name) else {"settings": change})

    make(agent).up()
    (warning,) = [record.getMessage() for record in caplog.records if "are not used" in record.getMessage()]
    assert f"not used: {name}: settled when the stream starts" in warning
    assert "55501" not in warning


def test_what_on_call_leaves_as_it_was_is_no_warning(make, caplog):
    agent = Agent(dsp=False, settings={"silence_seconds": 31, "vad_threshold": 0.8})

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return context.agent.changed(greeting="Hi.")

    make(agent, silence_seconds=31).up()
    assert "are not used" not in caplog.text


@pytest.mark.parametrize("of_the_agent", [True, False])
def test_on_call_may_still_lift_the_greeting_lock(make, of_the_agent):
    agent = Agent(greeting="Hi.")

    @agent.on_call
    def look(context: CallContext) -> Agent:
        change: Any = {"greeting_lock": False} if of_the_agent else {"settings": {"greeting_lock": False}}
        return context.agent.changed(**change)

    rig = make(agent).up()
    rig.advance(0.1)  # as long as the thread of `look` takes
    assert not rig.call.greeting.locked
    assert make(Agent(greeting="Hi.")).up().call.greeting.locked


def test_on_call_may_still_say_how_keys_end(make):
    heard: list[str] = []
    agent = Agent(keys_end="#", keys_end_seconds=3)
    agent.on_dtmf(lambda digits: heard.append(digits))

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return context.agent.changed(keys_end="*", keys_end_seconds=9)

    rig = make(agent).up()
    rig.advance(0.1)  # as long as the thread of `look` takes
    for key in ("1", "#", "*"):
        rig.do(rig.call.dtmf.press, key)
    rig.advance(0.1)
    assert heard == ["1#"]
    rig.do(rig.call.dtmf.press, "5")
    rig.advance(8)
    assert heard == ["1#"]
    rig.advance(1.1)
    assert heard == ["1#", "5"]


@pytest.mark.parametrize(
    ("explicit", "agents", "nodes", "expected"),
    [
        ("de", "he-IL", "fr", "de"),
        (None, "he-IL", "fr-CA", "he"),
        (None, "", "fr-CA", "fr"),
        ("de", "", "", "de"),
        (None, "", "", None),
    ],
)
@pytest.mark.parametrize("whose", ["the agent's", "on_call's"])
def test_the_transcription_has_its_own_language_or_the_agents_or_the_nodes(
    make, explicit, agents, nodes, expected, whose
):
    own = {} if explicit is None else {"transcription_language": explicit}
    agent = Agent(language=agents, settings=own) if whose == "the agent's" else Agent(language="es")

    @agent.on_call
    def look(context: CallContext) -> Agent:
        return agent if whose == "the agent's" else context.agent.changed(language=agents, settings=own)

    rig = make(agent, language=nodes).up()
    assert told(rig)["audio"]["input"]["transcription"].get("language") == expected


def node_settings(**settings: Any) -> Any:
    given = {"public_url": "https://voice.example.com", "openai_base_url": "http://127.0.0.1:9/v1"}
    return load_settings(**given, database_url="none", **settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"vad_eagerness": "low"},
            "FASTBRIDGE_VAD_EAGERNESS is for FASTBRIDGE_TURN_DETECTION=semantic_vad: set that, too.",
        ),
        (
            {"turn_detection": "semantic_vad", "vad_idle_ms": 6000},
            "FASTBRIDGE_VAD_IDLE_MS is for server_vad: unset it, or FASTBRIDGE_TURN_DETECTION.",
        ),
    ],
)
@pytest.mark.parametrize("whose", ["the agent's", "a number's", "a business's"])
def test_a_node_does_not_start_with_an_agent_that_no_model_takes(settings, sentence, whose):
    agent = Agent(settings=settings if whose == "the agent's" else {})
    if whose == "a number's":
        agent.for_number("+14155550123", settings=settings)
    if whose == "a business's":
        agent.for_business("7", settings=settings)
    with pytest.raises(ConfigError) as caught:
        Node(node_settings(), agent)
    assert str(caught.value) == sentence


# What we must know of them


@pytest.mark.parametrize(
    ("settings", "patience_seconds"),
    [
        ({}, 1.5),
        ({"vad_silence_ms": 2500}, 3.5),
        ({"turn_detection": "semantic_vad"}, 5.0),
        ({"turn_detection": "semantic_vad", "vad_eagerness": "low"}, 9.0),
        ({"turn_detection": "semantic_vad", "vad_eagerness": "high"}, 3.0),
    ],
)
def test_a_model_that_waits_as_long_as_it_was_told_is_not_hurried(make, settings, patience_seconds):
    rig = make(**settings).up()
    rig.model(SPEECH_STARTED)
    rig.caller_says(*[LOUD] * 25)
    rig.advance(patience_seconds - 0.1)
    assert rig.sent("input_audio_buffer.commit") == []
    rig.advance(0.6)  # a voice dies away for us, too
    assert len(rig.sent("input_audio_buffer.commit")) == 1
    assert rig.call.record()["answers"] == {"speech_unstopped": 1}


def test_slow_speech_that_was_asked_for_is_speech(make):
    words = "Of course, I shall look it up for you at once."  # 46 characters in 20 s: at speed 1 no language is so slow
    slow, usual = make(speed=0.3).up(), make().up()
    for rig in (slow, usual):
        rig.respond(SECOND * 20, 1, words)
        rig.advance(1)
        assert rig.call.record()["answers"] == {}
    assert slow.call.session.history.chars_per_ms == len(words) / 20_000
    assert usual.call.session.history.chars_per_ms == SPEECH_CHARS_PER_MS


@pytest.mark.parametrize(("effort", "seconds"), [(None, 8), ("low", 8), ("medium", 16), ("high", 24), ("xhigh", 40)])
def test_a_model_that_thinks_is_given_time(make, effort, seconds):
    rig = make(reasoning_effort=effort).up()
    rig.begin("resp_1")
    rig.advance(seconds - 0.1)
    assert rig.sent("response.cancel") == []
    rig.advance(0.2)
    assert len(rig.sent("response.cancel")) == 1


# The model's own prompts to a caller who says nothing


def idle_call(**settings: Any) -> Stage:
    lines = [Say("Hello there."), Say("Are you still there?"), Say("Goodbye then.")]
    scenario = Scenario(
        script=lambda request: lines[1] if request.trigger == "idle" else lines[not request.is_greeting]
    )
    return Stage(lambda attempt: scenario, Agent(greeting="Hello there."), lines=lines, **settings)


def test_the_models_own_prompts_count_and_end_in_a_goodbye():
    stage = idle_call(vad_idle_ms=5000, silence_seconds=20, silence_prompts=2)
    try:
        stage.until(lambda: stage.over, 60)
        stats: CallStats = stage.call.stats
        idles = stage.session.sent["input_audio_buffer.timeout_triggered"]
        assert (stage.call.end_reason, stats.silences, idles) == ("silence", 3, 3)
        assert stats.turns == 0
        assert stage.call.record()["answers"] == {}
        assert [turn.role for turn in stage.call.session.turns.values()] == ["assistant"] * 5
    finally:
        stage.shut()


def test_where_silence_ends_no_call_the_models_prompts_do_not_either():
    stage = idle_call(vad_idle_ms=5000, silence_seconds=0, max_call_seconds=600)
    try:
        stage.run(60)
        assert not stage.over
        assert stage.session.sent["input_audio_buffer.timeout_triggered"] > 4
    finally:
        stage.shut()


def test_a_caller_who_answers_the_models_prompt_is_a_turn():
    stage = idle_call(vad_idle_ms=5000, silence_seconds=20, silence_prompts=2)
    try:
        stage.until(lambda: stage.call.stats.silences == 2)
        stage.run(3)
        stage.says(babble("Yes, here I am."))
        stage.run(6)
        assert stage.call.stats.turns == 1
        assert stage.call.idle.prompts == 0
        assert [turn.text for turn in stage.call.session.turns.values() if turn.role == "caller"] == [
            "Hi, I have a question."
        ]
        assert not stage.over
    finally:
        stage.shut()


def test_words_that_only_the_transcription_heard_are_a_turn_all_the_same(make):
    rig = make().up()
    rig.model({"type": "input_audio_buffer.timeout_triggered", "item_id": "item_q"})
    rig.model({"type": "input_audio_buffer.committed", "item_id": "item_q"})
    assert (rig.call.turns.owed, list(rig.call.session.turns)) == (False, [])
    rig.model(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_q",
            "transcript": "mumble",
        }
    )
    assert [turn.text for turn in rig.call.session.turns.values()] == ["mumble"]
    assert rig.call.stats.turns == 1
