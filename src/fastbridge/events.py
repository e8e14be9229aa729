"""The vocabulary of the log: one function for each macro event, with its fixed fields, in the operators' words.

`docs/logging.md` shows a line of each; one test holds the two together, another makes the product say each of them.
Functions take the call's CallLog first, or the call's sid where there is no call yet. Words that people said, and what
tools were given, are only in a line where `LOG_TRANSCRIPTS` allows it. Nothing here decides anything but how a line
reads.
"""

import functools
import json
import logging
import traceback
from typing import Any

from fastbridge.calllog import CallLog
from fastbridge.logging import clean, event, mask_phone

MAX_WORDS = 200
"""Characters of a turn that a line shows."""


# --- the node ---


def boot(version: str, public_url: str, model: str) -> None:
    """The node is ready for calls."""
    event("BOOT", f"fastbridge {version} is ready", public_url=public_url, model=model, stacklevel=2)


def worker_ended(number: int, exit_code: int) -> None:
    """A worker process ended by itself; another takes its place. exit_code: below 0 a signal's number."""
    what = "a worker ended, and its calls with it"
    event("SERVER_ERROR", what, worker=number, exit_code=exit_code, level=logging.ERROR, stacklevel=2)


def webhook_failed(path: str) -> None:
    """Our own code failed on a webhook: to be called while its exception is being handled."""
    event("SERVER_ERROR", "webhook failed", path=path, level=logging.ERROR, exc_info=True, stacklevel=2)


def task_failed(error: BaseException | None) -> None:
    """A task beside the calls ended in an exception."""
    event("SERVER_ERROR", "a task failed", level=logging.ERROR, exc_info=error or False, stacklevel=2)


def sla(call_sid: str, took_ms: float, limit_ms: int) -> None:
    """Twilio waited too long for its TwiML."""
    text = f"TwiML too slow: {took_ms:.0f}ms > {limit_ms}ms"
    event("SLA", text, call_sid=call_sid, level=logging.WARNING, stacklevel=2)


def call_unbegun(call_sid: str, *, reason: str, why: str, stream_url: str) -> None:
    """A call was let in, and no conversation came of it. why: in words."""
    fields: dict[str, Any] = {"reason": reason, "why": why, "stream_url": stream_url}
    event("CALL_END", "never began", call_sid=call_sid, level=logging.WARNING, stacklevel=2, **fields)


# --- a call begins ---


def call_start(log: CallLog, *, business_id: str, direction: str, mode: str = "simple") -> None:
    """The media stream has started."""
    log("CALL_START", business_id=business_id, direction=direction, mode=mode, depth=1)


def context_loaded(log: CallLog, *, name: str, phone: str) -> None:
    """What is known of the caller was found."""
    shown = name if log.words else f"({len(name)} characters)"
    log("DB", "Customer context loaded:", depth=1, name=shown, phone=mask_phone(phone))


def lookup_late(log: CallLog) -> None:
    """`on_call` has not answered in time: the conversation begins without."""
    log("DB", "the context look-up is late, defaults are used", level=logging.WARNING, depth=1)


def hook_slow(log: CallLog, hook: str) -> None:
    """A hook of the agent's took too long, and was given up."""
    log("SERVER_ERROR", f"{hook} took too long", level=logging.WARNING, depth=1)


def hook_failed(log: CallLog, hook: str, error: BaseException) -> None:
    """A hook of the agent's raised: with the traceback; with what it said only where words may be in the log."""
    _raised(log, f"hook:{hook}", "SERVER_ERROR", hook, error)


def realtime_connected(log: CallLog, elapsed_ms: int) -> None:
    """The model's socket is open. elapsed_ms: since the stream's start."""
    log("REALTIME", f"OpenAI connected in {elapsed_ms}ms", depth=1)


def realtime_lost(log: CallLog, code: str | None, *, tries: int) -> None:
    """The line to the model was lost or not got; another try follows."""
    log("REALTIME", "connection lost", level=logging.WARNING, code=code, tries=tries, depth=1)


def realtime_reconnected(log: CallLog, down_ms: int, *, tries: int, replayed: int) -> None:
    """A lost line is there again, and the model told what was said."""
    text = f"OpenAI reconnected in {down_ms}ms"
    log("REALTIME", text, tries=tries, replayed=replayed, tally="reconnected", depth=1)


def realtime_renewed(log: CallLog, renewals: int) -> None:
    """The call has moved to a new session before the old one's hour was over."""
    log("REALTIME", "session renewed", renewals=renewals, depth=1)


def realtime_error(log: CallLog, error: Exception) -> None:
    """The model refused, failed or left."""
    log("SERVER_ERROR", clean(error, MAX_WORDS), level=logging.ERROR, depth=1)


def realtime_format(log: CallLog, formats: tuple[object, object]) -> None:
    """The model has confirmed a session whose audio is of another kind: nothing passes."""
    given, taken = formats
    text = "session has other audio formats than audio/pcmu"
    log("REALTIME", text, level=logging.WARNING, input=given, output=taken, depth=1)


def realtime_malformed(log: CallLog, kind: str) -> None:
    """An event of the model's lacks what it must have. kind: its type."""
    log("REALTIME", "malformed event", level=logging.WARNING, event=kind, depth=1)


def realtime_rejected(log: CallLog, code: str, param: object) -> None:
    """The model has rejected a `response.create` of ours."""
    log("REALTIME", f"a response was rejected: {clean(code)}", level=logging.WARNING, param=param, depth=1)


def realtime_complains(log: CallLog, code: str, param: object) -> None:
    """The model reports an error that ends nothing."""
    log("REALTIME", f"the model reports {clean(code)}", level=logging.WARNING, param=param, depth=1)


def realtime_expected(log: CallLog, code: str) -> None:
    """The model reports what comes of a race between two machines."""
    log.debug("REALTIME", code, depth=1)


def second_start(log: CallLog) -> None:
    """Twilio has begun a stream that had begun."""
    log("SERVER_ERROR", "a second start on one stream was ignored", level=logging.ERROR, depth=1)


def call_failed(log: CallLog, error: BaseException) -> None:
    """A bug of ours in this call, which goes on: said once with its traceback, then counted, at most every 30 s."""
    log.failure(f"internal:{type(error).__name__}", "SERVER_ERROR", "internal error", error, depth=1)


def dsp_enabled(log: CallLog) -> None:
    """The caller's audio is filtered: said once a call."""
    if log.once.once("dsp_enabled"):
        log("DSP", "enabled: highpass+limiter", depth=1)


def dsp_error(log: CallLog) -> None:
    """The filter was in no state that audio can bring about: it began afresh, and the audio passed as it was."""
    first = "ERROR: the filter began afresh - first occurrence"
    log.failure("dsp", "DSP", "ERROR", False, first=first, depth=1)


def greeting(log: CallLog, greeting_ms: int) -> None:
    """The first frame of the greeting has left. greeting_ms: since the stream's start."""
    log("GREETING", "Playing greeting audio", greeting_ms=greeting_ms, depth=1)


def first_chunk(log: CallLog, size_bytes: int = 160) -> None:
    """The first frame to the caller has left, cut to size: said once a call."""
    if log.once.once("first_chunk"):
        log("AUDIO_OUT_LOOP", f"FIRST_CHUNK bytes={size_bytes}", depth=1)


# --- the conversation ---


def transcript(log: CallLog, *, caller: bool, text: str) -> None:
    """A whole turn of one side."""
    log("TRANSCRIPT", f'{"Customer" if caller else "AI"}: "{_words(log, text)}"', turn=caller, depth=1)


def transcript_delta(log: CallLog, text: str) -> None:
    """A piece of a turn, as it comes: with LOG_TRANSCRIPT_DELTAS only."""
    log("TRANSCRIPT", f'delta: "{_words(log, text)}"', free=True, depth=1)


def response_created(log: CallLog, response_id: str, purpose: str) -> None:
    """The model begins to answer. purpose: turn, greeting, tool_result …."""
    log("RESPONSE_CREATED", response_id=response_id, type=purpose, depth=1)


def response_done(log: CallLog, response_id: str, status: str) -> None:
    """The model has ended an answer."""
    log.debug("RESPONSE_DONE", response_id=response_id, status=status, depth=1)


def tool_call(log: CallLog, tool: str, arguments: str) -> None:
    """The model calls a tool. arguments: its JSON."""
    log("TOOL_CALL", f"{clean(tool)}: {_values(arguments) if log.words else _length(arguments)}", depth=1)


def tool_not_run(log: CallLog, tool: str, why: str) -> None:
    """A tool's call was broken off, or taken back with its response, and is not run. why: in words."""
    log("TOOL_CALL", f"{clean(tool)}: not run", why=why, tally="failed", depth=1)


def tool_result(log: CallLog, tool: str, outcome: str, elapsed_ms: int) -> None:
    """A tool has ended. outcome: ok, error, timeout, unknown."""
    tally = "ok" if outcome == "ok" else "failed"
    log("TOOL_RESULT", f"{clean(tool)}: {outcome}", elapsed_ms=elapsed_ms, tally=tally, depth=1)


def tool_failed(log: CallLog, tool: str, error: BaseException) -> None:
    """A tool raised: with the traceback; with what it said only where words may be in the log."""
    name = clean(tool)
    _raised(log, f"tool:{name}", "TOOL_RESULT", name, error)


def create_appt(log: CallLog, appointment_id: object, start: object) -> None:
    """A tool of yours made an appointment."""
    log("CREATE_APPT", "Appointment created successfully", appointment_id=appointment_id, start=start, depth=1)


# --- playback ---


def barge_in_held(log: CallLog, *, source: str) -> None:
    """A voice over the assistant's: playback is held until it is known what it was."""
    log.debug("BARGE_IN_AUDIO", "User interrupting AI!", source=source, depth=1)


def barge_in(
    log: CallLog,
    *,
    response_id: str | None,
    stream_sid: str,
    cancelled: bool,
    unsent: int,
    unheard: int,
    source: str,
    why: str,
    count: int,
) -> None:
    """The caller interrupted the assistant. unsent, unheard: frames dropped from our ring and from Twilio's buffer.
    count: the call's interruptions so far. One line; in development each step has one, too."""
    cleared = f"Cleared {unsent + unheard} frames from TX queues (realtime={unsent}, tx={unheard}, reason=barge_in)"
    clear = f"Sent Twilio clear event (stream_sid={stream_sid})"
    if log.detailed:
        log.debug("BARGE_IN_AUDIO", f"Locked response state for cancel: {response_id}", depth=1)
        if cancelled:
            log.debug("BARGE-IN", f"Step 2: Sending response.cancel for {response_id}", depth=1)
            log.debug("BARGE-IN", f"response.cancel sent for {response_id}", depth=1)
        log.debug("BARGE-IN", f"Step 3: {clear}", depth=1)
        log.debug("BARGE-IN", cleared, depth=1)
        log.debug("BARGE-IN", "Step 5: Response state cleared", depth=1)
        log.debug("BARGE-IN", f"Event counted: barge_in_events={count}", depth=1)
    log(
        "BARGE-IN",
        f"User interrupting AI! {clear}, {cleared}",
        tally="committed",
        barge_in_events=count,
        response_id=response_id,
        cancel="sent" if cancelled else "not needed",
        source=source,
        why=why,
        depth=1,
    )


def barge_in_false(log: CallLog, *, count: int, held_ms: int, why: str) -> None:
    """It was no interruption: playback goes on where it was held. count: such so far."""
    text = f"False trigger: playback resumed after {held_ms}ms"
    log("BARGE-IN", text, barge_in_false=count, why=why, tally="false", depth=1)


def tx_validation(log: CallLog, number: int, size_bytes: int) -> None:
    """One of the first frames to the caller has the wrong size."""
    log("TX_VALIDATION", f"Frame {number} is {size_bytes} bytes (expected 160)!", level=logging.ERROR, depth=1)


def tx_slow(log: CallLog, message: str, **fields: Any) -> None:
    """Audio does not get away as it should: at most every 5 s."""
    log("TX_SLOW", message, level=logging.WARNING, pause_s=5.0, depth=1, **fields)


def audio_drain(log: CallLog, **fields: Any) -> None:
    """Where the assistant's audio is, with DEBUG_TX: at most every 5 s."""
    if log.rate.every("audio_drain", 5.0):
        log("AUDIO_DRAIN", free=True, depth=1, **fields)


# --- the end ---


def webhook_close(log: CallLog, *, source: str, status: str = "") -> None:
    """A webhook of Twilio's ends the call."""
    more: dict[str, Any] = {"status": status} if status else {}
    log("WEBHOOK_CLOSE", source=source, depth=1, **more)


def hangup(log: CallLog, errand: str, how: str, *, reason: str) -> None:
    """We leave the call, or stay after all. errand: hang_up, transfer, fallback. how: by REST, interrupted …."""
    log("HANGUP", f"{errand} {how}", reason=reason, depth=1)


def transfer_refused(log: CallLog, why: str) -> None:
    """A tool or hook wants the caller connected to somebody to whom that cannot be done."""
    log("HANGUP", "transfer refused", level=logging.WARNING, why=why, depth=1)


def transfer_failed(log: CallLog, error: BaseException) -> None:
    """Passing a caller on failed, or took more than 5 s: with the traceback."""
    log.failure("transfer", "SERVER_ERROR", "the transfer failed", error, depth=1)


def carrier_refused(log: CallLog, problem: str) -> None:
    """Twilio's API has not done what was to be done with the call. problem: its status and code, or what broke."""
    log("SERVER_ERROR", f"Twilio did not update the call: {clean(problem)}", level=logging.ERROR, depth=1)


def time_running_out(log: CallLog) -> None:
    """The call will soon have lasted as long as it may: the caller is told."""
    log("WATCHDOG", "the call's time is running out", depth=1)


def caller_silent(log: CallLog, prompt: int) -> None:
    """Nobody has spoken for a while: the caller is asked. prompt: for the how many-th time."""
    log("WATCHDOG", "the caller is silent", prompt=prompt, depth=1)


def giving_up(log: CallLog, why: str) -> None:
    """The caller does not answer, or cannot be understood: goodbye."""
    log("WATCHDOG", "giving up", why=why, depth=1)


def given_up(log: CallLog, *, step: str, reason: str) -> None:
    """The model has failed this call for good. step: what the caller gets instead."""
    log("HANGUP", "the model has failed this call", step=step, reason=reason, level=logging.WARNING, depth=1)


def filler(log: CallLog, *, cause: str, silent_ms: int) -> None:
    """The caller has waited in silence for long enough and hears something."""
    log("WATCHDOG", "filler", cause=cause, silent_ms=silent_ms, depth=1)


def answer_watchdog(log: CallLog, what: str, count: int) -> None:
    """An answer that did not come as it should. count: how often in this call."""
    log("WATCHDOG", what, count=count, depth=1)


def watchdog(log: CallLog, message: str, **fields: Any) -> None:
    """The call is stuck or dead: at most every 3 s."""
    log("WATCHDOG", message, level=logging.WARNING, pause_s=3.0, depth=1, **fields)


def accounting(log: CallLog, line: str, *, is_error: bool) -> None:
    """A line of the books that every call closes with."""
    log("", line, level=logging.ERROR if is_error else logging.INFO, depth=1)


def call_metrics(log: CallLog, fields: dict[str, Any]) -> None:
    """The call in numbers: see docs/call-record.md."""
    log("CALL_METRICS", depth=1, **fields)


def call_end(log: CallLog, *, duration_ms: int, reason: str) -> None:
    """The call is over; reason: see docs/call-record.md."""
    log("CALL_END", duration=f"{duration_ms // 1000}s", reason=reason, depth=1)


def _raised(log: CallLog, key: str, tag: str, name: str, error: BaseException) -> None:
    """A function of the agent's author's raised; what it says may be what was said to it."""
    if log.words:
        log.failure(key, tag, f"{name} failed", error, depth=2)
        return
    where = traceback.extract_tb(error.__traceback__)[-1:]
    what = type(error).__name__ + (f" in {where[0].name}, line {where[0].lineno}" if where else "")
    silent = _silent_type(type(error).__module__, type(error).__qualname__)().with_traceback(error.__traceback__)
    log.failure(key, tag, f"{name} failed: {what}", silent, depth=2)


@functools.lru_cache(maxsize=256)
def _silent_type(module: str, name: str) -> type[Exception]:
    """An exception of that name which says nothing: for the way an error came, without what it says."""
    return type(name, (Exception,), {"__module__": module})


def _words(log: CallLog, text: str) -> str:
    return clean(text, MAX_WORDS) if log.words else _length(text)


def _length(text: str) -> str:
    return f"({len(text)} characters)"


def _values(arguments: str) -> str:
    """The values of a tool's arguments, as one reads them: `2024-01-25 14:00`."""
    try:
        given = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        given = arguments
    values = given.values() if isinstance(given, dict) else [given]
    return clean(" ".join(str(value) for value in values))
