import pytest

from fastbridge.sim import live_refusals
from fastbridge.sim.live_refusals import CLOSING, NOT_STARTED, in_progress, is_benign
from fastbridge.sim.wire import Problem


@pytest.mark.parametrize("problem", [CLOSING, in_progress("resp_1")])
def test_what_a_correct_client_can_meet(problem: Problem) -> None:
    assert is_benign(problem)


@pytest.mark.parametrize("problem", [NOT_STARTED, live_refusals.unknown_call("call_1"), live_refusals.ODD_BYTES])
def test_what_is_a_mistake(problem: Problem) -> None:
    assert not is_benign(problem)


def test_every_refusal_has_a_code_and_says_what_is_wrong() -> None:
    made = [each for each in vars(live_refusals).values() if isinstance(each, Problem)]
    assert len(made) > 8
    assert all(each.code and each.message and each.type == "invalid_request_error" for each in made)
