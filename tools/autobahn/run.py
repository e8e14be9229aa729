"""The Autobahn test suite against both our sockets: its fuzzing client at the carrier's, its server at the model's.

Every case must be OK, in what is answered and in how it closes; the three that have no right answer are informational.
Not run: 9.*, which wants messages of up to 16 MB where a call has bounds of 64 KB and 4 MB, and 12.* and 13.*, which
want a compression that we do not negotiate.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop
from tools.autobahn.echo import converse, serve, tick

from fastbridge._reactor import Reactor

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".autobahn"
REQUIREMENTS = HERE / "requirements.txt"
VIRTUALENV = "virtualenv==20.21.1"  # the last that makes environments for Python 2.7
EXCLUDED = ["9.*", "12.*", "13.*"]
CASES = 247
INFORMATIONAL = 3  # 7.1.6, 7.13.1, 7.13.2
SIDES = ("carrier", "model")
START_SECONDS = 30.0


def python2() -> str | None:
    """One that runs: a shim of pyenv's may be there and lead nowhere."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    names = [os.environ.get("PYTHON2"), "python2.7", *sorted(map(str, pyenv.glob("versions/2.7*/bin/python2.7")))]
    for name in filter(None, names):
        found = shutil.which(name)
        if found and subprocess.run([found, "-c", "import ssl"], capture_output=True, check=False).returncode == 0:
            return found
    return None


def prepare() -> Path:
    """The suite in an environment of its own; the path of its program."""
    stamp, program = FOLDER / "installed", FOLDER / "python2" / "bin" / "wstest"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return program
    interpreter = python2()
    if interpreter is None:
        sys.exit("The Autobahn test suite needs Python 2.7, and there is none: install it, or name it with PYTHON2=.")
    print(f"installing the Autobahn test suite in {FOLDER.name}", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    quiet: dict[str, Any] = {"check": True, "stderr": subprocess.DEVNULL}  # pip has a word about 2.7's age each time
    subprocess.run([sys.executable, "-m", "venv", FOLDER / "tools"], check=True)
    subprocess.run([FOLDER / "tools/bin/pip", "install", "-qq", VIRTUALENV], **quiet)
    subprocess.run([FOLDER / "tools/bin/virtualenv", "-q", "-p", interpreter, FOLDER / "python2"], check=True)
    subprocess.run([FOLDER / "python2/bin/pip", "install", "-qq", "-r", REQUIREMENTS], **quiet)
    stamp.write_text(REQUIREMENTS.read_text())
    return program


async def start(program: Path, side: str, spec: dict[str, Any]) -> asyncio.subprocess.Process:
    """The suite's program. What it prints goes to a file of its own."""
    mode = "fuzzingclient" if side == "carrier" else "fuzzingserver"
    path = FOLDER / f"{side}.json"
    path.write_text(json.dumps({"outdir": str(FOLDER / side), "cases": ["*"], "exclude-cases": EXCLUDED, **spec}))
    with (FOLDER / f"{side}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(program, "-m", mode, "-s", path, "-u", "0", stdout=log, stderr=log)


async def judge_carrier(program: Path, reactor: Reactor) -> None:
    server = await serve(reactor)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    suite = await start(program, "carrier", {"servers": [{"agent": "carrier", "url": url}], "exclude-agent-cases": {}})
    await suite.wait()
    server.close()


async def judge_model(program: Path, reactor: Reactor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"ws://127.0.0.1:{port}"
    suite = await start(program, "model", {"url": url})
    try:
        count = int(await first_answer(f"{url}/getCaseCount", reactor))
        for case in range(1, count + 1):
            with suppress(TimeoutError):
                await converse(f"{url}/runCase?case={case}&agent=model", reactor)
        await converse(f"{url}/updateReports?agent=model", reactor)
    finally:
        suite.terminate()
        await suite.wait()


async def first_answer(url: str, reactor: Reactor) -> bytes:
    async with asyncio.timeout(START_SECONDS):
        while True:
            with suppress(OSError):
                return (await converse(url, reactor))[0]
            await asyncio.sleep(0.2)


def count(side: str) -> bool:
    """Print what came out; whether all is well."""
    index = FOLDER / side / "index.json"
    cases = json.loads(index.read_text())[side] if index.exists() else {}
    verdicts = {name: {case["behavior"], case["behaviorClose"]} for name, case in cases.items()}
    bad = {name: seen for name, seen in verdicts.items() if not seen <= {"OK", "INFORMATIONAL"}}
    total = Counter(case["behavior"] for case in cases.values())
    print(f"{side}: {len(cases)} cases: " + ", ".join(f"{number} {kind}" for kind, number in total.most_common()))
    for name in bad:
        print(f"  {name}: {cases[name]['behavior']}, close {cases[name]['behaviorClose']}")
    return not bad and len(cases) == CASES and total["OK"] == CASES - INFORMATIONAL


async def judge(program: Path) -> None:
    reactor = Reactor()
    beat = asyncio.create_task(tick(reactor))
    try:
        await asyncio.gather(judge_carrier(program, reactor), judge_model(program, reactor))
    finally:
        beat.cancel()


def main() -> int:
    program = prepare()
    for side in SIDES:
        shutil.rmtree(FOLDER / side, ignore_errors=True)
    uvloop.run(judge(program))
    well = [count(side) for side in SIDES]
    print(f"each case is described in {FOLDER.name}/<side>/index.html")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
