"""The order of a call: who is told what, one after the other. The one place where its parts meet.

A part tells what has happened; it knows none of the others. Each line of ORDER is an event and those that are told of
it, one after the other, at once: `part.method`, with the event's fields. One that throws is booked and stops nobody.
"""

from collections.abc import Callable, Mapping
from typing import Any

from fastbridge.call.happenings import (
    AgentKnown,
    AnswerOwed,
    Beginning,
    CallerTypes,
    CheaperModelNow,
    CheaperModelWanted,
    ConsentGiven,
    CutShort,
    EndCall,
    Ending,
    FillerDue,
    FirstDelta,
    FirstFrame,
    Interrupted,
    LastWord,
    LeaveAsked,
    LeaveNow,
    LeaveTakenBack,
    MachineFound,
    MachineLetTalk,
    ModelHopeless,
    NoMulaw,
    NothingHeard,
    PersonFound,
    Played,
    PrivacyAsked,
    PrivacyOver,
    RecordingDue,
    RecordingHushed,
    RecordingPlays,
    RingFull,
    Second,
    SessionUseless,
    SpeechIsOver,
    ToolLoop,
    TurnTaken,
    TurnUnheard,
    TurnUnnoticed,
    WaitChanged,
)  # fmt: skip
from fastbridge.carrier.port import (
    CarrierKnowsWho,
    CarrierMark,
    CarrierMedia,
    CarrierPaused,
    CarrierStalled,
    CarrierStopped,
    KeyPressed,
    NoMedia,
    StartedAgain,
)  # fmt: skip
from fastbridge.model.port import (
    Accounted,
    AudioTooFast,
    CreateFailed,
    LineChanged,
    LineLost,
    LineUp,
    MessageBegun,
    ModelChanged,
    ModelGivenUp,
    ModelIdle,
    ModelSign,
    ResponseAsked,
    ResponseBeginning,
    ResponseCreated,
    ResponseDone,
    ResponseStuck,
    SessionFailed,
    SessionReady,
    SpeechStarted,
    SpeechStopped,
    ToolCalled,
    ToolNotRun,
    ToolsAsked,
    Transcribed,
    TurnCommitted,
    UsageTold,
)  # fmt: skip

ORDER: Mapping[type, str] = {
    Beginning: "answering.begin answered_by.begin greeting.begin time_limit.begin line.start dead_air.review",
    AgentKnown: "hooks.use tools.use hangup.use idle.use time_limit.use tool_filler.use dtmf.use fallback.use "
    "transfers.use greeting.use transcripts.use answered_by.use budget.use local_recording.use carrier_recording.use",
    # The model hears, and answers.
    SessionReady: "line.ready answering.ready dtmf.ready",
    SessionFailed: "line.session_failed",
    ModelSign: "upload_watch.sign",
    SpeechStarted: "books.speech_started media_gap.begin upload_watch.noticed barge_in.speech_started "
    "idle.speech_started tools.turn_begins hangup.speech_started turns.speech_started answers.speech_started "
    "format_watch.speech_started dead_air.review",
    SpeechStopped: "books.speech_stopped upload_watch.noticed media_gap.end idle.speech_stopped "
    "barge_in.speech_stopped format_watch.told turns.speech_stopped",
    SpeechIsOver: "format_watch.told media_gap.end idle.speech_stopped barge_in.speech_stopped",
    TurnCommitted: "upload_watch.noticed barge_in.caller_turn turns.committed answered_by.caller_turn dead_air.review",
    ModelIdle: "idle.model_asks",
    ResponseAsked: "dead_air.review",
    ResponseBeginning: "barge_in.new_response",
    ResponseCreated: "books.response_created greeting.response_created turns.response_created "
    "answers.response_created answered_by.response_created dead_air.response_created budget.response_created",
    MessageBegun: "transcripts.review",
    ResponseDone: "books.response_done tools.response_done greeting.response_done answers.response_done "
    "dead_air.review transcripts.response_done budget.response_done",
    UsageTold: "budget.usage_told",
    ResponseStuck: "answers.response_stuck",
    CreateFailed: "books.create_failed answers.create_failed dead_air.review",
    Transcribed: "books.transcribed barge_in.transcribed idle.transcribed transcripts.written_down "
    "answered_by.transcribed",
    ToolCalled: "answers.tool_called tools.called",
    ToolsAsked: "tools.asked",
    ToolNotRun: "tools.not_run",
    # The line to the model.
    SessionUseless: "line.lose",
    ModelHopeless: "line.give_up",
    Accounted: "accounted",
    LineLost: "session.settle turns.line_lost upload_watch.noticed answered_by.line_lost answers.line_lost",
    LineChanged: "dead_air.late",
    LineUp: "media_gap.line_up upload_watch.noticed format_watch.line_up privacy.line_up answers.line_up turns.line_up "
    "greeting.ready budget.line_up dead_air.review",
    CheaperModelWanted: "line.change_model",
    CheaperModelNow: "line.change_model_now",
    ModelChanged: "budget.model_changed",
    ModelGivenUp: "answered_by.give_up transfers.withdraw barge_in.giving_up turns.line_lost fallback.give_up "
    "dead_air.review",
    # What is played.
    FirstDelta: "fallback.give_way transfers.give_way",
    FirstFrame: "books.first_frame dead_air.sound greeting.playing barge_in.first_frame",
    Played: "greeting.played fallback.played answered_by.played transcripts.review",
    RingFull: "line.ring_full",
    NoMulaw: "format_watch.noise",
    AudioTooFast: "format_watch.too_fast",
    Interrupted: "answered_by.interrupted greeting.interrupted transfers.interrupted idle.heard hangup.interrupted "
    "transcripts.review answers.interrupted turns.interrupted",
    # The caller waits.
    WaitChanged: "dead_air.late",
    AnswerOwed: "turns.owes dead_air.review",
    TurnTaken: "books.speech_stopped",
    TurnUnnoticed: "turns.take_turn",
    TurnUnheard: "turns.unheard",
    NothingHeard: "turns.heard_nothing",
    FillerDue: "tool_filler.due",
    RecordingDue: "fallback.fill",
    RecordingPlays: "dead_air.filled",
    ToolLoop: "answers.tool_loop",
    # The carrier.
    CarrierPaused: "carrier_watch.paused",
    CarrierStalled: "carrier_watch.stalled",
    CarrierMedia: "caller.feed_media",
    NoMedia: "caller.reject_media",
    CarrierMark: "assistant.mark",
    StartedAgain: "books.second_start",
    CarrierStopped: "close",
    KeyPressed: "books.key idle.words dtmf.press",
    CallerTypes: "barge_in.keys tools.turn_begins hangup.interrupted",
    # A machine answers.
    CarrierKnowsWho: "answered_by.carrier_knows",
    MachineFound: "idle.machine",
    MachineLetTalk: "greeting.give_way turns.give_way barge_in.give_way transcripts.review dead_air.review",
    PersonFound: "idle.person dead_air.review",
    # Recordings, and what is in none.
    ConsentGiven: "books.consented local_recording.consented carrier_recording.consented",
    PrivacyAsked: "local_recording.hush carrier_recording.hush",
    RecordingHushed: "privacy.hushed",
    PrivacyOver: "local_recording.unhush carrier_recording.unhush",
    # Leaving.
    CutShort: "barge_in.cut_short",
    LastWord: "transfers.withdraw barge_in.giving_up turns.last_word answers.last_word",
    LeaveAsked: "transfers.withdraw hangup.hang_up",
    LeaveNow: "hangup.leave_now",
    LeaveTakenBack: "idle.resume",
    EndCall: "close",
    Second: "trace.second line.check format_watch.listen upload_watch.check carrier_watch.check idle.look "
    "transcripts.review books.second budget.look local_recording.second",
    Ending: "dead_air.close upload_watch.close fallback.close turns.close answers.close barge_in.close greeting.close "
    "remote.close transcripts.close answering.close answered_by.close tools.close idle.close hangup.close dtmf.close "
    "media_gap.close time_limit.close transfers.close budget.close privacy.close carrier_recording.close session.close "
    "caller.close assistant.close local_recording.close",
}
TABLE: Mapping[type, tuple[tuple[str, str], ...]] = {
    event: tuple((part, method) for part, _, method in (name.rpartition(".") for name in names.split()))
    for event, names in ORDER.items()
}


class Dispatcher:
    """parts: has each part under its name, and is `live`; once it is not, its seconds count no more. failed(error):
    books what one has thrown."""

    def __init__(self, parts: Any, failed: Callable[[Exception], object]) -> None:
        self._parts = parts
        self._failed = failed

    def __call__(self, event: Any) -> None:
        parts = self._parts
        only_live = type(event) is Second
        for part, method in TABLE[type(event)]:
            if only_live and not parts.live:
                return
            try:
                getattr(getattr(parts, part) if part else parts, method)(*event)
            except Exception as error:
                self._failed(error)
