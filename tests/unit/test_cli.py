import importlib.metadata
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

import fastbridge.agent
from environment import clear_environment
from fastbridge import cli
from fastbridge.agent import default, definition
from fastbridge.errors import ConfigError
from fastbridge.observe import log_policy as log
from tunnels import CLOUDFLARED_URL, stand_in


class FakeAgent:
    """Stands in for fastbridge.agent.Agent."""

    greeting = "Hello."

    def advice(self):
        return []

    def variants(self):
        return []


@dataclass
class BuiltIn:
    """Stands in for the built-in one."""

    greeting: str

    def advice(self):
        return []

    def variants(self):
        return []


@pytest.fixture(autouse=True)
def served(monkeypatch, tmp_path):
    """A server that writes down what it is asked to serve, a fake agent module, an empty working directory."""
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(log, "configure_from", lambda settings: None)
    calls = []
    for module in (fastbridge.agent, definition):
        monkeypatch.setattr(module, "Agent", FakeAgent)
    monkeypatch.setattr(default, "default_agent", lambda settings: BuiltIn(settings.greeting))
    server = ModuleType("fastbridge.node.server")
    server.serve = lambda settings, agent: calls.append((settings, agent))
    monkeypatch.setitem(sys.modules, server.__name__, server)
    return calls


@pytest.fixture
def ready(monkeypatch):
    """Enough settings to serve, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {"OPENAI_API_KEY": "sk-x", "FASTBRIDGE_DEV": "1", "FASTBRIDGE_HOST": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PORT", str(port))
    return port


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module into the working directory, and forget it afterwards."""

    def write(name, text):
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
        return path

    yield write
    for name in ("my_agents", "my_file_agent", "my_helper"):
        sys.modules.pop(name, None)


def run(capsys, *arguments):
    """Exit code, stdout and stderr of `fastbridge` with these arguments."""
    before, sys.argv = sys.argv, ["fastbridge", *arguments]
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        sys.argv = before
    written = capsys.readouterr()
    return caught.value.code, written.out, written.err


def complaint(capsys, *arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("fastbridge: ")
    assert err.count("\n") == 1
    return err.removeprefix("fastbridge: ").strip()


def test_version(capsys, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", {"fastbridge": "1.2.3"}.__getitem__)
    assert run(capsys, "--version") == (0, "fastbridge 1.2.3\n", "")


def test_help_names_the_commands_and_describes_every_option(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(name in out for name in ("serve", "doctor", "demo", "--version"))
    for command, options in {"serve": ["--host", "--port", "module:agent"], "demo": ["--out", "--wav"]}.items():
        code, out, _ = run(capsys, command, "--help")
        assert code == 0
        for option in options:
            line = next(line for line in out.splitlines() if line.strip().startswith((option, f"[{option}]")))
            assert len(line.split()) > 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys, fastbridge.cli\n"
        "heavy = {'pydantic', 'openai', 'uvicorn', 'starlette', 'twilio', 'numpy', 'httpx2', 'rich', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(fastbridge.__file__))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "[]\n"


def test_python_m_fastbridge_is_the_command():
    done = subprocess.run([sys.executable, "-m", "fastbridge", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: fastbridge" in done.stdout


# serve


def test_serve_with_the_built_in_agent(capsys, served, ready):
    assert run(capsys, "serve")[0] == 0
    ((settings, agent),) = served
    assert (settings.port, agent) == (ready, BuiltIn(settings.greeting))


def test_options_beat_the_environment(capsys, served, ready, monkeypatch):
    monkeypatch.setenv("PORT", "1")
    assert run(capsys, "serve", "--port", str(ready), "--host", "localhost")[0] == 0
    assert (served[0][0].port, served[0][0].host) == (ready, "localhost")


def test_serve_an_agent_of_a_module_here(capsys, served, ready, module):
    module("my_agents", "from fastbridge.agent import Agent\nclass Desk:\n    night = Agent()\nday = Agent()\n")
    run(capsys, "serve", "my_agents:day")
    run(capsys, "serve", "my_agents:Desk.night")
    day, night = (agent for _, agent in served)
    assert isinstance(day, FakeAgent)
    assert isinstance(night, FakeAgent)
    assert day is not night


def test_the_environment_names_the_agent_unless_the_command_does(capsys, served, ready, module, monkeypatch):
    module("my_agents", "from fastbridge.agent import Agent\nday, night = Agent(), Agent()\n")
    monkeypatch.setenv("FASTBRIDGE_AGENT", "my_agents:day")
    run(capsys, "serve")
    run(capsys, "serve", "my_agents:night")
    found = sys.modules["my_agents"]
    assert [agent for _, agent in served] == [found.day, found.night]


def test_serve_an_agent_of_a_file(capsys, served, ready, module):
    module("agents/my_helper", "from fastbridge.agent import Agent as Made\n")
    module(
        "agents/my_file_agent",
        "import sys\nfrom my_helper import Made\nassert sys.modules[__name__].Made is Made\nagent = Made()\n",
    )
    run(capsys, "serve", "agents/my_file_agent.py:agent")
    assert isinstance(served[0][1], FakeAgent)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("my_agents", "'my_agents' names no agent: write module:agent, such as my_agent:agent."),
        (":agent", "':agent' names no agent: write module:agent, such as my_agent:agent."),
        ("my_agents:", "'my_agents:' names no agent: write module:agent, such as my_agent:agent."),
        ("my_agents:other", "my_agents has no Agent called 'other': define one there, such as other = Agent(...)."),
        ("my_agents:number", "my_agents has no Agent called 'number': define one there, such as number = Agent(...)."),
        ("nowhere:a", "There is no module 'nowhere': give a module importable from here, or a path to a .py file."),
        (
            "nowhere.at.all:a",
            "There is no module 'nowhere.at.all': give a module importable from here, or a path to a .py file.",
        ),
        (
            "my_agents.sub:a",
            "There is no module 'my_agents.sub': give a module importable from here, or a path to a .py file.",
        ),
        ("..x:a", "There is no module '..x': give a module importable from here, or a path to a .py file."),
        ("no/such.py:a", "There is no file 'no/such.py': give the path of your agent's .py file."),
    ],
)
def test_an_agent_that_is_not_there_is_one_sentence(capsys, served, ready, module, spec, sentence):
    module("my_agents", "number = 1\n")
    assert complaint(capsys, "serve", spec) == sentence
    assert served == []


def test_a_bug_in_the_users_module_is_told_with_its_lines_and_none_of_ours(capsys, served, ready, module):
    module("my_agents", "def work():\n    return 1 / 0\nwork()\n")
    code, out, err = run(capsys, "serve", "my_agents:agent")
    assert (code, out) == (2, "")
    assert (
        err.splitlines()[-1]
        == "fastbridge: my_agents.py, line 2: importing it raised ZeroDivisionError: division by zero."
    )
    assert re.findall(r'File ".*/(.*)", line (\d+)', err) == [("my_agents.py", "3"), ("my_agents.py", "2")]
    assert served == []


def test_what_is_hardly_meant_is_said_before_the_node_serves(capsys, served, ready, module, monkeypatch, caplog):
    monkeypatch.setenv("FASTBRIDGE_SILENCE_SECOND", "5")
    monkeypatch.setenv("FASTBRIDGE_RECORDS_DIR", f"{__file__}/records")
    monkeypatch.setattr(FakeAgent, "advice", lambda self: ["tool 'x' has no docstring"])
    module("my_agents", "from fastbridge.agent import Agent\nagent = Agent()\n")
    assert run(capsys, "serve", "my_agents:agent")[0] == 0
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "[BOOT] FASTBRIDGE_SILENCE_SECOND is no setting: did you mean FASTBRIDGE_SILENCE_SECONDS?",
        f"[BOOT] FASTBRIDGE_RECORDS_DIR: '{__file__}/records' cannot be made or written (Not a directory): "
        "no record is kept there, and calls are answered all the same.",
        "[BOOT] tool 'x' has no docstring",
    ]


def test_an_answer_to_a_question_that_nobody_asks_is_one_sentence(capsys):
    assert complaint(capsys, "doctor", "--yes") == "--yes is the answer to what --fix asks: give --fix, too."


def test_missing_settings_are_one_sentence(capsys, served):
    assert complaint(capsys, "serve") == "OPENAI_API_KEY is missing: set it in the environment or in .env."
    assert complaint(capsys, "serve", "--port", "70000") == "PORT must be a port number from 0 to 65535, not '70000'."
    assert served == []


def test_a_port_in_use_is_one_sentence(capsys, served, ready):
    with socket.create_server(("127.0.0.1", ready)):
        sentence = complaint(capsys, "serve")
    assert sentence == f"Port {ready} is in use: stop what listens there, or choose another with --port or PORT."
    assert served == []


def test_a_port_taken_in_between_is_the_same_sentence(capsys, ready, monkeypatch):
    def serve(settings, agent):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(sys.modules["fastbridge.node.server"], "serve", serve)
    assert complaint(capsys, "serve").startswith(f"Port {ready} is in use")


def test_another_fault_of_the_server_is_not_hidden(ready, monkeypatch):
    def serve(settings, agent):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys.modules["fastbridge.node.server"], "serve", serve)
    monkeypatch.setattr(sys, "argv", ["fastbridge", "serve"])
    with pytest.raises(OSError, match="Input/output"):
        cli.main()


# serve --tunnel


@pytest.fixture
def tunnelled(ready, monkeypatch, tmp_path):
    """Settings enough to be found by the world, and a cloudflared that does as it should."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "x")
    monkeypatch.delenv("FASTBRIDGE_DEV")
    monkeypatch.delenv("FASTBRIDGE_HOST")
    monkeypatch.setenv("PUBLIC_URL", "https://old.example")
    stand_in(tmp_path, "cloudflared")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def opened(folder):
    return (folder / "target").exists()


def test_a_tunnels_address_is_the_public_one_of_this_run(capsys, served, tunnelled, ready):
    before = signal.getsignal(signal.SIGTERM)
    code, out, err = run(capsys, "serve", "--tunnel")
    ((settings, _),) = served
    assert (code, out, settings.public_url) == (0, "", CLOUDFLARED_URL)
    assert settings.host == "127.0.0.1", "nobody but the tunnel need reach the port"
    assert (tunnelled / "target").read_text() == f"http://127.0.0.1:{ready}"
    assert err.startswith(f"fastbridge: cloudflared leads {CLOUDFLARED_URL} here, until this run ends.")
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_says_where_to_listen_is_obeyed(capsys, served, tunnelled):
    assert run(capsys, "serve", "--tunnel", "--host", "0.0.0.0")[0] == 0
    assert served[0][0].host == "0.0.0.0"


def test_no_tunnel_to_a_node_that_checks_no_signatures(capsys, served, tunnelled, monkeypatch):
    monkeypatch.delenv("TWILIO_AUTH_TOKEN")
    monkeypatch.setenv("FASTBRIDGE_DEV", "1")
    assert complaint(capsys, "serve", "--tunnel") == (
        "--tunnel lets the whole world in: set TWILIO_AUTH_TOKEN first, without which anybody could open calls."
    )
    assert (served, opened(tunnelled)) == ([], False)


def test_what_else_is_wrong_is_told_before_a_tunnel_is_opened(capsys, served, tunnelled, monkeypatch, ready):
    with socket.create_server(("127.0.0.1", ready)):
        assert complaint(capsys, "serve", "--tunnel").startswith(f"Port {ready} is in use")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert complaint(capsys, "serve", "--tunnel").startswith("OPENAI_API_KEY is missing")
    assert (served, opened(tunnelled)) == ([], False)


def test_no_program_for_a_tunnel_is_one_sentence(capsys, served, tunnelled):
    (tunnelled / "cloudflared").unlink()
    assert complaint(capsys, "serve", "--tunnel").startswith("--tunnel needs cloudflared or ngrok: install one")


def test_an_agent_that_cannot_be_loaded_ends_the_tunnel(capsys, served, tunnelled, module):
    stand_in(tunnelled, "cloudflared", before="import os; open('pid', 'w').write(str(os.getpid()))")
    code, _, err = run(capsys, "serve", "nowhere:agent", "--tunnel")
    assert (code, err.splitlines()[-1][:30]) == (2, "fastbridge: There is no module")
    with pytest.raises(ProcessLookupError):
        os.kill(int((tunnelled / "pid").read_text()), 0)


# The other commands


@pytest.mark.parametrize("code", [0, 1])
def test_doctor_is_handed_its_options_and_exits_with_its_verdict(capsys, monkeypatch, module, code):
    given = []

    def main(load, **options):
        given.append((load(None) if options["fix"] else None, options))
        return code

    doctor = ModuleType("fastbridge.node.doctor")
    doctor.main = main
    monkeypatch.setitem(sys.modules, "fastbridge.node.doctor", doctor)
    module("my_agents", "from fastbridge.agent import Agent\nagent = Agent()\n")
    assert run(capsys, "doctor")[0] == code
    assert run(capsys, "doctor", "--json", "--fix", "--yes", "--agent", "my_agents:agent")[0] == code
    assert given[0] == (None, {"json": False, "fix": False, "yes": False})
    assert given[1] == (sys.modules["my_agents"].agent, {"json": True, "fix": True, "yes": True})


def test_load_agent_puts_the_working_directory_on_the_path_once(module, monkeypatch, tmp_path):
    module("my_agents", "from fastbridge.agent import Agent\na = Agent()\n")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    cli.load_agent("my_agents:a")
    cli.load_agent("my_agents:a")
    assert sys.path.count(str(tmp_path)) == 1
    with pytest.raises(ConfigError):
        cli.load_agent("my_agents:b")


# calls


def test_calls_lists_and_shows(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///calls.db")
    status, out, _ = run(capsys, "calls")
    assert (status, out) == (0, "No calls are recorded yet in sqlite:///calls.db.\n")
    assert complaint(capsys, "calls", "show", "CA12") == "There is no call 'CA12' in sqlite:///calls.db."
    status, out, _ = run(capsys, "calls", "--json", "--limit", "3", "--business", "456")
    assert (status, out) == (0, "[]\n")
    monkeypatch.setenv("DATABASE_URL", "none")
    assert complaint(capsys, "calls") == "Call records are not kept in a database: DATABASE_URL is none."
    assert list(tmp_path.iterdir()) == []
