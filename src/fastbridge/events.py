"""The vocabulary of the log: one function for each macro event, with its fixed fields, in the operators' words.

`docs/logging.md` shows a line of each; a test holds the two together. Functions take the call's CallLog first, or the
call's sid where the call itself may not be at hand. Words that people said, and what tools were given, are only in a
line where `LOG_TRANSCRIPTS` allows it. Nothing here decides anything but how a line reads.
"""

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


def webhook_close(call_sid: str, *, source: str, status: str = "") -> None:
    """A webhook of Twilio's ends the call."""
    more: dict[str, Any] = {"status": status} if status else {}
    event("WEBHOOK_CLOSE", call_sid=call_sid, stacklevel=2, source=source, **more)


def recording_cache_miss(call_sid: str) -> None:
    """A recording was asked for that is not here yet: expected the first time."""
    text = "Cache miss - downloading from Twilio (async download in progress, client may need to retry)"
    event("RECORDING_SERVICE", text, call_sid=call_sid, stacklevel=2)


def call_unbegun(call_sid: str, *, reason: str, why: str, stream_url: str) -> None:
    """A call was let in, and no conversation came of it. why: in words."""
    fields = {"reason": reason, "why": why, "stream_url": stream_url}
    event("CALL_END", "never began", call_sid=call_sid, level=logging.WARNING, stacklevel=2, **fields)


# --- a call begins ---


def call_start(log: CallLog, *, business_id: str, direction: str, mode: str = "simple") -> None:
    """The media stream has started."""
    log("CALL_START", business_id=business_id, direction=direction, mode=mode, depth=1)


def context_loaded(log: CallLog, *, name: str, phone: str) -> None:
    """What is known of the caller was found."""
    shown = name if log.words else f"({len(name)} characters)"
    log("DB", "Customer context loaded:", depth=1, name=shown, phone=mask_phone(phone))


def realtime_connected(log: CallLog, elapsed_ms: int) -> None:
    """The model's socket is open. elapsed_ms: since the stream's start."""
    log("REALTIME", f"OpenAI connected in {elapsed_ms}ms", depth=1)


def realtime_lost(log: CallLog, code: str | None, *, tries: int) -> None:
    """The line to the model was lost or not got; another try follows."""
    log("REALTIME", "connection lost", level=logging.WARNING, code=code, tries=tries, depth=1)


def realtime_reconnected(log: CallLog, down_ms: int, *, tries: int, replayed: int) -> None:
    """A lost line is there again, and the model told what was said."""
    log("REALTIME", f"OpenAI reconnected in {down_ms}ms", tries=tries, replayed=replayed, depth=1)


def realtime_renewed(log: CallLog, renewals: int) -> None:
    """The call has moved to a new session before the old one's hour was over."""
    log("REALTIME", "session renewed", renewals=renewals, depth=1)


def realtime_error(log: CallLog, error: Exception) -> None:
    """The model refused, failed or left."""
    log("SERVER_ERROR", clean(error, MAX_WORDS), level=logging.ERROR, depth=1)


def call_failed(log: CallLog, error: BaseException) -> None:
    """A bug of ours in this call, which goes on: said once with its traceback, then counted every 30 s."""
    log.failure(f"internal:{type(error).__name__}", "SERVER_ERROR", "internal error", error, depth=1)


def dsp_enabled(log: CallLog) -> None:
    """The caller's audio is filtered: said once a call."""
    if log.once.once("dsp_enabled"):
        log("DSP", "enabled: highpass+limiter", depth=1)


def dsp_error(log: CallLog, error: BaseException) -> None:
    """The filter failed and the audio passed as it was: said once with its traceback, then counted every 30 s."""
    log.failure("dsp", "DSP", "ERROR", error, first=f"ERROR: {clean(error)} - first occurrence", depth=1)


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
    """The model begins to answer. purpose: turn, greeting, tool_result …"""
    log("RESPONSE_CREATED", response_id=response_id, type=purpose, depth=1)


def response_done(log: CallLog, response_id: str, status: str) -> None:
    """The model has ended an answer."""
    log.debug("RESPONSE_DONE", response_id=response_id, status=status, depth=1)


def tool_call(log: CallLog, tool: str, arguments: str) -> None:
    """The model calls a tool. arguments: its JSON."""
    log("TOOL_CALL", f"{clean(tool)}: {_values(arguments) if log.words else _length(arguments)}", depth=1)


def tool_result(log: CallLog, tool: str, outcome: str, elapsed_ms: int) -> None:
    """A tool has ended. outcome: ok, error, timeout, unknown."""
    log("TOOL_RESULT", f"{clean(tool)}: {outcome}", elapsed_ms=elapsed_ms, depth=1)


def tool_failed(log: CallLog, tool: str, error: BaseException) -> None:
    """A tool raised: with the traceback; with what it said only where words may be in the log."""
    name = clean(tool)
    if log.words:
        log.failure(f"tool:{name}", "TOOL_RESULT", f"{name} failed", error, depth=1)
        return
    where = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" in {where[0].name}, line {where[0].lineno}" if where else ""
    log.failure(f"tool:{name}", "TOOL_RESULT", f"{name} failed: {type(error).__name__}{place}", False, depth=1)


def create_appt(log: CallLog, appointment_id: str, start: str) -> None:
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
    log("BARGE-IN", text, barge_in_false=count, why=why, depth=1)


def tx_validation(log: CallLog, number: int, size_bytes: int) -> None:
    """One of the first frames to the caller has the wrong size."""
    log("TX_VALIDATION", f"Frame {number} is {size_bytes} bytes (expected 160)!", level=logging.ERROR, depth=1)


def tx_slow(log: CallLog, message: str, **fields: Any) -> None:
    """Audio does not get away as it should: at most every 5 s."""
    if log.rate.every("tx_slow", 5.0):
        log("TX_SLOW", message, level=logging.WARNING, depth=1, **fields)


def audio_drain(log: CallLog, **fields: Any) -> None:
    """Where the assistant's audio is, with DEBUG_TX: at most every 5 s."""
    if log.rate.every("audio_drain", 5.0):
        log("AUDIO_DRAIN", free=log.settings.debug_tx, depth=1, **fields)


# --- the end ---


def hangup(log: CallLog, reason: str) -> None:
    """We end the call."""
    log("HANGUP", reason=reason, depth=1)


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
    if log.rate.every("watchdog", 3.0):
        log("WATCHDOG", message, level=logging.WARNING, depth=1, **fields)


def accounting(log: CallLog, line: str, *, is_error: bool) -> None:
    """A line of the books that every call closes with."""
    log("", line, level=logging.ERROR if is_error else logging.INFO, depth=1)


def call_metrics(log: CallLog, fields: dict[str, Any]) -> None:
    """The call in numbers: see docs/call-record.md."""
    log("CALL_METRICS", depth=1, **fields)


def call_end(log: CallLog, *, duration_ms: int, reason: str) -> None:
    """The call is over; reason: see docs/call-record.md."""
    log("CALL_END", duration=f"{duration_ms // 1000}s", reason=reason, depth=1)


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
