"""Threads for functions that are not ours: a user's plain tools and hooks.

One daemon thread per running function, up to a bound. A function that never returns costs its thread and nothing else:
it takes no worker from anybody's pool, and the process ends without waiting for it. Nothing of a call runs here.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

MAX_THREADS = 256
"""Functions at once, in the whole process; one more is refused with BusyError."""

P = ParamSpec("P")
T = TypeVar("T")


class BusyError(RuntimeError):
    """MAX_THREADS functions are running."""


class DaemonThreads(Executor):
    """For `loop.run_in_executor`. `peak`: the most functions that ever ran at once."""

    def __init__(self, limit: int = MAX_THREADS) -> None:
        self.running = 0
        self.peak = 0
        self._limit = limit
        self._lock = threading.Lock()

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        """Run it in a thread of its own. BusyError if there are too many."""
        with self._lock:
            if self.running >= self._limit:
                raise BusyError(f"{self._limit} functions of this node are running already")
            self.running += 1
            self.peak = max(self.peak, self.running)
        future: Future[T] = Future()

        def run() -> None:
            # Counted as done before its result is out: whoever waits for the result may start the next one.
            if not future.set_running_or_notify_cancel():
                self._release()
                return
            try:
                result = function(*arguments, **named)
            except BaseException as error:  # SystemExit of a user's function too: it must reach whoever waits
                self._release()
                future.set_exception(error)
            else:
                self._release()
                future.set_result(result)

        thread = threading.Thread(target=run, name=f"fastbridge-{_name(function)}", daemon=True)
        try:
            thread.start()
        except BaseException:
            self._release()
            raise
        return future

    def _release(self) -> None:
        with self._lock:
            self.running -= 1


class Kept(Executor):
    """Of `shared`, for one function: its future stays at hand, which the loop forgets when nobody waits any more."""

    def __init__(self) -> None:
        self.future: Future[Any] | None = None

    def submit(self, function: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> Future[T]:
        future = self.future = shared.submit(function, *arguments, **named)
        return future


awaited: set[Future[Any]] = set()
"""What functions in these threads wait for at their calls: meanwhile they do nothing."""


def wait_for(future: "Future[T]") -> T:
    """In a thread of a function's: what its call answers."""
    awaited.add(future)
    future.add_done_callback(awaited.discard)
    return future.result()


def _name(function: Any) -> str:
    return str(getattr(getattr(function, "func", function), "__name__", "function"))


shared = DaemonThreads()
"""The process's own."""
