"""How late the bridge's own event loop runs, if the bridge says so: a histogram of a name like `..._loop_lag_seconds`
among its Prometheus metrics. Read before and after a window; the difference is the window's. Most bridges do not say.
"""

import math
import re
from urllib.parse import urlsplit

import httpx2

from fastbridge.sim.load_setup import Target

Buckets = dict[float, float]
"""Upper edge in seconds (the last is infinite) to how many were not above it."""

_BUCKET = re.compile(r'^\w*loop_lag_seconds_bucket\{(?:[^}]*,)?le="([^"]+)"[^}]*\} (\S+)', re.MULTILINE)


async def buckets(target: Target) -> Buckets:
    """The bridge's histogram by now, summed over its labels; empty if it has none."""
    if urlsplit(target.url).scheme != "http":
        return {}
    try:
        async with httpx2.AsyncClient(timeout=2.0, trust_env=False) as http:
            answer = await http.get(f"{target.url.rstrip('/')}/metrics")
    except httpx2.HTTPError:
        return {}
    return parse(answer.text) if answer.status_code == 200 else {}


def parse(text: str) -> Buckets:
    """The histogram in a Prometheus text. What is not a number is left out."""
    found: Buckets = {}
    for edge, count in _BUCKET.findall(text):
        try:
            found[float(edge)] = found.get(float(edge), 0.0) + float(count)
        except ValueError:
            continue
    return found


def quantile_ms(before: Buckets, after: Buckets, quantile: float) -> float | None:
    """The upper edge of the bucket that holds the quantile; None without a single observation."""
    counts = {edge: count - before.get(edge, 0.0) for edge, count in sorted(after.items())}
    total = max(counts.values(), default=0.0)
    if total <= 0:
        return None
    edge = next(edge for edge, count in counts.items() if count >= quantile * total)
    return edge * 1000 if math.isfinite(edge) else math.inf
