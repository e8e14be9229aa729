"""What a caller hears from the carrier itself when there is no conversation: all lines are busy, or something failed.

Said in the caller's language, as far as that is known: the agent's, else the node's. A recording of the operator's own
is played, his own words are said, else ours; the texts are `languages`'. Pure, but for the recordings, which are read
once, at the start.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastbridge.agent.definition import Agent
from fastbridge.base.languages import FALLBACK, LANGUAGES, Message, known, same, short
from fastbridge.base.prompts import recording, wav
from fastbridge.carrier.twilio.twiml import apology_twiml, busy_twiml, play_twiml
from fastbridge.config import Settings

MESSAGES: tuple[Message, ...] = ("busy", "apology")
MAX_LANGUAGES = 64
"""Folders of recordings, one for a language."""
PATH = "/prompts/"


class Recordings:
    """The operator's own, as files that the carrier fetches. Each is named by its content, so it can be kept for ever,
    and every process of the node has the same; no other name is a file's."""

    def __init__(self, folder: Path | None) -> None:
        self.files: dict[str, bytes] = {}
        self._names: dict[tuple[str, Message], str] = {}
        if folder is None or not folder.is_dir():
            return
        languages = sorted(path.name for path in folder.iterdir() if short(path.name) == path.name)
        for language in ["", *languages[:MAX_LANGUAGES]]:
            for which in MESSAGES:
                audio = recording(which, folder / language)
                if audio is not None:
                    name = f"{hashlib.sha256(audio).hexdigest()[:32]}.wav"
                    self.files[name] = wav(audio)
                    self._names[language, which] = name

    def name(self, which: Message, language: str) -> str | None:
        """The file for a caller of this language."""
        return self._names.get((short(language), which)) or self._names.get(("", which))


class Announcer:
    """The words of one node."""

    def __init__(self, settings: Settings) -> None:
        self.recordings = Recordings(settings.prompts_dir)
        self._settings = settings

    def twiml(self, which: Message, *, agent: Agent | None = None, language: str = "") -> str:
        """Say it, and hang up. agent: who would have answered. language: of the caller, where more is known than the
        agent's."""
        settings, own = self._settings, agent.settings if agent is not None else {}
        language = language or (agent.language if agent is not None else "") or settings.language or FALLBACK
        file = self.recordings.name(which, language)
        if file is not None:
            return play_twiml(f"{settings.public_url}{PATH}{file}")
        name = f"{which}_message"
        text = own.get(name) or (getattr(settings, name) if same(settings.language or language, language) else "")
        if not text and known(language) is None:
            language, own = FALLBACK, {}
        text = text or LANGUAGES[short(language)].message(which)
        say_language, say_voice = speaker(settings, own, language)
        build = busy_twiml if which == "busy" else apology_twiml
        return build(text, language=say_language, voice=say_voice)


def speaker(settings: Settings, own: Mapping[str, Any], language: str) -> tuple[str, str]:
    """`<Say>`'s language and voice for a text in this language: the agent's own settings, then the node's, which are
    for the node's language, then what is known. A voice goes with its language: it is not asked to speak another."""
    found = known(language)
    usual = (found.say_language, found.say_voice) if found is not None else (language.replace("_", "-"), "")
    ours = same(settings.language or settings.say_language or FALLBACK, language)
    say_language = own.get("say_language") or (settings.say_language if ours else "") or usual[0]
    say_voice = own.get("say_voice") or (settings.say_voice if ours else "")
    return say_language, say_voice or (usual[1] if say_language == usual[0] else "")
