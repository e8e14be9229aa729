"""The node as a process: what it is given, and how it says that it did not start."""

import asyncio
from pathlib import Path

import pytest

from fastbridge.config import Settings
from fastbridge.errors import FastbridgeError
from fastbridge.sim import node


def test_the_node_gets_its_own_environment_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = {"TWILIO_PHONE_NUMBER", "FASTBRIDGE_DEV", "OPENAI_REALTIME_MODEL", "LOG_JSON", "DEBUG", "LEAD_MS"}
    for name in strangers:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", "src")
    given = node.environment("http://127.0.0.1:7000", "http://127.0.0.1:8000/v1", "AC1", "secret", "/records")
    assert (given["PORT"], given["PUBLIC_URL"]) == ("7000", "http://127.0.0.1:7000")
    assert given["TWILIO_AUTH_TOKEN"] == "secret"
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert given["PYTHONPATH"] == str(Path("src").resolve())
    assert not strangers & given.keys()


def test_the_environment_is_prepared_for_every_setting_a_node_reads() -> None:
    names: set[str] = set()
    for name, info in Settings.model_fields.items():
        alias = info.validation_alias
        names |= {str(each) for each in getattr(alias, "choices", [alias or name])}
    kept = [name for name in names if not name.upper().startswith(node.OWN_VARIABLES)]
    assert kept == []


def test_a_node_that_cannot_start_says_why_in_one_sentence() -> None:
    async def start() -> None:
        async with node.NodeProcess("http://127.0.0.1:1/v1", "no_such_module:agent"):
            raise AssertionError("it cannot have started")

    with pytest.raises(FastbridgeError, match=r"ended with status 2; its log ends with: .*no_such_module"):
        asyncio.run(start())


def test_a_process_that_does_not_run_has_no_pid() -> None:
    stopped = node.NodeProcess("http://127.0.0.1:1/v1")
    with pytest.raises(RuntimeError, match="not running"):
        _ = stopped.pid
    asyncio.run(stopped.stop())
