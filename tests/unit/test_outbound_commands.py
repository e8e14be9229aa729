"""outbound.commands: what `fastbridge call` and `campaign` are given, and what is said of what they cannot use."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from environment import clear_environment
from fastbridge.cli import app
from fastbridge.errors import ConfigError
from fastbridge.outbound import campaign_run, one_call

TO = "+14155550101"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), catch_exceptions=True)


def test_a_call_is_asked_for_with_all_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(one_call, "run", lambda request, **options: given.append((request, options)) or 1)
    words = ["call", TO, "--variable", "name=Dana", "--variable", "time=10=11", "--business", "7", "--from", TO]
    assert run(*words, "--machine", "--timeout", "20", "--node", "http://x").exit_code == 1
    ((request, options),) = given
    assert request == {
        "to": TO,
        "business_id": "7",
        "from": TO,
        "machine": True,
        "timeout": 20,
        "parameters": {"name": "Dana", "time": "10=11"},
    }
    assert options == {"agent": None, "node": "http://x"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["call", TO, "--variable", "name"], "--variable must be NAME=VALUE"),
        (["call", TO, "--variable", "=x"], "--variable must be NAME=VALUE"),
        (["call", TO, "--agent", "a:b", "--node", "http://x"], "give one of them"),
        (["call", "0041"], "The call cannot be placed: to must be"),
        (["call", TO, "--variable", "Name=x"], "parameters"),
        (["call", TO], "FASTBRIDGE_API_KEY is missing"),
        (["campaign", "none.csv"], "cannot be read"),
        (["campaign", "none.csv", "--hours", "8-9"], "--hours must be"),
    ],
)
def test_what_cannot_be_is_a_sentence(words: list[str], sentence: str) -> None:
    found = run(*words).exception
    assert isinstance(found, ConfigError)
    assert sentence in str(found)


def test_a_campaign_is_run_as_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Any] = []
    monkeypatch.setattr(campaign_run, "run", lambda *found, **options: given.append((found, options)) or 0)
    path = tmp_path / "people.csv"
    path.write_text(f"to,name\n{TO},Dana\n")
    assert run("campaign", str(path), "--hours", "any", "--rate", "2", "--retry", "busy:1:5").exit_code == 0
    (((name, (callee,), out), options),) = given
    assert (name, callee.to, out) == ("people.csv", TO, tmp_path / "people.results.csv")
    assert (options["per_second"], options["hours"], list(options["retries"])) == (2.0, None, ["busy"])
