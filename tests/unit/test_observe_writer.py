"""Lines to a stream by a thread: nobody waits, nothing is lost without being counted."""

import io
import os
import subprocess
import sys
import threading
import time

import pytest

from fastbridge.observe import writer as logwriter
from fastbridge.observe.writer import LineWriter


def lost(count: int) -> str:
    return f"{count} lines were dropped"


class Pipe:
    """A stream on a pipe, as stdout is in a container."""

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        self.stream = os.fdopen(self.write_fd, "w", encoding="utf-8")

    def fill(self) -> int:
        """Until it takes no more; the bytes it holds."""
        os.set_blocking(self.write_fd, False)
        held = 0
        try:
            while True:
                held += os.write(self.write_fd, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(self.write_fd, True)
            return held

    def drain(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += os.read(self.read_fd, count - len(found))
        return found

    def lines(self, count: int) -> list[str]:
        found = b""
        while found.count(b"\n") < count:
            found += os.read(self.read_fd, 65536)
        return found.decode().splitlines()

    def close(self) -> None:
        os.close(self.read_fd)
        self.stream.close()


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_come_out_in_order(pipe):
    writer = LineWriter(pipe.stream, lost)
    for number in range(1000):
        assert writer.put(f"line {number} שלום")
    assert pipe.lines(1000) == [f"line {number} שלום" for number in range(1000)]
    assert writer.close()
    assert 1 <= writer.peak_waiting <= 1000


def test_one_that_is_closed_is_not_waited_for(pipe):
    """The standard library closes every handler once more: when a uvicorn configures logging, and at the end."""
    writer = LineWriter(pipe.stream, lost)
    writer.put("one")
    assert writer.close()
    assert writer._thread is not None
    writer._thread.join(5)  # or it might write, at last, and into the pipe that has our number next
    assert not writer._thread.is_alive()
    assert writer.close()
    writer.put("two, which nobody writes")
    assert not writer.flush()


def test_an_urgent_line_does_not_wait_for_others_to_gather(pipe, monkeypatch):
    monkeypatch.setattr(logwriter, "GATHER_SECONDS", 10.0)
    writer = LineWriter(pipe.stream, lost)
    writer.put("one")
    assert pipe.lines(1) == ["one"]
    began = time.monotonic()
    writer.put("two")
    writer.put("an error", urgent=True)
    assert pipe.lines(2) == ["two", "an error"]
    assert time.monotonic() - began < 5
    assert writer.close()


def test_many_urgent_lines_wake_the_thread_once(pipe):
    held = pipe.fill()
    writer = LineWriter(pipe.stream, lost)
    for number in range(100):
        assert writer.put(f"error {number}", urgent=True)
    assert writer._wake.qsize() <= 1
    pipe.drain(held)
    assert len(pipe.lines(100)) == 100
    assert writer.close()


def test_a_stream_without_a_file_will_do():
    stream = io.StringIO()
    writer = LineWriter(stream, lost)
    writer.put("one")
    writer.put("two")
    assert writer.flush()
    assert stream.getvalue() == "one\ntwo\n"
    writer.close()


def test_a_reader_that_stands_still_costs_lines_and_nobody_waits(pipe):
    held = pipe.fill()
    writer = LineWriter(pipe.stream, lost)
    room = logwriter.MAX_WAITING * 3 // 4
    results = [writer.put(f"info {number}") for number in range(2 * room)]
    assert not writer.flush(0.01)  # the thread is stuck in the pipe; put was not
    assert results.count(False) >= room - logwriter.MAX_ATOMIC_BYTES
    assert results[-1] is False
    assert writer.put("an error finds room", urgent=True)
    dropped = writer.dropped
    pipe.drain(held)
    kept = results.count(True)
    found = pipe.lines(kept + 2)
    assert len(found) == kept + 2
    assert f"{dropped} lines were dropped" in found
    assert "an error finds room" in found
    assert [line for line in found if line.startswith("info")] == [
        f"info {number}" for number, taken in enumerate(results) if taken
    ]
    assert writer.close()


def test_a_reader_that_is_gone_costs_the_lines_only():
    read_fd, write_fd = os.pipe()
    with os.fdopen(write_fd, "w") as stream:
        writer = LineWriter(stream, lost)
        os.close(read_fd)
        writer.put("one")
        assert writer.flush()
        writer.put("two")
        assert writer.flush()
        assert writer.dropped == 2
        writer.close()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe):
    held = pipe.fill()
    os.set_blocking(pipe.write_fd, False)
    writer = LineWriter(pipe.stream, lost)
    writer.put("at last")
    assert not writer.flush(0.01)
    pipe.drain(held)
    assert pipe.lines(1) == ["at last"]
    assert writer.close()


def test_many_threads_at_once(pipe):
    writer = LineWriter(pipe.stream, lost)
    threads = [threading.Thread(target=lambda: [writer.put("x" * 50) for _ in range(100)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert pipe.lines(800) == ["x" * 50] * 800
    for thread in threads:
        thread.join()
    assert writer.close()


def test_a_forked_child_has_a_writer_of_its_own():
    code = """
import os, sys
from fastbridge.observe.writer import LineWriter
writer = LineWriter(sys.stdout, str)
writer.put("parent")
writer.flush()
child = os.fork()
writer.put("child" if not child else "parent again")
assert writer.flush()
if not child:
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split("\n")) == ["", "child", "parent", "parent again"]


def test_processes_that_share_a_pipe_keep_long_lines_whole(tmp_path):
    code = """
import sys
from pathlib import Path
from fastbridge.observe.writer import LineWriter
writer = LineWriter(sys.stdout, str, lock=Path(sys.argv[1]))
for number in range(40):
    writer.put(sys.argv[2] * 20_000)
assert writer.close(20)
"""
    read_fd, write_fd = os.pipe()
    lock = tmp_path / "lock"
    workers = [
        subprocess.Popen([sys.executable, "-c", code, str(lock), letter], stdout=write_fd) for letter in ("a", "b", "c")
    ]
    os.close(write_fd)
    with os.fdopen(read_fd) as stream:
        found = stream.read().splitlines()
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert sorted(found) == [letter * 20_000 for letter in "abc" for _ in range(40)]
    assert lock.stat().st_mode & 0o777 == 0o600


def test_what_is_logged_last_is_written_at_exit():
    code = """
from fastbridge.observe import log_policy as log
from fastbridge.config import load_settings
log.configure_from(load_settings())
for number in range(500):
    log.event("X", number=number)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 501
    assert done.stdout.endswith("[X] number=499\n")


def test_a_reader_that_never_reads_does_not_keep_the_process(pipe):
    code = """
from fastbridge.observe import log_policy as log
from fastbridge.observe import writer as logwriter
from fastbridge.config import load_settings
log.configure_from(load_settings())
for number in range(20_000):
    log.event("X", number=number)
log.flush(0.1)
import atexit; atexit.unregister(log.flush)
"""
    process = subprocess.run([sys.executable, "-c", code], stdout=pipe.write_fd, stderr=subprocess.PIPE, timeout=60)
    assert (process.returncode, process.stderr) == (0, b"")
