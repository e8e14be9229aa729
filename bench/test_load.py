"""What `load.py` runs, and which of several runs it keeps."""

import pytest

from fastbridge.sim.load_report import name_of
from load import costs_of_parts, is_drawn, middle_of, parse, plan, ratios


def run(bridge, calls, cpu, **extras):
    return {
        "bridge": bridge,
        "calls": calls,
        "bridge_cost": {"cpu_ms_per_call_second": cpu},
        "tls": True,
        "dsp": bridge == "fastbridge",
        "barge": False,
        **extras,
    }


def names(*arguments):
    """The runs of one command, as their results would be called."""
    return [
        f"{name_of({'bridge': one.bridge, 'tls': one.tls, 'dsp': one.dsp, 'barge': one.barge})} {one.calls[0]}"
        for one in plan(parse(arguments))
    ]


def test_first_the_default_then_what_each_part_costs():
    assert names("--calls", "50,100", "--baseline-up-to", "50") == [
        "fastbridge 50",
        "baseline 50",
        "fastbridge 100",
        "fastbridge without DSP 100",
        "fastbridge without TLS 100",
        "fastbridge without DSP and TLS 100",
        "fastbridge + interruptions 100",
    ]


def test_what_is_compared_alternates():
    made = names("--calls", "100", "--rounds", "2", "--baseline-up-to", "0")
    parts = ["fastbridge 100", *(f"fastbridge without {part} 100" for part in ("DSP", "TLS", "DSP and TLS"))]
    assert made == ["fastbridge 100", "fastbridge 100", *parts, *parts, "fastbridge + interruptions 100"]


def test_with_more_calls_than_its_end_can_take_there_is_no_tls():
    assert names("--calls", "100,400", "--tls-up-to", "300", "--baseline-up-to", "0") == [
        "fastbridge 100",
        "fastbridge without TLS 400",
        "fastbridge without DSP and TLS 400",
        "fastbridge without TLS + interruptions 400",
    ]
    assert names("--calls", "100,400", "--only-default", "--baseline-up-to", "0")[1:] == ["fastbridge without TLS 400"]


def test_what_a_part_costs_is_told_from_runs_of_one_session():
    made = [run("fastbridge", 100, 1.75), run("baseline", 100, 7.0), run("fastbridge", 50, 2.0)]
    made += [run("fastbridge", 100, 1.7, dsp=False), run("fastbridge", 100, 1.4, tls=False)]
    made += [run("fastbridge", 400, 1.0, tls=False), run("fastbridge", 100, 9.0, barge=True, tls=False)]
    assert costs_of_parts(made) == [
        "- At 100 calls DSP takes 0.05 of 1.75 CPU-ms per call-second.",
        "- At 100 calls TLS takes 0.35 of 1.75 CPU-ms per call-second.",
    ]
    assert [name_of(each) for each in made if is_drawn(each)] == [
        "fastbridge",
        "baseline",
        "fastbridge",
        "fastbridge without TLS",
        "fastbridge without TLS",
    ]


def test_the_run_with_the_middle_cpu_is_kept():
    made = [run("fastbridge", 100, cpu) for cpu in (1.5, 0.9, 1.0)] + [run("baseline", 100, cpu) for cpu in (5, 4, 9)]
    kept = middle_of([*made, run("fastbridge", 100, 7.0, dsp=False), run("fastbridge", 200, 0.8)])
    assert [one["bridge_cost"]["cpu_ms_per_call_second"] for one in kept] == [1.0, 5, 7.0, 0.8]
    assert ratios(kept) == {"cpu_100_calls": 5.0}


def test_a_bridge_whose_process_is_unknown_has_no_middle():
    assert middle_of([{**run("ws://127.0.0.1:1", 10, 0), "bridge_cost": None}])


def test_no_rounds_at_all_are_refused_in_a_sentence(capsys):
    with pytest.raises(SystemExit):
        parse(["--rounds", "0"])
    assert "must be a whole number, at least 1, not '0'" in capsys.readouterr().err
