"""fastbridge.base.urls: one form for each public address."""

import pytest

from fastbridge.base.urls import is_local, is_loopback, normalised_url


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://voice.example.com", "https://voice.example.com"),
        ("https://Voice.Example.com/", "https://voice.example.com"),
        ("HTTPS://voice.example.com:443", "https://voice.example.com"),
        ("https://voice.example.com:8443/", "https://voice.example.com:8443"),
        ("http://localhost:5050", "http://localhost:5050"),
        ("http://localhost:80", "http://localhost"),
        ("voice.example.com", "https://voice.example.com"),
        ("voice.example.com:8443", "https://voice.example.com:8443"),
        ("https://example.com/voice/", "https://example.com/voice"),
        ("https://[::0001]:8443", "https://[::1]:8443"),
    ],
)
def test_the_public_url_is_normalised(given, kept):
    assert normalised_url(given) == kept
    assert normalised_url(kept) == kept


@pytest.mark.parametrize(
    "url",
    [
        "wss://voice.example.com",
        "ftp://voice.example.com",
        "https://user:pw@voice.example.com",
        "https://voice.example.com?x=1",
        "https://voice.example.com#x",
        "https://voice.example.com:0x50",
        "https://voice.example.com:99999",
        "https://",
        "https://voi ce.example.com",
        "https://[::g]",
        "https://[v1.a:b]",
        "https://שלום.example",
    ],
)
def test_what_is_no_public_url(url):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are load_settings' affair
        normalised_url(url)


@pytest.mark.parametrize(
    ("url", "is_ours"),
    [
        ("http://localhost:8080/v1", True),
        ("http://127.9.0.1", True),
        ("ws://[::1]:5050", True),
        ("https://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("", False),
        (None, False),
    ],
)
def test_what_leads_to_this_machine(url, is_ours):
    assert is_loopback(url) is is_ours


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("localhost:8443", True),
        ("127.0.0.1", True),
        ("10.0.0.7", True),
        ("172.16.3.4", True),
        ("192.168.1.2:5050", True),
        ("[::1]", True),
        ("[fd00::1]", True),
        ("printer.local", True),
        ("myhost", True),
        ("voice.example.com", False),
        ("localhost.example.com", False),
        ("8.8.8.8", False),
        ("[2606:4700::1]", False),
    ],
)
def test_an_address_that_nobody_on_the_internet_reaches(host, local):
    assert is_local(f"https://{host}/prefix") is local
