"""A load run sees what a bridge does wrong, each fault as what it is, and nothing wrong in one that does right."""

import asyncio
import json
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fastbridge.sim.load import Options, run
from fastbridge.sim.node import free_port
from faulty_bridge import Faults, faulty_bridge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")

CALLS = 2
QUICK: dict[str, Any] = {"settle_seconds": 2.0, "seconds": 3.0, "talk_ms": 1500, "period_ms": 2500}


both = pytest.mark.parametrize("model", ["realtime", "live"])


def measured(faults: Faults, model: str = "realtime", **options: Any) -> dict[str, Any]:
    async def whole() -> dict[str, Any]:
        port = free_port()
        async with faulty_bridge(port, faults, live=model == "live") as url:
            asked = Options(bridge=url, model=model, model_port=port, **QUICK | options)
            return await run(asked, CALLS, lambda step, share: None)

    return asyncio.run(whole())


@both
def test_a_bridge_that_does_right(model: str) -> None:
    result = measured(Faults(), model)
    assert result["model"] == model
    assert [each for each in result["broken"] if "18 ms" not in each] == []  # what Python's timers do is their affair
    assert (result["held"], result["setup_failures"]) == (CALLS, [])
    assert result["uplink"]["sent"] == result["uplink"]["arrived"] == pytest.approx(CALLS * 150, abs=12)
    assert result["uplink"]["latency"]["count"] == result["uplink"]["sent"]
    assert 0 < result["uplink"]["latency"]["p50"] < 20
    assert result["downlink"]["frames"] > 80
    assert 18 < result["downlink"]["spacing"]["p50"] < 24
    assert result["events"]["marks"] == pytest.approx(result["events"]["marks_echoed"], abs=8)
    assert result["first_audio"]["start_to_first_frame"]["count"] == CALLS


@both
def test_each_fault_of_a_bridge_is_seen_as_what_it_is(model: str) -> None:
    faults = Faults(drop_caller=31, alter_caller=37, drop_speech=41, alter_speech=17, repeat_speech=43, hasten=7)
    result = measured(faults, model)
    up, down, whole = result["uplink"], result["downlink"], result["integrity"]
    assert up["lost"] == pytest.approx(up["sent"] / 31, abs=3)
    assert up["altered"] == pytest.approx(up["sent"] / 37, rel=1.5)
    assert up["latency"]["count"] == up["arrived"]
    assert whole["lost"] % 160 == 0 < whole["lost"]
    assert whole["repeated"] % 160 == 0 < whole["repeated"]
    assert 0 < whole["altered"] < 80
    assert whole["foreign"] == 0
    assert down["short"] >= 5
    assert down["spacing"]["min"] < 15
    assert len(result["broken"]) >= 6


@both
def test_frames_of_another_size_are_seen(model: str) -> None:
    result = measured(Faults(batch=10), model)
    assert result["downlink"]["odd_size"] > 3
    assert result["integrity"]["faults"] == 0


@both
def test_interruptions_are_measured(model: str) -> None:
    result = measured(Faults(), model, barge=True, barge_after_ms=300, seconds=5.0)
    barge = result["barge_in"]
    assert barge["events"] >= CALLS, "one each in 3 s where all goes well"
    assert (barge["missed"], barge["stale_frames"], barge["early"]) == (0, 0, 0)
    assert 0 < barge["latency"]["p50"] < 20
    assert result["integrity"]["faults"] == 0, "what was interrupted is not lost"


@both
def test_an_interruption_without_a_clear_is_missed(model: str) -> None:
    result = measured(Faults(forget_clear=True), model, barge=True, barge_after_ms=300)
    assert result["barge_in"]["missed"] >= 1
    assert result["barge_in"]["latency"]["count"] == 0


@both
def test_speech_that_goes_on_after_a_clear_is_stale(model: str) -> None:
    result = measured(Faults(go_on_after_clear=5), model, barge=True, barge_after_ms=300)
    assert result["barge_in"]["stale_frames"] >= 3


@both
def test_frames_that_come_changed_are_told_by_their_order(model: str) -> None:
    """As with signal processing: every frame may come altered, and a lost one is noticed all the same."""
    healthy = measured(Faults(alter_caller=1), model, dsp=True)
    assert [each for each in healthy["broken"] if "18 ms" not in each] == []
    assert healthy["uplink"]["latency"]["count"] == healthy["uplink"]["sent"]
    lossy = measured(Faults(drop_caller=20), model, dsp=True)
    assert lossy["uplink"]["lost"] == pytest.approx(lossy["uplink"]["sent"] / 20, abs=5)


@both
def test_no_frame_costs_a_python_call(tmp_path: Path, model: str) -> None:
    """A frame comes 50 times a second in each direction, with TLS: nothing in Python is called nearly so often."""
    out = tmp_path / "counts.json"
    command = (sys.executable, str(Path(__file__).parents[1] / "counted_node.py"), str(out))
    options = Options(model=model, command=command, seconds=6, settle_seconds=1, talk_ms=4000, period_ms=5000)
    result = asyncio.run(run(options, CALLS, lambda step, share: None))
    assert result["downlink"]["frames"] > 100
    seconds = [Counter(second) for second in json.loads(out.read_text())[-7:-2]]  # not the ramp, nor the end
    usual = {name: statistics.median(each[name] for each in seconds) for name in set().union(*seconds)}
    assert max(usual.values()) > 0, "it counts"
    assert [name for name, count in usual.items() if count / CALLS > 25] == []
