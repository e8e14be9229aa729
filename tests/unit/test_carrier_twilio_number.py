"""The number at Twilio, against a simulated API on a real socket."""

import asyncio

import httpx2
import pytest

from environment import clear_environment
from fastbridge.carrier.twilio.number import Change, Numbers, ask, host_of
from fastbridge.config import load_settings
from fastbridge.sim.carrier_api import RESET, CarrierApi

ACCOUNT, TOKEN, URL = "AC" + "0" * 32, "0123456789abcdef0123456789abcdef", "https://voice.example.com"
VOICE, STATUS = f"{URL}/webhook/incoming_call", f"{URL}/webhook/call_status"


def number(last="3", **fields):
    return {
        "sid": "PN" + last * 32,
        "phone_number": f"+1415555012{last}",
        "voice_url": "https://demo.twilio.com/welcome/voice/",
        "voice_method": "POST",
        "status_callback": "",
        "status_callback_method": "POST",
        **fields,
    }


OURS = number(voice_url=VOICE, status_callback=STATUS)


class Account:
    """One, with these numbers; what is done with it is done over HTTP."""

    def __init__(self, *numbers, faults=(), **settings):
        self.api = CarrierApi(ACCOUNT, TOKEN, numbers=numbers, faults=faults)
        self._settings = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN, "public_url": URL, **settings}

    def do(self, act):
        """act(numbers), which is a coroutine."""

        async def scene():
            async with self.api, httpx2.AsyncClient() as client:
                settings = load_settings(twilio_api_url=self.api.url, **self._settings)
                return await act(Numbers(client, settings))

        return asyncio.run(scene())

    def examine(self):
        return self.do(lambda numbers: numbers.examine())[0]

    def changes(self):
        async def act(numbers):
            _, subject = await numbers.examine()
            return None if subject is None else numbers.changes(subject)

        return self.do(act)

    def fix(self):
        async def act(numbers):
            _, subject = await numbers.examine()
            return await numbers.set_webhooks(subject, numbers.changes(subject)), await numbers.examine()

        return self.do(act)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


@pytest.mark.parametrize("query", ["", "?business_id=456"])
@pytest.mark.parametrize("named", [{"twilio_phone_number": "+14155550123"}, {}])
def test_a_number_that_calls_this_node(named, query):
    found = Account(number("9"), number(voice_url=VOICE + query), **named).examine()
    assert (found.ok, found.detail) == (True, f"+14155550123 calls {VOICE}{query}")


@pytest.mark.parametrize(
    ("numbers", "named", "fault", "detail"),
    [
        ([], None, "none", "the account has none"),
        ([number("9")], "+14155550123", "not_ours", "+14155550123 is not this account's"),
        ([number(voice_url="")], None, "voice_url", "+14155550123 calls nothing"),
        ([number()], None, "voice_url", "+14155550123 calls https://demo.twilio.com/welcome/voice/"),
        ([number("1"), number("2")], None, "which", "none of 2 calls this node: +14155550121, +14155550122"),
        (
            [OURS | {"voice_application_sid": "AP1"}],
            None,
            "application",
            "+14155550123 asks a TwiML application, and not its own webhook",
        ),
        ([OURS | {"trunk_sid": "TK1"}], None, "trunk", "+14155550123 belongs to a SIP trunk, which gets its calls"),
    ],
)
def test_what_is_wrong(numbers, named, fault, detail):
    found = Account(*numbers, **({"twilio_phone_number": named} if named else {})).examine()
    assert (found.check, found.fault, found.detail) == ("phone number", fault, detail)
    assert VOICE in found.todo or fault in ("none", "not_ours", "trunk")


@pytest.mark.parametrize("fault", [401, 500, RESET])
def test_an_api_that_does_not_tell(fault):
    found = Account(number(), faults=[fault]).examine()
    assert (found.fault, found.todo) == ("not_tried", "See Twilio credentials.")


def test_without_credentials_nobody_is_asked():
    assert Account(number(), twilio_auth_token=None).examine().fault == "not_tried"


def test_an_api_key_does():
    account = Account(OURS, twilio_api_key="SK" + "1" * 32, twilio_api_secret="s")
    account.api = CarrierApi("SK" + "1" * 32, "s", numbers=[OURS])
    assert account.examine().ok


# Setting the webhooks


def test_what_would_change_is_told_field_by_field():
    assert Account(number()).changes() == [
        Change("VoiceUrl", "https://demo.twilio.com/welcome/voice/", VOICE),
        Change("StatusCallback", "", STATUS),
    ]
    assert Account(OURS).changes() == []


def test_the_operators_own_stays():
    mine = number(
        voice_url="https://old.example/webhook/incoming_call?business_id=456", status_callback="https://crm.example/x"
    )
    assert Account(mine).changes() == [Change("VoiceUrl", mine["voice_url"], f"{VOICE}?business_id=456")]


def test_what_would_keep_it_from_calling_goes():
    mine = OURS | {
        "voice_application_sid": "AP1",
        "voice_method": "GET",
        "status_callback": "https://old.example/webhook/call_status",
    }
    assert {change.name: change.after for change in Account(mine).changes()} == {
        "VoiceMethod": "POST",
        "VoiceApplicationSid": "",
        "StatusCallback": STATUS,
    }


def test_which_of_several_is_nobodys_guess():
    assert Account(number("1"), number("2")).changes() is None
    assert Account(number("1"), number("2"), twilio_phone_number="+14155550122").changes()


def test_they_are_set():
    account = Account(number(voice_application_sid="AP1"), number("9"))
    account._settings["twilio_phone_number"] = "+14155550123"
    why, (found, _) = account.fix()
    assert (why, found.ok) == ("", True)
    assert account.api.numbers[0] == OURS | {"voice_application_sid": ""}
    assert account.api.numbers[1] == number("9")
    assert account.api.errors == []


@pytest.mark.parametrize(("fault", "why"), [(500, "HTTP 500, code 20500"), (RESET, "no answer from 127.0.0.1 (")])
def test_an_api_that_refuses_is_told(fault, why):
    account = Account(number())

    async def act(numbers):
        _, subject = await numbers.examine()
        account.api.fail_next(fault)
        return await numbers.set_webhooks(subject, numbers.changes(subject))

    assert account.do(act).startswith(why)
    assert account.api.numbers == [number()]


def test_an_answer_that_is_no_json():
    async def scene():
        said = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b"<html>"))
        async with httpx2.AsyncClient(transport=said) as client:
            return await ask(client, "GET", "https://x.example/y")

    assert asyncio.run(scene()) == (200, None)
    assert host_of("https://x.example/y") == "x.example"


@pytest.mark.parametrize(
    "document", [b"[]", b"{}", b'{"incoming_phone_numbers": 3}', b'{"incoming_phone_numbers": [1, {"sid": 2}]}']
)
def test_an_answer_of_another_shape_raises_nothing(document):
    async def scene():
        said = httpx2.MockTransport(lambda request: httpx2.Response(200, content=document))
        async with httpx2.AsyncClient(transport=said) as client:
            settings = load_settings(twilio_account_sid=ACCOUNT, twilio_auth_token=TOKEN, public_url=URL)
            return await Numbers(client, settings).examine()

    assert not asyncio.run(scene())[0].ok
