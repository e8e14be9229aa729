import json
import sys
from types import SimpleNamespace

import pytest

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import load
from fastbridge.sim.load import Options
from fastbridge.sim.load_command import call_counts, main
from load_results import result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


@pytest.fixture
def runs(monkeypatch):
    """What was run; each run succeeds unless told otherwise."""
    asked: list[Options] = []
    outcomes: dict[int, object] = {}

    async def run(options, calls, progress):
        asked.append(options)
        progress("measuring", 0.5)
        outcome = outcomes.get(calls, result(options.bridge, calls))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(load, "run", run)
    return SimpleNamespace(asked=asked, outcomes=outcomes)


@pytest.mark.parametrize(("text", "counts"), [("50", (50,)), ("50,100", (50, 100)), (" 5, 7", (5, 7))])
def test_numbers_of_calls(text, counts):
    assert call_counts(text) == counts


@pytest.mark.parametrize("text", ["", "many", "5,,7", "5;7"])
def test_what_is_no_number_of_calls(text):
    with pytest.raises(ConfigError, match="numbers"):
        call_counts(text)


def test_one_run_for_each_number_then_table_json_and_plot(runs, tmp_path, capsys):
    assert main(Options(calls=(5, 10)), json_path=tmp_path / "l.json", plot_path=tmp_path / "l.png") == 0
    assert [each.calls for each in runs.asked] == [(5,), (10,)]
    out, err = capsys.readouterr()
    assert "fastbridge 10" in out
    assert out.count("✓") == 2
    assert "1/2  fastbridge, 5 calls: measuring" in err
    document = json.loads((tmp_path / "l.json").read_text())
    assert (document["schema"], len(document["runs"])) == (1, 2)
    assert (tmp_path / "l.png").stat().st_size > 0


def test_what_is_broken_is_the_exit_code(runs):
    runs.outcomes[10] = result(calls=10, changed={"spacing_short": 1})
    assert main(Options(calls=(5, 10))) == 1


def test_what_was_measured_before_a_run_failed_is_kept(runs, tmp_path, capsys):
    runs.outcomes[10] = FastbridgeError("No load.")
    assert main(Options(calls=(5, 10, 20)), json_path=tmp_path / "l.json") == 1
    assert len(json.loads((tmp_path / "l.json").read_text())["runs"]) == 1
    assert "fastbridge: No load." in capsys.readouterr().err


@pytest.mark.parametrize(("outcome", "status"), [(TimeoutError(), 1), (KeyboardInterrupt(), 130)])
def test_a_run_that_is_ended(runs, outcome, status):
    runs.outcomes[5] = outcome
    assert main(Options(calls=(5,))) == status


def test_a_folder_that_is_not_there_is_said_before_anything_runs(runs, tmp_path):
    with pytest.raises(ConfigError, match="no directory"):
        main(Options(calls=(5,)), json_path=tmp_path / "nowhere" / "l.json")
    assert runs.asked == []
