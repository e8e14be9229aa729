"""How often the model is dialled anew, and after how long."""

import random

BACKOFF_SECONDS = (0.1, 0.5, 1.0)
MAX_TRIES = 1 + len(BACKOFF_SECONDS)
BUSY_BACKOFF_SECONDS = (0.5, 1.5)
"""For a service that says it is too busy: fewer tries, further apart."""


def next_delay_seconds(tries: int, busy_tries: int, *, lost: bool) -> float | None:
    """Until the next try, at random between half of what its place has and all of it; None: there is none.

    tries: since a session lasted. busy_tries: of those the ones that found it busy; 0 where the last did not. lost: the
    last one made a session, which is lost.
    """
    if tries >= MAX_TRIES or busy_tries > len(BUSY_BACKOFF_SECONDS):
        return None
    places, place = (BUSY_BACKOFF_SECONDS, busy_tries) if busy_tries else (BACKOFF_SECONDS, 1 if lost else tries)
    return random.uniform(0.5, 1.0) * places[place - 1]
