import inspect
import os

import pytest

from fastbridge import errors


def test_every_error_is_a_fastbridge_error_and_drawn_in_the_tree():
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(classes) == 7
    for kind in classes:
        assert issubclass(kind, errors.FastbridgeError)
        assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("kind", "blame"),
    [
        (errors.FastbridgeError, "local"),
        (errors.ConfigError, "local"),
        (errors.AgentError, "local"),
        (errors.IllegalEvent, "local"),
        (errors.CarrierError, "carrier"),
        (errors.ModelError, "model"),
        (errors.ModelUnavailable, "model"),
    ],
)
def test_the_type_says_whom_to_blame_and_so_does_the_drawing(kind, blame):
    assert kind("x").blame == blame
    drawn = next(line for line in errors.__doc__.splitlines() if kind.__name__ in line)
    assert blame in drawn


def test_model_error_carries_the_models_code():
    error = errors.ModelUnavailable("no more quota", "insufficient_quota")
    assert isinstance(error, errors.ModelError)
    assert error.code == "insufficient_quota"
    assert str(error) == "no more quota (insufficient_quota)"
    assert str(errors.ModelError("odd")) == "odd"
    assert errors.ModelError("odd").code is None


def test_paths_are_as_they_are_seen_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert errors.short_path(str(tmp_path / "a" / "b.py")) == os.path.join("a", "b.py")
    assert errors.short_path("/elsewhere/b.py") == "/elsewhere/b.py"
