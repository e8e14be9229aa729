"""What is built, installed and released: the locked versions, the archives' contents, and who may run what in CI."""

import os
import re
import runpy
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "fastbridge"
LOCKS = ROOT / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
in_the_repository = pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="the sdist has no such file")
NOT_IN_THE_SDIST = {".ci", ".dockerignore", ".env.example", ".github", ".gitignore", "CONTRIBUTING.md", "Dockerfile"}
NOT_IN_THE_SDIST |= {"Makefile", "SECURITY.md", "bench", "docker-compose.prod.yml", "tools"}
"""Measuring and deploying need the repository."""
NEVER_PACKED = re.compile(r"\.(c|so|py[cod])$|__pycache__|\.DS_Store")


def locked(name: str) -> dict[str, set[str]]:
    """Versions by distribution, of those that this Python on this machine would install."""
    found: dict[str, set[str]] = {}
    for line in re.findall(r"^[a-z0-9].*?(?= \\$)", (LOCKS / f"{name}.txt").read_text(), re.MULTILINE | re.IGNORECASE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            (pin,) = requirement.specifier
            found.setdefault(canonicalize_name(requirement.name), set()).add(pin.version)
    return found


def wanted(*extras: str) -> list[Requirement]:
    """Of pyproject.toml, with these extras, and with those that they bring."""
    project, found = PROJECT["project"], []
    for text in [
        *project["dependencies"],
        *(text for name in extras for text in project["optional-dependencies"][name]),
    ]:
        requirement = Requirement(text)
        found += wanted(*requirement.extras) if requirement.name == "fastbridge" else [requirement]
    return found


REQUIREMENTS = {
    "build": [Requirement(text) for text in PROJECT["build-system"]["requires"]],
    "run": wanted(),
    "dev": wanted(*PROJECT["project"]["optional-dependencies"]),
    "release": [Requirement(text) for text in PROJECT["dependency-groups"]["release"]],
}


def test_every_file_of_the_lock_is_looked_at() -> None:
    assert {path.stem for path in LOCKS.glob("*.txt")} == REQUIREMENTS.keys()
    assert all(len(locked(name)) >= len({each.name for each in found}) for name, found in REQUIREMENTS.items())


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_the_lock_has_what_pyproject_wants(name: str) -> None:
    pins = locked(name)
    for requirement in REQUIREMENTS[name]:
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert len(versions) == 1, f"{requirement}: run `make lock`"
        assert requirement.specifier.contains(next(iter(versions))), f"{requirement}: run `make lock`"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_version_of_the_lock_has_its_hashes(name: str) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", (LOCKS / f"{name}.txt").read_text(), flags=re.MULTILINE))
    assert len(entries) >= 2
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("name", ["build", "run"])
def test_what_is_tested_is_what_the_image_has(name: str) -> None:
    assert locked(name).items() <= locked("dev").items()


@in_the_repository
def test_the_image_takes_nothing_that_has_no_hash() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip (?:install|wheel) (.*?)(?: &&|\n)", text)
    assert len(installs) == 4
    for each in installs:
        from_the_lock = "--require-hashes -r requirements/" in each
        assert from_the_lock or "--no-deps" in each, each
        assert "pip wheel" not in each or "--no-build-isolation" in each
    assert "--no-build-isolation" in text
    assert [name for name in REQUIREMENTS if f"-r requirements/{name}.txt" in text] == ["build", "run"]


@in_the_repository
def test_the_makefile_takes_nothing_that_has_no_hash_but_in_the_wheels_own_test() -> None:
    installs = re.findall(r"pip install (.*)", (ROOT / "Makefile").read_text())
    assert len(installs) == 3
    free = [each for each in installs if "--require-hashes" not in each and "--no-deps" not in each]
    assert free == ['-qq "$$(ls dist/*.whl)[test]"']


# --- CI ---


def steps() -> Iterator[tuple[str, str]]:
    """(file and line, line) of each line in a workflow."""
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield f"{path.name}:{number}", line


@in_the_repository
def test_actions_are_pinned_by_commit_and_say_their_version() -> None:
    uses = [(where, line.partition("uses:")[2].strip()) for where, line in steps() if re.match(r"\s*(- )?uses:", line)]
    assert len(uses) > 10
    assert [each for each in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each[1])] == []
    by_action: dict[str, set[str]] = {}
    for _, use in uses:
        by_action.setdefault(use.partition("@")[0], set()).add(use)
    assert [found for found in by_action.values() if len(found) > 1] == []


@in_the_repository
def test_a_workflow_runs_the_verbs_and_installs_from_the_lock() -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = [(where, verb) for where, line in steps() for verb in re.findall(r"run: make (\S+)", line)]
    assert {verb for _, verb in verbs} >= {"check", "test", "debug", "demo", "image", "audit", "workflows", "release"}
    assert [each for each in verbs if f"\n{each[1]}:" not in makefile] == []
    installs = [(where, line) for where, line in steps() if re.search(r"pip install|pipx", line)]
    assert [each for each in installs if "--require-hashes" not in each[1]] == []


def tagged(
    tag: str = "v1.2.3", address: str = "https://host/us/fastbridge", heading: str = "1.2.3, 2026-11-28"
) -> list[str]:
    """What .ci/release_check.py says of a project whose version is 1.2.3."""
    root = Path(tempfile.mkdtemp())
    (root / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n## 1.2.2\n")
    (root / "pyproject.toml").write_text(
        '[project]\nversion = "1.2.3"\n[project.urls]\nRepository = "https://host/us/fastbridge"\n'
        'Changelog = "https://host/us/fastbridge/CHANGELOG.md"\n'
    )
    found: list[str] = runpy.run_path(str(ROOT / ".ci" / "release_check.py"))["objections"](tag, address, root)
    return found


@in_the_repository
def test_a_tag_is_published_only_with_its_version_its_changelog_and_our_address() -> None:
    assert tagged() == []
    assert tagged(tag="v1.2.4") == ["The tag v1.2.4 is not the version of pyproject.toml, 1.2.3."]
    (unreleased,) = tagged(heading="Unreleased")
    (undated,) = tagged(heading="1.2.3")
    (older,) = tagged(heading="1.2.2, 2026-11-28")
    assert unreleased == undated == older == "The first section of CHANGELOG.md must be '## 1.2.3, ' and the day."
    for elsewhere in ("https://host/us/fast", "https://host/them/fastbridge"):
        (strange,) = tagged(address=elsewhere)
        assert (
            strange == f"[project.urls] in pyproject.toml leads to https://host/us/fastbridge, and this is {elsewhere}."
        )


@in_the_repository
def test_the_repositorys_address_stands_in_one_place() -> None:
    address = PROJECT["project"]["urls"]["Repository"]
    files = [
        path for folder in ("src", "docs", "tests", ".github", "deploy", ".ci") for path in (ROOT / folder).rglob("*")
    ]
    texts = [path for path in [*files, *ROOT.glob("*.*")] if path.suffix in {".py", ".md", ".toml", ".yml", ".service"}]
    assert len(texts) > 300
    assert [path.name for path in texts if address in path.read_text()] == ["pyproject.toml"]


# --- the archives ---


def test_the_installed_package_has_all_of_the_source_tree_that_a_user_needs() -> None:
    installed = {str(path) for path in metadata.files("fastbridge") or []}
    source = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.is_file()}
    expected = {name for name in source if not NEVER_PACKED.search(name)}
    assert len(expected) > 150
    assert expected - installed == set()
    ours = {name for name in installed if name.startswith("fastbridge/") and not NEVER_PACKED.search(name)}
    assert ours - expected == set()
    assert not [name for name in installed if name.endswith(".c")]


def test_every_compiled_module_is_installed() -> None:
    compiled = {
        path.name.partition(".")[0]
        for path in map(Path, map(str, metadata.files("fastbridge") or []))
        if path.suffix == ".so"
    }
    missing = {path.stem for path in PACKAGE.glob("*.pyx")} - compiled
    assert missing == (set() if sys.platform == "linux" else {"_load", "_loadmodel", "_peer", "_reactor"})


def test_a_command_and_a_plugin_come_with_it() -> None:
    points = metadata.distribution("fastbridge").entry_points
    assert {(each.group, each.name) for each in points} == {
        ("console_scripts", "fastbridge"),
        ("pytest11", "fastbridge"),
    }
    assert all(callable(each.load()) or each.group == "pytest11" for each in points)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="git says what belongs to the repository")
def test_the_sdist_has_what_builds_and_tests_it_and_nothing_made(tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"FASTBRIDGE_DEBUG": "0"}, capture_output=True, check=True)
    packed = set((tmp_path / "fastbridge.egg-info" / "SOURCES.txt").read_text().splitlines())
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = {name for name in listed if (ROOT / name).exists()}
    assert {name.partition("/")[0] for name in ours - packed} == NOT_IN_THE_SDIST
    assert [name for name in packed - ours if ".egg-info/" not in name] == []


@in_the_repository
def test_windows_is_told_in_one_sentence() -> None:
    code = "import sys; sys.platform = 'win32'; import runpy; runpy.run_path('setup.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"fastbridge runs on Linux and macOS\. On Windows install it in WSL: [^.]+\.\n", done.stderr)


WITHOUT_NUMPY = "import sys; sys.modules['numpy'] = sys.modules['twilio'] = None\n"
"""As where it is not installed."""


def said_without_numpy(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_NUMPY + code], capture_output=True, text=True, check=False)


def test_no_module_of_the_product_needs_numpy():
    rooms = ("sim", "testing")
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in rooms and path.stem != "__main__"
    ]
    assert len(names) > 100
    done = said_without_numpy(f"import importlib\nfor name in {names}: importlib.import_module(name)")
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["fastbridge.sim", "fastbridge.sim.audio", "fastbridge.testing"])
def test_what_needs_it_says_how_to_have_it(name):
    done = said_without_numpy(f"import {name}")
    last = "fastbridge.errors.MissingExtra: The simulators need more than a node does: pip install 'fastbridge[demo]'."
    assert done.stderr.rstrip().rpartition("\n")[2] == last


@pytest.mark.parametrize("command", [["demo"], ["load"], ["tune", "x.wav"]], ids=" ".join)
def test_so_does_a_command_in_one_sentence(command):
    code = f"from fastbridge.cli import main; sys.argv = ['fastbridge', *{command}]; main()"
    done = said_without_numpy(code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fastbridge: The simulators need more than a node does: pip install 'fastbridge[demo]'.\n"
