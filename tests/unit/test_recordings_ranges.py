"""recordings.ranges: RFC 9110, section 14, and its examples."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.recordings.ranges import Span, UnsatisfiableError, http_date, known, still, wanted

CHANGED = datetime(2026, 11, 28, 19, 30, 26, 500_000, UTC)


@pytest.mark.parametrize(
    ("given_", "span"),
    [
        ("bytes=0-499", Span(0, 500)),
        ("bytes=500-999", Span(500, 1000)),
        ("bytes=-500", Span(9500, 10000)),
        ("bytes=9500-", Span(9500, 10000)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=9999-99999", Span(9999, 10000)),
        ("bytes=-20000", Span(0, 10000)),
        ("Bytes = 0-4", Span(0, 5)),
    ],
)
def test_one_range(given_: str, span: Span) -> None:
    assert wanted(given_, 10_000) == span


@pytest.mark.parametrize(
    "given_",
    [
        *(None, "", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=0-1,5-9", "lines=0-1", "bytes=0--1"),
        *("bytes=\u0663-\u0664", "bytes=" + "9" * 30 + "-", "bytes=0-1 x", "bytes=0x0-1"),
    ],
)
def test_what_is_none_gets_the_whole(given_: str | None) -> None:
    assert wanted(given_, 10_000) is None


@pytest.mark.parametrize("given_", ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999-"])
def test_what_lies_behind_the_end_is_refused(given_: str) -> None:
    with pytest.raises(UnsatisfiableError):
        wanted(given_, 10_000)


def test_of_an_empty_file_there_is_none() -> None:
    for text in ("bytes=0-", "bytes=-1", "bytes=0-0"):
        with pytest.raises(UnsatisfiableError):
            wanted(text, 0)


@given(st.integers(0, 300), st.integers(0, 300) | st.none(), st.integers(0, 300))
def test_a_span_is_a_slice(first: int, last: int | None, size: int) -> None:
    """Against Python's own slices."""
    file = bytes(index % 256 for index in range(size))
    try:
        span = wanted(f"bytes={first}-{'' if last is None else last}", size)
    except UnsatisfiableError:
        assert first >= size
        return
    if span is None:
        assert last is not None
        assert last < first
    else:
        assert file[span.start : span.end] == file[first : None if last is None else last + 1] != b""


@given(st.text(max_size=40), st.integers(0, 1 << 40))
def test_any_text_is_a_span_within_the_file_or_none(text: str, size: int) -> None:
    for given_ in (text, f"bytes={text}"):
        try:
            span = wanted(given_, size)
        except UnsatisfiableError:
            continue
        assert span is None or 0 <= span.start < span.end <= size


class TestConditions:
    def test_the_same_file(self) -> None:
        assert still(None, '"a"', CHANGED)
        assert still('"a"', '"a"', CHANGED)
        assert still("Sat, 28 Nov 2026 19:30:26 GMT", '"a"', CHANGED)

    @pytest.mark.parametrize("given_", ['W/"a"', '"b"', "a", "", "Sat, 28 Nov 2026 19:30:27 GMT", "*"])
    def test_another_one(self, given_: str) -> None:
        assert not still(given_, '"a"', CHANGED)

    @pytest.mark.parametrize("given_", ['"a"', 'W/"a"', '"b", "a"', "*", ' "b" ,W/"a" '])
    def test_what_the_client_has(self, given_: str) -> None:
        assert known(given_, '"a"')

    @pytest.mark.parametrize("given_", [None, "", '"b"', "a", '"aa"'])
    def test_what_it_has_not(self, given_: str | None) -> None:
        assert not known(given_, '"a"')

    def test_dates_are_in_the_standards_form(self) -> None:
        assert http_date(CHANGED) == "Sat, 28 Nov 2026 19:30:26 GMT"
