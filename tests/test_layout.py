"""The house rules that no other tool checks: who may import whom, what has a test, how long a file may be."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PACKAGE = ROOT / "src" / "fastbridge"
MAX_LINES = {".pyx": 700, ".py": 400}
"""Compiled modules spell out what Python leaves to its library."""
LISTS = {"assembly.py": 480, "config.py": 540, "events.py": 580, "faults.py": 460, "mask.py": 430, "model.py": 450}
"""Parts made, settings, log lines, faults, one after the other; one way of reading numbers; one simulated model."""
MAX_TEST_LINES = 610

WHOLE = ("sim/", "testing/")
"""Rooms that docs/architecture.md names as a whole."""
SPEAKERS = ("model.realtime.", "model.live.", "carrier.twilio.", "sim.", "testing.")
REALTIME_WORDS = re.compile(
    r"\b(response|conversation|input_audio_buffer)\.[a-z_]+|\bsession\.(created|update|start|input_|output_)"
    r"|\bsession\.(commentary|thinking|instructions|delegation|usage)\.|audio_end_ms|tool_choice"
)
TWILIO_WORDS = re.compile(
    r"(stream|call|account)Sid|(Call|Account)Sid|customParameters|mediaFormat|<(Dial|Response|Stream)"
)
LOG_WORDS = (
    "Step 2: Sending response.cancel for ",
    "response.cancel sent for ",
    "http.response.start",
    "http.response.body",
)
"""Lines that operators know, and what ASGI calls its own."""

LAYERS = """
__main__ pytest_plugin asgi cli workshop testing sim logging
node jobs outbound recordings store
call
carrier model
net agent
observe config
masking base errors
"""
"""The rooms, and the modules at the top. One imports what is below it, and what is to its right."""
RANK = {room: rank for rank, room in enumerate(LAYERS.split())}
NETWORK_PACKAGES = {"websockets", "uvicorn"}
NETWORK_MODULES = {
    *("asgi", "testing.model", "node.node", "node.server", "node.worker"),
    *("net.fragments", "net.http_socket", "model.socket", "carrier.twilio.media_socket"),
}
SIM_USERS = {"pytest_plugin", "workshop"}
SIM_MAY_IMPORT = {"_bargein", "_load", "_measure", "_mulaw", "errors"}
SOURCE_SUFFIXES = {".py", ".pyx", ".pxd", ".pyi"}
FORBIDDEN = re.compile("TO" + "DO|FIX" + "ME")
UNTESTED = {"__init__", "__main__", "assembly", "happenings", "instructions", "parts", "port"}
"""Beside these two, what only says what there is, or puts it together: mypy holds others to it."""
C_ALONE = {"_prefetch"}
WITHOUT_ORACLE = {"_load", "_loadlive", "_loadmodel", "_reactor", "_ticker", "_wire"}
"""All they do is on sockets or with the loop, and so are their tests. What the load generator computes is in
_measure and _peer."""


@functools.cache
def sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def name_of(path: Path) -> str:
    """sim/audio.py is sim.audio."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@functools.cache
def imported(path: Path) -> frozenset[str]:
    return frozenset(imports(path))


def imports(path: Path) -> Iterator[str]:
    """Every module that the file imports, at its top, within a function or for types alone, by its full name."""
    if path.suffix in (".py", ".pyi"):
        yield from python_imports(path)
    else:
        for line in path.read_text().splitlines():
            found = re.match(r"\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", line)
            if found:
                yield found[1] or found[2]


def python_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module_of(node, path)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def module_of(node: ast.ImportFrom, path: Path) -> str:
    """The full name behind `from ... import`, relative or not."""
    if not node.level:
        return node.module or ""
    package = ["fastbridge", *path.relative_to(PACKAGE).parts[:-1]]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


@functools.cache
def own_imports(path: Path) -> set[str]:
    """Modules of ours that it imports, without the package's name."""
    known = {name_of(source) for source in sources(".py", ".pyx")}
    own = (name.removeprefix("fastbridge.") for name in imported(path) if name.startswith("fastbridge."))
    return {name for name in own if name in known} - {name_of(path)}


def room_of(name: str) -> str:
    """Of a module at the top: itself."""
    return name.partition(".")[0]


def code_files() -> list[Path]:
    return [*sources(*SOURCE_SUFFIXES), *sorted(TESTS.rglob("*.py"))]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_source = pytest.mark.parametrize("path", sources(*SOURCE_SUFFIXES), ids=relative)
every_file = pytest.mark.parametrize("path", code_files(), ids=relative)


every_python = pytest.mark.parametrize("path", sources(".py"), ids=relative)


def strings(path: Path) -> Iterator[str]:
    """Texts that the code has, docstrings aside."""
    tree = ast.parse(path.read_text())
    said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in said and isinstance(node.value, str | bytes):
            yield node.value if isinstance(node.value, str) else node.value.decode("latin-1")


def test_there_is_something_to_check():
    assert len(sources(".pyx")) == 22
    assert "_caller" in {name_of(path) for path in sources(".pyx")}


@every_source
def test_every_module_has_its_place(path):
    room = room_of(name_of(path))
    assert room in RANK or room == "__init__" or room.startswith("_"), f"{room} is missing in LAYERS"


@every_source
def test_imports_point_down(path):
    room = room_of(name_of(path))
    others = {room_of(other) for other in own_imports(path)} - {room}
    assert [other for other in others if RANK.get(other, len(RANK)) < RANK.get(room, -1)] == []


def circles(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is left where nothing more can be taken away that imports nobody who is left."""
    left = dict(imports)
    while ready := [name for name, others in left.items() if not others & left.keys()]:
        for name in ready:
            del left[name]
    return left


def test_no_file_imports_one_that_imports_it():
    assert circles({name_of(path): own_imports(path) for path in sources(".py", ".pyx")}) == {}


def test_nor_in_the_bench():
    files = {path.stem: path for path in [*(ROOT / "bench").glob("*.py"), *(ROOT / "bench" / "baseline").glob("*.py")]}
    assert circles({name: set(python_imports(path)) & files.keys() - {name} for name, path in files.items()}) == {}


@every_python
def test_a_peers_words_are_in_its_own_room(path):
    """Outside their rooms nobody names an event of the model's dialects, or a field of Twilio's."""
    name = name_of(path)
    if name.startswith(SPEAKERS):
        return
    words = [text for text in strings(path) if REALTIME_WORDS.search(text) or TWILIO_WORDS.search(text)]
    assert [text for text in words if text not in LOG_WORDS] == []


@every_python
def test_the_architecture_says_what_a_file_owns(path):
    name = str(path.relative_to(PACKAGE))
    if path.stem not in UNTESTED - {"assembly", "happenings", "instructions", "parts", "port"} and not name.startswith(
        WHOLE
    ):
        assert f"| `{name}` |" in (ROOT / "docs" / "architecture.md").read_text()


@every_source
def test_only_the_socket_modules_know_the_network_libraries(path):
    name = name_of(path)
    if name in NETWORK_MODULES or name.startswith("sim."):
        return
    assert {module.partition(".")[0] for module in imported(path)} & NETWORK_PACKAGES == set()


@every_source
def test_sim_is_imported_by_cli_and_what_tests_alone(path):
    name = name_of(path)
    uses_sim = any(other.partition(".")[0] == "sim" for other in own_imports(path))
    assert not uses_sim or name in SIM_USERS or name.startswith(("sim.", "testing."))


@every_source
def test_testing_is_imported_by_the_plugin_and_itself_alone(path):
    name = name_of(path)
    uses = any(other.partition(".")[0] == "testing" for other in own_imports(path))
    assert not uses or name == "pytest_plugin" or name.startswith("testing.")


@every_source
def test_sim_needs_little_of_us(path):
    name = name_of(path)
    if name.startswith("sim."):
        of_the_bridge = {other for other in own_imports(path) if other.partition(".")[0] != "sim"}
        assert of_the_bridge <= SIM_MAY_IMPORT


@pytest.mark.parametrize("path", sources(".pyx", ".pxd"), ids=relative)
def test_no_compiled_module_imports_a_python_module_of_ours(path):
    assert {name for name in own_imports(path) if not name.startswith("_")} == set()


@pytest.mark.parametrize("path", sources(".pyx"), ids=relative)
def test_a_compiled_module_is_three_files_and_has_an_oracle(path):
    assert path.with_suffix(".pxd").is_file()
    assert path.with_suffix(".pyi").is_file()
    if path.stem not in WITHOUT_ORACLE:
        assert (TESTS / "oracle" / f"{path.stem.removeprefix('_')}.py").is_file()


@pytest.mark.parametrize("path", sources(".pxd"), ids=relative)
def test_no_header_without_its_module(path):
    assert path.with_suffix(".pyx").is_file() or path.stem in C_ALONE


@pytest.mark.parametrize("path", sources(".py", ".pyx"), ids=relative)
def test_every_module_has_a_test_file_of_its_name(path):
    if path.stem in UNTESTED:
        return
    name = name_of(path).replace(".", "_").removeprefix("_")
    assert (TESTS / "unit" / f"test_{name}.py").is_file()


@every_file
def test_no_file_is_too_long(path):
    limit = MAX_TEST_LINES if path.is_relative_to(TESTS) else LISTS.get(path.name, MAX_LINES.get(path.suffix, 450))
    assert len(path.read_text().splitlines()) <= limit


@every_file
def test_no_word_stands_for_work_not_done(path):
    assert FORBIDDEN.search(path.read_text()) is None
