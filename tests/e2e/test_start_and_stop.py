"""Nodes in processes of their own: where they listen, what they say at their start, and how they leave."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fastbridge.carrier.twilio.signature import sign
from fastbridge.errors import FastbridgeError
from fastbridge.sim import AfterMs, HangUp, ModelServer, NodeProcess, Speak
from tunnels import CLOUDFLARED_URL, stand_in

Scene = Callable[[NodeProcess], Coroutine[Any, Any, None]]


def with_node(scene: Scene, *, command: tuple[str, ...] = (), **settings: str) -> None:
    async def play() -> None:
        async with ModelServer() as model, NodeProcess(model.base_url, settings=settings, command=command) as node:
            async with asyncio.timeout(30):
                await scene(node)

    asyncio.run(play())


def answers(node: NodeProcess, host: str) -> bool:
    """Whether it serves on this address of the machine."""
    try:
        with socket.create_connection((host, int(node.url.rpartition(":")[2])), 5) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is another address on Linux only")
@pytest.mark.parametrize(("host", "reached"), [("", False), ("0.0.0.0", True)])
def test_who_checks_no_signatures_listens_to_this_machine_alone_and_says_so(host, reached):
    async def scene(node: NodeProcess) -> None:
        assert answers(node, "127.0.0.1")
        assert answers(node, "127.0.0.2") is reached
        assert "[NODE] signatures are not checked" in node.log()
        assert f"host={host or '127.0.0.1'}" in node.log()

    with_node(scene, FASTBRIDGE_DEV="1", TWILIO_AUTH_TOKEN="", FASTBRIDGE_HOST=host)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_address_serves_both_families(workers):
    async def scene(node: NodeProcess) -> None:
        assert answers(node, "127.0.0.1")
        assert answers(node, "::1")
        assert "[NODE]" not in node.log()

    with_node(scene, FASTBRIDGE_HOST="::", FASTBRIDGE_WORKERS=workers)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_terminal_that_hangs_up_is_a_drain(workers):
    async def scene(node: NodeProcess) -> None:
        os.kill(node.pid, signal.SIGHUP)
        os.kill(node.pid, signal.SIGHUP)  # it is no hurry
        assert await node._process.wait() == 0

    with_node(scene, FASTBRIDGE_WORKERS=workers)


def test_standard_descriptors_that_are_closed():
    async def scene(node: NodeProcess) -> None:
        assert answers(node, "127.0.0.1")
        assert (
            "[NODE] file descriptors 0 to 2 should be open: these were not, and are /dev/null now, closed=0 2"
            in node.log()
        )

    with_node(scene, command=("sh", "-c", f"exec {sys.executable} -m fastbridge serve <&- 2>&-"))


def test_one_port_for_two_is_one_sentence():
    with pytest.raises(FastbridgeError, match=r"fastbridge: PORT and FASTBRIDGE_METRICS_PORT are both 5051: [^.]+\.$"):
        with_node(None, PORT="5051", FASTBRIDGE_METRICS_PORT="5051")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_tunnel_opens_before_the_node_and_ends_with_it(workers, tmp_path):
    """The tunnel is a stand-in that prints what cloudflared is documented to print: nothing passes through it."""
    stand_in(tmp_path, "cloudflared", before="import os; open('pid', 'w').write(str(os.getpid()))")
    tunnel = Path()

    async def scene(node: NodeProcess) -> None:
        nonlocal tunnel
        tunnel = Path(f"/proc/{(node._folder / 'pid').read_text()}")
        assert f"fastbridge: cloudflared leads {CLOUDFLARED_URL} here, until this run ends." in node.log()
        sid, path = "CA" + "1" * 32, "/webhook/incoming_call"
        form = {"CallSid": sid, "AccountSid": node.account_sid}
        headers = {"X-Twilio-Signature": sign(node.auth_token, CLOUDFLARED_URL + path, form)}
        async with httpx2.AsyncClient(trust_env=False, timeout=30.0) as http:
            answer = await http.post(node.url + path, data=form, headers=headers)
        assert f'url="wss{CLOUDFLARED_URL.removeprefix("https")}/media/' in answer.text
        assert tunnel.exists()
        os.kill(node.pid, signal.SIGTERM)
        assert await node._process.wait() == 0

    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = (sys.executable, "-m", "fastbridge", "serve", "--tunnel")
    with_node(scene, command=command, PATH=path, FASTBRIDGE_WORKERS=workers, FASTBRIDGE_DRAIN_SECONDS="1")
    assert not tunnel.exists()


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_who_is_still_there_when_the_drain_is_over_hears_why(workers: str, signals: int) -> None:
    """By its time, or by a second signal. Who calls meanwhile hears that all lines are busy."""
    talk = [Speak("caller_appointment", AfterMs(500)), HangUp(AfterMs(40_000))]
    drain = {"FASTBRIDGE_DRAIN_SECONDS": "3" if signals == 1 else "3600"}

    async def scene(node: NodeProcess) -> None:
        calls = [asyncio.create_task(node.caller(talk).call()) for _ in range(3)]
        await asyncio.sleep(3.0)
        for _ in range(signals):
            os.kill(node.pid, signal.SIGTERM)
            await asyncio.sleep(0.5)
        reports = await asyncio.gather(*calls)
        for report in reports:
            assert report.errors == []
            assert "say" in [event.kind for event in report.events], report.events
        assert await node._process.wait() == 0
        assert "no worker could take" not in node.log()
        assert node.log().count("[CALL_END]") == 3
        assert "[NODE] calls are cut off: the node ends, calls=" in node.log()

    with_node(scene, FASTBRIDGE_WORKERS=workers, FASTBRIDGE_GREETING="Hello.", **drain)
