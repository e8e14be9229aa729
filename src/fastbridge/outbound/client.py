"""A node's API for calls out, from the outside: what `fastbridge call` and `fastbridge campaign` ask it."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from fastbridge.base.api_keys import key_for
from fastbridge.base.trust import require_trust
from fastbridge.config import Settings
from fastbridge.errors import ConfigError

REQUEST_SECONDS = 30.0
PAGE = 100
KEY_VARIABLE = "FASTBRIDGE_API_KEY"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of asking for a call. call: as the node shows it, if there is one. problem: why there is none, in
    words. after_seconds: when the same may be asked for again; None: it need not be."""

    call: dict[str, Any] | None = None
    problem: str = ""
    after_seconds: float | None = None


class ApiClient:
    """`async with ApiClient(url, key) as api`. url: of a node. Raises ConfigError, a sentence, where it cannot be asked
    at all."""

    def __init__(self, url: str, key: str, http: httpx2.AsyncClient | None = None) -> None:
        require_trust()
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._http = http or httpx2.AsyncClient(timeout=REQUEST_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def place(self, request: dict[str, Any]) -> Asked:
        """request: with its idempotency_key, so that it may be asked again whatever came of it."""
        try:
            answer = await self._http.post(f"{self._url}/calls", json=request, headers=self._headers)
        except httpx2.TransportError as error:
            return Asked(problem=f"the node does not answer: {type(error).__name__}", after_seconds=5.0)
        document = _document(answer)
        if answer.is_success:
            return Asked(document)
        self._refused(answer)
        problem = str(document.get("detail") or f"the node answered with HTTP {answer.status_code}")
        if answer.status_code in (429, 500, 502, 503, 504):
            return Asked(problem=problem, after_seconds=_retry_after(answer))
        call = document.get("call")
        return Asked(call if isinstance(call, dict) else None, problem)

    async def states(self, ids: Collection[str]) -> list[dict[str, Any]] | None:
        """Those of these calls that the node knows; None if it does not answer."""
        found: list[dict[str, Any]] = []
        wanted = list(ids)
        for at in range(0, len(wanted), PAGE):
            query = {"id": ",".join(wanted[at : at + PAGE]), "limit": str(PAGE)}
            try:
                answer = await self._http.get(f"{self._url}/calls", params=query, headers=self._headers)
            except httpx2.TransportError:
                return None
            self._refused(answer)
            if not answer.is_success:
                return None
            found += _document(answer).get("calls") or []
        return found

    async def end(self, call_id: str) -> bool:
        """Cancel it, or hang up."""
        try:
            answer = await self._http.delete(f"{self._url}/calls/{call_id}", headers=self._headers)
        except httpx2.TransportError:
            return False
        return answer.is_success

    def _refused(self, answer: httpx2.Response) -> None:
        if answer.status_code in (401, 403):
            raise ConfigError(f"The node at {self._url} does not take our key: set {KEY_VARIABLE} to one of its own.")
        if answer.status_code in (404, 405):
            raise ConfigError(f"The node at {self._url} places no calls: give it FASTBRIDGE_API_KEYS, and restart it.")


def key_of(settings: Settings) -> str:
    """The key to ask with. ConfigError where there is none."""
    given = os.environ.get(KEY_VARIABLE, "").strip()
    if given:
        return given
    own = key_for(settings.api_keys.get_secret_value(), "calls") if settings.api_keys is not None else None
    if own is None:
        raise ConfigError(f"{KEY_VARIABLE} is missing: set it to one of the node's FASTBRIDGE_API_KEYS.")
    return own


def _document(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _retry_after(answer: httpx2.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 5 else 2.0
