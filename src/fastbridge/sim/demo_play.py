"""The play that `fastbridge demo` performs: who says what, and when.

The caller goes by a script and by its ear; the simulated model answers by how far the caller's lines have come, so that
a caller's recording with pauses in it, each of which is a turn to the model, does not throw the play out of step.

It is nearly the same play whether the model speaks the Realtime API or GPT-Live.

With an agent of the user's there is no play but a Talk: the model says what the node tells it to say in so many words,
answers each turn with a line of its own, and calls no tool, for what that does in earnest nobody here can know.
"""

from collections.abc import Callable, Sequence

from fastbridge.sim.audio import FRAME_BYTES, FRAME_MS, speech
from fastbridge.sim.live_script import Live
from fastbridge.sim.report import Event
from fastbridge.sim.scenario import CallTool, ResponseRequest, Say, Scenario, Turn
from fastbridge.sim.script import AfterAssistant, AfterMs, Conversation, HangUp, Interrupt, Speak, Step

TOOL = "check_availability"
TOOL_ARGUMENTS = {"day": "Thursday", "part_of_day": "afternoon"}
INTERRUPT_AFTER_MS = 4300

CALLER_WORDS = {
    "caller_appointment": "Hello! I would like an appointment for a check up, on Thursday afternoon, please.",
    "caller_interrupts": "Wait, sorry! Is there anything in the morning?",
    "caller_accepts": "Yes, ten thirty is fine. Thank you, goodbye!",
}
ASSISTANT_WORDS = {
    "assistant_greeting": "Maple Street Dental, good morning! How can I help you?",
    "assistant_times": (
        "On Thursday afternoon, I have one o'clock, one forty five, a quarter past two, three o'clock, half past "
        "three, ten to four, twenty past four, and, as the last one of the day, five o'clock. "
        "Which of these suits you best?"
    ),
    "assistant_morning": "Of course. On Thursday morning, I have nine o'clock, or ten thirty. Is one of them good?",
    "assistant_goodbye": "Thursday at ten thirty it is. See you then, goodbye!",
}


OF_COURSE = "Of course."
OF_COURSE_BYTES = 43 * FRAME_BYTES
"""What `assistant_morning` begins with."""
FRAME_BY_FRAME = Live(delta_ms=FRAME_MS)
"""A GPT-Live model's stream."""
YOURS = "(your recording)"
SAY_EXACTLY = "Say exactly this, and nothing else: "
"""How the node asks for words of its own."""
COMMENTARY = "session.commentary.append"
"""How it asks a GPT-Live model."""


class Play:
    """One performance. `recordings` are the caller's lines in their order, in place of as many of the shipped ones.

    now_ms: the clock of the events. live: the model is GPT-Live, which hands work on, and says so while it is done.
    `caller` is set before the call begins.
    """

    tool: str | None = TOOL

    def __init__(self, recordings: Sequence[bytes], now_ms: Callable[[], float], *, live: bool = False) -> None:
        self.events: list[Event] = []
        self.caller: Conversation | None = None
        self._now_ms = now_ms
        self._tool_called = self._times_told = False
        self._live = live
        mine = dict(zip(CALLER_WORDS, recordings, strict=False))
        words = {name: YOURS if name in mine else text for name, text in CALLER_WORDS.items()}
        first, second, third = ((mine.get(name, name), words[name]) for name in CALLER_WORDS)
        self.script: list[Step] = [
            Speak(first[0], AfterAssistant(700), first[1]),
            Interrupt(second[0], INTERRUPT_AFTER_MS, second[1]),
            Speak(third[0], AfterAssistant(700), third[1]),
            HangUp(AfterAssistant(600)),
        ]
        self.scenario = Scenario(script=self._answer, caller_transcripts=[*CALLER_WORDS.values()], live=FRAME_BY_FRAME)

    def _answer(self, request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return self._say("assistant_greeting")
        lines = self.caller.lines if self.caller is not None else 0
        if lines > 1:
            return self._say("assistant_morning" if lines == 2 else "assistant_goodbye")
        if not self._tool_called:
            self._tool_called = True
            self._note("tool_call", f"{TOOL}({', '.join(TOOL_ARGUMENTS.values())})")
            call = CallTool(TOOL, TOOL_ARGUMENTS)
            return (self._say_of_course(), call) if self._live else call
        if self._times_told and request.params:
            return ()  # told to react to what it is about to say, or says
        last = request.conversation[-1]
        if last.get("type") == "function_call_output":
            self._note("tool_result", str(last.get("output", "")))
        self._times_told = True
        return self._say("assistant_times")

    def _say_of_course(self) -> Say:
        self._note("response", OF_COURSE)
        return Say(OF_COURSE, speech("assistant_morning")[:OF_COURSE_BYTES])

    def _say(self, name: str) -> Say:
        self._note("response", ASSISTANT_WORDS[name])
        return Say(ASSISTANT_WORDS[name], speech(name))

    def _note(self, kind: str, text: str) -> None:
        self.events.append(Event(self._now_ms(), kind, text))


class Talk:
    """A call with an agent of the user's: its greeting, and an answer to each of the caller's lines.

    recordings: the caller's lines; two of ours, where there are none. greeted: the agent speaks first.
    """

    tool: str | None = None

    def __init__(self, recordings: Sequence[bytes], now_ms: Callable[[], float], *, greeted: bool) -> None:
        self.events: list[Event] = []
        self.caller: Conversation | None = None
        self._now_ms = now_ms
        ours = {name: CALLER_WORDS[name] for name in ("caller_appointment", "caller_accepts")}
        lines: list[tuple[bytes | str, str]] = [(each, YOURS) for each in recordings] or [*ours.items()]
        self.script: list[Step] = [Speak(audio, AfterAssistant(700), text) for audio, text in lines]
        if not greeted:
            self.script[0] = Speak(lines[0][0], AfterMs(1000), lines[0][1])
        self.script.append(HangUp(AfterAssistant(600)))
        self.scenario = Scenario(
            script=self._answer, caller_transcripts=[text for _, text in lines], live=FRAME_BY_FRAME
        )

    def _answer(self, request: ResponseRequest) -> Turn:
        _, told, words = str(request.params.get("instructions") or "").partition(SAY_EXACTLY)
        if request.params.get("type") == COMMENTARY:
            told, words = COMMENTARY, str(request.params["content"])
        text = words if told else f"This is the simulated model, and this its answer number {request.reply_index + 1}."
        self.events.append(Event(self._now_ms(), "response", text))
        return Say(text)
