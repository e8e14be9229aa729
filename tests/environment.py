"""A test's own environment: none of fastbridge's variables set, no `.env` in sight."""

from pathlib import Path

import pytest

from fastbridge.config import Settings


def clear_environment(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Unset every variable a setting may come from, and work in `directory`."""
    for field in Settings.model_fields.values():
        for variable in field.validation_alias.choices:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(directory)
