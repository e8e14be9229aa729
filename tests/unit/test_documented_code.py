"""Documented code runs: every fenced block of the README and of docs/ that is code. The tests among them are held in
tests/e2e, since they keep real time; what cannot be run is listed in `documented.NOT_RUN`."""

import io
import json
import shlex
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import typer.main
import uvicorn
from dotenv import dotenv_values

import documented
from environment import clear_environment
from fastbridge.cli import app
from fastbridge.config import Settings, load_settings
from fastbridge.model.usage import price_of

COMMANDS = typer.main.get_command(app)
VARIABLES = {name for info in Settings.model_fields.values() for name in info.validation_alias.choices}
PROGRAMS = {
    page: list(found)
    for page, found in groupby(
        (block for block in documented.blocks("python") if not block.is_test), key=lambda block: block.page
    )
}
SHELL = documented.blocks("sh")
ASSIGNMENTS = [block for block in SHELL if not documented.commands(block)]


def test_every_block_is_code_that_is_looked_at_or_is_shown_for_a_reason() -> None:
    languages = {block.language for block in documented.blocks()}
    assert languages <= documented.CODE | documented.SHOWN.keys()
    assert len(documented.blocks("python")) >= 10
    assert sum(block.is_test for block in documented.blocks("python")) >= 4


@pytest.mark.parametrize("page", PROGRAMS, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    program = tmp_path / f"page_{page.stem.replace('-', '_')}.py"
    program.write_text(documented.program(PROGRAMS[page]))
    done = subprocess.run(
        [sys.executable, "-W", "error", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", documented.blocks("json"), ids=str)
def test_json_is_json(block: documented.Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_a_shell_takes_it(block: documented.Block) -> None:
    subprocess.run(["/bin/sh", "-n"], input=block.text, text=True, timeout=10, check=True)


@pytest.mark.parametrize("block", ASSIGNMENTS, ids=str)
def test_settings_are_settings(block: documented.Block, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clear_environment(monkeypatch, tmp_path)
    given = {name: value for name, value in dotenv_values(stream=io.StringIO(block.text)).items() if value is not None}
    assert given
    assert given.keys() <= VARIABLES
    for name, value in given.items():
        if not value.endswith("..."):  # yours stands there
            monkeypatch.setenv(name, value)
    settings = load_settings()
    if settings.prices:
        price = price_of("my-model", settings.prices)
        assert price is not None


def test_the_example_environment_has_settings_alone() -> None:
    assert dotenv_values(documented.ROOT / ".env.example").keys() <= VARIABLES | {"COMPOSE_FILE"}


@pytest.mark.parametrize("block", [block for block in SHELL if block not in ASSIGNMENTS], ids=str)
def test_what_is_not_run_is_there_and_has_a_reason(block: documented.Block) -> None:
    for words in documented.commands(block):
        command = " ".join(words)
        if command in ("cd fastbridge", ". venv/bin/activate"):
            continue
        assert [reason for begin, reason in documented.NOT_RUN.items() if command.startswith(begin)], command
        look_at(words)


@pytest.mark.parametrize(("page", "command"), documented.inline_commands(), ids=str)
def test_a_command_within_a_sentence_is_there(page: Path, command: str) -> None:
    look_at(shlex.split(command))


def look_at(words: list[str]) -> None:
    """There is such a verb, command, option, file."""
    if words[0] == "make":
        makefile = documented.ROOT / "Makefile"
        assert not makefile.exists() or f"\n{words[1]}:" in makefile.read_text()
    elif words[0] == "fastbridge":
        check(COMMANDS, words[1:])
    elif words[0] == "uvicorn":
        check(uvicorn.main, words[1:])
    elif words[0] == "sudo" and (documented.ROOT / "deploy").exists():
        ours = [word.removeprefix("fastbridge/") for word in words if word.startswith("fastbridge/")]
        assert [name for name in ours if not (documented.ROOT / name).exists()] == []
    elif words[:2] == ["docker", "compose"] and (documented.ROOT / "Dockerfile").exists():
        file = dotenv_values(documented.ROOT / ".env.example")["COMPOSE_FILE"]
        assert (documented.ROOT / str(file)).is_file()


def check(command: Any, words: list[str]) -> None:
    """command: click's, whichever click it is of."""
    for word in words:
        if word.startswith("--"):
            options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
            assert word.partition("=")[0] in {*options, "--help"}, word
        elif hasattr(command, "commands") and not word.isupper():
            assert word in command.commands, word
            command = command.commands[word]
