"""The caller talks over the assistant: hold at once, then commit or resume. The only arrow between the two lanes.

Hold costs nothing that cannot be taken back: the carrier is cleared, the unheard audio is kept. It is committed when
there is more to it than our detector: the model hears speech, the voice lasts, a turn of the caller's arrives. Else,
with the line quiet again, the assistant goes on with the frame that was cut off. All is synchronous and in order.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from fastbridge.base.clock import Deadline
from fastbridge.errors import IllegalEvent
from fastbridge.observe import events
from fastbridge.observe.stats import BargeIn

if TYPE_CHECKING:
    from fastbridge.call.call import Call

MODEL_ALONE_SECONDS = 0.15
"""A caller whom only the model hears interrupts after this long without `speech_stopped`."""
RECOVERY_MS = 500
"""A hold of which nothing came by then was a false one, as soon as the line is quiet."""
LOOK_SECONDS = 0.02
LOCAL = "local_"
"""Items of ours, of which the model knows nothing."""


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


class Interruption:
    """confirm_ms: how long a voice must last to be believed without the model; 0 believes the detector at once."""

    def __init__(self, call: "Call", *, confirm_ms: int) -> None:
        self.state = State.PLAYING
        self._call = call
        self._confirm_ms = confirm_ms
        self._model_hears = False
        self._held_ns = 0
        self._response_id: str | None = None  # the response that was interrupted: no other is cancelled
        self._current: BargeIn | None = None
        self._model_alone = Deadline(call.clock, self._heard_by_the_model_alone)
        self._look = Deadline(call.clock, self._judge)

    @property
    def held(self) -> bool:
        return self.state is State.HELD

    # --- what is heard ---

    def on_edge(self) -> None:
        """Our detector hears a voice over the assistant's."""
        if self._call.facts.may_interrupt:
            self._hold("local")
            if self._model_hears or not self._confirm_ms:
                self._commit("speech_started" if self._model_hears else "at_once")

    def on_speech_started(self) -> None:
        self._model_hears = True
        self._call.detector.expect_voice()
        if self.held:
            self._commit("speech_started")
        elif self._call.facts.may_interrupt:
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def on_speech_stopped(self) -> None:
        self._model_hears = False
        self._model_alone.clear()

    def on_first_frame(self) -> None:
        """The assistant begins to speak; the caller may be doing so already."""
        if (self._model_hears or self._call.facts.caller_goes_on) and self._call.facts.may_interrupt:
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def on_caller_turn(self) -> None:
        """The model has taken a turn of the caller's, or understood words of it."""
        if self.held:
            self._commit("turn")

    def on_keys(self) -> None:
        """The caller answers with the keys: nothing that a noise does."""
        if self._call.facts.may_interrupt:
            self._hold("keys")
        if self.held:
            self._commit("keys")

    def on_new_response(self) -> None:
        """Another response begins: what is held has been overtaken. To be told before the lane is."""
        if self.held:
            self._commit("response")

    def on_giving_up(self) -> None:
        """The line is hopeless: what is held is dropped, and what is said now is said to the end."""
        self._model_alone.clear()
        if self.held:
            self._commit("given_up")

    def close(self) -> None:
        self._model_alone.clear()
        self._look.clear()

    def _heard_by_the_model_alone(self) -> None:
        if not self._call.facts.may_interrupt:
            return
        detector = self._call.detector
        if self._model_hears or (self._call.facts.caller_goes_on and detector.level_dbfs >= detector.threshold_dbfs):
            self._hold("model")
            self._commit("speech_started")
        elif self._call.facts.caller_goes_on:  # between two syllables, or he has just stopped
            self._model_alone.set(MODEL_ALONE_SECONDS)

    def _judge(self) -> None:
        """Every 20 ms of a hold: a voice that lasts, or a line gone quiet?"""
        detector = self._call.detector
        held_ms = self._call.clock.elapsed_ms(self._held_ns)
        if detector.voice_ms >= self._confirm_ms:
            self._commit("voice")
        elif held_ms >= RECOVERY_MS and not detector.speaking and detector.level_dbfs < detector.threshold_dbfs:
            self._resume("quiet")
        elif held_ms >= 1000 * DEADLINES_SECONDS[State.HELD]:
            self._resume("deadline")
        else:
            self._look.set(LOOK_SECONDS)

    # --- what is done ---

    def _to(self, event: Event) -> None:
        row = TRANSITIONS[self.state]
        if event not in row:
            raise IllegalEvent(f"interruption: {event} in state {self.state}")
        self.state = row[event]

    def _hold(self, source: str) -> None:
        call = self._call
        self._to(Event.HOLD)
        self._model_alone.clear()
        responses = call.session.responses
        self._response_id = responses.response_id if responses.generating else None
        self._held_ns = call.clock.now_ns()
        unsent, unheard = call.assistant.hold()
        detector = call.detector
        self._current = BargeIn(
            at_ms=call.now_ms(),
            source=source,
            response_id=self._response_id,
            frames_unsent=unsent,
            frames_unheard=unheard,
            level_dbfs=round(detector.level_dbfs, 1),
            threshold_dbfs=round(detector.threshold_dbfs, 1),
        )
        call.stats.barge_ins.append(self._current)
        self._look.set(LOOK_SECONDS)
        events.barge_in_held(
            call.log,
            source=source,
            response_id=self._response_id,
            stream_sid=call.stream_sid,
            at_ms=self._current.at_ms,
        )

    def _commit(self, why: str) -> None:
        """First nothing more may come in (refuse, cancel), then nothing may be left to go out, then the books."""
        call, barge_in = self._call, self._end(Event.COMMIT, why)
        self._model_hears = False  # what he says interrupts once, however late its end is told
        call.assistant.refuse()
        cancel = self._cancel(why)
        barge_in.frames_unsent, barge_in.frames_unheard = call.assistant.clear()
        events.barge_in_cleared(
            call.log, unsent=barge_in.frames_unsent, unheard=barge_in.frames_unheard, at_ms=call.now_ms()
        )
        for item_id, _, heard_ms, received_ms in call.assistant.items():
            known = not item_id.startswith(LOCAL)
            if known and heard_ms < received_ms and call.session.truncate(item_id, heard_ms, received_ms):
                barge_in.items.append({"item_id": item_id, "heard_ms": heard_ms, "received_ms": received_ms})
        call.greeting.interrupted()
        call.conduct.interrupted()
        call.answers.interrupted()
        count = sum(one.outcome == State.COMMITTED for one in call.stats.barge_ins)
        events.barge_in(call.log, barge_in, stream_sid=call.stream_sid, cancel=cancel, count=count, at_ms=call.now_ms())

    def _cancel(self, why: str) -> str:
        """Tell the model to stop, if there is anything to stop: in words for the log, what came of it."""
        call = self._call
        responses = call.session.responses
        sent_before = responses.counters["cancels"]
        if not (self._may_cancel(why) and responses.cancel()):
            return "not needed"
        if responses.counters["cancels"] == sent_before:
            return "when it begins"
        events.barge_in_cancel(call.log, response_id=responses.response_id, at_ms=call.now_ms())
        return "sent"

    def _may_cancel(self, why: str) -> bool:
        """What was interrupted, and what was asked for before the caller spoke; never what overtakes it."""
        responses = self._call.session.responses
        return responses.response_id == self._response_id if responses.generating else why != "response"

    def _resume(self, why: str) -> None:
        barge_in = self._end(Event.RESUME, why)
        barge_in.frames_rewound = self._call.assistant.resume()
        false = sum(one.outcome == State.RESUMED for one in self._call.stats.barge_ins)
        events.barge_in_false(self._call.log, count=false, held_ms=barge_in.held_ms or 0, why=why)

    def _end(self, event: Event, why: str) -> BargeIn:
        self._to(event)
        self._look.clear()
        barge_in = self._current
        if barge_in is None:
            raise IllegalEvent("interruption: none is under way")
        self._current = None
        barge_in.outcome, barge_in.why = str(self.state), why
        barge_in.held_ms = self._call.clock.elapsed_ms(self._held_ns)
        return barge_in
