"""Other endpoints of the Realtime protocol: servers that are found, greeted and answered otherwise than OpenAI's own.

Each is a server on loopback that plays the part: its address and what it wants in the handshake, its names for events,
what it leaves out of them, and what it will not have in a `session.update`. The call through it is a real node's.
"""

import base64
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attacker import API_KEY, Line, RunningNode, eventually, new_call_sid, wire
from environment import clear_environment
from scripted_model import Model, ModelLine

AUDIO = bytes(range(0x20, 0x70)) * 40
WORDS = "We are open from nine to five."
QUESTION = "When are you open?"
Event = dict[str, Any]
Says = Callable[[Event], Event | None]
"""An event of OpenAI's, as this server has it; None for one that it does not know."""

BETA = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}
BETA_FORMATS = {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_ulaw"}


def beta(event: Event) -> Event | None:
    if event["type"] == "session.updated":
        return {**event, "session": {"id": "sess_1", "voice": "alloy", **BETA_FORMATS}}
    return (
        None if event["type"] == "conversation.item.done" else {**event, "type": BETA.get(event["type"], event["type"])}
    )


def sparing(event: Event) -> Event | None:
    """Only what a client cannot do without."""
    kind = event["type"]
    if kind.startswith("conversation.") or "transcript" in kind or kind.endswith("audio.done"):
        return None
    if kind == "session.created":
        return {"type": kind}
    left_out = {"event_id", "previous_item_id", "audio_start_ms", "audio_end_ms", "output_index", "content_index"}
    event = {name: value for name, value in event.items() if name not in left_out}
    if "response" in event:
        event["response"] = {name: event["response"][name] for name in ("id", "status") if name in event["response"]}
    return event


def without_a_beginning(event: Event) -> Event | None:
    return None if event["type"] == "session.created" else event


def numbered(event: Event) -> Event:
    """Ids are numbers."""

    def number(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {inner: number(each, inner) for inner, each in value.items()}
        is_id = name == "id" or name.endswith("_id")
        return sum(value.encode()) if is_id and isinstance(value, str) else value

    found: Event = number(event)
    return found


def pretty(event: Event) -> Event:
    """Fields in another order, and some that are nobody's."""
    return {"sequence": 7, **dict(reversed(event.items())), "vendor": {"latency_ms": 7}}


SERVERS: dict[str, tuple[Says, bool]] = {
    "OpenAI's": (lambda event: event, True),
    "the beta's names": (beta, True),
    "nothing optional": (sparing, False),
    "no session.created": (without_a_beginning, True),
    "ids that are numbers": (numbered, True),
    "another order, and more": (pretty, True),
}


class Server:
    """A script for `Model`: one question of the caller's, and its answer. refuses(session): the parameter that this
    server will not have in a session's settings, if there is one."""

    def __init__(self, says: Says = lambda event: event, refuses: Callable[[Event], str] = lambda session: "") -> None:
        self.says, self.refuses = says, refuses
        self.asked: list[str] = []
        self.sessions: list[Event] = []
        self._numbers = itertools.count(1)

    def __call__(self, line: ModelLine) -> None:
        line.accept()
        self.asked.append(line.asked)
        self._say(line, "session.created", session={"id": "sess_1", "object": "realtime.session"})
        self._confirm(line)
        self._say(line, "rate_limits.updated", rate_limits=[])
        self._say(line, "vendor.thinking", item_id="item_1", thoughts=[{"id": None}])
        self._converse(line)
        line.listen()

    def _confirm(self, line: ModelLine) -> None:
        while True:
            session = line.hears("session.update")["session"]
            self.sessions.append(session)
            param = self.refuses(session)
            if not param:
                break
            error = {"type": "invalid_request_error", "code": "unknown_parameter", "param": param, "event_id": None}
            self._say(line, "error", error={**error, "message": f"Unknown parameter: '{param}'."})
        audio = session["audio"]
        formats = {side: {"format": audio[side]["format"]} for side in ("input", "output")}
        self._say(line, "session.updated", session={"id": "sess_1", "audio": formats})

    def _converse(self, line: ModelLine) -> None:
        item: Event = {"id": "item_u", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
        self._say(line, "input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u")
        self._say(line, "input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_u")
        self._say(line, "input_audio_buffer.committed", item_id="item_u", previous_item_id=None)
        self._say(line, "conversation.item.added", item=item, previous_item_id=None)
        transcribed = "conversation.item.input_audio_transcription.completed"
        self._say(line, transcribed, item_id="item_u", content_index=0, transcript=QUESTION)
        ids = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
        usage = {"total_tokens": 90, "input_tokens": 40, "output_tokens": 50}
        self._say(line, "response.created", response={"id": "resp_1", "status": "in_progress", "metadata": None})
        item = {"id": "item_a", "type": "message", "role": "assistant", "content": []}
        self._say(line, "response.output_item.added", response_id="resp_1", output_index=0, item=item)
        self._say(line, "conversation.item.added", item=item, previous_item_id="item_u")
        for start in range(0, len(AUDIO), 800):
            delta = base64.b64encode(AUDIO[start : start + 800]).decode()
            self._say(line, "response.output_audio.delta", **ids, delta=delta)
        self._say(line, "response.output_audio.done", **ids)
        self._say(line, "response.output_audio_transcript.delta", **ids, delta=WORDS)
        self._say(line, "response.output_audio_transcript.done", **ids, transcript=WORDS)
        self._say(line, "response.output_item.done", response_id="resp_1", output_index=0, item=item)
        self._say(line, "conversation.item.done", item=item)
        self._say(line, "response.done", response={"id": "resp_1", "status": "completed", "usage": usage})

    def _say(self, line: ModelLine, kind: str, **fields: Any) -> None:
        event = self.says({"type": kind, "event_id": f"event_{next(self._numbers)}", **fields})
        if event is not None:
            line.send(wire(1, json.dumps(event, separators=(",", ":")).encode(), mask=False))


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Event]:
    """`held(server)`: its one call, to the record. `path`: of the server's address; `settings`: of the node."""
    clear_environment(monkeypatch, tmp_path)

    def hold(server: Server, path: str = "/v1", **settings: Any) -> Event:
        with Model(server) as model:
            url = model.url.removesuffix("/v1")
            given = {
                name: value.format(url=url) if isinstance(value, str) else value for name, value in settings.items()
            }
            given = {"records_dir": tmp_path, "greeting": "", **given}
            call_sid = new_call_sid()
            with RunningNode(url + path, **given) as node, node.started_at_once(call_sid) as line:
                assert AUDIO in audio_of(line)
                assert eventually(lambda: not node.call(call_sid).assistant.playing)
                line.text({"event": "stop"})
                assert line.close_code() == 1000
                path_of_record = tmp_path / f"{call_sid}.json"
                assert eventually(path_of_record.exists)
        record: Event = json.loads(path_of_record.read_text(encoding="utf-8"))
        assert record["end_reason"] == "customer_hangup"
        return record

    return hold


@pytest.mark.parametrize(("says", "writes"), SERVERS.values(), ids=SERVERS)
def test_a_call_through_a_server_that_speaks_otherwise(held, says, writes):
    record = held(Server(says))
    turns = [(turn["role"], turn["text"]) for turn in record["turns"]]
    assert turns == ([("caller", QUESTION), ("assistant", WORDS)] if writes else [])
    assert (record["errors"], record["model_line"].get("losses", 0)) == ([], 0)


# What a server will not have


def first_of(*paths: str) -> Callable[[Event], str]:
    """The first of these paths that is in a session."""

    def refused(session: Event) -> str:
        for path in paths:
            inner: Any = session
            for name in path.split("."):
                inner = inner.get(name) if isinstance(inner, dict) else None
            if inner is not None:
                return f"session.{path}"
        return ""

    return refused


OPTIONAL = {
    "audio.input.noise_reduction": {"noise_reduction": "near_field"},
    "audio.input.turn_detection.interrupt_response": {},
    "audio.input.transcription.prompt": {"transcription_prompt": "Pizza."},
    "audio.output.speed": {"speed": 1.1},
    "audio.output.voice": {},
    "max_output_tokens": {"max_output_tokens": 400},
    "reasoning": {"reasoning_effort": "low"},
    "output_modalities": {},
}


@pytest.mark.parametrize("path", OPTIONAL)
def test_a_setting_that_a_server_does_not_take_is_left_out(held, path, caplog):
    server = Server(refuses=first_of(path))
    held(server, **OPTIONAL[path])
    first, second = server.sessions
    assert (first_of(path)(first), first_of(path)(second)) == (f"session.{path}", "")
    assert f"[REALTIME] session.{path} is left out" in caplog.text


def test_a_server_that_takes_next_to_nothing(held):
    """One after the other, as such servers tell it."""
    server = Server(refuses=first_of(*OPTIONAL, "audio.input.transcription", "audio.input.turn_detection"))
    record = held(server, **{name: value for each in OPTIONAL.values() for name, value in each.items()})
    assert server.sessions[-1].keys() == {"type", "instructions", "audio", "tools", "tool_choice"}
    pcmu = {"format": {"type": "audio/pcmu"}}
    assert server.sessions[-1]["audio"] == {"input": pcmu, "output": pcmu}
    assert set(record["errors"]) == {"unknown_parameter"}


@pytest.mark.parametrize("path", ["instructions", "audio.input.format", "tools"])
def test_without_some_there_is_no_conversation(monkeypatch, tmp_path, path, caplog):
    """Nothing is left out for it, and the caller is told."""
    clear_environment(monkeypatch, tmp_path)
    (tmp_path / "apology.ulaw").write_bytes(AUDIO)
    server = Server(refuses=first_of(path))
    call_sid = new_call_sid()
    with Model(server) as model, RunningNode(model.url, greeting="", prompts_dir=tmp_path, outage_seconds=2) as node:
        with node.started_at_once(call_sid) as line:
            assert AUDIO in audio_of(line)
            assert line.close_code() is not None
        assert node.node.directory.ended_reason(call_sid) == "model_unavailable"
    assert all(session == server.sessions[0] for session in server.sessions)
    assert f"param=session.{path}" in caplog.text
    assert "is left out" not in caplog.text


@pytest.mark.parametrize("session", [{"id": "sess_1"}, {"id": "sess_1", "input_audio_format": "pcm16"}])
def test_audio_that_nobody_has_confirmed_is_never_passed_on(monkeypatch, tmp_path, session):
    """Some servers confirm settings without a word of formats, and speak PCM."""
    clear_environment(monkeypatch, tmp_path)
    (tmp_path / "apology.ulaw").write_bytes(bytes(reversed(AUDIO)))
    server = Server(lambda event: {**event, "session": session} if event["type"] == "session.updated" else event)
    given = {"greeting": "", "prompts_dir": tmp_path, "outage_seconds": 2}
    with Model(server) as model, RunningNode(model.url, **given) as node, node.started_at_once(new_call_sid()) as line:
        heard = audio_of(line)
    assert bytes(reversed(AUDIO))[:3200] in heard
    assert AUDIO[:160] not in heard


# Where servers are


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/proxy/openai/v1", "/"])
def test_a_server_behind_a_path(held, path):
    server = Server()
    held(server, path)
    assert requested(server) == (f"{path.rstrip('/')}/realtime?model=gpt-realtime-2.1", f"Bearer {API_KEY}", None)


def test_a_proxy_with_a_query_and_without_a_key(held):
    server = Server()
    held(server, "/v1?tenant=7", openai_api_key=None, model="my-model")
    assert requested(server)[0] == "/v1/realtime?tenant=7&model=my-model"


@pytest.mark.parametrize(
    ("secret", "headers"),
    [
        ({"azure_openai_api_key": "azure-key"}, (None, "azure-key")),
        ({"azure_openai_ad_token": "entra"}, ("Bearer entra", None)),
        ({"azure_openai_api_key": "azure-key", "azure_openai_ad_token": "entra"}, (None, "azure-key")),
    ],
)
def test_azure(held, secret, headers):
    server = Server()
    azure = {
        "openai_base_url": None,
        "openai_api_key": None,
        "azure_openai_endpoint": "{url}",
        "model": "my-deployment",
    }
    held(server, **azure, **secret)
    assert requested(server) == ("/openai/v1/realtime?model=my-deployment", *headers)


def requested(server: Server) -> tuple[str, str | None, str | None]:
    """The path that was asked for, and both headers that may hold a secret."""
    (asked,) = server.asked
    request, *lines = asked.splitlines()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return request.split()[1], headers.get("authorization"), headers.get("api-key")


def audio_of(line: Line) -> bytes:
    """What the caller hears, until the end or until he has heard all of AUDIO."""
    heard = b""
    for message in line.messages():
        if message["event"] == "media":
            heard += base64.b64decode(message["media"]["payload"])
        if AUDIO in heard:
            break
    return heard
