"""Facts, what is going on in a call: every question about more than one of its parts is asked here, answered once.

Each fact stays with its owner, of whom no more is known than `sources` says. Nothing is kept here, and nothing changed.
"""

from fastbridge.agent.tool import Tool
from fastbridge.call.sources import Sources

MEDIA_GAP_SECONDS = 0.75
"""No audio of the caller's for this long: nothing is known of him now."""


class Facts:
    """One call's."""

    def __init__(self, sources: Sources) -> None:
        self._of = sources

    # --- who speaks ---

    @property
    def assistant_speaks(self) -> bool:
        """Something is being heard, or is held back and may go on."""
        return self._of.assistant.playing or self._of.assistant.held

    @property
    def assistant_plays(self) -> bool:
        return self._of.assistant.playing

    @property
    def caller_speaks(self) -> bool:
        """By the model's account; but nobody speaks for ever."""
        return self._of.idle.caller_speaking

    @property
    def caller_is_loud(self) -> bool:
        """By our own ear, whatever the model says."""
        of = self._of
        return of.clock.now_ns() - of.caller.last_media_ns <= MEDIA_GAP_SECONDS * 1e9 and of.detector.speaking

    @property
    def caller_goes_on(self) -> bool:
        """By the model's account, and our ear's."""
        return self._of.turns.speaking and self.caller_is_loud

    @property
    def caller_may_be_speaking(self) -> bool:
        """What the model has not told, or cannot."""
        return self._of.barge_in.held or (not self._of.line.up and self.caller_is_loud)

    @property
    def may_interrupt(self) -> bool:
        """There is something to interrupt, and it may be."""
        of = self._of
        if of.barge_in.held or of.greeting.locked or of.fallback.ending or of.hangup.firm:
            return False
        return of.live and of.assistant.playing and not of.transfers.holding

    @property
    def interrupts_unnoticed(self) -> bool:
        """He has interrupted and speaks on, by our ear; the model has told nothing of it."""
        return self._of.turns.interrupted_unnoticed and self.caller_is_loud

    @property
    def model_hears(self) -> bool:
        """The caller speaks, by the model's account."""
        return self._of.turns.speaking

    @property
    def uncommitted(self) -> bool:
        """We ended his speech, and the model has not said that it took it."""
        return self._of.turns.uncommitted

    @property
    def owed_at_loss(self) -> bool:
        """He waited for an answer when the line was lost."""
        return self._of.turns.owed_at_loss

    @property
    def spoke_at_loss(self) -> bool:
        """He was speaking, or had just spoken, when the line was lost."""
        return self._of.turns.spoke_at_loss

    @property
    def noise_response(self) -> str:
        """A response whose audio was none."""
        return self._of.format_watch.noise_response

    @property
    def said_unheard(self) -> bool:
        """He has said something of which the model has not told, so far."""
        return self._of.upload_watch.said_unheard

    @property
    def overdue_seconds(self) -> float:
        """How long a caller has waited already, who was speaking, or had just spoken, when the line was lost."""
        return self._of.turns.overdue_seconds

    @property
    def model_tells_of_the_caller(self) -> bool:
        """There is no session, or the model says that he speaks: nothing of his goes unnoticed."""
        return not self._of.line.up or self._of.turns.speaking

    # --- what is under way ---

    @property
    def live(self) -> bool:
        return self._of.live

    @property
    def line_up(self) -> bool:
        return self._of.line.up

    @property
    def leaving(self) -> bool:
        """The call is coming to its end: nothing new is begun."""
        return self._of.hangup.asked or self._of.fallback.ending

    @property
    def leave_asked(self) -> bool:
        """We leave when all was heard."""
        return self._of.hangup.asked

    @property
    def puts_through(self) -> bool:
        """We leave, and somebody else takes the call."""
        return self._of.hangup.puts_through

    @property
    def holding(self) -> bool:
        """The caller waits for a human who is being called."""
        return self._of.transfers.holding

    @property
    def private(self) -> bool:
        """What the caller says, and types, is for the agent's code alone."""
        return self._of.privacy.on

    @property
    def transferred(self) -> bool:
        """Somebody else has the call now."""
        return self._of.hangup.transferred_to is not None or self._of.transfers.transferred_to is not None

    @property
    def attentive(self) -> bool:
        """The session is up and nobody is leaving, waits for a human, or types a secret: silence counts."""
        return self._of.session.ready and not (self.leaving or self.holding or self.private)

    @property
    def running_tools(self) -> list[Tool]:
        return self._of.tools.running_tools

    @property
    def tools_at_work(self) -> bool:
        """A tool runs for the model, or its result has not been told."""
        return self._of.tools.busy

    @property
    def handed_on(self) -> bool:
        """The model has others do something, and what comes of it is still to be told."""
        return self._of.session.handed_on

    @property
    def model_works(self) -> bool:
        """The model has something to say or is about to; a tool runs for it, or its result has not been told."""
        return self._of.session.responses.busy or self.tools_at_work

    @property
    def quiet(self) -> bool:
        """Nothing is being said, nothing is about to be, nobody works on it; nor is the caller led to somebody else."""
        session = self._of.session
        if self.assistant_speaks or self._of.turns.owed or self._of.transfers.leading:
            return False
        if self._of.hangup.firm:
            return not session.responses.says_last_word
        return not ((session.ready or self._of.line.returning) and self.model_works)

    @property
    def speechless(self) -> bool:
        """The model has nothing else to say, and could."""
        busy = self.assistant_speaks or self._of.session.responses.busy
        return not (busy or self.caller_speaks) and self.attentive

    @property
    def between_responses(self) -> bool:
        """A moment in which another session can take over, if it must: nothing would be lost."""
        return self._of.line.up and not (self.model_works or self.handed_on or self._of.fallback.ending)

    @property
    def between_turns(self) -> bool:
        """A moment in which another session can take over, and nobody hears it."""
        said = self.assistant_speaks or self._of.turns.owed or self.said_unheard
        speaks = self._of.turns.speaking or self.caller_is_loud
        return self.between_responses and not (said or speaks)

    @property
    def waits_for(self) -> str | None:
        """What the caller waits for, as in `dead_air.LIMIT_SECONDS`; None while nothing is owed to him."""
        of = self._of
        waits = of.transfers.holding or of.answered_by.waits or self.private
        if of.fallback.ending or of.turns.speaking or waits:
            return None
        if of.greeting.awaited or of.stats.ready_ms is None:
            return "connecting"
        wanted, tools = of.session.responses.wanted, of.tools.running
        if not of.line.up:
            return "lost" if wanted or of.turns.owed or tools else "idle"
        if tools:
            return "tool"
        if wanted or of.turns.owed:
            return "response" if wanted else "answer"
        return "response" if self.handed_on else "question" if of.session.responses.busy else None
