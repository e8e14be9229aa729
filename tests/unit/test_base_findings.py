import json

from fastbridge.base.findings import Finding, as_json, not_tried, show

WELL = Finding("public URL", "https://voice.example.com reaches a node")
ILL = Finding("media stream", "is not there", "Put it there.", "lost")
HARDLY = Finding("settings", "X is no setting.", fault="unknown_variable", warns=True)


def test_as_json_has_lasting_names():
    document = json.loads(as_json(iter([WELL, ILL])))
    assert document == {
        "ok": False,
        "findings": [
            {"check": "public_url", "level": "well", "ok": True, "fault": None, "found": WELL.detail, "to_do": None},
            {"check": "media_stream", "level": "fault", "ok": False, "fault": "lost"}
            | {"found": ILL.detail, "to_do": ILL.todo},
        ],
    }
    assert json.loads(as_json([WELL]))["ok"] is True
    assert json.loads(as_json([Finding("x", "y", "z")]))["findings"][0]["fault"] == "other"


def test_a_warning_is_no_fault_and_a_script_finds_it():
    document = json.loads(as_json([WELL, HARDLY]))
    assert document["ok"] is True
    assert document["findings"][1] == {"check": "settings", "level": "warning", "ok": True} | {
        "fault": "unknown_variable",
        "found": HARDLY.detail,
        "to_do": None,
    }
    assert Finding("x", "y", "z", warns=True).level == "warning"


def test_each_level_has_its_mark(capsys):
    show([WELL, HARDLY, ILL])
    out = capsys.readouterr().out
    assert [mark in out for mark in ("✓", "!", "✗")] == [True] * 3


def test_a_fault_whose_sentence_says_all_is_a_fault():
    assert Finding("settings", "PORT must be a port number.", fault="settings").level == "fault"


def test_what_was_not_tried_is_no_good():
    assert (not_tried("webhook", "public URL").ok, not_tried("webhook", "public URL").todo) == (
        False,
        "See public URL.",
    )


def test_a_long_address_is_shown_whole_in_a_narrow_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    show([Finding("x", "y", "z" * 100)])
    assert capsys.readouterr().out.count("z") == 100


def test_markup_in_an_address_is_text(capsys):
    show([Finding("x", "http://[::1]/[bold]", "do [/this]")])
    assert "[bold]" in capsys.readouterr().out
