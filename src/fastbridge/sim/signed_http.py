"""Twilio's own requests: forms posted, or put into the address, with the account's signature over them.

Source: Twilio, "Webhooks security". The signature is the SDK's own.
"""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx2
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

WEBHOOK_SECONDS = 15.0
HEADERS = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}


def new_client() -> httpx2.AsyncClient:
    """For many calls at once: no bound on its connections, which are closed soon after."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=5.0)
    return httpx2.AsyncClient(timeout=WEBHOOK_SECONDS, trust_env=False, headers=HEADERS, limits=limits)


class SignedHttp:
    """auth_token: empty signs nothing. http: by default one of its own, which `close` ends. via: where the server
    really listens, if not where its address says."""

    def __init__(self, auth_token: str, http: httpx2.AsyncClient | None = None, via: str = "") -> None:
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._http = http
        self._via = via.rstrip("/")

    async def request(self, method: str, url: str, form: Mapping[str, str]) -> httpx2.Response:
        """httpx2.HTTPError where nobody answers."""
        if method == "GET":
            url += ("&" if urlsplit(url).query else "?") + urlencode(form)
            return await self._client().get(self.reach(url), headers=self.signature(url, {}))
        return await self._client().post(self.reach(url), data=dict(form), headers=self.signature(url, form))

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            self._http = new_client()
        return self._http

    def signature(self, url: str, form: Mapping[str, str]) -> dict[str, str]:
        """The header, over the address as it was given."""
        return {"X-Twilio-Signature": self._validator.compute_signature(url, dict(form))} if self._validator else {}

    def reach(self, url: str) -> str:
        """The address as dialled: `via` in place of the public origin."""
        if not self._via:
            return url
        parts, via = urlsplit(url), urlsplit(self._via)
        secure = via.scheme == "https"
        scheme = ("wss" if secure else "ws") if parts.scheme.startswith("ws") else via.scheme
        return urlunsplit((scheme, via.netloc, parts.path, parts.query, ""))
