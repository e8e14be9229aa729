from typing import Any

import pytest

from fastbridge.sim.live_session_object import LiveSettings

BACKEND = {"model": "gpt-5.5", "instructions": "Look it up.", "tools": []}
RESPONSES = {"type": "responses", "responses": BACKEND}


def started(**config: Any) -> LiveSettings:
    made = LiveSettings("live_1", 1_800_000_000)
    assert made.start({"model": "gpt-live-1", **config}) is None
    return made


def code(problem: Any) -> str | None:
    found: str | None = problem and problem.code
    return found


def test_what_is_left_out_has_the_defaults_of_the_service() -> None:
    made = started()
    assert made.view() == {
        "input": [],
        "id": "live_1",
        "expires_at": 1_800_000_000,
        "status": "active",
        "model": "gpt-live-1",
        "audio": {"format": {"type": "audio/pcm", "rate": 24_000}, "output": {"voice": "marin"}},
        "delegation": {"type": "client"},
    }
    assert (made.delegation, made.tools, made.stored, made.acknowledgement_delay_ms) == ("client", [], False, 0)


def test_a_view_is_a_copy() -> None:
    made = started(delegation=RESPONSES)
    made.view()["delegation"]["responses"]["model"] = "other"
    assert made.settings["delegation"]["responses"]["model"] == "gpt-5.5"
    assert made.settings["delegation"] is not RESPONSES


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model": "gpt-realtime-2.1"}, "model_not_found"),
        ({"instructions": "x" * 4 * 16_385}, "string_above_max_length"),
        ({"input": [{"role": "user", "content": [{"text": "x" * 4 * 8193}]}]}, "string_above_max_length"),
        ({"audio": {"format": {"type": "audio/pcma", "rate": 8000}}}, "not_simulated"),
        ({"delegation": {"type": "decisions", "decisions": {}}}, "not_simulated"),
        ({"triggers": [{}]}, "not_simulated"),
        ({"delegation": {"type": "responses", "responses": {"tools": [{"type": "mcp"}]}}}, "not_simulated"),
    ],
)
def test_a_start_that_is_refused_changes_nothing(config: dict[str, Any], expected: str) -> None:
    made = LiveSettings("live_1", 0)
    before = made.view()
    assert code(made.start({"model": "gpt-live-1", **config})) == expected
    assert made.view() == before


def test_an_update_changes_what_it_names() -> None:
    made = started(delegation=RESPONSES)
    update = {"type": "responses", "acknowledgement_delay_ms": 400, "responses": {"instructions": "Quick."}}
    assert made.update({"delegation": update}) is None
    assert made.settings["delegation"]["responses"] == {**BACKEND, "instructions": "Quick."}
    assert made.acknowledgement_delay_ms == 400
    assert made.update({}) is None


@pytest.mark.parametrize(
    ("mine", "patch", "expected"),
    [
        (RESPONSES, {"delegation": {"type": "client"}}, "immutable_field_update"),
        (RESPONSES, {"delegation": None}, "immutable_field_update"),
        (None, {"delegation": None}, None),
        (None, {"delegation": RESPONSES}, "immutable_field_update"),
        (None, {"triggers": [{}]}, "not_simulated"),
        (None, {"triggers": []}, None),
    ],
)
def test_the_owner_of_tasks_is_fixed(mine: Any, patch: dict[str, Any], expected: str | None) -> None:
    assert code(started(delegation=mine).update(patch)) == expected


def test_a_fork_takes_over_what_it_does_not_name() -> None:
    source = started(delegation=RESPONSES, store=True, instructions="Be kind.")
    fork = LiveSettings("live_2", 5, source)
    config = {"audio": {"format": {"type": "audio/pcmu", "rate": 8000}}, "store": False}
    assert fork.start({**config, "delegation": {"type": "responses", "responses": {"model": "m"}}}) is None
    assert (fork.settings["id"], fork.settings["instructions"], fork.stored) == ("live_2", "Be kind.", False)
    assert fork.audio_format == {"type": "audio/pcmu", "rate": 8000}
    assert fork.settings["delegation"]["responses"] == {**BACKEND, "model": "m"}
    assert source.settings["delegation"]["responses"] == BACKEND


def test_a_fork_changes_no_owner_and_has_no_data_channel() -> None:
    fork = LiveSettings("live_2", 5, started(store=True))
    assert code(fork.start({"delegation": {"type": "responses"}})) == "immutable_field_update"
    assert code(fork.start({"client": {}})) == "not_simulated"
