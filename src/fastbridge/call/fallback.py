"""Fallbacks for a silent model: a filler, and in the end an apology, somebody else, or goodbye.

Recordings are played through the assistant lane as responses of their own, so that they are paced, counted and heard
like all else and never overlap with the model. Rules: a filler gives way to the sound of the model's next response; it
stands in the middle of one only where that has stalled. The apology comes after what is still playing, and nothing
interrupts it. This file never decides how long is too long: `dead_air.py` and `model/line.py` do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any

from fastbridge._assistant import AssistantLane
from fastbridge.agent.definition import Agent, CallContext
from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.machine import Machine
from fastbridge.base.prompts import load_prompts
from fastbridge.call.happenings import EndCall, RecordingPlays
from fastbridge.call.local_sound import give_way, play, plays
from fastbridge.config import Settings
from fastbridge.errors import ModelError
from fastbridge.model.port import LOCAL_ID, Model, Tell
from fastbridge.observe import events
from fastbridge.observe.call_log import CallLog

FILLERS = ("filler_1", "filler_2", "hold")
FILLER_ID = f"{LOCAL_ID}filler"
APOLOGY_MARGIN_SECONDS = 1.5
"""How much later than by our clock a carrier may have played the apology."""
TRANSFER_SECONDS = 5.0


class State(StrEnum):
    QUIET = "quiet"
    APOLOGISING = "apologising"
    TRANSFERRING = "transferring"
    ENDED = "ended"


class Event(StrEnum):
    GIVE_UP = "give_up"
    HEARD = "heard"
    CLOSE = "close"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.QUIET: {Event.GIVE_UP: State.APOLOGISING, Event.CLOSE: State.ENDED},
    State.APOLOGISING: {Event.HEARD: State.TRANSFERRING, Event.CLOSE: State.ENDED},
    State.TRANSFERRING: {Event.CLOSE: State.ENDED},
    State.ENDED: {},
}
"""Deadlines: APOLOGISING, what is unheard and APOLOGY_MARGIN_SECONDS; TRANSFERRING, TRANSFER_SECONDS."""


class Fallback(Machine[State, Event]):
    """One call's. `apologised`: the caller has heard that something is wrong. transfer(number): connect the caller to
    it when all was heard; whether that was done."""

    transitions = TRANSITIONS

    def __init__(
        self,
        language: str,
        *,
        clock: Clock,
        settings: Settings,
        assistant: AssistantLane,
        session: Model,
        log: CallLog,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        transfer: Callable[[str], Awaitable[bool]],
        tell: Tell,
    ) -> None:
        super().__init__(clock, State.QUIET)
        self.apologised = False
        self._settings = settings
        self._assistant = assistant
        self._session = session
        self._log = log
        self._spawn = spawn
        self._transfer_to = transfer
        self._tell = tell
        self._prompts = load_prompts(language, settings.prompts_dir)
        self._played = 0
        self._reason = ""
        self._last_id = ""
        self._deadline = Deadline(clock, self._heard)

    def use(self, agent: Agent, context: CallContext, settings: Settings) -> None:
        """The caller's language is known now."""
        self._prompts = load_prompts(agent.language, settings.prompts_dir)

    @property
    def ending(self) -> bool:
        """The model has been given up: what is said now is said to the end."""
        return self.state in (State.APOLOGISING, State.TRANSFERRING)

    # --- fillers ---

    def fill(self, cause: str, in_row: int, silent_ms: int) -> None:
        """Play a filler, if there is one: the first of a row, from 0, is another than the last."""
        if self.state is not State.QUIET:
            return
        names = FILLERS if in_row < len(FILLERS) else FILLERS[1:]
        if self._play(names[in_row % len(names)], f"{FILLER_ID}_{self._played + 1}") > 0:
            self._tell(RecordingPlays(cause, silent_ms))

    def give_way(self, response_id: str) -> None:
        """The model begins to be heard: a filler that is still playing is cut off."""
        if self.state is State.QUIET:
            give_way(self._assistant, FILLER_ID, response_id)

    def _play(self, name: str, local_id: str) -> float:
        """Seconds of audio now in the lane; 0.0 where there is no such recording."""
        prompt = self._prompts.get(name)
        if prompt is None:
            return 0.0
        self._played += 1
        self._last_id = local_id
        play(self._assistant, self._session, local_id, prompt.base64)
        return prompt.seconds

    # --- the end ---

    def give_up(self, reason: str, error: ModelError | None = None) -> None:
        """The model will not serve this call any more: say so, pass the caller on, or say goodbye. `reason`: why the
        call ends. error: why that is."""
        if self.state is not State.QUIET:
            return
        self._to(Event.GIVE_UP)
        self._reason = reason
        lane = self._assistant
        if plays(lane, FILLER_ID):
            lane.clear()
        number = self._settings.fallback_number
        name = "transfer" if number else "apology"
        seconds = self._play(name, f"{LOCAL_ID}{name}")
        events.given_up(self._log, step=name, reason=reason, error=error)
        self._deadline.set(lane.unheard_ms / 1000 + APOLOGY_MARGIN_SECONDS if seconds else 0.0)

    def played(self, response_id: str) -> None:
        """The end mark of a response came back."""
        if self.state is State.APOLOGISING and response_id == self._last_id:
            self._heard()

    def _heard(self) -> None:
        if self.state is State.TRANSFERRING:
            self._tell(EndCall(self._reason))
            return
        self._to(Event.HEARD)
        self.apologised = self._last_id.startswith((f"{LOCAL_ID}apology", f"{LOCAL_ID}transfer"))
        self._deadline.set(TRANSFER_SECONDS)
        number = self._settings.fallback_number
        if number:
            self._spawn(self._transfer(number))
        else:
            self._tell(EndCall(self._reason))

    async def _transfer(self, number: str) -> None:
        """By REST, if there is a way; else the call's own TwiML dials the number once the stream is closed."""
        try:
            async with asyncio.timeout(TRANSFER_SECONDS):
                transferred = await self._transfer_to(number)
        except Exception as error:
            events.transfer_failed(self._log, error)
            transferred = False
        if not transferred and self.state is not State.ENDED:
            self._tell(EndCall(self._reason))

    def close(self) -> None:
        self._deadline.clear()
        if self.state is not State.ENDED:
            self._to(Event.CLOSE)
