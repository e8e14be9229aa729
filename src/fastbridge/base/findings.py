"""What an examination has found: one Finding a check, as a table for people and as JSON for programs.

Nothing here examines anything. A finding's texts hold no secret: whoever makes one sees to that.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["well", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. todo: what to do; empty when all is well, and where the detail says it. fault: its lasting
    name, for programs. warns: calls are answered all the same, so that it is a warning and no fault."""

    check: str
    detail: str
    todo: str = ""
    fault: str = ""
    warns: bool = False

    @property
    def level(self) -> Level:
        if not self.todo and not self.fault:
            return "well"
        return "warning" if self.warns else "fault"

    @property
    def ok(self) -> bool:
        """Whether there is no fault; a warning is none."""
        return self.level != "fault"

    @property
    def name(self) -> str:
        """The check's, for programs."""
        return self.check.lower().replace(" ", "_")


def not_tried(check: str, because: str) -> Finding:
    """because: the check whose fault comes first."""
    return Finding(check, "not tried", f"See {because}.", "not_tried")


def as_json(findings: Iterable[Finding]) -> str:
    """`{"ok": …, "findings": [{"check", "level", "ok", "fault", "found", "to_do"}, …]}`; fault is null where
    all is well, to_do where there is nothing more to say than found."""
    found = list(findings)
    document = {"ok": all(each.ok for each in found), "findings": [_document(each) for each in found]}
    return json.dumps(document, indent=2)


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.name,
        "level": finding.level,
        "ok": finding.ok,
        "fault": None if finding.level == "well" else finding.fault or "other",
        "found": finding.detail,
        "to_do": finding.todo or None,
    }


_MARKS: dict[Level, tuple[str, str]] = {
    "well": ("✓", "green"),
    "warning": ("!", "bold yellow"),
    "fault": ("✗", "bold red"),
}


def show(findings: Iterable[Finding]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(title, overflow="fold") for title in ("", "check", "found", "what to do")]
    table = Table(*columns)
    for finding in findings:
        mark = Text(*_MARKS[finding.level])
        # Text, not markup: an address may hold square brackets.
        table.add_row(mark, Text(finding.check), Text(finding.detail), Text(finding.todo))
    Console().print(table)
