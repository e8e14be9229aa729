"""recordings.api: files, ranges, links and deletion, and what is said to whoever asks otherwise."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx2
import pytest
from starlette.applications import Starlette

from fastbridge.base.api_keys import ApiKeys
from fastbridge.observe.limits import RateLimiter
from fastbridge.recordings import api
from fastbridge.recordings.api import MAX_DOWNLOADS
from fastbridge.recordings.links import Links
from fastbridge.recordings.media_store import MediaStore
from fastbridge.store.recordings import ABSENT, DELETED, FETCH, LOST, WANTED, RecordingRow
from recording_rig import CALL, SID, sid, wav
from unit.test_outbound_api import problem
from unit.test_store_recordings import Archive as Rows

KEY, OTHER = "r" * 24, "c" * 24
KEYS = f"{KEY}:recordings,{OTHER}:calls"
FILE = wav(200_000)
ETAG = '"' + "ab" * 32 + '"'
URL = "https://voice.example.com"


class Desk:
    """The API before a database and a folder."""

    def __init__(self, folder: Path) -> None:
        self.rows = Rows(folder)
        self.folder = folder / "files"
        self.store = MediaStore(str(self.folder))
        self.links = Links(KEYS, lambda: self.rows.now_s)

    def have(self, file: bytes = FILE) -> None:
        self.rows.told()
        (self.folder / f"{SID}.wav").write_bytes(file)
        told = {"size_bytes": len(FILE), "etag": ETAG.strip('"'), "channels": 2}
        self.rows.store.stored(SID, **told, release=False)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=api.routes(self.rows.store, self.store, ApiKeys(KEYS), self.links, URL))

    def run(self, step: Callable[[httpx2.AsyncClient], Any], key: str | None = KEY) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}

        async def live() -> Any:
            transport = httpx2.ASGITransport(self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://node", headers=headers) as http:
                return await step(http)

        return asyncio.run(live())

    def ask(self, method: str, path: str, *, key: str | None = KEY, **options: Any) -> httpx2.Response:
        return self.run(lambda http: http.request(method, path, **options), key)  # type: ignore[no-any-return]

    def get(self, which: str = SID, **headers: str) -> httpx2.Response:
        return self.ask("GET", f"/recordings/{which}", headers={_name(name): value for name, value in headers.items()})


def _name(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    made = Desk(tmp_path)
    yield made
    made.rows.store.close()


class TestFile:
    def test_is_served_whole_and_says_what_it_is(self, desk: Desk) -> None:
        desk.have()
        answer = desk.get()
        assert (answer.status_code, answer.content == FILE) == (200, True)
        expected = {
            "content-type": "audio/x-wav",
            "content-length": str(len(FILE)),
            "accept-ranges": "bytes",
            "etag": ETAG,
            "last-modified": "Mon, 12 Jan 1970 13:46:40 GMT",
            "cache-control": "private, no-cache",
            "content-disposition": f'inline; filename="{SID}.wav"',
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
        }
        assert {name: answer.headers.get(name) for name in expected} == expected

    def test_head_is_the_same_without_it(self, desk: Desk) -> None:
        desk.have()
        head, get = desk.ask("HEAD", f"/recordings/{SID}"), desk.get()
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers == get.headers
        ranged = desk.ask("HEAD", f"/recordings/{SID}", headers={"Range": "bytes=0-1"})
        assert (ranged.status_code, ranged.headers["content-length"]) == (200, str(len(FILE)))

    @pytest.mark.parametrize(
        ("wanted", "start", "end"),
        [("bytes=0-0", 0, 1), ("bytes=100-", 100, len(FILE)), ("bytes=-5", len(FILE) - 5, len(FILE))],
    )
    def test_a_range_of_it(self, desk: Desk, wanted: str, start: int, end: int) -> None:
        desk.have()
        answer = desk.get(Range=wanted)
        assert (answer.status_code, answer.content == FILE[start:end]) == (206, True)
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(FILE)}"
        assert answer.headers["content-length"] == str(end - start)

    def test_a_range_behind_its_end_is_a_problem(self, desk: Desk) -> None:
        desk.have()
        answer = desk.get(Range=f"bytes={len(FILE)}-")
        problem(answer, 416)
        assert answer.headers["content-range"] == f"bytes */{len(FILE)}"

    @pytest.mark.parametrize(("given", "status"), [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200)])
    def test_a_range_of_another_file_is_the_whole(self, desk: Desk, given: str, status: int) -> None:
        desk.have()
        assert desk.get(Range="bytes=0-0", If_Range=given).status_code == status

    def test_what_the_client_has_is_not_sent(self, desk: Desk) -> None:
        desk.have()
        answer = desk.get(If_None_Match=ETAG)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)
        assert desk.get(If_None_Match='"other"').status_code == 200

    def test_a_store_that_is_away_is_a_problem(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        desk.have()

        async def away(sid: str) -> None:
            raise PermissionError("a secret")

        monkeypatch.setattr(desk.store, "look", away)
        assert problem(desk.get(), 503)["detail"] == "The store of recordings does not answer."

    def test_so_many_at_once_and_no_more(self, desk: Desk) -> None:
        desk.have()

        async def many(http: httpx2.AsyncClient) -> list[int]:
            answers = [http.get(f"/recordings/{SID}") for _ in range(MAX_DOWNLOADS * 2)]
            return sorted([answer.status_code for answer in await asyncio.gather(*answers)])

        found = desk.run(many)
        assert set(found) <= {200, 503}
        assert found.count(200) >= MAX_DOWNLOADS

        async def one_by_one(http: httpx2.AsyncClient) -> list[int]:
            return [(await http.get(f"/recordings/{SID}")).status_code for _ in range(MAX_DOWNLOADS * 2)]

        assert set(desk.run(one_by_one)) == {200}, "each leaves its place"


class TestStoreAway:
    @pytest.fixture(autouse=True)
    def lines(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        monkeypatch.setattr(api, "_lines", RateLimiter())

    def test_before_it_is_a_problem(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        desk.have()
        desk.store.look = Mock(side_effect=TimeoutError)  # type: ignore[method-assign]
        assert problem(desk.get(), 503)["detail"] == "The store of recordings does not answer."
        assert "[RECORDING_SERVICE] the store of recordings does not answer: TimeoutError" in caplog.messages

    def test_in_the_midst_it_ends_the_answer_in_one_line(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        """Of a download there is no other sign than that it is too short. Its place is free again."""
        desk.have()
        sent: list[Any] = []

        async def read(*_: Any) -> AsyncIterator[bytes]:
            yield FILE[:1000]
            raise OSError("gone")

        async def send(message: Any) -> None:
            sent.append(message)

        async def scene() -> None:
            headers = [(b"authorization", f"Bearer {KEY}".encode())]
            path = f"/recordings/{SID}"
            scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
            app = desk.app
            for _ in range(MAX_DOWNLOADS + 1):
                await app(dict(scope), asyncio.Event().wait, send)  # type: ignore[arg-type]

        desk.store.read = read  # type: ignore[method-assign, assignment]
        asyncio.run(asyncio.wait_for(scene(), 20))
        assert [message.get("status", message.get("body")) for message in sent] == [200, FILE[:1000]] * 17
        assert all(message.get("more_body", True) for message in sent), "nobody says that this was all"
        away = [message for message in caplog.messages if "does not answer" in message]
        assert away == ["[RECORDING_SERVICE] the store of recordings does not answer: OSError"]


class TestMiss:
    def test_puts_a_job_once_and_says_so(self, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO")
        desk.rows.told("in-progress")
        first, again = desk.get(), desk.get()
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.headers["retry-after"] == "2"
        assert first.json()["state"] == WANTED
        assert desk.rows.jobs == [f"{FETCH}:{SID}:1"]
        (line,) = [record.getMessage() for record in caplog.records if "Cache miss" in record.getMessage()]
        assert line == (
            f"[RECORDING_SERVICE] Cache miss - downloading from Twilio, recording_sid={SID}, call_sid={CALL}"
        )

    @pytest.mark.parametrize("content", [None, FILE[:-1], FILE + b"x"])
    def test_is_a_file_that_is_gone_or_another(self, desk: Desk, content: bytes | None) -> None:
        desk.have()
        path = desk.folder / f"{SID}.wav"
        path.unlink() if content is None else path.write_bytes(content)
        assert desk.get().status_code == 202
        assert desk.rows.jobs == [f"{FETCH}:{SID}:1", f"{FETCH}:{SID}:2"]

    def test_is_none_where_a_worker_stores_it_meanwhile(
        self, desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level("INFO")
        desk.rows.told()
        missed = desk.rows.store.missed

        def late(seen: RecordingRow) -> bool:
            desk.have()
            return missed(seen)

        monkeypatch.setattr(desk.rows.store, "missed", late)
        answer = desk.get()
        assert (answer.status_code, answer.content == FILE) == (200, True)
        assert desk.rows.jobs == [f"{FETCH}:{SID}:1"]
        assert "Cache miss" not in caplog.text

    def test_is_one_that_was_lost(self, desk: Desk) -> None:
        desk.rows.told()
        desk.rows.store.not_stored(SID, LOST, "no")
        assert desk.get().status_code == 202
        assert len(desk.rows.jobs) == 2

    def test_is_none_where_there_never_was_one(self, desk: Desk) -> None:
        problem(desk.get(), 404)
        desk.rows.told("absent")
        problem(desk.get(), 404)
        assert (desk.rows.row.state, desk.rows.jobs) == (ABSENT, [])

    @pytest.mark.parametrize(
        "which", ["x", "RE" + "0" * 500, "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "RE%00", f"{SID}%2f..", "é", CALL]
    )
    def test_is_none_of_what_is_no_sid(self, desk: Desk, which: str) -> None:
        desk.have()
        assert desk.get(which).status_code == 404


class TestKeys:
    @pytest.mark.parametrize(("key", "status"), [(None, 401), ("x" * 24, 401), (OTHER, 403)])
    def test_without_one_nothing_is_told(self, desk: Desk, key: str | None, status: int) -> None:
        desk.have()
        for method, path in (
            ("GET", f"/recordings/{SID}"),
            ("HEAD", f"/recordings/{SID}"),
            ("GET", f"/recordings/{sid(9)}"),
            ("DELETE", f"/recordings/{SID}"),
            ("POST", f"/recordings/{SID}/link"),
            ("GET", f"/recordings?call_sid={CALL}"),
        ):
            assert desk.ask(method, path, key=key).status_code == status, (method, path)
        assert desk.rows.row.state == "stored"


class TestLink:
    def test_a_field_that_is_none_is_told(self, desk: Desk) -> None:
        desk.have()
        answer = desk.ask("POST", f"/recordings/{SID}/link", json={"seconds": 60, "second": 5})
        assert problem(answer, 422)["errors"] == [{"field": "second", "problem": "is no field of a link"}]

    def link(self, desk: Desk, **body: Any) -> str:
        answer = desk.ask("POST", f"/recordings/{SID}/link", **({"json": body} if body else {}))
        assert answer.status_code == 201, answer.text
        url: str = answer.json()["url"]
        assert url.startswith(f"{URL}/recordings/{SID}?link=")
        return url.removeprefix(URL)

    def test_lets_in_who_has_no_key_until_it_expires(self, desk: Desk) -> None:
        desk.have()
        path = self.link(desk, seconds=60)
        assert desk.ask("GET", path, key=None).content == FILE
        assert desk.ask("HEAD", path, key=None).status_code == 200
        assert desk.ask("GET", path, key=None, headers={"Range": "bytes=0-3"}).content == b"RIFF"
        desk.rows.now_s += 61
        assert "expired" in problem(desk.ask("GET", path, key=None), 403)["detail"]

    def test_says_until_when(self, desk: Desk) -> None:
        desk.have()
        answer = desk.ask("POST", f"/recordings/{SID}/link").json()
        assert answer["expires_at"] == "1970-01-12T14:46:40.000+00:00"

    def test_is_for_this_recording_and_for_reading(self, desk: Desk) -> None:
        desk.have()
        desk.rows.told(number=1)
        token = self.link(desk).partition("=")[2]
        for method, path, status in (
            ("GET", f"/recordings/{sid(1)}?link={token}", 403),
            ("DELETE", f"/recordings/{SID}?link={token}", 401),
            ("POST", f"/recordings/{SID}/link?link={token}", 401),
            ("GET", f"/recordings?call_sid={CALL}&link={token}", 401),
            ("GET", f"/recordings/{SID}?link={token}x", 403),
            ("GET", f"/recordings/{SID}?link=", 403),
            ("GET", f"/recordings/{SID}?link=x&link={token}x", 403),
        ):
            assert desk.ask(method, path, key=None).status_code == status, (method, path)

    def test_a_deletion_ends_it(self, desk: Desk) -> None:
        desk.have()
        path = self.link(desk)
        desk.ask("DELETE", f"/recordings/{SID}")
        problem(desk.ask("GET", path, key=None), 410)
        problem(desk.ask("POST", f"/recordings/{SID}/link"), 410)

    @pytest.mark.parametrize("seconds", [0, 59, 604_801, -1, 1.5, "60", True, None])
    def test_has_bounds(self, desk: Desk, seconds: Any) -> None:
        desk.have()
        document = problem(desk.ask("POST", f"/recordings/{SID}/link", json={"seconds": seconds}), 422)
        assert document["errors"][0]["field"] == "seconds"

    def test_of_none_is_none(self, desk: Desk) -> None:
        problem(desk.ask("POST", f"/recordings/{SID}/link"), 404)


class TestDelete:
    def test_is_at_once_and_for_ever(self, desk: Desk) -> None:
        desk.have()
        answer = desk.ask("DELETE", f"/recordings/{SID}")
        assert (answer.status_code, answer.content) == (204, b"")
        problem(desk.get(), 410)
        problem(desk.ask("DELETE", f"/recordings/{SID}"), 410)
        assert desk.rows.row.state == DELETED
        assert desk.rows.jobs[-1] == f"recording.delete:{SID}:2"

    def test_of_none_is_none(self, desk: Desk) -> None:
        problem(desk.ask("DELETE", f"/recordings/{SID}"), 404)


class TestList:
    def test_is_of_a_call(self, desk: Desk) -> None:
        desk.have()
        desk.rows.now_s += 1
        desk.rows.told(number=2, duration_seconds=7)
        found = desk.ask("GET", f"/recordings?call_sid={CALL}").json()["recordings"]
        assert [(one["recording_sid"], one["state"]) for one in found] == [(SID, "stored"), (sid(2), "wanted")]
        assert found[0]["created_at"] == "1970-01-12T13:46:40.000+00:00"
        assert "account_sid" not in found[0]
        assert desk.ask("GET", f"/recordings?call_sid={CALL[:-1]}0").json() == {"recordings": []}

    @pytest.mark.parametrize("query", ["", "?call_sid=", "?call_sid=CA1", "?call_sid=CA%27%20or%201=1"])
    def test_needs_a_call(self, desk: Desk, query: str) -> None:
        assert problem(desk.ask("GET", f"/recordings{query}"), 422)["errors"][0]["field"] == "call_sid"


def test_a_database_that_is_away_is_a_problem_and_no_traceback(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.rows.store.close()
    desk.rows.store = type(desk.rows.store)("sqlite:////proc/none/x.db", fetched=True)
    assert problem(desk.get(), 503)["detail"] == "The database does not answer."
    desk.rows.store.close()
