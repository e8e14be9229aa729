"""What users write passes a strict type checker: their agents, and the code in our documents."""

import itertools
from pathlib import Path

import pytest

import documented

api = pytest.importorskip("mypy.api", reason="mypy is of the extra dev; `make check` installs it")

AGENT = """
from collections.abc import Mapping

from fastbridge import Agent, CallContext, Record, Turn

agent = Agent(greeting="Hello {name}.", variables={"name": "there"})


@agent.on_call
async def look_up(context: CallContext) -> Agent:
    return context.agent.changed(greeting="Hello David.", voice="cedar")


@agent.on_transcript
def heard(turn: Turn) -> None:
    print(turn.role, turn.text)


@agent.on_end
def over(record: Record) -> None:
    print(record["end_reason"].upper(), record["from"])


agent.for_business("456", greeting="Shop.", settings={"silence_seconds": 30})
"""
WRONG = 'agent.for_business("456", greting="Shop.")\nagent.changed(greeting=3)\n'


def complaints(tmp_path: Path, text: str) -> list[str]:
    program = tmp_path / "program.py"
    program.write_text(text)
    cache = Path(__file__).parents[2] / ".mypy_cache" / "users"
    out, err, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", str(cache), str(program)])
    assert not err
    return [line.partition(": ")[2] for line in out.splitlines() if "error:" in line]


def test_an_agent_with_all_its_hooks(tmp_path: Path) -> None:
    assert complaints(tmp_path, AGENT) == []


def test_a_name_or_value_that_is_none_is_seen_in_the_editor(tmp_path: Path) -> None:
    unknown, value = complaints(tmp_path, AGENT + WRONG)
    assert 'Unexpected keyword argument "greting"' in unknown
    assert '"greeting"' in value


PAGES = [
    (page, [block for block in found if not block.is_test])
    for page, found in itertools.groupby(documented.blocks("python"), key=lambda block: block.page)
    if page.name in ("README.md", "agents.md")
]


@pytest.mark.parametrize(("page", "blocks"), PAGES, ids=lambda each: getattr(each, "name", ""))
def test_the_agents_of_our_documents(page: Path, blocks: list[documented.Block], tmp_path: Path) -> None:
    assert complaints(tmp_path, documented.program(blocks)) == []
