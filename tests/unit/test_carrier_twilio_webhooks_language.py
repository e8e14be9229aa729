"""In which language, words and voice a caller hears that nobody answers: of webhooks, over its routes."""

from types import SimpleNamespace

import pytest

from fastbridge.agent import Agent
from fastbridge.base.languages import LANGUAGES
from fastbridge.carrier.twilio.webhook import MAX_PARAMETER_CHARS
from fastbridge.config import load_settings
from front_desk import CALLER, INCOMING, URL, FakeCall, exchange, make_node, post

SILENCE = b"\xff" * 1601


def stream_ended(node):
    return post(node, "/webhook/stream_ended", CALLER | {"CallStatus": "in-progress"})


def busy(node, **changes):
    node.directory.draining = True
    return post(node, INCOMING + "?business_id=7", CALLER | {"CallSid": "CA" + "7" * 32} | changes).xml.find("Say")


def test_the_nodes_language_is_spoken():
    node = make_node(language="he")
    node.directory.draining = True
    said = [busy(node), stream_ended_of_a_failed_call(node)]
    assert [say.text for say in said] == [LANGUAGES["he"].busy, LANGUAGES["he"].apology]
    assert [say.attrib for say in said] == [{"language": "he-IL", "voice": "Google.he-IL-Standard-A"}] * 2


def stream_ended_of_a_failed_call(node):
    node.directory.add(call := FakeCall("model_lost"))
    node.directory.remove(call)
    return stream_ended(node).xml.find("Say")


def test_the_agents_language_wins_and_so_does_its_numbers_and_its_businesss():
    node = make_node(language="he")
    assert busy(node).text == LANGUAGES["he"].busy
    node.agent = Agent(language="de")
    assert busy(node).text == LANGUAGES["de"].busy
    node.agent.for_number(CALLER["To"], language="fr")
    assert busy(node).text == LANGUAGES["fr"].busy
    node.agent.for_business("7", language="es")
    assert busy(node).text == LANGUAGES["es"].busy


def test_whoever_would_have_answered_is_asked_with_bounded_addresses():
    node = make_node()
    asked = []

    def for_call(context):
        asked.append((context.from_number, context.to_number))
        return Agent()

    node.agent = SimpleNamespace(
        answers=lambda number: True, knows_business=lambda business_id: True, for_call=for_call
    )
    assert busy(node, From="a" * 1000, To="b" * 1000) is not None
    assert asked == [("a" * MAX_PARAMETER_CHARS, "b" * MAX_PARAMETER_CHARS)]


def test_while_the_model_is_down_the_apology_is_in_the_callers_language():
    node = make_node(language="fr")
    node.directory.model_is_down = lambda: True
    assert post(node, INCOMING).xml.find("Say").text == LANGUAGES["fr"].apology


def test_our_own_failure_is_said_in_the_nodes_language():
    node = make_node(language="es")
    node.directory.admit = None
    assert post(node, INCOMING).xml.find("Say").text == LANGUAGES["es"].apology


def test_the_operators_words_are_said():
    node = make_node(busy_message="Ring later, & thank you.", say_voice="Polly.Amy", say_language="en-GB")
    say = busy(node)
    assert (say.text, say.attrib) == ("Ring later, & thank you.", {"language": "en-GB", "voice": "Polly.Amy"})


# Recordings


def recorded(tmp_path):
    (tmp_path / "apology.ulaw").write_bytes(SILENCE)
    return make_node(prompts_dir=tmp_path)


def test_a_recording_of_the_operators_own_is_played_and_served(tmp_path):
    node = recorded(tmp_path)
    post(node, INCOMING)
    answer = stream_ended(node)
    assert answer.verbs == ["Play", "Hangup"]
    url = answer.xml.find("Play").text
    assert url.startswith(f"{URL}/prompts/")
    file = exchange(node, "GET", url.removeprefix(URL))
    assert (file.status, file.headers["content-type"]) == (200, "audio/x-wav")
    assert "immutable" in file.headers["cache-control"]
    assert (file.body[:4], file.body[8:12]) == (b"RIFF", b"WAVE")
    assert SILENCE in file.body


@pytest.mark.parametrize(
    "path",
    ["", "apology.wav", "apology.ulaw", "../apology.ulaw", "%2e%2e%2fapology.ulaw", "he/apology.ulaw", "a" * 999],
)
def test_nothing_else_is_served(tmp_path, path):
    assert exchange(recorded(tmp_path), "GET", f"/prompts/{path}").status == 404


def test_a_recording_is_not_to_be_changed(tmp_path):
    node = recorded(tmp_path)
    post(node, INCOMING)
    url = stream_ended(node).xml.find("Play").text.removeprefix(URL)
    assert exchange(node, "POST", url).status == 405


def test_settings_of_the_environment_are_enough(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    settings = load_settings(language="he-IL", public_url=URL, twilio_auth_token="0123456789abcdef0123456789abcdef")
    node = make_node()
    node.settings = settings
    assert busy(node).text == LANGUAGES["he"].busy
