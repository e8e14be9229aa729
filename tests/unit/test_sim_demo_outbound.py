"""fastbridge.sim.demo_outbound, around the call: what is measured of it, and what it says. No call is made here."""

from pathlib import Path
from typing import Any

import pytest

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import demo_outbound
from fastbridge.sim.answering_machine import machine_audio
from fastbridge.sim.audio import SILENCE, speech
from fastbridge.sim.demo import Performance
from fastbridge.sim.report import CallReport, Event
from fastbridge.sim.verdict import Check

MACHINE_MS = len(machine_audio()) / 8
RECORD: dict[str, Any] = {
    "end_reason": "answering_machine",
    "answered_by": {"verdict": "machine", "at_ms": 3600, "source": "sound", "beep_ms": 8300, "message": "left"},
}


def report(behind_ms: int = 140, early: bytes = b"") -> CallReport:
    """A machine that begins at 0.6 s, and what it hears: `early` at 5 s, and our message so long behind its beep."""
    end = int(600 + MACHINE_MS) * 8
    before = (SILENCE * 40_000 + early).ljust(end, SILENCE)
    heard = before + SILENCE * (behind_ms * 8) + speech("assistant_message")
    return CallReport(
        "CA1", said=SILENCE * len(heard), heard=heard, received=heard, events=[Event(600, "speak", "Hello, you")]
    )


def broken(report: CallReport, record: dict[str, Any] | None = RECORD) -> list[str]:
    return [check.name for check in demo_outbound.machine_checks(report, record) if not check.holds]


def test_a_message_that_begins_soon_holds() -> None:
    assert broken(report()) == []
    assert demo_outbound.message_start_ms(report()) == pytest.approx(200, abs=40)


def test_what_went_wrong_is_told() -> None:
    assert broken(report(600)) == ["the message began within 300 ms of the beep"]
    assert broken(report(early=speech("assistant_goodbye")[:8000])) == [
        "nothing was said into its greeting once it was known"
    ]
    assert len(broken(CallReport("CA1"), None)) == 3
    taken = RECORD | {"end_reason": "customer_hangup"}
    assert broken(report(), taken) == ["the message was left, and the call hung up"]


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    results: list[Any] = [Performance(report(), [Check("it held", True, "well")], RECORD, [])]

    async def perform(folder: Path) -> Performance:
        if isinstance(results[0], Exception):
            raise results[0]
        assert isinstance(results[0], Performance)
        return results[0]

    monkeypatch.setattr(demo_outbound, "_perform", perform)
    return results


def test_it_says_what_it_measured(tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert demo_outbound.run(tmp_path / "new") == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"call.json", "call.wav", "node.log"}
    *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("1 of 1 invariants held in a call out of ")
    assert "ms behind the beep, and then the node hung up" in last


def test_one_broken_invariant_fails_it(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    performed[0] = Performance(report(), [Check("it held", False, "no")], RECORD, [])
    assert demo_outbound.run(tmp_path) == 1
    assert "✗ it held: no" in capsys.readouterr().out


def test_a_node_that_does_not_start_is_one_sentence(
    tmp_path: Path, performed: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    performed[0] = FastbridgeError("The node ended with status 1")
    assert demo_outbound.run(tmp_path) == 1
    assert capsys.readouterr().err == "fastbridge: The node ended with status 1\n"


def test_a_folder_that_cannot_be_written_to_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="Cannot write to"):
        demo_outbound.run(tmp_path / "file")
