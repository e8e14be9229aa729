"""The API of recordings: `GET /recordings/{sid}`, with ranges; `GET /recordings?call_sid=`; links; deletion.

For who has a key of the scope `recordings`, or a signed link to this one. A file that is not in the store is not
fetched here: that is a job, put once, and the answer is 202 until it is done. Files go in pieces, of which the next is
read when the client has taken the one in front.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fastbridge.base.api_keys import ApiKeys
from fastbridge.net.api_door import ApiDoor, invalid, json_body
from fastbridge.net.problems import Problem
from fastbridge.observe import notices
from fastbridge.observe.limits import RateLimiter
from fastbridge.recordings import ranges
from fastbridge.recordings.links import DEFAULT_SECONDS, MAX_SECONDS, MIN_SECONDS, Links
from fastbridge.recordings.media_store import Kept, MediaStore, StoreError
from fastbridge.store.recordings import ABSENT, DELETED, STORED, RecordingRow, RecordingStore
from fastbridge.store.records import CALL_SID

MEDIA_TYPE = "audio/x-wav"
MAX_DOWNLOADS = 16
"""At once, of a process: audio of calls comes first. More are told to come again."""
MAX_LISTED = 200
AGAIN_SECONDS = 2
TAG = "RECORDING_SERVICE"
SAY_SECONDS = 10.0
_lines = RateLimiter()
_ALWAYS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class File(NamedTuple):
    """One that is there. etag: with its quotes."""

    sid: str
    size_bytes: int
    etag: str
    changed: datetime


def routes(rows: RecordingStore, files: MediaStore, keys: ApiKeys, links: Links, public_url: str) -> list[Route]:
    desk, guarded = _Desk(rows, files, links, public_url), ApiDoor(keys, "recordings", TAG).guarded

    def linked(request: Request) -> bool:
        token = request.query_params.get("link")
        if token is not None and not links.good(token, request.path_params["sid"]):
            raise Problem(403, "The link has expired, or is not for this recording: ask for another one.")
        return token is not None

    return [
        Route("/recordings", guarded(desk.listed), methods=["GET"]),
        Route("/recordings/{sid}", guarded(desk.file, linked), methods=["GET"]),
        Route("/recordings/{sid}", guarded(desk.delete), methods=["DELETE"]),
        Route("/recordings/{sid}/link", guarded(desk.link), methods=["POST"]),
    ]


class _Desk:
    def __init__(self, rows: RecordingStore, files: MediaStore, links: Links, public_url: str) -> None:
        self._rows = rows
        self._files = files
        self._links = links
        self._public_url = public_url
        self._downloads = 0

    # --- one file ---

    async def file(self, request: Request) -> Response:
        found = await self._found(request.path_params["sid"])
        if isinstance(found, Response):
            return found
        headers = _headers(found)
        if ranges.known(request.headers.get("if-none-match"), found.etag):
            return Response(status_code=304, headers=headers)
        span = _span(request, found)
        if span is not None:
            headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{found.size_bytes}"
        start, end = span if span is not None else (0, found.size_bytes)
        headers["Content-Length"] = str(end - start)
        status = 200 if span is None else 206
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers, media_type=MEDIA_TYPE)
        return self._download(self._files.read(found.sid, start, end), status, headers)

    def _download(self, pieces: AsyncIterator[bytes], status: int, headers: dict[str, str]) -> Response:
        if self._downloads >= MAX_DOWNLOADS:
            again = {"Retry-After": str(AGAIN_SECONDS)}
            raise Problem(503, f"{MAX_DOWNLOADS} recordings are being downloaded: ask again.", headers=again)
        self._downloads += 1
        return _Download(_each(pieces), status, headers, self._left)

    def _left(self) -> None:
        self._downloads -= 1

    async def _found(self, sid: str) -> File | Response:
        """Or the answer that there is none now. Problem, if there will be none."""
        row = await self._row(sid)
        file = await self._file(row)
        if file is None:
            if await asyncio.to_thread(self._rows.missed, row):
                notices.recording_missed(sid, row.call_sid)
            row = await self._row(sid)  # by a worker, it may be there by now
            file = await self._file(row)
        if file is None:
            return JSONResponse(shown(row), 202, {"Retry-After": str(AGAIN_SECONDS), **_ALWAYS})
        return file

    async def _file(self, row: RecordingRow) -> File | None:
        kept = await _look(self._files, row.recording_sid) if row.state == STORED else None
        if kept is None or kept.size_bytes != row.size_bytes:
            return None
        return File(row.recording_sid, kept.size_bytes, f'"{row.etag}"', _moment(row.stored_s))

    async def _row(self, sid: str) -> RecordingRow:
        row = await asyncio.to_thread(self._rows.get, sid) if len(sid) == 34 else None
        if row is None or row.state == ABSENT:
            raise Problem(404, "There is no such recording.")
        if row.state == DELETED:
            raise Problem(410, "The recording was deleted.")
        return row

    # --- what else is asked for ---

    async def listed(self, request: Request) -> Response:
        call_sid = request.query_params.get("call_sid", "")
        if not CALL_SID.match(call_sid):
            raise invalid([{"field": "call_sid", "problem": "must be given, as CA and 32 hexadecimal digits"}])
        rows = await asyncio.to_thread(self._rows.of_call, call_sid, MAX_LISTED)
        return JSONResponse({"recordings": [shown(row) for row in rows]})

    async def delete(self, request: Request) -> Response:
        sid = request.path_params["sid"]
        await self._row(sid)
        await asyncio.to_thread(self._rows.delete, sid)
        return Response(status_code=204)

    async def link(self, request: Request) -> Response:
        sid = request.path_params["sid"]
        seconds = _seconds(await json_body(request, '{"seconds": 3600}') if _has_body(request) else {})
        await self._row(sid)
        token, until_s = self._links.make(sid, seconds)
        url = f"{self._public_url}/recordings/{sid}?link={token}"
        return JSONResponse({"url": url, "expires_at": _time(until_s)}, 201)


class _Download(StreamingResponse):
    """left(): when it is over, however it ends. Where the store stops answering, the client is hung up on: it knows by
    the length that this was not all."""

    def __init__(
        self, pieces: AsyncIterator[bytes], status: int, headers: dict[str, str], left: Callable[[], object]
    ) -> None:
        super().__init__(pieces, status, headers, MEDIA_TYPE)
        self._at_end = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _StoppedError as error:
            _say_away(error.why)
        finally:
            self._at_end()


class _StoppedError(Exception):
    """By the store, not by the client, of whom an OSError would tell."""

    def __init__(self, why: Exception) -> None:
        self.why = why


async def _each(pieces: Any) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                yield piece
        except StoreError as error:
            raise _StoppedError(error) from error


async def _look(store: MediaStore, sid: str) -> Kept | None:
    try:
        return await store.look(sid)
    except StoreError as error:
        raise _away(error) from None


def _say_away(error: Exception) -> None:
    if _lines.every("store", SAY_SECONDS):
        notices.recording_store_away(error)


def _away(error: Exception) -> Problem:
    _say_away(error)
    return Problem(503, "The store of recordings does not answer.", headers={"Retry-After": "5"})


def _headers(found: File) -> dict[str, str]:
    changed = ranges.http_date(found.changed)
    name = f'inline; filename="{found.sid}.wav"'
    return {"ETag": found.etag, "Last-Modified": changed, "Content-Disposition": name, **_ALWAYS}


def _span(request: Request, found: File) -> ranges.Span | None:
    """Ranges are of GET alone."""
    given = request.headers.get("range") if request.method == "GET" else None
    if given is None or not ranges.still(request.headers.get("if-range"), found.etag, found.changed):
        return None
    try:
        return ranges.wanted(given, found.size_bytes)
    except ranges.UnsatisfiableError:
        size = {"Content-Range": f"bytes */{found.size_bytes}"}
        raise Problem(416, f"The recording has {found.size_bytes} bytes.", headers=size) from None


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0"


def _seconds(body: dict[str, Any]) -> int:
    unknown = [name for name in body if name != "seconds"]
    if unknown:
        raise invalid([{"field": name[:64], "problem": "is no field of a link"} for name in unknown[:8]])
    seconds = body.get("seconds", DEFAULT_SECONDS)
    if type(seconds) is not int or not MIN_SECONDS <= seconds <= MAX_SECONDS:
        problem = f"must be a whole number from {MIN_SECONDS} to {MAX_SECONDS}"
        raise invalid([{"field": "seconds", "problem": problem}])
    return seconds


def shown(row: RecordingRow) -> dict[str, Any]:
    """A recording as it is told."""
    return {
        "recording_sid": row.recording_sid,
        "call_sid": row.call_sid,
        "state": row.state,
        "size_bytes": row.size_bytes,
        "channels": row.channels,
        "duration_seconds": row.duration_seconds,
        "created_at": _time(row.created_s),
        "stored_at": _time(row.stored_s),
        "deleted_at": _time(row.deleted_s),
        "problem": row.problem,
    }


def _moment(seconds: float | None) -> datetime:
    return datetime.fromtimestamp(seconds or 0.0, UTC)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else _moment(seconds).isoformat(timespec="milliseconds")
