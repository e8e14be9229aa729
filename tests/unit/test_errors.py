import inspect
import os

from fastbridge import errors


def test_every_error_is_a_fastbridge_error_and_drawn_in_the_tree():
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(classes) == 8
    for kind in classes:
        assert issubclass(kind, errors.FastbridgeError)
        assert kind.__name__ in errors.__doc__


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
