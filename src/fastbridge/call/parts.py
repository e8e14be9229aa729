"""What a call is made of: its parts, by the names under which `order` tells them."""

from enum import StrEnum
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge._caller import CallerLane
from fastbridge._dsp import HighpassLimiter
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.agent.hooks import Hooks
from fastbridge.agent.remote import Remote
from fastbridge.base.clock import CallClock
from fastbridge.call.answered_by import WhoAnswered
from fastbridge.call.answering import Answering
from fastbridge.call.answers import Answers
from fastbridge.call.barge_in import BargeIn
from fastbridge.call.books import Books
from fastbridge.call.budget import Budget
from fastbridge.call.carrier_recording import CarrierRecording
from fastbridge.call.dead_air import DeadAir
from fastbridge.call.dtmf import Dtmf
from fastbridge.call.facts import Facts
from fastbridge.call.fallback import Fallback
from fastbridge.call.format_watch import FormatWatch
from fastbridge.call.greeting import Greeting
from fastbridge.call.hangup import Hangup
from fastbridge.call.idle import Idle
from fastbridge.call.late_tools import Aftermath
from fastbridge.call.local_recording import LocalRecording
from fastbridge.call.media_gap import MediaGap
from fastbridge.call.privacy import Privacy
from fastbridge.call.time_limit import TimeLimit
from fastbridge.call.tool_calls import ToolCalls
from fastbridge.call.tool_filler import ToolFiller
from fastbridge.call.transcripts import Transcripts
from fastbridge.call.transfers import Transfers
from fastbridge.call.turns import Turns
from fastbridge.call.upload_watch import UploadWatch
from fastbridge.carrier.watch import CarrierWatch
from fastbridge.config import Settings
from fastbridge.model.line import ModelLine
from fastbridge.model.port import Model
from fastbridge.model.realtime.trace import Trace
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble


class CallState(StrEnum):
    LIVE = "live"
    ENDED = "ended"


class Parts:
    """One call's."""

    # What it is.
    settings: Settings
    agent: Agent
    context: CallContext
    call_sid: str
    stream_sid: str
    state: CallState
    end_reason: str | None
    document: dict[str, Any] | None
    """The record, once the call has ended."""

    # What all of it stands on.
    clock: CallClock
    log: CallLog
    stats: CallStats
    trouble: Trouble
    facts: Facts

    # The lanes.
    assistant: AssistantLane
    caller: CallerLane
    detector: Detector
    dsp: HighpassLimiter | None
    trace: Trace

    # The model, and the carrier.
    session: Model
    line: ModelLine
    carrier_watch: CarrierWatch

    # What is decided, each in one place.
    answered_by: WhoAnswered
    answering: Answering
    answers: Answers
    barge_in: BargeIn
    books: Books
    budget: Budget
    carrier_recording: CarrierRecording
    dead_air: DeadAir
    dtmf: Dtmf
    fallback: Fallback
    format_watch: FormatWatch
    greeting: Greeting
    hangup: Hangup
    idle: Idle
    local_recording: LocalRecording
    media_gap: MediaGap
    privacy: Privacy
    time_limit: TimeLimit
    tool_filler: ToolFiller
    transcripts: Transcripts
    transfers: Transfers
    turns: Turns
    upload_watch: UploadWatch

    # The user's code.
    hooks: Hooks
    late_tools: Aftermath
    remote: Remote
    tools: ToolCalls

    @property
    def live(self) -> bool:
        return self.state is CallState.LIVE

    @property
    def safety_fuses(self) -> dict[str, int]:
        """How often states of ours outlived their deadlines, by whose they were."""
        counters = {"responses": self.session.responses.counters, "model_line": self.line.counters}
        return {owner: counts["safety_fuse"] for owner, counts in counters.items()}
