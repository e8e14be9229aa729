"""A bucket that speaks as much of S3's protocol as a store of files needs, from Amazon's reference of its REST API:
objects whole and in ranges, and uploads in parts. Signatures are not looked at."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

Fault = Callable[[str, str], "int | None"]
"""(method, path): the status of an answer that is none, 0 for silence; None: it is answered."""


class Bucket(ThreadingHTTPServer):
    """objects: by path. asked: (method, path), in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Asked(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Bucket

    def _answer(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.asked.append((self.command, path))
        status = self.server.fault(self.command, path)
        if status == 0:
            self.server.over.wait(30)
            self.close_connection = True
        elif status is not None:
            self._send(status)
        else:
            getattr(self, f"_{self.command.lower()}")(path, query, body)

    do_PUT = do_GET = do_HEAD = do_POST = _answer  # noqa: N815 (the server's names)

    def _put(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
        else:
            self.server.objects[path] = body
        self._send(200, ETag='"x"')

    def _post(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "delete" in query:  # of several at once, by their keys in the bucket
            keys = re.findall(rb"<Key>([^<]+)</Key>", body)
            for key in keys:
                self.server.objects.pop(f"{path}/{key.decode()}", None)
            told = b"".join(b"<Deleted><Key>%b</Key></Deleted>" % key for key in keys)
            self._send(200, b"<DeleteResult>%b</DeleteResult>" % told)
        elif "uploads" in query:
            self.server.parts.clear()
            self._send(200, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
        else:
            numbers = map(int, re.findall(rb"<PartNumber>(\d+)<", body))
            self.server.objects[path] = b"".join(self.server.parts[number] for number in numbers)
            self._send(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def _head(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        self._get(path, query, body)

    def _get(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        whole = self.server.objects.get(path)
        if whole is None:
            self._send(404)
            return
        more = {"ETag": '"x"', "Last-Modified": "Sun, 29 Nov 2026 12:00:00 GMT"}
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range") or "")
        if span is None:
            self._send(200, whole, **more)
        else:
            start, last = map(int, span.groups())
            self._send(206, whole[start : last + 1], **more, **{"Content-Range": f"bytes {start}-{last}/{len(whole)}"})

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """One that is `s3://calls` for whoever begins from now on."""
    with Bucket() as made:
        given = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "REGION": "us-east-1", "ALLOW_HTTP": "true"}
        for name, value in {**given, "ENDPOINT_URL": made.url}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield made
        finally:
            made.over.set()
            made.shutdown()
            thread.join()
