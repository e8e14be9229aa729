"""fastbridge.net.descriptors: how many there may be, and who gets them."""

import pytest

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.net import descriptors
from fastbridge.observe import notices

resource = pytest.importorskip("resource")


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


@pytest.fixture
def rlimit(monkeypatch):
    """The process's limit, for this test alone."""
    now = [256, 512]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(now))
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: now.__setitem__(slice(None), new))
    return now


def test_the_limit_is_raised_as_far_as_it_goes(rlimit):
    assert descriptors.limit() == 256
    assert descriptors.raise_limit() == 512
    assert rlimit == [512, 512]


def test_where_it_cannot_be_raised_it_is_as_it_is(rlimit, monkeypatch):
    monkeypatch.setattr(resource, "setrlimit", lambda *_: (_ for _ in ()).throw(ValueError("beyond the system's")))
    assert descriptors.raise_limit() == 256


def test_no_limit_is_a_limit_too(rlimit):
    rlimit[:] = [resource.RLIM_INFINITY] * 2
    assert descriptors.limit() > 1_000_000


@pytest.mark.parametrize(
    ("limit", "calls", "budget"),
    [
        (20_000, 400, 3000),  # as configured
        (2064, 400, 1200),  # what the calls' other sockets leave
        (1024, 400, 480),  # half: each stream has a socket to the model beside it
        (64, 400, 8),
    ],
)
def test_the_budget_is_below_the_limit(limit, calls, budget):
    settings = load_settings(max_calls=calls, max_connections=2000)
    assert descriptors.connections(settings, limit) == budget


def test_too_few_for_the_calls_that_are_configured_is_said_once(rlimit, monkeypatch):
    said = []
    monkeypatch.setattr(notices, "too_few_descriptors", lambda calls, **fields: said.append((calls, fields)))
    descriptors.prepare(400)
    assert said == [(400, {"needed": 1264, "limit": 512})]
    descriptors.prepare(100)
    assert len(said) == 1
