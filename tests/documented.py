"""The code in our documents: every fenced block of the README and of docs/, with its page and line."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
PROXY = "tests/e2e/test_reverse_proxies.py runs it with the real program"
SHOWN = {
    "": "a diagram, or lines of a log",
    "mermaid": "a drawing",
    "nginx": PROXY,
    "haproxy": PROXY,
    "caddyfile": PROXY,
}
"""Blocks that are nothing to run, by their language."""
CODE = {"python", "sh", "json"}
NOT_RUN = {
    "git clone": "there is no address yet",
    "make": "this is what is running, or takes minutes; the verb must exist",
    "python3 -m venv": "`make wheel` makes one, and installs the wheel there",
    "pip install": "`make wheel` does it",
    "sudo": "changes the machine; the files that it names must exist",
    "journalctl": "needs systemd",
    "git tag": "is for who releases",
    "git push": "is for who releases",
    "fastbridge serve": "runs until it is stopped; tests/e2e calls it",
    "fastbridge worker": "runs until it is stopped; tests/unit/test_jobs_worker.py calls it",
    "fastbridge call": "calls a telephone; tests/e2e calls a simulated one",
    "fastbridge campaign": "calls many telephones; tests/e2e calls simulated ones",
    "curl": "calls a telephone; tests/unit/test_outbound_api.py asks the same",
    "export": "is for your shell",
    "fastbridge doctor": "asks OpenAI and Twilio with keys of your own",
    "fastbridge load": "keeps a core busy for a minute; tests/e2e loads a few calls",
    "uvicorn": "runs until it is stopped; tests/e2e calls it",
    "docker compose": "needs Docker; the file must exist",
    "echo COMPOSE_FILE": "that is docker compose's own variable, in your .env",
}
"""Commands that no test runs, by their beginning, and why. That there is such a command, and such an option, is looked
at all the same."""


@dataclass(frozen=True)
class Block:
    """language: empty where the page says none. line: of the first line of `text`, from 1."""

    page: Path
    language: str
    text: str
    line: int

    @property
    def is_test(self) -> bool:
        return re.search(r"^(async )?def test_", self.text, re.MULTILINE) is not None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def blocks(*languages: str) -> list[Block]:
    """Of these languages; of all, where none is named."""
    found = [block for page in pages() for block in _blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]


def _blocks_of(page: Path) -> Iterator[Block]:
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.map is not None:
            yield Block(page, token.info.strip(), textwrap.dedent(token.content), token.map[0] + 2)


def commands(block: Block) -> list[list[str]]:
    """Of a shell block, one by one, in words, without comments and without the variables that are set for them."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        for command in line.split("&&"):
            words = list(dropwhile(ASSIGNMENT.match, shlex.split(command, comments=True)))
            found += [words] if words else []
    return found


def inline_commands() -> list[tuple[Path, str]]:
    """`fastbridge …` within a sentence."""
    found = []
    for page in pages():
        for token in MarkdownIt().parse(page.read_text()):
            spans = [child for child in token.children or [] if child.type == "code_inline"]
            found += [(page, span.content) for span in spans if re.match(r"fastbridge [a-z]", span.content)]
    return found


def program(block_list: list[Block]) -> str:
    """The blocks of one page as one program, each on the lines that it has on the page."""
    text = ""
    for block in block_list:
        text += "\n" * (block.line - 1 - text.count("\n")) + block.text
    return text
