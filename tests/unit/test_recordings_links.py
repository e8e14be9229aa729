"""recordings.links: good for one recording, for their time, and made by us alone."""

import hashlib
import zlib
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer

from fastbridge.recordings.links import MAX_TOKEN_CHARS, Links
from recording_rig import SID, sid

KEYS = "k" * 24 + ":recordings"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_it_is_good_until_it_expires() -> None:
    clock = Clock()
    links = Links(KEYS, clock)
    token, until_s = links.make(SID, 60)
    assert until_s == 1_000_060
    clock.now_s = 1_000_059.9
    assert links.good(token, SID)
    clock.now_s = 1_000_060.0
    assert not links.good(token, SID)


def test_it_is_for_one_recording() -> None:
    links = Links(KEYS)
    token, _ = links.make(SID, 60)
    assert len(token) < MAX_TOKEN_CHARS
    assert not links.good(token, sid(1))
    assert not links.good(token, "")


def test_other_keys_make_other_links() -> None:
    token, _ = Links(KEYS).make(SID, 60)
    for keys in ("", KEYS + "x", "k" * 24):
        assert not Links(keys).good(token, SID)


def test_one_that_is_changed_in_a_letter_is_none() -> None:
    links = Links(KEYS)
    token, _ = links.make(SID, 60)
    for at in range(len(token)):
        for letter in "A_.":
            forged = token[:at] + letter + token[at + 1 :]
            # The last letter of base64 has bits that mean nothing.
            assert forged == token or at == len(token) - 1 or not links.good(forged, SID)


@pytest.mark.parametrize("payload", [[SID, 1e18], [SID], [SID, "x"], {"sid": SID}, None, [SID, None], SID])
def test_what_others_have_signed_is_none(payload: object) -> None:
    for key in (KEYS, b"", hashlib.sha256(KEYS.encode()).digest()):
        token = str(URLSafeSerializer(key, salt="fastbridge link to a recording").dumps(payload))
        assert not Links(KEYS).good(token, SID)


def test_nothing_unfolds_before_it_is_known_to_be_ours() -> None:
    bomb = urlsafe_b64encode(zlib.compress(b"[" * 100_000, 9)).decode().rstrip("=")
    assert not Links(KEYS).good(f".{bomb}.AAAA"[:MAX_TOKEN_CHARS], SID)
    assert not Links(KEYS).good("x" * 10_000, SID)


@given(st.text(max_size=320))
def test_any_text_is_none(text: str) -> None:
    assert not Links(KEYS).good(text, SID)
