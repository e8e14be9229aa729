"""carrier.twilio.announcements: whose words are said, in which language and by whom; and recordings as files."""

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from fastbridge.agent import Agent
from fastbridge.base.languages import LANGUAGES
from fastbridge.base.prompts import wav
from fastbridge.carrier.twilio.announcements import MAX_LANGUAGES, PATH, Announcer, Recordings
from fastbridge.config import Settings

URL = "https://voice.example.com"
EN, DE, HE = (LANGUAGES[code] for code in ("en", "de", "he"))
HEBREW = {"language": "he-IL", "voice": "Google.he-IL-Standard-A"}
GERMAN = {"language": "de-DE", "voice": "Google.de-DE-Standard-A"}


def said(settings: dict[str, Any] | None = None, *, which: Any = "busy", **who: Any) -> tuple[str, str, dict[str, str]]:
    """The first verb: its name, its text, its attributes."""
    announcer = Announcer(Settings.model_construct(public_url=URL, **(settings or {})))
    verb, hangup = ElementTree.fromstring(announcer.twiml(which, **who))
    assert hangup.tag == "Hangup"
    return verb.tag, verb.text or "", verb.attrib


@pytest.mark.parametrize(
    ("settings", "who", "text", "attributes"),
    [
        ({}, {}, EN.busy, {}),
        ({"language": "he"}, {}, HE.busy, HEBREW),
        ({"language": "he-IL"}, {}, HE.busy, HEBREW),
        ({"language": "de_AT"}, {}, DE.busy, GERMAN),
        ({"language": "en-GB"}, {}, EN.busy, {}),
        ({"language": "pt-BR"}, {}, EN.busy, {}),
        ({"language": "he"}, {"agent": Agent()}, HE.busy, HEBREW),
        ({"language": "he"}, {"agent": Agent(language="de")}, DE.busy, GERMAN),
        ({"language": "he"}, {"agent": Agent(language="en")}, EN.busy, {}),
        ({}, {"agent": Agent(language="en"), "language": "he"}, HE.busy, HEBREW),
    ],
)
def test_our_own_words_in_the_callers_language(settings, who, text, attributes):
    assert said(settings, **who) == ("Say", text, attributes)


def test_an_apology_is_another_text():
    assert said({"language": "he"}, which="apology") == ("Say", HE.apology, HEBREW)


@pytest.mark.parametrize(
    ("settings", "language", "text", "attributes"),
    [
        ({}, "", "Later.", {}),
        ({}, "he", "Later.", HEBREW),  # no language of the node's: it is meant for all
        ({"language": "de"}, "", "Later.", GERMAN),
        ({"language": "de"}, "de-CH", "Later.", GERMAN),
        ({"language": "de"}, "he", HE.busy, HEBREW),  # German words are not for him
        ({"language": "pt-BR"}, "", "Later.", {"language": "pt-BR"}),
        ({"language": "pt_BR"}, "", "Later.", {"language": "pt-BR"}),
        ({"language": "pt-BR"}, "xx", EN.busy, {}),
    ],
)
def test_the_operators_words_are_for_callers_of_the_nodes_language(settings, language, text, attributes):
    assert said({"busy_message": "Later.", **settings}, language=language) == ("Say", text, attributes)


def test_an_agent_in_another_language_has_words_and_a_voice_of_its_own():
    own = {"busy_message": "Mais tarde.", "say_language": "pt-PT", "say_voice": "Polly.Ines"}
    agent = Agent(language="pt", settings=own)
    settings = {"language": "de", "busy_message": "Später.", "say_voice": "Polly.Vicki"}
    assert said(settings, agent=agent) == ("Say", "Mais tarde.", {"language": "pt-PT", "voice": "Polly.Ines"})
    assert said(settings, agent=agent, which="apology") == ("Say", EN.apology, {}), (
        "no voice for a text it does not speak"
    )
    assert said(settings, agent=Agent()) == ("Say", "Später.", {"language": "de-DE", "voice": "Polly.Vicki"})


@pytest.mark.parametrize(
    ("settings", "language", "attributes"),
    [
        ({"say_voice": "Polly.Amy"}, "", {"voice": "Polly.Amy"}),
        ({"say_voice": "Polly.Amy"}, "he", HEBREW),  # without a language of the node's she speaks English
        ({"say_language": "en-GB", "say_voice": "Polly.Amy"}, "en", {"language": "en-GB", "voice": "Polly.Amy"}),
        ({"language": "he", "say_voice": "Google.he-IL-Wavenet-B"}, "", HEBREW | {"voice": "Google.he-IL-Wavenet-B"}),
        ({"say_language": "he-IL", "say_voice": "Google.he-IL-Wavenet-B"}, "de", GERMAN),
        ({"language": "he", "say_language": "he-IL"}, "", HEBREW),
        ({"language": "es", "say_language": "es-MX"}, "", {"language": "es-MX"}),  # ours would not speak that
        ({"language": "ar", "say_language": "arb", "say_voice": "Polly.Zeina"}, "",
         {"language": "arb", "voice": "Polly.Zeina"}),
    ],
)  # fmt: skip
def test_who_says_it(settings, language, attributes):
    assert said(settings, language=language)[2] == attributes


# Recordings


def folder_of(tmp_path: Path, **files: bytes) -> Path:
    """he_apology=b"…" is he/apology.ulaw."""
    for name, audio in files.items():
        path = tmp_path / f"{name.replace('_', '/')}.ulaw"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(audio)
    return tmp_path


def test_a_recording_wins_over_words(tmp_path):
    folder = folder_of(tmp_path, he_apology=b"\x01" * 160)
    settings = {"prompts_dir": folder, "language": "he", "apology_message": "Words."}
    verb, url, _ = said(settings, which="apology")
    assert verb == "Play"
    assert url.startswith(f"{URL}{PATH}")
    assert said(settings) == ("Say", HE.busy, HEBREW)
    assert said(settings, which="apology", language="de") == ("Say", DE.apology, GERMAN)


def test_those_for_a_language_come_before_those_for_all(tmp_path):
    folder = folder_of(tmp_path, busy=b"\x01" * 160, he_busy=b"\x02" * 161, fr_apology=b"\x03")
    recordings = Recordings(folder)
    contents = {language: recordings.files[recordings.name("busy", language) or ""] for language in ("he-IL", "de", "")}
    assert contents == {"he-IL": wav(b"\x02" * 161), "de": wav(b"\x01" * 160), "": wav(b"\x01" * 160)}
    assert recordings.name("apology", "he") is None
    assert recordings.name("apology", "FR") in recordings.files


def test_a_file_is_named_by_what_is_in_it(tmp_path):
    folder = folder_of(tmp_path, busy=b"\x01" * 160, he_busy=b"\x01" * 160)
    first = Recordings(folder)
    assert len(first.files) == 1
    assert Recordings(folder).files == first.files
    (folder / "busy.ulaw").write_bytes(b"\x02" * 160)
    assert Recordings(folder).name("busy", "") not in first.files


@pytest.mark.parametrize("names", [[], ["hold.ulaw", "busy.wav"], [".git", "EN", "x y", "é"]])
def test_what_is_no_recording_of_ours_is_left_alone(tmp_path, names):
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "busy.ulaw").write_bytes(b"\x01")
    assert Recordings(tmp_path).files == {}
    assert Recordings(tmp_path / "nowhere").files == Recordings(None).files == {}


def test_their_number_is_bounded(tmp_path):
    for first in "abcdefghij":
        for second in "abcdefghij":
            folder_of(tmp_path, **{f"{first}{second}_busy": f"{first}{second}".encode()})
    assert len(Recordings(tmp_path).files) == MAX_LANGUAGES


@pytest.mark.parametrize("audio", [b"", b"\x01\x02\x03", b"\x01" * 160])
def test_it_is_a_wav_file_of_mu_law(audio):
    data = wav(audio)
    assert (data[:4], data[8:12]) == (b"RIFF", b"WAVE")
    assert len(data) == int.from_bytes(data[4:8], "little") + 8
    chunks, at = {}, 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    assert struct.unpack("<HHIIHHH", chunks[b"fmt "]) == (7, 1, 8000, 8000, 1, 8, 0)
    assert struct.unpack("<I", chunks[b"fact"]) == (len(audio),)
    assert chunks[b"data"] == audio
