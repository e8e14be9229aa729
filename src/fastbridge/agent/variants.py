"""What of an Agent differs by the number that was called, and by the business whose call it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from fastbridge.agent.fields import RECORDS, AgentChanges, phone_number
from fastbridge.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self


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

    def knows_business(self, business_id: str) -> bool:
        """Whether it has this one, or no business at all."""
        known = self._variants("business")
        return not known or business_id in known

    def variants(self) -> list[Self]:
        """Itself, and what each of its numbers and businesses makes of it."""
        changes = [*self._variants("number").values(), *self._variants("business").values()]
        return [self, *(self.changed(**each) for each in changes)]

    def for_call(self, context: Called) -> Self:
        """The agent of one call, its own: with what its number and its business change; `record` is as in its webhook's
        URL."""
        number = self._variants("number").get(context.to_number, {})
        business = self._variants("business").get(context.business_id, {})
        if "settings" in number and "settings" in business:
            business = {**business, "settings": {**number["settings"], **business["settings"]}}
        record = context.parameters.get("record")
        own: dict[str, Any] = {"record": record} if record in RECORDS else {}
        return self.changed(**{**number, **business, **own})

    def _variants(self, by: str) -> dict[str, dict[str, Any]]:
        """What is changed, by number or business."""
        found: dict[str, dict[str, Any]] = self.__dict__.setdefault(f"_by_{by}", {})
        return found
