"""The play that `fastbridge demo` performs: who says what, and when.

The caller goes by a script and by its ear; the simulated model answers by how far the caller's lines have come, so that
a caller's recording with pauses in it, each of which is a turn to the model, does not throw the play out of step.
"""

from collections.abc import Callable

from fastbridge.sim.audio import speech
from fastbridge.sim.report import Event
from fastbridge.sim.scenario import CallTool, ResponseRequest, Say, Scenario, Turn
from fastbridge.sim.script import AfterAssistant, Conversation, HangUp, Interrupt, Speak, Step

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


class Play:
    """One performance. `recording`, if any, is the caller's first line in place of the shipped one.

    now_ms: the clock of the events. `caller` is set before the call begins.
    """

    def __init__(self, recording: bytes | None, now_ms: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self.caller: Conversation | None = None
        self._now_ms = now_ms
        self._tool_called = False
        first = _line("caller_appointment") if recording is None else Speak(recording, text="(your recording)")
        self.script: list[Step] = [
            first,
            Interrupt("caller_interrupts", INTERRUPT_AFTER_MS, CALLER_WORDS["caller_interrupts"]),
            _line("caller_accepts"),
            HangUp(AfterAssistant(600)),
        ]
        words = [CALLER_WORDS[name] for name in ("caller_appointment", "caller_interrupts", "caller_accepts")]
        self.scenario = Scenario(script=self._answer, caller_transcripts=words)

    def _answer(self, request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return self._say("assistant_greeting")
        lines = self.caller.lines if self.caller is not None else 0
        if lines > 1:
            return self._say("assistant_morning" if lines == 2 else "assistant_goodbye")
        if not self._tool_called:
            self._tool_called = True
            self._note("tool_call", f"{TOOL}({', '.join(TOOL_ARGUMENTS.values())})")
            return CallTool(TOOL, TOOL_ARGUMENTS)
        last = request.conversation[-1]
        if last.get("type") == "function_call_output":
            self._note("tool_result", str(last.get("output", "")))
        return self._say("assistant_times")

    def _say(self, name: str) -> Say:
        self._note("response", ASSISTANT_WORDS[name])
        return Say(ASSISTANT_WORDS[name], speech(name))

    def _note(self, kind: str, text: str) -> None:
        self.events.append(Event(self._now_ms(), kind, text))


def _line(name: str) -> Speak:
    return Speak(name, AfterAssistant(700), CALLER_WORDS[name])
