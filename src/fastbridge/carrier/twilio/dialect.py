"""The carrier's dialect, pure: TwiML out; signatures, `start` and `dtmf` in. Reads no socket, clock or setting.

XML and the signature's arithmetic are the `twilio` package's; which URL was signed is ours, since the package mistakes
the port of wss and IPv6 addresses. The URL is always made of the configured public one: no header of the request has a
say. Nothing here raises on a peer's data: it is valid or it is not. Source: Twilio's "Security", "TwiML <Stream>" and
"Media Streams WebSocket messages" pages.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlparse

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.twiml.voice_response import Connect, Dial, Stream, VoiceResponse  # type: ignore[import-untyped]

from fastbridge.base.end_reasons import EndReason
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.port import CarrierMark, CarrierMedia, CarrierStopped, KeyPressed, NoMedia, StartedAgain

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}\Z")
CALL_SID = re.compile(r"CA[0-9a-f]{32}\Z")
STREAM_SID = re.compile(r"MZ[0-9a-f]{32}\Z")
DTMF_DIGITS = frozenset("0123456789*#ABCD")
CALL_STATUSES = TERMINAL_STATUSES | {"queued", "initiated", "ringing", "in-progress"}

Params = list[tuple[str, str]]
"""Decoded form fields as they came: order, duplicates, blanks and white space kept."""

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


# TwiML


def connect_twiml(stream_url: str, action_url: str, parameters: Mapping[str, str]) -> str:
    """Connect the call to our media socket. When that ends Twilio asks `action_url` what to do next.

    A parameter comes back in the stream's `start`; characters that XML cannot hold become U+FFFD.
    """
    stream = Stream(url=stream_url)
    for name, value in parameters.items():
        stream.parameter(name=_xml_text(name), value=_xml_text(value))
    response = VoiceResponse()
    response.append(Connect(action=action_url, method="POST").append(stream))
    response.hangup()
    return str(response)


def busy_twiml(message: str, *, language: str = "", voice: str = "") -> str:
    """No room for this call: say so and hang up. language, voice: `<Say>`'s; empty: the account's default."""
    return _say_and_hang_up(message, language, voice)


def apology_twiml(message: str, *, language: str = "", voice: str = "") -> str:
    """The call failed on our side: the caller hears so, instead of a line gone dead. language, voice: as above."""
    return _say_and_hang_up(message, language, voice)


def play_twiml(url: str) -> str:
    """The caller hears this recording, and the call ends."""
    response = VoiceResponse()
    response.play(_xml_text(url))
    response.hangup()
    return str(response)


def dial_twiml(number: str) -> str:
    """Somebody else takes the call over."""
    response = VoiceResponse()
    response.dial(_xml_text(number))
    response.hangup()
    return str(response)


def hangup_twiml() -> str:
    """The conversation is over."""
    response = VoiceResponse()
    response.hangup()
    return str(response)


def reject_twiml() -> str:
    """This caller is not let in; nothing is charged."""
    response = VoiceResponse()
    response.reject()
    return str(response)


def transfer_twiml(number: str) -> str:
    """Connect the caller to this number (E.164); the call ends with that conversation."""
    dial = Dial()
    dial.number(number)
    response = VoiceResponse()
    response.append(dial)
    response.hangup()
    return str(response)


def _say_and_hang_up(message: str, language: str, voice: str) -> str:
    response = VoiceResponse()
    response.say(_xml_text(message), language=language or None, voice=voice or None)
    response.hangup()
    return str(response)


def _xml_text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


# Signatures


def valid_webhook(
    auth_token: str,
    public_url: str,
    path_and_query: str,
    params: Params,
    body: bytes,
    content_type: str,
    signature: str,
) -> bool:
    """Whether Twilio signed this request to `public_url` + `path_and_query` (raw, as received).

    A form's fields are signed one by one (`params`; none for GET). A JSON body is signed by its hash in the URL, and is
    worth nothing without one.
    """
    if not path_and_query.startswith("/"):
        return False
    url = public_url + path_and_query
    if _media_type(content_type) == "application/json":
        signed_hash = parse_qs(urlparse(url).query).get("bodySHA256", [""])[0]
        if not _same(hashlib.sha256(body).hexdigest(), signed_hash):
            return False
        params = []
    return _signed(auth_token, _with_and_without_port(url), params, signature)


def valid_handshake(auth_token: str, public_url: str, path: str, signature: str) -> bool:
    """Whether Twilio signed this WebSocket handshake for `path` (raw, as received).

    Twilio signs the wss:// URL and is known to add a slash or the port; the https:// form is accepted too. A node whose
    public URL is http:// (a test, a simulated caller) also takes the ws:// and http:// forms.
    """
    if not path.startswith("/"):
        return False
    scheme, rest = public_url.split("://", 1)
    schemes = ["wss", "https"] if scheme == "https" else ["ws", "http", "wss", "https"]
    twin = path[:-1] if path.endswith("/") else path + "/"
    urls = [f"{each}://{rest}{form}" for each in schemes for form in (path, twin)]
    return _signed(auth_token, [form for url in urls for form in _with_and_without_port(url)], [], signature)


def sign(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    """A signature as Twilio makes it: of a form's fields, each there once; of a handshake or a GET there are none."""
    return str(RequestValidator(auth_token).compute_signature(url, params))


class _MultiDict(dict[str, list[str]]):
    """Repeated form fields, as RequestValidator asks for them."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def _signed(auth_token: str, urls: Iterable[str], params: Params, signature: str) -> bool:
    fields = _MultiDict()
    for name, value in params:
        fields.setdefault(name, []).append(value)
    validator = RequestValidator(auth_token)
    try:
        return any(_same(validator.compute_signature(url, fields), signature) for url in urls)
    except UnicodeEncodeError:  # a lone surrogate: Twilio signs UTF-8, so it did not sign this
        return False


def _with_and_without_port(url: str) -> list[str]:
    """The two forms Twilio may have signed: it drops the port, or adds the default one, depending on the product."""
    parsed = urlparse(url)
    if parsed.port:
        bare = parsed.netloc.rpartition(":")[0]
        full = parsed.netloc
    else:
        bare = parsed.netloc
        full = f"{parsed.netloc}:{_DEFAULT_PORTS[parsed.scheme]}"
    return [parsed._replace(netloc=netloc).geturl() for netloc in (bare, full)]


def _same(ours: str, theirs: str) -> bool:
    """Equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


# Messages of a media stream


@dataclass(frozen=True, slots=True)
class Start:
    """A stream's `start`: whose it is, and the TwiML's parameters. Its audio is 8 kHz mono mu-law."""

    account_sid: str
    call_sid: str
    stream_sid: str
    custom_parameters: dict[str, str]


def parse_start(message: Mapping[str, Any]) -> Start | str:
    """The `start` message's content; or what about it is missing, malformed or not 8 kHz mono mu-law, in words."""
    body = message.get("start")
    if message.get("event") != "start" or not isinstance(body, dict):
        return "it is no start message"
    account_sid, call_sid, stream_sid = body.get("accountSid"), body.get("callSid"), body.get("streamSid")
    sids_ok = _is_sid(ACCOUNT_SID, account_sid) and _is_sid(CALL_SID, call_sid) and _is_sid(STREAM_SID, stream_sid)
    if not sids_ok or message.get("streamSid", stream_sid) != stream_sid:
        return "a sid is missing or malformed"
    if not _is_mulaw_8k(body.get("mediaFormat")):
        return "the media format is not 8 kHz mono mu-law"
    return Start(str(account_sid), str(call_sid), str(stream_sid), _texts(body.get("customParameters")))


def _texts(parameters: object) -> dict[str, str]:
    """What a stream was given, as far as it is text or a number: nothing in it is worth a call."""
    given = parameters if isinstance(parameters, dict) else {}
    return {name: str(value) for name, value in given.items() if isinstance(value, str | int | float)}


def parse_dtmf(message: Mapping[str, Any]) -> str | None:
    """The key of a `dtmf` message: one of 0-9, *, #, A-D; else None."""
    body = message.get("dtmf")
    digit = body.get("digit") if isinstance(body, dict) else None
    return digit if isinstance(digit, str) and digit in DTMF_DIGITS else None


def parse_media(message: Mapping[str, Any]) -> tuple[bytes, int, int, bytes] | None:
    """(stream sid, chunk, timestamp in ms, base64 payload) of a `media` message of the caller's; else None."""
    media = message.get("media")
    payload = media.get("payload") if isinstance(media, dict) else None
    if not isinstance(media, dict) or not isinstance(payload, str) or media.get("track", "inbound") != "inbound":
        return None
    chunk, timestamp_ms = (_number(media.get(name)) for name in ("chunk", "timestamp"))
    return _bytes(message.get("streamSid", "")), chunk, timestamp_ms, _bytes(payload)


def parse_mark(message: Mapping[str, Any]) -> bytes | None:
    """The name that a `mark` message brings back; else None."""
    mark = message.get("mark")
    return _bytes(mark.get("name", "")) if isinstance(mark, dict) else None


def read_message(message: Mapping[str, Any], stream_sid: str) -> object:
    """What a message of this stream says, as an event of `carrier.port`; None for nothing."""
    kind = message.get("event")
    if kind == "media":
        media = parse_media(message)
        return NoMedia() if media is None else CarrierMedia(*media)
    if kind == "mark":
        name = parse_mark(message)
        return CarrierMark(name) if name is not None and message.get("streamSid") == stream_sid else None
    if kind == "dtmf":
        digit = parse_dtmf(message)
        return KeyPressed(digit) if digit is not None else None
    if kind == "stop":
        return CarrierStopped(EndReason.CUSTOMER_HANGUP)
    return StartedAgain() if kind == "start" else None


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")


def _number(value: object) -> int:
    """A decimal string of a message, 0 where it is anything else."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19 else 0


def _is_sid(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _is_mulaw_8k(media_format: object) -> bool:
    if not isinstance(media_format, dict):
        return False
    rate, channels = media_format.get("sampleRate"), media_format.get("channels")
    return media_format.get("encoding") == "audio/x-mulaw" and rate in (8000, "8000") and channels in (1, "1")
