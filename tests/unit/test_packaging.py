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
SIM = tomllib.loads((ROOT / "sim" / "pyproject.toml").read_text())
in_the_repository = pytest.mark.skipif(not (ROOT / "Dockerfile").exists(), reason="the sdist has no such file")
NOT_IN_THE_SDIST = {".ci", ".dockerignore", ".env.example", ".github", ".gitignore", "CONTRIBUTING.md", "Dockerfile"}
NOT_IN_THE_SDIST |= {"Makefile", "SECURITY.md", "bench", "docker-compose.prod.yml", "sim", "tools"}
"""Measuring and deploying need the repository; of sim/ there are the files that are no links."""
WORKSHOP = re.compile(r"fastbridge/(_(load|loadlive|loadmodel|measure|peer)\.|sim/(?!__init__\.py$))")
"""What is of fastbridge-sim. The rest is fastbridge's, which has no file that answers no call but sim/__init__.py and
fastbridge.testing."""
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
        if requirement.name == "fastbridge":
            found += wanted(*requirement.extras)
        elif requirement.name == "fastbridge-sim":
            found += [each for each in map(Requirement, SIM["project"]["dependencies"]) if each.name != "fastbridge"]
        else:
            found.append(requirement)
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
    assert free == ['-qq --find-links dist "$$(ls dist/fastbridge-*.whl)[test]"']


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


def installed(name: str) -> set[str]:
    """The files of a distribution, but for what its first run makes."""
    return {str(path) for path in metadata.files(name) or [] if "__pycache__" not in str(path)}


@pytest.mark.parametrize("name", ["fastbridge", "fastbridge-sim"])
def test_each_distribution_has_its_part_of_the_source_tree_and_no_more(name: str) -> None:
    source = {str(path.relative_to(PACKAGE.parent)) for path in PACKAGE.rglob("*") if path.is_file()}
    part = {each for each in source if bool(WORKSHOP.match(each)) == (name == "fastbridge-sim")}
    expected = {each for each in part if not NEVER_PACKED.search(each)}
    assert len(expected) > (50 if name == "fastbridge-sim" else 150)
    packed = {each for each in installed(name) if each.startswith("fastbridge/")}
    assert {each for each in packed if not NEVER_PACKED.search(each)} == expected
    assert not [each for each in packed if each.endswith(".c")]
    compiled = {each for each in packed if each.endswith(".so")}
    assert {bool(WORKSHOP.match(each)) for each in compiled} == {name == "fastbridge-sim"}


def test_the_two_distributions_are_of_one_version_and_go_with_no_other() -> None:
    version = PROJECT["project"]["version"]
    assert SIM["project"]["version"] == version
    assert f"fastbridge=={version}" in SIM["project"]["dependencies"]
    assert f"fastbridge-sim=={version}" in PROJECT["project"]["optional-dependencies"]["demo"]
    assert not installed("fastbridge") & installed("fastbridge-sim")


def test_they_are_built_in_the_same_way() -> None:
    ours, theirs = PROJECT["tool"]["cibuildwheel"], SIM["tool"]["cibuildwheel"]
    assert {name: ours[name] for name in theirs} == theirs
    assert PROJECT["build-system"] == SIM["build-system"]
    for name in ("requires-python", "license", "authors"):
        assert PROJECT["project"][name] == SIM["project"][name]


def test_where_both_need_something_they_need_the_same_version() -> None:
    ours = {each.name: each for each in map(Requirement, PROJECT["project"]["dependencies"])}
    theirs = {each.name: each for each in map(Requirement, SIM["project"]["dependencies"])}
    assert {name: theirs[name] for name in ours.keys() & theirs} == {name: ours[name] for name in ours.keys() & theirs}


def test_every_compiled_module_is_installed() -> None:
    names = installed("fastbridge") | installed("fastbridge-sim")
    compiled = {Path(name).name.partition(".")[0] for name in names if name.endswith(".so")}
    missing = {path.stem for path in PACKAGE.glob("*.pyx")} - compiled
    assert missing == (set() if sys.platform == "linux" else {"_load", "_loadlive", "_loadmodel", "_peer", "_reactor"})


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
