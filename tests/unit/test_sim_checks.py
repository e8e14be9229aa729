from typing import Any

import pytest

from fastbridge.sim import checks
from fastbridge.sim.checks import Check


def code(check: Check, value: Any) -> str | None:
    problem = check(value, "p")
    return problem.code if problem else None


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        (checks.text(), "", None),
        (checks.text(), 1, "invalid_type"),
        (checks.text(max_length=3), "abcd", "string_above_max_length"),
        (checks.text(max_length=3), "abc", None),
        (checks.text(pattern="[a-z]+"), "abc", None),
        (checks.text(pattern="[a-z]+"), "abc\n", "invalid_value"),
        (checks.integer(1, 3), 0, "integer_below_min_value"),
        (checks.integer(1, 3), 4, "integer_above_max_value"),
        (checks.integer(1, 3), 3, None),
        (checks.integer(), True, "invalid_type"),
        (checks.integer(), 1.0, "invalid_type"),
        (checks.number(0, 1), 0.5, None),
        (checks.number(0, 1), 1, None),
        (checks.number(0, 1), 1.01, "decimal_above_max_value"),
        (checks.number(0, 1), -0.01, "decimal_below_min_value"),
        (checks.number(), "1", "invalid_type"),
        (checks.number(), False, "invalid_type"),
        (checks.boolean, False, None),
        (checks.boolean, 0, "invalid_type"),
        (checks.choice("a", "b"), "b", None),
        (checks.choice("a", "b"), "c", "invalid_value"),
        (checks.choice("a", "b"), None, "invalid_type"),
        (checks.nullable(checks.boolean), None, None),
        (checks.nullable(checks.boolean), 1, "invalid_type"),
        (checks.either(checks.boolean, checks.text()), "x", None),
        (checks.either(checks.boolean, checks.text()), True, None),
        (checks.either(checks.boolean, checks.text()), 1, "invalid_type"),
        (checks.array(checks.boolean), [True], None),
        (checks.array(checks.boolean), True, "invalid_type"),
        (checks.array(checks.boolean, max_length=1), [True, True], "array_above_max_length"),
        (checks.table(checks.text(), 1, 3), {"abc": ""}, None),
        (checks.table(checks.text(), 1, 3), {"a": "", "b": ""}, "object_above_max_properties"),
        (checks.table(checks.text(), 1, 3), {"abcd": ""}, "invalid_value"),
        (checks.table(checks.text(), 1, 3), {"a": 1}, "invalid_type"),
        (checks.table(checks.text(), 1, 3), [], "invalid_type"),
        (checks.record(), [], "invalid_type"),
        (checks.tagged("t", {}), [], "invalid_type"),
        (checks.anything, object(), None),
    ],
)
def test_each_check(check: Check, value: Any, expected: str | None) -> None:
    assert code(check, value) == expected


SESSION = checks.record(
    {"type": checks.choice("realtime")}, {"tools": checks.array(checks.record({"name": checks.text()}))}
)


@pytest.mark.parametrize(
    ("value", "problem", "param"),
    [
        ({}, "missing_required_parameter", "s.type"),
        ({"type": "realtime", "x": 1}, "unknown_parameter", "s.x"),
        ({"type": "realtime", "tools": [{"name": "a"}, {"name": "b", "y": 0}]}, "unknown_parameter", "s.tools[1].y"),
        ({"type": "realtime", "tools": [{}]}, "missing_required_parameter", "s.tools[0].name"),
        ({"type": "beta"}, "invalid_value", "s.type"),
    ],
)
def test_problems_name_the_parameter_by_its_path(value: Any, problem: str, param: str) -> None:
    found = SESSION(value, "s")
    assert found is not None
    assert (found.code, found.param) == (problem, param)


def test_a_top_level_path_has_no_leading_dot() -> None:
    found = SESSION({}, "")
    assert found is not None
    assert found.param == "type"


def test_tagged_asks_for_the_tag_and_then_for_its_variant() -> None:
    check = checks.tagged("type", {"a": checks.record({"type": checks.anything, "x": checks.boolean})})
    for value, param in [({}, "v.type"), ({"type": "b"}, "v.type"), ({"type": "a"}, "v.x")]:
        found = check(value, "v")
        assert found is not None
        assert found.param == param
    assert check({"type": "a", "x": True}, "v") is None


def test_wording_is_that_of_the_service() -> None:
    wrong = checks.text()(3, "session.voice")
    assert wrong is not None
    assert wrong.message == "Invalid type for 'session.voice': expected a string, but got an integer instead."
    outside = checks.integer(1)(0, "n")
    assert outside is not None
    assert outside.message == "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead."
    other = checks.choice("a", "b", "c")("d", "x")
    assert other is not None
    assert other.message == "Invalid value: 'd'. Supported values are: 'a', 'b', and 'c'."
