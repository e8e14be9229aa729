"""fastbridge.logging for a service that is no node: without settings, compiled modules or any library."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastbridge
from fastbridge import logging as log

ROOT = Path(__file__).parents[2]
WORKER = ROOT / "examples" / "worker.py"
PACKAGE = Path(fastbridge.__file__).parent
OURS = {
    "fastbridge",
    *(f"fastbridge.{name}" for name in ("logging", "observe", "masking")),
    *(f"fastbridge.observe.{name}" for name in ("limits", "log_format", "log_policy", "writer")),
    *(f"fastbridge.masking.{name}" for name in ("mask", "card_words", "number_words")),
}
IMPORT = """
import sys, time
before = set(sys.modules)
began = time.perf_counter()
import fastbridge.logging
print(time.perf_counter() - began)
print(*(set(sys.modules) - before))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The package as it is before it was compiled."""
    folder = tmp_path_factory.mktemp("unpacked")
    for source in PACKAGE.rglob("*.py"):
        target = folder / "fastbridge" / source.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return folder


@pytest.fixture
def python(unpacked, tmp_path):
    """`python(arguments, …)`: what a Python says that has the standard library and this, and no site-packages."""

    def run(*arguments, **environment):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(unpacked), "PYTHONUTF8": "1", **environment}
        return subprocess.run(
            [sys.executable, "-S", "-s", *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    return run


def test_it_needs_the_standard_library_alone(python):
    done = python("-c", IMPORT)
    assert done.stderr == ""
    loaded = set(done.stdout.split("\n")[1].split())
    assert {name for name in loaded if name.partition(".")[0] == "fastbridge"} == OURS
    assert {name.partition(".")[0] for name in loaded} - {"fastbridge"} <= sys.stdlib_module_names


def test_installed_it_loads_nothing_else_either_and_at_once():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    seconds, loaded = done.stdout.splitlines()
    assert {name.partition(".")[0] for name in loaded.split()} - {"fastbridge"} <= sys.stdlib_module_names
    assert {name for name in loaded.split() if name.startswith("fastbridge")} == OURS
    assert float(seconds) < 1  # about 0.02


@pytest.mark.parametrize("what", ["from fastbridge import Agent", "from fastbridge.cli import main; main()"])
def test_all_else_says_what_is_missing(unpacked, what):
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    done = subprocess.run([sys.executable, "-c", what], env=environment, capture_output=True, text=True)
    assert "fastbridge's compiled modules are missing: install it with `pip install .`" in done.stderr


@pytest.mark.parametrize(
    ("environment", "arguments", "first", "level"),
    [
        ({}, "", "level=INFO, json=0", 20),
        ({"DEBUG": "1"}, "", "level=INFO, json=0", 20),
        ({"DEBUG": "0"}, "", "level=DEBUG, json=0", 10),
        ({"DEBUG": "0", "LOG_LEVEL": "warning", "LOG_JSON": "YES"}, "", "level=WARNING, json=1", 30),
        ({"LOG_LEVEL": "  ", "LOG_JSON": " "}, "", "level=INFO, json=0", 20),
        ({"LOG_LEVEL": "ERROR", "LOG_JSON": "1"}, "'DEBUG', False", "level=DEBUG, json=0", 10),
        ({}, "10", "level=DEBUG, json=0", 10),
        ({}, "level='error', json=True", "level=ERROR, json=1", 40),
    ],
)
def test_it_goes_by_the_environment_and_what_it_is_given_wins(python, environment, arguments, first, level):
    code = f"import logging, fastbridge.logging as l; l.configure({arguments}); print(logging.getLogger().level)"
    done = python("-c", code, **environment)
    assert done.stderr == ""
    assert str(level) in done.stdout.split("\n")
    assert f"LOGGING CONFIGURED: {first}" in done.stdout


@pytest.mark.parametrize(
    ("environment", "arguments", "complaint"),
    [
        ({"LOG_LEVEL": "loud"}, "", "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'loud'; using INFO."),
        ({}, "'loud'", "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, not 'loud'; using INFO."),
        ({"DEBUG": "perhaps"}, "", "DEBUG must be 1 (production) or 0 (development), not 'perhaps'; using INFO."),
        ({"LOG_JSON": "perhaps"}, "", "LOG_JSON must be 1 or 0, not 'perhaps'; using 0."),
    ],
)
def test_a_bad_word_is_said_on_stderr(python, environment, arguments, complaint):
    done = python("-c", f"import fastbridge.logging as l; l.configure({arguments})", **environment)
    assert done.stderr == complaint + "\n"
    assert "LOGGING CONFIGURED: level=INFO, json=0" in done.stdout


def test_noisy_loggers_are_the_services_own_choice(python):
    code = (
        "import logging, fastbridge.logging as l\n"
        "l.configure(noisy=('boto3',))\n"
        "for name in ('boto3', 'httpx', 'mine'): logging.getLogger(name).info('said by %s', name)\n"
    )
    text = python("-c", code).stdout
    assert [name for name in ("boto3", "httpx", "mine") if f"said by {name}" in text] == ["httpx", "mine"]
    assert "said by boto3" in python("-c", code, LOG_LEVEL="DEBUG").stdout


def test_what_no_line_may_show(python):
    code = (
        "import fastbridge.logging as l\n"
        "l.configure(secrets=['hunter2hunter2', ''])\n"
        "l.event('JOB', 'with hunter2hunter2', phone='+972501234512', key='sk-abcdefgh12345')\n"
    )
    text = python("-c", code).stdout
    assert "[JOB] with ****, phone=+9725****12, key=sk-****" in text


HUMAN = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (\w+) +\[worker\] (.*)")


def test_the_worker_of_the_document(python):
    done = python(str(WORKER))
    assert done.stderr == ""
    first, *lines = done.stdout.splitlines()
    assert first.endswith("LOGGING CONFIGURED: level=INFO, json=0")
    said = [HUMAN.fullmatch(line).groups() for line in lines if not line.startswith("    ")]
    assert [(level, re.sub(r"(pid|duration_ms)=\d+", r"\1=", text)) for level, text in said] == [
        ("INFO", "[WORKER] started, queues=default, pid="),
        ("INFO", "[JOB] enqueued, job=send the summary"),
        ("INFO", "[JOB] enqueued, job=fetch the recording"),
        ("WARNING", "2 jobs wait"),
        ("INFO", "[JOB] enqueued, job=forget"),
        ("INFO", "[JOB] completed, job=send the summary, duration_ms="),
        ("ERROR", "[JOB] failed, job=fetch the recording"),
        ("INFO", "[JOB] completed, job=forget, duration_ms="),
    ]
    trace = [line for line in lines if line.startswith("    ")]
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-1] == "    KeyError: 'fetch the recording'"


def test_the_worker_in_json(python):
    lines = [json.loads(line) for line in python(str(WORKER), LOG_JSON="1").stdout.splitlines()]
    assert [line["module"] for line in lines] == ["log_policy", *["worker"] * 8]
    assert lines[1]["pid"] > 0
    assert lines[6]["duration_ms"] >= 0
    assert lines[7]["level"] == "ERROR"
    assert lines[7]["exception"].startswith("Traceback")
    assert lines[7]["exception"].endswith("KeyError: 'fetch the recording'")


def test_the_document_shows_this_very_worker():
    code = WORKER.read_text().partition("\n\n")[2]
    assert f"```python\n{code}```" in (ROOT / "docs" / "logging.md").read_text()


def test_what_is_public_is_there_and_described():
    document = (ROOT / "docs" / "logging.md").read_text()
    assert [name for name in log.__all__ if f"`{name}" not in document] == []
    functions = [getattr(log, name) for name in log.__all__ if callable(getattr(log, name))]
    assert [each.__name__ for each in functions if not each.__doc__] == []
    assert isinstance(log.NOISY, tuple)
