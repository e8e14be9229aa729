"""Requests to Twilio's REST API of which nothing is asked twice that might have been done, and answers, read.

Nothing raises, whatever Twilio or the network says. Source: Twilio, "Requests to Twilio", "Twilio's response".
"""

import asyncio
from typing import Any

import httpx2

from fastbridge.carrier.port import TryLater, Uncertain

API_VERSION = "2010-04-01"
REQUEST_SECONDS = 10.0
CONNECTING_TRIES = 2
LATER_SECONDS = 2.0
"""Where Twilio names no time itself."""
MAX_LATER_SECONDS = 60.0
CONNECTIONS = 20


class TwilioApi:
    """One client. base_url: `https://api.twilio.com`. user, secret: account sid and auth token, or an API key and its
    secret. http: for tests, a client in place of its own."""

    def __init__(self, base_url: str, user: str, secret: str, http: httpx2.AsyncClient | None = None) -> None:
        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        self.http = http or httpx2.AsyncClient(timeout=REQUEST_SECONDS, follow_redirects=False, limits=limits)
        self.url = f"{base_url.rstrip('/')}/{API_VERSION}"
        self.auth = httpx2.BasicAuth(user, secret)

    def account(self, account_sid: str) -> str:
        """Where what is an account's begins."""
        return f"{self.url}/Accounts/{account_sid}"

    async def ask(self, method: str, url: str, **given: Any) -> httpx2.Response | TryLater | Uncertain:
        """Once more where nothing can have arrived."""
        for left in reversed(range(CONNECTING_TRIES)):
            try:
                async with asyncio.timeout(REQUEST_SECONDS):
                    return await self.http.request(method, url, auth=self.auth, **given)
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                if not left:
                    return TryLater(LATER_SECONDS, f"Twilio's API cannot be reached: {type(error).__name__}.")
            except (TimeoutError, httpx2.TransportError, httpx2.DecodingError) as error:
                return Uncertain(f"{type(error).__name__}: {error}".removesuffix(": "))
        raise AssertionError("the last try returns")

    async def close(self) -> None:
        await self.http.aclose()


def document(answer: httpx2.Response) -> dict[str, Any]:
    """Its JSON object; empty where it is none."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def retry_after(answer: httpx2.Response) -> float:
    """In seconds, within bounds."""
    text = answer.headers.get("Retry-After", "")
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) < 6 else LATER_SECONDS
    return min(max(seconds, 0.5), MAX_LATER_SECONDS)


def later(answer: httpx2.Response, words: str) -> TryLater | Uncertain | None:
    """Of an answer that says neither yes nor no: what it is. words: what Twilio does not do just now."""
    if answer.status_code in (429, 503):
        return TryLater(retry_after(answer), f"Twilio {words} just now (HTTP {answer.status_code}).")
    return Uncertain(f"HTTP {answer.status_code}") if answer.status_code >= 500 else None
