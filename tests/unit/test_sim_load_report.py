import io
import json
import math
import re
import sys

import pytest
from rich.console import Console

from fastbridge._measure import Histogram
from fastbridge.sim.load_report import curve, name_of, quantiles, table, value, verdict
from load_results import AFTER, result

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


def test_what_a_run_cost_is_by_call_and_second():
    cost = result()["bridge_cost"]
    assert cost["cpu_ms_per_call_second"] == 2.0
    assert cost["core_share"] == 0.2
    assert cost["rss_kb_per_call"] == 110.0
    assert cost["voluntary_switches_per_second"] == 500
    assert cost["foreign_share"] == pytest.approx(0.005)


def test_a_result_is_json_without_nan():
    text = json.dumps(result(), allow_nan=False)
    assert json.loads(text)["first_audio"]["start_to_first_frame"]["p50"] is None


def test_a_good_run_has_nothing_broken():
    good = result()
    assert (good["broken"], good["doubts"]) == ([], [])
    assert verdict(good) == "✓ fastbridge, 100 calls, DSP on, TLS on: every frame came, in order and in time"


@pytest.mark.parametrize(
    ("bridge", "parts", "name", "said"),
    [
        ("fastbridge", {}, "fastbridge", ", DSP on, TLS on"),
        ("fastbridge", {"dsp": False}, "fastbridge without DSP", ", DSP off, TLS on"),
        ("fastbridge", {"dsp": False, "tls": False}, "fastbridge without DSP and TLS", ", DSP off, TLS off"),
        ("fastbridge", {"tls": False, "barge": True}, "fastbridge without TLS + interruptions", ", DSP on, TLS off"),
        ("baseline", {}, "baseline", ", DSP off, TLS on"),
        ("http://127.0.0.1:1", {"tls": False}, "http://127.0.0.1:1", ""),
    ],
)
def test_a_report_says_which_parts_were_on(bridge, parts, name, said):
    found = result(bridge, **parts)
    assert name_of(found) == name
    assert verdict(found).startswith(f"✓ {bridge}, 100 calls{said}: ")


def test_a_report_says_which_model_it_was():
    found = result(model="live", tls=False)
    assert name_of(found) == "fastbridge live without TLS"
    assert verdict(found).startswith("✓ fastbridge live, 100 calls, DSP on, TLS off: ")
    out = io.StringIO()
    Console(file=out, width=120).print(table([found]))
    assert "fastbridge live 100" in out.getvalue()
    assert name_of(result(model="realtime")) == "fastbridge"


def test_with_dsp_nobody_can_say_whether_a_frame_came_as_it_was_sent():
    assert result(changed={"frames_altered": 7})["uplink"]["altered"] is None
    exact = result(dsp=False)
    assert exact["uplink"]["altered"] == 0
    assert verdict(exact).endswith("every frame came, whole, in order and in time")


@pytest.mark.parametrize(
    ("changed", "integrity", "words"),
    [
        ({"frames_arrived": 4990}, {}, "10 caller frames of 5000 were lost"),
        ({"frames_altered": 1}, {}, "altered"),
        ({"frames_repeated": 1}, {}, "twice"),
        ({"frames_reordered": 1}, {}, "out of order"),
        ({"frames_inserted": 1}, {}, "no caller had sent"),
        ({"spacing_short": 1}, {}, "less than 18 ms"),
        ({"media_odd_size": 1}, {}, "160 bytes"),
        ({"barges_missed": 2}, {}, "2 interruptions of 4"),
        ({"stale_frames": 1}, {}, "after its clear"),
        ({"malformed": 1}, {}, "malformed"),
        ({"wrong_stream": 1}, {}, "another stream"),
        ({"unlinked_bytes": 160}, {}, "had not said"),
        ({}, {"lost": 160}, "never came"),
        ({}, {"undelivered": 160}, "never came"),
        ({}, {"altered": 1}, "came altered"),
        ({}, {"repeated": 160}, "came twice"),
        ({}, {"foreign": 160}, "had not said"),
        ({}, {"uplink_skipped": 3}, "no caller's frame"),
    ],
)
def test_what_a_bridge_must_never_do_is_said(changed, integrity, words):
    bad = result(changed=changed, integrity=integrity, dsp=False)
    assert len(bad["broken"]) == 1
    assert words in bad["broken"][0]
    assert verdict(bad).startswith("✗")


def test_calls_that_did_not_stay_up_are_said():
    assert result(held=97)["broken"] == ["3 calls of 100 were not up all the time"]


def test_what_puts_a_run_in_doubt_is_said_and_breaks_nothing():
    busy = AFTER._replace(own_ms=7500.0)
    doubtful = result(after=busy, shared_core=True, changed={"stalls": 3})
    assert [words in text for words, text in zip(("75%", "no core", "3 times"), doubtful["doubts"], strict=True)]
    assert doubtful["broken"] == []
    noisy = result(after=AFTER._replace(own_ms=500.0))
    assert "others used 21% of a core" in verdict(noisy)


def test_a_distribution_in_milliseconds():
    histogram = Histogram()
    assert set(quantiles(histogram).values()) == {0, None}
    for each in range(1, 1001):
        histogram.add(each * 10_000)
    found = quantiles(histogram)
    assert (found["count"], found["min"], found["max"]) == (1000, 0.01, 10.0)
    assert found["p50"] == pytest.approx(5.0, rel=0.003)
    assert found["p99.9"] == pytest.approx(9.99, rel=0.003)


def test_a_curve_rises_to_one_and_keeps_its_tail():
    histogram = Histogram()
    for each in range(100_000):
        histogram.add(1_000_000 + 100 * (each % 5000))
    histogram.add(900_000_000)
    points = curve(histogram)
    assert 10 < len(points) < 400
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert points[-1][0] == pytest.approx(900, rel=0.003)
    assert points[-1][1] == 1.0
    assert points[-2][1] > 0.999
    assert curve(Histogram()) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [("calls", 100), ("uplink.latency.p99", 4.0), ("uplink.latency.p99.9", 4.0), ("nothing.here", None)],
)
def test_a_value_by_its_path(path, found):
    given = value(result(), path)
    assert given == found or math.isclose(given, found, rel_tol=0.003)


def test_a_table_puts_runs_beside_each_other():
    out = io.StringIO()
    Console(file=out, width=120).print(table([result(), result("baseline", 50)]))
    text = out.getvalue()
    assert "fastbridge 100" in text
    parts = [re.findall(r"\b(?:on|off)\b", line)[-2:] for line in text.splitlines() if "DSP" in line or "TLS" in line]
    assert parts == [["on", "off"], ["on", "on"]]
    assert "baseline 50" in text
    assert "loop lag" not in text, "what nobody has is left out"
