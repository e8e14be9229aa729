"""fastbridge.net.connections: who is let in, who makes room, and whose a request is."""

import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.base.addresses import networks
from fastbridge.net.connections import Connections, peer_of
from fastbridge.observe import notices


class Line:
    """A transport."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1

    def get_extra_info(self, name: str) -> Any:
        return {"peername": self.name}.get(name)


class Door:
    """Connections whose refusals are kept."""

    def __init__(self, limit: int = 3, per_ip: int = 100, proxies: str = "") -> None:
        self.refused: list[str] = []
        self.arrivals = 0
        self.connections = Connections(
            limit, per_ip, self.refused.append, proxies=networks(proxies), arrived=self.arrived
        )

    def arrived(self) -> None:
        self.arrivals += 1

    def enter(self, doing: Any = "silent", ip: str = "192.0.2.1") -> Line:
        line = Line()
        assert self.connections.enter(line, ip)
        self.connections.is_doing(line, doing)
        return line


def gone(*lines: Line) -> list[int]:
    return [line.aborted for line in lines]


@pytest.mark.parametrize("doing", ["silent", "unfinished", "idle", "busy"])
def test_of_one_that_has_left_nothing_is_kept(doing):
    door = Door()
    line = door.enter(doing)
    left = weakref.ref(line)
    door.connections.leave(line)
    del line
    assert left() is None


def test_one_too_many_costs_the_oldest_that_has_said_nothing():
    door = Door(limit=3)
    spoke, first, second = door.enter("unfinished"), door.enter(), door.enter()
    third = door.enter()
    assert gone(spoke, first, second, third) == [0, 1, 0, 0]
    fourth = door.enter()
    assert gone(spoke, first, second, third, fourth) == [0, 1, 1, 0, 0]
    assert door.connections.open == 3
    assert door.connections.evicted == {"silent": 2, "idle": 0, "unfinished": 0}
    assert door.refused == ["connections"] * 2


def test_then_the_idle_then_the_unfinished_and_never_the_busy():
    door = Door(limit=3)
    unfinished, busy, idle = door.enter("unfinished"), door.enter("busy"), door.enter("idle")
    door.enter("busy")
    assert gone(unfinished, busy, idle) == [0, 0, 1]
    door.enter("busy")
    assert gone(unfinished, busy, idle) == [1, 0, 1]
    assert not door.connections.enter(Line(), "192.0.2.1"), "all are busy"
    assert gone(busy) == [0]
    assert door.connections.open == 3
    assert door.refused == ["connections"] * 3


def test_age_counts_from_when_it_began_to_do_so():
    door = Door(limit=2)
    first, second = door.enter("idle"), door.enter("idle")
    door.connections.is_doing(first, "busy")
    door.connections.is_doing(first, "idle")
    door.enter("busy")
    assert gone(first, second) == [0, 1]


@pytest.mark.parametrize("doing", ["silent", "unfinished"])
def test_an_address_has_so_many_requests_on_their_way(doing):
    door = Door(limit=100, per_ip=2)
    first, busy, idle, other = door.enter(doing), door.enter("busy"), door.enter("idle"), door.enter(doing, "192.0.2.2")
    second = door.enter(doing)
    assert gone(first, second, busy, idle, other) == [0] * 5
    third = door.enter(doing)
    assert gone(first, second, third, busy, idle, other) == [1, 0, 0, 0, 0, 0]
    assert door.refused == ["too_many_readers"]
    door.connections.is_doing(second, "busy")
    door.connections.leave(third)
    door.enter(doing), door.enter(doing)
    assert door.refused == ["too_many_readers"]


def test_a_request_that_follows_on_a_connection_counts_again():
    door = Door(limit=100, per_ip=1)
    kept = door.enter("idle")
    new = door.enter()
    door.connections.is_doing(kept, "unfinished")
    assert gone(kept, new) == [0, 1]


def test_a_proxys_connections_are_nobodys_until_it_has_said_whose():
    door = Door(limit=100, per_ip=2, proxies="10.0.0.0/8")
    silent = [door.enter(ip="10.0.0.1") for _ in range(9)]
    assert gone(*silent) == [0] * 9
    for line in silent:
        door.connections.is_doing(line, "unfinished")
    for line in silent[:3]:
        door.connections.belongs_to(line, "192.0.2.1")
    for line in silent[3:5]:
        door.connections.belongs_to(line, "192.0.2.2")
    assert gone(*silent) == [1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_one_that_has_left_or_was_never_there_is_no_matter():
    door = Door(limit=1, per_ip=1)
    first = door.enter("unfinished")
    second = door.enter("unfinished")
    for line in (first, Line()):
        door.connections.is_doing(line, "busy")
        door.connections.belongs_to(line, "192.0.2.9")
        door.connections.leave(line)
    assert door.connections.open == 1
    door.connections.leave(second)
    assert door.connections.open == 0
    assert not door.connections._waiting


def test_one_that_is_known_may_change_hands():
    door = Door(limit=1)
    line = door.enter("unfinished")
    assert door.connections.enter(line, "192.0.2.1")
    assert (door.connections.open, line.aborted, door.arrivals) == (1, 0, 1)


def test_it_is_said_with_the_reason_and_not_each_time(monkeypatch):
    said: list[Any] = []
    monkeypatch.setattr(notices, "crowded", lambda what, **fields: said.append((what, fields)))
    door = Door(limit=1)
    for _ in range(50):
        door.enter()
    fields = {"reason": "connections", "more": 0, "connections": 0, "address": "192.0.2.1"}
    assert said == [("the oldest silent one made room", fields)]
    assert len(door.refused) == 49


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # no proxy of ours: anybody can write that
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what came before it is the client's own word
        ("10.1.2.3", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["198.51.100.1, 10.9.9.9"], "198.51.100.1"),  # through two of ours
        ("10.1.2.3", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.1.2.3", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.1.2.3", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.1.2.3", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", ["unknown"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1, unknown"], "10.1.2.3"),
        ("10.1.2.3", [], "10.1.2.3"),
        ("10.1.2.3", ["10.1.1.1"], "10.1.1.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_whose_a_request_is(peer, forwarded, client):
    assert Door(proxies="10.0.0.0/8, fd00::/8").connections.client(peer, forwarded) == client


def test_without_proxies_nobody_is_believed():
    assert Door().connections.client("127.0.0.1", ["198.51.100.1"]) == "127.0.0.1"


@given(st.lists(st.text(max_size=60), max_size=5))
def test_no_header_raises(forwarded):
    Door(proxies="10.0.0.1").connections.client("10.0.0.1", forwarded)


def test_a_long_chain_is_not_followed_for_ever():
    assert Door(proxies="10.0.0.0/8").connections.client("10.0.0.1", ["6.6.6.6," + "10.0.0.2," * 60]) == "10.0.0.1"
    chain = ["6.6.6.6, " + ", ".join(["10.0.0.2"] * 60)]
    assert Door(proxies="10.0.0.0/8").connections.client("10.0.0.1", chain) == "10.0.0.2"


@pytest.mark.parametrize(
    ("name", "ip"), [(("192.0.2.1", 1), "192.0.2.1"), (("::1", 1, 0, 0), "::1"), ("", ""), (None, "")]
)
def test_the_peers_address(name, ip):
    assert peer_of(Line(name)) == ip
