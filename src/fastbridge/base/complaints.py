"""What pydantic says of settings that cannot work, as one sentence each for whoever set the variables.

It names the variable, what it must be and the bad value, never a secret's. Pure, but for a look at which of a setting's
variables is set.
"""

import os
from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic.fields import FieldInfo


def complaints(error: ValidationError, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """The report: for each field that is wrong a sentence, in the report's order. fields: all of the settings'."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False, include_context=False):
        found.setdefault(*_complaint(each, fields))
    return found


def names_of(field: FieldInfo) -> list[str]:
    """The names by which the environment may set this one; the first that is set wins."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []


def what_it_is(field: FieldInfo) -> str:
    """What its value must be."""
    return field.description or "something else"


def _complaint(error: Any, fields: Mapping[str, FieldInfo]) -> tuple[str, str]:
    place = str(error["loc"][0])
    name, field = next((name, field) for name, field in fields.items() if place in (name, *names_of(field)))
    variable = next((each for each in names_of(field) if each in os.environ), names_of(field)[0])
    if field.annotation in (SecretStr, SecretStr | None):
        return name, f"{variable} must be {what_it_is(field)}."
    return name, f"{variable} must be {what_it_is(field)}, not {str(error['input'])[:80]!r}."
