"""The product without the workshop: what `pip install fastbridge` brings is enough to answer calls, and who asks for
the simulators without them is told so in one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src" / "fastbridge"
SENTENCE = "The simulators (fastbridge.sim) are not installed: pip install 'fastbridge[demo]'."
WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
"""
WORKSHOP = ("_load", "_loadlive", "_loadmodel", "_measure", "_peer")
MISSING = ("matplotlib", "numpy", "twilio", "fastbridge.sim.scenario", *(f"fastbridge.{name}" for name in WORKSHOP))
NOT_OF_A_NODE = ("sim", "testing", *WORKSHOP)


def of_the_product() -> list[str]:
    """Every module that a node may import, compiled ones too."""
    if not sys.platform.startswith("linux"):
        pytest.skip("_reactor is Linux's")
    paths = [path.relative_to(PACKAGE).with_suffix("") for kind in ("*.py", "*.pyx") for path in PACKAGE.rglob(kind)]
    parts = [path.parts for path in paths if path.parts[0] not in NOT_OF_A_NODE and not path.stem.endswith("__")]
    return sorted(".".join(("fastbridge", *each)) for each in parts)


def python(code: str, *arguments: str, missing: tuple[str, ...] = MISSING) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT.format(missing=missing) + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_no_module_of_the_product_needs_what_the_workshop_needs() -> None:
    names = of_the_product()
    assert len(names) > 100
    done = python(
        "import importlib\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "loaded = {name for name, module in sys.modules.items() if module is not None}\n"
        "print(sorted(name for name in loaded if name.startswith(('fastbridge.sim', 'fastbridge.testing'))))",
        *names,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("command", [["demo"], ["load"], ["tune", "call.wav"]], ids=" ".join)
def test_a_command_of_the_workshop_is_one_sentence(command: list[str]) -> None:
    done = python("from fastbridge.cli import main; main()", *command)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"fastbridge: {SENTENCE}\n")


@pytest.mark.parametrize(
    "missing", [MISSING, ("numpy",), ("twilio",), ("fastbridge.sim.scenario",)], ids=["all", "numpy", "twilio", "sim"]
)
@pytest.mark.parametrize("name", ["fastbridge.sim", "fastbridge.sim.audio", "fastbridge.testing"])
def test_an_import_says_the_same_and_is_a_missing_module(name: str, missing: tuple[str, ...]) -> None:
    code = f"try: import {name}\nexcept ModuleNotFoundError as error: print(error)"
    done = python(code, missing=missing)
    assert (done.stdout, done.stderr) == (SENTENCE + "\n", "")


@pytest.mark.parametrize("fixture", ["fastbridge_call", "fastbridge_model", "fastbridge_node"])
def test_a_fixture_fails_with_one_sentence(fixture: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(WITHOUT.format(missing=MISSING))
    (tmp_path / "test_it.py").write_text(f"def test_it({fixture}): pass\n\ndef test_another(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"\n{SENTENCE}\n" in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_plugin.py" not in done.stdout
    assert "1 passed, 1 error" in done.stdout
