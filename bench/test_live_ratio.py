"""What `live_ratio.py` runs, and what it makes of it."""

from live_ratio import pairs, plan, ratio, table


class Arguments:
    calls = (50, 100)
    rounds = 2
    seconds = 5.0
    delta_bytes = None
    no_tls = no_dsp = realtime = cold = False


def run(calls, cpu):
    return {
        "calls": calls,
        "bridge_cost": {"cpu_ms_per_call_second": cpu, "rss_kb_per_call": 200.0},
        "uplink": {"latency": {"p50": 1.0, "p99": 2.0}},
        "downlink": {"spacing": {"p99.9": 21.0}, "short": 0},
    }


RUNS = [run(50, 2.0), run(50, 2.4), run(100, 1.0), run(100, 1.5), run(50, 2.0), run(50, 3.0)]


def test_the_two_alternate_and_are_else_the_same():
    runs = plan(Arguments())
    assert [(each.calls[0], each.model) for each in runs] == [
        (calls, model) for calls in (50, 100) for model in ("realtime", "live")
    ] * 2
    assert {(each.tls, each.dsp, each.warm) for each in runs} == {(True, True, True)}


def test_each_pair_gives_a_ratio_and_the_median_counts():
    assert [round(ratio(*pair), 2) for pair in pairs(RUNS)[50]] == [1.2, 1.5]
    lines = table(RUNS).splitlines()
    assert lines[2].startswith("| 50 | 1.35 | 1.20 1.50 | 2.00 / 2.70 |")
    assert lines[3].startswith("| 100 | 1.50 | 1.50 | 1.00 / 1.50 |")


def test_a_run_that_did_not_come_about_has_no_pair():
    assert list(pairs(RUNS[:3])) == [50]


def test_only_live_has_deltas_of_another_size(monkeypatch):
    monkeypatch.setattr(Arguments, "delta_bytes", 800)
    assert [each.delta_bytes for each in plan(Arguments())[:2]] == [3200, 800]
