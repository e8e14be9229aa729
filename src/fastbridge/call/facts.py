"""What is going on in a call: every question about more than one of its parts is asked here, and answered once.

Each fact stays with its owner; nothing is kept here, and nothing changed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastbridge.agent.tool import Tool
    from fastbridge.call.call import Call

MEDIA_GAP_SECONDS = 0.75
"""No audio of the caller's for this long: nothing is known of him now."""


class Facts:
    """One call's."""

    def __init__(self, call: "Call") -> None:
        self._call = call

    # --- who speaks ---

    @property
    def assistant_speaks(self) -> bool:
        """Something is being heard, or is held back and may go on."""
        return self._call.assistant.playing or self._call.assistant.held

    @property
    def caller_speaks(self) -> bool:
        """By the model's account; but nobody speaks for ever."""
        return self._call.conduct.silence.caller_speaking

    @property
    def caller_is_loud(self) -> bool:
        """By our own ear, whatever the model says."""
        call = self._call
        return call.clock.now_ns() - call.caller.last_media_ns <= MEDIA_GAP_SECONDS * 1e9 and call.detector.speaking

    @property
    def caller_goes_on(self) -> bool:
        """By the model's account, and our ear's."""
        return self._call.answers.speaking and self.caller_is_loud

    @property
    def caller_may_be_speaking(self) -> bool:
        """What the model has not told, or cannot."""
        return self._call.interruption.held or (not self._call.line.up and self.caller_is_loud)

    @property
    def may_interrupt(self) -> bool:
        """There is something to interrupt, and it may be."""
        call = self._call
        if call.interruption.held or call.greeting.locked or call.ladder.ending or call.conduct.departure.firm:
            return False
        return call.live and call.assistant.playing

    # --- what is under way ---

    @property
    def leaving(self) -> bool:
        """The call is coming to its end: nothing new is begun."""
        return self._call.conduct.departure.asked or self._call.ladder.ending

    @property
    def attentive(self) -> bool:
        """The session is up and nobody is leaving: silence counts."""
        return self._call.session.ready and not self.leaving

    @property
    def running_tools(self) -> "list[Tool]":
        return self._call.tools.running_tools

    @property
    def model_works(self) -> bool:
        """The model has something to say or is about to; a tool runs for it, or its result has not been told."""
        return self._call.session.responses.busy or self._call.tools.busy

    @property
    def quiet(self) -> bool:
        """Nothing is being said, nothing is about to be, nobody works on it."""
        session = self._call.session
        if self.assistant_speaks or self._call.answers.owed:
            return False
        if self._call.conduct.departure.firm:
            return not session.responses.says_last_word
        return not (session.ready and self.model_works)

    @property
    def speechless(self) -> bool:
        """The model has nothing else to say, and could."""
        busy = self.assistant_speaks or self._call.session.responses.busy
        return not (busy or self.caller_speaks) and self.attentive

    @property
    def between_responses(self) -> bool:
        """A moment in which another session can take over, if it must: nothing would be lost."""
        return self._call.line.up and not (self.model_works or self._call.ladder.ending)

    @property
    def between_turns(self) -> bool:
        """A moment in which another session can take over, and nobody hears it."""
        said = self.assistant_speaks or self._call.answers.owed
        speaks = self._call.answers.speaking or self.caller_is_loud
        return self.between_responses and not (said or speaks)

    @property
    def waits_for(self) -> str | None:
        """What the caller waits for, as in `waiting.LIMIT_SECONDS`; None while nothing is owed to him."""
        call = self._call
        if call.ladder.ending or call.answers.speaking:
            return None
        if call.greeting.awaited or call.stats.ready_ms is None:
            return "connecting"
        busy, tools = call.session.responses.busy, call.tools.running
        if not call.line.up:
            return "lost" if busy or call.answers.owed or tools else "idle"
        if tools:
            return "tool"
        return "response" if busy else "answer" if call.answers.owed else None
