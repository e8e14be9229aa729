"""What of an Agent differs by the number that was called, by the business whose call it is, and by a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from fastbridge.agent.fields import AgentChanges, phone_number
from fastbridge.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self

NAME = "agent"
"""The parameter of a call that says which of them answers it."""
_NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Called(Protocol):
    """What is asked of a call."""

    @property
    def to_number(self) -> str: ...
    @property
    def business_id(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, str]: ...


class WithVariants:
    """A copy has none of its own: it is one."""

    if TYPE_CHECKING:

        def changed(self, **changes: Unpack[AgentChanges]) -> Self: ...
        def _check_placeholders(self) -> None: ...

    def for_number(self, number: str, **changes: Unpack[AgentChanges]) -> None:
        """Calls to this number (E.164) are answered by a changed copy."""
        self.changed(**changes)._check_placeholders()  # what is wrong is to be known before the telephone rings
        self._variants("number")[phone_number(number, "for_number")] = dict(changes)

    def for_business(self, business_id: str, **changes: Unpack[AgentChanges]) -> None:
        """Calls whose webhook URL carries this `business_id` are answered by a changed copy: wins over the number's."""
        if not isinstance(business_id, str) or not business_id:
            raise ConfigError(f"for_business: a business_id is the text of the webhook's URL, not {business_id!r}.")
        self.changed(**changes)._check_placeholders()
        self._variants("business")[business_id] = dict(changes)

    def for_name(self, name: str, **changes: Unpack[AgentChanges]) -> None:
        """Calls whose webhook URL carries `agent=name`, and those that are placed with this `agent`, are a changed
        copy's: wins over the number's and the business's."""
        if not isinstance(name, str) or not _NAMES.fullmatch(name):
            raise ConfigError(f"for_name: a name is 1 to 64 letters, digits, - and _, not {name!r}.")
        self.changed(**changes)._check_placeholders()
        self._variants("name")[name] = dict(changes)

    def knows_name(self, name: str) -> bool:
        return name in self._variants("name")

    @property
    def names(self) -> list[str]:
        """Those of `for_name`."""
        return list(self._variants("name"))

    def knows_business(self, business_id: str) -> bool:
        """Whether it has this one, or no business at all."""
        known = self._variants("business")
        return not known or business_id in known

    def variants(self) -> list[Self]:
        """Itself, and what each number, business and name makes of it."""
        changes = (change for by in ("number", "business", "name") for change in self._variants(by).values())
        return [self, *(self.changed(**each) for each in changes)]

    def for_call(self, context: Called) -> Self:
        """The agent of one call, its own: with what number, business and name change, each over the one before."""
        keys = {"number": context.to_number, "business": context.business_id, "name": context.parameters.get(NAME, "")}
        merged: dict[str, Any] = {}
        for by, key in keys.items():
            changes = self._variants(by).get(key, {})
            settings = {**merged.get("settings", {}), **changes.get("settings", {})}
            merged |= {**changes, **({"settings": settings} if settings else {})}
        return self.changed(**merged)

    def _variants(self, by: str) -> dict[str, dict[str, Any]]:
        """What is changed, by number or business."""
        found: dict[str, dict[str, Any]] = self.__dict__.setdefault(f"_by_{by}", {})
        return found
