"""fastbridge.observe.trouble: one line each, with its cause and its call; and all of it counted."""

import logging

import pytest

from fastbridge.config import Settings
from fastbridge.errors import ModelError, ModelUnavailable
from fastbridge.observe import stats
from fastbridge.observe.call_log import CallLog
from fastbridge.observe.stats import CallStats
from fastbridge.observe.trouble import Trouble


class Scene:
    def __init__(self, caplog, **settings):
        caplog.set_level("INFO", "fastbridge.events")
        self._caplog = caplog
        self.now_s = 100.0
        self.stats = CallStats()
        log = CallLog("CA123", Settings.model_construct(**settings), lambda: self.now_s)
        self.trouble = Trouble(log, self.stats)

    @property
    def lines(self):
        texts = [record.getMessage() for record in self._caplog.records]
        assert all(text.endswith(", call_sid=CA123") for text in texts)
        return [text.removesuffix(", call_sid=CA123") for text in texts]

    @property
    def counted(self):
        return self.stats.errors, dict(self.stats.error_types)


@pytest.fixture
def scene(caplog):
    return Scene(caplog)


REPORTED = ModelError(
    "the model reports an error", None, "invalid_request_error", param="session.voice", words="No such voice."
)


def test_an_error_without_a_code_is_known_by_its_type(scene):
    scene.trouble.reported(REPORTED)
    assert scene.lines == [
        "[REALTIME] the model reports an error: No such voice, type=invalid_request_error, param=session.voice"
    ]
    assert scene.counted == (["invalid_request_error"], {"invalid_request_error": 1})


def test_however_many_lines_are_written_all_are_counted(scene):
    for _ in range(50):
        scene.trouble.reported(REPORTED)
    assert 1 <= len(scene.lines) < 10
    assert scene.counted == (["invalid_request_error"] * 50, {"invalid_request_error": 50})


@pytest.mark.parametrize("tell", ["reported", "failed"])
def test_another_code_is_another_error_whatever_the_words_are(scene, tell):
    for number in range(50):
        for code in ("one", "two", "three"):
            getattr(scene.trouble, tell)(ModelError("it failed", code, "x", words=f"resp_{chr(97 + number % 26)}"))
    codes = [line.partition("code=")[2].partition(",")[0] for line in scene.lines]
    assert set(codes) == {"one", "two", "three"}
    assert len(codes) < 10


@pytest.mark.parametrize("tell", ["lost", "renewal_failed"])
def test_a_line_to_the_model_that_fails_in_another_way_is_said(scene, tell):
    for number in range(50):
        for code in ("connect_failed", "connect_timeout", "http_503"):
            error = ModelUnavailable(f"no {chr(97 + number % 26)}", code, "x")
            scene.trouble.lost(error, tries=number) if tell == "lost" else scene.trouble.renewal_failed(error, number)
    codes = [line.partition("code=")[2].partition(",")[0] for line in scene.lines]
    assert set(codes) == {"connect_failed", "connect_timeout", "http_503"}
    assert len(codes) < 10


def test_what_cannot_be_read(scene):
    scene.trouble.malformed("response.done", "KeyError: 'response'")
    scene.trouble.malformed("response.done", "KeyError: 'response'")
    scene.trouble.malformed("", "5 bytes that are no JSON object")
    scene.trouble.malformed("", "6 bytes that are no JSON object")
    assert scene.lines == [
        "[REALTIME] malformed response.done: KeyError: 'response'",
        "[REALTIME] malformed response.done: KeyError: 'response'",
        "[REALTIME] malformed message: 5 bytes that are no JSON object",
    ]
    assert scene.counted == (["malformed_event"] * 4, {"malformed_event": 4})


def test_what_the_carrier_sends_and_is_no_message(scene):
    for _ in range(2):
        scene.trouble.carrier_malformed()
    assert scene.lines == [f"[SERVER_ERROR] what Twilio sent is no message, count={count}" for count in (1, 2)]
    assert scene.counted == (["carrier_malformed"] * 2, {"carrier_malformed": 2})


def test_a_try_is_one_line_with_its_cause(scene, caplog):
    scene.trouble.lost(ModelUnavailable("unreachable: gaierror: no", "connect_failed", "gaierror"), tries=2)
    scene.trouble.failed(ModelUnavailable("the model does not hear the caller", "upload_deaf"))
    assert scene.lines == [
        "[REALTIME] connection lost: unreachable: gaierror: no, code=connect_failed, type=gaierror, tries=2",
        "[SERVER_ERROR] the model does not hear the caller, code=upload_deaf",
    ]
    assert [record.levelno for record in caplog.records] == [logging.WARNING, logging.ERROR]
    assert scene.counted == (["connect_failed", "upload_deaf"], {"gaierror": 1, "watchdog": 1})


def test_what_ends_all_tries_is_counted_once(scene):
    failed = ModelError("a response failed", "rate_limit_exceeded", "requests")
    scene.trouble.failed(failed)
    scene.trouble.given_up(ModelUnavailable("a response failed", "rate_limit_exceeded"))
    scene.trouble.given_up(ModelUnavailable("the model has nothing to say", "empty_response"))
    assert scene.counted == (["rate_limit_exceeded", "empty_response"], {"requests": 1, "watchdog": 1})
    assert len(scene.lines) == 1


def test_a_successor_that_nobody_missed_is_no_error_of_the_call(scene):
    scene.trouble.renewal_failed(ModelError("OpenAI did not answer in time", "connect_timeout", "TimeoutError"), 3)
    (line,) = scene.lines
    assert "no successor for the session: OpenAI did not answer in time, code=connect_timeout" in line
    assert "renewal_failures=3" in line
    assert scene.counted == ([], {"TimeoutError": 1})


def test_words_that_nobody_could_write_down_are_said_once_a_call(scene):
    for _ in range(3):
        scene.trouble.transcription_failed(ModelError("not written down", "audio_unintelligible", "error", words="?"))
        scene.now_s += 100
    assert scene.lines == ["[TRANSCRIPT] Customer: (not written down: ?), code=audio_unintelligible, type=error"]
    assert scene.counted == (["audio_unintelligible"], {"transcription_failed": 3})


def test_words_that_were_lost_with_the_connection_are_said_once_a_call_beside_others(scene):
    scene.trouble.transcription_failed(ModelError("not written down", "audio_unintelligible", "error", words="?"))
    for _ in range(3):
        scene.trouble.words_lost()
        scene.now_s += 100
    assert scene.lines[1:] == ["[TRANSCRIPT] Customer: (lost with the connection)"]
    assert scene.counted == (["audio_unintelligible", "words_lost"], {"transcription_failed": 4})


def test_other_formats(scene):
    scene.trouble.wrong_format(("audio/pcm", 7))
    assert scene.lines == ["[REALTIME] session has other audio formats than audio/pcmu, input=audio/pcm, output=7"]


def test_a_race_is_for_development(scene, caplog):
    scene.trouble.expected(REPORTED)
    assert (scene.lines, scene.counted) == ([], ([], {}))
    caplog.set_level("DEBUG", "fastbridge.events")
    scene.trouble.expected(REPORTED)
    assert len(scene.lines) == 1


def test_a_safety_fuse_is_an_error_whenever_it_has_gone_again(scene, caplog):
    for responses in (0, 1, 1, 2):
        scene.trouble.look({"responses": responses, "model_line": 0})
    assert scene.lines == [
        f"[SAFETY_FUSE] a state outlived its deadline, responses={count}, model_line=0" for count in (1, 2)
    ]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_no_words_of_the_models_without_leave(caplog):
    scene = Scene(caplog, log_transcripts=False)
    for tell in (scene.trouble.reported, scene.trouble.failed, scene.trouble.transcription_failed):
        tell(ModelError("our words", "x", "y", words="MARKER"))
    assert all("our words: (6 characters)" in line for line in scene.lines)
    assert len(scene.lines) == 3


def test_what_a_peer_can_cause_at_will_is_bounded(scene, monkeypatch):
    monkeypatch.setattr(stats, "MAX_ERRORS", 10)
    for number in range(500):
        scene.trouble.reported(ModelError("", f"code_{number}", f"type_{number}"))
    codes, types = scene.counted
    assert (len(codes), len(types)) == (10, stats.MAX_ERROR_TYPES + 1)
    assert sum(types.values()) == 500
    assert types["other"] == 500 - stats.MAX_ERROR_TYPES
