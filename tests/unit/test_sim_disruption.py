import pytest

from fastbridge.sim.disruption import Change, Disruption, Drop, Elapsed, Lose, On, Postpone, Reject, Repeat, Stall


@pytest.mark.parametrize("what", [Lose(), Repeat(), Postpone(1.0), Change(), Reject("code", "message")])
def test_what_befalls_an_event_needs_one(what):
    assert Disruption(On("response.done"), what).what is what
    with pytest.raises(ValueError, match=f"{type(what).__name__} needs an event"):
        Disruption(Elapsed(100.0), what)


@pytest.mark.parametrize("what", [Drop(), Stall(1.0)])
def test_what_befalls_the_connection_may_come_any_time(what):
    assert Disruption(Elapsed(100.0), what) == Disruption(Elapsed(100.0), what)


def test_a_drop_is_a_reset_unless_it_says_otherwise():
    assert Drop().code == 1006
    assert Drop(1011, "internal error").reason == "internal error"
