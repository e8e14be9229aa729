from collections.abc import Sequence
from typing import Any

import pytest

from fastbridge.sim.live_script import Live
from fastbridge.sim.scenario import CallTool, Say, Scenario, Turn, babble
from live_client import LiveClient, started
from live_events import TOOL
from model_client import errors

SPEECH = babble("When are you open?")
BACKED = {"type": "responses", "responses": {"model": "gpt-5.5", "tools": [TOOL]}}
CALL = CallTool("f")


def asked(scenario: Scenario, delegation: dict[str, Any] | None, listen_ms: float = 3000) -> LiveClient:
    made = started(scenario, delegation=delegation)
    made.hear(SPEECH)
    made.listen(listen_ms)
    return made


def answer(made: LiveClient) -> None:
    call_id = made.nested("response.output_item.done")[-1]["item"]["call_id"]
    made.send("response.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "9"})
    made.send("response.create")
    made.listen(3000)


def test_one_delegation_may_take_several_responses() -> None:
    made = asked(Scenario(turns=(CALL, CALL, Say("At nine."))), BACKED)
    answer(made)
    answer(made)
    assert len(made.of("session.delegation.created")) == 1
    assert {event["delegation_id"] for event in made.of("response.event")} == {made.session.delegations[0].id}
    assert len({event["response"]["id"] for event in made.nested("response.created")}) == 3
    assert made.said() == "At nine."
    assert made.session.errors == []


HANG_UP = CallTool("hang_up")
GOODBYE = (Say("Goodbye!"), HANG_UP)


@pytest.mark.parametrize("turns", [(GOODBYE,), (CALL, GOODBYE)])
def test_who_has_said_goodbye_and_hung_up_has_no_more_to_say(turns: Sequence[Turn]) -> None:
    """As with the Realtime API, where nothing more is asked for then."""
    offers = {**TOOL, "name": "hang_up"}
    made = asked(Scenario(turns=turns), {**BACKED, "responses": {"model": "gpt-5.5", "tools": [TOOL, offers]}})
    for _ in turns:
        answer(made)
    assert made.said() == "Goodbye!"
    assert len(made.nested("response.completed")) == 1 + len(turns)
    assert made.session.errors == []


def test_who_has_said_nothing_has() -> None:
    offers = {**TOOL, "name": "hang_up"}
    made = asked(Scenario(turns=(HANG_UP, Say("Goodbye!"))), {**BACKED, "responses": {"model": "m", "tools": [offers]}})
    answer(made)
    assert made.said() == "Goodbye!"


def test_the_conversation_has_the_call_and_its_output_for_the_script() -> None:
    made = asked(Scenario(turns=(CALL, Say("At nine."))), BACKED)
    answer(made)
    kinds = [each["type"] for each in made.session.conversation]
    assert kinds == ["message", "function_call", "function_call_output", "message"]


def test_what_is_asked_in_writing_is_nobody_s_delegation() -> None:
    made = started(Scenario(turns=(Say("At nine."),)), delegation=BACKED)
    made.send("response.item.create", item={"type": "message", "role": "user", "content": "When?"})
    made.send("response.create")
    made.listen(3000)
    assert {event["delegation_id"] for event in made.of("response.event")} == {None}
    assert made.said() == "At nine."
    assert made.of("session.delegation.created") == []


def test_a_response_while_one_is_made_is_refused_and_no_mistake() -> None:
    made = started(Scenario(turns=(Say("At nine."),)), delegation=BACKED)
    made.send("response.item.create", item={"type": "message", "role": "user", "content": "When?"})
    made.send("response.create")
    made.send("response.create")
    made.run(100)
    assert errors(made) == [("response_in_progress", None)]
    assert made.session.errors == []


def test_an_acknowledgement_waits_as_the_session_says() -> None:
    scenario = Scenario(turns=(CALL,), live=Live(acknowledgement="One moment."))
    made = asked(scenario, {"type": "client", "acknowledgement_delay_ms": 2000}, 1500)
    assert made.said() == ""
    made.listen(3000)
    assert made.said() == "One moment."


def test_and_is_not_said_where_the_client_has_said_something() -> None:
    scenario = Scenario(turns=(CALL,), live=Live(acknowledgement="One moment."))
    made = asked(scenario, {"type": "client", "acknowledgement_delay_ms": 2000}, 1500)
    made.append("thinking", "Still looking.", made.session.delegations[0].id)
    made.listen(3000)
    assert made.said() == ""


def test_instructions_are_no_reason_to_say_nothing() -> None:
    scenario = Scenario(turns=(CALL,), live=Live(acknowledgement="One moment.", instructions_ms=None))
    made = asked(scenario, {"type": "client", "acknowledgement_delay_ms": 2000}, 1500)
    made.append("instructions", "Be brief.")
    made.listen(3000)
    assert made.said() == "One moment."


def test_nor_where_the_model_has() -> None:
    scenario = Scenario(turns=((Say("Let me see."), CALL),), live=Live(acknowledgement="One moment."))
    assert asked(scenario, None).said() == "Let me see."
