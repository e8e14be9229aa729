"""The caller talks over the assistant: hold at once, then commit or resume. The rules and times are those of
`fastbridge.call.barge_in`, which is not called: it stands on the compiled modules, of which the baseline shares none.

Hold: the carrier is cleared, the unheard audio is kept. Commit, when there is more to it than our detector: the model
hears speech, the voice lasts, a turn of the caller's arrives, another response begins. Else, with the line quiet again,
the assistant goes on with the frame that was cut off.
"""

from time import monotonic_ns
from typing import Any

import messages

MODEL_ALONE_SECONDS = 0.15
"""A caller whom only the model hears interrupts after this long without `speech_stopped`."""
RECOVERY_NS, DEADLINE_NS, LOOK_SECONDS = 500_000_000, 2_000_000_000, 0.02


class Interruption:
    def __init__(self, call: Any, *, confirm_ms: int) -> None:
        self._call = call
        self._confirm_ms = confirm_ms
        self._model_hears = False
        self._held_ns = 0  # since when; 0 is not held
        self._response_id: str | None = None
        self._current: dict[str, Any] = {}

    def on_edge(self) -> None:
        if self._may_begin():
            self._hold("local")
            if self._model_hears or not self._confirm_ms:
                self._commit("speech_started" if self._model_hears else "at_once")

    def on_speech_started(self) -> None:
        self._model_hears = True
        self._call.detectors.expect_voice(self._call.slot)
        if self._held_ns:
            self._commit("speech_started")
        else:
            self.on_begins()

    def on_speech_stopped(self) -> None:
        self._model_hears = False
        self._call.cancel_timer("model_alone")

    def on_begins(self) -> None:
        """The assistant begins to speak; the caller may be doing so already."""
        if self._model_hears and self._may_begin():
            self._call.later("model_alone", MODEL_ALONE_SECONDS, self._heard_by_the_model_alone)

    def commit_if_held(self, why: str) -> None:
        """A turn of the caller's, words of his, or another response: to be told before the playout is."""
        if self._held_ns:
            self._commit(why)

    def _heard_by_the_model_alone(self) -> None:
        if self._may_begin():
            self._hold("model")
            self._commit("speech_started")

    def _may_begin(self) -> bool:
        call = self._call
        if self._held_ns or call.locked or call.end_reason is not None:
            return False
        return call.playout.is_playing(monotonic_ns())

    def _judge(self) -> None:
        """Every 20 ms of a hold."""
        detector = self._call.detectors.state[self._call.slot]
        held_ns = monotonic_ns() - self._held_ns
        if 20 * detector["voice_frames"] >= self._confirm_ms:
            self._commit("voice")
        elif held_ns >= RECOVERY_NS and not detector["speaking"] and detector["level"] < detector["threshold"]:
            self._resume("quiet")
        elif held_ns >= DEADLINE_NS:
            self._resume("deadline")
        else:
            self._call.later("look", LOOK_SECONDS, self._judge)

    def _hold(self, source: str) -> None:
        call = self._call
        call.cancel_timer("model_alone")
        self._response_id = call.response_id
        self._held_ns = monotonic_ns()
        unsent, unheard = call.playout.hold()
        self._current = {
            "at_ms": call.now_ms(),
            "source": source,
            "frames_unsent": unsent,
            "frames_unheard": unheard,
            "items": [],
        }
        call.barge_ins.append(self._current)
        call.later("look", LOOK_SECONDS, self._judge)

    def _commit(self, why: str) -> None:
        """First no new audio may come in, then none may go out, then the model learns what was heard."""
        call = self._call
        self._end("committed", why)
        self._model_hears = False  # what he says interrupts once, however late its end is told
        call.playout.refuse()
        if call.response_id is not None and call.response_id == self._response_id:
            call.send({"type": "response.cancel", "response_id": call.response_id})
            call.response_id = None
        call.playout.clear()
        for item_id, heard_ms, received_ms in call.playout.cut_off():
            call.send(messages.truncation(item_id, heard_ms))
            self._current["items"].append({"item_id": item_id, "heard_ms": heard_ms, "received_ms": received_ms})

    def _resume(self, why: str) -> None:
        self._end("resumed", why)
        self._current["frames_rewound"] = self._call.playout.resume()

    def _end(self, outcome: str, why: str) -> None:
        self._call.cancel_timer("look")
        held_ms = (monotonic_ns() - self._held_ns) // 1_000_000
        self._current |= {"outcome": outcome, "why": why, "held_ms": held_ms}
        self._held_ns = 0
