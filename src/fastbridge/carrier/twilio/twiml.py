"""TwiML, what Twilio is told to do with a call: our few shapes of it, pure.

Byte for byte what Twilio's own library writes, to which the tests hold it: that is 51 MB, for a dozen shapes. Source:
Twilio's "TwiML for Programmable Voice".
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from xml.etree import ElementTree

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
ANSWER_SECONDS = 6
"""What somebody has who is asked, from the end of the question."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Spoken(NamedTuple):
    """What is said to somebody. language, voice: `<Say>`'s; empty: the account's default. url: a recording, played in
    place of the text."""

    text: str
    language: str = ""
    voice: str = ""
    url: str = ""


def connect_twiml(stream_url: str, action_url: str, parameters: Mapping[str, str]) -> str:
    """Connect the call to our media socket. When that ends Twilio asks `action_url` what to do next.

    A parameter comes back in the stream's `start`; characters that XML cannot hold become U+FFFD.
    """
    stream = _verb("Stream", url=stream_url)
    stream.extend(_verb("Parameter", name=name, value=value) for name, value in parameters.items())
    connect = _verb("Connect", action=action_url, method="POST")
    connect.append(stream)
    return _response(connect, _verb("Hangup"))


def busy_twiml(message: str, *, language: str = "", voice: str = "") -> str:
    """No room for this call: say so and hang up. language, voice: `<Say>`'s; empty: the account's default."""
    return _response(_say(message, language, voice), _verb("Hangup"))


def apology_twiml(message: str, *, language: str = "", voice: str = "") -> str:
    """The call failed on our side: the caller hears so, instead of a line gone dead. language, voice: as above."""
    return _response(_say(message, language, voice), _verb("Hangup"))


def play_twiml(url: str) -> str:
    """The caller hears this recording, and the call ends."""
    return _response(_verb("Play", url), _verb("Hangup"))


def dial_twiml(number: str) -> str:
    """Somebody else takes the call over."""
    return _response(_verb("Dial", number), _verb("Hangup"))


def hangup_twiml() -> str:
    """The conversation is over."""
    return _response(_verb("Hangup"))


def reject_twiml() -> str:
    """This caller is not let in; nothing is charged."""
    return _response(_verb("Reject"))


def transfer_twiml(number: str) -> str:
    """Connect the caller to this number (E.164); the call ends with that conversation."""
    dial = _verb("Dial")
    dial.append(_verb("Number", number))
    return _response(dial, _verb("Hangup"))


def question_twiml(action_url: str, said: Iterable[Spoken], again: Spoken, last: Spoken, *, hear: str) -> str:
    """Say this and ask `action_url` what the answer means: a key, or words in the language `hear`. `again` is said to
    silence, and `last` to more of it."""
    return _response(
        _gather(action_url, said, hear), _gather(action_url, [again], hear), _spoken(last), _verb("Hangup")
    )


def farewell_twiml(last: Spoken) -> str:
    """Say this, and hang up."""
    return _response(_spoken(last), _verb("Hangup"))


def conference_twiml(name: str, *, action_url: str = "", last: Spoken | None = None) -> str:
    """To the conference of this name, which ends when either of its two hangs up. Then `action_url` is asked what to do
    next, or else `last` is said."""
    conference = _verb("Conference", name, beep="false", endConferenceOnExit="true", startConferenceOnEnter="true")
    dial = _verb("Dial", **({"action": action_url, "method": "POST"} if action_url else {}))
    dial.append(conference)
    return _response(dial, *([_spoken(last)] if last is not None else []), _verb("Hangup"))


def _gather(action_url: str, said: Iterable[Spoken], hear: str) -> ElementTree.Element:
    given = {"action": action_url, "input": "dtmf speech", "language": hear, "method": "POST", "numDigits": "1"}
    gather = _verb("Gather", **given, speechTimeout="auto", timeout=str(ANSWER_SECONDS))
    gather.extend(_spoken(each) for each in said)
    return gather


def _spoken(said: Spoken) -> ElementTree.Element:
    return _verb("Play", said.url) if said.url else _say(said.text, said.language, said.voice)


def _say(message: str, language: str, voice: str) -> ElementTree.Element:
    given = {"language": language, "voice": voice}
    return _verb("Say", message, **{name: value for name, value in given.items() if value})


def _verb(tag: str, text: str | None = None, /, **attributes: str) -> ElementTree.Element:
    verb = ElementTree.Element(tag, {key: _xml_text(value) for key, value in sorted(attributes.items())})
    verb.text = None if text is None else _xml_text(text)
    return verb


def _response(*verbs: ElementTree.Element) -> str:
    response = ElementTree.Element("Response")
    response.extend(verbs)
    return _DECLARATION + ElementTree.tostring(response, encoding="unicode")


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
