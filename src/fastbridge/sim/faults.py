"""Everything that can go wrong with the service during a call, by name: hand one to a `ModelServer`.

    fault = faults.dropped(faults.ASSISTANT_SPEAKING)
    async with ModelServer(fault(Scenario(turns=[Say("We open at nine.")]))) as model:

A `Fault` takes a scenario and gives one that goes wrong, for each connection in turn. Most happen once or a few times
and then the service is well again: what counts is what the caller hears meanwhile. `CATALOGUE` holds one of each kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .disruption import (
    EVERY,
    NO_CLOSE_FRAME,
    Change,
    Disruption,
    Drop,
    Hang,
    Jitter,
    Lose,
    Moment,
    Obstacle,
    On,
    Postpone,
    Refuse,
    Reject,
    Repeat,
    Send,
    Stall,
    StopReading,
    Unreachable,
)
from .refusals import EXPIRED
from .scenario import Cancelled, Ending, Ends, Fail, Incomplete, ResponseRequest, Say, Scenario, Stuck, Turn

ALWAYS = EVERY
"""For `times`: the service never gets well again."""

AUDIO = "response.output_audio.delta"
TRANSCRIPT = "conversation.item.input_audio_transcription"
PCM: Mapping[str, Any] = {"type": "audio/pcm", "rate": 24_000}

# The phases of a call. They suppose a greeting and then an answer.
GREETING = On(AUDIO, 3)
CALLER_SPEAKING = On("input_audio_buffer.speech_started", after_ms=300)
BEFORE_THE_ANSWER = On("input_audio_buffer.committed", after_ms=60)
ASSISTANT_SPEAKING = On("response.created", 2, after_ms=1000)
BARGE_IN = On("response.cancel")
TOOL_RUNNING = On("response.function_call_arguments.done", after_ms=300)
MID_TRANSCRIPT = On(f"{TRANSCRIPT}.delta")
IDLE = On("response.done", after_ms=6000)
"""Long after the greeting was made: it has been heard and nobody speaks."""
_PHASES: dict[Moment, str] = {
    GREETING: "in the greeting",
    CALLER_SPEAKING: "while the caller speaks",
    BEFORE_THE_ANSWER: "before the answer",
    ASSISTANT_SPEAKING: "while the assistant speaks",
    BARGE_IN: "at an interruption",
    TOOL_RUNNING: "while a tool runs",
    MID_TRANSCRIPT: "in a transcript",
    IDLE: "while nobody speaks",
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong. `fault(scenario)` is what `ModelServer` takes in place of the scenario.

    script(scenario, attempt): the scenario of the connection attempt with that number, from 0.
    """

    name: str
    about: str
    script: Callable[[Scenario, int], Scenario]

    def __call__(self, scenario: Scenario | None = None) -> Callable[[int], Scenario]:
        base = scenario if scenario is not None else Scenario()
        return lambda attempt: self.script(base, attempt)

    def __str__(self) -> str:
        return self.name


# Connecting.


def unreachable(why: str = "refused", times: int = 1) -> Fault:
    """No connection to the service comes about: nobody listens, no name, no route, no TLS."""
    return _at_connect(f"unreachable ({why})", unreachable, Unreachable(why), times)


def connect_hangs(times: int = 1) -> Fault:
    """The service takes the connection and does not answer."""
    return _at_connect("connect hangs", connect_hangs, Hang(), times)


def refused(status: int = 503, code: str | None = None, times: int = 1) -> Fault:
    """The handshake is answered with an HTTP error: 401 for a bad key, 429 for a limit or an empty account."""
    return _at_connect(f"refused {status}", refused, Refuse(status, code, "Refused by the script."), times)


def closed_at_once(code: int = 1008, times: int = 1) -> Fault:
    """The handshake succeeds, and the service closes before the session can be used."""
    drop = Disruption(On("session.created"), Drop(code, "policy violation"))
    return _disrupted(f"closed at once {code}", closed_at_once, times, drop)


def never_ready(times: int = 1) -> Fault:
    """The session's settings are never confirmed."""
    return _disrupted("never ready", never_ready, times, Disruption(On("session.update", count=EVERY), Lose()))


def wrong_format(times: int = 1) -> Fault:
    """The session is confirmed with another audio format than the one asked for."""
    change = Disruption(On("session.updated", count=EVERY), Change(_as_pcm))
    return _disrupted("wrong format", wrong_format, times, change)


def speaks_pcm(times: int = 1) -> Fault:
    """The session is confirmed with mu-law, and what the service speaks is PCM at 24 kHz."""
    return _sessions("speaks PCM", speaks_pcm, times, speaks=PCM)


def hears_pcm(times: int = 1) -> Fault:
    """The session is confirmed with mu-law, and the service takes what the caller says for PCM at 24 kHz."""
    return _sessions("hears PCM", hears_pcm, times, hears=PCM)


# The end of a session.


def dropped(at: Moment, code: int = NO_CLOSE_FRAME, reason: str = "", times: int = 1) -> Fault:
    """The connection ends in the middle of the call: 1006 is a reset, 1011 an error of the service."""
    return _disrupted(f"dropped {code}{_at(at)}", dropped, times, Disruption(at, Drop(code, reason)))


def expired(at: Moment, times: int = 1) -> Fault:
    """The session's sixty minutes are over at that moment: an error event, and the close."""
    error = {"type": EXPIRED.type, "code": EXPIRED.code, "message": EXPIRED.message, "param": None, "event_id": None}
    told = Disruption(at, Send({"type": "error", "error": error}))
    return _disrupted(f"session expired{_at(at)}", expired, times, told, Disruption(at, Drop(1001, EXPIRED.message)))


# Responses. `nth` counts the responses of a session from 1, the greeting included; `times` in a row go wrong.


def fails(code: str = "rate_limit_exceeded", nth: int = 2, times: int = 1) -> Fault:
    """A response ends as failed, without a sound: rate_limit_exceeded, server_error, insufficient_quota."""
    return _turns(f"fails: {code}", fails, nth, times, Fail(code, "Failed by the script.", _type_of(code)))


def silent(nth: int = 2, times: int = 1) -> Fault:
    """A response completes, and there is no audio in it."""
    return _turns("silent", silent, nth, times, Say("", b""))


def filtered(nth: int = 2, times: int = 1) -> Fault:
    """A response ends as incomplete by the content filter, before its first sound."""
    return _turns("filtered", filtered, nth, times, Incomplete("content_filter"))


def cut_short(nth: int = 2, times: int = 1, says: str = "We are open from") -> Fault:
    """A response comes to its token limit, in the middle of a sentence."""
    return _turns("cut short", cut_short, nth, times, _after(says, Incomplete("max_output_tokens")))


def cancelled(nth: int = 2, times: int = 1, says: str = "") -> Fault:
    """A response is cancelled by the service itself, before its first sound or after so many words."""
    return _turns("cancelled", cancelled, nth, times, _after(says, Cancelled()))


def strange_status(status: str = "paused", nth: int = 2, times: int = 1) -> Fault:
    """A response ends with a status that nobody knows, and without a sound."""
    return _turns("strange status", strange_status, nth, times, Ends(status))


def call_ids_repeat() -> Fault:
    """Every function call has the same id, as servers that only resemble the service may give it."""
    return Fault("call ids repeat", _about(call_ids_repeat), lambda base, _: replace(base, call_id="call_0"))


def stuck(nth: int = 2, times: int = 1, says: str = "") -> Fault:
    """A response begins, says that much, and never ends."""
    return _turns("stuck", stuck, nth, times, _after(says, Stuck()))


def done_is_lost(nth: int = 2) -> Fault:
    """A response is made and heard, but nobody says that it is done."""
    return _disrupted("done is lost", done_is_lost, 1, Disruption(On("response.done", nth), Lose()))


def never_created(nth: int = 1, times: int = 1) -> Fault:
    """`response.create` is not answered with anything."""
    return _disrupted("never created", never_created, 1, Disruption(On("response.create", nth, times), Lose()))


def already_active(nth: int = 1, times: int = 1) -> Fault:
    """`response.create` is refused because of another response, which has ended by then."""
    message = (
        "Conversation already has an active response in progress: resp_other. "
        "Wait until the response is finished before creating a new one."
    )
    reject = Reject("conversation_already_has_active_response", message)
    return _disrupted("already active", already_active, 1, Disruption(On("response.create", nth, times), reject))


def cancel_refused() -> Fault:
    """The cancellation of a response comes too late: it is refused, and what was made of it still arrives."""
    reject = Reject("response_cancel_not_active", "Cancellation failed: no active response found")
    return _disrupted("cancel refused", cancel_refused, 1, Disruption(On("response.cancel", count=EVERY), reject))


def truncate_refused() -> Fault:
    """The service says that an item is shorter than the place where it is to be cut."""
    reject = Reject("invalid_value", "Audio content of 1200ms is already shorter than 1285ms", "audio_end_ms")
    at = On("conversation.item.truncate", count=EVERY)
    return _disrupted("truncate refused", truncate_refused, 1, Disruption(at, reject))


# Events that come late, twice, or from nowhere.


def late_deltas(after_ms: float = 1500.0) -> Fault:
    """Every piece of audio comes a second time, when its response may be over or cancelled."""
    return _disrupted("late deltas", late_deltas, ALWAYS, Disruption(On(AUDIO, count=EVERY), Repeat(after_ms)))


def foreign_deltas(at: Moment = ASSISTANT_SPEAKING) -> Fault:
    """Audio of a response and an item that nobody announced."""
    fields = {"response_id": "resp_foreign", "item_id": "item_foreign", "output_index": 0, "content_index": 0}
    delta = Send({"type": AUDIO, **fields, "delta": "AAAA" * 1000})
    return _disrupted(f"foreign deltas{_at(at)}", foreign_deltas, 1, Disruption(at, delta))


def deltas_before_created(nth: int = 2, by_ms: float = 400.0) -> Fault:
    """A response's audio begins before the event that announces it."""
    late = Disruption(On("response.created", nth), Postpone(by_ms))
    return _disrupted("deltas before created", deltas_before_created, 1, late)


def created_late(ms: float = 6000.0, nth: int = 1) -> Fault:
    """Nothing comes for so long after a `response.create`, then everything at once."""
    return _disrupted("created late", created_late, 1, Disruption(On("response.create", nth), Stall(ms)))


def late_transcripts(ms: float = 8000.0) -> Fault:
    """What the caller said first is known after all that was said later."""
    late = Disruption(On(f"{TRANSCRIPT}.completed"), Postpone(ms))
    return _disrupted("late transcripts", late_transcripts, 1, late)


def recoverable_errors(at: Moment = ASSISTANT_SPEAKING) -> Fault:
    """Error events of the kinds that do not end a session."""
    codes = ("input_audio_buffer_commit_empty", "invalid_value", "rate_limit_exceeded", "something_new")
    sends = [Disruption(at, Send(_error(code))) for code in codes]
    return _disrupted(f"recoverable errors{_at(at)}", recoverable_errors, 1, *sends)


def rubbish(at: Moment = ASSISTANT_SPEAKING) -> Fault:
    """Unknown events, events without their fields, audio that is no base64, a megabyte of it, and what is not JSON."""
    return _disrupted(f"rubbish{_at(at)}", rubbish, 1, *(Disruption(at, Send(message)) for message in RUBBISH))


# The caller's turns.


def endless_speech(turn: int = 0) -> Fault:
    """The service does not notice that the caller has stopped speaking: nothing is committed and nothing answered."""
    turns = frozenset({turn})
    return Fault("endless speech", _about(endless_speech), lambda base, _: replace(base, endless_turns=turns))


def untold_speech(turn: int = 0) -> Fault:
    """An endless turn of which not even the beginning is told: the service hears the caller, and nobody learns it."""
    lost = _disrupted("untold speech", untold_speech, 1, Disruption(On(CALLER_SPEAKING.type, turn + 1), Lose()))
    return replace(lost, script=lambda base, n: lost.script(endless_speech(turn).script(base, n), n))


def unanswered(turn: int = 0) -> Fault:
    """The service hears the caller's turn to its end, and makes no response to it."""
    turns = frozenset({turn})
    return Fault("unanswered", _about(unanswered), lambda base, _: replace(base, unanswered_turns=turns))


def empty_transcripts() -> Fault:
    """The service makes turns of noise: it commits and answers them, and understands nothing."""
    return Fault(
        "empty transcripts", _about(empty_transcripts), lambda base, _: replace(base, caller_transcripts=("",))
    )


# The network.


def flood(speed: float = 60.0) -> Fault:
    """Audio comes this many times faster than it plays: a minute in a second."""
    return Fault(f"flood x{speed:g}", _about(flood), lambda base, _: replace(base, speed=speed))


def stalled(at: Moment = ASSISTANT_SPEAKING, ms: float = 2000.0) -> Fault:
    """Nothing comes for a while, and then everything."""
    return _disrupted(f"stalled {ms:g} ms{_at(at)}", stalled, 1, Disruption(at, Stall(ms)))


def jittery(ms: float = 300.0) -> Fault:
    """Every event is late by a little, and never by the same."""
    return _disrupted(f"jitter {ms:g} ms", jittery, ALWAYS, Disruption(On("session.created"), Jitter(ms)))


def upload_blocked(at: Moment = CALLER_SPEAKING, ms: float = 4000.0) -> Fault:
    """The service does not read what it is sent."""
    return _disrupted(f"upload blocked {ms:g} ms{_at(at)}", upload_blocked, 1, Disruption(at, StopReading(ms)))


RUBBISH: tuple[Mapping[str, Any] | str, ...] = (
    {"type": "response.something_new", "value": {"deep": [1, 2, 3]}},
    {"type": AUDIO},
    {"type": AUDIO, "response_id": None, "item_id": 7, "delta": {}},
    {"type": AUDIO, "response_id": "resp_x", "item_id": "item_x", "delta": "not base64!"},
    {"type": AUDIO, "response_id": "resp_x", "item_id": "item_x", "delta": "A" * (1 << 20)},
    {"type": "response.created"},
    {"type": "response.done", "response": {}},
    {"type": "response.output_item.added", "item": None},
    {"type": "response.function_call_arguments.done"},
    {"type": f"{TRANSCRIPT}.completed"},
    {"type": "session.updated", "session": {}},
    {"type": "error"},
    {"no": "type"},
    "[1, 2, 3]",
    "not JSON at all",
    "",
)


def _after(says: str, ending: Ending) -> Turn:
    return (Say(says), ending) if says else ending


def _about(factory: Callable[..., Fault]) -> str:
    return (factory.__doc__ or "").strip()


def _at_connect(name: str, factory: Callable[..., Fault], obstacle: Obstacle, times: int) -> Fault:
    def script(base: Scenario, attempt: int) -> Scenario:
        return replace(base, on_connect=lambda _: obstacle) if attempt < times else base

    return Fault(_counted(name, times), _about(factory), script)


def _disrupted(name: str, factory: Callable[..., Fault], times: int, *disruptions: Disruption) -> Fault:
    def script(base: Scenario, attempt: int) -> Scenario:
        return replace(base, disruptions=(*base.disruptions, *disruptions)) if attempt < times else base

    return Fault(_counted(name, times), _about(factory), script)


def _sessions(name: str, factory: Callable[..., Fault], times: int, **fields: Any) -> Fault:
    def script(base: Scenario, attempt: int) -> Scenario:
        return replace(base, **fields) if attempt < times else base

    return Fault(_counted(name, times), _about(factory), script)


def _turns(name: str, factory: Callable[..., Fault], nth: int, times: int, turn: Turn) -> Fault:
    """Those responses of the first session go wrong (and all of any later one, if it is for ever); asked again, the
    model says what it would have said."""

    def script(base: Scenario, attempt: int) -> Scenario:
        if attempt and times < ALWAYS:
            return base
        first = 0 if attempt else nth - 1
        wrong: set[int] = set()  # replies that were none

        def decide(request: ResponseRequest) -> Turn:
            if first <= request.index < first + times:
                wrong.update(() if request.is_greeting else (request.index,))
                return turn
            return base.turn_for(replace(request, reply_index=request.reply_index - len(wrong)))

        return replace(base, script=decide)

    return Fault(_counted(name, times), _about(factory), script)


def _at(moment: Moment) -> str:
    if moment in _PHASES:
        return f" {_PHASES[moment]}"
    return f" on {moment.type}" if isinstance(moment, On) else f" after {moment.ms:g} ms"


def _counted(name: str, times: int) -> str:
    return name if times == 1 else f"{name} for ever" if times >= ALWAYS else f"{name} x{times}"


def _type_of(code: str) -> str:
    return "server_error" if code == "server_error" else "invalid_request_error"


def _error(code: str) -> Mapping[str, Any]:
    body = {"type": "invalid_request_error", "code": code, "message": "By the script.", "param": None}
    return {"type": "error", "error": {**body, "event_id": None}}


def _as_pcm(event: dict[str, Any]) -> dict[str, Any]:
    session = event["session"]
    audio = {side: {**session["audio"][side], "format": PCM} for side in ("input", "output")}
    return {**event, "session": {**session, "audio": audio}}


CATALOGUE: tuple[Fault, ...] = (
    unreachable(),
    unreachable("dns", ALWAYS),
    connect_hangs(),
    refused(429, "rate_limit_exceeded"),
    refused(500),
    refused(401, "invalid_api_key", ALWAYS),
    closed_at_once(),
    closed_at_once(times=ALWAYS),
    never_ready(),
    wrong_format(),
    speaks_pcm(),
    hears_pcm(),
    dropped(IDLE),
    dropped(CALLER_SPEAKING, 1011, "internal error"),
    dropped(ASSISTANT_SPEAKING),
    expired(ASSISTANT_SPEAKING),
    fails(),
    fails("server_error", times=ALWAYS),
    fails("insufficient_quota"),
    silent(),
    filtered(),
    cut_short(),
    cancelled(),
    strange_status(),
    call_ids_repeat(),
    stuck(),
    done_is_lost(),
    never_created(),
    already_active(),
    cancel_refused(),
    truncate_refused(),
    late_deltas(),
    foreign_deltas(),
    deltas_before_created(),
    created_late(),
    late_transcripts(),
    recoverable_errors(),
    rubbish(),
    endless_speech(),
    untold_speech(),
    unanswered(),
    empty_transcripts(),
    flood(),
    stalled(),
    jittery(),
    upload_blocked(),
)
"""One of each kind, with its default moment."""
