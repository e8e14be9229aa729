"""Who speaks when in a GPT-Live session: the caller's turns as they are heard, the model's words as scripted.

The model answers when the caller is done, speaks when it is told to, and stops when he begins; what it would say while
he speaks waits until he is done. The habits of `Live` change each of these. What was said is kept as a conversation.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from . import live_wire
from .live_backend import Part
from .live_ear import Ear, Heard
from .live_line import Line
from .live_session_object import LiveSettings
from .live_voice import Voice
from .response import words
from .scenario import CallTool, Fail, ResponseRequest, Say, Scenario
from .timeline import Steps, Timeline
from .wire import Json, Problem

WORD_MS = 300
"""The caller's words are told while he speaks, one each so many milliseconds."""


class Talk:
    """`conversation` is what was said and done, in the shapes of Realtime's items. stored: the talk of the session that
    this one is a fork of. delegate(calls, spoke): what becomes of the model's tasks; spoke: it has said something."""

    def __init__(
        self, scenario: Scenario, line: Line, settings: LiveSettings, voice: Voice, stored: "Talk | None" = None
    ) -> None:
        self.conversation: list[Json] = list(stored.conversation) if stored is not None else []
        self.ear: Ear | None = None
        self.delegate: Callable[[Sequence[CallTool], bool], None] = lambda calls, spoke: None
        self._scenario = scenario
        self._live = scenario.live
        self._line = line
        self._settings = settings
        self._voice = voice
        self._caller_turns: int = stored._caller_turns if stored is not None else 0
        self._turns: int = stored._turns if stored is not None else 0
        self._replies: int = stored._replies if stored is not None else 0
        self._answer: Timeline | None = None
        self._telling: Timeline | None = None
        self._held: list[Say] = []
        self._turn_ms = 0.0
        self._told = 0

    @property
    def has_spoken(self) -> bool:
        """Whether the model has said anything, here or in the history it was given."""
        return any(each.get("role") == "assistant" for each in self._history)

    @property
    def _history(self) -> list[Json]:
        """What it was given at the start, and what came after."""
        return [*self._settings.settings.get("input", ()), *self.conversation]

    # The caller.

    def on_edge(self, edge: Heard) -> None:
        """The caller began or stopped to speak."""
        if edge.kind == "started":
            self._on_started(edge.at_ms)
        elif self._caller_turns not in self._scenario.endless_turns:
            self._on_stopped(edge.at_ms - self._live.turn_silence_ms)

    def _on_started(self, at_ms: float) -> None:
        self._turn_ms = at_ms
        self._told = 0
        if self._answer is not None:
            self._answer.stop()
        self._telling = self._line.later(self._tell())
        if self._live.interruptible and self._voice.speaking:
            self._line.later(self._hush())
        if self._live.speaks_over_ms is not None:
            self._answer = self._line.later(self._answering(self._live.speaks_over_ms))

    def _on_stopped(self, at_ms: float) -> None:
        if self._telling is not None:
            self._telling.stop()
        transcript = self._scenario.caller_transcript(self._caller_turns)
        self._line.later(self._tell_rest(words(transcript)[self._told :], self._turn_ms + self._told * WORD_MS, at_ms))
        content = [{"type": "input_audio", "transcript": transcript}]
        self.conversation.append({"type": "message", "role": "user", "content": content})
        answered = self._caller_turns not in self._scenario.unanswered_turns
        self._caller_turns += 1
        if self._live.speaks_over_ms is None:
            self._answer = self._line.later(self._answering(self._live.answer_ms, answered=answered))

    def _tell(self) -> Steps:
        """The caller's words while he speaks; the last one is told when he has stopped."""
        for index, word in enumerate(words(self._scenario.caller_transcript(self._caller_turns))[:-1]):
            at_ms = self._turn_ms + index * WORD_MS
            yield WORD_MS, live_wire.transcript_delta(live_wire.INPUT_TRANSCRIPT, word, at_ms, at_ms + WORD_MS)
            self._told = index + 1

    def _tell_rest(self, rest: list[str], start_ms: float, end_ms: float) -> Steps:
        yield self._scenario.transcription_ms, None
        each_ms = max(0.0, end_ms - start_ms) / max(1, len(rest))
        for index, word in enumerate(rest):
            at_ms = start_ms + index * each_ms
            yield 0.0, live_wire.transcript_delta(live_wire.INPUT_TRANSCRIPT, word, at_ms, at_ms + each_ms)

    # The model.

    def learn(self, text: str) -> None:
        """The client tells what is to be known, and not said."""
        content = [{"type": "input_text", "text": text}]
        self.conversation.append({"type": "message", "role": "system", "content": content})

    def say(self, say: Say) -> None:
        """Say it now, behind what is being said, or when the caller is done."""
        if self.ear is not None and self.ear.speaking and self._live.speaks_over_ms is None:
            self._held.append(say)
            return
        utterance = self._voice.say(say, self._line.clock_ms)
        utterance.item = {"type": "message", "role": "assistant"}
        utterance.item["content"] = [{"type": "output_audio", "transcript": ""}]
        self.conversation.append(utterance.item)

    def perform(self, turn: Sequence[Part]) -> None:
        """Do what the script says: speak, delegate, fail; an ending of another kind is silence."""
        for part in turn:
            if isinstance(part, Say):
                self.say(part)
            elif isinstance(part, Fail):
                self._line.send(live_wire.error(Problem(part.code, part.message, type=part.type)))
        calls = [part for part in turn if isinstance(part, CallTool)]
        if calls:
            self.delegate(calls, any(isinstance(part, Say) for part in turn))

    def next_turn(self, trigger: Literal["client", "vad"], params: Json, *, greets: bool = False) -> tuple[Part, ...]:
        """What the script has for now. greets: these are the first words of the conversation."""
        request = ResponseRequest(self._turns, self._replies, greets, trigger, params, self._history)
        self._turns += 1
        self._replies += not greets
        return self._scenario.turn_for(request)

    def told_to_speak(self, event: Json, delay_ms: float) -> Steps:
        """Commentary or instructions: the greeting, the commentary itself, or the next of the script's turns."""
        yield delay_ms, None
        if self.has_spoken and event["type"] == "session.commentary.append":
            self.say(Say(event["content"]))
        else:
            params = {"type": event["type"], "content": event["content"]}
            self.perform(self.next_turn("client", params, greets=not self.has_spoken))

    def _answering(self, delay_ms: float, *, answered: bool = True) -> Steps:
        """What was held back while he spoke, and then the answer."""
        yield delay_ms, None
        held, self._held = self._held, []
        for say in held:
            self.say(say)
        if answered:
            self.perform(self.next_turn("vad", {}))

    def _hush(self) -> Steps:
        yield self._live.stop_ms, None
        self._voice.hush()
