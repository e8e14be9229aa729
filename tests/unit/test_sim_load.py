import resource
import sys
from dataclasses import replace

import pytest

from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.node.doctor import OPENAI_URL
from fastbridge.sim import load, load_bridge
from fastbridge.sim.load import Options, Places, check, limit_seconds, machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(calls=()), "--calls"),
        (Options(calls=(0,)), "--calls"),
        (Options(calls=(10, 5000)), "--calls"),
        (Options(seconds=0.5), "--seconds"),
        (Options(bridge="http://example.com"), "this machine"),
        (Options(bridge="fastbrige"), "this machine"),
        (Options(bridge="ws://127.0.0.1:1/x", tls=True), "--tls"),
        (Options(bridge="baseline", dsp=True), "has no DSP"),
        (Options(bridge="baseline", model="live"), "does not speak GPT-Live"),
        (Options(model="gpt-live-1"), "realtime or live"),
        (Options(model="live", speed=2.0), "pace of real time"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(options, words):
    with pytest.raises(ConfigError, match=words):
        check(options)


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (Options(), (True, True)),
        (Options(dsp=False), (False, True)),
        (Options(tls=False), (True, False)),
        (Options(bridge="baseline"), (False, True)),
        (Options(bridge="ws://127.0.0.1:1/x"), (False, False)),
        (Options(bridge="ws://127.0.0.1:1/x", dsp=True), (True, False)),
    ],
)
def test_a_bridge_runs_as_it_does_by_itself_unless_told_otherwise(options, parts):
    assert (options.dsp, options.tls) == parts
    assert replace(options, calls=(7,)) == replace(options, calls=(7,), dsp=parts[0], tls=parts[1])


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        (Options(), (3200, 6.7)),
        (Options(delta_bytes=800, speed=1.0), (800, 1.0)),
        (Options(model="live"), (160, 1.0)),
        (Options(model="live", delta_bytes=800), (800, 1.0)),
    ],
)
def test_a_model_comes_in_its_own_pieces_at_its_own_pace(options, pace):
    assert (options.delta_bytes, options.speed) == pace
    check(options)


def test_fastbridge_by_itself_has_dsp_and_encrypts():
    assert Options().dsp is Settings.model_fields["enable_min_dsp"].default
    assert OPENAI_URL.startswith("https://")


def test_without_openssl_nothing_is_started(monkeypatch):
    monkeypatch.setattr(load_bridge.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="--no-tls"):
        check(Options())
    check(Options(tls=False))


def test_what_can_be_run():
    check(Options())
    check(Options(bridge="ws://127.0.0.1:5050/media"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


def test_too_few_open_files(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 256))
    with pytest.raises(ConfigError, match="1300 open files"):
        check(Options(calls=(400,)))


def test_elsewhere_it_says_where_it_runs(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="Linux"):
        check(Options())


@pytest.mark.parametrize(
    ("cpus", "places"),
    [({0, 1}, ({0}, {1}, 1)), ({3}, ({3}, {3}, 3)), ({0, 1, 2, 5}, ({0}, {1, 2, 5}, 5))],
)
def test_the_bridge_has_a_core_of_its_own_where_there_are_two(monkeypatch, cpus, places):
    monkeypatch.setattr(load.os, "sched_getaffinity", lambda pid: cpus)
    assert Places.here() == places


def test_a_run_has_a_limit_that_grows_with_its_calls():
    assert limit_seconds(Options(seconds=20), 100) > 20 + 4
    assert limit_seconds(Options(), 200) - limit_seconds(Options(), 100) == pytest.approx(30)


def test_the_machine_of_the_figures():
    assert machine().keys() == {"cpu", "cpus", "kernel", "python", "date"}
