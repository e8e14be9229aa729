"""net.problems: what RFC 9457 asks for."""

import json

from fastbridge.net.problems import MEDIA_TYPE, Problem


def test_a_document_with_its_own_members() -> None:
    response = Problem(503, "Ask again.", headers={"Retry-After": "5"}, code=7).response()
    assert (response.status_code, response.headers["content-type"]) == (503, MEDIA_TYPE)
    assert response.headers["retry-after"] == "5"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Ask again.",
        "code": 7,
    }
