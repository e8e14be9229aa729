"""Run the Dockerfile's own steps, in order, without Docker: a stage is a folder with a clean virtual environment.

WORKDIR, COPY and RUN happen inside the stage's folder, ENV is kept, the base image is this Python. What needs a real
image (apt-get, useradd, USER) is named and left out. At the end the image's own CMD is started, its HEALTHCHECK must
pass, and SIGTERM must end it with status 0; and so must `uvicorn asgi:app`, which ends by that signal. The compose file
must name its service as operators do, and no simulator may be in the image. Exit status 0 only if all of that held.
"""

import fnmatch
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

CONTEXT = Path(__file__).resolve().parent.parent
NEEDS_IMAGE = ("apt-get", "useradd")
# A node without secrets or network: development mode, and a model address on loopback that nobody calls.
NODE_ENV = {"FASTBRIDGE_DEV": "1", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
HEALTHY_SECONDS = 30
SERVICES = ["prosaas-calls"]
CLOSING_SECONDS = 30
LEFT = ["asgi.py"]
"""What the image's working folder holds."""
WORKSHOP = ["fastbridge-sim", "matplotlib", "numpy", "pytest"]
"""What no node needs, and no image holds."""
# The command of those who run uvicorn themselves; it ends as uvicorn does.
UVICORN = "uvicorn asgi:app --host 0.0.0.0 --port {port} --log-level info --ws websockets --timeout-keep-alive 75"


def instructions(text: str) -> list[tuple[str, str]]:
    """(verb, rest) of each instruction; comments gone, continued lines joined, ARG defaults put in."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    pairs = [(line.split()[0], line.split(None, 1)[1].strip()) for line in text.splitlines() if line.strip()]
    args = dict(rest.split("=", 1) for verb, rest in pairs if verb == "ARG")

    def filled(rest: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda name: args[name[1]], rest)

    return [(verb, filled(rest) if verb == "FROM" else rest) for verb, rest in pairs]


class Stage:
    """One FROM: a folder that stands for the root, a virtual environment that stands for the image's Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root
        self.healthcheck: list[str] = []
        self.command: list[str] = []
        venv.create(root / "python", with_pip=True)
        # Of this machine only the way to the package index; everything else is the Dockerfile's.
        self.env = {key: value for key, value in os.environ.items() if key.lower().startswith(("pip_", "ssl_", "http"))}
        self.env |= {"PATH": f"{root}/python/bin:/usr/bin:/bin", "HOME": str(root)}

    def inside(self, path: str) -> Path:
        return self.root / path[1:] if path.startswith("/") else self.workdir / path

    def run(self, command: str) -> None:
        if any(word in command for word in NEEDS_IMAGE):
            print(f"  left out (needs an image): {command}")
            return
        subprocess.run(["/bin/sh", "-ec", command], cwd=self.workdir, env=self.env, check=True)

    def copy(self, rest: str, stages: dict[str, "Stage"]) -> None:
        origin = CONTEXT
        words = rest.split()
        if words[0].startswith("--from="):
            origin = stages[words.pop(0).removeprefix("--from=")].root
        *sources, target = words
        for source in sources:
            if origin is CONTEXT and not allowed(source):
                raise SystemExit(f"COPY {source}: .dockerignore keeps it out of the context")
            copy_tree(origin / source.lstrip("/"), self.inside(target), into=target.endswith("/"))


def ignore_rules() -> list[str]:
    lines = (CONTEXT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def allowed(source: str) -> bool:
    """This repository's .dockerignore is an allow-list of top-level names."""
    return f"!{source.partition('/')[0]}" in ignore_rules()


def copy_tree(source: Path, target: Path, *, into: bool) -> None:
    if source.is_dir():
        anywhere = [rule[3:] for rule in ignore_rules() if rule.startswith("**/")]

        def skip(_: str, names: list[str]) -> set[str]:
            return {name for name in names if any(fnmatch.fnmatch(name, rule) for rule in anywhere)}

        shutil.copytree(source, target, ignore=skip, dirs_exist_ok=True)
    else:
        place = target / source.name if into else target
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, place)


def follow(steps: list[tuple[str, str]], scratch: Path) -> Stage:
    """Every step of every stage; the last stage."""
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for verb, rest in steps:
        if verb == "ARG":
            continue
        print(f"{verb} {rest}", flush=True)
        if verb == "FROM":
            name = rest.partition(" AS ")[2] or str(len(stages))
            stage = stages[name] = Stage(scratch / name)
            continue
        assert stage is not None, "an instruction before FROM"
        match verb:
            case "WORKDIR":
                stage.workdir = stage.inside(rest)
                stage.workdir.mkdir(parents=True, exist_ok=True)
            case "COPY":
                stage.copy(rest, stages)
            case "RUN":
                stage.run(rest)
            case "ENV":
                stage.env |= dict(pair.split("=", 1) for pair in rest.split())
            case "HEALTHCHECK":
                stage.healthcheck = json.loads(rest.partition(" CMD ")[2])
            case "CMD":
                stage.command = json.loads(rest)
            case "USER" | "EXPOSE":
                print("  left out (needs an image)")
            case _:
                raise SystemExit(f"no rule for {verb}")
    assert stage is not None, "no FROM"
    return stage


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_and_stop(stage: Stage, command: list[str], port: int, status: int) -> None:
    """The command must answer HEALTHCHECK and end on SIGTERM with this status."""
    env = stage.env | NODE_ENV | {"PORT": str(port)}
    python = f"{stage.root}/python/bin"
    node = subprocess.Popen([f"{python}/{command[0]}", *command[1:]], cwd=stage.workdir, env=env)
    try:
        deadline = time.monotonic() + HEALTHY_SECONDS
        check = [f"{python}/{stage.healthcheck[0]}", *stage.healthcheck[1:]]
        while subprocess.run(check, env=env, stderr=subprocess.DEVNULL).returncode:
            if node.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"image-check: the node did not become healthy: {' '.join(command)}")
            time.sleep(0.2)
        print(f"HEALTHCHECK passed: {' '.join(command)}", flush=True)
        node.send_signal(signal.SIGTERM)
        ended = node.wait(timeout=30)
        if ended != status:
            raise SystemExit(f"image-check: SIGTERM ended the node with status {ended}, not {status}")
    finally:
        node.kill()
        node.wait()


def check_contents(stage: Stage) -> None:
    """The product, and not the workshop."""
    listed = [f"{stage.root}/python/bin/python", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    out = subprocess.run(listed, env=stage.env, capture_output=True, text=True, check=True).stdout
    names = {each["name"].lower().replace("_", "-") for each in json.loads(out)}
    found = sorted(names & set(WORKSHOP))
    if found or "fastbridge" not in names:
        raise SystemExit(f"image-check: the image holds {found}, which no node needs, or no fastbridge")
    print(f"the image holds {len(names)} packages, and no simulators", flush=True)


def check_compose() -> None:
    """The name by which operators restart it and read its log, its one image, and a drain that Docker waits for."""
    text = (CONTEXT / "docker-compose.prod.yml").read_text()
    services = re.findall(r"^  (\S+):$", text.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0], flags=re.M)
    if services != SERVICES:
        raise SystemExit(f"image-check: docker-compose.prod.yml has the services {services}, not {SERVICES}")
    grace_s = 60 * int(re.findall(r"stop_grace_period: (\d+)m$", text, flags=re.M)[0])
    drain_s = int(re.findall(r"FASTBRIDGE_DRAIN_SECONDS: (\d+)$", text, flags=re.M)[0])
    if grace_s < drain_s + CLOSING_SECONDS:
        raise SystemExit(f"image-check: Docker kills the node {grace_s} s after the signal, in the middle of its drain")
    print(f"docker-compose.prod.yml: {', '.join(services)}", flush=True)


def main() -> None:
    check_compose()
    with tempfile.TemporaryDirectory(prefix="fastbridge-image-") as scratch:
        last = follow(instructions((CONTEXT / "Dockerfile").read_text()), Path(scratch))
        left = sorted(path.name for path in last.workdir.iterdir())
        if left != LEFT:
            raise SystemExit(f"image-check: the last stage holds {left} beside the installed wheel, not {LEFT}")
        check_contents(last)
        start_and_stop(last, last.command, free_port(), 0)
        port = free_port()
        start_and_stop(last, UVICORN.format(port=port).split(), port, -signal.SIGTERM)
    print(f"image-check: every step held, on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
