"""The files under deploy/: a unit for systemd that a drain fits into, and a compose file with a database."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from fastbridge.config import Settings
from fastbridge.node.drain import LAST_WEBHOOK_SECONDS
from fastbridge.node.server import STOP_SECONDS
from fastbridge.store.database import open_engine
from fastbridge.store.records import CLOSE_SECONDS

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd" / "fastbridge.service"
CLOSING_SECONDS = STOP_SECONDS + CLOSE_SECONDS + LAST_WEBHOOK_SECONDS
MAX_EXPOSURE = 20
"""Of systemd-analyze security, in tenths: 0 is best, 100 worst."""


def values(name: str, text: str | None = None) -> list[str]:
    """Of a key of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text() if text is None else text, re.MULTILINE)


def environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in values("Environment") for pair in line.split())


def test_systemd_waits_for_the_longest_drain() -> None:
    (stop,) = values("TimeoutStopSec")
    assert stop.endswith("min")
    drain_s = int(environment()["FASTBRIDGE_DRAIN_SECONDS"])
    assert drain_s == Settings.model_fields["drain_seconds"].default
    assert 60 * int(stop.removesuffix("min")) >= drain_s + CLOSING_SECONDS + 30


def test_one_signal_for_the_main_process_and_no_other() -> None:
    assert values("KillMode") == ["mixed"]
    assert values("KillSignal") == []  # SIGTERM


def test_a_wrong_setting_is_not_tried_again_and_the_rest_is() -> None:
    assert values("Restart") == ["on-failure"]
    assert values("RestartPreventExitStatus") == ["2"]  # of cli.main


def test_what_it_sets_is_settings_of_ours_or_pythons() -> None:
    known = {str(name) for info in Settings.model_fields.values() for name in info.validation_alias.choices}
    assert {name for name in environment() if not name.startswith("PYTHON")} <= known
    open_engine(environment()["DATABASE_URL"].replace("%N", "fastbridge"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    unit = tmp_path / "fastbridge.service"
    there = {"ExecStart": f"{shutil.which('true')} serve", "WorkingDirectory": str(tmp_path)}
    text = UNIT.read_text()
    for name, value in there.items():  # verify looks for them
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    unit.write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    told = [line for line in verified.stderr.splitlines() if str(unit) in line or "fastbridge.service" in line]
    assert (verified.returncode, told) == (0, [])
    judge = ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(unit)]
    judged = subprocess.run(judge, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr


def test_compose_waits_for_the_longest_drain_and_the_database() -> None:
    text = (DEPLOY / "compose" / "compose.yml").read_text()
    assert re.findall(r"^  (\S+):$", text.partition("\nvolumes:")[0], re.MULTILINE) == ["node", "database"]
    grace_s = 60 * int(re.findall(r"stop_grace_period: (\d+)m$", text, re.MULTILINE)[0])
    assert grace_s >= int(re.findall(r"FASTBRIDGE_DRAIN_SECONDS: (\d+)$", text, re.MULTILINE)[0]) + CLOSING_SECONDS + 30
    assert "condition: service_healthy" in text
    driver = re.findall(r"DATABASE_URL: postgresql\+(\w+)://", text)
    assert re.findall(r'pip install --no-cache-dir "(\w+)\[', (DEPLOY / "compose" / "Dockerfile").read_text()) == driver


def test_the_image_with_an_agent_runs_without_rights() -> None:
    lines = (DEPLOY / "compose" / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER")][-1] == "USER fastbridge"
    assert "FROM fastbridge" in lines
