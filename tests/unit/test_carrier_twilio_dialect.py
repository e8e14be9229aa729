import json
import xml.etree.ElementTree as ElementTree
from urllib.parse import parse_qsl

import pytest
from twilio.request_validator import RequestValidator

from fastbridge.carrier.twilio import dialect as twilio

TOKEN = "12345"
HOST = "https://mycompany.com"
PATH = "/myapp.php?foo=1&bar=2"
FORM = "application/x-www-form-urlencoded"
PARAMS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
BODY = b'{"property": "value", "boolean": true}'
BODY_PATH = PATH + "&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
BODY_SIGNATURE = "a9nBmqA0ju/hNViExpshrM61xv4="

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1a" * 16
STREAM = "MZ" + "2" * 32


def valid(signature, *, url=HOST, path=PATH, params=PARAMS, body=b"", content_type=FORM, token=TOKEN):
    return twilio.valid_webhook(token, url, path, params, body, content_type, signature)


def sign(url, params=()):
    return RequestValidator(TOKEN).compute_signature(url, dict(params))


# Webhook signatures: the published vectors first


def test_vector_form():
    assert valid("RSOYDt4T1cUTdK1PDd93/VVr8B8=")


def test_vector_form_signed_with_the_port():
    assert valid("kvajT1Ptam85bY51eRf/AJRuM3w=")


def test_vector_http_with_port():
    assert valid("0ZXoZLH/DfblKGATFgpif+LLRf4=", url="http://mycompany.com")
    assert valid("0ZXoZLH/DfblKGATFgpif+LLRf4=", url="http://mycompany.com:80")


def test_vector_repeated_parameters():
    params = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert valid("IK+Dwps556ElfBT0I3Rgjkr1wJU=", params=params)
    assert not valid("IK+Dwps556ElfBT0I3Rgjkr1wJU=", params=params[:3])


def test_vector_json_body():
    assert valid(BODY_SIGNATURE, path=BODY_PATH, params=[], body=BODY, content_type="application/json")
    assert valid(BODY_SIGNATURE, path=BODY_PATH, params=[], body=BODY, content_type="Application/JSON; charset=utf-8")


def test_fields_beside_a_json_body_are_not_what_is_signed():
    assert valid(BODY_SIGNATURE, path=BODY_PATH, params=PARAMS, body=BODY, content_type="application/json")


def test_a_json_body_is_worth_nothing_without_its_hash():
    assert not valid(BODY_SIGNATURE, path=BODY_PATH, params=[], body=BODY + b" ", content_type="application/json")
    assert not valid(sign(HOST + PATH), params=[], body=BODY, content_type="application/json")
    assert not valid(sign(HOST + PATH), params=[], body=b"", content_type="application/json")


def test_a_get_is_signed_by_its_url_alone():
    assert valid(sign(HOST + PATH), params=[], content_type="")
    assert not valid(sign(HOST + PATH + "&x=1"), params=[], content_type="")


@pytest.mark.parametrize(
    "changes",
    [
        {"token": "12346"},
        {"url": "https://mycompany.org"},
        {"url": "http://mycompany.com"},
        {"path": "/myapp.php?foo=1&bar=3"},
        {"path": "/myapp.php"},
        {"params": PARAMS[:-1]},
        {"params": [*PARAMS, ("Extra", "")]},
        {"params": [(name, value.strip("+")) for name, value in PARAMS]},
    ],
)
def test_whatever_is_signed_must_not_change(changes):
    assert not valid("RSOYDt4T1cUTdK1PDd93/VVr8B8=", **changes)


def test_blanks_and_white_space_are_signed_as_they_came():
    params = parse_qsl("A=&B=+x+&C=%09&%D7%90=%D7%A9", keep_blank_values=True)
    assert valid(sign(HOST + PATH, params), params=params)
    assert not valid(sign(HOST + PATH, params), params=[(name, value.strip()) for name, value in params])


def test_ports_of_an_ipv6_host():
    for url, signed in (
        ("https://[::1]:8443", "https://[::1]/x"),
        ("https://[::1]", "https://[::1]:443/x"),
        ("https://[::1]:8443", "https://[::1]:8443/x"),
    ):
        assert valid(sign(signed), url=url, path="/x", params=[])


@pytest.mark.parametrize("signature", ["", "x", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "é" * 28, "\ud800", "a" * 100_000])
def test_no_signature_raises(signature):
    assert not valid(signature)


@pytest.mark.parametrize("path", ["", "*", "x", "http://other.example/", ".evil.example/", "@evil.example/"])
def test_a_target_that_is_no_path_is_not_signed(path):
    assert not valid(sign(HOST + path, PARAMS), path=path)
    assert not twilio.valid_handshake(TOKEN, HOST, path, sign("wss://mycompany.com" + path))


def test_a_lone_surrogate_was_not_signed():
    assert not valid("x", params=[("a", "\ud800")])


# Handshake signatures


def test_vector_handshake():
    url, path = "https://voice.example.com", "/media-stream"
    assert twilio.valid_handshake(TOKEN, url, path, "n2Kygn8Vr09ZrsTai2J2SLE/CLY=")
    assert twilio.valid_handshake(TOKEN, url, path, "i5DdBgV/jFd7qVMgaPpBR47ojc4=")


@pytest.mark.parametrize("scheme", ["wss", "https"])
@pytest.mark.parametrize("port", ["", ":443"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("asked_slash", ["", "/"])
def test_every_form_in_which_twilio_signs_a_handshake(scheme, port, slash, asked_slash):
    signature = sign(f"{scheme}://voice.example.com{port}/media/abc{slash}")
    assert twilio.valid_handshake(TOKEN, "https://voice.example.com", f"/media/abc{asked_slash}", signature)


@pytest.mark.parametrize(
    "signed",
    [
        "wss://voice.example.com:8443/media/abc",
        "wss://voice.example.com/media/abd",
        "wss://voice.example.com/media/abc//",
        "wss://voice.example.org/media/abc",
        "ws://voice.example.com/media/abc",
        "http://voice.example.com/media/abc",
    ],
)
def test_a_handshake_signed_for_something_else(signed):
    assert not twilio.valid_handshake(TOKEN, "https://voice.example.com", "/media/abc", sign(signed))
    assert not twilio.valid_handshake("other", "https://voice.example.com", "/media/abc", sign(signed))


@pytest.mark.parametrize("scheme", ["ws", "http", "wss", "https"])
@pytest.mark.parametrize("port", ["", ":5050"])
def test_a_node_without_tls_takes_the_plain_forms_too(scheme, port):
    signature = sign(f"{scheme}://127.0.0.1{port}/media/abc")
    assert twilio.valid_handshake(TOKEN, "http://127.0.0.1:5050", "/media/abc", signature)


@pytest.mark.parametrize("signature", ["", "é", "\ud800", "x" * 100_000])
def test_no_handshake_signature_raises(signature):
    assert not twilio.valid_handshake(TOKEN, HOST, "/media/abc", signature)


# TwiML


def test_connect_is_followed_by_a_hangup():
    text = twilio.connect_twiml(
        "wss://x.example/media/abc", "https://x.example/webhook/stream_ended", {"business_id": "456", "lang": "he"}
    )
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Connect action="https://x.example/webhook/stream_ended" method="POST">'
        '<Stream url="wss://x.example/media/abc">'
        '<Parameter name="business_id" value="456" /><Parameter name="lang" value="he" />'
        "</Stream></Connect><Hangup /></Response>"
    )


def test_a_parameter_cannot_break_out():
    hostile = '"/></Stream><Dial>+1900</Dial><!--&amp;]]>'
    text = twilio.connect_twiml("wss://x/", "https://x/", {hostile: hostile})
    root = ElementTree.fromstring(text)
    assert [child.tag for child in root] == ["Connect", "Hangup"]
    assert root.find("Dial") is None
    assert root.find("Connect/Stream/Parameter").attrib == {"name": hostile, "value": hostile}


def test_what_xml_cannot_hold_becomes_the_replacement_character():
    text = twilio.connect_twiml("wss://x/", "https://x/", {"a": "b\x00\ud800\uffff\x1bc"})
    assert ElementTree.fromstring(text).find("Connect/Stream/Parameter").get("value") == "b\ufffd\ufffd\ufffd\ufffdc"


def test_a_transfer_dials_one_number_and_then_hangs_up():
    text = twilio.transfer_twiml("+14155550188")
    assert text.endswith("<Response><Dial><Number>+14155550188</Number></Dial><Hangup /></Response>")


def test_a_caller_who_is_not_let_in_is_rejected():
    assert twilio.reject_twiml().endswith("<Response><Reject /></Response>")


@pytest.mark.parametrize("build", [twilio.busy_twiml, twilio.apology_twiml])
def test_spoken_answers_hang_up(build):
    root = ElementTree.fromstring(build("Sorry <b>& goodbye\x00"))
    assert [child.tag for child in root] == ["Say", "Hangup"]
    assert root.find("Say").text == "Sorry <b>& goodbye\ufffd"


def test_hangup():
    assert twilio.hangup_twiml() == '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup /></Response>'


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
    assert twilio.parse_start(start()) == twilio.Start(ACCOUNT, CALL, STREAM, {"FirstName": "Jane"})


def test_start_may_write_numbers_as_texts_and_leave_parameters_out():
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    message = start(mediaFormat=media_format)
    del message["start"]["customParameters"]
    assert twilio.parse_start(message).custom_parameters == {}


JUNK = [None, 1, 1.5, True, "", "x", [], [1], {}, {"a": {}}, float("nan"), "\ud800", "CA" + "1" * 31, "CA" + "g" * 32]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize("name", ["accountSid", "streamSid", "callSid", "mediaFormat"])
def test_start_with_junk_is_no_start(name, junk):
    assert isinstance(twilio.parse_start(start(**{name: junk})), str)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, {}),
        (1, {}),
        ("x", {}),
        ([], {}),
        ({"a": 1, "b": 2.5, "c": True}, {"a": "1", "b": "2.5", "c": "True"}),
        ({"a": None, "b": {}, "c": [], "d": "x"}, {"d": "x"}),
    ],
    ids=repr,
)
def test_parameters_are_taken_as_far_as_they_are_texts(given, expected):
    assert twilio.parse_start(start(customParameters=given)).custom_parameters == expected


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
    assert twilio.parse_start(start(mediaFormat=media_format)) == "the media format is not 8 kHz mono mu-law"


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
    assert isinstance(twilio.parse_start(message), str)


def test_dtmf_as_documented():
    message = {
        "event": "dtmf",
        "streamSid": STREAM,
        "sequenceNumber": "5",
        "dtmf": {"track": "inbound_track", "digit": "1"},
    }
    assert twilio.parse_dtmf(message) == "1"
    for digit in "0123456789*#ABCD":
        assert twilio.parse_dtmf({"event": "dtmf", "dtmf": {"digit": digit}}) == digit


@pytest.mark.parametrize("digit", [None, 1, "", "12", "E", "a", "\u0661", [], {}, "\n"], ids=repr)
def test_what_is_no_key(digit):
    assert twilio.parse_dtmf({"event": "dtmf", "dtmf": {"digit": digit}}) is None


@pytest.mark.parametrize("body", [None, 1, "1", [], ["digit"]], ids=repr)
def test_dtmf_without_a_body(body):
    assert twilio.parse_dtmf({"event": "dtmf", "dtmf": body}) is None
    assert twilio.parse_dtmf({}) is None


def test_the_sids_patterns_are_strict():
    for pattern, good in ((twilio.ACCOUNT_SID, ACCOUNT), (twilio.CALL_SID, CALL), (twilio.STREAM_SID, STREAM)):
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
    assert twilio.parse_media({"event": "media", "streamSid": STREAM, "media": {**MEDIA, **changes}}) == expected


@pytest.mark.parametrize("media", [None, [], "media", 7], ids=repr)
def test_what_is_no_media(media):
    assert twilio.parse_media({"event": "media", "streamSid": STREAM, "media": media}) is None


@pytest.mark.parametrize(
    ("mark", "name"), [({"name": "1:a:20"}, b"1:a:20"), ({}, b""), ({"name": 5}, b"5"), (None, None), ([], None)]
)
def test_mark_in_any_layout(mark, name):
    assert twilio.parse_mark({"event": "mark", "streamSid": STREAM, "mark": mark}) == name
