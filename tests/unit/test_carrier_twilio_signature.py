"""fastbridge.carrier.twilio.signature: the published vectors, and what Twilio's own library makes of the rest."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from fastbridge.carrier.twilio import signature as ours
from fastbridge.carrier.twilio.signature import valid_handshake, valid_webhook

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


def valid(signature, *, url=HOST, path=PATH, params=PARAMS, body=b"", content_type=FORM, token=TOKEN):
    return valid_webhook(token, url, path, params, body, content_type, signature)


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
    assert not valid_handshake(TOKEN, HOST, path, sign("wss://mycompany.com" + path))


def test_a_lone_surrogate_was_not_signed():
    assert not valid("x", params=[("a", "\ud800")])


# Handshake signatures


def test_vector_handshake():
    url, path = "https://voice.example.com", "/media-stream"
    assert valid_handshake(TOKEN, url, path, "n2Kygn8Vr09ZrsTai2J2SLE/CLY=")
    assert valid_handshake(TOKEN, url, path, "i5DdBgV/jFd7qVMgaPpBR47ojc4=")


@pytest.mark.parametrize("scheme", ["wss", "https"])
@pytest.mark.parametrize("port", ["", ":443"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("asked_slash", ["", "/"])
def test_every_form_in_which_twilio_signs_a_handshake(scheme, port, slash, asked_slash):
    signature = sign(f"{scheme}://voice.example.com{port}/media/abc{slash}")
    assert valid_handshake(TOKEN, "https://voice.example.com", f"/media/abc{asked_slash}", signature)


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
    assert not valid_handshake(TOKEN, "https://voice.example.com", "/media/abc", sign(signed))
    assert not valid_handshake("other", "https://voice.example.com", "/media/abc", sign(signed))


@pytest.mark.parametrize("scheme", ["ws", "http", "wss", "https"])
@pytest.mark.parametrize("port", ["", ":5050"])
def test_a_node_without_tls_takes_the_plain_forms_too(scheme, port):
    signature = sign(f"{scheme}://127.0.0.1{port}/media/abc")
    assert valid_handshake(TOKEN, "http://127.0.0.1:5050", "/media/abc", signature)


@pytest.mark.parametrize("signature", ["", "é", "\ud800", "x" * 100_000])
def test_no_handshake_signature_raises(signature):
    assert not valid_handshake(TOKEN, HOST, "/media/abc", signature)


FIELDS = st.lists(st.tuples(st.sampled_from(["a", "A", "b", "From", "Fröm", ""]), st.text(max_size=5)), max_size=6)
NO_SURROGATES = st.characters(blacklist_categories=["Cs"])


class Repeated(dict):
    """Fields that come more than once, as Twilio's library asks for them."""

    def getlist(self, name):
        return self[name]


@given(st.text(NO_SURROGATES, max_size=20), st.text(NO_SURROGATES, max_size=30), FIELDS)
def test_it_is_what_twilios_own_library_makes(token, url, fields):
    repeated = Repeated()
    for name, value in fields:
        repeated.setdefault(name, []).append(value)
    try:
        theirs = RequestValidator(token).compute_signature(url, repeated)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            ours._signature(token, url, fields)
    else:
        assert ours._signature(token, url, fields) == theirs


def test_ours_is_taken_by_twilios_own_library():
    fields = {"CallSid": "CA1", "From": "+14158675309"}
    assert RequestValidator(TOKEN).validate(HOST, fields, ours.sign(TOKEN, HOST, fields))
