"""The vocabulary: how each line reads, where it may be read, and that the documentation shows these very lines."""

import inspect
import json
import logging
import re
from pathlib import Path

import pytest

from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.observe import events, notices
from fastbridge.observe.call_log import ESSENTIAL, RULES, CallLog
from fastbridge.observe.stats import BargeIn

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "logging.md"
SID = "CA123"
BARGE_IN = BargeIn(
    8400, "local", "resp_ABC", frames_unsent=30, frames_unheard=15, level_dbfs=-20.0, threshold_dbfs=-40.0,
    outcome="committed", why="voice", held_ms=160,
)  # fmt: skip
SAID = ModelError("the model reports an error", "invalid_value", "invalid_request_error", param="voice", words="No.")
UNKNOWN = ModelError(
    "the model reports an error",
    "unknown_parameter",
    "invalid_request_error",
    param="session.audio.input.noise_reduction",
    words="No.",
)
RACE = ModelError("the model reports an error", "response_cancel_not_active", "error", words="No.")

EXAMPLES = {
    "boot": (("0.2.0", "https://voice.example.com", "gpt-realtime-2.1"), {}),
    "webhook_failed": (("/webhook/incoming_call",), {}),
    "task_failed": ((None,), {}),
    "sla": ((SID, 413.2, 350), {"body_ms": 380, "lag_ms": 21, "work_ms": 12}),
    "call_unbegun": (
        (SID,),
        {
            "reason": "stream_refused",
            "why": "the media format is not 8 kHz mono mu-law",
            "stream_url": "wss://voice.example.com/media/",
        },
    ),
    "call_start": ((), {"business_id": "456", "direction": "inbound"}),
    "context_loaded": ((), {"name": "David", "phone": "+972501234512"}),
    "lookup_late": ((), {}),
    "hook_slow": (("on_transcript",), {}),
    "hook_failed": (("on_transcript", ValueError("x")), {}),
    "settings_refused": (
        ("FASTBRIDGE_VAD_IDLE_MS is for server_vad: unset it, or FASTBRIDGE_TURN_DETECTION.",),
        {},
    ),
    "answered_by": (("machine",), {"source": "sound", "at_ms": 3120, "before": ""}),
    "machine_beep": ((), {"hertz": 1000, "ms": 420}),
    "machine_message": (("said behind the beep",), {"at_ms": 9480}),
    "realtime_connected": ((234,), {}),
    "realtime_lost": (
        (ModelUnavailable("the model closed the session with 1006", "closed_1006", "connection_closed"),),
        {"tries": 1},
    ),
    "realtime_reconnected": ((412,), {"tries": 1, "replayed": 7}),
    "realtime_renewed": ((1,), {}),
    "renewal_failed": ((ModelError("OpenAI did not answer in time", "connect_timeout", "TimeoutError"), 1), {}),
    "realtime_error": (
        (ModelError("a response failed", "rate_limit_exceeded", "requests", words="No."),),
        {"response_id": "resp_123"},
    ),
    "realtime_format": ((("audio/pcm", "audio/pcm"),), {}),
    "realtime_malformed": (("response.done", "no response: NoneType"), {}),
    "realtime_complains": ((SAID,), {}),
    "realtime_left_out": ((UNKNOWN, "audio.input.noise_reduction"), {}),
    "realtime_expected": ((RACE,), {}),
    "carrier_malformed": ((1,), {}),
    "second_start": ((), {}),
    "call_failed": ((ValueError("x"),), {}),
    "dsp_enabled": ((), {}),
    "dsp_error": ((), {}),
    "greeting": ((301,), {}),
    "first_chunk": ((160,), {}),
    "transcript": ((), {"caller": True, "text": "שלום, אני רוצה לתאם פגישה"}),
    "transcription_failed": ((ModelError("not written down", "audio_unintelligible", "error", words="No."),), {}),
    "words_lost": ((), {}),
    "transcript_delta": (("יש לי",), {}),
    "response_created": (("resp_123", "turn"), {}),
    "response_done": (("resp_123", "completed"), {}),
    "tool_call": (("check_availability", '{"day": "2024-01-25", "time": "14:00"}'), {}),
    "tool_not_run": (("check_availability", "cancelled"), {}),
    "tool_result": (("check_availability", "ok", 120, '{"available_slots": ["14:00", "14:30", "15:00"]}'), {}),
    "tool_abandoned": (("book", 3100), {}),
    "tool_done_late": (("book", "ok", 9400, "Booked for 14:00"), {}),
    "tool_failed": (("check_availability", ValueError("x")), {}),
    "create_appt": (("77", "2024-01-25 14:00"), {}),
    "barge_in_held": (
        (),
        {"source": "local", "response_id": "resp_ABC", "stream_sid": "MZ123", "at_ms": 8400},
    ),
    "barge_in_cancel": ((), {"response_id": "resp_123", "at_ms": 8560}),
    "barge_in_cleared": ((), {"unsent": 30, "unheard": 15, "at_ms": 8560}),
    "barge_in": ((BARGE_IN,), {"stream_sid": "MZ123", "cancel": "sent", "count": 1, "at_ms": 8560}),
    "barge_in_false": ((), {"count": 1, "held_ms": 520, "why": "quiet"}),
    "tx_validation": ((3, 161), {}),
    "tx_stalled": ((31_500,), {}),
    "tx_slow": (("frames left over 200ms late",), {"tx_schedule_resets": 1}),
    "audio_drain": (
        (),
        {
            "tx": 812,
            "out": 40,
            "flushed": 0,
            "frames_enqueued": 852,
            "unheard_ms": 960,
            "tx_late_frames": 0,
            "tx_schedule_resets": 0,
            "underruns": 0,
            "interval_max_ms": 21.4,
        },
    ),
    "webhook_close": ((), {"source": "call_status", "status": "completed"}),
    "hangup": (("hang_up", "by REST"), {"reason": "agent_hangup"}),
    "transfer_refused": (("there is no such destination",), {}),
    "transfer_begins": (("reception",), {}),
    "transfer_ends": (("declined", "reception", 14_200), {}),
    "transfer_failed": ((ValueError("x"),), {}),
    "carrier_refused": (("HTTP 500, code 20500",), {}),
    "budget_near": (
        (),
        {"whose": "call", "spent": "0.62", "answer": "0.07", "goodbye": "0.12", "most": "1.00", "unit": "usd"},
    ),
    "budget_model": (("gpt-realtime-mini",), {}),
    "budget_spent": (
        (),
        {
            "whose": "day",
            "spent": "49.82",
            "answer": "0.07",
            "goodbye": "0.12",
            "most": "50.00",
            "unit": "usd",
        },
    ),
    "recording_began": ((), {"by": "carrier", "name": "RE123"}),
    "not_recorded": (("there are no Twilio credentials",), {}),
    "recording_left_paused": ((), {}),
    "recording_not_stopped": ((), {}),
    "consent_given": ((), {}),
    "private_began": ((), {}),
    "private_over": ((21_400,), {}),
    "private_forgotten": ((), {}),
    "not_private": (("the carrier did not pause its recording",), {}),
    "time_running_out": ((), {}),
    "caller_silent": ((1,), {}),
    "model_asks": ((), {}),
    "giving_up": (("silence",), {}),
    "given_up": (
        (),
        {
            "step": "apology",
            "reason": "model_lost",
            "error": ModelUnavailable(
                "the model ends the session", "insufficient_quota", "invalid_request_error", words="No."
            ),
        },
    ),
    "filler": ((), {"cause": "answer", "silent_ms": 1500}),
    "answer_watchdog": (("responses_stuck", 1), {}),
    "safety_fuse": (({"responses": 1, "model_line": 0},), {}),
    "watchdog": (("no media for 5s",), {}),
    "accounting": (("Frame accounting OK: 1000 = 822 + 178",), {"is_error": False}),
    "call_metrics": (({"greeting_ms": 301, "turns": 4, "barge_in_events": 1},), {}),
    "call_end": ((), {"duration_ms": 45_900, "reason": "customer_hangup"}),
}
"""What each function is called with, for the document; the CallLog comes first where there is one."""

OPERATORS_WORDS = {
    "call_start": "[CALL_START] call_sid=CA123, business_id=456, direction=inbound",
    "context_loaded": "[DB] Customer context loaded: name=David, phone=+972",
    "realtime_connected": "[REALTIME] OpenAI connected in 234ms",
    "greeting": "[GREETING] Playing greeting audio",
    "transcript": '[TRANSCRIPT] Customer: "שלום, אני רוצה לתאם פגישה"',
    "response_created": "[RESPONSE_CREATED] response_id=resp_123, type=",
    "tool_call": "[TOOL_CALL] check_availability: 2024-01-25 14:00",
    "tool_result": "[TOOL_RESULT] Available slots: 3",
    "dsp_enabled": "[DSP] enabled: highpass+limiter",
    "sla": "[SLA] TwiML too slow: 413ms > 350ms, body_ms=380, lag_ms=21, work_ms=12",
    "tx_validation": "[TX_VALIDATION] Frame 3 is 161 bytes (expected 160)!",
    "first_chunk": "[AUDIO_OUT_LOOP] FIRST_CHUNK bytes=160",
    "accounting": "Frame accounting OK: 1000 = 822 + 178",
    "call_end": "[CALL_END] duration=45s, reason=customer_hangup",
}

FUNCTIONS = [
    name
    for name, member in inspect.getmembers(events, inspect.isfunction)
    if member.__module__ == events.__name__ and not name.startswith("_")
]


@pytest.fixture
def call_log(caplog):
    caplog.set_level(logging.DEBUG, "fastbridge.events")
    return CallLog(SID, Settings.model_construct(log_transcripts=True), lambda: 0.0)


def say(event, call_log, *arguments, **named):
    function = getattr(events, event)
    first = next(iter(inspect.signature(function).parameters))
    return function(call_log, *arguments, **named) if first == "log" else function(*arguments, **named)


@pytest.fixture
def line(call_log, caplog):
    def of(name):
        caplog.clear()
        arguments, named = EXAMPLES[name]
        say(name, call_log, *arguments, **named)
        return caplog.records[-1]

    return of


def test_every_function_has_an_example():
    assert set(EXAMPLES) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_document_shows_the_line_as_it_is(line, name):
    record = line(name)
    row = next(
        (row for row in DOCUMENT.read_text(encoding="utf-8").splitlines() if row.startswith(f"| `{name}` |")), None
    )
    assert row is not None, f"docs/logging.md does not know {name}"
    assert row.endswith(f"| {record.levelname} | `{record.getMessage()}` |")


def test_the_document_knows_no_event_that_there_is_not():
    shown = re.findall(r"^\| `(\w+)` \|.*\| (?:DEBUG|INFO|WARNING|ERROR) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert sorted(set(shown) - set(dir(notices))) == sorted(FUNCTIONS)


@pytest.mark.parametrize("name", OPERATORS_WORDS)
def test_lines_begin_with_the_operators_words(line, name):
    text = line(name).getMessage()
    wanted = OPERATORS_WORDS[name]
    assert text.startswith(wanted)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_line_of_a_call_names_it(line, name):
    if name not in ("boot", "webhook_failed", "task_failed"):
        record = line(name)
        assert "call_sid=CA123" in record.getMessage()
        assert record.fields["call_sid"] == SID


def test_tags_with_rules_of_their_own_are_in_the_vocabulary():
    tags = set(re.findall(r"\[([A-Z_-]+)\]", DOCUMENT.read_text()))
    assert (RULES.keys() | ESSENTIAL.keys()) - {""} <= tags


class TestBargeIn:
    def test_production_has_one_line_with_everything_in_it(self, call_log, caplog):
        caplog.set_level(logging.INFO, "fastbridge.events")
        for name in ("barge_in_held", "barge_in_cancel", "barge_in_cleared", "barge_in"):
            arguments, named = EXAMPLES[name]
            say(name, call_log, *arguments, **named)
        (record,) = caplog.records
        text = record.getMessage()
        for words in (
            "Sent Twilio clear event (stream_sid=MZ123)",
            "Cleared 45 frames from TX queues (realtime=30, tx=15, reason=barge_in)",
            "barge_in_events=1, response_id=resp_ABC, cancel=sent",
            "at_ms=8400, held_ms=160",
        ):
            assert words in text

    def test_development_has_the_operators_steps_each_with_its_moment(self, call_log, caplog):
        for name in ("barge_in_held", "barge_in_cancel", "barge_in_cleared", "barge_in"):
            arguments, named = EXAMPLES[name]
            say(name, call_log, *arguments, **named)
        steps = [record.getMessage().removesuffix(", call_sid=CA123") for record in caplog.records]
        assert steps[:-1] == [
            "[BARGE_IN_AUDIO] User interrupting AI!, source=local, at_ms=8400",
            "[BARGE_IN_AUDIO] Locked response state for cancel: resp_ABC, at_ms=8400",
            "[BARGE-IN] Step 3: Sent Twilio clear event (stream_sid=MZ123), at_ms=8400",
            "[BARGE-IN] Step 2: Sending response.cancel for resp_123, at_ms=8560",
            "[BARGE-IN] response.cancel sent for resp_123, at_ms=8560",
            "[BARGE-IN] Cleared 45 frames from TX queues (realtime=30, tx=15, reason=barge_in), at_ms=8560",
            "[BARGE-IN] Step 5: Response state cleared, at_ms=8560",
            "[BARGE-IN] Event counted: barge_in_events=1, at_ms=8560",
        ]


class TestWords:
    """LOG_TRANSCRIPTS=0."""

    @pytest.fixture
    def silent(self, caplog):
        caplog.set_level(logging.DEBUG, "fastbridge.events")
        return CallLog(SID, Settings.model_construct(log_transcripts=False), lambda: 0.0)

    def test_nothing_that_was_said_or_given_is_in_a_line(self, silent, caplog):
        word = "MARKER"
        try:
            raise ValueError(f"no table for {word}") from KeyError(word)
        except ValueError as error:
            events.tool_failed(silent, "free_tables", error)
        events.transcript(silent, caller=True, text="MARKER")
        events.transcript(silent, caller=False, text="MARKER, and", cut=True)
        events.transcript_delta(silent, "MARKER")
        events.tool_result(silent, "free_tables", "ok", 1, "MARKER")
        events.tool_result(silent, "free_tables", "ok", 1, json.dumps({"MARKER": ["MARKER"]}))
        events.tool_done_late(silent, "free_tables", "ok", 1, "MARKER")
        quoting = ModelError("it failed", "invalid_value", "x", words="Invalid value: MARKER")
        for report in (
            events.realtime_complains,
            events.realtime_error,
            events.transcription_failed,
            events.realtime_expected,
        ):
            report(silent, quoting)
        events.tool_call(silent, "free_tables", json.dumps({"name": "MARKER"}))
        events.context_loaded(silent, name="MARKER", phone="+972501234512")
        formatted = "\n".join(logging.Formatter().format(record) for record in caplog.records)
        assert "MARKER" not in formatted
        assert "501234512" not in formatted
        assert 'Customer: "(6 characters)"' in formatted
        assert 'AI: "(11 characters)" (interrupted)' in formatted
        assert "[TOOL_RESULT] (6 characters), tool=free_tables" in formatted
        assert formatted.count("it failed: (21 characters), code=invalid_value, type=x") == 3
        assert "free_tables failed: ValueError in test_nothing_that_was_said_or_given_is_in_a_line, line" in formatted
        assert "Traceback" in formatted
        assert "\nValueError\n" in formatted

    def test_a_tool_that_never_ran_has_no_place(self, silent, caplog):
        events.tool_failed(silent, "x", ValueError("MARKER"))
        assert caplog.records[0].getMessage().startswith("[TOOL_RESULT] x failed: ValueError, call_sid")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"a": "b c", "d": 4}', "b c 4"),
        ("{}", ""),
        ("", ""),
        ("[1, 2]", "[1, 2]"),
        ("not json", "not json"),
        ('{"a": "' + "x" * 500 + '"}', "x" * 119 + "…"),
    ],
)
def test_a_tools_arguments_read_as_their_values(call_log, caplog, arguments, shown):
    events.tool_call(call_log, "t", arguments)
    assert caplog.records[0].getMessage() == f"[TOOL_CALL] t: {shown}, call_sid=CA123"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("I have Tuesday at", 'AI: "I have Tuesday at…" (interrupted)'),
        ("", 'AI: "…" (interrupted)'),
        ("x" * 500, f'AI: "{"x" * 199}…" (interrupted)'),
    ],
)
def test_an_answer_that_was_cut_off_says_so(call_log, caplog, text, shown):
    events.transcript(call_log, caller=False, text=text, cut=True)
    assert caplog.records[0].getMessage() == f"[TRANSCRIPT] {shown}, call_sid=CA123"


def test_first_chunk_is_as_large_as_it_was(call_log, caplog):
    events.first_chunk(call_log, 159)
    assert "FIRST_CHUNK bytes=159" in caplog.text


def test_numbers_are_masked_wherever_they_are_told(call_log, caplog):
    events.transcript(call_log, caller=True, text="Call me at 050-123-4567.")
    events.tool_call(call_log, "book", '{"phone": "0501234567"}')
    events.tool_result(call_log, "book", "ok", 1, "I ring +972 50 123 4567 then.")
    events.realtime_complains(call_log, ModelError(words="0501234567 is no voice"))
    assert "4567" not in caplog.text
    assert caplog.text.count("****67") == 4


CARD = "4242 4242 4242 4242"


def test_cards_are_masked_wherever_they_are_told_on_both_sides(call_log, caplog):
    for caller in (True, False):
        events.transcript(call_log, caller=caller, text=f"It is {CARD}.")
    events.tool_call(call_log, "pay", f'{{"card": "{CARD}", "guests": 2}}')
    events.tool_result(call_log, "pay", "ok", 1, f"Paid with {CARD}")
    events.tool_done_late(call_log, "pay", "ok", 1, f'{{"card": "{CARD}"}}')
    events.realtime_complains(call_log, ModelError(words=f"{CARD} is no voice"))
    events.realtime_malformed(call_log, "x", f"{CARD} is no voice")
    assert "4242 " not in caplog.text
    assert caplog.text.count("[card …4242]") == 7
    assert "[TOOL_CALL] pay: [card …4242] 2," in caplog.text


def test_a_card_in_two_turns_shows_its_beginning_at_most(call_log, caplog):
    events.transcript(call_log, caller=True, text="my card is 4242 4242")
    events.transcript(call_log, caller=False, text="Go on, 4242 4242.")
    events.transcript(call_log, caller=True, text="4242 4242")
    assert 'Customer: "[card]"' in caplog.records[-1].getMessage()
    assert "Go on, 4242 4242." in caplog.text


def test_a_delta_shows_no_digit(call_log, caplog):
    for piece in ("42", "42 four", " two"):
        events.transcript_delta(call_log, piece)
    assert [record.getMessage().partition(",")[0] for record in caplog.records] == [
        '[TRANSCRIPT] delta: "**"',
        '[TRANSCRIPT] delta: "** *"',
        '[TRANSCRIPT] delta: " *"',
    ]


def test_what_is_masked_is_the_settings_affair(caplog):
    caplog.set_level("INFO")
    log = CallLog("CA123", Settings.model_construct(mask="none", mask_patterns='{"policy": "POL-[0-9]+"}'))
    events.transcript(log, caller=True, text=f"{CARD}, POL-17")
    events.tool_call(log, "pay", f'["{CARD}", "POL-17"]')
    events.tool_result(log, "pay", "ok", 1, f"{CARD}, POL-17")
    events.realtime_complains(log, ModelError(words=f"{CARD}, POL-17"))
    events.transcript_delta(log, "42")
    assert caplog.text.count(CARD) == caplog.text.count("[policy]") == 4
    assert 'delta: "42"' in caplog.text


def test_a_number_at_the_end_of_what_is_shown_is_not_cut_before_it_is_masked(call_log, caplog):
    events.transcript(call_log, caller=True, text="x" * 190 + f" {CARD}")
    events.tool_result(call_log, "pay", "ok", 1, "x" * 110 + f" {CARD}")
    assert not any("4242" in record.getMessage() for record in caplog.records)


def test_rates(call_log, caplog):
    for _ in range(100):
        events.tx_slow(call_log, "late")
        events.watchdog(call_log, "stuck")
        events.audio_drain(call_log, tx=1)
        events.dsp_enabled(call_log)
        events.first_chunk(call_log, 160)
    assert len(caplog.records) == 5
