"""`fastbridge calls`: tables for people, JSON for programs, a sentence where there is nothing."""

import json

import pytest

from fastbridge.errors import ConfigError
from fastbridge.node import browse
from fastbridge.store.records import RecordStore
from helpers import LOUD
from virtual import Rig

SPEECH = bytes(8000)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/calls.db"


@pytest.fixture
def call(url):
    """A call that was interrupted, stored: its record."""
    rig = Rig(barge_in_confirm_ms=0).up()
    rig.respond(SPEECH * 2, text="We open at \x1b[31mnine\u202e, [bold]every day.")
    rig.advance(0.5)
    rig.caller_says(*[LOUD] * 5)
    rig.shut()
    calls = RecordStore(url)
    calls.put(rig.call.document)
    assert calls.close()
    return rig.call.document


def test_the_list_shows_a_line_for_each_call(url, call, capsys):
    browse.show_calls(url, limit=20)
    header, line = capsys.readouterr().out.splitlines()
    assert "call sid" in header
    for shown in (call["call_sid"], "+1415****00", "shutdown", call["started_at"][:10]):
        assert shown in line


def test_the_list_as_json(url, call, capsys):
    browse.show_calls(url, limit=20, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert row["call_sid"] == call["call_sid"]
    browse.show_calls(url, limit=20, business_id="nobody", as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_one_call_in_full(url, call, capsys):
    browse.show_call(url, call["call_sid"][:8])
    shown = capsys.readouterr().out
    for words in (call["call_sid"], "interruptions", "conversation", "assistant", "committed", "local"):
        assert words in shown
    assert f"{call['accounting']['frames_in']} = {call['accounting']['forwarded']} + 0" in shown


def fact(name: str, shown: str) -> str:
    """A line of the table at the top."""
    (line,) = [line for line in shown.splitlines() if line.split("  ")[0].strip() == name]
    return line.strip()[len(name) :].strip()


def test_a_model_that_is_paid_by_the_minute_has_its_time(url, call, capsys):
    browse.show_call(url, call["call_sid"])
    shown = capsys.readouterr().out
    (model,) = call["cost"]["models"]
    assert fact("model", shown) == f"{model['model']} (0:0{int(model['seconds'])}, {model['tokens']} tokens)"
    assert fact("cost", shown) == f"${call['cost']['usd']:.4f}"


@pytest.mark.parametrize(
    ("timings", "shown"),
    [
        ({"pauses": [700, None, 900, 2000], "responses": [1, 2, 3, 4]}, "median 900 ms, longest 2000 ms"),
        ({"responses": [300, 500]}, "median 500 ms, longest 500 ms"),
    ],
)
def test_what_a_caller_waited_for_answers(call, timings, shown, capsys):
    """Records of older versions have it without the pause by which the model knows that he is done."""
    older = {name: value for name, value in call["timings_ms"].items() if name not in ("pauses", "responses")}
    browse._console().print(browse._facts({**call, "timings_ms": {**older, **timings}}))
    assert fact("answers", capsys.readouterr().out) == shown


def test_nothing_is_said_of_answers_that_nobody_waited_for(call, capsys):
    browse._console().print(browse._facts({**call, "timings_ms": {**call["timings_ms"], "pauses": [None]}}))
    assert "answers" not in capsys.readouterr().out


@pytest.mark.parametrize("older", [False, True])
def test_of_two_models_each_has_its_own(call, older, capsys):
    used = [{"model": "dear", "tokens": 9, "seconds": 61.6, "usd": 1}, {"model": "cheap", "tokens": 0, "seconds": 3661}]
    cost = {"usd": None} if older else {"usd": None, "models": used}
    browse._console().print(browse._facts({**call, "cost": cost}))
    shown = capsys.readouterr().out
    two = "dear (1:01, 9 tokens), then cheap (61:01, 0 tokens)"
    assert fact("model", shown) == (f"unknown ({call['tokens']['total_tokens']} tokens)" if older else two)
    assert fact("cost", shown) == "no price known"


def test_what_a_peer_said_does_not_reach_the_terminal_raw(url, call, capsys):
    browse.show_call(url, call["call_sid"])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_one_call_as_json_is_its_record(url, call, capsys):
    browse.show_call(url, call["call_sid"], as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(call))


def test_no_calls_yet(url, capsys):
    browse.show_calls(url, limit=20)
    assert capsys.readouterr().out == f"No calls are recorded yet in {url}.\n"


def test_no_such_call(url, call):
    with pytest.raises(ConfigError, match=r"There is no call 'CAff'"):
        browse.show_call(url, "CAff")


def test_the_beginning_of_two_calls(url, call):
    calls = RecordStore(url)
    calls.put({**call, "call_sid": call["call_sid"][:-1] + "0"})
    calls.close()
    with pytest.raises(ConfigError, match="More than one call begins with 'CA'"):
        browse.show_call(url, "CA")


@pytest.mark.parametrize("show", [lambda: browse.show_calls("none", limit=1), lambda: browse.show_call("none", "CA")])
def test_without_a_database(show):
    with pytest.raises(ConfigError, match="DATABASE_URL is none"):
        show()


def test_a_record_without_words(url, call, capsys):
    calls = RecordStore(url)
    silent = [{"role": "caller", "text": None, "characters": 12, "heard_ms": None}]
    calls.put({**call, "call_sid": "CA" + "9" * 32, "turns": silent, "errors": ["http_401"], "from": None})
    calls.close()
    browse.show_call(url, "CA999")
    shown = capsys.readouterr().out
    assert "(12 characters)" in shown
    assert "http_401" in shown
    assert "not kept" in shown


def test_what_was_late_what_was_not_written_down_and_who_has_the_call_now(url, call, capsys):
    calls = RecordStore(url)
    late = {"outcome": "ok", "elapsed_ms": 9400, "result": "Booked"}
    tools = [
        {"name": "look", "outcome": "ok", "elapsed_ms": 1},
        {"name": "book", "outcome": "abandoned", "elapsed_ms": 3100, "done_late": late},
    ]
    turns = [{"role": "caller", "text": "", "heard_ms": None, "failed": True}]
    end = {"end_reason": "transferred", "transferred_to": "reception"}
    calls.put({**call, "call_sid": "CA" + "8" * 32, "tools": tools, "turns": turns, **end})
    calls.close()
    browse.show_call(url, "CA888")
    shown = capsys.readouterr().out
    for words in ("(not written down)", "abandoned", "Booked", "transferred to reception"):
        assert words in shown
