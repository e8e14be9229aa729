"""carrier.twilio.recording_file: where a file is fetched from, who sees the credentials, and what is taken for one."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from fastbridge.carrier.port import Fetched, NotFetched, NotThere
from fastbridge.carrier.twilio import recording_file
from fastbridge.carrier.twilio.api import TwilioApi
from fastbridge.carrier.twilio.recording_file import RecordingFile, origin
from recording_rig import ACCOUNT, SID, Pieces, wav

API = "https://api.twilio.com"
FILE = wav(9000)
Answer = Callable[[httpx2.Request], httpx2.Response]


class Web:
    """answer(request): of every host. base: of the API."""

    def __init__(self, answer: Answer, base: str = API, hosts: tuple[str, ...] = ()) -> None:
        self.asked: list[httpx2.Request] = []
        self.got = bytearray()
        self._answer = answer
        self._base = base
        self._hosts = hosts

    def _note(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        return self._answer(request)

    def fetch(self) -> Any:
        async def live() -> Any:
            http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._note))
            api = TwilioApi(self._base, "SK1", "secret", http)
            file = RecordingFile(api, self._hosts)
            try:
                return await file.fetch(f"{api.account(ACCOUNT)}/Recordings/{SID}", self.got.extend)
            finally:
                await api.close()

        return asyncio.run(live())

    @property
    def trusted(self) -> list[str]:
        """Hosts that saw credentials."""
        return [request.url.host for request in self.asked if "authorization" in request.headers]

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.asked]


def sends(url: str, status: int = 302) -> Answer:
    """The API sends to this address, and whoever is there has the file."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/2010-04-01/"):
            return httpx2.Response(status, headers={"Location": url})
        return httpx2.Response(200, stream=Pieces(FILE))

    return answer


def has(content: bytes, **headers: str) -> Answer:
    return lambda request: httpx2.Response(200, stream=Pieces(content), headers=headers)


class TestTheWay:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("host", ["media.twiliocdn.com", "api.dublin.ie1.twilio.com", "api.twilio.com."])
    def test_twilios_own_hosts_are_asked_without_credentials(self, status: int, host: str) -> None:
        web = Web(sends(f"https://{host}/x.wav?sig=1", status))
        assert web.fetch() == Fetched(len(FILE), 2)
        assert (bytes(web.got), web.trusted) == (FILE, ["api.twilio.com"])

    def test_the_same_origin_keeps_them(self) -> None:
        web = Web(sends("/elsewhere.wav"))
        assert isinstance(web.fetch(), Fetched)
        assert web.trusted == ["api.twilio.com", "api.twilio.com"]

    def test_a_host_of_the_operators_is_asked_and_has_no_credentials(self) -> None:
        url = "https://bucket.example.com/x"
        assert isinstance(Web(sends(url)).fetch(), NotFetched)
        web = Web(sends(url), hosts=("bucket.example.com",))
        assert isinstance(web.fetch(), Fetched)
        assert web.trusted == ["api.twilio.com"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/latest/meta-data/",
            "https://169.254.169.254/",
            "http://127.0.0.1:5050/metrics",
            "https://localhost/",
            "https://[::1]/",
            "http://media.twiliocdn.com/x.wav",
            "https://media.twiliocdn.com:8443/x.wav",
            "https://eviltwilio.com/x",
            "https://twilio.com.evil.example/x",
            "https://user:password@api.twilio.com/x",
            "https://api.twilio.com@evil.example/x",
            "https://evil.example#.twilio.com",
            "https://evil.example\\.twilio.com/",
            "//evil.example/x",
            "file:///etc/passwd",
            "ftp://api.twilio.com/x",
            "https://",
            "https://api.twilio.com:99999/",
            "https://[api.twilio.com/",
            "gopher://x",
            "https://xn--twlio-q4a.com/",
        ],
    )
    def test_nobody_else_is_asked(self, url: str) -> None:
        web = Web(sends(url))
        assert isinstance(web.fetch(), NotFetched)
        assert set(web.hosts) == {"api.twilio.com"}

    def test_a_simulated_api_may_send_to_another_on_this_machine(self) -> None:
        web = Web(sends("http://localhost:4711/x"), base="http://127.0.0.1:4710")
        assert isinstance(web.fetch(), Fetched)
        assert web.trusted == ["127.0.0.1"]
        assert isinstance(Web(sends("http://169.254.169.254/"), base="http://127.0.0.1:4710").fetch(), NotFetched)

    def test_a_circle_ends(self) -> None:
        web = Web(lambda request: httpx2.Response(302, headers={"Location": str(request.url)}))
        assert web.fetch() == NotFetched(f"more than {recording_file.MAX_HOPS} redirects")
        assert len(web.asked) == recording_file.MAX_HOPS

    def test_one_origin_is_scheme_host_and_port(self) -> None:
        ours = origin(httpx2.URL("https://a.example/x"))
        assert ours == origin(httpx2.URL("https://a.example:443/y")) == origin(httpx2.URL("https://A.example"))
        for other in ("http://a.example/x", "https://a.example:444/x", "https://b.example", "https://a.example."):
            assert ours != origin(httpx2.URL(other))


class TestTheAnswer:
    def test_one_channel_where_there_are_not_two(self) -> None:
        mono = wav(100, channels=1)

        def answer(request: httpx2.Request) -> httpx2.Response:
            two = request.url.params["RequestedChannels"] == "2"
            return httpx2.Response(400) if two else httpx2.Response(200, stream=Pieces(mono))

        web = Web(answer)
        assert web.fetch() == Fetched(len(mono), 1)
        assert len(web.asked) == 2

    def test_none_is_none(self) -> None:
        assert Web(lambda request: httpx2.Response(404)).fetch() == NotThere()

    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 503, 204, 206, 304])
    def test_another_answer_is_named(self, status: int) -> None:
        assert Web(lambda request: httpx2.Response(status)).fetch() == NotFetched(f"HTTP {status}")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"RIFF",
            b"<html>no</html>" * 10,
            FILE[:43],
            b"RIFX" + FILE[4:],
            FILE[:8] + b"AVI " + FILE[12:],
            b"\0" * 99,
        ],
    )
    def test_what_is_no_wav_file_is_not_taken(self, content: bytes) -> None:
        assert Web(has(content)).fetch() == NotFetched("it is no WAV file")

    def test_one_that_was_cut_off_is_not_taken(self) -> None:
        assert isinstance(Web(has(FILE[:-1])).fetch(), NotFetched)

    def test_one_that_was_written_as_it_grew_is(self) -> None:
        grown = FILE[:4] + b"\xff" * 4 + FILE[8:]
        assert isinstance(Web(has(grown)).fetch(), Fetched)

    def test_one_that_unfolds_is_not_taken(self) -> None:
        sent = httpx2.Response(200, headers={"Content-Encoding": "gzip"}, stream=Pieces(b"x" * 100))
        web = Web(lambda request: sent)
        assert web.fetch() == NotFetched("it is compressed")
        assert web.got == b""

    def test_a_huge_one_is_not_read_to_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording_file, "MAX_FILE_BYTES", 200_000)
        given = 0

        class Endless(httpx2.AsyncByteStream):
            async def __aiter__(self) -> Any:
                nonlocal given
                yield FILE[:44]
                while True:
                    given += 10_000
                    yield bytes(10_000)

        web = Web(lambda request: httpx2.Response(200, stream=Endless()))
        assert web.fetch() == NotFetched("it is longer than 200000 bytes")
        assert given < 400_000

    def test_a_slow_one_has_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(recording_file, "FILE_SECONDS", 0.01)

        class Slow(httpx2.AsyncByteStream):
            async def __aiter__(self) -> Any:
                yield FILE[:44]
                await asyncio.Event().wait()

        web = Web(lambda request: httpx2.Response(200, stream=Slow()))
        assert web.fetch() == NotFetched("it took longer than 0.01 s")

    @pytest.mark.parametrize("error", [httpx2.ReadError("reset"), httpx2.ConnectError("no"), httpx2.ReadTimeout("")])
    def test_the_network_is_a_reason(self, error: Exception) -> None:
        def answer(request: httpx2.Request) -> httpx2.Response:
            raise error

        assert type(error).__name__ in Web(answer).fetch().reason

    def test_what_the_sink_raises_is_raised(self) -> None:
        web = Web(has(FILE))
        web.got = None  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            web.fetch()
