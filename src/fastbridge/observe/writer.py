"""Lines to a stream, by a thread of their own: whoever logs never waits for whoever reads.

Lines wait in a bounded queue. Overflow: the new line is dropped and counted, INFO and below at three quarters of the
bound already, so that warnings find room when a flood of the rest does not. What was dropped is reported once lines
flow again. The thread is woken once for all lines of a moment: waking it for each would cost the loop a change of
threads a line, on one core twice. A reader that is gone costs the lines, never the process. After a fork the child
begins with an empty queue and a thread of its own.
"""

import contextlib
import errno
import fcntl
import io
import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TextIO

MAX_WAITING = 4096
"""Lines in the queue."""
MAX_ATOMIC_BYTES = 4096
"""What a pipe takes in one piece (PIPE_BUF): as much is written at once, to whole lines, so that the lines of several
processes on one pipe stay whole."""
GATHER_SECONDS = 0.2
"""How long lines may gather after some were written: to wake the thread costs the loop more than to make a line."""
CLOSE_SECONDS = 2.0


class LineWriter:
    """stream: where lines go. lost_line(count): the line that reports so many dropped ones. lock: a file by which the
    processes that share the stream take turns (longer lines than a pipe takes at once would mix without)."""

    def __init__(self, stream: TextIO, lost_line: Callable[[int], str], *, lock: Path | None = None) -> None:
        self.dropped = 0
        self.peak_waiting = 0
        self._stream = stream
        self._fd = _fd_of(stream)
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._lost_line = lost_line
        self._reported = 0
        self._lock = lock
        self._lock_fd = -1
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._queue: deque[str | threading.Event] = deque()
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._asleep = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = False

    def put(self, line: str, *, urgent: bool = False) -> bool:
        """A line, without its newline. False if there was no room. Never blocks, from any thread."""
        waiting = len(self._queue)
        if waiting >= (MAX_WAITING if urgent else MAX_WAITING * 3 // 4):
            self.dropped += 1
            return False
        self.peak_waiting = max(self.peak_waiting, waiting + 1)
        self._queue.append(line)
        if self._thread is None:
            self._start()
        elif self._asleep or (urgent and self._wake.empty()):
            self._rouse()
        return True

    def flush(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Wait until all that was put before has been written; False if that took longer."""
        if self._thread is None:
            return True
        if self._closed:  # nobody writes any more, and whoever closed it has waited
            return not self._queue
        done = threading.Event()
        self._queue.append(done)
        self._rouse()
        return done.wait(timeout)

    def close(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Flush, and end the thread."""
        done = self.flush(timeout)
        self._closed = True
        self._rouse()
        return done

    def _rouse(self) -> None:
        # Several threads may do so at once: a token too many is a look for nothing.
        self._asleep = False
        self._wake.put(None)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                # A daemon: a reader that never reads may not keep the process from ending.
                self._thread = threading.Thread(target=self._run, name="fastbridge-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        queue, wake = self._queue, self._wake  # after a fork this thread has no part in the new ones
        while not self._closed:
            self._asleep = True
            if not queue:  # or a line came before it could see that we sleep
                wake.get()
            self._asleep = False
            while queue:
                lines, flushed = self._collect(queue)
                if lines:
                    self._write("\n".join(lines) + "\n", len(lines))
                if flushed is not None:
                    flushed.set()
            with contextlib.suppress(Empty):
                wake.get(timeout=GATHER_SECONDS)  # a flush does not wait so long

    def _collect(self, queue: "deque[str | threading.Event]") -> tuple[list[str], threading.Event | None]:
        """Lines that make one write, and the flush behind them, if one comes."""
        lines: list[str] = []
        size = 0
        while queue and size <= MAX_ATOMIC_BYTES // 2:  # characters; most are one byte
            item = queue.popleft()
            if not isinstance(item, str):
                return lines, item
            lines.append(item)
            size += len(item) + 1
        return lines, None

    def _write(self, text: str, lines: int) -> None:
        try:
            with self._turn():
                self._write_text(text)
                if self.dropped > self._reported:
                    lost, self._reported = self.dropped - self._reported, self.dropped
                    self._write_text(self._lost_line(lost) + "\n")
        except (OSError, ValueError):  # the reader is gone, the disk is full, the stream is closed
            self.dropped += lines

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if self._lock is None:
            yield
            return
        if self._lock_fd < 0:
            self._lock_fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _write_text(self, text: str) -> None:
        if self._fd is None:
            self._stream.write(text)
            self._stream.flush()
            return
        # Not through the stream: a thread that is stuck in it would hold the lock that the interpreter's end wants.
        left = memoryview(text.encode(self._encoding, "backslashreplace"))
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                select.select([], [self._fd], [])

    def _after_fork(self) -> None:
        self._lock_fd = -1  # a lock belongs to the open file, which the child would share
        if not self._closed:
            self._begin()


def _fd_of(stream: TextIO) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError, io.UnsupportedOperation) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return stream.fileno()
        return None


_writers: "weakref.WeakSet[LineWriter]" = weakref.WeakSet()


def _after_fork() -> None:
    for writer in list(_writers):
        writer._after_fork()


os.register_at_fork(after_in_child=_after_fork)
