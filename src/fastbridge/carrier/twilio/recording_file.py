"""The file of a recording, fetched from Twilio into a sink: from where, by which ways, and whether it is one.

Where it is asked for is made of the sids and the API's own address; what a webhook names is never used. Redirects are
followed by hand: each hop's host must be Twilio's or the operator's, by https; credentials are for the API's origin
alone, and no other sees them. A file is as long as it says, begins as a WAV file does, and has a bound; so has the time
it may take. Source: Twilio, "Recordings resource: fetch a recording's media".
"""

import asyncio
import re
from collections.abc import Callable, Collection

import httpx2

from fastbridge.base.urls import is_loopback
from fastbridge.carrier.port import Fetched, NotFetched, NotThere
from fastbridge.carrier.twilio.api import TwilioApi

MEDIA_DOMAINS = ("twilio.com", "twiliocdn.com")
"""Twilio's own, with what is below them. The second from memory, unverified: FASTBRIDGE_RECORDING_HOSTS has others."""
MAX_HOPS = 5
MAX_FILE_BYTES = 1 << 30
"""Nine hours in two channels."""
FILE_SECONDS = 900.0
STALL_SECONDS = 20.0
PIECE_BYTES = 64 * 1024
HEADER_BYTES = 44
_ENDLESS = frozenset({0, 0x7FFFFFFF, 0xFFFFFFFF})
"""What a WAV file says of its length that was written while it grew."""

_HOST = re.compile(r"[a-z0-9.-]{1,253}")
_AS_IT_IS = {"Accept-Encoding": "identity"}

Sink = Callable[[bytes], object]


class RecordingFile:
    """One client for all. hosts: the operator's own, beside Twilio's."""

    def __init__(self, api: TwilioApi, hosts: Collection[str] = ()) -> None:
        self._api = api
        self._hosts = frozenset(hosts)
        self._simulated = is_loopback(api.url)

    async def fetch(self, url: str, sink: Sink) -> Fetched | NotThere | NotFetched:
        """Two channels where there are two. url: of the API."""
        try:
            async with asyncio.timeout(FILE_SECONDS):
                found = await self._follow(f"{url}.wav?RequestedChannels=2", sink)
                if found == 400:  # there is one channel
                    found = await self._follow(f"{url}.wav?RequestedChannels=1", sink)
        except TimeoutError:
            return NotFetched(f"it took longer than {FILE_SECONDS:g} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            return NotFetched(f"{type(error).__name__}: {error}".removesuffix(": "))
        if isinstance(found, int):
            return NotThere() if found == 404 else NotFetched(f"HTTP {found}")
        return found

    async def _follow(self, asked: str, sink: Sink) -> Fetched | NotFetched | int:
        """int: the last answer's status, where that is no file."""
        url = httpx2.URL(asked)
        for _ in range(MAX_HOPS):
            auth = self._api.auth if origin(url) == origin(httpx2.URL(self._api.url)) else None
            request = self._api.http.build_request("GET", url, headers=_AS_IT_IS, timeout=STALL_SECONDS)
            answer = await self._api.http.send(request, auth=auth, stream=True, follow_redirects=False)
            try:
                if not answer.has_redirect_location:
                    return await _take(answer, sink) if answer.status_code == 200 else answer.status_code
                url = _joined(url, answer.headers["Location"])
            finally:
                await answer.aclose()
            if not self._may_ask(url):
                host = url.host[:80] or "nowhere"  # the rest may be a secret
                return NotFetched(f"{host} is no host of Twilio's, nor of FASTBRIDGE_RECORDING_HOSTS")
        return NotFetched(f"more than {MAX_HOPS} redirects")

    def _may_ask(self, url: httpx2.URL) -> bool:
        """By the same reading of the address as the request is made by."""
        if url.userinfo or not _HOST.fullmatch(url.host):
            return False
        if self._simulated and url.scheme in ("http", "https") and is_loopback(str(url)):
            return True
        host = url.host.removesuffix(".")
        known = host in self._hosts or any(host == each or host.endswith(f".{each}") for each in MEDIA_DOMAINS)
        return known and url.scheme == "https" and url.port in (None, 443)


def origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    """Scheme, host and port."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def _joined(url: httpx2.URL, location: str) -> httpx2.URL:
    try:
        return url.join(location)
    except ValueError:
        raise httpx2.InvalidURL("a redirect to what is no address") from None


async def _take(answer: httpx2.Response, sink: Sink) -> Fetched | NotFetched:
    """Into the sink, undecoded: a small answer that unfolds to a large file is none of Twilio's."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        return NotFetched("it is compressed")
    size, head = 0, b""
    async for piece in answer.aiter_raw(PIECE_BYTES):
        size += len(piece)
        if size > MAX_FILE_BYTES:
            return NotFetched(f"it is longer than {MAX_FILE_BYTES} bytes")
        if len(head) < HEADER_BYTES:
            head += piece[: HEADER_BYTES - len(head)]
            if not b"RIFF".startswith(head[:4]) or not b"WAVE".startswith(head[8:12]):
                return NotFetched("it is no WAV file")
        sink(piece)
    return _judged(size, head)


def _judged(size: int, head: bytes) -> Fetched | NotFetched:
    if len(head) < HEADER_BYTES:
        return NotFetched("it is no WAV file")
    said = int.from_bytes(head[4:8], "little")
    if said not in _ENDLESS and said + 8 > size:
        return NotFetched(f"it ends after {size} of {said + 8} bytes")
    channels = int.from_bytes(head[22:24], "little") if head[12:16] == b"fmt " else 1
    return Fetched(size, channels)
