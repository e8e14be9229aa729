import sys

import pytest

from fastbridge.sim import load_plot
from load_results import result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


def test_a_picture_of_some_runs(tmp_path):
    runs = [result("fastbridge", calls) for calls in (50, 100)] + [result("baseline", 50)]
    load_plot.plot(tmp_path / "load.png", runs)
    assert (tmp_path / "load.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "load.png").stat().st_size > 20_000


def test_runs_without_costs_or_values_can_be_drawn(tmp_path):
    bare = result() | {"bridge_cost": None, "curves": {"uplink": [], "spacing": [], "barge_in": []}}
    load_plot.plot(tmp_path / "load.svg", [bare])
    assert "<svg" in (tmp_path / "load.svg").read_text()


def test_without_runs_there_is_no_picture(tmp_path):
    load_plot.plot(tmp_path / "load.png", [])
    assert list(tmp_path.iterdir()) == []
