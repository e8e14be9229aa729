"""Twilio's answers and refusals."""

import pytest

from fastbridge.sim.twilio_reply import RefusedError, Reply, bad, error, failure, not_found


def test_an_error_as_twilio_words_it() -> None:
    assert error(400, 21211, "Invalid To") == (
        400,
        {
            "code": 21211,
            "message": "Invalid To",
            "more_info": "https://www.twilio.com/docs/errors/21211",
            "status": 400,
        },
        b"",
        "application/json",
        "",
    )


@pytest.mark.parametrize(
    ("reply", "written"),
    [(Reply(200, {"a": 1}), b'{"a": 1}'), (Reply(204, {}), b""), (Reply(200, {}, b"RIFF", "audio/x-wav"), b"RIFF")],
)
def test_what_follows_the_headers(reply: Reply, written: bytes) -> None:
    assert reply.written() == written


@pytest.mark.parametrize(("status", "code"), [(429, 20429), (401, 20003), (404, 20404), (500, 20500), (503, 20500)])
def test_a_fault_has_the_code_of_its_status(status: int, code: int) -> None:
    assert (failure(status).status, failure(status).body["code"]) == (status, code)


def test_whose_mistake_it_is() -> None:
    assert bad(21211, "x").mistake
    assert not_found("/x").mistake
    late = RefusedError(400, 21220, "too late", mistake=False)
    assert (late.mistake, str(late), late.reply.status) == (False, "400 21220 too late", 400)
