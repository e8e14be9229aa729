"""The response controller with recorded ears: its verbs in a running loop of virtual time."""

from typing import Any

from fastbridge.model.port import Create
from fastbridge.model.realtime.responses import ResponseController
from fastbridge.model.response_states import State
from virtual import VirtualLoop

AT_REST = [State.IDLE, State.DONE, State.CANCELLED, State.FAILED]


def ours(number: int) -> dict[str, str]:
    """The metadata of our create with this number, as the model shows it."""
    return {"fastbridge": f"create_{number}"}


class ControllerRig:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.sent: list[dict[str, Any]] = []
        self.refused_responses: list[str] = []
        self.lost: list[str] = []
        self.stuck: list[tuple[str, str]] = []
        self.failed: list[tuple[str, str]] = []
        self.headway = 0
        self.controller = ResponseController(
            clock=loop.clock, send=self.sent.append, progress=lambda: self.headway, listener=self
        )

    def on_response_refused(self, response_id: str) -> None:
        self.refused_responses.append(response_id)

    def on_response_lost(self, response_id: str) -> None:
        self.lost.append(response_id)

    def on_response_stuck(self, response_id: str, create: Create) -> None:
        self.stuck.append((response_id, create.purpose))

    def on_asked(self) -> None:
        """Told of what it asked itself."""

    def on_create_failed(self, create: Create, code: str) -> None:
        self.failed.append((create.purpose, code))

    def __getattr__(self, verb: str) -> Any:
        """The controller's verbs, in the running loop; and its attributes."""
        value = getattr(self.controller, verb)
        return (lambda *arguments: self.loop.do(value, *arguments)) if callable(value) else value

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.sent]

    @property
    def creates(self) -> list[str]:
        return [event["event_id"] for event in self.sent if event["type"] == "response.create"]

    def shows_metadata(self) -> None:
        """The service has shown before that it shows what it was given."""
        self.create("before")
        self.created("resp_before", ours(1))
        self.finished("resp_before", "completed")

    def at(self, state: State) -> "ControllerRig":
        """Brought there as the world would."""
        if state in (State.ACTIVE, State.CANCELLING, State.DONE, State.CANCELLED, State.FAILED):
            self.created("resp_0")
        if state is State.CANCELLING:
            self.cancel()
        elif state is State.REQUESTED:
            self.create("greeting")
        elif state in AT_REST and state is not State.IDLE:
            self.finished("resp_0", {State.DONE: "completed", State.CANCELLED: "cancelled"}.get(state, "failed"))
        assert self.state is state
        return self
