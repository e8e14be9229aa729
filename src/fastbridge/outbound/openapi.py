"""The OpenAPI document of the API, made of what checks the requests."""

from functools import cache
from importlib.metadata import version
from typing import Any

from fastbridge.net.problems import MEDIA_TYPE
from fastbridge.outbound.requests import CallRequest
from fastbridge.store.outbound import STATES
from fastbridge.store.recordings import STATES as RECORDING_STATES

_REF = "#/components/schemas/"
_TEXT, _NUMBER = {"type": ["string", "null"]}, {"type": ["integer", "null"]}
CALL = {
    "type": "object",
    "required": ["id", "call_sid", "state", "created_at"],
    "properties": {
        "id": {"type": "string"},
        "call_sid": {**_TEXT, "description": "The carrier's, once it has the call."},
        "state": {"type": "string", "enum": list(STATES)},
        "to": {"type": "string", "description": "Until the call has ended."},
        "from": {"type": "string"},
        "business_id": {"type": "string"},
        "agent": {"type": "string"},
        "record": {"type": "string"},
        "parameters": {"type": "object", "additionalProperties": {"type": "string"}},
        "schedule_at": {"type": "string", "format": "date-time"},
        "idempotency_key": _TEXT,
        "created_at": {"type": "string", "format": "date-time"},
        "ended_at": {**_TEXT, "format": "date-time"},
        "duration_seconds": _NUMBER,
        "answered_by": _TEXT,
        "code": {**_NUMBER, "description": "The carrier's error."},
        "reason": {**_TEXT, "description": "Why it failed, in a sentence."},
        "outcome": {
            **_TEXT,
            "description": "What came of it, once that is known: the last state, or node_lost for a call that was "
            "answered, and of which its node could keep no record.",
        },
    },
}
PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


RECORDING = {
    "type": "object",
    "required": ["recording_sid", "call_sid", "state", "created_at"],
    "properties": {
        "recording_sid": {"type": "string"},
        "call_sid": {"type": "string"},
        "state": {"type": "string", "enum": list(RECORDING_STATES)},
        **dict.fromkeys(("size_bytes", "channels", "duration_seconds"), _NUMBER),
        **{name: {**_TEXT, "format": "date-time"} for name in ("created_at", "stored_at", "deleted_at")},
        "problem": {**_TEXT, "description": "Why it is lost."},
    },
}
LINK = {
    "type": "object",
    "required": ["url", "expires_at"],
    "properties": {"url": {"type": "string", "format": "uri"}, "expires_at": {"type": "string", "format": "date-time"}},
}


@cache
def document(*, recordings: bool = False) -> dict[str, Any]:
    """OpenAPI 3.1. recordings: with their API."""
    asked = CallRequest.model_json_schema(by_alias=True)
    title = "fastbridge: calls out and recordings" if recordings else "fastbridge: calls out"
    which = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    query = [
        {"name": "state", "in": "query", "schema": {"type": "string", "enum": list(STATES)}},
        {"name": "id", "in": "query", "schema": {"type": "string"}, "description": "Several, with commas between."},
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}},
        {"name": "cursor", "in": "query", "schema": {"type": "string"}},
    ]
    listed = {"type": "object", "properties": {"calls": {"type": "array", "items": _ref("Call")}, "next": _TEXT}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version("fastbridge"),
        },
        "security": [{"key": []}],
        "paths": {
            "/calls": {
                "post": {
                    "summary": "Place a call",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
                    "responses": {
                        "201": _answer("It is placed.", _ref("Call")),
                        "202": _answer("It will be placed, or may have been.", _ref("Call")),
                        "200": _answer("It was asked for before, with this key.", _ref("Call")),
                        **_problems("400", "401", "403", "409", "422", "503"),
                    },
                },
                "get": {
                    "summary": "List calls, the newest first",
                    "parameters": query,
                    "responses": {"200": _answer("A page.", listed), **_problems("401", "403", "422")},
                },
            },
            "/calls/{id}": {
                "parameters": [which],
                "get": {
                    "summary": "See a call, by its id or its call_sid",
                    "responses": {"200": _answer("The call.", _ref("Call")), **_problems("401", "403", "404")},
                },
                "delete": {
                    "summary": "Cancel a call, or hang up",
                    "responses": {
                        "202": _answer("The carrier ends it.", _ref("Call")),
                        "200": _answer("It had ended.", _ref("Call")),
                        **_problems("401", "403", "404", "409", "502"),
                    },
                },
            },
            **(_recordings() if recordings else {}),
        },
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Call": CALL, "Problem": PROBLEM, "Recording": RECORDING, "Link": LINK},
        },
    }


def _recordings() -> dict[str, Any]:
    which = {"name": "sid", "in": "path", "required": True, "schema": {"type": "string"}}
    of_call = {"name": "call_sid", "in": "query", "required": True, "schema": {"type": "string"}}
    link = {"name": "link", "in": "query", "schema": {"type": "string"}, "description": "In the place of a key."}
    listed = {"type": "object", "properties": {"recordings": {"type": "array", "items": _ref("Recording")}}}
    seconds = {"type": "integer", "minimum": 60, "maximum": 604_800, "default": 3600}
    asked = {"type": "object", "properties": {"seconds": seconds}}
    file = {"type": "string", "format": "binary"}
    answers = {
        "200": _answer("The file.", file, "audio/x-wav"),
        "206": _answer("The range of it that was asked for.", file, "audio/x-wav"),
        "202": _answer("It is being fetched: ask again after Retry-After.", _ref("Recording")),
        **_problems("401", "403", "404", "410", "416", "503"),
    }
    return {
        "/recordings": {
            "get": {
                "summary": "List the recordings of a call",
                "parameters": [of_call],
                "responses": {"200": _answer("All of them.", listed), **_problems("401", "403", "422")},
            }
        },
        "/recordings/{sid}": {
            "parameters": [which],
            "get": {"summary": "Get a recording, or a range of it", "parameters": [link], "responses": answers},
            "delete": {
                "summary": "Delete a recording, ours and the carrier's",
                "responses": {
                    "204": {"description": "Nobody gets it any more."},
                    **_problems("401", "403", "404", "410"),
                },
            },
        },
        "/recordings/{sid}/link": {
            "parameters": [which],
            "post": {
                "summary": "Make a link to a recording, for a time",
                "requestBody": {"content": {"application/json": {"schema": asked}}},
                "responses": {
                    "201": _answer("The link.", _ref("Link")),
                    **_problems("400", "401", "403", "404", "410", "422"),
                },
            },
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"{_REF}{name}"}


def _answer(words: str, schema: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return {"description": words, "content": {media_type: {"schema": schema}}}


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: _answer("What is wrong.", _ref("Problem"), MEDIA_TYPE) for status in statuses}
