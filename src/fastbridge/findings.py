"""What an examination has found: one Finding a check, as a table for people and as JSON for programs.

Nothing here examines anything. A finding's texts hold no secret: whoever makes one sees to that.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. todo: what to do; empty when all is well. fault: its lasting name, for programs."""

    check: str
    detail: str
    todo: str = ""
    fault: str = ""

    @property
    def ok(self) -> bool:
        return not self.todo

    @property
    def name(self) -> str:
        """The check's, for programs."""
        return self.check.lower().replace(" ", "_")


def not_tried(check: str, because: str) -> Finding:
    """because: the check whose fault comes first."""
    return Finding(check, "not tried", f"See {because}.", "not_tried")


def as_json(findings: Iterable[Finding]) -> str:
    """`{"ok": …, "findings": [{"check", "ok", "fault", "found", "to_do"}, …]}`; fault and to_do are null where all is
    well."""
    found = list(findings)
    document = {"ok": all(each.ok for each in found), "findings": [_document(each) for each in found]}
    return json.dumps(document, indent=2)


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.name,
        "ok": finding.ok,
        "fault": None if finding.ok else finding.fault or "other",
        "found": finding.detail,
        "to_do": finding.todo or None,
    }


def show(findings: Iterable[Finding]) -> None:
    """A table on stdout."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(title, overflow="fold") for title in ("", "check", "found", "what to do")]
    table = Table(*columns)
    for finding in findings:
        mark = Text("✓", "green") if finding.ok else Text("✗", "bold red")
        # Text, not markup: an address may hold square brackets.
        table.add_row(mark, Text(finding.check), Text(finding.detail), Text(finding.todo))
    Console().print(table)
