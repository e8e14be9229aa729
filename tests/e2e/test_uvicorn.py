"""The command operators know, `uvicorn asgi:app`, in a process of its own: a whole call through it, and the drain."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from e2e.dialects import LIVE, REALTIME, model_of
from fastbridge.sim import AfterAssistant, HangUp, ModelServer, NodeProcess, Say, Scenario, SimulatedCaller, Speak
from fastbridge.sim.audio import speech
from fastbridge.sim.node import environment

ROOT = Path(__file__).parents[2]
UVICORN = [sys.executable, "-m", "uvicorn"]
COMMAND = (
    f"exec {' '.join(UVICORN)} asgi:app --app-dir {ROOT} --host 127.0.0.1 --port $PORT --log-level info "
    "--ws websockets --timeout-keep-alive 75"
)
AGENT = "from fastbridge import Agent\nagent = Agent(greeting='Good morning.', instructions='Answer the phone.')\n"
SCRIPT = [Speak("caller_accepts", AfterAssistant(700)), HangUp(AfterAssistant(800))]


def conversation(_: int) -> Scenario:
    return Scenario(
        greeting=Say("Good morning.", speech("assistant_greeting")),
        turns=[Say("Of course.", speech("assistant_morning"))],
    )


@pytest.mark.parametrize(
    ("dialect", "more"), [(REALTIME, ""), (REALTIME, "--ws none --http h11 --loop asyncio"), (LIVE, "")]
)
def test_a_call_through_the_operators_command_outlives_the_signal(tmp_path, dialect, more):
    agent = tmp_path / "my_agent.py"
    agent.write_text(AGENT)
    settings = {"FASTBRIDGE_AGENT": f"{agent}:agent", **model_of(dialect)}
    command = ["/bin/sh", "-c", f"{COMMAND} {more}"]

    async def scene() -> None:
        async with (
            ModelServer(conversation) as model,
            NodeProcess(model.base_url, settings=settings, command=command) as node,
            httpx2.AsyncClient(trust_env=False, timeout=30.0) as http,
        ):
            caller = SimulatedCaller(
                node.url, SCRIPT, auth_token=node.auth_token, account_sid=node.account_sid, limit_seconds=60
            )
            call = asyncio.ensure_future(caller.call())
            await asyncio.sleep(2)
            stopping = asyncio.ensure_future(node.stop(limit_seconds=60))
            await asyncio.sleep(0.5)
            assert (await http.get(f"{node.url}/readyz")).json()["draining"]
            report = await call
            assert (report.errors, model.errors, report.ended_by) == ([], [], "caller")
            assert report.wrong_sizes == []
            if dialect == LIVE:  # in which a pause of the speaker's is left out, and is a gap by its length
                (live,) = model.live_sessions
                assert [item["role"] for item in live.conversation] == ["assistant", "user", "assistant"]
                assert live.requests[0]["session"]["instructions"].startswith("Answer the phone.")
                assert live.requests[-1]["type"] == "session.close"
            else:
                assert report.gaps() == []
                assert len(model.sessions[0].items) == 3
                assert model.sessions[0].session.view()["instructions"] == "Answer the phone."
            assert await stopping == -signal.SIGTERM, "uvicorn's way to end"
            record = await node.record(report.call_sid)
            assert record is not None
            assert record["end_reason"] == "customer_hangup"
            log = node.log()
        assert "[record] [CALL_END]" in log
        assert "Uvicorn running" not in log, "from the start on the log is ours"

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("options", "settings", "sentence"),
    [
        ([], {"OPENAI_API_KEY": ""}, "OPENAI_API_KEY is missing"),
        (["--workers", "2"], {}, "`fastbridge serve --workers 2`"),
    ],
)
def test_what_cannot_work_ends_in_a_sentence(tmp_path, options, settings, sentence):
    given = environment("http://127.0.0.1:0", "https://model.example/v1", "AC" + "1" * 32, "x" * 32, str(tmp_path))
    done = subprocess.run(
        [*UVICORN, "fastbridge.asgi:app", "--port", "0", *options],
        env=given | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert sentence in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
