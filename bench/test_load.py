"""Which of several runs `load.py` keeps."""

import pytest

from load import middle_of, parse, ratios


def run(bridge, calls, cpu, **extras):
    return {
        "bridge": bridge,
        "calls": calls,
        "bridge_cost": {"cpu_ms_per_call_second": cpu},
        "tls": False,
        "dsp": False,
        "barge": False,
        **extras,
    }


def test_the_run_with_the_middle_cpu_is_kept():
    made = [run("fastbridge", 100, cpu) for cpu in (1.5, 0.9, 1.0)] + [run("baseline", 100, cpu) for cpu in (5, 4, 9)]
    kept = middle_of([*made, run("fastbridge", 100, 7.0, dsp=True), run("fastbridge", 200, 0.8)])
    assert [one["bridge_cost"]["cpu_ms_per_call_second"] for one in kept] == [1.0, 5, 7.0, 0.8]
    assert ratios(kept) == {"cpu_100_calls": 5.0}


def test_a_bridge_whose_process_is_unknown_has_no_middle():
    assert middle_of([{**run("ws://127.0.0.1:1", 10, 0), "bridge_cost": None}])


def test_no_rounds_at_all_are_refused_in_a_sentence(capsys):
    with pytest.raises(SystemExit):
        parse(["--rounds", "0"])
    assert "must be a whole number, at least 1, not '0'" in capsys.readouterr().err
