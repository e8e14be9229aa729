import json
import logging
import re
import sys
import time

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from environment import clear_environment
from fastbridge.config import load_settings
from fastbridge.observe import log_policy as log
from fastbridge.observe.log_format import HumanFormatter, Scrubber, escape, mask_phone

KEY = "sk-proj-abcdefgh12345678"
TOKEN = "0123456789abcdef0123456789abcdef"
HOSTILE = "a\r\n[2024-01-21 19:30:26] ERROR    [x] forged\x1b[31m\x00\u2028\u202e\ud800\x85"


@pytest.fixture(autouse=True)
def _restore(monkeypatch, tmp_path):
    """Logging is the process's: put every level and handler back."""
    clear_environment(monkeypatch, tmp_path)
    loggers = [logging.getLogger(name) for name in (None, *log.NOISY, "fastbridge", "fastbridge.events")]
    levels = [logger.level for logger in loggers]
    handlers = logging.getLogger().handlers[:]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in set(logging.getLogger().handlers) - set(handlers):
        handler.close()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def lines(capsys):
    """Configure logging; the returned function gives the lines written since."""

    def configure(**settings):
        logging.getLogger().handlers[:] = []  # pytest's own raise where ours must not
        log.configure_from(load_settings(**settings))
        assert log.flush()
        first = capsys.readouterr().out.splitlines()
        assert len(first) == 1
        assert "LOGGING CONFIGURED" in first[0]
        return written

    def written():
        assert log.flush()
        return capsys.readouterr().out.split("\n")[:-1]

    return configure


@pytest.mark.parametrize(
    ("log_level", "debug", "level"),
    [
        (None, None, logging.INFO),
        (None, "1", logging.INFO),
        (None, "TRUE", logging.INFO),
        (None, "yes", logging.INFO),
        (None, "0", logging.DEBUG),
        (None, "False", logging.DEBUG),
        (None, "no", logging.DEBUG),
        ("DEBUG", "1", logging.DEBUG),
        ("info", "0", logging.INFO),
        ("WARNING", None, logging.WARNING),
        (" error ", "0", logging.ERROR),
        ("", "0", logging.DEBUG),
    ],
)
def test_the_level_rule(log_level, debug, level):
    assert log.resolve_level(log_level, debug) == (level, [])


@pytest.mark.parametrize(("log_level", "debug"), [("loud", "0"), (None, "perhaps"), ("10", None)])
def test_a_bad_level_warns_on_stderr_and_means_info(log_level, debug, capsys):
    log.configure_from(load_settings(log_level=log_level, debug=debug))
    log.flush()
    written = capsys.readouterr()
    assert logging.getLogger().level == logging.INFO
    assert repr(log_level or debug) in written.err
    assert written.err.count("\n") == 1
    assert "LOGGING CONFIGURED: level=INFO, json=0" in written.out


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_first_line_says_how_to_read_the_rest(level, capsys):
    log.configure_from(load_settings(log_level=level))
    log.flush()
    line = capsys.readouterr().out
    assert re.fullmatch(
        rf"\[\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\] INFO     \[log_policy\] LOGGING CONFIGURED: level={level}, json=0\n",
        line,
    )
    log.configure_from(load_settings(log_level=level, log_json=True))
    log.flush()
    assert json.loads(capsys.readouterr().out)["message"] == f"LOGGING CONFIGURED: level={level}, json=1"


@pytest.mark.parametrize(
    ("level", "noisy"),
    [
        ("INFO", logging.WARNING),
        ("DEBUG", logging.INFO),
        ("WARNING", logging.WARNING),
        ("ERROR", logging.ERROR),
    ],
)
def test_noisy_libraries_are_quieter_than_we_are(lines, level, noisy):
    lines(log_level=level)
    for name in (
        *(
            "websockets",
            "httpx2",
            "httpcore2",
            "httpx",
            "urllib3",
            "openai",
            "uvicorn",
            "twilio",
            "asyncio",
            "sqlalchemy",
        ),
        *("fastbridge.call.call", "fastbridge.carrier.twilio.media_socket", "fastbridge.model.realtime.session"),
    ):
        assert logging.getLogger(name).getEffectiveLevel() == noisy


def test_a_uvicorn_that_was_there_first_logs_by_our_policy(lines, capsys):
    names = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "uvicorn.access")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    try:
        uvicorn.Config("x:y", log_level="info", access_log=True)
        assert loggers[0].handlers
        written = lines(log_level="INFO")
        log.take_over_uvicorn()
        loggers[1].info("Uvicorn running")
        loggers[3].info("GET /healthz")
        loggers[1].warning("Invalid HTTP request received.")
        assert [line.partition("] ")[2] for line in written()] == [
            "WARNING  [uvicorn.error] Invalid HTTP request received."
        ]
        assert capsys.readouterr().err == ""
        assert not loggers[3].hasHandlers(), "uvicorn does not even make the line"
        assert loggers[1].level == logging.NOTSET, "uvicorn takes a low level of its own for a wish to trace"
    finally:
        for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
            logger.handlers[:] = handlers
            logger.propagate = propagate
            logger.setLevel(level)


def test_events_are_not_silenced_with_noisy_modules(lines):
    written = lines(log_level="INFO")
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("websockets.server").debug("frame")
    log.event("BOOT", "ready")
    (line,) = written()
    assert line.endswith("INFO     [test_observe_log_format] [BOOT] ready")
    written = lines(log_level="WARNING")
    log.event("BOOT", "ready")
    log.event("SLA", "slow", level=logging.WARNING)
    assert len(written()) == 1


def test_configuring_again_replaces(lines):
    lines(log_level="DEBUG")
    written = lines(log_level="INFO")
    log.event("BOOT")
    logging.getLogger("fastbridge.call.call").debug("no more")
    assert len(written()) == 1


def test_the_human_format(lines):
    written = lines()
    logging.getLogger("fastbridge.call.call").warning("%d frames", 3)
    logging.getLogger("websockets.client").warning("lost")
    ours, theirs = written()
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] WARNING  \[test_observe_log_format\] 3 frames", ours)
    assert theirs.endswith("WARNING  [websockets.client] lost")


@pytest.mark.parametrize(
    ("arguments", "fields", "text"),
    [
        (
            ("CALL_START",),
            {"call_sid": "CA123", "business_id": 456, "direction": "inbound"},
            "[CALL_START] call_sid=CA123, business_id=456, direction=inbound",
        ),
        (("REALTIME", "OpenAI connected in 234ms"), {}, "[REALTIME] OpenAI connected in 234ms"),
        (
            ("CALL_END", "duration=45s, reason=customer_hangup"),
            {"call_sid": "CA123"},
            "[CALL_END] duration=45s, reason=customer_hangup, call_sid=CA123",
        ),
        (("GREETING",), {"name": "דוד", "none": None, "half": 0.5}, "[GREETING] name=דוד, none=-, half=0.5"),
        (("X",), {"name": "a, reason=ok"}, '[X] name="a, reason=ok"'),
    ],
)
def test_how_an_event_reads(lines, arguments, fields, text):
    written = lines()
    log.event(*arguments, **fields)
    (line,) = written()
    assert line.split(" [test_observe_log_format] ")[1] == text


def test_json_has_the_fields_too(lines):
    written = lines(log_json=True)
    log.event(
        "CALL_START", "שלום", call_sid="CA123", business_id=456, rate=float("nan"), huge=1 << 80, timestamp="mine"
    )
    (line,) = written()
    record = json.loads(line, parse_constant=pytest.fail)
    assert list(record)[:4] == ["timestamp", "level", "module", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", record["timestamp"])
    assert (record["level"], record["module"]) == ("INFO", "test_observe_log_format")
    assert record["message"].startswith("[CALL_START] שלום, call_sid=CA123, business_id=456")
    assert (record["call_sid"], record["business_id"], record["rate"]) == ("CA123", 456, "nan")
    assert record["huge"] == str(1 << 80)
    assert record["timestamp"] != "mine"


@pytest.mark.parametrize("log_json", [False, True])
def test_no_content_breaks_out_of_its_line(lines, log_json):
    written = lines(log_json=log_json)
    log.event("CALL_START", HOSTILE, call_sid=HOSTILE, caller=HOSTILE)
    logging.getLogger("fastbridge.x").warning("said %s", HOSTILE)
    found = written()
    assert len(found) == 2
    for line in found:
        assert line.isprintable()
        if log_json:
            json.loads(line)


@given(st.text(alphabet=st.characters(codec=None)))
def test_escaped_text_is_one_printable_line(text):
    escaped = escape(text)
    assert len(escaped.splitlines()) <= 1
    assert not any(mark in escaped for mark in "\r\n\x00\x1b\x7f\u202e\u2066\u200f")
    escaped.encode("utf-8")


def test_ordinary_text_is_left_alone():
    for text in ("שלום, אני רוצה לתאם פגישה", "naïve café 日本 🚀", r"back\slash"):
        assert escape(text) == text


def test_values_are_cut_to_120_characters(lines):
    written = lines(log_json=True)
    log.event("X", exact="a" * 120, long="b" * 10_000_000, hostile="\n" * 200)
    record = json.loads(written()[0])
    assert record["exact"] == "a" * 120
    assert record["long"] == "b" * 119 + "…"
    assert len(record["hostile"]) == 120


def test_a_value_that_cannot_be_shown_loses_no_line(lines):
    class Broken:
        def __str__(self):
            raise RuntimeError("no")

        __repr__ = __str__

    written = lines()
    log.event("X", value=Broken())
    logging.getLogger("fastbridge.x").warning("%d things", "two")
    shown, misfit = written()
    assert shown.endswith("[X] value=<unprintable Broken>")
    assert "%d things ('two',)" in misfit


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+972501234512", "+9725****12"),
        ("+14155550123", "+1415****23"),
        ("0501234512", "05012****12"),
        ("sip:+972501234512@example.com", "sip:+9725****12@example.com"),
        ("anonymous", "anonymous"),
        ("", ""),
        ("+123456", "+123456"),
        ("266696687", "26669****87"),
    ],
)
def test_phone_numbers_are_masked(number, masked):
    assert mask_phone(number) == masked


@pytest.mark.parametrize("log_json", [False, True])
def test_what_no_line_may_hold(lines, log_json):
    written = lines(openai_api_key=KEY, twilio_auth_token=TOKEN, log_json=log_json)
    stream = "wss://x.example/media/abcDEF_-0123456789ab"
    log.event("X", f"{KEY} {TOKEN} {stream} +972501234512", key=KEY, token=TOKEN, url=stream, caller="+972501234512")
    try:
        raise ValueError(f"{KEY} {TOKEN} {stream} sk-another-key-of-someone +972501234512")
    except ValueError:
        logging.getLogger("fastbridge.x").exception("failed with %s", TOKEN)
    text = "\n".join(written())
    for secret in (KEY, TOKEN, "abcDEF_-0123456789ab", "sk-another", "501234512"):
        assert secret not in text
    assert "+9725****12" in text
    assert "wss://x.example/media/****" in text


def test_ids_and_short_numbers_are_not_phone_numbers(lines):
    written = lines()
    message = "CA12345678901234567890123456789012 1234567890 +5ms a+12345678 +12345678901234567890"
    logging.getLogger("fastbridge.x").info(message)
    assert written()[0].endswith(message)


@pytest.mark.parametrize("log_json", [False, True])
def test_telephone_numbers_without_a_plus_are_masked_in_any_line(lines, log_json):
    written = lines(log_json=log_json)
    numbers = ["0501234567", "050-123-4567", "020 7946 0958", "415-555-0123", "(415) 555-0123", "00972501234567"]
    log.event("CRM", "a 0501234567", **{f"n{at}": number for at, number in enumerate(numbers)})
    (line,) = written()
    assert line.count("****") == (2 if log_json else 1) * len(numbers) + 1
    assert "05012****67" in line
    assert not any(number in line for number in numbers)


def test_counters_times_and_ids_are_no_telephone_numbers(lines):
    written = lines()
    message = (
        "frames=1234567, at_ms=123456789, seconds=0.0123456789, at=1732817865, 2024-01-21 19:30:26.012345678,"
        " v=1.0123456789, 5f0a-0123456789ab, counts 200 200 3000, 0x0123456789, 192.168.10.20, 01-02-2024"
    )
    log.event("X", message, frames=1234567, ms=12345678, took=0.0123456789)
    (line,) = written()
    assert message in line
    assert line.endswith("frames=1234567, ms=12345678, took=0.0123456789")


def test_errors_come_with_their_whole_traceback_which_cannot_pose_as_a_record(lines):
    written = lines()
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        log.event("SERVER_ERROR", "webhook failed", level=logging.ERROR, exc_info=True)
    found = written()
    assert "ERROR    [test_observe_log_format] [SERVER_ERROR] webhook failed" in found[0]
    assert found[1] == "    Traceback (most recent call last):"
    assert any("raise ValueError(HOSTILE)" in line for line in found)
    assert all(line.startswith("    ") and line.isprintable() for line in found[1:])


def test_json_keeps_a_traceback_on_its_line(lines):
    written = lines(log_json=True)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("fastbridge.x").exception("failed")
    (line,) = written()
    assert "raise ValueError(HOSTILE)" in json.loads(line)["exception"]


def test_an_exception_that_cannot_be_shown_loses_no_line(lines):
    class BrokenError(Exception):
        @property
        def __traceback__(self):
            raise RuntimeError("no")

    written = lines()
    logging.getLogger("fastbridge.x").error("failed", exc_info=(BrokenError, BrokenError(), object()))
    found = written()
    assert "failed" in found[0]
    assert "<no traceback for" in found[1]


def test_an_event_below_the_level_costs_no_rendering(lines):
    class Costly:
        def __str__(self):
            pytest.fail("rendered")

    written = lines(log_level="WARNING")
    log.event("X", value=Costly())
    assert written() == []


def test_a_stream_that_lacks_the_character_gets_its_escape(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        log.configure_from(load_settings())
        log.event("X", "שלום")
        log.flush()
    assert r"\u05e9" in (tmp_path / "out").read_text(encoding="ascii")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_an_event_is_the_same_line_whoever_else_listens(lines, as_json, level):
    written = lines(log_json=as_json)

    def say() -> None:
        log.event("TAG", "מה: 100 %s", call_sid="CA1", level=level, number=1.5, who="+972501234567 a,b\n")

    def stable() -> str:
        (line,) = written()
        return re.sub(r"\d\d:\d\d:\d\d", "", line)

    say()
    ours = stable()
    logging.getLogger().addHandler(logging.NullHandler())
    say()
    assert ours == stable()
    assert "test_observe_log_format" in ours
    assert ours.count("****") == (2 if as_json else 1)


@pytest.mark.parametrize("name", ["fastbridge", "fastbridge.events"])
def test_who_listens_to_us_alone_hears_events(lines, name):
    lines()
    heard = []
    listener = logging.Handler()
    listener.emit = heard.append
    logger = logging.getLogger(name)
    logger.addHandler(listener)
    try:
        log.event("TAG", "said")
    finally:
        logger.removeHandler(listener)
    (record,) = heard
    assert (record.getMessage(), record.lineno > 0) == ("[TAG] said", True)


def test_a_time_stamp_is_that_of_its_own_second():
    formatter = HumanFormatter(str)
    record = logging.LogRecord("x", logging.INFO, __file__, 0, "said", None, None)
    for record.created in (1_700_000_000.0, 1_700_000_000.9, 1_700_000_001.0, 1_700_000_000.0):
        expected = time.strftime("[%Y-%m-%d %H:%M:%S] INFO", time.localtime(record.created))
        assert formatter.format(record).startswith(expected)


def test_of_two_secrets_the_longer_one_goes_whole():
    scrub = Scrubber(["secret-of-old", "secret-of-old-times"])
    assert scrub("a secret-of-old-times b secret-of-old c") == "a **** b **** c"


CARD = "4242 4242 4242 4242"


@pytest.mark.parametrize("log_json", [False, True])
def test_cards_and_identities_are_in_no_line_whoever_writes_it(lines, log_json):
    written = lines(log_json=log_json)
    log.event("CRM", f"found {CARD}", card=CARD, number=4242424242424242, id="123-45-6789", orders=3)
    try:
        raise LookupError(f"no customer with {CARD}")
    except LookupError:
        logging.getLogger("fastbridge.x").exception("of %s", "123456782")
    found = written()
    text = "\n".join(found)
    assert not re.search("4242.?4242|6789|6782", text)
    assert text.count("4242]") >= 4
    assert text.count("[id]") >= 2
    if log_json:
        assert json.loads(found[0])["orders"] == 3


def test_a_nodes_lines_are_masked_as_its_settings_say(lines):
    written = lines(mask="none", mask_patterns='{"policy": "POL-[0-9]+"}')
    log.event("CRM", f"found {CARD} POL-17")
    assert written()[0].endswith(f"[CRM] found {CARD} [policy]")
