"""TwiML, what Twilio is told to do with a call: our few shapes of it, pure.

Byte for byte what Twilio's own library writes, to which the tests hold it: that is 51 MB, for eight shapes. Source:
Twilio's "TwiML for Programmable Voice".
"""

import re
from collections.abc import Mapping
from xml.etree import ElementTree

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
