"""The operators' own checks of the log, on the product: frame accounting, greeting lock counters, websocket close,
logging flags, TwiML threshold, rate limiter, once per call, noisy modules, macro events; and what must never
be in it."""

import asyncio
import itertools
import json
import logging
import traceback
import warnings
from types import SimpleNamespace

import openai
import pytest
import sqlalchemy as sa
import uvicorn.logging  # noqa: F401 - its loggers are set up by the import
import websockets.client

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.carrier.admission import Admission
from fastbridge.config import Settings, load_settings
from fastbridge.net import arrival
from fastbridge.net.arrival import Arrival
from fastbridge.node.metrics import Metrics
from fastbridge.observe import log_policy as log
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.limits import REPEAT_SECONDS, OncePerCall, Repeats
from front_desk import CALL, make_node, post
from helpers import LOUD, QUIET
from virtual import Rig, call_context

HEBREW = 'דוד אמר: "שלום"\nאחרי\\ \u2028'  # noqa: RUF001 - it is what it is


@pytest.fixture(autouse=True)
def _restore(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    names = (None, *log.NOISY, *log.STATEMENTS, "fastbridge", "fastbridge.events")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    for handler in set(logging.getLogger().handlers) - set(handlers):
        handler.close()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def written(capsys):
    """Configure logging; the returned function gives the lines since."""

    def configure(**settings):
        logging.getLogger().handlers[:] = []
        log.configure_from(load_settings(**settings))
        return lines

    def lines():
        assert log.flush()
        return capsys.readouterr().out.split("\n")[:-1]

    return configure


# --- by name ---


@pytest.fixture
def caller_call(caplog):
    """A call with a locked greeting, of which the caller said something: its closing lines."""
    caplog.set_level("INFO")
    rig = Rig(Agent(greeting="Hello!")).up()
    rig.respond(bytes(8000), text="Hello!")
    rig.advance(0.5)
    rig.echo_marks()
    rig.caller_says(*[QUIET] * 25)
    rig.echo_marks()
    rig.advance(1)
    rig.carrier({"event": "stop"})
    rig.shut()
    return rig, [record.getMessage().partition(", call_sid")[0] for record in caplog.records]


def test_frame_accounting(caller_call):
    rig, lines = caller_call
    books = rig.call.document["accounting"]
    assert f"Frame accounting OK: {books['frames_in']} = {books['forwarded']} + {books['dropped']}" in lines
    assert books["frames_in"] == books["forwarded"] + books["dropped"] == rig.chunk


def test_greeting_lock_counters(caller_call):
    rig, lines = caller_call
    locked = rig.call.document["accounting"]["by_reason"]["greeting_lock"]
    assert locked > 0
    assert f"Greeting lock accounting OK: {locked} frames" in lines
    assert f"SIMPLE_MODE DROPS: greeting_lock={locked}" in lines


def test_websocket_close(caller_call, caplog):
    rig, _ = caller_call
    for again in ("on_carrier_closed", "on_stream_ended"):
        rig.do = lambda function, *arguments: function(*arguments)
        getattr(rig.call, again)()
    assert len(rig.carrier_link.closed) == 1
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


FLAGS = {
    "LOG_REALTIME_EVENTS": "event response.done",
    "LOG_AUDIO_CHUNKS": "chunk#100",
    "LOG_TRANSCRIPT_DELTAS": "delta: ",
    "DEBUG_TX": "[AUDIO_DRAIN]",
}
"""What each flag shows, and nothing else does."""


@pytest.mark.parametrize("word", ["1", "true", "YES", "0", "false", "No", None])
@pytest.mark.parametrize("flag", FLAGS)
def test_logging_flags(flag, word, monkeypatch, caplog):
    if word is not None:
        monkeypatch.setenv(flag, word)
    loaded = load_settings()
    assert {name: getattr(loaded, name.lower()) for name in FLAGS if name != flag} == dict.fromkeys(
        FLAGS.keys() - {flag}, False
    )
    caplog.set_level("INFO")
    rig = Rig(**{name.lower(): getattr(loaded, name.lower()) for name in FLAGS}).up()
    rig.begin("resp_1", "item_1")
    feed = rig.call.trace.sink if callable(rig.call.trace.sink) else rig.call.assistant.feed_message
    kind = "response.output_audio_transcript.delta"
    rig.do(feed, json.dumps({"type": kind, "response_id": "resp_1", "item_id": "item_1", "delta": "word"}).encode())
    rig.respond(bytes(8000), text="word")
    rig.caller_says(*[QUIET] * 150)
    rig.advance(1)
    rig.shut()
    shown = {name for name, words in FLAGS.items() if words in caplog.text}
    assert shown == ({flag} if word in ("1", "true", "YES") else set())


@pytest.mark.parametrize(
    ("limit_ms", "took_ms", "warns"), [(None, 349, False), (None, 351, True), ("200", 313, True), ("500", 351, False)]
)
@pytest.mark.parametrize("path", ["/webhook/incoming_call", "/webhook/outbound_call"])
def test_twiml_threshold(limit_ms, took_ms, warns, path, monkeypatch, caplog):
    if limit_ms is not None:
        monkeypatch.setenv("TWIML_SLA_MS", limit_ms)
    node = make_node(twiml_sla_ms=load_settings().twiml_sla_ms)
    came, now_ns = Arrival(), 10**12
    came.head(now_ns - took_ms * 1_000_000)
    came.body(now_ns - took_ms * 1_000_000)
    monkeypatch.setattr(arrival, "time", SimpleNamespace(monotonic_ns=lambda: now_ns))
    assert post(node, path, arrival=came).verbs == ["Connect", "Hangup"]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    limit = limit_ms or "350"
    parts = f"body_ms=0, lag_ms={took_ms}, work_ms=0"
    assert said == [f"[SLA] TwiML too slow: {took_ms}ms > {limit}ms, {parts}, call_sid={CALL}"] * warns


def test_rate_limiter():
    now_s = 0.0
    call_log = CallLog("CA1", Settings.model_construct(), lambda: now_s)
    assert call_log.rate.every("audio_drain", 5.0)
    now_s = 4.9
    assert not call_log.rate.every("audio_drain", 5.0)
    now_s = 5.0
    assert call_log.rate.every("audio_drain", 5.0)


def test_once_per_call():
    once = OncePerCall()
    assert [once.once("dsp_enabled") for _ in range(3)] == [True, False, False]
    assert sum(once.once(str(number)) for number in range(1000)) == OncePerCall.MAX_KEYS - 1


@pytest.mark.parametrize(("level", "noisy"), [("INFO", logging.WARNING), ("DEBUG", logging.INFO)])
def test_noisy_modules(written, level, noisy):
    written(log_level=level)
    for name in (
        "websockets",
        "urllib3",
        "httpx",
        "openai",
        "fastbridge.call.call",
        "fastbridge.carrier.twilio.media_socket",
    ):
        assert logging.getLogger(name).getEffectiveLevel() == noisy
    for name in ("sqlalchemy.engine", "sqlalchemy.pool"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_macro_events(written, level):
    lines = written(log_level=level)
    logging.getLogger("fastbridge.events").info("[CALL_START] shown")
    logging.getLogger("fastbridge.call.call").debug("hidden")
    assert ["shown" in line for line in lines() if "LOGGING" not in line] == [True]


# --- the table ---

YES, NO = ("1", "true", "TRUE", "yes", "Yes", "on", " 1 "), ("0", "false", "False", "no", "NO", "off")
LEVELS = (None, "", "DEBUG", "debug", "INFO", "WARNING", "ERROR", " error ", "loud", "10")


@pytest.mark.parametrize(("debug", "log_level"), list(itertools.product((None, "", *YES, *NO, "perhaps"), LEVELS)))
def test_debug_by_log_level_by_spelling(monkeypatch, debug, log_level):
    for name, word in (("DEBUG", debug), ("LOG_LEVEL", log_level)):
        if word is not None:
            monkeypatch.setenv(name, word)
    settings = load_settings()
    level, complaints = log.resolve_level(settings.log_level, settings.debug)
    word = (log_level or "").strip().upper()
    if word in log.LEVELS:
        assert (logging.getLevelName(level), complaints) == (word, [])
    elif word or debug == "perhaps":
        assert (level, len(complaints)) == (logging.INFO, 1)
    else:
        assert (level, complaints) == (logging.DEBUG if debug in NO else logging.INFO, [])


# --- libraries, any content ---


def say_everywhere():
    """Lines as libraries write them, and an exception with a traceback."""
    for name in ("uvicorn.error", "websockets.server", "openai._base_client", "sqlalchemy.pool", "fastbridge.x"):
        logging.getLogger(name).warning("%s: %s", name, HEBREW)
    try:
        raise ValueError(HEBREW)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
        log.event("SERVER_ERROR", HEBREW, level=logging.ERROR, exc_info=True, name=HEBREW)


def test_every_line_of_every_library_is_json(written):
    lines = written(log_json=True)
    say_everywhere()
    found = [json.loads(line) for line in lines()[1:]]
    assert len(found) == 7
    for each in found:
        assert list(each)[:4] == ["timestamp", "level", "module", "message"]
    assert found[0]["message"] == f"uvicorn.error: {HEBREW}"
    assert [HEBREW in each.get("exception", "") for each in found] == [False] * 5 + [True] * 2


def test_every_line_of_every_library_has_the_human_format(written):
    lines = written()
    say_everywhere()
    found = [line for line in lines()[1:] if not line.startswith("    ")]
    assert len(found) == 7
    assert all(line[0] == "[" and line[20:28] in ("] WARNIN", "] ERROR ") for line in found)


def test_the_libraries_do_log_under_these_names():
    assert websockets.client.ClientProtocol.__module__.startswith("websockets")
    assert openai.__name__ == "openai"
    assert sa.create_engine("sqlite://").logger.name.startswith("sqlalchemy.engine")


def test_a_warning_that_a_stranger_can_cause_at_will_is_counted(written, monkeypatch):
    lines = written()
    now_s = 100.0
    (handler,) = log._handlers()
    handler._repeats._now_s = lambda: now_s
    before = log.counters()["suppressed"]
    for _ in range(1000):
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logging.getLogger("uvicorn.error").warning("another")
    now_s += REPEAT_SECONDS
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    found = [line.partition("uvicorn.error] ")[2] for line in lines()[1:]]
    assert found == ["Invalid HTTP request received."] * 5 + [
        "another",
        "Invalid HTTP request received. (and 995 more like it)",
    ]
    assert log.counters()["suppressed"] - before == 995


def test_repeats_are_bounded():
    repeats = Repeats(lambda: 0.0)
    for number in range(10_000):
        repeats.judge(logging.LogRecord("x", logging.WARNING, "", 0, f"message {number}", None, None))
    assert len(repeats._seen) == Repeats.MAX_KEYS


def test_lines_are_counted_by_level(written):
    written()
    before = log.counters()
    logging.getLogger("fastbridge.x").warning("one")
    log.event("BOOT")
    after = log.counters()
    assert {level: after[level] - before[level] for level in ("INFO", "WARNING", "ERROR")} == {
        "INFO": 1,
        "WARNING": 1,
        "ERROR": 0,
    }


def test_what_nobody_catches_is_logged_and_scrubbed(written, monkeypatch):
    import sys
    import threading

    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    lines = written(openai_api_key="sk-proj-abcdefgh12345678", log_json=True)
    with warnings.catch_warnings():
        log.log_uncaught()
        thread = threading.Thread(target=lambda: int("sk-proj-abcdefgh12345678"))
        thread.start()
        thread.join()
        logging.captureWarnings(False)
    (line,) = lines()[1:]
    assert json.loads(line)["level"] == "CRITICAL"
    assert "invalid literal for int" in line
    assert "abcdefgh" not in line


# --- canaries ---

CANARY = "zqxcanary"
SECRETS = {
    "openai_api_key": f"sk-proj-{CANARY}key0123456789",
    "twilio_auth_token": f"{CANARY}token0123456789",
    "database_url": f"postgresql://user:{CANARY}pass0123@127.0.0.1/x",
}


def canaries(level, **flags):
    """A whole call in which every field that a caller, the model's transcript or a tool controls holds a marker."""
    agent = Agent(greeting="Hello!")

    @agent.tool
    async def book(name: str) -> str:
        """Book."""
        raise RuntimeError(f"no table for {name}")

    settings = {"log_transcripts": False, "record_transcripts": False, **SECRETS, **flags}
    loaded = load_settings(log_level=level, **settings)
    rig = Rig(agent, **{name: getattr(loaded, name) for name in type(loaded).model_fields if name != "agent"})
    rig.call.context = call_context(
        from_number=f"+97250{CANARY}", to_number=f"sip:{CANARY}@example.com", parameters={"note": CANARY}
    )
    rig.up()
    rig.respond(bytes(8000), text=f"{CANARY} hello")
    rig.advance(2)
    rig.echo_marks()
    rig.model({"type": "input_audio_buffer.committed", "item_id": "c1"})
    completed = "conversation.item.input_audio_transcription.completed"
    rig.model({"type": completed, "item_id": "c1", "transcript": f"{CANARY} please"})
    rig.begin("resp_2")
    rig.tool_call("call_1", "book", json.dumps({"name": CANARY}), "resp_2")
    rig.done("resp_2")
    rig.advance(0.1)
    rig.respond(bytes(16000), 3, text=f"{CANARY} again")
    rig.carrier({"event": "dtmf", "dtmf": {"digit": CANARY}})
    rig.carrier({"event": CANARY})
    rig.carrier(CANARY.encode())
    rig.model({"type": CANARY, "words": CANARY})
    rig.model({"type": "response.created", "response": CANARY})
    rig.model({"type": "error", "error": {"code": "x", "message": f"{CANARY} {SECRETS['openai_api_key']}"}})
    rig.caller_says(*[LOUD] * 15)
    rig.shut()
    return rig


@pytest.mark.parametrize("log_json", [False, True])
@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
@pytest.mark.parametrize("flags", [{}, {"log_realtime_events": True, "log_transcript_deltas": True, "debug_tx": True}])
def test_no_canary_is_in_the_log_the_metrics_or_the_record(written, level, log_json, flags):
    lines = written(log_level=level, log_json=log_json, **SECRETS)
    rig = canaries(level, **flags)
    text = "\n".join(lines())
    assert "LOGGING CONFIGURED" in text
    assert CANARY not in text
    metrics = Metrics()
    metrics.end(rig.call, rig.call.document)
    assert CANARY not in json.dumps(metrics.snapshot())
    assert CANARY not in json.dumps(rig.call.document)


def test_no_canary_is_in_a_repr_or_an_error():
    settings = load_settings(**SECRETS)
    admission = Admission(
        "CA1", "AC1", f"+1{CANARY}", CANARY, "inbound", {"x": CANARY}, expires_ns=0, token=f"{CANARY}token"
    )
    context = call_context(from_number=CANARY, to_number=CANARY, parameters={"x": CANARY})
    for thing in (settings, admission, context, Agent()):
        assert CANARY not in repr(thing)
        assert CANARY not in str(thing)
        try:
            raise ValueError(thing)
        except ValueError:
            assert CANARY not in traceback.format_exc()


def test_secrets_are_scrubbed_from_tracebacks_of_any_handler(written):
    lines = written(**SECRETS)
    for secret in ("sk-proj-zqxcanarykey0123456789", "zqxcanarytoken0123456789", SECRETS["database_url"]):
        try:
            raise ConnectionError(f"cannot reach {secret}")
        except ConnectionError:
            logging.getLogger("sqlalchemy.pool").exception("failed with %s", secret)
            log.event("SERVER_ERROR", secret, level=logging.ERROR, exc_info=True, url=secret)
    assert CANARY not in "\n".join(lines())


def test_a_task_that_fails_is_logged_like_the_rest(written):
    lines = written(log_json=True)

    async def scene() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": HEBREW, "exception": ValueError(HEBREW)})

    asyncio.run(scene())
    (line,) = lines()[1:]
    assert json.loads(line)["module"] == "asyncio"
