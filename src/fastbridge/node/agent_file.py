"""Finding the agent that a user names, and telling what is wrong with the user's code in the user's terms: file, line,
what, and what to do. Whatever stops its import becomes an AgentError; its trace shows the user's frames and not ours.
"""

import contextlib
import difflib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fastbridge.errors import AgentError, ConfigError, short_path

if TYPE_CHECKING:
    from fastbridge.agent.definition import Agent
    from fastbridge.config import Settings

HERE = str(Path(__file__).parents[1]) + os.sep
LIBRARIES = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python3[^\\/]*)[\\/]")
_IN_FILE = re.compile(r" \(\S+\.(?:py|so)\)$")
_CANNOT_IMPORT = re.compile(r"cannot import name '(\w+)'")


def choose_agent(spec: str | None, settings: "Settings") -> "Agent":
    """The agent that was named, here or by FASTBRIDGE_AGENT; else the built-in one. Raises as `load_agent` does."""
    from fastbridge.agent.default import default_agent

    wanted = spec or settings.agent_spec
    return load_agent(wanted) if wanted else default_agent(settings)


def load_agent(spec: str) -> "Agent":
    """The agent that `module:name` or `path/file.py:name` names; modules are looked for in the working directory too.

    Raises ConfigError if there is no such thing, AgentError where the user's code is at fault.
    """
    from fastbridge.agent.definition import Agent

    place, _, name = spec.rpartition(":")
    if not place or not name:
        raise ConfigError(f"{spec!r} names no agent: write module:agent, such as my_agent:agent.")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any
    with telling(place):
        module = found = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
        for part in name.split("."):
            found = getattr(found, part, None)
    if not isinstance(found, Agent):
        there = [each for each, value in vars(module).items() if isinstance(value, Agent)]
        raise ConfigError(f"{place} has no Agent called {name!r}: {_instead(name, there)}")
    return found


def _instead(name: str, there: list[str]) -> str:
    if nearest := difflib.get_close_matches(name, there, 1):
        return f"did you mean {nearest[0]!r}?"
    return f"it has {', '.join(there)}." if there else f"define one there, such as {name} = Agent(...)."


def _load_module(name: str) -> ModuleType:
    try:
        missing = importlib.util.find_spec(name) is None
    except ModuleNotFoundError as error:  # of a package before the last dot; what that imports is another matter
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        missing = True
    except (ValueError, ImportError):  # no name of a module's
        missing = True
    if not missing:
        return importlib.import_module(name)
    here = [path.stem for path in Path.cwd().glob("*.py")]
    nearest = difflib.get_close_matches(name, here, 1) if "." not in name else []
    instead = (
        f"did you mean {nearest[0]!r}?" if nearest else "give a module importable from here, or a path to a .py file."
    )
    raise ConfigError(f"There is no module {name!r}: {instead}")


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"There is no file {str(path)!r}: give the path of your agent's .py file.")
    sys.path.insert(0, str(path.resolve().parent))  # for what it imports from beside it
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    assert spec is not None  # a .py file always has a spec and a loader
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Registered first, as the import system does: dataclasses and type hints look their module up while it runs.
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def telling(place: str) -> Iterator[None]:
    """Whatever the user's code raises within is an AgentError; a ConfigError without the user's frames stays one."""
    try:
        yield
    except (Exception, SystemExit) as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_ours(frame.filename)]
        if isinstance(error, ConfigError) and not frames:
            raise
        raise _agent_error(error, frames, place) from None


def _agent_error(error: BaseException, frames: list[traceback.FrameSummary], place: str) -> AgentError:
    if isinstance(error, SyntaxError):
        at = f"{short_path(error.filename)}, line {error.lineno}" if error.filename else place
        trace = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)[:-1]])
        return AgentError(f"{at}: {type(error).__name__}: {error.msg.rstrip('.?')}.", trace)
    own = [frame for frame in frames if not LIBRARIES.search(frame.filename)] or frames
    at = f"{short_path(own[-1].filename)}, line {own[-1].lineno}" if own else place
    if isinstance(error, ConfigError):
        return AgentError(f"{at}: {error}")
    trace = "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)])
    return AgentError(f"{at}: {_said(error)}", f"Traceback (most recent call last):\n{trace}")


def _said(error: BaseException) -> str:
    """What was wrong, in a sentence."""
    if isinstance(error, SystemExit):
        return "it ends the program while it is imported: put what is to run by itself under if __name__ == '__main__'."
    words = _IN_FILE.sub("", " ".join(str(error).split()))
    if hasattr(error, "errors") and callable(error.errors):  # pydantic's, whose text is a report of many lines
        found = error.errors()
        words = "; ".join(f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in found)
    text = f"importing it raised {type(error).__name__}: {words}".removesuffix(": ").rstrip(".") + "."
    if isinstance(error, ModuleNotFoundError):
        return f"{text[:-1]}: install it beside fastbridge, or correct the name."
    return text[:-1] + _missing_name(error)


def _missing_name(error: BaseException) -> str:
    wanted = _CANNOT_IMPORT.search(str(error)) if isinstance(error, ImportError) else None
    known = dir(sys.modules.get(getattr(error, "name", None) or "", None)) if wanted is not None else []
    nearest = difflib.get_close_matches(wanted[1], known, 1) if wanted is not None else []
    return f": did you mean {nearest[0]!r}?" if nearest else "."


def _is_ours(filename: str) -> bool:
    return filename.startswith((HERE, "<")) or f"{os.sep}importlib{os.sep}" in filename
