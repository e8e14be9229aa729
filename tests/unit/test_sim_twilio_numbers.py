"""The account's numbers; through the API in test_sim_carrier_api."""

import pytest

from fastbridge.sim.twilio_http import request_of
from fastbridge.sim.twilio_numbers import Numbers
from fastbridge.sim.twilio_reply import RefusedError

SID = "PN" + "3" * 32
NUMBER = {"sid": SID, "phone_number": "+14155550123", "voice_url": ""}


def test_calls_come_from_those_there_are() -> None:
    assert Numbers([NUMBER]).has("+14155550123")
    assert not Numbers([NUMBER]).has("+14155550124")
    assert Numbers([]).has("+14155550124"), "nobody has said which"


def test_what_is_set_is_set_here_alone() -> None:
    numbers = Numbers([NUMBER])
    request = request_of(b"POST", b"/", [], b"VoiceUrl=https://x.example/")
    assert (
        numbers.update(request, "AC", SID).body["voice_url"] == numbers.numbers[0]["voice_url"] == "https://x.example/"
    )
    assert NUMBER["voice_url"] == ""
    with pytest.raises(RefusedError):
        numbers.update(request, "AC", "PN" + "9" * 32)
