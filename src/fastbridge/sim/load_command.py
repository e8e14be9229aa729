"""`fastbridge load` for a person: progress while it runs, then a table, a verdict for each run, JSON and a plot.

Exit codes: 0, every run was whole; 1, a bridge broke what it must keep, or a run could not be done; 2, bad options.
"""

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import load, load_plot, render
from fastbridge.sim.load import Options
from fastbridge.sim.load_report import Result, bridge_of, table, verdict

INTERRUPTED = 130


def call_counts(text: str) -> tuple[int, ...]:
    """ "50,100" as numbers. ConfigError for anything else."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--calls takes numbers such as 50,100,200, not {text!r}.") from None


def main(options: Options, *, json_path: Path | None = None, plot_path: Path | None = None) -> int:
    """Run, show, write. ConfigError, before anything starts, for what cannot work."""
    load.check(options)
    if plot_path is not None:
        render.require()
    for path in (json_path, plot_path):
        if path is not None and not path.resolve().parent.is_dir():
            raise ConfigError(f"There is no directory {path.resolve().parent} to write {path.name} to.")
    results, status = perform([replace(options, calls=(calls,)) for calls in options.calls])
    if results:
        Console().print(table(results))
        for result in results:
            print(verdict(result))
    if json_path is not None:
        json_path.write_text(json.dumps(document(results), indent=1) + "\n")
    if plot_path is not None:
        load_plot.plot(plot_path, results)
    return status or int(any(result["broken"] for result in results))


def document(results: Sequence[Result]) -> dict[str, Any]:
    """What `--json` writes."""
    return {"schema": 1, "machine": load.machine(), "runs": list(results)}


def perform(plan: Sequence[Options]) -> tuple[list[Result], int]:
    """One run for each, in their order: what was measured, and 0; or, where it had to stop, why."""
    results: list[Result] = []
    try:
        asyncio.run(_perform(plan, results))
    except KeyboardInterrupt:
        return results, INTERRUPTED
    except asyncio.CancelledError:
        return results, INTERRUPTED
    except TimeoutError:
        print("fastbridge: a run took longer than it may; it was ended.", file=sys.stderr)
        return results, 1
    except ConfigError:
        raise
    except FastbridgeError as error:
        print(f"fastbridge: {error}", file=sys.stderr)
        return results, 1
    return results, 0


async def _perform(plan: Sequence[Options], results: list[Result]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    for number, options in enumerate(plan, 1):
        [calls] = options.calls
        with _shown(
            f"{number}/{len(plan)}  {bridge_of({'bridge': options.bridge, 'model': options.model})}, {calls} calls"
        ) as progress:
            results.append(await load.run(options, calls, progress))


@contextlib.contextmanager
def _shown(title: str) -> Iterator[load.Progress]:
    """A bar on a terminal; elsewhere a line for each step."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[step]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, refresh_per_second=2, transient=True) as bar:
        task = bar.add_task(title, total=1.0, step="starting the bridge")
        yield lambda step, share: bar.update(task, completed=share, step=step)


def _lines(title: str) -> load.Progress:
    said: set[str] = set()

    def say(step: str, share: float) -> None:
        if step not in said:
            said.add(step)
            print(f"{title}: {step}", file=sys.stderr, flush=True)

    return say
