"""fastbridge.net.http_gate: one whole request at a time, whatever the pieces; and what costs much is not let in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbridge.net.http_gate import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEAD_LINES,
    HttpGate,
)

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"CallSid=CA1&From=%2B1"


def post(body: bytes = BODY, *more: bytes) -> bytes:
    return b"\r\n".join([b"POST /w HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *more, b"", body])


def through(gate: HttpGate, *pieces: bytes) -> bytes:
    return b"".join(gate.feed(piece) for piece in pieces)


@pytest.mark.parametrize("request_bytes", [GET, post(), post(b"")], ids=["get", "post", "empty"])
def test_a_request_passes_as_it_is_wherever_it_is_cut(request_bytes):
    for at in range(len(request_bytes) + 1):
        gate = HttpGate()
        assert through(gate, request_bytes[:at], request_bytes[at:]) == request_bytes
    gate = HttpGate()
    assert through(gate, *(request_bytes[at : at + 1] for at in range(len(request_bytes)))) == request_bytes
    assert gate.refusal is None


def test_nothing_of_a_head_passes_before_it_is_whole():
    gate = HttpGate()
    assert through(gate, GET[:-1]) == b""
    assert gate.feed(GET[-1:]) == GET


def test_the_next_request_comes_behind_the_answer_to_this_one():
    gate = HttpGate()
    for request in (post(), GET, GET):
        assert gate.feed(request) == request
        gate.answered()
        assert not gate.hasty


@pytest.mark.parametrize("pieces", [[post() + GET + GET], [post(), GET], [post(), b"G", b"ET"]])
def test_what_comes_before_the_answer_is_dropped_and_the_answer_is_the_last(pieces):
    gate = HttpGate()
    assert through(gate, *pieces) == post()
    assert gate.hasty
    assert gate._pending == b""
    gate.answered()
    assert gate.feed(GET) == b""
    assert gate.refusal is None


def test_an_empty_line_behind_a_body_is_nothing():
    gate = HttpGate()
    assert gate.feed(post() + b"\r\n") == post()
    assert gate.feed(b"\r\n") == b""
    assert not gate.hasty
    gate.answered()
    assert gate.feed(GET) == GET


def test_a_body_goes_on_behind_an_answer_that_came_before_its_end():
    gate = HttpGate()
    assert gate.feed(post()[:-5]) == post()[:-5]
    gate.answered()
    assert gate.feed(post()[-5:] + GET) == post()[-5:] + GET


@pytest.mark.parametrize("line", [b"Transfer-Encoding: chunked", b"transfer-encoding:gzip", b"TRANSFER-ENCODING :x"])
def test_a_body_of_unknown_length_is_refused(line):
    gate = HttpGate()
    assert gate.feed(b"POST /w HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n5\r\nabcde\r\n") == b""
    assert gate.refusal == 411


@pytest.mark.parametrize(("length", "refusal"), [(MAX_BODY_BYTES, None), (MAX_BODY_BYTES + 1, 413), (10**30, 413)])
def test_a_body_that_is_too_long_is_refused_by_its_head(length, refusal):
    gate = HttpGate()
    gate.feed(b"POST /w HTTP/1.1\r\ncontent-LENGTH:  %d \r\n\r\n" % length)
    assert gate.refusal == refusal


@pytest.mark.parametrize("said", [b"-1", b"0x10", b"1 2", b"5, 5", b"", "\u0661".encode()])
def test_a_length_that_is_none_is_refused(said):
    gate = HttpGate()
    assert gate.feed(b"POST /w HTTP/1.1\r\nContent-Length: " + said + b"\r\n\r\n") == b""
    assert gate.refusal == 400


@pytest.mark.parametrize("lines", ["Content-Length: 5\r\nContent-Length: 5", "Content-Length:\r\n 5", "X: y\r\n\tz"])
def test_what_another_parser_may_read_otherwise_is_refused(lines):
    gate = HttpGate()
    assert gate.feed(f"POST /w HTTP/1.1\r\n{lines}\r\n\r\nabcde".encode()) == b""
    assert gate.refusal == 400


@pytest.mark.parametrize(("lines", "refusal"), [(MAX_HEAD_LINES, None), (MAX_HEAD_LINES + 1, 431)])
def test_headers_are_counted(lines, refusal):
    gate = HttpGate()
    gate.feed(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * (lines - 1) + b"\r\n")
    assert gate.refusal == refusal


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""])
@pytest.mark.parametrize(("size", "refusal"), [(MAX_HEAD_BYTES, None), (MAX_HEAD_BYTES + 1, 431), (10**6, 431)])
def test_heads_are_measured(size, refusal, end):
    head = b"GET / HTTP/1.1\r\na: "
    head += b"b" * (size - len(head) - len(end)) + end
    gate = HttpGate()
    gate.feed(head)
    assert gate.refusal == refusal


def test_a_flood_behind_a_request_is_not_kept():
    gate = HttpGate()
    gate.feed(GET)
    for _ in range(5000):
        assert gate.feed(GET) == b""
        assert gate._pending == b""
    assert gate.hasty


@given(st.lists(st.sampled_from([GET, post(), post(b"x" * 300), post(b"")]), max_size=5), st.data())
def test_requests_pass_one_by_one_whatever_the_pieces(requests, data):
    gate, got = HttpGate(), b""
    for request in requests:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(request)), max_size=4)))
        got += through(
            gate, *(request[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(request)], strict=True))
        )
        gate.answered()
    assert got == b"".join(requests)
    assert gate.refusal is None
    assert not gate.hasty
