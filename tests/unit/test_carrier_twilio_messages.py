"""fastbridge.carrier.twilio.messages: as documented, in any layout, and junk is junk."""

import json

import pytest

from fastbridge.base.end_reasons import EndReason
from fastbridge.carrier.port import CarrierMark, CarrierMedia, CarrierStopped, KeyPressed, NoMedia, StartedAgain
from fastbridge.carrier.twilio.messages import (
    ACCOUNT_SID,
    CALL_SID,
    STREAM_SID,
    Start,
    parse_dtmf,
    parse_mark,
    parse_media,
    parse_start,
    read_message,
)

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1a" * 16
STREAM = "MZ" + "2" * 32


# start and dtmf


def start(**changes):
    body = {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane"},
    }
    return {"event": "start", "sequenceNumber": "1", "start": body | changes, "streamSid": STREAM}


def test_start_as_captured():
    assert parse_start(start()) == Start(ACCOUNT, CALL, STREAM)


def test_start_may_write_numbers_as_texts_and_leave_parameters_out():
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    message = start(mediaFormat=media_format)
    del message["start"]["customParameters"]
    assert parse_start(message) == Start(ACCOUNT, CALL, STREAM)


JUNK = [None, 1, 1.5, True, "", "x", [], [1], {}, {"a": {}}, float("nan"), "\ud800", "CA" + "1" * 31, "CA" + "g" * 32]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("name", ["accountSid", "streamSid", "callSid", "mediaFormat"])
def test_start_with_junk_is_no_start(name, junk):
    assert isinstance(parse_start(start(**{name: junk})), str)


@pytest.mark.parametrize("given", [None, 1, "x", [], {"a": None, "b": {}}], ids=repr)
def test_whatever_its_parameters_are(given):
    assert parse_start(start(customParameters=given)) == Start(ACCOUNT, CALL, STREAM)


@pytest.mark.parametrize(
    "media_format",
    [
        {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1},
        {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2},
        {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1},
        {"encoding": ["audio/x-mulaw"], "sampleRate": [8000], "channels": {}},
        {"encoding": "audio/x-mulaw"},
    ],
)
def test_start_with_another_audio_format_is_no_start(media_format):
    assert parse_start(start(mediaFormat=media_format)) == "the media format is not 8 kHz mono mu-law"


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"event": "start"},
        {"event": "start", "start": None},
        {"event": "start", "start": []},
        {**start(), "event": "media"},
        {**start(), "streamSid": "MZ" + "3" * 32},
        {**start(), "streamSid": None},
        start(callSid=CALL + "\n"),
        start(callSid=CALL.upper()),
    ],
    ids=json.dumps,
)
def test_what_is_no_start(message):
    assert isinstance(parse_start(message), str)


def test_dtmf_as_documented():
    message = {
        "event": "dtmf",
        "streamSid": STREAM,
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    }
    assert parse_dtmf(message) == "1"
    for digit in "0123456789*#ABCD":
        assert parse_dtmf({"event": "dtmf", "dtmf": {"digit": digit}}) == digit


@pytest.mark.parametrize("digit", [None, 1, "", "12", "E", "a", "\u0661", [], {}, "\n"], ids=repr)
def test_what_is_no_key(digit):
    assert parse_dtmf({"event": "dtmf", "dtmf": {"digit": digit}}) is None


@pytest.mark.parametrize("body", [None, 1, "1", [], ["digit"]], ids=repr)
def test_dtmf_without_a_body(body):
    assert parse_dtmf({"event": "dtmf", "dtmf": body}) is None
    assert parse_dtmf({}) is None


def test_the_sids_patterns_are_strict():
    for pattern, good in ((ACCOUNT_SID, ACCOUNT), (CALL_SID, CALL), (STREAM_SID, STREAM)):
        assert pattern.match(good)
        for bad in (good + "0", good[:-1], good + "\n", good.lower(), "../" + good, good[:-1] + "é"):
            assert not pattern.match(bad)


MEDIA = {"track": "inbound", "chunk": "7", "timestamp": "140", "payload": "////"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (STREAM.encode(), 7, 140, b"////")),
        ({"track": None}, None),
        ({"track": "outbound"}, None),
        ({"payload": None}, None),
        ({"payload": "\ud800"}, (STREAM.encode(), 7, 140, b"?")),
        ({"chunk": 7, "timestamp": "-1"}, (STREAM.encode(), 0, 0, b"////")),
        ({"chunk": "9" * 19, "timestamp": "\u0661"}, (STREAM.encode(), 0, 0, b"////")),
    ],
    ids=repr,
)
def test_media_in_any_layout(changes, expected):
    assert parse_media({"event": "media", "streamSid": STREAM, "media": {**MEDIA, **changes}}) == expected


@pytest.mark.parametrize("media", [None, [], "media", 7], ids=repr)
def test_what_is_no_media(media):
    assert parse_media({"event": "media", "streamSid": STREAM, "media": media}) is None


@pytest.mark.parametrize(
    ("mark", "name"), [({"name": "1:a:20"}, b"1:a:20"), ({}, b""), ({"name": 5}, b"5"), (None, None), ([], None)]
)
def test_mark_in_any_layout(mark, name):
    assert parse_mark({"event": "mark", "streamSid": STREAM, "mark": mark}) == name


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"event": "media", "media": MEDIA, "streamSid": "MZ1"}, CarrierMedia(b"MZ1", 7, 140, b"////")),
        ({"event": "media", "media": 7}, NoMedia()),
        ({"event": "mark", "mark": {"name": "0:a:20"}, "streamSid": STREAM}, CarrierMark(b"0:a:20")),
        ({"event": "mark", "mark": {"name": "0:a:20"}, "streamSid": "MZ9"}, None),
        ({"event": "mark", "mark": 7, "streamSid": STREAM}, None),
        ({"event": "dtmf", "dtmf": {"digit": "5"}}, KeyPressed("5")),
        ({"event": "dtmf", "dtmf": {"digit": "five"}}, None),
        ({"event": "stop"}, CarrierStopped(EndReason.CUSTOMER_HANGUP)),
        ({"event": "start"}, StartedAgain()),
        ({"event": "connected"}, None),
        ({"event": 7}, None),
        ({}, None),
    ],
    ids=str,
)
def test_what_a_message_says(message, said):
    assert read_message(message, STREAM) == said
