"""What may be asked for: one call out, checked, as JSON."""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

E164 = r"^\+[1-9][0-9]{6,14}$"
MAX_AHEAD = timedelta(days=30)
MAX_PARAMETERS = 11
"""Sixteen fit a webhook; the business, the agent's name, `record`, `machine` and our own id are five of them."""
MAX_PARAMETER_CHARS = 400
OUTBOUND_ID = "outbound_id"
"""The parameter by which a call's webhooks tell whose they are."""
_NAMES = r"^[a-z][A-Za-z0-9_.-]{0,63}$"
_RESERVED = frozenset({"business_id", "agent", "record", "machine", OUTBOUND_ID, "bodySHA256"})
_WORDS = {"missing": "is missing", "extra_forbidden": "is no field of a call"}
_MUST_BE = {
    "to": "a number, as + and 7 to 15 digits",
    "from": "a number of the account's, as + and 7 to 15 digits",
    "business_id": "1 to 64 letters, digits, - or _",
    "agent": "1 to 64 letters, digits, - or _",
    "parameters": f"an object of at most {MAX_PARAMETERS} names, each with a text",
    "idempotency_key": "a text of 1 to 255 characters",
    "machine": "true or false",
    "record": "local, local_after_consent, carrier, after_consent or empty",
    "timeout": "a whole number of seconds from 5 to 600",
    "schedule_at": "a time with its offset, such as 2026-12-01T09:00:00Z",
}


class CallRequest(BaseModel):
    """A call to be placed."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, populate_by_name=True)

    to: Annotated[str, Field(pattern=E164, description="Whom to call, as + and 7 to 15 digits.")]
    from_: Annotated[
        str | None,
        Field(alias="from", pattern=E164, description="The account's number to call from; else TWILIO_PHONE_NUMBER."),
    ] = None
    business_id: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Which of the agent's businesses calls.")
    ] = None
    agent: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Which of the agent's variants calls (for_name)."),
    ] = None
    parameters: Annotated[
        dict[str, str],
        Field(max_length=MAX_PARAMETERS, description="The call's parameters; they fill the agent's {placeholders}."),
    ] = {}
    idempotency_key: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="The same key twice is the same call. Or an Idempotency-Key."),
    ] = None
    machine: Annotated[
        StrictBool,
        Field(description="The carrier is to find out whether a machine answers, too, while the call begins."),
    ] = False
    record: Annotated[
        Literal["", "local", "local_after_consent", "carrier", "after_consent"] | None,
        Field(description="How the call is recorded, whatever its agent says; empty: not at all."),
    ] = None
    timeout: Annotated[StrictInt, Field(ge=5, le=600, description="How long it may ring, in seconds.")] = 60
    schedule_at: Annotated[
        AwareDatetime | None, Field(description="Not before then (RFC 3339, with its offset), at most 30 days ahead.")
    ] = None

    @field_validator("schedule_at", mode="before")
    @classmethod
    def _in_words(cls, given: Any) -> Any:
        if given is not None and not isinstance(given, str | datetime):
            raise ValueError(f"must be {_MUST_BE['schedule_at']}")
        return given

    @field_validator("parameters")
    @classmethod
    def _fit(cls, given: dict[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if not re.match(_NAMES, name) or name in _RESERVED:
                raise ValueError(f"{name!r} cannot be a parameter's name")
            if len(name) + len(value) > MAX_PARAMETER_CHARS or not value.isprintable():
                raise ValueError(
                    f"{name!r} must be one line, of at most {MAX_PARAMETER_CHARS} characters with its name"
                )
        return given

    @model_validator(mode="after")
    def _not_too_far(self) -> Self:
        if self.schedule_at is not None and self.schedule_at - datetime.now(UTC) > MAX_AHEAD:
            raise ValueError("schedule_at is more than 30 days ahead")
        return self

    def document(self) -> dict[str, Any]:
        """As it is kept: without its key."""
        return self.model_dump(mode="json", by_alias=True, exclude={"idempotency_key"}, exclude_none=True)

    def digest(self) -> str:
        """The same for the same call."""
        return hashlib.sha256(json.dumps(self.document(), sort_keys=True).encode()).hexdigest()


def faults(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong: field and words each. Nothing that was given is repeated."""
    found = []
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(str(part) for part in each["loc"]) or "body"
        ours = each["msg"].removeprefix("Value error, ") if each["type"] == "value_error" else ""
        must_be = "a text" if name.startswith("parameters.") else _MUST_BE.get(name, "something else")
        found.append({"field": name, "problem": _WORDS.get(each["type"]) or ours or f"must be {must_be}"})
    return found
