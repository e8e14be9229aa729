"""A call tried without a call: from the public address to a media stream that is open, as Twilio would come.

A node at all (`/healthz`), then a webhook signed with the auth token, then the stream's handshake at the address and
with the token that the TwiML gives, and a ping through it. No `start` is sent, so that no call begins and no model is
paid for; the webhook says that it is a probe, so that no hook of the agent's runs; and its call is said to be over
before the stream is closed, so that nothing is missed, recorded or logged. What stops it is told by its cause.
"""

import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from fastbridge.base.findings import Finding, not_tried
from fastbridge.base.urls import MEDIA_PATH
from fastbridge.carrier.twilio.media_socket import NOTHING_HERE, UNKNOWN_TOKEN, WRONG_SIGNATURE
from fastbridge.carrier.twilio.signature import sign
from fastbridge.carrier.twilio.webhooks import NO_UPGRADE, PROBE
from fastbridge.config import Settings
from fastbridge.net.reach import Answer, Line, Trouble

PUBLIC, WEBHOOK, STREAM = "public URL", "webhook", "media stream"
INCOMING = "/webhook/incoming_call?probe=1%2F2"
"""With a query that a proxy might be tempted to put in order."""
STATUS = "/webhook/call_status"
UPGRADE = (
    "In nginx put into the location: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade"; elsewhere let WebSockets through. See docs/reverse-proxies.md.'
)
_SERVE = "Start `fastbridge serve`, and let the proxy or tunnel pass on to its port"
_PREFIX = "Let the proxy take the path of PUBLIC_URL off (nginx: a slash behind proxy_pass's address), or leave it out."
_ELSEWHERE = "PUBLIC_URL leads to something else: correct its host, port and path, or what the proxy passes on."


class Trial:
    """One, with these settings. saw: told each answer's headers."""

    def __init__(self, settings: Settings, saw: Callable[[Mapping[str, str]], object] = lambda headers: None) -> None:
        self._settings = settings
        self._saw = saw
        self._sid = "CA" + secrets.token_hex(16)
        token = settings.twilio_auth_token
        self._stream = ""
        self._is_over = False
        self._auth_token = token.get_secret_value() if token is not None else ""

    async def run(self) -> list[Finding]:
        """What was found, of each step: of those behind the first that fails, that they were not tried."""
        public = await self._told(PUBLIC, self._node())
        if not public.ok:
            return [public, not_tried(WEBHOOK, PUBLIC), not_tried(STREAM, PUBLIC)]
        if not self._auth_token and not self._settings.unsigned:
            missing = Finding(WEBHOOK, "not tried", "Set TWILIO_AUTH_TOKEN, which signs it.", "no_auth_token")
            return [public, missing, not_tried(STREAM, WEBHOOK)]
        webhook = await self._told(WEBHOOK, self._webhook())
        if not webhook.ok:
            return [public, webhook, not_tried(STREAM, WEBHOOK)]
        try:
            return [public, webhook, await self._told(STREAM, self._handshake())]
        finally:
            await self._over()

    async def _told(self, check: str, step: Awaitable[str]) -> Finding:
        try:
            return Finding(check, await step)
        except Trouble as trouble:
            return Finding(check, trouble.detail, trouble.todo, trouble.fault)

    # --- the steps: what is well, or Trouble ---

    async def _node(self) -> str:
        url = self._settings.public_url
        if not url:
            raise Trouble(
                "not_set", "not set", "Set PUBLIC_URL to the https address at which Twilio reaches this node."
            )
        answer = await self._ask("GET", "/healthz")
        if answer.status == 200 and '"alive"' in answer.body:
            return f"{url} reaches a node"
        raise self._of_another(answer, url)

    async def _webhook(self) -> str:
        began_s = time.monotonic()
        answer = await self._post(INCOMING, self._form("ringing") | {PROBE: "1"})
        took_ms = (time.monotonic() - began_s) * 1000
        if answer.status == 403 and answer.body == "Forbidden":
            raise await self._not_believed()
        if answer.status in (408, 413, 415):
            todo = "Let the proxy pass the body and its Content-Type on as they come, without holding them back."
            raise Trouble("body_changed", f"the node cannot read it ({answer.status}): the proxy changes it", todo)
        if answer.status != 200:
            raise self._of_another(answer, "the webhook")
        self._stream = _stream_in(answer.body)
        if self._stream.startswith(f"{self._settings.stream_url}{MEDIA_PATH}"):
            return f"is answered in {took_ms:.0f} ms"
        if self._stream:
            there = self._stream.partition(MEDIA_PATH)[0]
            todo = f"Restart the node with PUBLIC_URL={self._settings.public_url}, or correct it here."
            raise Trouble("stream_address", f"the node sends its callers to {there}", todo)
        if "<Response>" in answer.body:
            todo = "See the node's log (call refused: …): it is full, is being stopped, or has no model."
            raise Trouble("no_calls", "the node takes no calls now", todo)
        raise Trouble("another", "is answered by another program", _ELSEWHERE)

    async def _handshake(self) -> str:
        parts = urlsplit(self._stream)
        began_s = time.monotonic()
        async with Line(self._stream) as line:
            try:
                await self._open(line, parts.path)
            finally:
                took_ms = (time.monotonic() - began_s) * 1000
                await self._over()  # before it closes, or the call would be missed
            await line.hang_up()
        return f"opens, and passes both ways, in {took_ms:.0f} ms"

    async def _open(self, line: Line, path: str) -> None:
        answer = await line.upgrade(path, self._signed(self._stream, {}))
        self._saw(answer.headers)
        if answer.status != 101:
            raise self._not_upgraded(answer)
        try:
            await line.ping()
        except Trouble:
            todo = "Let the proxy pass streams on both ways and at once: no buffering, and an hour for a connection."
            raise Trouble("stream_mute", "opens, and nothing passes through it", todo) from None

    async def _over(self) -> None:
        """The call that there was not is over: its token is worth nothing any more."""
        if not self._is_over:
            self._is_over = True
            with contextlib.suppress(Trouble):
                await self._post(STATUS, self._form("completed"))

    # --- what an answer means ---

    def _not_upgraded(self, answer: Answer) -> Trouble:
        said = answer.body.strip()
        if said.startswith(NO_UPGRADE) or (answer.status == 404 and said == "Not Found"):
            missing = said.removeprefix(NO_UPGRADE).replace(" ", " and ") if said.startswith(NO_UPGRADE) else "Upgrade"
            who = f"the proxy ({answer.by})" if answer.by else "the proxy"
            detail = f"{who} drops {missing}: the node gets a plain request, and Twilio no stream"
            return Trouble("upgrade_dropped", detail, UPGRADE)
        if said == NOTHING_HERE:
            return Trouble("path_prefix", "the node gets another path than Twilio asks for", _PREFIX)
        if said == UNKNOWN_TOKEN:
            detail = "comes to another node than its webhook, where its token is unknown"
            todo = "Send both to one node: give each a PUBLIC_URL of its own, or run one with `serve --workers`."
            return Trouble("another_node", detail, todo)
        if said == WRONG_SIGNATURE:
            todo = "Let the proxy pass on the path as it comes, and the header X-Twilio-Signature."
            return Trouble(
                "url_changed", "the node does not believe its signature: the proxy changes the address", todo
            )
        return self._of_another(answer, "the stream's address")

    async def _not_believed(self) -> Trouble:
        """A webhook was refused that we had signed: by which address does the node judge it?"""
        form = self._form("completed")
        if await self._taken(f"http://127.0.0.1:{self._settings.port}", self._settings.public_url, form):
            detail = "the node does not believe its signature, though it does without the proxy"
            todo = "Let the proxy pass on path, query, body and X-Twilio-Signature as they come."
            return Trouble("url_changed", detail, todo)
        for url in _likely(self._settings):
            if await self._taken(self._settings.public_url, url, form):
                todo = f"Restart the node with PUBLIC_URL={self._settings.public_url}, or correct it here."
                return Trouble("another_public_url", f"the node thinks that its PUBLIC_URL is {url}", todo)
        detail = "the node does not believe its signature"
        todo = (
            "The node runs with another TWILIO_AUTH_TOKEN, TWILIO_ACCOUNT_SID or PUBLIC_URL than these: restart it "
            "with the same .env."
        )
        return Trouble("signature", detail, todo)

    async def _taken(self, at: str, signed_for: str, form: dict[str, str]) -> bool:
        """Whether the node takes a webhook at one address that is signed for another."""
        try:
            return (
                await self._post("/webhook/call_status?probe=1%2F2", form, at=at, signed_for=signed_for)
            ).status == 204
        except Trouble:
            return False

    def _of_another(self, answer: Answer, what: str) -> Trouble:
        """Somebody other than the node has answered, or the node for a path that is not its own."""
        by, status = _by(answer), answer.status
        prefix = urlsplit(self._settings.public_url).path
        if status == 404 and prefix and answer.body.strip() == "Not Found":
            return Trouble("path_prefix", f"the node gets the path with {prefix} before it", _PREFIX)
        if status in (301, 302, 303, 307, 308):
            to = urlsplit(answer.headers.get("location", "")).hostname or "elsewhere"
            todo = "Put the address that it leads to into PUBLIC_URL: streams follow no redirect."
            return Trouble("redirect", f"{what} redirects to {to} ({status}{by})", todo)
        fault, words, todo = _STATUS.get(status, ("another", "is answered by another program", _ELSEWHERE))
        if fault == "bad_gateway":
            todo = f"{todo} ({self._settings.port})."
        return Trouble(fault, f"{what} {words} ({status}{by})", todo)

    # --- requests ---

    def _form(self, status: str) -> dict[str, str]:
        account_sid = self._settings.twilio_account_sid or "AC" + "0" * 32
        called = self._settings.twilio_phone_number or ""
        return {"CallSid": self._sid, "AccountSid": account_sid, "From": "", "To": called, "CallStatus": status}

    def _signed(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        return {"X-Twilio-Signature": sign(self._auth_token, url, form)} if self._auth_token else {}

    async def _post(self, target: str, form: dict[str, str], *, at: str = "", signed_for: str = "") -> Answer:
        headers = self._signed((signed_for or self._settings.public_url) + target, form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return await self._ask("POST", target, headers, urlencode(form).encode(), at=at)

    async def _ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *, at: str = ""
    ) -> Answer:
        url = (at or self._settings.public_url) + target
        parts = urlsplit(url)
        async with Line(url) as line:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            answer = await line.ask(method, path, headers or {}, body)
        self._saw(answer.headers)
        return answer


_STATUS = {
    401: (
        "login",
        "asks for a login",
        "Let /webhook/ and /media/ through without one: Twilio has none. Its signatures are checked by the node.",
    ),
    403: (
        "forbidden",
        "is forbidden",
        "Let the proxy, its firewall or its list of addresses let Twilio through to /webhook/ and /media/.",
    ),
    404: ("not_found", "is not found", _ELSEWHERE),
    405: ("method", "may not be asked by this method", "Let the proxy pass on GET and POST."),
    407: ("login", "asks for a login", "Let /webhook/ and /media/ through without one: Twilio has none."),
    429: ("throttled", "has its rate limited", "Raise the proxy's limit: Twilio's calls come from few addresses."),
    502: ("bad_gateway", "is a proxy that finds no node", _SERVE),
    503: (
        "unavailable",
        "is a proxy that has no node to ask, or is busy",
        f"{_SERVE}; see its health checks and limits.",
    ),
    504: (
        "timeout",
        "is a proxy that waited for the node in vain",
        "See the address it passes on to, and the node's log.",
    ),
    530: ("bad_gateway", "is a tunnel that is not there", _SERVE),
}
"""By status: lasting name, what it is, what to do."""


def _by(answer: Answer) -> str:
    return f", {answer.by}" if answer.by else ""


def _stream_in(twiml: str) -> str:
    """The address of its stream; nothing where there is none."""
    try:
        stream = ElementTree.fromstring(twiml).find("./Connect/Stream")
    except ElementTree.ParseError:
        return ""
    return stream.get("url", "") if stream is not None else ""


def _likely(settings: Settings) -> list[str]:
    """Addresses that a node may have been given in place of the one here."""
    parts = urlsplit(settings.public_url)
    scheme, host = parts.scheme, parts.netloc
    other = "http" if scheme == "https" else "https"
    twin = host.removeprefix("www.") if host.startswith("www.") else f"www.{host}"
    bare = host.partition(":")[0]
    urls = [f"{other}://{host}{parts.path}", f"{scheme}://{host}", f"{scheme}://{twin}", f"{scheme}://{bare}"]
    urls += [f"http://127.0.0.1:{settings.port}", f"http://localhost:{settings.port}"]
    return [url for url in dict.fromkeys(urls) if url != settings.public_url]
