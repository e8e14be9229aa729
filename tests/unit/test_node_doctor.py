import asyncio
import io
import json
import socket
import sys
import time
from email.utils import formatdate
from types import SimpleNamespace

import httpx2
import pytest

from environment import clear_environment
from fastbridge.agent import Agent
from fastbridge.base.findings import Finding
from fastbridge.config import Settings
from fastbridge.errors import AgentError
from fastbridge.node import doctor
from fastbridge.sim.carrier_api import CarrierApi

KEY, TOKEN = "sk-secret-key-of-mine", "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "0" * 32
NUMBER = "+14155550123"
URL = "https://voice.example.com"
MODEL = "gpt-realtime-2.1"


def number(voice_url):
    return {"sid": "PN" + "3" * 32, "phone_number": NUMBER, "voice_url": voice_url}


class World(SimpleNamespace):
    """The network as the doctor finds it; a test changes one thing."""

    def __init__(self):
        super().__init__(
            openai=(200, {"id": MODEL}),
            account=(200, {"status": "active"}),
            numbers=(200, {"incoming_phone_numbers": [number(f"{URL}/webhook/incoming_call?business_id=4")]}),
            azure=(200, {}),
            trial=[
                Finding("public URL", "reaches a node"),
                Finding("webhook", "is answered"),
                Finding("media stream", "opens"),
            ],
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
            answer = self.local if host == "127.0.0.1" else self.azure
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
def world(monkeypatch):
    world = World()

    class Trial:
        def __init__(self, settings, saw):
            pass

        async def run(self):
            return world.trial

    monkeypatch.setattr(doctor, "Trial", Trial)
    return world


def built_in(settings):
    return Agent()


def look(world, load=built_in, **options):
    return asyncio.run(doctor.examine(load, httpx2.MockTransport(world), **options))


def examine(world, **options):
    return {each.check: each for each in look(world, **options)}


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
        "agent",
        "records",
        "OpenAI key",
        "Twilio credentials",
        "phone number",
        "port",
        "public URL",
        "webhook",
        "media stream",
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
    world.azure = answer
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
            (200, {"incoming_phone_numbers": [number("https://demo.twilio.com/")]}),
            f"{NUMBER} calls https://demo.twilio.com/",
            f"{URL}/webhook/incoming_call",
        ),
        (
            (200, {"incoming_phone_numbers": [number(None)]}),
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
    found = fault(world, "records")
    assert found.detail.startswith(f"FASTBRIDGE_RECORDS_DIR: '{__file__}/records' cannot be made or written (")
    assert found.todo == "Make the folder writable for this user, or name another."
    monkeypatch.delenv("FASTBRIDGE_RECORDS_DIR")
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://u@127.0.0.1:1/x")
    found = fault(world, "records")
    assert "u@127.0.0.1:1/x does not answer (OperationalError: " in found.detail
    assert found.todo == "Start the database, or name another."
    monkeypatch.setenv("DATABASE_URL", "nowhere")
    found = examine(world)["records"]
    assert (found.ok, found.todo) == (False, "")
    assert found.detail.startswith("DATABASE_URL must be")


def test_a_folder_for_the_carriers_files_that_cannot_be_is_a_warning(world, monkeypatch):
    monkeypatch.setenv("FASTBRIDGE_RECORDINGS_URL", f"{__file__}/files")
    (warned,) = [each for each in look(world) if each.level == "warning"]
    assert warned.fault == "recordings_url"
    assert warned.detail.startswith(f"FASTBRIDGE_RECORDINGS_URL: '{__file__}/files' cannot be made or written (")


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
        ("PUBLIC_URL", ["settings", "phone number"]),
    ],
)
def test_what_is_not_set(world, monkeypatch, variable, failing):
    monkeypatch.delenv(variable)
    findings = examine(world)
    assert [each.check for each in findings.values() if not each.ok] == failing
    assert any(variable in findings[check].detail + findings[check].todo for check in failing)


def test_no_number_is_to_call_an_address_that_there_is_not(world, monkeypatch):
    world.numbers = (200, {"incoming_phone_numbers": [number("https://demo.twilio.com/")]})
    monkeypatch.delenv("PUBLIC_URL")
    found = examine(world)["phone number"]
    assert (found.fault, found.todo) == ("not_tried", "See settings.")


def test_the_four_names_of_the_readme_are_enough(world, monkeypatch):
    for name in ("TWILIO_PHONE_NUMBER", "FASTBRIDGE_HOST", "PORT"):
        monkeypatch.delenv(name)
    assert all(each.ok for check, each in examine(world).items() if check != "port")
    assert any("PageSize=" in str(request.url) for request in world.asked)


def test_all_faults_are_told_at_once(world, monkeypatch):
    for name, value in {"PORT": "abc", "LEAD_MS": "-1", "FASTBRIDGE_PRICES": "{"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("OPENAI_API_KEY")
    world.account, world.trial = (401, {}), [Finding("public URL", "x", "y", "refused")]
    faults = [each for each in look(world) if not each.ok]
    assert [each.check for each in faults] == [
        *["settings"] * 4,
        "OpenAI key",
        "Twilio credentials",
        "port",
        "public URL",
    ]
    words = ["PORT must be a port number", "LEAD_MS must be", "OPENAI_API_KEY is missing", "FASTBRIDGE_PRICES must be"]
    assert [each.detail.startswith(word) for each, word in zip(faults, words, strict=False)] == [True] * 4
    assert all(each.fault for each in faults), "each has a lasting name"
    assert all(not each.todo for each in faults[:4]), "the sentence says what to do"


@pytest.mark.parametrize(
    ("variable", "untried"),
    [
        ("PORT", ["port"]),
        ("PUBLIC_URL", ["phone number", "public URL", "webhook", "media stream"]),
        ("TWILIO_PHONE_NUMBER", ["phone number"]),
    ],
)
def test_nothing_is_tried_with_a_default_in_place_of_what_was_wrong(world, monkeypatch, variable, untried):
    monkeypatch.setenv(variable, "x y?")
    findings = look(world)
    assert [each.check for each in findings if not each.ok] == ["settings", *untried]
    of = [each for each in findings if each.check in untried]
    assert {(each.fault, each.detail, each.todo) for each in of} == {("not_tried", "not tried", "See settings.")}
    assert "5050" not in f"{of}"


def test_where_nobody_can_be_trusted_nothing_is_tried_by_tls(world, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    findings = look(world)
    untried = ["OpenAI key", "Twilio credentials", "phone number", "public URL", "webhook", "media stream"]
    assert [each.check for each in findings if not each.ok] == ["settings", *untried]
    assert findings[0].detail.startswith("SSL_CERT_FILE: ")
    assert {each.fault for each in findings if each.check in untried} == {"not_tried"}


def test_every_setting_that_a_check_needs_is_there():
    assert set().union(*doctor.NEEDS.values()) <= {*Settings.model_fields}


def test_settings_of_which_nothing_can_be_read_stop_the_rest(world, tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    findings = examine(world)
    assert findings["settings"].detail.startswith("The file .env cannot be read")
    assert list(findings) == ["settings", "compiled modules", "libraries"]
    assert world.asked == []


# The agent


def test_the_agent_is_examined_in_the_starts_own_sentences(world, capsys):
    def broken(settings):
        print("a module that talks")
        raise AgentError("my_agent.py, line 3: a fault.", "Traceback\n")

    found = examine(world, load=broken)["agent"]
    assert (found.fault, found.detail, found.todo) == ("agent", "my_agent.py, line 3: a fault.", "")
    assert capsys.readouterr() == ("", "a module that talks\nTraceback\n")


def test_an_agent_that_does_not_fit_and_one_that_is_hardly_meant_so(world):
    agent = Agent(settings={"turn_detection": "semantic_vad", "vad_idle_ms": 6000})
    agent.tool(lambda: "x")
    found = [each for each in look(world, load=lambda settings: agent) if each.check == "agent"]
    assert [each.level for each in found] == ["fault", *["warning"] * len(agent.advice())]
    assert found[0].detail == "FASTBRIDGE_VAD_IDLE_MS is for server_vad: unset it, or FASTBRIDGE_TURN_DETECTION."
    assert [(each.fault, each.detail) for each in found[1:]] == [("advice", each) for each in agent.advice()]


# The table, JSON and the exit code


@pytest.fixture
def main(world, monkeypatch):
    """doctor.main, in this world."""
    real = doctor.examine
    monkeypatch.setattr(doctor, "examine", lambda load, **given: real(load, httpx2.MockTransport(world), **given))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda **options: doctor.main(built_in, **options)


def test_no_network_at_all_is_a_table_of_crosses_not_a_traceback(world, main, capsys):
    world.openai = world.account = world.numbers = None
    assert main() == 1
    out = capsys.readouterr().out
    assert out.count("✗") == 4
    assert "Traceback" not in out


def test_the_table_tells_no_secret(world, main, capsys):
    world.openai = (500, {"error": f"your key {KEY}"})
    world.numbers = (200, {"token": TOKEN})
    for as_json in (False, True):
        main(json=as_json)
    out = capsys.readouterr().out
    assert KEY not in out
    assert TOKEN not in out


def test_well_is_exit_code_0(main, capsys):
    assert main() == 0
    assert "✗" not in capsys.readouterr().out
    assert main(json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is True
    assert [each["check"] for each in document["findings"]][:4] == ["settings", "agent", "records", "openai_key"]


# --fix, against a simulated Twilio on a real socket


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def fix(world, monkeypatch, capsys):
    """fix(typed, yes=…): exit code, what stderr was told, and the number afterwards. typed: None without a terminal."""

    def run(typed, yes=False, before="https://demo.twilio.com/", findings=None, faults=(), more=()):
        world.trial = findings or world.trial

        async def scene():
            async with CarrierApi(
                ACCOUNT, TOKEN, numbers=[number(before) | {"voice_method": "POST"} | dict(more)]
            ) as api:
                monkeypatch.setenv("FASTBRIDGE_TWILIO_API_URL", api.url)
                confirm = doctor._confirm(yes)

                def confirm_then_fail(*given):
                    api.fail_next(*faults)
                    return confirm(*given)

                found = await doctor.examine(built_in, confirm=confirm_then_fail)
                return next(each for each in found if each.check == "phone number"), api.numbers[0]

        monkeypatch.setattr("sys.stdin", Terminal(typed) if typed is not None else io.StringIO("y\n"))
        monkeypatch.setattr("sys.stderr", Terminal())
        found, after = asyncio.run(scene())
        return found, sys.stderr.getvalue(), after

    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    return run


def test_fix_shows_what_changes_and_asks(fix):
    found, said, after = fix("y\n")
    assert said.splitlines() == [
        f"{NUMBER} VoiceUrl: https://demo.twilio.com/ → {URL}/webhook/incoming_call",
        f"{NUMBER} StatusCallback: (nothing) → {URL}/webhook/call_status",
        f"{NUMBER} StatusCallbackMethod: (nothing) → POST",
        "Write this to Twilio? [y/N] ",
    ]
    assert (found.ok, found.detail) == (True, f"{NUMBER} calls {URL}/webhook/incoming_call")
    assert (after["voice_url"], after["status_callback"]) == (
        f"{URL}/webhook/incoming_call",
        f"{URL}/webhook/call_status",
    )


@pytest.mark.parametrize("typed", ["", "\n", "n\n", "yep\n", None])
def test_fix_without_a_yes_changes_nothing(fix, typed):
    found, said, after = fix(typed)
    assert found.fault == "not_set"
    assert found.todo.startswith("Not set. In the Twilio console")
    assert "status_callback" not in after
    assert after["voice_url"] == "https://demo.twilio.com/"
    why = "there is nobody to ask; --yes says yes." if typed is None else "the answer was no."
    assert said.endswith(f"Nothing is changed, because {why}\n")


def test_fix_for_scripts(fix):
    found, said, after = fix(None, yes=True)
    assert found.ok
    assert after["voice_url"] == f"{URL}/webhook/incoming_call"
    assert "[y/N]" not in said


def test_fix_points_no_number_at_a_webhook_that_is_not_answered(fix):
    findings = [Finding("webhook", "x", "y", "signature")]
    found, said, after = fix("y\n", findings=findings)
    assert (found.fault, found.todo) == ("not_set", "Not set: first let the webhook be answered at PUBLIC_URL.")
    assert said == "Nothing is changed, because the webhook is not answered at PUBLIC_URL.\n"
    assert after["voice_url"] == "https://demo.twilio.com/"


def test_fix_says_that_the_number_calls_this_node_already(fix):
    asked = {"status_callback": f"{URL}/webhook/call_status", "status_callback_method": "POST"}
    found, said, _ = fix("y\n", before=f"{URL}/webhook/incoming_call", more=asked)
    assert (found.ok, said) == (True, "Nothing is changed, because the number calls this node already.\n")


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("TWILIO_AUTH_TOKEN", "", "could not be looked up. See Twilio credentials."),
        ("TWILIO_PHONE_NUMBER", "x", "not tried. See settings."),
    ],
)
def test_fix_says_why_there_is_no_number_to_change(fix, monkeypatch, variable, value, why):
    monkeypatch.setenv(variable, value)
    _, said, after = fix(None, yes=True)
    assert said == f"Nothing is changed, because of the phone number: {why}\n"
    assert after["voice_url"] == "https://demo.twilio.com/"


def test_fix_without_settings_says_so(fix, world, tmp_path, capsys):
    (tmp_path / ".env").write_bytes(b"PORT=\xff")
    look(world, confirm=lambda *given: True)
    assert capsys.readouterr().err == "Nothing is changed, because the settings cannot be read.\n"


def test_fix_that_twilio_refuses(fix):
    found, _, _ = fix("y\n", faults=[500])
    assert (found.fault, found.detail) == ("refused", "Twilio did not set the webhooks: HTTP 500, code 20500")


def test_without_fix_nobody_is_asked_and_nothing_written(world):
    world.numbers = (200, {"incoming_phone_numbers": [number("https://demo.twilio.com/")]})
    examine(world)
    assert {request.method for request in world.asked} == {"GET"}


def test_a_name_that_is_no_setting_is_told_and_is_no_fault(world, main, monkeypatch, capsys):
    monkeypatch.setenv("FASTBRIDGE_PROMTS_DIR", "/x")
    [told] = doctor.unknown_settings()
    assert (told.check, told.level, told.fault) == ("settings", "warning", "unknown_variable")
    assert told.detail == "FASTBRIDGE_PROMTS_DIR is no setting: did you mean FASTBRIDGE_PROMPTS_DIR?"
    assert main(json=True) == 0
    second = json.loads(capsys.readouterr().out)["findings"][1]
    assert second["found"] == told.detail, "beside the other line of the settings"


@pytest.mark.parametrize("url", ["http://localhost:5050", "https://127.0.0.1", "https://10.0.0.7", "https://a.local"])
def test_a_public_url_that_twilio_cannot_reach_is_a_warning(world, monkeypatch, url):
    monkeypatch.setenv("PUBLIC_URL", url)
    found = look(world)[1]
    assert (found.check, found.level, found.fault) == ("settings", "warning", "local_address")
    assert "where Twilio cannot reach it" in found.detail
    assert "tunnel" in found.todo
