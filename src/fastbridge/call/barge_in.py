"""Barge-in: the caller talks over the assistant. Hold at once, then commit or resume. The only arrow between the lanes.

Hold costs nothing that cannot be taken back: the carrier is cleared, the unheard audio is kept. It is committed when
there is more to it than our detector: the model hears speech, the voice lasts, a turn of the caller's arrives. Else,
with the line quiet again, the assistant goes on with the frame that was cut off. All is synchronous and in order.
"""

from enum import StrEnum
from typing import Protocol

from fastbridge._assistant import AssistantLane
from fastbridge._bargein import Detector
from fastbridge.base.clock import CallClock, Deadline
from fastbridge.base.conversation import Turn
from fastbridge.base.machine import Machine
from fastbridge.call.happenings import Interrupted
from fastbridge.errors import IllegalEvent
from fastbridge.model.memory import of_the_model
from fastbridge.model.port import LOCAL_ID, Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import BargeIn as Entry
from fastbridge.observe.stats import CallStats

MODEL_ALONE_SECONDS = 0.15
"""A caller whom only the model hears interrupts after this long without `speech_stopped`."""
RECOVERY_MS = 500
"""A hold of which nothing came by then was a false one, as soon as the line is quiet."""
LOOK_SECONDS = 0.02


class State(StrEnum):
    PLAYING = "playing"
    HELD = "held"
    COMMITTED = "committed"
    RESUMED = "resumed"


class Event(StrEnum):
    HOLD = "hold"
    COMMIT = "commit"
    RESUME = "resume"


_AT_REST = {Event.HOLD: State.HELD}

TRANSITIONS: dict[State, dict[Event, State]] = {
    State.PLAYING: _AT_REST,
    State.HELD: {Event.COMMIT: State.COMMITTED, Event.RESUME: State.RESUMED},
    State.COMMITTED: _AT_REST,
    State.RESUMED: _AT_REST,
}

DEADLINES_SECONDS = {State.HELD: 2.0}
"""By then noise that is no speech to anybody has held the assistant long enough: it goes on."""


class Moment(Protocol):
    """What an interruption asks of its call: see `facts`."""

    @property
    def may_interrupt(self) -> bool: ...
    @property
    def caller_goes_on(self) -> bool: ...


class BargeIn(Machine[State, Event]):
    """confirm_ms: how long a voice must last to be believed without the model; 0 believes the detector at once. yields:
    the model stops by itself when it hears the caller, so that whom only it hears interrupts nothing of ours."""

    transitions = TRANSITIONS

    def __init__(
        self,
        *,
        clock: CallClock,
        confirm_ms: int,
        stream_sid: str,
        facts: Moment,
        assistant: AssistantLane,
        detector: Detector,
        session: Model,
        stats: CallStats,
        log: CallLog,
        tell: Tell,
        yields: bool = False,
    ) -> None:
        super().__init__(clock, State.PLAYING)
        self._yields = yields
        self._clock = clock
        self._confirm_ms = confirm_ms
        self._stream_sid = stream_sid
        self._facts = facts
        self._assistant = assistant
        self._detector = detector
        self._session = session
        self._stats = stats
        self._log = log
        self._tell = tell
        self._model_hears = False
        self._held_ns = 0
        self._response_id: str | None = None  # the response that was interrupted: no other is cancelled
        self._current: Entry | None = None
        self._model_alone = Deadline(clock, self._heard_by_the_model_alone)
        self._look = Deadline(clock, self._judge)

    @property
    def held(self) -> bool:
        return self.state is State.HELD

    # --- what is heard ---

    def on_edge(self) -> None:
        """Our detector hears a voice over the assistant's."""
        if self._facts.may_interrupt:
            self._hold("local")
            if self._model_hears or not self._confirm_ms:
                self._commit("speech_started" if self._model_hears else "at_once")

    def speech_started(self) -> None:
        self._model_hears = True
        self._detector.expect_voice()
        if self.held:
            self._commit("speech_started")
        elif self._facts.may_interrupt and not self._yields:
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def speech_stopped(self) -> None:
        self._model_hears = False
        self._model_alone.clear()

    def first_frame(self, response_id: str) -> None:
        """The assistant begins to speak; the caller may be doing so already."""
        if (self._model_hears or self._facts.caller_goes_on) and self._facts.may_interrupt:
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def caller_turn(self) -> None:
        """The model has taken a turn of the caller's, or understood words of it."""
        if self.held:
            self._commit("turn")

    def transcribed(self, turn: Turn) -> None:
        if turn.role == "caller" and turn.text:
            self.caller_turn()

    def keys(self) -> None:
        """The caller answers with the keys: nothing that a noise does."""
        self.cut_short("keys")

    def cut_short(self, why: str) -> None:
        """What is being said is said no further, whatever is heard."""
        if self._facts.may_interrupt:
            self._hold(why)
        if self.held:
            self._commit(why)

    def new_response(self) -> None:
        """Another response begins: what is held has been overtaken. To be told before the lane is."""
        if self.held:
            self._commit("response")

    def giving_up(self, *_: object) -> None:
        """The line is hopeless: what is held is dropped, and what is said now is said to the end."""
        self._model_alone.clear()
        if self.held:
            self._commit("given_up")

    def give_way(self) -> None:
        """What is being said is cut off, and nobody has interrupted it: an answering machine talks."""
        self.giving_up()
        self._model_hears = False
        self._assistant.refuse()
        self._session.responses.give_way()
        self._assistant.clear()
        self._truncate()

    def close(self) -> None:
        self._model_alone.clear()
        self._look.clear()

    def _heard_by_the_model_alone(self) -> None:
        if not self._facts.may_interrupt:
            return
        detector = self._detector
        if self._model_hears or (self._facts.caller_goes_on and detector.level_dbfs >= detector.threshold_dbfs):
            self._hold("model")
            self._commit("speech_started")
        elif self._facts.caller_goes_on:  # between two syllables, or he has just stopped
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def _judge(self) -> None:
        """Every 20 ms of a hold: a voice that lasts, or a line gone quiet?"""
        detector = self._detector
        held_ms = self._clock.elapsed_ms(self._held_ns)
        if detector.voice_ms >= self._confirm_ms:
            self._commit("voice")
        elif held_ms >= RECOVERY_MS and not detector.speaking and detector.level_dbfs < detector.threshold_dbfs:
            self._resume("quiet")
        elif held_ms >= 1000 * DEADLINES_SECONDS[State.HELD]:
            self._resume("deadline")
        else:
            self._look.set(LOOK_SECONDS)

    # --- what is done ---

    def _hold(self, source: str) -> None:
        self._to(Event.HOLD)
        self._model_alone.clear()
        responses = self._session.responses
        self._response_id = responses.response_id if responses.generating else None
        self._held_ns = self._clock.now_ns()
        unsent, unheard = self._assistant.hold()
        detector = self._detector
        self._current = Entry(
            at_ms=self._clock.now_ms(),
            source=source,
            response_id=self._heard_response() or self._response_id,
            frames_unsent=unsent,
            frames_unheard=unheard,
            level_dbfs=round(detector.level_dbfs, 1),
            threshold_dbfs=round(detector.threshold_dbfs, 1),
        )
        self._stats.add("barge_ins", self._stats.barge_ins, self._current)
        self._look.set(LOOK_SECONDS)
        events.barge_in_held(
            self._log,
            source=source,
            response_id=self._response_id,
            stream_sid=self._stream_sid,
            at_ms=self._current.at_ms,
        )

    def _heard_response(self) -> str | None:
        """The response that is being heard, which may be generated to its end; None for a recording of ours."""
        items = self._assistant.items()
        unheard = (item for item in items if item[2] < item[3])
        item_id, response_id, _, _ = next(unheard, items[-1] if items else (LOCAL_ID, "", 0, 0))
        return None if item_id.startswith(LOCAL_ID) else response_id or None

    def _commit(self, why: str) -> None:
        """First nothing more may come in (refuse, cancel), then nothing may be left to go out, then the books."""
        barge_in = self._end(Event.COMMIT, why)
        self._model_hears = False  # what he says interrupts once, however late its end is told
        self._assistant.refuse()
        cancel = self._cancel(why)
        barge_in.frames_unsent, barge_in.frames_unheard = self._assistant.clear()
        events.barge_in_cleared(
            self._log, unsent=barge_in.frames_unsent, unheard=barge_in.frames_unheard, at_ms=self._clock.now_ms()
        )
        barge_in.items += self._truncate()
        self._tell(Interrupted())
        count = sum(one.outcome == State.COMMITTED for one in self._stats.barge_ins)
        events.barge_in(
            self._log, barge_in, stream_sid=self._stream_sid, cancel=cancel, count=count, at_ms=self._clock.now_ms()
        )

    def _truncate(self) -> list[dict[str, str | int]]:
        """The model remembers what was heard: of what is so."""
        cut: list[dict[str, str | int]] = []
        for item_id, _, heard_ms, received_ms in of_the_model(self._assistant.items()):
            if heard_ms < received_ms and self._session.truncate(item_id, heard_ms, received_ms):
                cut.append({"item_id": item_id, "heard_ms": heard_ms, "received_ms": received_ms})
        return cut

    def _cancel(self, why: str) -> str:
        """Tell the model to stop, if there is anything to stop: in words for the log, what came of it."""
        responses = self._session.responses
        sent_before = responses.counters["cancels"]
        if not (self._may_cancel(why) and responses.cancel()):
            return "not needed"
        if responses.counters["cancels"] == sent_before:
            return "when it begins"
        events.barge_in_cancel(self._log, response_id=responses.response_id, at_ms=self._clock.now_ms())
        return "sent"

    def _may_cancel(self, why: str) -> bool:
        """What was interrupted, and what was asked for before the caller spoke; never what overtakes it."""
        responses = self._session.responses
        return responses.response_id == self._response_id if responses.generating else why != "response"

    def _resume(self, why: str) -> None:
        barge_in = self._end(Event.RESUME, why)
        barge_in.frames_rewound = self._assistant.resume()
        false = sum(one.outcome == State.RESUMED for one in self._stats.barge_ins)
        events.barge_in_false(self._log, count=false, held_ms=barge_in.held_ms or 0, why=why)

    def _end(self, event: Event, why: str) -> Entry:
        self._to(event)
        self._look.clear()
        barge_in = self._current
        if barge_in is None:
            raise IllegalEvent("interruption: none is under way")
        self._current = None
        barge_in.outcome, barge_in.why = str(self.state), why
        barge_in.held_ms = self._clock.elapsed_ms(self._held_ns)
        return barge_in
