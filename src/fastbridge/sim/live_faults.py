"""What can go wrong with GPT-Live during a call, by name: hand one to a `ModelServer`, as those of `faults`.

    fault = live_faults.gap(live_faults.ASSISTANT_SPEAKING, ms=3000)
    async with ModelServer(fault(Scenario(turns=[Say("We open at nine.")]))) as model:

Faults of the handshake and of the network are the same in both dialects: `faults.unreachable`, `connect_hangs`,
`refused`, `dropped`, `stalled`, `upload_blocked`; so are `unanswered`, `endless_speech`, `empty_transcripts`,
`call_ids_repeat`, `speaks_pcm` and `hears_pcm`. Here is what GPT-Live has of its own; `CATALOGUE` holds one of each
kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from . import faults
from .disruption import EVERY, Change, Disruption, Drop, Gap, Jitter, Lose, Moment, On, Reject, Repeat, Send
from .faults import ALWAYS, PCM, Fault
from .live_wire import AUDIO, INPUT_TRANSCRIPT, OUTPUT_TRANSCRIPT
from .scenario import Scenario

# The phases of a call. They suppose a greeting, a question and an answer that takes some seconds.
GREETING = On(OUTPUT_TRANSCRIPT, after_ms=300)
CALLER_SPEAKING = On(INPUT_TRANSCRIPT, after_ms=300)
ASSISTANT_SPEAKING = On(INPUT_TRANSCRIPT, after_ms=3500)
"""So long after the caller's first word: he is done, and is being answered."""
TOOL_RUNNING = On("session.delegation.created", after_ms=600)
IDLE = On("session.started", after_ms=15_000)
_PHASES: dict[Moment, str] = {
    GREETING: "in the greeting",
    CALLER_SPEAKING: "while the caller speaks",
    ASSISTANT_SPEAKING: "while the assistant speaks",
    TOOL_RUNNING: "while a tool runs",
    IDLE: "while nobody speaks",
}

# The beginning and the end of a session.


def closed_at_once(code: int = 1008, times: int = 1) -> Fault:
    """The handshake succeeds, and the service closes when the session is to start."""
    return _disrupted("closed at once", closed_at_once, times, Disruption(On("session.start"), Drop(code, "policy")))


def never_started(times: int = 1) -> Fault:
    """`session.start` is not answered with anything."""
    return _disrupted("never started", never_started, times, Disruption(On("session.start", count=EVERY), Lose()))


def start_refused(code: str = "model_not_found", times: int = 1) -> Fault:
    """`session.start` is refused: model_not_found, credit_balance_exhausted, rate_limit_exceeded."""
    refused = Disruption(On("session.start", count=EVERY), Reject(code, "Refused by the script."))
    return _disrupted(f"start refused: {code}", start_refused, times, refused)


def wrong_format(times: int = 1) -> Fault:
    """The session is confirmed with another audio format than the one asked for."""
    return _disrupted("wrong format", wrong_format, times, Disruption(On("session.started"), Change(_as_pcm)))


def ended(
    reason: Literal["expired", "content", "remote_hangup", "connection_lost"] = "expired",
    after_ms: float = 15_000.0,
    times: int = 1,
) -> Fault:
    """The service closes the session in order, so long after its start: its time is over, or a filter wants it so."""
    return _habits(f"ended: {reason}", ended, times, max_session_ms=after_ms, end_reason=reason)


def close_is_lost(times: int = 1) -> Fault:
    """The session is closed, and `session.closed`, with what it cost, never comes."""
    return _disrupted("close is lost", close_is_lost, times, Disruption(On("session.closed"), Lose()))


def close_hangs(times: int = 1) -> Fault:
    """`session.close` is not answered, and the connection stays."""
    return _disrupted("close hangs", close_hangs, times, Disruption(On("session.close", count=EVERY), Lose()))


def fork_refused() -> Fault:
    """A stored session cannot be forked: the handshake is answered with 404."""
    return _habits("fork refused", fork_refused, ALWAYS, forks=False)


# The stream.


def gap(at: Moment = ASSISTANT_SPEAKING, ms: float = 3000.0, times: int = 1) -> Fault:
    """No audio comes for a while, and what the model said meanwhile is lost."""
    return _disrupted(f"gap of {ms:g} ms{_at(at)}", gap, times, Disruption(at, Gap(ms, AUDIO)))


def dead(at: Moment = ASSISTANT_SPEAKING, times: int = 1) -> Fault:
    """No audio comes any more, though the connection stays and everything else does."""
    return _disrupted(f"dead{_at(at)}", dead, times, Disruption(at, Gap(EVERY, AUDIO)))


def burst(at: Moment = ASSISTANT_SPEAKING, ms: float = 2000.0, times: int = 1) -> Fault:
    """Nothing comes for a while, and then everything at once."""
    return replace(faults.stalled(at, ms), name=f"burst after {ms:g} ms{_at(at)}", about=_about(burst))


def jittery(ms: float = 300.0) -> Fault:
    """Every event is late by a little, and never by the same."""
    return _disrupted(f"jitter {ms:g} ms", jittery, ALWAYS, Disruption(On("session.started"), Jitter(ms)))


def drifts(ppm: float = 200.0) -> Fault:
    """The service's clock is fast: in an hour it sends 0.7 s of audio more than there is time for. Negative: slow."""
    return _habits(f"drifts by {ppm:g} ppm", drifts, ALWAYS, drift_ppm=ppm)


def noisy(dbfs: float = -60.0) -> Fault:
    """Between the words there is noise, and no silence that could be told by its bytes."""
    return _habits(f"noise at {dbfs:g} dBFS", noisy, ALWAYS, noise_dbfs=dbfs)


def odd_sizes() -> Fault:
    """Deltas of any size, from one sample on."""
    return _habits("odd sizes", odd_sizes, ALWAYS, odd_sizes=True)


# Who speaks when.


def does_not_stop() -> Fault:
    """The model goes on when the caller speaks."""
    return _habits("does not stop", does_not_stop, ALWAYS, interruptible=False)


def speaks_over(after_ms: float = 600.0) -> Fault:
    """The model answers while the caller still speaks."""
    return _habits("speaks over", speaks_over, ALWAYS, speaks_over_ms=after_ms)


def late_answers(ms: float = 6000.0) -> Fault:
    """The model takes long to answer, and is silent meanwhile."""
    return _habits(f"answers after {ms:g} ms", late_answers, ALWAYS, answer_ms=ms)


def never_speaks_first() -> Fault:
    """Commentary and instructions are taken, and nothing is said."""
    return _habits("never speaks first", never_speaks_first, ALWAYS, commentary_ms=1e12, instructions_ms=None)


# Events.


def append_refused(kind: Literal["commentary", "thinking", "instructions"] = "commentary", times: int = 1) -> Fault:
    """What the client appends is refused."""
    refused = Disruption(On(f"session.{kind}.append", count=EVERY), Reject("server_error", "Refused by the script."))
    return _disrupted(f"{kind} refused", append_refused, times, refused)


def backend_is_silent(times: int = 1) -> Fault:
    """A task is delegated, and nothing is heard of the backend."""
    return _disrupted(
        "backend is silent", backend_is_silent, times, Disruption(On("response.event", count=EVERY), Lose())
    )


def calls_come_twice() -> Fault:
    """Every event of the backend comes a second time, the calls, too."""
    again = Disruption(On("response.event", count=EVERY), Repeat(50.0))
    return _disrupted("calls come twice", calls_come_twice, ALWAYS, again)


def recoverable_errors(at: Moment = ASSISTANT_SPEAKING) -> Fault:
    """Error events that do not end a session: of each type, with a code that nobody knows, and without one."""
    sends = [Disruption(at, Send(_error(kind, code))) for kind, code in ERRORS]
    return _disrupted(f"recoverable errors{_at(at)}", recoverable_errors, 1, *sends)


def rubbish(at: Moment = ASSISTANT_SPEAKING) -> Fault:
    """Unknown events, events without their fields, audio that is no base64, a megabyte of it, and what is not JSON."""
    return _disrupted(f"rubbish{_at(at)}", rubbish, 1, *(Disruption(at, Send(message)) for message in RUBBISH))


ERRORS: tuple[tuple[str, str | None], ...] = (
    ("invalid_request_error", "invalid_value"),
    ("invalid_request_error", "something_new"),
    ("server_error", "server_error"),
    ("server_error", None),
)
RUBBISH: tuple[Mapping[str, Any] | str, ...] = (
    {"type": "session.something_new", "value": {"deep": [1, 2, 3]}},
    {"type": AUDIO},
    {"type": AUDIO, "delta": None},
    {"type": AUDIO, "delta": "not base64!"},
    {"type": AUDIO, "delta": "A" * (1 << 20)},
    {"type": OUTPUT_TRANSCRIPT, "delta": {}, "start_ms": "soon", "end_ms": -1},
    {"type": INPUT_TRANSCRIPT},
    {"type": "session.started", "session": {}},
    {"type": "session.delegation.created", "delegation": None},
    {"type": "response.event"},
    {"type": "response.event", "delegation_id": 7, "event": {"type": "response.output_item.done", "item": None}},
    {"type": "session.usage.updated", "usage": {"seconds": "many"}},
    {"type": "error"},
    {"no": "type"},
    "[1, 2, 3]",
    "not JSON at all",
    "",
)


def _disrupted(name: str, factory: Callable[..., Fault], times: int, *disruptions: Disruption) -> Fault:
    def script(base: Scenario, attempt: int) -> Scenario:
        return replace(base, disruptions=(*base.disruptions, *disruptions)) if attempt < times else base

    return Fault(_counted(name, times), _about(factory), script)


def _habits(name: str, factory: Callable[..., Fault], times: int, **fields: Any) -> Fault:
    def script(base: Scenario, attempt: int) -> Scenario:
        return replace(base, live=replace(base.live, **fields)) if attempt < times else base

    return Fault(_counted(name, times), _about(factory), script)


def _about(factory: Callable[..., Fault]) -> str:
    return (factory.__doc__ or "").strip()


def _at(moment: Moment) -> str:
    if moment in _PHASES:
        return f" {_PHASES[moment]}"
    return f" on {moment.type}" if isinstance(moment, On) else f" after {moment.ms:g} ms"


def _counted(name: str, times: int) -> str:
    return name if times in (1, ALWAYS) else f"{name} x{times}"


def _error(kind: str, code: str | None) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": kind, "code": code, "message": "By the script.", "param": None}}


def _as_pcm(event: dict[str, Any]) -> dict[str, Any]:
    session = event["session"]
    return {**event, "session": {**session, "audio": {**session["audio"], "format": PCM}}}


CATALOGUE: tuple[Fault, ...] = (
    closed_at_once(),
    never_started(),
    start_refused(),
    wrong_format(),
    ended(),
    ended("content"),
    close_is_lost(),
    close_hangs(),
    fork_refused(),
    gap(),
    dead(),
    burst(),
    jittery(),
    drifts(),
    drifts(-200.0),
    noisy(),
    odd_sizes(),
    does_not_stop(),
    speaks_over(),
    late_answers(),
    never_speaks_first(),
    append_refused(),
    backend_is_silent(),
    calls_come_twice(),
    recoverable_errors(),
    rubbish(),
)
"""One of each kind, with its default moment."""
