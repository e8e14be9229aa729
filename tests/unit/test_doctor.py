import asyncio
import socket
import time
from email.utils import formatdate
from types import SimpleNamespace

import httpx2
import pytest

from environment import clear_environment
from fastbridge import doctor
from fastbridge.errors import ConfigError

KEY, TOKEN = "sk-secret-key-of-mine", "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
NUMBER = "+14155550123"
URL = "https://voice.example.com"
MODEL = "gpt-realtime-2.1"


class World(SimpleNamespace):
    """The network as the doctor finds it; a test changes one thing."""

    def __init__(self):
        super().__init__(
            openai=(200, {"id": MODEL}),
            account=(200, {"status": "active"}),
            numbers=(200, {"incoming_phone_numbers": [{"voice_url": f"{URL}/webhook/incoming_call?business_id=4"}]}),
            public=(200, {"alive": True}),
            local=None,
            skew_s=0,
            date=True,
        )
        self.asked = []

    def __call__(self, request):
        self.asked.append(request)
        host, path = request.url.host, request.url.path
        if host == "api.openai.com":
            answer = self.openai
        elif host == "api.twilio.com":
            answer = self.numbers if path.endswith("/IncomingPhoneNumbers.json") else self.account
        else:
            answer = self.local if host == "127.0.0.1" else self.public
        if answer is None:
            raise httpx2.ConnectError("refused", request=request)
        headers = {"Date": formatdate(time.time() + self.skew_s, usegmt=True)} if self.date else {}
        if isinstance(answer[1], bytes):
            return httpx2.Response(answer[0], content=answer[1], headers=headers)
        return httpx2.Response(answer[0], json=answer[1], headers=headers)


@pytest.fixture(autouse=True)
def free_port(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(doctor, "COMPILED", ())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    complete = {
        "OPENAI_API_KEY": KEY,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_PHONE_NUMBER": NUMBER,
        "PUBLIC_URL": URL,
        "FASTBRIDGE_HOST": "127.0.0.1",
        "PORT": str(port),
    }
    for name, value in complete.items():
        monkeypatch.setenv(name, value)
    return port


@pytest.fixture
def world():
    return World()


def examine(world):
    return {each.check: each for each in asyncio.run(doctor.examine(httpx2.MockTransport(world)))}


def fault(world, check):
    """The finding of the one check that should fail."""
    findings = examine(world)
    assert [each.check for each in findings.values() if not each.ok] == [check]
    return findings[check]


def test_all_is_well(world, free_port):
    findings = examine(world)
    assert [each for each in findings.values() if not each.ok] == []
    assert list(findings) == [
        "settings",
        "records",
        "OpenAI key",
        "Twilio credentials",
        "phone number",
        "public URL",
        "port",
        "clock",
        "compiled modules",
        "libraries",
    ]
    assert findings["port"].detail == f"{free_port} is free"
    assert "websockets" in findings["libraries"].detail
    assert "uvloop" in findings["libraries"].detail


def test_it_asks_as_it_should(world):
    examine(world)
    asked = {str(request.url): request.headers.get("authorization", "") for request in world.asked}
    assert asked[f"https://api.openai.com/v1/models/{MODEL}"] == f"Bearer {KEY}"
    assert asked[f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}.json"].startswith("Basic ")
    numbers = (
        f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/IncomingPhoneNumbers.json?PhoneNumber=%2B14155550123"
    )
    assert numbers in asked
    assert asked[f"{URL}/healthz"] == ""


@pytest.mark.parametrize(
    ("answer", "detail", "todo"),
    [
        (None, "no answer from api.openai.com (ConnectError)", "network"),
        ((401, {}), "refused", "OPENAI_API_KEY"),
        ((404, {}), f"may not use {MODEL}", "OPENAI_REALTIME_MODEL"),
        ((403, {}), f"may not use {MODEL}", "OPENAI_REALTIME_MODEL"),
        ((429, {}), "answer 429", "limits"),
        ((500, b"<html>"), "answer 500", "status page"),
    ],
)
def test_faults_of_the_openai_key(world, answer, detail, todo):
    world.openai = answer
    found = fault(world, "OpenAI key")
    assert found.detail == detail
    assert todo in found.todo


@pytest.mark.parametrize(
    ("answer", "detail"),
    [((200, {}), "works at"), ((401, {}), "refused"), ((404, {}), "answer 404"), (None, "")],
)
def test_azure_is_asked_in_its_own_way(world, monkeypatch, answer, detail):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_API_KEY")
    world.public = answer
    finding = examine(world)["Azure OpenAI key"]
    assert finding.detail.startswith(detail)
    assert KEY not in f"{finding}"
    [asked] = [request for request in world.asked if request.url.host == "mine.openai.azure.com"]
    assert (asked.url.path, asked.url.query) == ("/openai/v1/models", b"")
    assert asked.headers["api-key"] == KEY


def test_another_base_url_is_asked_instead(world, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert "no answer from 127.0.0.1" in fault(world, "OpenAI key").detail


@pytest.mark.parametrize(
    ("answer", "detail", "todo"),
    [
        (None, "no answer from api.twilio.com (ConnectError)", "network"),
        ((401, {}), "refused", "TWILIO_AUTH_TOKEN"),
        ((200, {"status": "suspended"}), "work, but the account is not active", "Reactivate"),
        ((200, b"<html>"), "work, but the account is not active", "Reactivate"),
        ((503, {}), "answer 503", "status page"),
    ],
)
def test_faults_of_the_twilio_credentials(world, answer, detail, todo):
    world.account = answer
    found = fault(world, "Twilio credentials")
    assert found.detail == detail
    assert todo in found.todo


@pytest.mark.parametrize(
    ("answer", "detail", "todo"),
    [
        (None, "could not be looked up", "See Twilio credentials."),
        ((200, {"incoming_phone_numbers": []}), f"{NUMBER} is not this account's", "TWILIO_PHONE_NUMBER"),
        (
            (200, {"incoming_phone_numbers": [{"voice_url": "https://demo.twilio.com/"}]}),
            f"{NUMBER} calls https://demo.twilio.com/",
            f"{URL}/webhook/incoming_call",
        ),
        (
            (200, {"incoming_phone_numbers": [{"voice_url": None}]}),
            f"{NUMBER} calls nothing",
            f"{URL}/webhook/incoming_call",
        ),
    ],
)
def test_faults_of_the_phone_number(world, answer, detail, todo):
    world.numbers = answer
    found = fault(world, "phone number")
    assert found.detail == detail
    assert todo in found.todo


@pytest.mark.parametrize("answer", [None, (404, {}), (200, {}), (200, b"ok"), (302, {"alive": True})])
def test_a_public_url_that_reaches_something_else(world, answer):
    world.public = answer
    found = fault(world, "public URL")
    assert found.detail == f"{URL} does not reach a node"
    assert "fastbridge serve" in found.todo


def test_a_clock_that_is_off(world, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    world.skew_s = -3600
    found = fault(world, "clock")
    assert found.detail == "+3600 s off"
    assert "NTP" in found.todo
    world.date = False
    assert fault(world, "clock").detail == "no server answered with its time"


def test_an_answer_that_was_long_on_its_way_is_no_wrong_clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    clock = doctor.Clock()
    for late_s in (9, 1, 20):
        asyncio.run(clock.read(httpx2.Response(200, headers={"Date": formatdate(1.7e9 - late_s, usegmt=True)})))
    assert clock.finding().ok


def test_a_date_that_is_none_is_not_a_time(world):
    clock = doctor.Clock()
    asyncio.run(clock.read(httpx2.Response(200, headers={"Date": "yesterday"})))
    assert not clock.finding().ok


def test_a_port_in_use(world, free_port):
    with socket.create_server(("127.0.0.1", free_port)):
        found = fault(world, "port")
        assert f"Port {free_port} is in use" in found.todo
        world.local = (200, {"alive": True})
        found = examine(world)["port"]
    assert found.ok
    assert found.detail == f"{free_port}: a node is running on it"


def test_records_that_cannot_be_kept(world, monkeypatch):
    assert examine(world)["records"].todo == ""
    monkeypatch.setenv("FASTBRIDGE_RECORDS_DIR", f"{__file__}/records")
    assert "FASTBRIDGE_RECORDS_DIR: no record can be kept at" in examine(world)["records"].todo
    monkeypatch.setenv("DATABASE_URL", "nowhere")
    assert examine(world)["records"].todo.startswith("DATABASE_URL must be")


def test_compiled_modules_that_are_missing(world, monkeypatch):
    monkeypatch.setattr(doctor, "COMPILED", ("errors", "_not_compiled"))
    found = fault(world, "compiled modules")
    assert found.detail == "missing: _not_compiled"
    assert "pip install" in found.todo


def test_uvloop_that_cannot_be_imported(world, monkeypatch):
    monkeypatch.setattr(doctor, "_importable", lambda name: name != "uvloop")
    assert "uvloop" in fault(world, "libraries").todo


@pytest.mark.parametrize(
    ("variable", "failing"),
    [
        ("OPENAI_API_KEY", ["settings", "OpenAI key"]),
        ("TWILIO_AUTH_TOKEN", ["settings", "Twilio credentials", "phone number"]),
        ("TWILIO_ACCOUNT_SID", ["Twilio credentials", "phone number"]),
        ("TWILIO_PHONE_NUMBER", ["phone number"]),
        ("PUBLIC_URL", ["settings", "phone number", "public URL"]),
    ],
)
def test_what_is_not_set(world, monkeypatch, variable, failing):
    monkeypatch.delenv(variable)
    findings = examine(world)
    assert [each.check for each in findings.values() if not each.ok] == failing
    assert any(variable in findings[check].todo for check in failing)


def test_settings_that_do_not_work_stop_the_rest(world, monkeypatch):
    monkeypatch.setenv("PORT", "abc")
    findings = examine(world)
    assert findings["settings"].todo == "PORT must be a port number from 0 to 65535, not 'abc'."
    assert list(findings) == ["settings", "compiled modules", "libraries"]
    assert world.asked == []


def test_no_network_at_all_is_a_table_of_crosses_not_a_traceback(world, monkeypatch, capsys):
    world.openai = world.account = world.numbers = world.public = None
    real = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda: real(httpx2.MockTransport(world)))
    monkeypatch.setenv("COLUMNS", "200")
    assert doctor.main() == 1
    out = capsys.readouterr().out
    assert out.count("✗") == 5
    assert out.count("✓") == 5
    assert "Traceback" not in out


def test_the_table_tells_no_secret(world, monkeypatch, capsys):
    world.openai = (500, {"error": f"your key {KEY}"})
    world.public = (200, {"token": TOKEN})
    real = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda: real(httpx2.MockTransport(world)))
    doctor.main()
    out = capsys.readouterr().out
    assert KEY not in out
    assert TOKEN not in out


def test_well_is_exit_code_0(world, monkeypatch, capsys):
    real = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda: real(httpx2.MockTransport(world)))
    assert doctor.main() == 0
    assert "✗" not in capsys.readouterr().out


def test_a_long_address_is_shown_whole_in_a_narrow_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    doctor.show([doctor.Finding("x", "y", "z" * 100)])
    assert capsys.readouterr().out.count("z") == 100


def test_markup_in_an_address_is_text(capsys):
    doctor.show([doctor.Finding("x", "http://[::1]/[bold]", "do [/this]")])
    assert "[bold]" in capsys.readouterr().out


def test_check_port(free_port):
    doctor.check_port("127.0.0.1", free_port)
    with (
        socket.create_server(("127.0.0.1", free_port)),
        pytest.raises(ConfigError, match=f"Port {free_port} is in use"),
    ):
        doctor.check_port("127.0.0.1", free_port)
    doctor.check_port("127.0.0.1", free_port)
    with pytest.raises(ConfigError, match=r"Cannot listen on '192\.0\.2\.1': set FASTBRIDGE_HOST"):
        doctor.check_port("192.0.2.1", free_port)
    assert "choose one above 1023" in str(doctor.port_error("127.0.0.1", 80, PermissionError(13, "denied")))


def test_a_name_that_is_no_setting_is_told_and_is_no_fault(world, monkeypatch):
    monkeypatch.setenv("FASTBRIDGE_PROMTS_DIR", "/x")
    [told] = doctor.unknown_settings()
    assert (told.check, told.ok) == ("settings", True)
    assert told.detail == "FASTBRIDGE_PROMTS_DIR is no setting: did you mean FASTBRIDGE_PROMPTS_DIR?"
    assert told in asyncio.run(doctor.examine(httpx2.MockTransport(world)))
