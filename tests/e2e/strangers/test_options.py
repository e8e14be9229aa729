"""What an operator of a noisy line sets reaches the model: by the environment, and by an agent for one number.
A model that streams has other options, and is told none that it does not know."""

from e2e.dialects import both

SETTINGS = {
    "SERVER_VAD_THRESHOLD": "0.75",
    "SERVER_VAD_SILENCE_MS": "900",
    "SERVER_VAD_PREFIX_PADDING_MS": "400",
    "FASTBRIDGE_NOISE_REDUCTION": "near_field",
    "FASTBRIDGE_SPEED": "1.2",
    "FASTBRIDGE_TRANSCRIPTION_LANGUAGE": "he",
    "FASTBRIDGE_TRANSCRIPTION_PROMPT": "Dana, Netanya",
    "FASTBRIDGE_LIVE_BACKEND_MODEL": "gpt-5.5-mini",
    "FASTBRIDGE_REASONING_EFFORT": "low",
}
OURS = {"create_response": True, "interrupt_response": False}


async def answer(r):
    await r.say("We are open.", 600)


async def settings_of(house, **changes):
    async with house.call(answer, **changes) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(600)
        await call.phone.hears("We are open.")
    (session,) = call.model.sessions
    return session.settings


@both
async def test_the_environments_reach_the_model(house):
    settings = await settings_of(house)
    if house.live:
        behind = settings["delegation"]["responses"]
        assert (behind["model"], behind["reasoning"]) == ("gpt-5.5-mini", {"effort": "low"})
        assert {"look_up", "hang_up", "transfer_call"} <= {tool["name"] for tool in behind["tools"]}
        assert settings["instructions"].startswith("You answer the phone.")
        assert set(settings) == {"model", "instructions", "store", "audio", "delegation"}
        return
    given, taken = settings["audio"]["input"], settings["audio"]["output"]
    detection = {"type": "server_vad", "threshold": 0.75, "silence_duration_ms": 900, "prefix_padding_ms": 400}
    assert given["turn_detection"].items() >= (detection | OURS).items()
    assert given["noise_reduction"] == {"type": "near_field"}
    assert (given["transcription"]["language"], given["transcription"]["prompt"]) == ("he", "Dana, Netanya")
    assert taken["speed"] == 1.2


async def test_an_agents_own_come_before_them(house):
    settings = await settings_of(house, kind="patient")
    given = settings["audio"]["input"]
    assert given["turn_detection"].items() >= ({"type": "semantic_vad", "eagerness": "low"} | OURS).items()
    assert settings["audio"]["output"]["speed"] == 0.9
    assert settings["max_output_tokens"] == 300
    assert given["noise_reduction"] == {"type": "near_field"}
