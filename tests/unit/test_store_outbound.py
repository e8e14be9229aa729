"""store.outbound: rows that several processes change. (What is made of them: test_outbound_placer.)"""

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastbridge.store import outbound as module
from fastbridge.store.outbound import ENDED, LATEST, NEVER, OutboundCall, OutboundStore

CALL = "CA" + "1" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OutboundStore]:
    store = OutboundStore(f"sqlite:///{tmp_path}/x.db")
    yield store
    store.close()


def ask(store: OutboundStore, key: str | None = None) -> OutboundCall:
    return store.ask({"to": "+1"}, key=key, digest="d", due_s=None, lease_seconds=30.0)[0]


def tell(store: OutboundStore, state: str, sequence: int | None, call_id: str | None = None) -> OutboundCall | None:
    return store.told(call_id=call_id, call_sid=CALL, state=state, sequence=sequence, check_seconds=60.0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(list(range(4))), doubled=st.sets(st.integers(0, 3)), end=st.sampled_from(ENDED))
def test_in_whatever_order_the_last_word_is_the_end(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], doubled: set[int], end: str
) -> None:
    store = OutboundStore(f"sqlite:///{tmp_path_factory.mktemp('x')}/x.db")
    row = ask(store)
    states = ["initiated", "ringing", "in-progress", end]
    ends = 0
    for number in [*order, *doubled]:
        found = tell(store, states[number], number, row.id)
        ends += found is not None and found.over
    last = store.get(row.id)
    assert last is not None
    assert (last.state, last.sequence, last.call_sid, ends) == (end, LATEST, CALL, 1)
    store.close()


def test_many_who_ask_with_one_key_have_one_call(store: OutboundStore) -> None:
    found: list[tuple[OutboundCall, bool]] = []

    def one() -> None:
        found.append(store.ask({}, key="k", digest="d", due_s=None, lease_seconds=30.0))

    threads = [threading.Thread(target=one) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row.id for row, _ in found}) == 1
    assert sum(new for _, new in found) == 1


def test_calls_without_a_key_are_each_another(store: OutboundStore) -> None:
    assert len({ask(store).id for _ in range(5)}) == 5


def test_a_sid_that_came_by_callback_is_not_written_over(store: OutboundStore) -> None:
    row = ask(store)
    tell(store, "ringing", 1, row.id)
    placed = store.placed(row.id, CALL, "queued", 90.0)
    assert placed is not None
    assert (placed.call_sid, placed.state) == (CALL, "ringing")


def test_what_has_a_sid_is_not_forgotten(store: OutboundStore) -> None:
    row = ask(store)
    tell(store, "ringing", 1, row.id)
    store.forget(row.id)
    assert store.get(row.id) is not None


def test_books_are_closed_once(store: OutboundStore) -> None:
    row = ask(store)
    assert store.ended(row.id, "failed", code=1, reason="x")
    assert not store.ended(row.id, "failed", code=2, reason="y")
    over = store.get(row.id)
    assert over is not None
    assert over.code == 1
    assert [store.settle(over, None, {}) is not None for _ in range(2)] == [True, False]
    store.await_record(row.id, 1.0)  # too late
    settled = store.get(row.id)
    assert settled is not None
    assert (settled.check_s, settled.request) == (NEVER, {})


def test_pages_are_by_time_and_then_by_id(tmp_path: Path) -> None:
    times = iter([5.0, 5.0, 7.0, 1.0])
    store = OutboundStore(f"sqlite:///{tmp_path}/x.db", lambda: next(times))
    rows = [ask(store) for _ in range(4)]
    expected = sorted(rows, key=lambda row: (-row.created_s, [-ord(letter) for letter in row.id]))
    first = store.listed(state=None, ids=None, limit=2, before=None)
    rest = store.listed(state=None, ids=None, limit=9, before=(first[-1].created_s, first[-1].id))
    assert [row.id for row in first + rest] == [row.id for row in expected]
    some = random.sample(rows, 2)
    assert {row.id for row in store.listed(state=None, ids=[row.id for row in some], limit=9, before=None)} == {
        row.id for row in some
    }
    store.close()


def before(monkeypatch: pytest.MonkeyPatch, name: str, other: Callable[[], object]) -> None:
    """Another process does this, once, before `name` is done here."""
    real, others = getattr(module, name), [other]

    def late(*given: Any, **values: Any) -> Any:
        if others:
            others.pop()()
        return real(*given, **values)

    monkeypatch.setattr(module, name, late)


def test_the_end_is_not_lost_where_an_older_word_comes_in_between(
    store: OutboundStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = ask(store), OutboundStore(f"sqlite:///{tmp_path}/x.db")
    before(monkeypatch, "_set", lambda: tell(other, "ringing", 1, row.id))
    found = tell(store, "busy", 3, row.id)
    assert found is not None
    assert (found.state, found.sequence) == ("busy", LATEST)
    other.close()


def test_nor_is_an_older_word_believed_where_the_end_comes_in_between(
    store: OutboundStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, other = ask(store), OutboundStore(f"sqlite:///{tmp_path}/x.db")
    before(monkeypatch, "_set", lambda: tell(other, "busy", 3, row.id))
    assert tell(store, "ringing", 1, row.id) is None
    last = store.get(row.id)
    assert last is not None
    assert last.state == "busy"
    other.close()


def test_a_key_that_is_given_back_while_it_is_asked_for_is_free(
    store: OutboundStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = OutboundStore(f"sqlite:///{tmp_path}/x.db")
    first = ask(other, "k")
    before(monkeypatch, "_find", lambda: other.forget(first.id))
    row, new = store.ask({}, key="k", digest="d", due_s=None, lease_seconds=30.0)
    assert (row.id != first.id, new) == (True, True)
    other.close()


def test_a_key_that_is_never_free_is_not_asked_for_for_ever(
    store: OutboundStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(store, "k")
    monkeypatch.setattr(module, "_find", lambda *_: None)
    with pytest.raises(LookupError, match="again and again"):
        ask(store, "k")


def test_one_that_has_ended_meanwhile_is_not_looked_at_again(store: OutboundStore) -> None:
    row = ask(store)
    over = tell(store, "busy", 1, row.id)
    assert over is not None
    store.settle(over, None, {})
    store.look_again(row.id, 5.0)
    settled = store.get(row.id)
    assert settled is not None
    assert settled.check_s == NEVER
