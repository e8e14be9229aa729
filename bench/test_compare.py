import json
import re
from pathlib import Path

import pytest

import compare


def report(**times):
    """Of one kernel: seconds by twin."""
    return {
        "benchmarks": [
            {
                "name": f"bench_scan_it[{twin}]",
                "params": {"twin": twin},
                "extra_info": {"calls": 50},
                "stats": {"min": seconds},
            }
            for twin, seconds in times.items()
        ]
    }


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    def run(floors, kernels, load=None, load_floors=None):
        monkeypatch.setattr(compare, "KERNEL_FLOORS", floors)
        monkeypatch.setattr(compare, "LOAD_FLOORS", load_floors or {})
        (tmp_path / "kernels.json").write_text(json.dumps(kernels))
        arguments = [str(tmp_path / "kernels.json")]
        if load is not None:
            (tmp_path / "load.json").write_text(json.dumps(load))
            arguments += ["--load", str(tmp_path / "load.json")]
        status = compare.main(arguments)
        return status, *capsys.readouterr()

    return run


def test_a_kernel_is_the_time_of_one_call_on_each_twin():
    (kernel,) = compare.read_kernels(report(oracle=100e-6, compiled=5e-6))
    assert kernel == ("scan it", pytest.approx(2.0), pytest.approx(0.1))
    assert kernel.ratio == pytest.approx(20)


def test_other_parameters_are_part_of_the_name():
    benchmarks = report(oracle=1.0, compiled=1.0)["benchmarks"]
    for benchmark in benchmarks:
        benchmark["params"]["lanes"] = 100
    assert compare.read_kernels({"benchmarks": benchmarks})[0].name == "scan it, 100 lanes"
    for benchmark in benchmarks:
        benchmark["params"]["lanes"] = 1
    assert compare.read_kernels({"benchmarks": benchmarks})[0].name == "scan it, 1 lane"


def test_above_its_floor_all_is_well(run):
    status, out, err = run({"scan it": 19}, report(oracle=100e-6, compiled=5e-6))
    assert (status, err) == (0, "")
    assert out.splitlines()[1].split() == ["scan", "it", "2.00", "0.100", "20.0", "19"]


def test_under_its_floor_it_fails_and_says_so(run):
    status, _, err = run({"scan it": 21}, report(oracle=100e-6, compiled=5e-6))
    assert (status, err) == (1, "REGRESSION scan it: ratio 20.00 is under its floor 21\n")


@pytest.mark.parametrize("kernels", [{"benchmarks": []}, report(oracle=1.0)])
def test_a_kernel_that_was_not_measured_fails(run, kernels):
    assert run({"scan it": 1}, kernels)[0::2] == (1, "REGRESSION scan it: not measured\n")


def test_a_kernel_without_a_floor_fails(run):
    assert run({}, report(oracle=1.0, compiled=0.1))[0::2] == (1, "REGRESSION scan it: has no floor\n")


def test_a_load_report_is_judged_by_its_ratios(run):
    kernels = report(oracle=1.0, compiled=0.1)
    load = {"ratios": {"cpu at 200 calls": 4.5, "unjudged": 0.1}}
    status, out, _ = run({"scan it": 5}, kernels, load, {"cpu at 200 calls": 4})
    assert status == 0
    assert "load: cpu at 200 calls: 4.50" in out
    status, _, err = run({"scan it": 5}, kernels, load, {"cpu at 200 calls": 5, "memory": 1})
    assert status == 1
    assert err.splitlines() == [
        "REGRESSION memory: not measured",
        "REGRESSION cpu at 200 calls: ratio 4.50 is under its floor 5",
    ]


def test_what_is_no_number_is_under_every_floor():
    assert compare.below_floor({"a": float("nan")}, {"a": 0}) == ["a: ratio nan is under its floor 0"]


def test_every_benchmark_here_has_a_floor():
    sources = "".join(path.read_text() for path in Path(compare.__file__).parent.glob("bench_*.py"))
    written = {name.replace("_", " ") for name in re.findall(r"^def bench_(\w+)", sources, re.MULTILINE)}
    assert written == {name.partition(",")[0] for name in compare.KERNEL_FLOORS}
