"""The vocabulary of the log beside that of calls: what an operator must know of the node, its port and its machine.

As in `events`: a function a line, and `docs/logging.md` shows it.
"""

import logging
from typing import Any

from fastbridge.observe.log_policy import event


def _warn(text: str, **fields: Any) -> None:
    event("NODE", text, level=logging.WARNING, stacklevel=3, **fields)


def crowded(what: str, *, reason: str, more: int, connections: int, address: str) -> None:
    """There are too many connections. what: became of one; more: that many since this was said last."""
    text = f"too many connections: {what}"
    _warn(text, reason=reason, more=more, connections=connections, address=address)


def no_http(what: str, *, more: int, address: str) -> None:
    """What came on the public port is no HTTP, or none that is spoken here. more: since this was said last."""
    _warn(f"a request was refused: {what}", more=more, address=address)


def stream_refused(why: str, *, more: int, address: str) -> None:
    """A stream's handshake brought a token that is worth nothing. why: in words; more: since this was said last."""
    _warn(f"a media stream was refused: {why}", more=more, address=address)


def upgrade_dropped(missing: str, *, admitted: str, more: int, address: str) -> None:
    """A stream's address was asked for without an upgrade. admitted: yes, if its token is that of a call let in."""
    text = "a stream came as a plain request: a proxy has dropped Upgrade"
    _warn(text, missing=missing, admitted=admitted, more=more, address=address)


def business_unknown(business_id: str, *, more: int) -> None:
    """A webhook's URL names a business that the agent does not know, or that cannot be one's name."""
    _warn("no such business: the agent answers as for any", business_id=business_id, more=more)


def too_few_descriptors(calls: int, *, needed: int, limit: int) -> None:
    """The limit of open files is below what the configured calls need."""
    text = (
        f"{calls} calls may need {needed} file descriptors: raise the limit (ulimit -n) or lower FASTBRIDGE_MAX_CALLS"
    )
    _warn(text, limit=limit)


def advice(sentence: str) -> None:
    """Something works that is hardly meant so: a setting that is none, a tool without a docstring."""
    event("BOOT", sentence, level=logging.WARNING, stacklevel=2)


def unsigned(host: str, port: int) -> None:
    """There is no auth token, so that nobody has to sign: for development."""
    _warn("signatures are not checked: whoever reaches this port can open calls", host=host, port=port)


def tunnel_ended(program: str, url: str) -> None:
    """The tunnel has ended by itself: nobody reaches this node any more."""
    event("NODE", f"{program} has ended: no call comes in any more", public_url=url, level=logging.ERROR, stacklevel=2)


def standard_descriptors(numbers: str) -> None:
    """Standard input, output or error were closed when the process began."""
    _warn("file descriptors 0 to 2 should be open: these were not, and are /dev/null now", closed=numbers)


def worker_ended(number: int, exit_code: int) -> None:
    """A worker process ended by itself; another takes its place. exit_code: below 0 a signal's number."""
    what = "a worker ended, and its calls with it"
    event("SERVER_ERROR", what, worker=number, exit_code=exit_code, level=logging.ERROR, stacklevel=2)


def worker_ready(number: int) -> None:
    """A worker process takes calls."""
    event("BOOT", "a worker is ready", worker=number, stacklevel=2)


def draining(calls: int, *, at_most_seconds: float) -> None:
    """The node takes no new calls, and ends when its last one has."""
    event("NODE", "no new calls: it ends with the last", calls=calls, at_most_seconds=at_most_seconds, stacklevel=2)


def calls_cut(calls: int) -> None:
    """The node does not wait any longer for the end of its calls."""
    _warn("calls are cut off: the node ends", calls=calls)


def worker_silent(number: int) -> None:
    """A worker does not answer: it gets no new calls until it does."""
    _warn("a worker does not answer: new calls go to the others", worker=number)


def outbound_placed(call_sid: str, outbound_id: str) -> None:
    """The carrier has a call of ours."""
    event("OUTBOUND", "placed", outbound_id=outbound_id, call_sid=call_sid, stacklevel=2)


def outbound_uncertain(outbound_id: str, why: str) -> None:
    """The carrier's answer was lost: the call may have been placed, and is looked for."""
    text = "it is not known whether the call was placed"
    event("OUTBOUND", text, why=why, outbound_id=outbound_id, level=logging.WARNING, stacklevel=2)


def outbound_ended(call_sid: str | None, outbound_id: str, *, outcome: str, reason: str | None) -> None:
    """A call of ours is over, and what came of it. reason: in words, where it failed."""
    level = logging.WARNING if outcome in ("failed", "node_lost") else logging.INFO
    more: dict[str, Any] = {"reason": reason} if reason is not None else {}
    if call_sid is not None:
        more["call_sid"] = call_sid
    event("OUTBOUND", "ended", outcome=outcome, outbound_id=outbound_id, **more, level=level, stacklevel=2)


def outbound_unswept(error: BaseException) -> None:
    """Calls of ours of which nothing is heard could not be looked after: tried again in 5 s."""
    text = f"calls out cannot be looked after: {type(error).__name__}"
    event("OUTBOUND", text, level=logging.ERROR, stacklevel=2)


def worker_started(queues: str, *, jobs: str, pid: int) -> None:
    """The worker does jobs from now on."""
    event("WORKER", "Worker started", queues=queues, jobs=jobs, pid=pid, stacklevel=2)


def job_enqueued(job: str, call_sid: str) -> None:
    """A job for a call that is over is in the queue."""
    event("WORKER", "Job enqueued", job=job, call_sid=call_sid, stacklevel=2)


def job_completed(job: str, call_sid: str, *, duration_ms: int) -> None:
    """A job is done."""
    event("WORKER", "Job completed", job=job, duration_ms=duration_ms, call_sid=call_sid, stacklevel=2)


def job_failed(job: str, call_sid: str, error: BaseException, *, attempt: int, tries: int, words: bool) -> None:
    """A job raised: with the traceback where words may be in the log. It is tried again, `tries` times at most."""
    fields: dict[str, Any] = {"job": job, "attempt": attempt, "tries": tries, "call_sid": call_sid}
    if words:
        event("WORKER", "Job failed", level=logging.ERROR, exc_info=error, stacklevel=2, **fields)
    else:
        text = f"Job failed: {type(error).__name__}"
        event("WORKER", text, level=logging.ERROR, stacklevel=2, **fields)


def job_without_record(job: str, call_sid: str) -> None:
    """The call's record is not there any more: nothing can be done for it."""
    _job_warning("Job dropped: its call's record is gone", job=job, call_sid=call_sid)


def job_unknown(job: str) -> None:
    """Such jobs wait, and this worker's agent has none of that name."""
    _job_warning("jobs wait that this agent does not have: start the worker with the agent that has them", job=job)


def outbox_away(error: BaseException) -> None:
    """The database of the worker does not answer: tried again, said at most every 30 s."""
    _job_warning(f"the database does not answer: {type(error).__name__}")


def _job_warning(text: str, **fields: Any) -> None:
    event("WORKER", text, level=logging.WARNING, stacklevel=3, **fields)


def spending_unknown(error: Exception) -> None:
    """What other processes have spent today cannot be read: this one counts its own calls, and what it knew."""
    text = f"what was spent today cannot be read from the records: {type(error).__name__}"
    event("NODE", text, level=logging.ERROR, stacklevel=2)


def recording_unwritten(why: str) -> None:
    """A recording of the node's own could not be written, and its call goes on without. why: the system's words."""
    text = f"a recording could not be written to FASTBRIDGE_RECORDINGS_DIR: {why}"
    event("RECORDING_SERVICE", text, level=logging.ERROR, stacklevel=2)


def recordings_mended(count: int) -> None:
    """Recordings that a process which has died left unfinished."""
    event("RECORDING_SERVICE", f"{count} recordings that were left unfinished are finished", stacklevel=2)


def recording_missed(recording_sid: str, call_sid: str) -> None:
    """Somebody wants a recording that is not in our store: its job was put."""
    text = "Cache miss - downloading from Twilio"
    event("RECORDING_SERVICE", text, recording_sid=recording_sid, call_sid=call_sid, stacklevel=2)


def recording_fetched(recording_sid: str, call_sid: str, *, took_ms: int, size_bytes: int) -> None:
    """A recording is in our store."""
    more = {"took_ms": took_ms, "size_bytes": size_bytes}
    _recording(logging.INFO, "Download complete", call_sid, recording_sid=recording_sid, **more)


def recording_not_fetched(recording_sid: str, call_sid: str, problem: str, *, attempt: int, tries: int) -> None:
    """A try to fetch a recording has failed; there are others, ever later, for three days."""
    fields: dict[str, Any] = {"recording_sid": recording_sid, "attempt": attempt, "tries": tries}
    _recording(logging.WARNING, f"Not downloaded: {problem}", call_sid, **fields)


def recording_lost(recording_sid: str, call_sid: str, problem: str) -> None:
    """A recording could not be had, and is not tried any more until somebody asks for it."""
    _recording(logging.ERROR, f"Given up: {problem}", call_sid, recording_sid=recording_sid)


def recording_deleted(recording_sid: str, call_sid: str, *, where: str) -> None:
    """A recording's file is gone. where: from."""
    _recording(logging.INFO, f"Deleted from {where}", call_sid, recording_sid=recording_sid)


def recording_not_deleted(recording_sid: str, call_sid: str, problem: str, *, attempt: int, tries: int) -> None:
    """A try to delete a recording's files has failed; there are others."""
    fields: dict[str, Any] = {"recording_sid": recording_sid, "attempt": attempt, "tries": tries}
    _recording(logging.WARNING, f"Not deleted: {problem}", call_sid, **fields)


def recording_untold(recording_sid: str, call_sid: str, error: BaseException) -> None:
    """What Twilio told of a recording could not be written down: it is asked to tell it again."""
    text = f"a callback could not be kept: {type(error).__name__}"
    _recording(logging.WARNING, text, call_sid, recording_sid=recording_sid)


def recording_store_away(error: BaseException) -> None:
    """The store of recordings does not answer."""
    _recording(logging.WARNING, f"the store of recordings does not answer: {type(error).__name__}", None)


def _recording(level: int, text: str, call_sid: str | None, **fields: Any) -> None:
    event("RECORDING_SERVICE", text, level=level, call_sid=call_sid, stacklevel=3, **fields)


def records_lost(count: int) -> None:
    """Call records that the stop did not wait for, or that could not be stored."""
    text = f"{count} call records were lost: they could not be stored before the stop"
    event("NODE", text, level=logging.ERROR, stacklevel=2)
