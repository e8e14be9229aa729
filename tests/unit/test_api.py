"""What is public: the package's names, the page that lists them, and what a package index shows."""

import importlib.metadata
import pydoc
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import fastbridge

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "make_api.py"
PAGES = {"api.md": TOOL, "call.md": ROOT / "tools" / "make_call_page.py"}


@pytest.mark.skipif(not TOOL.exists(), reason="the tool is in the repository")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_what_the_code_makes_of_it(name: str) -> None:
    page = runpy.run_path(str(PAGES[name]))["page"]()
    assert (ROOT / "docs" / name).read_text() == page, f"run: python tools/{PAGES[name].name}"


@pytest.mark.skipif(not TOOL.exists(), reason="the tool is in the repository")
def test_the_page_names_all_that_the_package_does() -> None:
    page = runpy.run_path(str(TOOL))["page"]()
    assert all(f"| `{name}` |" in page for name in fastbridge.__all__)


def test_the_version_is_the_installed_ones() -> None:
    assert fastbridge.__version__ == importlib.metadata.version("fastbridge")


def test_every_public_name_is_there_and_dir_shows_no_other() -> None:
    assert all(getattr(fastbridge, name).__name__ == name for name in fastbridge.__all__)
    assert dir(fastbridge) == sorted([*fastbridge.__all__, "__version__"])
    with pytest.raises(AttributeError, match="Agnet"):
        _ = fastbridge.Agnet


def test_looking_at_the_package_loads_nothing() -> None:
    code = "import sys, fastbridge; dir(fastbridge); print('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_help_begins_with_what_a_user_writes() -> None:
    text = pydoc.render_doc(fastbridge, renderer=pydoc.plaintext)
    places = [text.index(words) for words in ("Agent  ", "CallContext  ", "PACKAGE CONTENTS")]
    assert places == sorted(places)


def test_a_package_index_gets_no_link_that_leads_nowhere() -> None:
    metadata = importlib.metadata.metadata("fastbridge")
    description = metadata.get_payload()
    assert "Put a speech AI on your phone line" in description
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert len(links) > 5
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    urls = dict(each.split(", ") for each in metadata.get_all("Project-URL"))
    assert {"Repository", "Documentation", "Changelog"} <= urls.keys()
    assert all(url.startswith(urls["Repository"]) for url in urls.values())
