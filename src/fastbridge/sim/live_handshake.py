"""Where GPT-Live is, and who gets a session there: the paths of a session and of a fork, and what a handshake may hold.

Source: the resources of the official SDK (`openai.resources.live`). The model is no part of the address.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from .disruption import Refuse
from .live_session import LiveSession

LIVE_PATH = "/v1/live/sessions"
_FORK = re.compile(re.escape(LIVE_PATH) + r"/([^/]+)/fork")


class Route(NamedTuple):
    """A way to a new session; `source_id`: of the session that is forked."""

    source_id: str | None


def route(path: str) -> Route | None:
    """What the path leads to; None for a path of something else."""
    if path == LIVE_PATH:
        return Route(None)
    fork = _FORK.fullmatch(path)
    return Route(fork[1]) if fork else None


def source(way: Route, sessions: Iterable[LiveSession]) -> LiveSession | None:
    """The session that is to be forked, if it was stored."""
    return next((each for each in sessions if each.id == way.source_id and each.settings.stored), None)


def refusal(way: Route, query: str, stored: LiveSession | None) -> Refuse | None:
    """Why this handshake is not answered with a session."""
    if query:
        return Refuse(400, "unknown_parameter", f"Unknown query parameter: '{query.partition('=')[0]}'.")
    if way.source_id is not None and (stored is None or not stored.live.forks):
        return Refuse(404, "session_not_found", f"Session '{way.source_id}' not found, or not stored.")
    return None
