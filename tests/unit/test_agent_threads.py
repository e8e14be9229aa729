"""fastbridge.agent.threads: one daemon thread a function, and not too many."""

import threading

import pytest

from fastbridge.agent.threads import BusyError, DaemonThreads, Kept


def test_a_function_runs_in_a_daemon_thread_of_its_own():
    def where(x: int, *, y: int) -> tuple[bool, bool, int]:
        return threading.current_thread().daemon, threading.current_thread() is threading.main_thread(), x + y

    assert DaemonThreads().submit(where, 1, y=2).result(10) == (True, False, 3)


@pytest.mark.parametrize("raised", [ValueError, SystemExit, KeyboardInterrupt])
def test_what_it_raises_is_the_futures(raised):
    def fail() -> None:
        raise raised("mine")

    threads = DaemonThreads()
    assert isinstance(threads.submit(fail).exception(10), raised)
    assert threads.running == 0


def test_one_too_many_is_refused_and_a_place_is_free_when_a_result_is_out():
    threads, finish = DaemonThreads(limit=2), threading.Event()
    stuck = threads.submit(finish.wait, 10)
    assert threads.submit(int).result(10) == 0
    second = threads.submit(finish.wait, 10)
    with pytest.raises(BusyError, match="2 functions"):
        threads.submit(int)
    finish.set()
    assert (stuck.result(10), second.result(10), threads.running, threads.peak) == (True, True, 0, 2)


def test_a_future_that_was_cancelled_in_time_runs_nothing(monkeypatch):
    ran = []
    begin = threading.Thread.start
    futures = []

    def start(thread: threading.Thread) -> None:
        futures[-1].cancel()
        begin(thread)

    import fastbridge.agent.threads as module

    class Future(module.Future):
        def __init__(self) -> None:
            super().__init__()
            futures.append(self)

    monkeypatch.setattr(module, "Future", Future)
    monkeypatch.setattr(threading.Thread, "start", start)
    threads = DaemonThreads()
    future = threads.submit(ran.append, 1)
    for thread in threading.enumerate():
        if thread.name.startswith("fastbridge-"):
            thread.join(10)
    assert (future.cancelled(), ran, threads.running) == (True, [], 0)


def test_a_future_that_is_kept_is_at_hand_when_nobody_waits_for_it_any_more():
    kept = Kept()
    assert kept.future is None
    future = kept.submit(int, "7")
    assert kept.future is future
    assert future.result(10) == 7
