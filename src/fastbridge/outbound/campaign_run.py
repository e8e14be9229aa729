"""A campaign at the command line: run, shown as it goes, written down."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fastbridge.config import load_settings
from fastbridge.outbound.callees import write_results
from fastbridge.outbound.campaign import Callee, Campaign, Hours, Retry
from fastbridge.outbound.client import ApiClient, key_of

WRITE_SECONDS = 1.0
SHOW_SECONDS = 0.25
LINE_SECONDS = 10.0
"""Between two lines where there is no terminal."""


def run(
    name: str,
    callees: Sequence[Callee],
    out: Path,
    *,
    per_second: float,
    at_once: int,
    retries: Mapping[str, Retry],
    hours: Hours | None,
    node: str | None,
) -> int:
    """Until everybody has been called, or a signal says stop: the exit code."""
    settings = load_settings()
    url, key = node or f"http://127.0.0.1:{settings.port}", key_of(settings)

    async def live() -> Campaign:
        async with ApiClient(url, key) as api:
            campaign = Campaign(
                name, callees, api, per_second=per_second, at_once=at_once, retries=retries, hours=hours
            )
            await _shown(campaign, out)
            return campaign

    outcomes = asyncio.run(live()).outcomes
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{len(callees)} called: {told}; see {out}")
    return 0 if set(outcomes) <= {"completed"} else 1


async def _shown(campaign: Campaign, out: Path) -> None:
    """Run it, and write down what has come of it, once a second and at the end."""
    console = Console(stderr=True)
    columns = (
        TextColumn("calling"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
    )
    progress = Progress(*columns, console=console, disable=not console.is_terminal)
    bar = progress.add_task("calling", total=len(campaign.callees), told="")
    running = asyncio.create_task(campaign.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, campaign, running, console)
    written_s = said_s = time.monotonic()
    try:
        with progress:
            while not running.done():
                await asyncio.wait([running], timeout=SHOW_SECONDS)
                outcomes, now_s = campaign.outcomes, time.monotonic()
                told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
                progress.update(bar, completed=sum(callee.done for callee in campaign.callees), told=told)
                if now_s - written_s >= WRITE_SECONDS:
                    written_s = now_s
                    await asyncio.to_thread(write_results, out, campaign.callees)
                if not console.is_terminal and now_s - said_s >= LINE_SECONDS:
                    said_s = now_s
                    print(told, file=sys.stderr)
    finally:
        write_results(out, campaign.callees)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _stop(campaign: Campaign, running: "asyncio.Task[None]", console: Console) -> None:
    """The first signal waits for the calls under way; the second for nobody."""
    if campaign.stopping:
        running.cancel()
        return
    console.print("fastbridge: no more calls are begun; those under way are waited for. Run it again to go on.")
    campaign.stop()
