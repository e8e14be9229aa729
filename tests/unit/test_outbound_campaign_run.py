"""outbound.campaign_run: what is seen of a campaign, and what is left of it."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from environment import clear_environment
from fastbridge.outbound import campaign_run
from fastbridge.outbound.campaign import Campaign
from unit.test_outbound_campaign import Node, people

TO = "+14155550001"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setenv("FASTBRIDGE_API_KEY", "k" * 20)

    class Api(Node):
        async def __aenter__(self) -> "Api":
            return self

        async def __aexit__(self, *_: Any) -> None: ...

    def run(node_: Node, count: int = 3) -> tuple[int, list[dict[str, str]]]:
        node_.__class__ = Api
        monkeypatch.setattr(campaign_run, "ApiClient", lambda url, key: node_)

        class Timed(Campaign):
            def __init__(self, *given: Any, **options: Any) -> None:
                super().__init__(*given, **{**options, "now_s": lambda: node_.now_s, "sleep": node_.sleep})

        monkeypatch.setattr(campaign_run, "Campaign", Timed)
        out = tmp_path / "out.csv"
        options: dict[str, Any] = {"per_second": 50.0, "at_once": 50, "retries": {}, "hours": None, "node": "http://x"}
        code = campaign_run.run("x", people(count), out, **options)
        with out.open(newline="") as file:
            return code, list(csv.DictReader(file))

    return run


def test_it_ends_with_what_came_of_each(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = run(Node({TO: ["busy"]}))
    assert code == 1
    assert [row["outcome"] for row in rows] == ["completed", "busy", "completed"]
    assert "3 called: 1 busy, 2 completed; see" in capsys.readouterr().out
    assert run(Node())[0] == 0


def test_the_first_signal_begins_no_more_and_the_second_waits_for_nobody(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node(call_seconds=1e9)
    node.when_placed = (3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    looks = iter(range(1_000_000))
    states = node.states

    async def look(ids: Any) -> Any:
        if next(looks) == 50:
            os.kill(os.getpid(), signal.SIGINT)
        return await states(ids)

    node.states = look  # type: ignore[method-assign]
    code, rows = run(node, 200)
    assert code == 1
    outcomes = [row["outcome"] for row in rows]
    assert 3 <= outcomes.count("under way") < 200
    assert "no more calls are begun" in capsys.readouterr().err
