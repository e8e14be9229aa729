"""The node's own recorder: what the tapes of calls give, written to files by one thread for all calls.

A call never waits for its recording and never fails for it. Pieces wait in a queue of MAX_WAITING; while it is full a
call's tape keeps its own, which has a bound of its own. What cannot be written ends that recording, is counted, and is
one line in the log in 30 s.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter
from fastbridge.recordings.wav_file import WavFile, mend, safe_name

MAX_WAITING = 512
"""Pieces in the queue, of some seconds each."""
LINE_SECONDS = 30.0
CLOSE_SECONDS = 5.0


class Reel:
    """A recording under way, from its call's thread. name: the file's, once it is finished."""

    def __init__(self, recorder: "LocalRecorder", name: str) -> None:
        self.name = f"{name}.wav"
        self.failed = False
        """It could not be written, or not to its end."""
        self._stem = name
        self._recorder = recorder
        self._file: WavFile | None = None

    @property
    def has_room(self) -> bool:
        """Whether a piece is taken now; else it is to be kept, and offered again."""
        return self._recorder.has_room

    def write(self, audio: bytes) -> None:
        """The next piece: a byte of each channel in turn."""
        if audio and not self.failed:
            self._recorder.put(self, audio)

    def look(self) -> None:
        """Whether there still is a file: before its call ends it is known whether it names one."""
        if not self.failed:
            self._recorder.put(self, b"")

    def finish(self) -> None:
        """That was all of it."""
        self._recorder.put(self, None)

    # --- the recorder's thread ---

    def do(self, folder: Path, audio: bytes | None) -> bool:
        """Write a piece, or the end. True: with that it is finished. OSError."""
        if self.failed:
            return False
        if self._file is None:
            self._file = WavFile(folder, self._stem)
        if audio is not None:
            self._file.append(audio)
            return False
        file, self._file = self._file, None
        self.name = file.finish().name
        return True

    def give_up(self) -> None:
        """What there is of it is kept, if that can be."""
        self.failed = True
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.finish()


class LocalRecorder:
    """begin(call_sid, stream_sid) from the loop. folder: made when it is needed."""

    def __init__(
        self, folder: Path, *, max_waiting: int = MAX_WAITING, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = {"finished": 0, "mended": 0, "failed": 0}
        self.peak_waiting = 0
        self._folder = folder
        self._max_waiting = max_waiting
        self._lines = RateLimiter(now_s)
        self._queue: SimpleQueue[tuple[Reel, bytes | None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if folder.is_dir() and next(folder.glob("*.part"), None) is not None:
            self._start()

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    @property
    def has_room(self) -> bool:
        return self.waiting < self._max_waiting

    def begin(self, call_sid: str, stream_sid: str) -> Reel:
        """A recording of this stream. Its file is made at once: that it cannot be is known before a short call ends."""
        reel = Reel(self, safe_name(call_sid, stream_sid))
        self.put(reel, b"")
        return reel

    def put(self, reel: Reel, audio: bytes | None) -> None:
        """Of a reel: a piece, or None for its end. Never blocks and never raises."""
        self._queue.put((reel, audio))
        self.peak_waiting = max(self.peak_waiting, self.waiting)
        self._start()

    def close(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Write what waits, for `timeout` seconds at most; False if that was too short: the next start mends what is
        left. Blocks: not for the loop."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # --- the thread ---

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="fastbridge-recorder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        self._mend()
        while (piece := self._queue.get()) is not None:
            self._write(*piece)

    def _mend(self) -> None:
        mended = list(mend(self._folder))
        self.counters["mended"] += len(mended)
        if mended:
            notices.recordings_mended(len(mended))

    def _write(self, reel: Reel, audio: bytes | None) -> None:
        try:
            self.counters["finished"] += reel.do(self._folder, audio)
        except OSError as error:
            reel.give_up()
            self.counters["failed"] += 1
            if self._lines.every("recorder", LINE_SECONDS):
                notices.recording_unwritten(error.strerror or type(error).__name__)
