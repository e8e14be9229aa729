"""Mistakes in an agent's own module, each told by its file and line; and never a frame of ours."""

import sys
from pathlib import Path

import pytest

from fastbridge.errors import AgentError, ConfigError
from fastbridge.node.agent_file import load_agent

IMPORT = "from fastbridge import Agent, CallContext\n"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return tmp_path


def told(text: str, spec: str = "my_agent:agent") -> AgentError:
    Path("my_agent.py").write_text(text)
    sys.modules.pop("my_agent", None)
    with pytest.raises(AgentError) as caught:
        load_agent(spec)
    return caught.value


BROKEN = {
    "an argument that is none": (
        IMPORT + "agent = Agent(\n    instruction='x',\n)\n",
        "my_agent.py, line 2: an Agent takes no 'instruction': did you mean 'instructions'? It takes instructions,",
    ),
    "an option that is none": (
        IMPORT + "agent = Agent()\n@agent.tool(timeout=3)\ndef look_up(): ...\n",
        "my_agent.py, line 3: @agent.tool takes no 'timeout': did you mean 'timeout_seconds'?",
    ),
    "no greeting": (
        IMPORT + "agent = Agent(greeting=None)\n",
        "my_agent.py, line 2: an Agent: greeting must be a text, empty for none, not None.",
    ),
    "a hook": (
        IMPORT + "agent = Agent()\n@agent.on_end\ndef over(): ...\n",
        "my_agent.py, line 3: on_end is a function of (record), and, if it likes, (…, context: CallContext); over",
    ),
    "a tool's parameter": (
        IMPORT + "agent = Agent()\n@agent.tool\ndef look_up(x): ...\n",
        "my_agent.py, line 3: Tool 'look_up': give parameter 'x' a type, such as str or int.",
    ),
    "a bug": ("x = 1\nprint({}['key'])\n", "my_agent.py, line 2: importing it raised KeyError: 'key'."),
    "a value": ("int('three')\n", "my_agent.py, line 1: importing it raised ValueError: invalid literal for int()"),
    "a type": ("len(3)\n", "my_agent.py, line 1: importing it raised TypeError: object of type 'int' has no len()."),
    "nothing to say": ("raise RuntimeError\n", "my_agent.py, line 1: importing it raised RuntimeError."),
    "a model of pydantic's": (
        "from pydantic import BaseModel\nclass Order(BaseModel):\n    number: int\n\nOrder(number='x')\n",
        "my_agent.py, line 5: importing it raised ValidationError: number: Input should be a valid integer",
    ),
    "what it imports is not there": (
        "import not_installed_anywhere\n",
        "my_agent.py, line 1: importing it raised ModuleNotFoundError: No module named 'not_installed_any",
    ),
    "a name that we do not have": (
        "from fastbridge import Agnet\n",
        "my_agent.py, line 1: importing it raised ImportError: cannot import name 'Agnet' from 'fastbridge'",
    ),
    "it ends the program": ("import sys\nsys.exit(3)\n", "my_agent.py, line 2: it ends the program while"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("spec", ["my_agent:agent", "my_agent.py:agent"])
def test_what_is_wrong_is_told_by_file_and_line(kind: str, spec: str) -> None:
    text, sentence = BROKEN[kind]
    error = told(text, spec)
    assert str(error).startswith(sentence)
    assert "\n" not in str(error)
    assert "src/fastbridge" not in error.trace
    assert "fastbridge/agent" not in error.trace
    assert "importlib" not in error.trace


def test_a_name_of_ours_that_is_misspelt() -> None:
    assert str(told("from fastbridge import Agnet\n")).endswith("did you mean 'Agent'?")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("agent = Agent(\n", "my_agent.py, line 1: SyntaxError: '(' was never closed."),
        ("def f():\nreturn\n", "my_agent.py, line 2: IndentationError: expected an indented block after function"),
    ],
)
def test_a_syntax_error_is_shown_where_it_is_and_no_more(text: str, sentence: str) -> None:
    error = told(text)
    assert str(error).startswith(sentence)
    assert text.splitlines()[0 if "(" in sentence else 1].strip() in error.trace
    assert "^" in error.trace
    assert len(error.trace.splitlines()) == 3


def test_a_file_that_is_no_text() -> None:
    Path("my_agent.py").write_bytes(b"x = '\xff'\n")
    with pytest.raises(AgentError, match=r"^my_agent\.py.*: SyntaxError: "):
        load_agent("my_agent:agent")


def test_a_mistake_in_a_module_beside_it_is_that_modules(folder: Path) -> None:
    (folder / "helper.py").write_text("def work():\n    return 1 / 0\n")
    error = told("from helper import work\nwork()\n")
    assert str(error) == "helper.py, line 2: importing it raised ZeroDivisionError: division by zero."
    assert [line.split('"')[1].rpartition("/")[2] for line in error.trace.splitlines() if "File" in line] == [
        "my_agent.py",
        "helper.py",
    ]


def test_a_mistake_told_by_a_library_is_at_the_users_line() -> None:
    error = told("import json\njson.loads('{')\n")
    assert str(error).startswith("my_agent.py, line 2: importing it raised JSONDecodeError: ")
    assert "decoder.py" in error.trace


def test_a_file_from_elsewhere_is_named_in_full(tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other") / "desk.py"
    other.write_text("1 / 0\n")
    with pytest.raises(AgentError, match=f"^{other}, line 1: importing it raised ZeroDivisionError"):
        load_agent(f"{other}:agent")


def sentence(spec: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_agent(spec)
    assert not isinstance(caught.value, AgentError)
    return str(caught.value)


def test_a_name_that_is_nearly_right(folder: Path) -> None:
    (folder / "my_desk.py").write_text(IMPORT + "agent, night = Agent(), Agent()\nnumber = 3\n")
    assert sentence("my_dsk:agent") == "There is no module 'my_dsk': did you mean 'my_desk'?"
    assert sentence("my_desk:agnt") == "my_desk has no Agent called 'agnt': did you mean 'agent'?"
    assert sentence("my_desk:number") == "my_desk has no Agent called 'number': it has agent, night."
