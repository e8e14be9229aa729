"""What the fault tests say in the words of both dialects: moments, faults and events by what they mean.

They are written in Realtime's words, and `in_words_of` says the same to GPT-Live: a drop is a drop, a stall a stall, an
expiry the end that the service tells of, a moment the same place in the play. A test runs in both dialects, unless it
is listed here with the reason why it cannot.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from fastbridge.sim import faults, live_faults
from fastbridge.sim.disruption import Change, Disruption, Elapsed, Moment, On, Send, ToConnection, ToEvent
from fastbridge.sim.faults import ALWAYS, TRANSCRIPT, Fault
from fastbridge.sim.live_grammar import CLIENT_EVENTS
from fastbridge.sim.live_wire import AUDIO, INPUT_TRANSCRIPT, OUTPUT_TRANSCRIPT
from fastbridge.sim.scenario import Scenario

REALTIME = "realtime"
LIVE = "live"
MODELS = {REALTIME: "gpt-realtime-2.1", LIVE: "gpt-live-1"}

_NO_ID = "audio and utterances have no ids: nothing is late, foreign or a second time"
_NO_RESPONSE = "there are no responses that end: an utterance is there or is not"
_NO_CREATE = "there is no response.create for the voice"
_NO_CANCEL = "nothing is cancelled or cut: the model stops by itself"
_NO_TURN_EVENT = "no event tells that a turn begins or ends: its words do, and are its end when they stop"
_REAL_TIME = "audio comes in real time, never faster"
ONLY_REALTIME: Mapping[str, str] = {
    "test_audio_that_comes_twice_is_heard_once": _NO_ID,
    "test_audio_of_nobody_is_refused_and_counted": _NO_ID,
    "test_audio_before_its_response_is_announced": _NO_ID,
    "test_a_cancelled_response_is_heard_no_more": _NO_CANCEL,
    "test_a_cut_that_the_service_refuses": _NO_CANCEL,
    "test_a_cut_never_claims_more_than_there_was": _NO_CANCEL,
    "test_a_cancellation_races_with_the_end": _NO_CANCEL,
    "test_a_cancellation_that_the_service_ignores": _NO_CANCEL,
    "test_transcripts_out_of_order_stand_in_their_place": "words that come seconds late name no turn that they are of",
    "test_an_event_that_came_twice": _NO_ID,
    "test_speech_that_never_began_and_never_ended": _NO_TURN_EVENT,
    "test_a_service_that_takes_what_it_hears_for_pcm": "no event has a place in the caller's audio",
    "test_a_cut_behind_a_filler_is_where_the_caller_interrupted": _NO_CANCEL,
    "test_a_minute_in_a_second_plays_at_its_own_pace": _REAL_TIME,
    "test_after_a_minute_in_a_second_an_interruption_silences_at_once": _REAL_TIME,
    "test_a_failed_response_is_asked_for_again": _NO_RESPONSE,
    "test_a_response_that_goes_on_failing_ends_in_an_apology": _NO_RESPONSE,
    "test_an_empty_account_is_not_asked_twice": _NO_RESPONSE,
    "test_a_response_without_a_sound_is_asked_for_again_once": _NO_RESPONSE,
    "test_a_model_that_stays_silent_ends_in_an_apology": _NO_RESPONSE,
    "test_a_response_that_never_ends": _NO_RESPONSE,
    "test_a_model_that_always_gets_stuck": _NO_RESPONSE,
    "test_a_response_whose_end_is_not_reported": _NO_RESPONSE,
    "test_a_create_that_is_not_answered": _NO_CREATE,
    "test_a_create_that_meets_another_response": _NO_CREATE,
    "test_a_response_that_begins_late": _NO_CREATE,
    "test_the_caller_is_answered_whatever_the_endings": _NO_RESPONSE,
    "test_one_that_is_never_well_again_is_given_up_within_bounds": _NO_RESPONSE,
}
"""By the test's name: why it says nothing of GPT-Live."""
ONLY_LIVE: Mapping[str, str] = {}
"""By the test's name: why it says nothing of the Realtime API."""


def dialects_of(test: str) -> tuple[str, ...]:
    """Those in which a test is run."""
    return (REALTIME,) if test in ONLY_REALTIME else (LIVE,) if test in ONLY_LIVE else (REALTIME, LIVE)


# Realtime's words in GPT-Live's.

_MOMENTS: Mapping[Moment, Moment] = {
    faults.GREETING: live_faults.GREETING,
    faults.CALLER_SPEAKING: live_faults.CALLER_SPEAKING,
    faults.BEFORE_THE_ANSWER: On(INPUT_TRANSCRIPT, after_ms=1700),
    faults.ASSISTANT_SPEAKING: live_faults.ASSISTANT_SPEAKING,
    faults.BARGE_IN: On("session.thinking.append"),
    faults.TOOL_RUNNING: live_faults.TOOL_RUNNING,
    faults.MID_TRANSCRIPT: On(INPUT_TRANSCRIPT, 2),
    faults.IDLE: On("session.started", after_ms=8000),
}
_EVENTS: Mapping[str, str] = {
    "session.created": "session.start",
    "session.update": "session.start",
    "session.updated": "session.started",
    faults.AUDIO: AUDIO,
    "input_audio_buffer.speech_started": INPUT_TRANSCRIPT,
    f"{TRANSCRIPT}.completed": INPUT_TRANSCRIPT,
}
_OWN_EVENTS = frozenset({
    *CLIENT_EVENTS, AUDIO, INPUT_TRANSCRIPT, OUTPUT_TRANSCRIPT, "session.started", "session.updated", "session.closed",
    "session.delegation.created", "session.usage.updated", "response.event", "session.commentary.appended",
    "session.instructions.appended", "session.thinking.appended",
})  # fmt: skip
_WRONG_FORMAT = live_faults.wrong_format()(Scenario())(0).disruptions[0].what
EXPIRED = Send({"type": "session.closed", "reason": "expired", "session": {}, "usage": {"seconds": 10}})


def in_words_of(dialect: str, fault: Fault | None) -> Fault | None:
    """The same fault, as a service of this dialect has it. ValueError where there are no words for it."""
    if dialect == REALTIME or fault is None:
        return fault

    def script(base: Scenario, attempt: int) -> Scenario:
        scenario = fault.script(base, attempt)
        return replace(scenario, disruptions=[_said(each) for each in scenario.disruptions])

    return replace(fault, script=script)


def _said(disruption: Disruption) -> Disruption:
    return Disruption(moment_in_live(disruption.when), _what(disruption.what))


def moment_in_live(moment: Moment) -> Moment:
    """That place in the play."""
    if isinstance(moment, Elapsed):
        return moment
    found = _MOMENTS.get(moment) or replace(moment, type=_EVENTS.get(moment.type, moment.type))
    if isinstance(found, On) and found.type not in _OWN_EVENTS:
        raise ValueError(f"GPT-Live has no {found.type}")
    return found


def _what(what: ToConnection | ToEvent) -> ToConnection | ToEvent:
    if isinstance(what, Change) and what.fields is faults._as_pcm:
        return _WRONG_FORMAT
    told = what.message.get("error") if isinstance(what, Send) and isinstance(what.message, Mapping) else None
    return EXPIRED if isinstance(told, Mapping) and told.get("code") == "session_expired" else what


LONGEST_DELTA = 1000
KINDS: Mapping[Callable[..., Fault], Callable[..., Fault]] = {faults.recoverable_errors: live_faults.recoverable_errors}


def kind_in(dialect: str, kind: Callable[..., Fault]) -> Callable[..., Fault]:
    """The factory of faults of this kind."""
    return kind if dialect == REALTIME else KINDS.get(kind, rubbish_but_sound if kind is faults.rubbish else kind)


def rubbish_but_sound(at: Moment = live_faults.ASSISTANT_SPEAKING) -> Fault:
    """Without what is well-formed: a megabyte of a stream's audio is two minutes of sound, whatever it sounds like."""
    sends = [Disruption(at, Send(each)) for each in live_faults.RUBBISH if len(str(each)) < LONGEST_DELTA]
    return Fault("rubbish", "", lambda base, _: replace(base, disruptions=(*base.disruptions, *sends)))


_SHARED: tuple[Fault, ...] = (
    faults.unreachable(),
    faults.unreachable("dns", ALWAYS),
    faults.connect_hangs(),
    faults.refused(429, "rate_limit_exceeded"),
    faults.refused(500),
    faults.refused(401, "invalid_api_key", ALWAYS),
    faults.speaks_pcm(),
    faults.hears_pcm(),
    faults.dropped(faults.IDLE),
    faults.dropped(faults.CALLER_SPEAKING, 1011, "internal error"),
    faults.dropped(faults.ASSISTANT_SPEAKING),
    faults.call_ids_repeat(),
    faults.endless_speech(),
    faults.unanswered(),
    faults.empty_transcripts(),
    faults.stalled(),
    faults.upload_blocked(),
)
"""Of Realtime's faults those that GPT-Live has, too."""
CATALOGUES: Mapping[str, tuple[Fault, ...]] = {
    REALTIME: faults.CATALOGUE,
    LIVE: (*live_faults.CATALOGUE, *(fault for each in _SHARED if (fault := in_words_of(LIVE, each)) is not None)),
}
"""One of each kind."""
