"""Messages of a media stream, and the ids in them. Nothing raises on a peer's data: it is valid or it is not.

Source: Twilio's "Media Streams WebSocket messages".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastbridge.base.end_reasons import EndReason
from fastbridge.carrier.admission import TERMINAL_STATUSES
from fastbridge.carrier.port import CarrierMark, CarrierMedia, CarrierStopped, KeyPressed, NoMedia, StartedAgain

ACCOUNT_SID = re.compile(r"AC[0-9a-f]{32}\Z")
CALL_SID = re.compile(r"CA[0-9a-f]{32}\Z")
STREAM_SID = re.compile(r"MZ[0-9a-f]{32}\Z")
RECORDING_SID = re.compile(r"RE[0-9a-f]{32}\Z")
DTMF_DIGITS = frozenset("0123456789*#ABCD")
ANSWERED_BY = {"human": "human", "fax": "fax", "unknown": "unknown", "machine_start": "machine"}
ANSWERED_BY |= dict.fromkeys(("machine_end_beep", "machine_end_silence", "machine_end_other"), "machine")
"""Who has answered, by Twilio's word for it."""
RECORDING_STATUSES = frozenset({"in-progress", "completed", "absent", "failed"})
CALL_STATUSES = TERMINAL_STATUSES | {"queued", "initiated", "ringing", "in-progress"}


@dataclass(frozen=True, slots=True)
class Start:
    """A stream's `start`: whose it is. Its audio is 8 kHz mono mu-law."""

    account_sid: str
    call_sid: str
    stream_sid: str


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
    return Start(str(account_sid), str(call_sid), str(stream_sid))


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
