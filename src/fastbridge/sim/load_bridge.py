"""The bridge that a load run goes through, where we start it: fastbridge itself, or the comparison in `bench/baseline`.

It has a process of its own, on a CPU of its own, and is gone when the run is over. TLS towards the model is a process
too, between the bridge and the players: its certificate is made for the run, and the bridge is told to trust it.
"""

import asyncio
import contextlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim.live_session_object import DEFAULT_LIVE_MODEL
from fastbridge.sim.load_setup import Target
from fastbridge.sim.load_usage import pinned
from fastbridge.sim.node import NodeProcess, free_port

OWN = ("fastbridge", "baseline")
BASELINE = Path("bench/baseline/serve.py")
GREETING = "Good morning."
SPARE_CALLS = 50
READY_SECONDS = 10.0

KEEP_AWAKE = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.nice(19)
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(2_000_000):
        pass
"""
"""An idle CPU that sleeps wakes slowly, in a virtual machine most of all. This gives way to everything else."""


def baseline_script() -> Path:
    """Where the comparison is. ConfigError unless this is a checkout."""
    for folder in (Path.cwd(), Path(__file__).parents[3]):
        if (folder / BASELINE).is_file():
            return folder / BASELINE
    raise ConfigError(f"There is no {BASELINE} here: the baseline runs from a checkout of fastbridge.")


def settings(calls: int, *, dsp: bool, greeting: bool, live: bool = False) -> dict[str, str]:
    """The environment of a bridge that is to take so many calls from one address. With DSP frames are told by their
    order, so none may be dropped, as a locked greeting would; a stream of GPT-Live gets silence in their place."""
    room = str(calls + SPARE_CALLS)
    names = ("CALLS", "PENDING_CALLS", "CONNECTIONS", "CONNECTIONS_PER_IP")
    return {f"FASTBRIDGE_MAX_{name}": room for name in names} | {
        "ENABLE_MIN_DSP": "1" if dsp else "0",
        "FASTBRIDGE_GREETING": GREETING if greeting else "",
        "FASTBRIDGE_GREETING_LOCK": "0" if dsp or live else "1",
        "FASTBRIDGE_MAX_CALL_SECONDS": "3600",
        "FASTBRIDGE_METRICS_PUBLIC": "1",
        "FASTBRIDGE_METRICS_PORT": str(free_port()),
        **({"FASTBRIDGE_MODEL": DEFAULT_LIVE_MODEL} if live else {}),
    }


@contextlib.asynccontextmanager
async def started(
    kind: str,
    model_url: str,
    cpus: set[int],
    environment: dict[str, str],
    command: Sequence[str] = (),
    *,
    realtime: bool = False,
) -> AsyncIterator[NodeProcess]:
    """One of OWN, ready for calls, or what `command` starts in its place."""
    if kind == "baseline":
        command = [sys.executable, str(baseline_script())]
    node = NodeProcess(model_url, settings=environment, command=command)
    with pinned(cpus, realtime):
        await node.__aenter__()
    try:
        yield node
    finally:
        await node.__aexit__(None, None, None)


def target_of(node: NodeProcess) -> Target:
    """The address of a node of ours."""
    return Target(node.url, node.auth_token, node.account_sid)


def openssl() -> str:
    """The command that makes certificates. ConfigError without it."""
    found = shutil.which("openssl")
    if found is None:
        raise ConfigError(
            "TLS to the model needs the openssl command, for a certificate: install openssl, or measure with --no-tls."
        )
    return found


@contextlib.contextmanager
def certificate() -> Iterator[Path]:
    """A folder with cert.pem and key.pem, good for 127.0.0.1 and for today, ca.pem, whose they are, and trusted.pem:
    that and all whom this machine trusts, since to read those is a part of what TLS costs. ConfigError without
    `openssl`."""
    command = openssl()
    folder = Path(tempfile.mkdtemp(prefix="fastbridge-load-"))
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = [
        *("req", "-x509", *new_key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2"),
        *("-subj", "/CN=fastbridge load", "-addext", "basicConstraints=critical,CA:TRUE"),
        *("-addext", "keyUsage=critical,keyCertSign"),
    ]
    server = [
        *("req", "-x509", *new_key, "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-CA", "ca.pem"),
        *("-CAkey", "ca-key.pem", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        *("-addext", "basicConstraints=critical,CA:FALSE"),
    ]
    try:
        for arguments in (authority, server):
            made = subprocess.run([command, *arguments], cwd=folder, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                raise ConfigError(f"openssl could not make a certificate: {made.stderr.strip().rpartition(chr(10))[2]}")
        others = ssl.get_default_verify_paths().cafile
        trusted = [folder / "ca.pem", *([Path(others)] if others else [])]
        (folder / "trusted.pem").write_bytes(b"\n".join(file.read_bytes() for file in trusted))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def helper(*arguments: str, cpus: set[int]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process beside the run, which ends with it; what it writes can be read."""
    with pinned(cpus):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C is ours to answer. Not a new session: Linux would give that an equal share of the CPU, whatever its
            # processes' priority (autogroups), and what only keeps a CPU awake would take half of it.
            process_group=0,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def kept_awake(wanted: bool) -> AsyncIterator[None]:
    """Every CPU awake, if wanted."""
    async with contextlib.AsyncExitStack() as stack:
        for cpu in os.sched_getaffinity(0) if wanted else ():
            await stack.enter_async_context(helper("-c", KEEP_AWAKE, str(cpu), cpus={cpu}))
        yield


@contextlib.asynccontextmanager
async def tls_in_front(model_port: int, folder: Path, cpus: set[int]) -> AsyncIterator[tuple[int, int]]:
    """A process that speaks TLS and passes on to the players: its port and its pid."""
    arguments = ("-m", "fastbridge.sim.load_tls", str(folder / "cert.pem"), str(folder / "key.pem"), str(model_port))
    async with helper(*arguments, cpus=cpus) as process:
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
            port = int(line)
        except (TimeoutError, ValueError):
            raise FastbridgeError("The TLS side of the model did not start.") from None
        yield port, process.pid
