"""fastbridge.node.stray_settings: what is called like a setting and is none."""

from environment import clear_environment
from fastbridge.config import Settings, variables
from fastbridge.node.stray_settings import unknown_variables


def test_a_name_that_is_no_settings(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    (tmp_path / ".env").write_text("FASTBRIDGE_VOCIE=marin\nPORT=1\n")
    given = {
        "FASTBRIDGE_PROMTS_DIR": "/x",
        "FASTBRIDGE_HOST": "::",
        "PORTS": "1",
        "FASTBRIDGE_QQQ": "",
        "FASTBRIDGE_PORT": "1",
    }
    assert unknown_variables(given) == [
        "FASTBRIDGE_PORT is no setting: did you mean PORT?",
        "FASTBRIDGE_PROMTS_DIR is no setting: did you mean FASTBRIDGE_PROMPTS_DIR?",
        "FASTBRIDGE_QQQ is no setting.",
        "FASTBRIDGE_VOCIE is no setting: did you mean FASTBRIDGE_VOICE?",
    ]
    given = {"METRICS_PORT": "1", "RECORDS_DIR": "/x", "FASTBRIDGE_LOG_LEVEL": "INFO"}
    common = ("LANGUAGE", "VOICE", "HOST", "SPEED", "AGENT", "MAX_CONNECTIONS", "LEAD_MS", "LOG_LEVEL", "PATH")
    (tmp_path / ".env").write_text("")
    assert unknown_variables(given | dict.fromkeys(common, "x")) == [
        "FASTBRIDGE_LOG_LEVEL is no setting: did you mean LOG_LEVEL?",
        "METRICS_PORT is no setting: did you mean FASTBRIDGE_METRICS_PORT?",
        "RECORDS_DIR is no setting: did you mean FASTBRIDGE_RECORDS_DIR?",
    ]
    every = {name: "x" for field in Settings.model_fields for name in variables(field)}
    assert unknown_variables(every) == [], "no setting's own name is taken for a slip"
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert unknown_variables({"FASTBRIDGE_HOST": "::"}) == []
    monkeypatch.setenv("FASTBRIDGE_X", "1")
    assert unknown_variables() == ["FASTBRIDGE_X is no setting."]
