"""recordings.media_store: files whole or not at all, under names made of sids, in a folder or a bucket."""

import asyncio
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bucket_rig import Bucket, bucket
from fastbridge.errors import ConfigError
from fastbridge.recordings import media_store
from fastbridge.recordings.media_store import PIECE_BYTES, Kept, MediaStore, StoreError, check, folder_of
from recording_rig import CALL, SID, sid

FILE = os.urandom(PIECE_BYTES * 2 + 7)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def put(store: MediaStore, name: str = SID, file: bytes = FILE) -> None:
    run(store.put(name, io.BytesIO(file)))


def read(store: MediaStore, start: int, end: int, name: str = SID) -> list[bytes]:
    async def pieces() -> list[bytes]:
        return [piece async for piece in store.read(name, start, end)]

    return run(pieces())  # type: ignore[no-any-return]


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(str(tmp_path / "files"))


def test_what_is_put_is_there_once_and_for_its_owner(store: MediaStore, tmp_path: Path) -> None:
    put(store)
    put(store)
    (path,) = (tmp_path / "files").iterdir()
    assert (path.name, path.read_bytes() == FILE) == (f"{SID}.wav", True)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    kept = run(store.look(SID))
    assert isinstance(kept, Kept)
    assert kept.size_bytes == len(FILE)
    assert run(store.look(sid(1))) is None


def test_it_is_put_from_its_beginning_wherever_it_was_read_to(store: MediaStore) -> None:
    file = io.BytesIO(FILE)
    file.seek(0, io.SEEK_END)
    run(store.put(SID, file))
    assert run(store.look(SID)).size_bytes == len(FILE)


@pytest.mark.parametrize(("start", "end"), [(0, len(FILE)), (5, 6), (PIECE_BYTES - 1, PIECE_BYTES + 1), (7, 7)])
def test_it_is_read_in_pieces(store: MediaStore, start: int, end: int) -> None:
    put(store)
    pieces = read(store, start, end)
    assert b"".join(pieces) == FILE[start:end]
    assert max(map(len, pieces), default=0) <= PIECE_BYTES
    assert all(type(piece) is bytes for piece in pieces)


def test_one_that_is_shorter_than_it_was_is_an_error(store: MediaStore) -> None:
    put(store, file=FILE[:100])
    with pytest.raises(media_store.StoreError):
        read(store, 0, 200)
    with pytest.raises(media_store.StoreError):
        read(store, 0, 10, sid(1))


def test_deleting_tells_whether_there_was_one(store: MediaStore) -> None:
    put(store)
    assert [run(store.delete(SID)) for _ in range(2)] == [True, False]
    assert run(store.look(SID)) is None


@pytest.mark.parametrize(
    "name", ["", "x", "../x", f"../{SID}", f"{SID}/../x", SID + "\n", SID.lower(), f"{SID}.wav", "/etc"]
)
def test_no_other_name_is_one(store: MediaStore, name: str) -> None:
    for deed in (store.look(name), store.delete(name), store.put(name, io.BytesIO(b""))):
        with pytest.raises(ValueError, match="not a sid"):
            run(deed)
    with pytest.raises(ValueError, match="not a sid"):
        read(store, 0, 1, name)


def test_a_calls_own_file_has_its_calls_sid(store: MediaStore) -> None:
    put(store, CALL, b"RIFF")
    assert run(store.look(CALL)).size_bytes == 4


def test_what_was_left_half_written_goes_when_it_is_old(store: MediaStore, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    old, young = folder / f"{SID}.wav#1", folder / f"{SID}.wav#2"
    for path in (old, young):
        path.write_bytes(b"x")
    long_ago = time.time() - media_store.LEFT_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    put(store)
    os.utime(folder / f"{SID}.wav", (long_ago, long_ago))
    run(store.sweep())
    assert sorted(path.name for path in folder.iterdir()) == [f"{SID}.wav", f"{SID}.wav#2"]


def test_a_write_that_ends_while_it_is_swept_is_no_fault(
    store: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, glob = tmp_path / "files", Path.glob
    for number in (1, 2):
        (folder / f"{SID}.wav#{number}").write_bytes(FILE)
    os.utime(folder / f"{SID}.wav#2", (0, 0))

    def late(path: Path, pattern: str) -> list[Path]:
        found = sorted(glob(path, pattern))
        (folder / f"{SID}.wav#1").rename(folder / f"{SID}.wav")
        return found

    monkeypatch.setattr(Path, "glob", late)
    run(store.sweep())
    assert [path.name for path in folder.iterdir()] == [f"{SID}.wav"]


def test_what_is_left_half_written_is_never_seen(store: MediaStore, tmp_path: Path) -> None:
    (tmp_path / "files" / f"{SID}.wav#1").write_bytes(b"x")
    assert run(store.look(SID)) is None
    put(store)
    assert run(store.look(SID)).size_bytes == len(FILE)


class TestAddress:
    def test_a_folder_in_any_writing(self, tmp_path: Path) -> None:
        assert folder_of("recordings") == Path("recordings")
        assert folder_of("/data/recordings") == Path("/data/recordings")
        assert folder_of("file:///data/my%20files") == Path("/data/my files")
        spaced = MediaStore(f"file://{tmp_path}/my%20files")
        put(spaced, file=b"x")
        assert (tmp_path / "my files" / f"{SID}.wav").exists()

    @pytest.mark.parametrize("url", ["s3://bucket/recordings", "gs://bucket", "s3://bucket"])
    def test_a_bucket(self, url: str) -> None:
        assert folder_of(url) is None
        check(url)
        MediaStore(url)

    @pytest.mark.parametrize("url", ["ftp://x/y", "https://x/y", "http://169.254.169.254/", "memory:///", "az://c/p"])
    def test_what_cannot_be_is_a_sentence(self, url: str) -> None:
        for attempt in (check, MediaStore):
            with pytest.raises(ConfigError, match=r"^FASTBRIDGE_RECORDINGS_URL .*\.$"):
                attempt(url)

    def test_a_folder_that_cannot_be_made_is_a_sentence(self) -> None:
        with pytest.raises(ConfigError, match=r"^FASTBRIDGE_RECORDINGS_URL cannot be used"):
            MediaStore("/proc/none/x")

    def test_looking_at_an_address_makes_nothing(self, tmp_path: Path) -> None:
        check(str(tmp_path / "files"))
        assert list(tmp_path.iterdir()) == []


# A bucket


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with bucket(monkeypatch) as made:
        yield made


@pytest.mark.parametrize("size_bytes", [0, 44, len(FILE), 6_000_000])
def test_a_bucket_has_it_as_a_folder_has(calls: Bucket, size_bytes: int) -> None:
    """A large one goes up in parts."""
    file = (FILE * 12)[:size_bytes]

    async def scene() -> None:
        store = MediaStore("s3://calls/of/today")
        for _ in range(2):
            await store.put(SID, io.BytesIO(file))
        assert calls.objects == {f"/calls/of/today/{SID}.wav": file}
        kept = await store.look(SID)
        assert kept is not None
        assert (kept.size_bytes, kept.changed.isoformat()) == (size_bytes, "2026-11-29T12:00:00+00:00")
        assert b"".join([piece async for piece in store.read(SID, 0, size_bytes)]) == file
        assert b"".join([piece async for piece in store.read(SID, 5, min(40, size_bytes))]) == file[5:40]
        await store.delete(SID)
        assert calls.objects == {}
        assert await store.look(SID) is None
        await store.sweep()

    run(scene())


QUESTIONS: dict[str, Callable[[MediaStore], Any]] = {
    "look": lambda store: store.look(SID),
    "read": lambda store: anext(store.read(SID, 0, 9)),
    "delete": lambda store: store.delete(SID),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_bucket_that_does_not_answer_is_not_waited_for(
    calls: Bucket, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    calls.fault = lambda method, path: 0
    monkeypatch.setattr(media_store, "ANSWER_SECONDS", 0.2)

    async def scene() -> None:
        with pytest.raises(StoreError):
            await asyncio.wait_for(QUESTIONS[question](MediaStore("s3://calls")), 10)

    began_s = time.monotonic()
    run(scene())
    assert time.monotonic() - began_s < 5
    assert calls.asked, "it was asked"


def test_a_bucket_that_fails_for_a_moment_is_asked_again(calls: Bucket) -> None:
    calls.objects[f"/calls/{SID}.wav"] = FILE
    calls.fault = lambda method, path: 503 if len(calls.asked) < 3 else None
    assert run(MediaStore("s3://calls").look(SID)).size_bytes == len(FILE)


def test_a_bucket_that_refuses_us_says_so(calls: Bucket) -> None:
    calls.fault = lambda method, path: 403
    with pytest.raises(StoreError):
        run(MediaStore("s3://calls").look(SID))
    with pytest.raises(StoreError):
        put(MediaStore("s3://calls"))
