"""The opening of one session: `session.created`, our `session.update`, and the checked `session.updated`.

One Opening per connection. It asks again after 3 s and gives up after 8: audio in a format that the model has not
confirmed is noise in somebody's ear, so nothing passes before. It knows no audio and no conversation.

Other services than OpenAI's may create a session without a word, or not take all settings: what a conversation can do
without is left out then, and the rest asked for again.
"""

import re
from collections.abc import Callable
from typing import Any

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.json_text import object_of, within
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.model.errors import read_error
from fastbridge.model.opening import SessionOpening
from fastbridge.observe.trouble import Trouble

UPDATE_RETRY_SECONDS = 3.0
UPDATE_DEADLINE_SECONDS = 8.0
PCMU = {"type": "audio/pcmu"}
BETA_PCMU = "g711_ulaw"
MISSING = "missing_required_parameter"
NEEDED = frozenset({"type", "audio", "audio.input", "audio.output"})
NEEDED_WHOLE = frozenset({"instructions", "tools"})
"""Settings without which there is no conversation, or not the agent's: with all that is in them. So are formats."""
_SETTING = re.compile(r"\bsession\.([a-z_]+(?:\.[a-z_]+)*)")


class Opening(SessionOpening):
    """send(event): a client event, set by `connected`. ready(): the model has confirmed; failed(error): it has not."""

    def __init__(
        self,
        *,
        clock: Clock,
        config: dict[str, Any] | None,
        ready: Callable[[], object],
        failed: Callable[[ModelError], object],
        trouble: Trouble,
    ) -> None:
        super().__init__(ready=ready, failed=failed, trouble=trouble)
        self.config = config
        """None: not known yet, and nothing is sent before it is."""
        self._left_out: set[str] = set()
        self._retry = Deadline(clock, self._send_update)
        self._deadline = Deadline(clock, self._expired)

    def connected(self, send: Callable[[dict[str, Any]], object]) -> None:
        """The socket is open. The update follows `session.created`, which may have come already."""
        self._send = send
        self._deadline.set(UPDATE_DEADLINE_SECONDS)
        self._retry.set(UPDATE_RETRY_SECONDS)
        if self.session_id:
            self._send_update()

    def configure(self, config: dict[str, Any]) -> None:
        """These are the settings to be confirmed."""
        self.config = config
        if self.session_id and not self.is_ready:
            self._send_update()

    def on_created(self, event: dict[str, Any]) -> None:
        self._identify(object_of(event.get("session")))
        if self._send is not None:
            self._send_update()

    def on_updated(self, event: dict[str, Any]) -> None:
        formats = _formats(within(event, "session"))
        if not self._asked:
            return  # whatever this confirms, it is not our settings
        if formats != ("audio/pcmu", "audio/pcmu"):
            self.format_mismatches += 1
            self._trouble.wrong_format(formats)
            return
        if not self.is_ready:
            self.close()
            self.is_ready = True
            self._ready()

    def feed(self, event: dict[str, Any]) -> None:
        """An event of a session that is not in use yet: of those only the opening's count."""
        kind = event.get("type")
        if kind == "session.created":
            self.on_created(event)
        elif kind == "session.updated":
            self.on_updated(event)
        elif kind == "error" and not self.is_ready:
            error = read_error(event.get("error") or event, "the model reports an error")
            if not self.refused(error):
                self._failed(error)

    def refused(self, error: ModelError) -> bool:
        """The service does not take one of our settings: whether there is a cure, which is to do without."""
        if self.is_ready or not self._asked or self.config is None:
            return False
        path = refused_setting(error)
        if path in self._left_out and error.code != MISSING:
            return True  # it was asked for twice
        if path in self._left_out:
            path = path.rpartition(".")[0]
        if not path or path in NEEDED or path.split(".")[0] in NEEDED_WHOLE or ".format" in path:
            return False
        rest = without(self.config, path.split("."))
        if rest == self.config:
            return False
        self._left_out.add(path)
        self._trouble.left_out(error, path)
        self.config = rest
        self._send_update()
        return True

    def close(self) -> None:
        self._retry.clear()
        self._deadline.clear()

    def _send_update(self) -> None:
        if self.config is None:
            return
        if self._send is not None:
            self._asked = True
            self._send({"type": "session.update", "session": self.config})
            self._retry.set(UPDATE_RETRY_SECONDS)

    def _expired(self) -> None:
        self.close()
        code = "format_mismatch" if self.format_mismatches else "session_update_timeout"
        self._failed(ModelUnavailable("the model did not confirm the session's settings", code))


def _formats(session: dict[str, Any]) -> tuple[object, object]:
    """What goes in and out, in the Realtime API's words or in those of its beta."""
    flat = [session.get(f"{side}_audio_format") for side in ("input", "output")]
    if any(flat):
        given, taken = ("audio/pcmu" if name == BETA_PCMU else name for name in flat)
        return given, taken
    audio = within(session, "audio")
    return within(audio, "input", "format").get("type"), within(audio, "output", "format").get("type")


def refused_setting(error: ModelError) -> str:
    """The path of the setting, below `session`, that an error is about; nothing where it does not say."""
    named = _SETTING.search(error.param or error.words)
    return named[1] if named is not None else ""


def without(config: dict[str, Any], path: list[str]) -> dict[str, Any]:
    """The same without the setting at the end of this path, if it is there."""
    name, *rest = path
    if name not in config:
        return config
    if rest and isinstance(config[name], dict):
        return {**config, name: without(config[name], rest)}
    return config if rest else {each: value for each, value in config.items() if each != name}
