"""One real Call on virtual time whose carrier has an API, and what a test asks of the two most often."""

import asyncio
from dataclasses import replace
from typing import Any

from fastbridge.agent import Agent
from helpers import SID
from virtual import Rig, call_context


class Control:
    """The carrier's API."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.well = True
        self.seconds = 0.0

    async def hang_up(self, account_sid: str, call_sid: str) -> bool:
        return await self._do("hang_up", account_sid, call_sid)

    async def connect(self, account_sid: str, call_sid: str, number: str) -> bool:
        return await self._do("connect", account_sid, call_sid, number)

    async def _do(self, *what: str) -> bool:
        self.done.append(what)
        await asyncio.sleep(self.seconds)
        return self.well


class CallRig(Rig):
    """A Rig whose call has a carrier's API, or none."""

    def __init__(self, agent: Agent | None = None, *, control: Control | None = None, **settings: Any) -> None:
        super().__init__(agent, **settings)
        settings_object = self.call.settings
        context = replace(call_context(parameters={"business_id": "7"}), account_sid="AC" + "0" * 32)
        self.control = control
        self.ended.clear()
        self.call = self.make_call(
            settings=settings_object, agent=agent or Agent(), context=context, control=control, lookup=None
        )

    @property
    def creates(self) -> list[dict[str, Any]]:
        asked = [dict(message.get("response", {})) for message in self.sent("response.create")]
        for response in asked:
            response.pop("metadata", None)  # the controller's own
        return asked

    @property
    def notes(self) -> list[tuple[str, str]]:
        items = [message["item"] for message in self.sent("conversation.item.create")]
        return [(item["role"], item["content"][0]["text"]) for item in items if item["type"] == "message"]

    @property
    def outputs(self) -> list[str]:
        items = [message["item"] for message in self.sent("conversation.item.create")]
        return [item["output"] for item in items if item["type"] == "function_call_output"]

    def press(self, keys: str, seconds: float = 0.2) -> None:
        """seconds: after each key."""
        for key in keys:
            message = {"event": "dtmf", "streamSid": SID.decode(), "dtmf": {"track": "inbound_track", "digit": key}}
            self.carrier(message)
            self.advance(seconds)

    def speech(self, started: bool = True) -> None:
        self.model({"type": f"input_audio_buffer.speech_{'started' if started else 'stopped'}", "item_id": "item_u"})

    def caller_turn(self, text: str, item_id: str = "item_u") -> None:
        self.speech()
        self.speech(started=False)
        self.model({"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None})
        kind = "conversation.item.input_audio_transcription.completed"
        self.model({"type": kind, "item_id": item_id, "transcript": text})
