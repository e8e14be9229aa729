"""One call from the command line: asked for, watched to its end, told in a line."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from pydantic import ValidationError

from fastbridge.config import Settings, load_settings
from fastbridge.errors import ConfigError
from fastbridge.outbound.client import ApiClient, key_of
from fastbridge.outbound.requests import CallRequest, faults

POLL_SECONDS = 0.5
READY_SECONDS = 30.0
STOP_SECONDS = 15.0
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
TRIES = 5
"""Of a node, or a carrier, that has no time."""


def run(request: dict[str, Any], *, agent: str | None, node: str | None) -> int:
    """request: for `POST /calls`. agent: a node of this agent's is started for it. node: another's address. The exit
    code: 0 for a conversation."""
    try:
        CallRequest.model_validate(request)
    except ValidationError as error:
        first = faults(error)[0]
        raise ConfigError(f"The call cannot be placed: {first['field']} {first['problem']}.") from None
    settings = load_settings()
    request = {**request, "idempotency_key": f"call-{secrets.token_hex(12)}"}
    if agent is None:
        url = node or f"http://127.0.0.1:{settings.port}"
        return asyncio.run(_hold(url, key_of(settings), request))
    with _own_node(agent, settings) as key:
        return asyncio.run(_hold(f"http://127.0.0.1:{settings.port}", key, request))


@contextmanager
def _own_node(agent: str, settings: Settings) -> Iterator[str]:
    """A node of this agent's, for as long as it is needed: the key it takes. What it logs goes where we write."""
    key = secrets.token_urlsafe(24)
    settings.model_copy(update={"api_keys": None}).require_serving()
    command = [sys.executable, "-m", "fastbridge", "serve", agent]
    process = subprocess.Popen(command, env={**os.environ, "FASTBRIDGE_API_KEYS": f"{key}:calls"})
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{settings.port}/readyz")
        yield key
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    deadline_s = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise ConfigError("The node for this call did not start; why is said above.")
        try:
            if httpx2.get(url, timeout=1.0, trust_env=False).status_code == 200:
                return
        except httpx2.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise ConfigError("The node for this call did not become ready.")


async def _hold(url: str, key: str, request: dict[str, Any]) -> int:
    async with ApiClient(url, key) as api:
        call = await _placed(api, request)
        try:
            call = await _watched(api, call)
        except asyncio.CancelledError:
            print("fastbridge: hanging up", file=sys.stderr)
            await api.end(call["id"])
            raise
    seconds = call.get("duration_seconds")
    outcome = call.get("outcome") or call["state"]
    lasted = f" after {seconds} s" if seconds is not None and outcome == "completed" else ""
    why = f": {call['reason']}" if call.get("reason") else ""
    print(f"{outcome}{lasted}{why}")
    return 0 if outcome == "completed" else 1


async def _placed(api: ApiClient, request: dict[str, Any]) -> dict[str, Any]:
    for left in reversed(range(TRIES)):
        asked = await api.place(request)
        if asked.call is not None:
            return asked.call
        if asked.after_seconds is None or not left:
            raise ConfigError(f"The call was not placed: {asked.problem.rstrip('.')}.")
        again = f"it is tried again in {asked.after_seconds:.0f} s"
        print(f"fastbridge: {asked.problem.rstrip('.')}; {again}", file=sys.stderr)
        await asyncio.sleep(asked.after_seconds)
    raise AssertionError("the last try returns")


async def _watched(api: ApiClient, call: dict[str, Any]) -> dict[str, Any]:
    shown = ""
    while True:
        if call["state"] != shown:
            shown = call["state"]
            if shown not in OVER:
                print(f"{shown} {call.get('call_sid') or ''}".rstrip(), file=sys.stderr)
        if shown in OVER and call.get("outcome", shown) is not None:
            return call
        await asyncio.sleep(POLL_SECONDS)
        found = await api.states([call["id"]])
        call = found[0] if found else call
