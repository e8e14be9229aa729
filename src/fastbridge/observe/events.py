"""The vocabulary of the log: one function for each macro event, with its fixed fields, in the operators' words.

`docs/logging.md` shows a line of each; one test holds the two together, another makes the product say each of them.
Functions take the call's CallLog first, or the call's sid where there is no call yet. Words that people said, and what
tools were given, are only in a line where `LOG_TRANSCRIPTS` allows it. Nothing here decides anything but how a line
reads.
"""

import logging
import traceback
from typing import TYPE_CHECKING, Any

from fastbridge.errors import ModelError
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.log_format import clean, mask_phone
from fastbridge.observe.log_policy import event
from fastbridge.observe.wording import given, length, redacted, returned, said, silent

if TYPE_CHECKING:
    from fastbridge.observe.stats import BargeIn

# --- the node ---


def boot(version: str, public_url: str, model: str) -> None:
    """The node is ready for calls."""
    event("BOOT", f"fastbridge {version} is ready", public_url=public_url, model=model, stacklevel=2)


def webhook_failed(path: str) -> None:
    """Our own code failed on a webhook: to be called while its exception is being handled."""
    event("SERVER_ERROR", "webhook failed", path=path, level=logging.ERROR, exc_info=True, stacklevel=2)


def task_failed(error: BaseException | None) -> None:
    """A task beside the calls ended in an exception."""
    event("SERVER_ERROR", "a task failed", level=logging.ERROR, exc_info=error or False, stacklevel=2)


def sla(call_sid: str, took_ms: float, limit_ms: int, *, body_ms: int, lag_ms: int, work_ms: int) -> None:
    """Twilio waited too long for its TwiML: for its own body to arrive, for the loop, for our work."""
    text = f"TwiML too slow: {took_ms:.0f}ms > {limit_ms}ms"
    level = logging.WARNING
    event("SLA", text, call_sid=call_sid, level=level, body_ms=body_ms, lag_ms=lag_ms, work_ms=work_ms, stacklevel=2)


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
    shown = name if log.words else length(name)
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


def settings_refused(log: CallLog, why: str) -> None:
    """The agent that `on_call` made has settings that do not go together, or something that is settled by then: the
    call's stand. why: a sentence."""
    log("SERVER_ERROR", f"the agent's settings are not used: {clean(why)}", level=logging.WARNING, depth=1)


def answered_by(log: CallLog, who: str, *, source: str, at_ms: int, before: str) -> None:
    """Who has answered a call out: human, machine, fax, unknown. source: sound or carrier. before: what was thought."""
    known: dict[str, Any] = {"before": before} if before else {}
    log("AMD", who, source=source, at_ms=at_ms, **known, depth=1)


def machine_beep(log: CallLog, *, hertz: int, ms: int) -> None:
    """A machine's beep has ended."""
    log("AMD", "beep", hertz=hertz, ms=ms, depth=1)


def machine_message(log: CallLog, how: str, *, at_ms: int) -> None:
    """A message to a machine begins."""
    log("AMD", f"message {how}", at_ms=at_ms, depth=1)


def realtime_connected(log: CallLog, elapsed_ms: int) -> None:
    """The model's socket is open. elapsed_ms: since the stream's start."""
    log("REALTIME", f"OpenAI connected in {elapsed_ms}ms", depth=1)


def realtime_lost(log: CallLog, error: ModelError, *, tries: int) -> None:
    """The line to the model was lost or not got, and why; another try follows."""
    text = f"connection lost: {_cause(log, error)}"
    same = _same("connection_lost", error)
    log("REALTIME", text, level=logging.WARNING, **_names(error), tries=tries, **same, depth=1)


def realtime_reconnected(log: CallLog, down_ms: int, *, tries: int, replayed: int) -> None:
    """A lost line is there again, and the model told what was said."""
    text = f"OpenAI reconnected in {down_ms}ms"
    log("REALTIME", text, tries=tries, replayed=replayed, tally="reconnected", depth=1)


def realtime_renewed(log: CallLog, renewals: int) -> None:
    """The call has moved to a new session before the old one's hour was over."""
    log("REALTIME", "session renewed", renewals=renewals, depth=1)


def renewal_failed(log: CallLog, error: ModelError, failures: int) -> None:
    """A session's successor could not be made: tried again in 30 s, and the call goes on."""
    text = f"no successor for the session: {_cause(log, error)}"
    more = {**_names(error), "renewal_failures": failures, **_same("no_successor", error)}
    log("REALTIME", text, level=logging.WARNING, depth=1, **more)


def realtime_error(log: CallLog, error: ModelError, **fields: Any) -> None:
    """The model refused, failed or left."""
    same = _same(error.message.partition(":")[0].replace(" ", "_").lower(), error)
    log("SERVER_ERROR", _cause(log, error), level=logging.ERROR, **same, depth=1, **_names(error), **fields)


def realtime_format(log: CallLog, formats: tuple[object, object]) -> None:
    """The model has confirmed a session whose audio is of another kind: nothing passes."""
    given_format, taken_format = formats
    text = "session has other audio formats than audio/pcmu"
    log("REALTIME", text, level=logging.WARNING, input=given_format, output=taken_format, depth=1)


def realtime_malformed(log: CallLog, kind: str, cause: str) -> None:
    """A message of the model's lacks what it must have. kind: its type, if it has one."""
    text = f"malformed {clean(kind) or 'message'}: {redacted(cause, log.mask)}"
    log("REALTIME", text, level=logging.WARNING, tally="malformed", depth=1)


def realtime_complains(log: CallLog, error: ModelError) -> None:
    """The model reports an error that ends nothing."""
    same = _same("errors", error)
    log("REALTIME", _cause(log, error), level=logging.WARNING, **_names(error), **same, depth=1)


def realtime_left_out(log: CallLog, error: ModelError, setting: str) -> None:
    """A service does not take one of the session's settings: the session goes on without."""
    text = f"session.{setting} is left out, {_cause(log, error)}"
    log("REALTIME", text, level=logging.WARNING, **_names(error), depth=1)


def realtime_expected(log: CallLog, error: ModelError) -> None:
    """The model reports what comes of a race between two machines."""
    log.debug("REALTIME", _cause(log, error), **_names(error), depth=1)


def carrier_malformed(log: CallLog, count: int) -> None:
    """Twilio sent what is no message. count: in this call; after three of them it is ended."""
    log("SERVER_ERROR", "what Twilio sent is no message", level=logging.WARNING, count=count, depth=1)


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


def first_chunk(log: CallLog, size_bytes: int) -> None:
    """The first frame to the caller has left. size_bytes: of its audio, as it was sent. Said once a call."""
    if log.once.once("first_chunk"):
        log("AUDIO_OUT_LOOP", f"FIRST_CHUNK bytes={size_bytes}", depth=1)


# --- the conversation ---


def transcript(log: CallLog, *, caller: bool, text: str, cut: bool = False) -> None:
    """A turn of one side, once it is known; of the assistant what was heard. cut: it was interrupted there."""
    words = said(text, words=log.words, hide=lambda text: log.dialogue.turn(caller, text))
    if cut and log.words:
        words = words.removesuffix("…") + "…"
    who = "Customer" if caller else "AI"
    log("TRANSCRIPT", f'{who}: "{words}"{" (interrupted)" if cut else ""}', turn=caller, depth=1)


def transcript_delta(log: CallLog, text: str) -> None:
    """A piece of a turn, as it comes: with LOG_TRANSCRIPT_DELTAS only."""
    log("TRANSCRIPT", f'delta: "{said(text, words=log.words, hide=log.mask.piece)}"', free=True, depth=1)


def transcription_failed(log: CallLog, error: ModelError) -> None:
    """The caller said something that nobody could write down: said once a call."""
    text = f"Customer: ({_cause(log, error)})"
    log("TRANSCRIPT", text, level=logging.WARNING, **_names(error), depth=1)


def words_lost(log: CallLog) -> None:
    """What the caller said was lost with the connection: said once a call."""
    log("TRANSCRIPT", "Customer: (lost with the connection)", level=logging.WARNING, depth=1)


def response_created(log: CallLog, response_id: str, purpose: str) -> None:
    """The model begins to answer. purpose: turn, greeting, tool_result …."""
    log("RESPONSE_CREATED", response_id=response_id, type=purpose, depth=1)


def response_done(log: CallLog, response_id: str, status: str) -> None:
    """The model has ended an answer."""
    log.debug("RESPONSE_DONE", response_id=response_id, status=status, depth=1)


def tool_call(log: CallLog, tool: str, arguments: str) -> None:
    """The model calls a tool. arguments: its JSON."""
    log("TOOL_CALL", f"{clean(tool)}: {given(arguments, words=log.words, mask=log.mask)}", depth=1)


def tool_not_run(log: CallLog, tool: str, why: str) -> None:
    """A tool's call was broken off, or taken back with its response, and is not run. why: in words."""
    log("TOOL_CALL", f"{clean(tool)}: not run", why=why, tally="failed", depth=1)


def tool_result(log: CallLog, tool: str, outcome: str, elapsed_ms: int, output: str) -> None:
    """A tool has ended, and this came back. outcome: ok, error (which has an ERROR of its own); timeout, unknown,
    refused: a warning."""
    text, tally = returned(output, words=log.words, mask=log.mask), "ok" if outcome == "ok" else "failed"
    level = logging.WARNING if outcome in ("timeout", "unknown", "refused") else logging.INFO
    same: dict[str, Any] = {"tally": tally, "fingerprint": f"tool {outcome} {clean(tool)}", "depth": 1}
    log("TOOL_RESULT", text, tool=tool, outcome=outcome, elapsed_ms=elapsed_ms, level=level, **same)


def tool_abandoned(log: CallLog, tool: str, elapsed_ms: int) -> None:
    """A tool was at work when its call ended. A plain function works on."""
    text = "abandoned: the call is over"
    log("TOOL_RESULT", text, tool=tool, elapsed_ms=elapsed_ms, level=logging.WARNING, depth=1)


def tool_done_late(log: CallLog, tool: str, outcome: str, elapsed_ms: int, output: str) -> None:
    """A tool has ended for which nobody waited any more: it took too long, or the call was over. outcome: ok, error."""
    text = f"done late: {returned(output, words=log.words, mask=log.mask)}"
    log("TOOL_RESULT", text, tool=tool, outcome=outcome, elapsed_ms=elapsed_ms, level=logging.WARNING, depth=1)


def tool_failed(log: CallLog, tool: str, error: BaseException) -> None:
    """A tool raised: with the traceback; with what it said only where words may be in the log."""
    name = clean(tool)
    _raised(log, f"tool:{name}", "TOOL_RESULT", name, error)


def create_appt(log: CallLog, appointment_id: object, start: object) -> None:
    """A tool of yours made an appointment."""
    log("CREATE_APPT", "Appointment created successfully", appointment_id=appointment_id, start=start, depth=1)


# --- playback ---


def barge_in_held(log: CallLog, *, source: str, response_id: str | None, stream_sid: str, at_ms: int) -> None:
    """A voice over the assistant's: Twilio is cleared, and playback held until it is known what the voice was."""
    log.debug("BARGE_IN_AUDIO", "User interrupting AI!", source=source, at_ms=at_ms, depth=1)
    locked = response_id or "nothing is being generated"
    log.debug("BARGE_IN_AUDIO", f"Locked response state for cancel: {locked}", at_ms=at_ms, depth=1)
    log.debug("BARGE-IN", f"Step 3: {_clear_sent(stream_sid)}", at_ms=at_ms, depth=1)


def barge_in_cancel(log: CallLog, *, response_id: str | None, at_ms: int) -> None:
    """It is an interruption, and the model is told to stop: not where it has ended the response already."""
    log.debug("BARGE-IN", f"Step 2: Sending response.cancel for {response_id}", at_ms=at_ms, depth=1)
    log.debug("BARGE-IN", f"response.cancel sent for {response_id}", at_ms=at_ms, depth=1)


def barge_in_cleared(log: CallLog, *, unsent: int, unheard: int, at_ms: int) -> None:
    """What nobody will hear is gone. unsent, unheard: frames dropped from our ring and from Twilio's buffer."""
    log.debug("BARGE-IN", _cleared(unsent, unheard), at_ms=at_ms, depth=1)


def barge_in(log: CallLog, what: "BargeIn", *, stream_sid: str, cancel: str, count: int, at_ms: int) -> None:
    """The caller interrupted the assistant. One line; in development each step has one, too, as it is done.
    cancel: whether one was sent. count: the call's interruptions so far."""
    log.debug("BARGE-IN", "Step 5: Response state cleared", at_ms=at_ms, depth=1)
    log.debug("BARGE-IN", f"Event counted: barge_in_events={count}", at_ms=at_ms, depth=1)
    response: dict[str, Any] = {"response_id": what.response_id} if what.response_id is not None else {}
    log(
        "BARGE-IN",
        f"User interrupting AI! {_clear_sent(stream_sid)}, {_cleared(what.frames_unsent, what.frames_unheard)}",
        tally="committed",
        barge_in_events=count,
        **response,
        cancel=cancel,
        source=what.source,
        why=what.why,
        at_ms=what.at_ms,
        held_ms=what.held_ms,
        depth=1,
    )


def _clear_sent(stream_sid: str) -> str:
    return f"Sent Twilio clear event (stream_sid={stream_sid})"


def _cleared(unsent: int, unheard: int) -> str:
    return f"Cleared {unsent + unheard} frames from TX queues (realtime={unsent}, tx={unheard}, reason=barge_in)"


def barge_in_false(log: CallLog, *, count: int, held_ms: int, why: str) -> None:
    """It was no interruption: playback goes on where it was held. count: such so far."""
    text = f"False trigger: playback resumed after {held_ms}ms"
    log("BARGE-IN", text, barge_in_false=count, why=why, tally="false", depth=1)


def tx_validation(log: CallLog, number: int, size_bytes: int) -> None:
    """One of the first frames to the caller has the wrong size."""
    log("TX_VALIDATION", f"Frame {number} is {size_bytes} bytes (expected 160)!", level=logging.ERROR, depth=1)


def tx_stalled(log: CallLog, untaken_bytes: int) -> None:
    """Twilio takes no audio: what is more than 2 s waits in the ring."""
    log("TX_SLOW", "Twilio takes no audio: pacing waits", level=logging.WARNING, untaken_bytes=untaken_bytes, depth=1)


def tx_slow(log: CallLog, message: str, **fields: Any) -> None:
    """Audio does not get away as it should: at most every 5 s."""
    log("TX_SLOW", message, level=logging.WARNING, pause_s=5.0, depth=1, **fields)


def audio_drain(log: CallLog, **fields: Any) -> None:
    """Where the assistant's audio is, with DEBUG_TX: at most every 5 s."""
    if log.rate.every("audio_drain", 5.0):
        log("AUDIO_DRAIN", free=True, depth=1, **fields)


# --- recordings ---


def recording_began(log: CallLog, *, by: str, name: str) -> None:
    """The call is recorded from now on. by: node, carrier. name: the file's, or the carrier's of it."""
    log("RECORDING_SERVICE", f"recording by the {by}", recording=name, depth=1)


def not_recorded(log: CallLog, why: str) -> None:
    """The call should be recorded, and is not, or that is not known. why: in words."""
    text = f"the call is not recorded: {clean(why)}"
    log("RECORDING_SERVICE", text, level=logging.WARNING, depth=1)


def recording_left_paused(log: CallLog) -> None:
    """What was private is over, and the carrier does not go on recording."""
    text = "the recording could not be resumed: the rest of the call may be missing"
    log("RECORDING_SERVICE", text, level=logging.WARNING, depth=1)


def recording_not_stopped(log: CallLog) -> None:
    """The caller was transferred, and the recording was to end with that."""
    text = "the recording could not be stopped: it goes on after the transfer"
    log("RECORDING_SERVICE", text, level=logging.ERROR, depth=1)


def consent_given(log: CallLog) -> None:
    """The caller agrees to be recorded."""
    log("RECORDING_SERVICE", "the caller agrees to be recorded", depth=1)


def private_began(log: CallLog) -> None:
    """What the caller says and types is for the agent's code alone."""
    log("PRIVATE", "begins", depth=1)


def private_over(log: CallLog, private_ms: int) -> None:
    """It is not any more. private_ms: how long it was."""
    log("PRIVATE", "over", private_ms=private_ms, depth=1)


def private_forgotten(log: CallLog) -> None:
    """It has been private for as long as it may be, and is not any more."""
    log("PRIVATE", "it was not ended in time, and is over", level=logging.WARNING, depth=1)


def not_private(log: CallLog, why: str) -> None:
    """It cannot be private: the agent's code is told so. why: in words."""
    log("PRIVATE", "not private", why=why, level=logging.WARNING, depth=1)


# --- the end ---


def webhook_close(log: CallLog, *, source: str, status: str = "") -> None:
    """A webhook of Twilio's ends the call."""
    more: dict[str, Any] = {"status": status} if status else {}
    log("WEBHOOK_CLOSE", source=source, depth=1, **more)


def hangup(log: CallLog, errand: str, how: str, *, reason: str, to: str = "") -> None:
    """We leave the call, or stay after all. errand: hang_up, transfer, fallback. how: by REST, interrupted …. to: the
    name of whoever gets the call."""
    more: dict[str, Any] = {"to": to} if to else {}
    log("HANGUP", f"{errand} {how}", reason=reason, **more, depth=1)


def transfer_refused(log: CallLog, why: str) -> None:
    """A tool or hook wants the caller connected to somebody to whom that cannot be done."""
    log("HANGUP", "transfer refused", level=logging.WARNING, why=why, depth=1)


def transfer_begins(log: CallLog, to: str) -> None:
    """Somebody is called for the caller, who waits. to: the name of whom."""
    log("TRANSFER", "calling", to=to, depth=1)


def transfer_ends(log: CallLog, outcome: str, to: str, took_ms: int) -> None:
    """What that came to: connected, declined, busy, no_answer, machine, failed, withdrawn, caller_gone, lost."""
    log("TRANSFER", outcome, to=to, took_ms=took_ms, depth=1)


def transfer_failed(log: CallLog, error: BaseException) -> None:
    """Passing a caller on failed, or took more than 5 s: with the traceback."""
    log.failure("transfer", "SERVER_ERROR", "the transfer failed", error, depth=1)


def carrier_refused(log: CallLog, problem: str) -> None:
    """Twilio's API has not done what was to be done with the call. problem: its status and code, or what broke."""
    log("SERVER_ERROR", f"Twilio did not update the call: {clean(problem)}", level=logging.ERROR, depth=1)


def time_running_out(log: CallLog) -> None:
    """The call will soon have lasted as long as it may: the caller is told."""
    log("WATCHDOG", "the call's time is running out", depth=1)


def budget_near(log: CallLog, *, whose: str, **sums: Any) -> None:
    """Most of what may be spent is spent: the model is told to be brief. whose: `call`, `business` or `day`. sums:
    spent, and what the next answer's reading, the goodbye and other calls are reckoned at; most; and their unit."""
    log("BUDGET", "nearly spent", whose=whose, depth=1, **sums)


def budget_model(log: CallLog, model: str) -> None:
    """Most of it is spent: the call has moved to a cheaper model."""
    log("BUDGET", "cheaper model", model=model)


def budget_spent(log: CallLog, *, whose: str, **sums: Any) -> None:
    """What may be spent is spent: the call ends with a goodbye. sums: as there."""
    log("BUDGET", "spent", whose=whose, depth=1, reserved=True, **sums)


def caller_silent(log: CallLog, prompt: int) -> None:
    """Nobody has spoken for a while: the caller is asked. prompt: for the how many-th time."""
    log("WATCHDOG", "the caller is silent", prompt=prompt, depth=1)


def model_asks(log: CallLog) -> None:
    """Nobody has spoken for a while: the model asks by itself, for `vad_idle_ms` says so."""
    log("WATCHDOG", "the caller is silent: the model asks", depth=1)


def giving_up(log: CallLog, why: str) -> None:
    """The caller does not answer, or cannot be understood: goodbye."""
    log("WATCHDOG", "giving up", why=why, depth=1)


def given_up(log: CallLog, *, step: str, reason: str, error: ModelError | None = None) -> None:
    """The model has failed this call for good. step: what the caller gets instead."""
    text, names = "the model has failed this call", {}
    if error is not None:
        text, names = f"{text}: {_cause(log, error)}", _names(error)
    log("HANGUP", text, **names, step=step, reason=reason, level=logging.WARNING, depth=1)


def filler(log: CallLog, *, cause: str, silent_ms: int) -> None:
    """The caller has waited in silence for long enough and hears something."""
    log("WATCHDOG", "filler", cause=cause, silent_ms=silent_ms, depth=1)


def answer_watchdog(log: CallLog, what: str, count: int) -> None:
    """An answer that did not come as it should. count: how often in this call."""
    log("WATCHDOG", what, count=count, depth=1)


def safety_fuse(log: CallLog, fuses: dict[str, Any]) -> None:
    """A state of the node's own has outlived its deadline: a bug. fuses: how often so far, by whose state."""
    log("SAFETY_FUSE", "a state outlived its deadline", level=logging.ERROR, **fuses, depth=1)


def watchdog(log: CallLog, message: str, **fields: Any) -> None:
    """The call is stuck or dead: at most every 3 s."""
    log("WATCHDOG", message, level=logging.WARNING, pause_s=3.0, depth=1, **fields)


def accounting(log: CallLog, line: str, *, is_error: bool) -> None:
    """A line of the books that every call closes with."""
    log("", line, level=logging.ERROR if is_error else logging.INFO, depth=1)


def call_metrics(log: CallLog, fields: dict[str, Any]) -> None:
    """The call in numbers: see docs/call-record.md."""
    log("CALL_METRICS", depth=1, **fields)


def call_end(log: CallLog, *, duration_ms: int, reason: str, to: str | None = None) -> None:
    """The call is over; reason: see docs/call-record.md. to: the name of whoever has it now."""
    more: dict[str, Any] = {} if to is None else {"to": to}
    log("CALL_END", duration=f"{duration_ms // 1000}s", reason=reason, **more, depth=1)


def _raised(log: CallLog, key: str, tag: str, name: str, error: BaseException) -> None:
    """A function of the agent's author's raised; what it says may be what was said to it."""
    if log.words:
        log.failure(key, tag, f"{name} failed", error, depth=2)
        return
    where = traceback.extract_tb(error.__traceback__)[-1:]
    what = type(error).__name__ + (f" in {where[0].name}, line {where[0].lineno}" if where else "")
    log.failure(key, tag, f"{name} failed: {what}", silent(error), depth=2)


def _cause(log: CallLog, error: ModelError) -> str:
    """Our own words for it, and the model's, which may quote the conversation."""
    theirs = error.words if log.words or not error.words else length(error.words)
    return redacted(": ".join(part for part in (error.message, theirs) if part), log.mask).rstrip(" .")


def _names(error: ModelError) -> dict[str, Any]:
    """What an error is called, by whoever reported it."""
    names = {"code": error.code, "type": error.kind, "param": error.param}
    return {name: value for name, value in names.items() if value}


def _same(tally: str, error: ModelError) -> dict[str, Any]:
    """What a sum calls it; and what is the same error again, whatever ids its words have: what goes by one code."""
    return {"tally": tally, "fingerprint": f"{tally} {error.code} {error.kind} {error.param}" if error.code else ""}
