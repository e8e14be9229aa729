"""The fault tests and the properties of whole calls run in both dialects, or it is said why not."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dialects import CATALOGUES, LIVE, ONLY_LIVE, ONLY_REALTIME, REALTIME, dialects_of, in_words_of, moment_in_live
from fastbridge.sim import faults, live_faults
from fastbridge.sim.disruption import Elapsed, On
from fastbridge.sim.scenario import Scenario

TESTS = Path(__file__).parent
PROPERTIES = ("fault", "own_faults", "ending")
FILES = [
    *sorted((TESTS / "faults").glob("test_*.py")),
    *(TESTS / "property" / f"test_{name}_properties.py" for name in PROPERTIES),
]
PERFORMERS = {"dialect", "perform", "stage_with"}
"""What a test is given that performs a play in a dialect."""


def found_in(file: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


FUNCTIONS = [function for file in FILES for function in found_in(file)]
NAMES = [function.name for function in FUNCTIONS]


def test_no_name_stands_for_two_and_none_is_stale():
    assert len(set(NAMES)) == len(NAMES)
    assert {*ONLY_REALTIME, *ONLY_LIVE} <= set(NAMES)
    assert ONLY_REALTIME.keys() & ONLY_LIVE.keys() == set()
    assert all(reason for reason in (*ONLY_REALTIME.values(), *ONLY_LIVE.values()))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_each_is_run_in_each_dialect_or_listed(function):
    given = {argument.arg for argument in function.args.args}
    assert given & PERFORMERS or len(dialects_of(function.name)) == 1


@pytest.mark.parametrize("fault", CATALOGUES[LIVE], ids=str)
def test_no_word_of_the_other_dialect_is_left(fault):
    """Nothing that happens to GPT-Live waits for an event that it does not have."""
    for attempt in range(2):
        for each in in_words_of(LIVE, fault)(Scenario())(attempt).disruptions:
            assert moment_in_live(each.when) == each.when


def test_a_moment_without_words_is_refused():
    with pytest.raises(ValueError, match=r"no response\.done"):
        moment_in_live(On("response.done"))
    assert moment_in_live(Elapsed(5.0)) == Elapsed(5.0)


def test_realtime_is_told_in_its_own_words():
    fault = faults.dropped(faults.IDLE)
    assert in_words_of(REALTIME, fault) is fault
    assert in_words_of(LIVE, None) is None


@pytest.mark.parametrize(("dialect", "module"), [(REALTIME, faults), (LIVE, live_faults)])
def test_every_kind_of_fault_of_the_service_s_is_in_its_catalogue(dialect, module):
    assert {each.name for each in module.CATALOGUE} <= {each.name for each in CATALOGUES[dialect]}
