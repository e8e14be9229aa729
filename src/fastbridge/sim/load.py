"""`fastbridge load`: many calls at once through a real bridge on this machine, measured from outside.

The callers and the model are played by `fastbridge._load`, on a CPU apart from the bridge's; this file starts things in
their order and ends them, whatever happens. What was measured is judged and shown by `load_report`.
"""

import asyncio
import contextlib
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx2

from fastbridge.errors import ConfigError, FastbridgeError
from fastbridge.sim import load_bridge, load_events, load_lag, load_live_events
from fastbridge.sim.load_report import PART_NAMES, PARTS, Result, summary
from fastbridge.sim.load_setup import NOBODY, PATHS, Door, SetupError, Target, configured, place_call
from fastbridge.sim.load_usage import CoreTime, Usage, core_time, first_in_line, pinned, usage

if TYPE_CHECKING:
    from fastbridge._load import Players

GRACE_SECONDS = 1.5
"""For frames that are under way when the window closes."""
GOODBYE_SECONDS = 1.0
SPARE_SECONDS = 30.0
SETUP_SECONDS_A_CALL = 0.3
MOST_FAILURES = 20
DESCRIPTORS_A_CALL = 3
REALTIME, LIVE = PATHS
DELTA_BYTES = {REALTIME: 3200, LIVE: 160}
"""Audio in a delta: 400 ms of a model that speaks faster than real time, one frame of a stream."""
REALTIME_SPEED = 6.7


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. model: realtime or live, the dialect that the model speaks. bridge: fastbridge, baseline, or the
    address of one that runs already (then `pid` is its process).

    Times in the names' units. barge: every caller interrupts every response. talk_ms of speech every period_ms, which
    the model delivers `speed` times as fast as it is spoken; a live one streams without a pause, at the pace of real
    time, in deltas of delta_bytes. warm: CPUs are kept from sleeping. realtime: bridge and players go before all else
    on their CPUs. eager: wake up for everything that comes; otherwise once a slot. tls: to the model. dsp: the bridge
    changes the caller's audio, so frames are told by their order. None, of either: as the bridge does by itself
    (PARTS); of one given by its address nothing is supposed.
    """

    calls: tuple[int, ...] = (50, 100, 200)
    seconds: float = 20.0
    bridge: str = "fastbridge"
    model: str = REALTIME
    tls: bool | None = None
    barge: bool = False
    dsp: bool | None = None
    eager: bool = False
    warm: bool = False
    realtime: bool = False
    settle_seconds: float = 4.0
    slot_us: int = 1000
    talk_ms: int = 6000
    period_ms: int = 10_000
    delta_bytes: int | None = None
    speed: float | None = None
    voice_delay_ms: int = 200
    barge_after_ms: int = 2000
    pid: int = 0
    model_port: int = 0
    auth_token: str = ""
    account_sid: str = ""
    webhook: str = "/webhook/incoming_call"
    public_url: str = ""
    command: tuple[str, ...] = ()
    """Starts another bridge in the place of fastbridge, with the same environment and webhooks."""

    def __post_init__(self) -> None:
        for part in PART_NAMES:
            if getattr(self, part) is None:
                object.__setattr__(self, part, PARTS.get(self.bridge, {}).get(part, False))
        if self.delta_bytes is None:
            object.__setattr__(self, "delta_bytes", DELTA_BYTES.get(self.model))
        if self.speed is None:
            object.__setattr__(self, "speed", 1.0 if self.model == LIVE else REALTIME_SPEED)


class Places(NamedTuple):
    """Which CPUs the bridge runs on, and which the players (and their thread)."""

    bridge: set[int]
    others: set[int]
    players: int

    @classmethod
    def here(cls) -> "Places":
        cpus = sorted(os.sched_getaffinity(0))
        return cls({cpus[0]}, set(cpus[1:] or cpus), cpus[-1])


Progress = Callable[[str, float], None]
"""Told what happens, and how much of it is done (0 to 1)."""


def check(options: Options) -> None:
    """ConfigError, in one sentence, for what cannot be run here."""
    if sys.platform != "linux":
        raise ConfigError("fastbridge load measures with Linux's own means (epoll, schedstat): run it on Linux.")
    if not options.calls or min(options.calls) < 1 or max(options.calls) > 4000:
        raise ConfigError("--calls takes numbers from 1 to 4000, such as 50,100,200.")
    if not 1 <= options.seconds <= 3600:
        raise ConfigError("--seconds must be from 1 to 3600.")
    if options.model not in PATHS:
        raise ConfigError(f"--model takes {REALTIME} or {LIVE}, not {options.model!r}.")
    if options.model == LIVE and options.speed != 1.0:
        raise ConfigError("--speed is for --model realtime: a live model streams at the pace of real time.")
    if options.model == LIVE and options.bridge == "baseline":
        raise ConfigError("The baseline does not speak GPT-Live: leave out --model live.")
    if options.bridge not in load_bridge.OWN:
        Target(options.bridge)
        if options.tls:
            raise ConfigError("--tls is for a bridge that is started here: your own has to trust our certificate.")
    elif options.bridge == "baseline":
        if options.dsp:
            raise ConfigError("The baseline has no DSP: leave out --dsp.")
        load_bridge.baseline_script()
    if options.tls:
        load_bridge.openssl()
    needed = max(options.calls) * DESCRIPTORS_A_CALL + 100
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(f"{max(options.calls)} calls take {needed} open files, but only {hard} are allowed here.")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def limit_seconds(options: Options, calls: int) -> float:
    """A run that is not over by then never will be."""
    fixed = options.settle_seconds + options.seconds + GRACE_SECONDS + GOODBYE_SECONDS + SPARE_SECONDS
    return fixed + calls * SETUP_SECONDS_A_CALL


async def run(options: Options, calls: int, progress: Progress) -> Result:
    """One run with so many calls: a fresh bridge, or the one that runs. FastbridgeError if it cannot be done at all."""
    async with asyncio.timeout(limit_seconds(options, calls)), contextlib.AsyncExitStack() as stack:
        places = Places.here()
        stack.enter_context(pinned(places.others, options.realtime))
        await stack.enter_async_context(load_bridge.kept_awake(options.warm))
        players = make_players(options, calls)
        door = await stack.enter_async_context(Door(players, options.model_port, PATHS[options.model]))
        bridge = await stack.enter_async_context(_bridge(options, calls, door.port, places))
        thread = await stack.enter_async_context(
            playing(players, places.players, options.realtime, limit_seconds(options, calls))
        )
        measured = _Run(options, calls, players, door, bridge, thread, places, progress)
        return await measured.all()


def make_players(options: Options, calls: int) -> "Players":
    """Callers and model for one run of so many calls."""
    from fastbridge._load import Players

    voice = load_events.voice()
    return Players(
        calls=calls,
        slot_us=options.slot_us,
        eager=options.eager,
        live=options.model == LIVE,
        scripts=(load_live_events if options.model == LIVE else load_events).scripts(),
        quiet=load_events.quiet(),
        voice=voice,
        exact=not options.dsp,
        barge=options.barge,
        talk_ms=options.talk_ms,
        period_ms=options.period_ms,
        delta_bytes=options.delta_bytes or DELTA_BYTES[options.model],
        speed=options.speed or REALTIME_SPEED,
        voice_delay_ms=options.voice_delay_ms,
        barge_after_ms=options.barge_after_ms,
    )


class Bridge(NamedTuple):
    """A bridge in use: where it is, its process (0: unknown), and that of the TLS in front of the model (0: none)."""

    target: Target
    pid: int
    relay_pid: int


@contextlib.asynccontextmanager
async def _bridge(options: Options, calls: int, model_port: int, places: Places) -> AsyncIterator[Bridge]:
    if options.bridge not in load_bridge.OWN:
        sid = options.account_sid or "AC" + "0" * 32
        yield Bridge(
            Target(options.bridge, options.auth_token, sid, options.webhook, options.public_url), options.pid, 0
        )
        return
    environment = load_bridge.settings(calls, dsp=bool(options.dsp), greeting=True, live=options.model == LIVE)
    async with contextlib.AsyncExitStack() as stack:
        url, relay_pid = f"http://127.0.0.1:{model_port}/v1", 0
        if options.tls:
            folder = stack.enter_context(load_bridge.certificate())
            port, relay_pid = await stack.enter_async_context(
                load_bridge.tls_in_front(model_port, folder, places.others)
            )
            url = f"https://127.0.0.1:{port}/v1"
            environment["SSL_CERT_FILE"] = str(folder / "trusted.pem")
        node = await stack.enter_async_context(
            load_bridge.started(
                options.bridge, url, places.bridge, environment, options.command, realtime=options.realtime
            )
        )
        yield Bridge(load_bridge.target_of(node), node.pid, relay_pid)


@contextlib.asynccontextmanager
async def playing(players: "Players", cpu: int, realtime: bool, seconds: float) -> AsyncIterator[int]:
    """The players' thread, while it is needed: its number."""
    deadline_ns = time.monotonic_ns() + int(seconds * 1e9)

    def play() -> None:
        os.sched_setaffinity(0, {cpu})  # 0 is this thread
        if realtime:
            first_in_line()
        players.play(deadline_ns)

    thread = threading.Thread(target=play, name="players", daemon=True)
    thread.start()
    try:
        yield thread.native_id or 0
    finally:
        players.stop()
        thread.join()


class _Moment(NamedTuple):
    """Everybody's clocks at one moment."""

    at_s: float
    bridge: Usage
    relay: Usage
    own_ms: float
    bridge_core: CoreTime
    players_core: CoreTime
    lag: load_lag.Buckets


@dataclass(slots=True)
class _Run:
    options: Options
    calls: int
    players: "Players"
    door: Door
    bridge: Bridge
    thread: int
    places: Places
    progress: Progress

    async def all(self) -> Result:
        options = self.options
        idle = usage(self.bridge.pid) if self.bridge.pid else Usage()
        failures = await self._ramp()
        if len(failures) >= min(self.calls, MOST_FAILURES):
            raise FastbridgeError(f"No load: {len(failures)} calls in a row failed; {failures[-1]}.")
        await self._wait(options.settle_seconds, "settling")
        before = self._moment(await load_lag.buckets(self.bridge.target))
        self.players.open_window()
        await self._wait(options.seconds, "measuring")
        held = self.players.live
        self.players.close_window()
        after = self._moment({})
        after = after._replace(lag=await load_lag.buckets(self.bridge.target))
        await self._wait(GRACE_SECONDS, "waiting for the last frames")
        integrity = self.players.integrity()
        self.players.hang_up()
        await self._wait(GOODBYE_SECONDS, "hanging up")
        return self._result(idle, before, after, held, failures, integrity)

    async def _ramp(self) -> list[str]:
        """One call after the other. What went wrong, one line a call."""
        failures: list[str] = []
        headers = {"User-Agent": "TwilioProxy/1.1"}
        async with httpx2.AsyncClient(timeout=10.0, trust_env=False, headers=headers) as http:
            for index in range(self.calls):
                self.progress("connecting", index / self.calls)
                sessions = self.players.configured
                self.door.caller = index
                try:
                    await place_call(http, self.bridge.target, self.players, index)
                except SetupError as error:
                    failures.append(str(error))
                else:
                    if not await configured(self.players, sessions + 1):
                        failures.append("the bridge did not configure a session " + "; ".join(self.door.refused[-1:]))
                if len(failures) >= MOST_FAILURES or (failures and len(failures) == index + 1 >= 3):
                    return failures + failures[-1:] * (MOST_FAILURES - len(failures))
        self.door.caller = NOBODY
        return failures

    async def _wait(self, seconds: float, what: str) -> None:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            self.progress(what, passed / seconds)
            await asyncio.sleep(min(0.5, seconds - passed))

    def _moment(self, lag: load_lag.Buckets) -> _Moment:
        [bridge_cpu] = self.places.bridge
        return _Moment(
            time.monotonic(),
            usage(self.bridge.pid) if self.bridge.pid else Usage(),
            usage(self.bridge.relay_pid) if self.bridge.relay_pid else Usage(),
            time.process_time() * 1000,
            core_time(bridge_cpu),
            core_time(self.places.players),
            lag,
        )

    def _result(
        self, idle: Usage, before: _Moment, after: _Moment, held: int, failures: list[str], integrity: dict[str, int]
    ) -> Result:
        options = self.options
        kept = (
            "model",
            "bridge",
            "seconds",
            "tls",
            "barge",
            "dsp",
            "eager",
            "slot_us",
            "talk_ms",
            "period_ms",
            "delta_bytes",
        )
        facts: dict[str, Any] = {name: getattr(options, name) for name in (*kept, "speed", "warm", "realtime")}
        return summary(
            facts | {"calls": self.calls, "held": held, "setup_failures": failures[:5]},
            counts=self.players.counts,
            integrity=integrity,
            histograms=self.players.histograms,
            idle=idle,
            before=before,
            after=after,
            has_pid=bool(self.bridge.pid),
            shared_core=self.places.players in self.places.bridge,
        )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = "unknown"
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime()),
    }
