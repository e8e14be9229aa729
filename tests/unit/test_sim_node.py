"""The node as a process: what it is given, and how it says that it did not start."""

import asyncio
import os
import sys
import sysconfig
from pathlib import Path

import httpx2
import pytest

from fastbridge.config import Settings
from fastbridge.errors import FastbridgeError
from fastbridge.sim import AfterMs, HangUp, node


def test_the_node_gets_its_own_environment_and_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    strangers = {"TWILIO_PHONE_NUMBER", "FASTBRIDGE_DEV", "OPENAI_REALTIME_MODEL", "LOG_JSON", "DEBUG", "LEAD_MS"}
    for name in strangers:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PYTHONPATH", "src")
    given = node.environment("http://127.0.0.1:7000", "http://127.0.0.1:8000/v1", "AC1", "secret", "/records")
    assert (given["PORT"], given["PUBLIC_URL"]) == ("7000", "http://127.0.0.1:7000")
    assert given["TWILIO_AUTH_TOKEN"] == "secret"
    assert given["OPENAI_BASE_URL"] == "http://127.0.0.1:8000/v1"
    assert str(Path("src").resolve()) in given["PYTHONPATH"].split(os.pathsep)
    assert not strangers & given.keys()


def test_what_we_can_import_the_node_can(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("here", "mine", "lost"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "mine"), str(tmp_path / "nowhere")])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    paths = node.environment("http://127.0.0.1:1", "", "AC1", "secret", "/records")["PYTHONPATH"].split(os.pathsep)
    assert {str(tmp_path / "here"), str(tmp_path / "mine")} <= set(paths)
    assert not {str(tmp_path / "nowhere"), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")} & set(paths)


def test_of_two_modules_of_one_name_the_node_takes_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `fastbridge demo` has put it in front, and examined it."""
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "here"), str(tmp_path / "elsewhere"), *sys.path])
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "elsewhere"))
    paths = node.environment("http://127.0.0.1:1", "", "AC1", "secret", "/records")["PYTHONPATH"].split(os.pathsep)
    assert paths[:2] == [str(tmp_path / "here"), str(tmp_path / "elsewhere")]


def test_a_call_with_an_agent_beside_the_test_and_a_hang_up_that_goes_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "my_agent_beside.py").write_text("from fastbridge import Agent\nagent = Agent(hang_up=True)\n")
    monkeypatch.chdir(tmp_path)

    async def ready(agent: str) -> None:
        async with node.NodeProcess("http://127.0.0.1:1/v1", agent) as running:
            caller = running.caller([HangUp(AfterMs(0))], from_number="+14155550100")
            if sys.platform == "linux":
                variables = Path(f"/proc/{running.pid}/environ").read_text().split("\0")  # noqa: ASYNC240
                assert f"{node.API_URL}={running.api.url}" in variables
            report = await caller.call()
            assert not [error for error in report.errors if "403" in error]
            async with httpx2.AsyncClient(trust_env=False) as http:
                answer = await http.post(f"{running.api.url}/2010-04-01/Accounts/x/Calls/y.json")
            assert answer.status_code == 401

    for agent in ("my_agent_beside:agent", "my_agent_beside.py:agent"):
        asyncio.run(ready(agent))


def test_one_that_is_killed_has_a_successor_in_its_place() -> None:
    async def killed() -> None:
        async with node.NodeProcess("http://127.0.0.1:1/v1") as running:
            first, url = running.pid, running.url
            await running.kill()
            async with httpx2.AsyncClient(trust_env=False) as http:
                with pytest.raises(httpx2.ConnectError):
                    await http.get(f"{url}/readyz")
                await running.start_again()
                assert (await http.get(f"{url}/readyz")).status_code == 200
            assert (running.pid != first, running.url) == (True, url)
            assert running.log().count("is ready,") == 2

    asyncio.run(killed())


def test_settings_may_name_another_api() -> None:
    async def api_url() -> None:
        settings = {node.API_URL: "http://127.0.0.1:9/"}
        async with node.NodeProcess("http://127.0.0.1:1/v1", settings=settings) as running:
            with pytest.raises(RuntimeError, match="not running"):
                _ = running.api.url

    asyncio.run(api_url())


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
