"""fastbridge.carrier.twilio.twiml: byte for byte what Twilio's own library writes, and nothing breaks out of it."""

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, Dial, Gather, Stream, VoiceResponse

from fastbridge.carrier.twilio.twiml import (
    Spoken,
    apology_twiml,
    busy_twiml,
    conference_twiml,
    connect_twiml,
    dial_twiml,
    farewell_twiml,
    hangup_twiml,
    play_twiml,
    question_twiml,
    reject_twiml,
    transfer_twiml,
)

# TwiML


def test_connect_is_followed_by_a_hangup():
    text = connect_twiml(
        "wss://x.example/media/abc", "https://x.example/webhook/stream_ended", {"business_id": "456", "lang": "he"}
    )
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Connect action="https://x.example/webhook/stream_ended" method="POST">'
        '<Stream url="wss://x.example/media/abc">'
        '<Parameter name="business_id" value="456" /><Parameter name="lang" value="he" />'
        "</Stream></Connect><Hangup /></Response>"
    )


def test_a_parameter_cannot_break_out():
    hostile = '"/></Stream><Dial>+1900</Dial><!--&amp;]]>'
    text = connect_twiml("wss://x/", "https://x/", {hostile: hostile})
    root = ElementTree.fromstring(text)
    assert [child.tag for child in root] == ["Connect", "Hangup"]
    assert root.find("Dial") is None
    assert root.find("Connect/Stream/Parameter").attrib == {"name": hostile, "value": hostile}


def test_what_xml_cannot_hold_becomes_the_replacement_character():
    text = connect_twiml("wss://x/", "https://x/", {"a": "b\x00\ud800\uffff\x1bc"})
    assert ElementTree.fromstring(text).find("Connect/Stream/Parameter").get("value") == "b\ufffd\ufffd\ufffd\ufffdc"


def test_a_transfer_dials_one_number_and_then_hangs_up():
    text = transfer_twiml("+14155550188")
    assert text.endswith("<Response><Dial><Number>+14155550188</Number></Dial><Hangup /></Response>")


def test_a_question_is_asked_twice_and_answered_by_key_or_voice():
    said = [Spoken("Hello.", "de-DE", "Google.de-DE-Standard-A"), Spoken("", url="https://x.example/a.mp3")]
    text = question_twiml("https://x.example/key", said, Spoken("1 or 2?"), Spoken("Goodbye."), hear="de-DE")
    response = VoiceResponse()
    for words in (said, [Spoken("1 or 2?")]):
        gather = Gather(
            action="https://x.example/key", input="dtmf speech", language="de-DE", method="POST", num_digits=1,
            speech_timeout="auto", timeout=6,
        )  # fmt: skip
        for each in words:
            if each.url:
                gather.play(each.url)
            else:
                gather.say(each.text, **{k: v for k, v in (("language", each.language), ("voice", each.voice)) if v})
        response.append(gather)
    response.say("Goodbye.")
    response.hangup()
    assert text == str(response)


def test_two_calls_meet_in_a_conference_which_ends_with_either():
    ours, theirs = VoiceResponse(), VoiceResponse()
    for response, more in ((ours, {"action": "https://x.example/over", "method": "POST"}), (theirs, {})):
        dial = Dial(**more)
        dial.conference("room", beep="false", start_conference_on_enter=True, end_conference_on_exit=True)
        response.append(dial)
    ours.hangup()
    theirs.say("Goodbye.")
    theirs.hangup()
    assert conference_twiml("room", action_url="https://x.example/over") == str(ours)
    assert conference_twiml("room", last=Spoken("Goodbye.")) == str(theirs)


def test_a_goodbye_is_said_and_the_call_ends():
    response = VoiceResponse()
    response.say("Bye.", language="fr-FR")
    response.hangup()
    assert farewell_twiml(Spoken("Bye.", "fr-FR")) == str(response)


def test_a_caller_who_is_not_let_in_is_rejected():
    assert reject_twiml().endswith("<Response><Reject /></Response>")


@pytest.mark.parametrize("build", [busy_twiml, apology_twiml])
def test_spoken_answers_hang_up(build):
    root = ElementTree.fromstring(build("Sorry <b>& goodbye\x00"))
    assert [child.tag for child in root] == ["Say", "Hangup"]
    assert root.find("Say").text == "Sorry <b>& goodbye\ufffd"


def test_hangup():
    assert hangup_twiml() == '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup /></Response>'


XML_TEXT = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r<>&'\""),
    max_size=12,
)


def response(*verbs):
    made = VoiceResponse()
    for verb in verbs:
        verb(made)
    return str(made)


def hang_up(made):
    made.hangup()


@given(XML_TEXT, XML_TEXT, st.dictionaries(XML_TEXT, XML_TEXT, max_size=3))
def test_a_connect_is_twilios(url, action, parameters):
    stream = Stream(url=url)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    connect = Connect(action=action, method="POST").append(stream)
    assert connect_twiml(url, action, parameters) == response(lambda made: made.append(connect), hang_up)


@given(XML_TEXT, st.sampled_from(["", "he-IL"]), st.sampled_from(["", "Google.he-IL-Wavenet-A"]))
def test_what_is_said_is_twilios(words, language, voice):
    theirs = response(lambda made: made.say(words, language=language or None, voice=voice or None), hang_up)
    assert busy_twiml(words, language=language, voice=voice) == theirs
    assert apology_twiml(words, language=language, voice=voice) == theirs


@given(XML_TEXT)
def test_a_recording_and_a_number_are_twilios(text):
    assert play_twiml(text) == response(lambda made: made.play(text), hang_up)
    assert dial_twiml(text) == response(lambda made: made.dial(text), hang_up)
    dial = Dial()
    dial.number(text)
    assert transfer_twiml(text) == response(lambda made: made.append(dial), hang_up)


def test_so_are_those_without_words():
    assert hangup_twiml() == response(hang_up)
    assert reject_twiml() == response(lambda made: made.reject())
