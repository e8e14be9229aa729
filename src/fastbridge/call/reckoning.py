"""What responses cost that the service has not told of: one under way, one that would be asked for now, and those of
which it has told nothing at all.

It is reckoned by what there is to be read again, which is all that was said, and by the audio that has come. Nothing
is decided here, and nothing of it is in a record.
"""

from typing import Protocol

from fastbridge.agent.definition import Agent
from fastbridge.model.port import Model
from fastbridge.model.usage import KINDS, Usage

TOKENS_A_FRAME = 0.4
"""20 ms of the assistant's audio. Source: OpenAI, "Managing costs": one token for 50 ms."""
WORDS_A_TOKEN = 0.25
"""Tokens of text that come with one of audio: what is said is written down, too."""
BYTES_A_TOKEN = 4
"""Of instructions, in UTF-8."""
MAX_GUESSES = 64
"""Responses of which the service may still tell; what it tells of an older one is counted beside its guess."""


class Enqueued(Protocol):
    """The assistant's lane."""

    @property
    def frames_enqueued(self) -> int: ...


class Reckoning:
    """One call's."""

    def __init__(self, agent: Agent, session: Model, assistant: Enqueued) -> None:
        self._session = session
        self._assistant = assistant
        self._told = Usage()  # as it was when the last response was done
        self._last = Usage()  # of the last response
        self._grown_by = 0  # what the caller, and others, had added to the conversation before it
        self._frames = 0
        self._guesses: dict[str, Usage] = {}
        self._guessed = Usage()  # of those that are too old for that
        self.use(agent)

    def use(self, agent: Agent) -> None:
        """Who answers: the first response reads what he is told."""
        self._instructions = 1 + len(agent.instructions.encode("utf-8", "replace")) // BYTES_A_TOKEN

    @property
    def frames(self) -> int:
        """Of the response under way, so far."""
        return max(self._assistant.frames_enqueued - self._frames, 0)

    @property
    def total(self) -> Usage:
        """What the service has told, and what it has not told of responses that are over."""
        total = self._session.usage
        for guess in (self._guessed, *self._guesses.values()):
            total = total.plus(guess)
        return total

    def response_begun(self) -> None:
        """What has come before is not of it: recordings of ours."""
        self._frames = self._assistant.frames_enqueued

    def response_done(self, response_id: str) -> None:
        """What it has cost is known; or never will be, and is what it was reckoned to be."""
        last, told = self._last, self._session.usage.less(self._told)
        self._told = Usage(**vars(self._session.usage))
        if told.total_tokens and any(getattr(told, kind) for kind in KINDS):
            self._last = told
            if last.input_tokens:
                self._grown_by = max(told.input_tokens - last.input_tokens - last.output_tokens, 0)
        else:
            self._guess(response_id, counted=told.total_tokens > 0)
        self._frames = self._assistant.frames_enqueued

    def usage_told(self, response_id: str) -> None:
        """It has told after all, late."""
        self._guesses.pop(response_id, None)
        self._told = Usage(**vars(self._session.usage))

    def _guess(self, response_id: str, *, counted: bool) -> None:
        """counted: the service has told how many tokens there were, but not of which kind."""
        guess = self._last = self._with_frames(self.frames)
        if counted:
            guess = Usage(**{kind: getattr(guess, kind) for kind in KINDS})
        self._guesses[response_id] = guess
        if len(self._guesses) > MAX_GUESSES:
            self._guessed = self._guessed.plus(self._guesses.pop(next(iter(self._guesses))))

    def running(self, ahead: int = 0) -> Usage:
        """What the response under way will be found to have cost so far; ahead: with so many frames more."""
        return self._with_frames(self.frames + ahead) if self._session.responses.generating else Usage()

    def _with_frames(self, frames: int) -> Usage:
        reckoned = self.conversation(Usage())
        speak(reckoned, round(frames * TOKENS_A_FRAME))
        return reckoned

    def conversation(self, running: Usage) -> Usage:
        """What a response would read that was asked for now: what the last one read and said, what the caller adds from
        one to the next, and what the one under way has said."""
        last, read = self._last, Usage()
        if last.input_tokens:
            read.text_in = last.text_in + last.text_out + running.text_out
            read.audio_in = last.audio_in + last.audio_out + running.audio_out + self._grown_by
            read.text_cached, read.audio_cached = last.text_cached, last.audio_cached
            read.input_tokens = last.input_tokens + last.output_tokens + running.output_tokens + self._grown_by
        else:
            read.text_in = self._instructions + running.text_out
            read.audio_in = running.audio_out
            read.input_tokens = self._instructions + running.output_tokens
        read.total_tokens = read.input_tokens
        return read


def speak(usage: Usage, tokens: int) -> None:
    """So much audio of the assistant's, besides."""
    usage.audio_out, usage.text_out = tokens, round(tokens * WORDS_A_TOKEN)
    usage.output_tokens = usage.audio_out + usage.text_out
    usage.total_tokens += usage.output_tokens
