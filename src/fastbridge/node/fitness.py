"""All that keeps a node from starting, in the sentences in which the start says it, and what is hardly meant so.

A start ends with the first fault; whoever examines wants them all. Nothing is bound or left behind here, and nobody
connected to but a database's server, for its `record_faults`.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from fastbridge.agent.fields import BY_THE_CARRIER, BY_THE_NODE, check_voice
from fastbridge.base.complaints import complaints
from fastbridge.carrier.twilio.rest import credentials
from fastbridge.config import CONVERSATION_SETTINGS, Settings, load_settings, speaks_live, variables
from fastbridge.errors import ConfigError, NotInstalledError
from fastbridge.model.usage import MINUTE, is_cheaper, price_of
from fastbridge.node.stray_settings import unknown_variables
from fastbridge.store.database import NO_DATABASE, open_engine
from fastbridge.store.places import try_folder, unusable

if TYPE_CHECKING:
    from fastbridge.agent.definition import Agent

BUDGETS = ("call_budget_usd", "call_budget_tokens", "business_budget_usd", "day_budget_usd")
REALTIME_SETTINGS = CONVERSATION_SETTINGS - {"greeting_lock", "reasoning_effort", "transcription_model"}
"""What a model that speaks as a stream without end does not have."""
WORKERS_NEED_LINUX = "Several workers need Linux: start one, and put several nodes behind a load balancer."


def load_what_works() -> tuple[Settings | None, dict[str, str]]:
    """The settings, with the defaults in place of what cannot work, and a sentence for each of those, by field. None
    where there are none to be had."""
    try:
        return Settings(), {}
    except ValidationError as error:
        wrong = complaints(error, Settings.model_fields)
    except (OSError, UnicodeDecodeError):
        return None, {".env": " ".join(_said(load_settings))}
    try:
        return Settings(**{name: Settings.model_fields[name].get_default() for name in wrong}), wrong
    except ValidationError as error:  # what was wrong only beside a default
        return None, wrong | complaints(error, Settings.model_fields)


def faults(settings: Settings) -> Iterator[str]:
    """Of settings that can be read: what a start would refuse of them, whoever answers."""
    yield from settings.serving_faults()
    if settings.workers > 1 and sys.platform != "linux":
        yield WORKERS_NEED_LINUX
    yield from _said(require_price, settings)
    yield from _said(require_budget_model, settings)
    url = settings.database_url.get_secret_value()
    if url != NO_DATABASE:
        yield from _said(open_engine, url)
    if settings.recordings_url is not None:
        yield from _said(_check_recordings, settings.recordings_url)


def _check_recordings(url: str) -> None:
    from fastbridge.recordings.media_store import check

    check(url)


def _folder_of_files(url: str) -> Path | None:
    from fastbridge.recordings.media_store import folder_of

    return folder_of(url)


def agent_faults(settings: Settings, agent: "Agent") -> Iterator[str]:
    """Of an agent that can be loaded: what its settings, its numbers' and its businesses' make of the node's."""
    known = {*settings.session_faults()}
    for each in agent.variants():
        yield from recording_faults(settings, each.record)
        yield from _said(check_voice, each.voice, each.call_settings(settings).model, settings.openai_base_url)
        yield from dict.fromkeys(fault for fault in each.call_settings(settings).session_faults() if fault not in known)


def require_fit(settings: Settings, agent: "Agent") -> None:
    """ConfigError, where a node of these would only break with the first call."""
    require_price(settings)
    require_budget_model(settings)
    if settings.recordings_url is not None:
        with contextlib.suppress(NotInstalledError):  # who keeps no files needs none of it
            _check_recordings(settings.recordings_url)
    for each in agent.variants():
        own = each.call_settings(settings)
        check_voice(each.voice, own.model, own.openai_base_url)
        own.require_session()
        require_price(own)
        require_budget_model(own)
        for fault in recording_faults(settings, each.record):
            raise ConfigError(fault)


def require_price(settings: Settings) -> None:
    """ConfigError for prices that are none, and where dollars are to be counted of a model that has none."""
    price, _ = price_of(settings.model, settings.prices)
    if settings.call_budget_tokens and settings.live:
        raise ConfigError(
            f"FASTBRIDGE_CALL_BUDGET_TOKENS is no limit for {settings.model}, which is billed by the minute: give "
            "FASTBRIDGE_CALL_BUDGET_USD, and its price in FASTBRIDGE_PRICES."
        )
    if settings.live and price is not None and MINUTE not in price:
        raise ConfigError(
            f"FASTBRIDGE_PRICES has {settings.model} by the token, which is billed by the minute: give its price for a "
            f"{MINUTE}."
        )
    budgets = {
        "FASTBRIDGE_CALL_BUDGET_USD": settings.call_budget_usd,
        "FASTBRIDGE_BUSINESS_BUDGET_USD": settings.business_budget_usd,
        "FASTBRIDGE_DAY_BUDGET_USD": settings.day_budget_usd,
    }
    wanted = [name for name, usd in budgets.items() if usd]
    if wanted and price is None:
        raise ConfigError(f"{wanted[0]} needs the price of {settings.model}: give it in FASTBRIDGE_PRICES.")


def require_budget_model(settings: Settings) -> None:
    """ConfigError for a model at a budget's end that is none for these calls."""
    model, other = settings.model, settings.budget_model
    if not other:
        return
    if not any(getattr(settings, name) for name in BUDGETS):
        raise ConfigError(f"FASTBRIDGE_BUDGET_MODEL={other} is for a budget's end: set a budget, too, or unset it.")
    if speaks_live(other) is not settings.live:
        raise ConfigError(f"FASTBRIDGE_BUDGET_MODEL={other} is spoken to otherwise than {model}: take one of its kind.")
    (price, _), (dear, _) = (price_of(each, settings.prices) for each in (other, model))
    for name, known in ((other, price), (model, dear)):
        if known is None:
            raise ConfigError(f"FASTBRIDGE_BUDGET_MODEL needs the price of {name}: give it in FASTBRIDGE_PRICES.")
    if price is not None and dear is not None and not is_cheaper(price, dear):
        raise ConfigError(f"FASTBRIDGE_BUDGET_MODEL={other} is not cheaper than {model}: take another, or unset it.")


def recording_faults(settings: Settings, record: str) -> Iterator[str]:
    """What a recording of this kind lacks: a sentence each."""
    if record in BY_THE_NODE and settings.recordings_dir is None:
        yield f"record={record!r} needs FASTBRIDGE_RECORDINGS_DIR: set it to a directory."
    if record in BY_THE_NODE and settings.recordings_dir is not None:
        yield from unwritable("FASTBRIDGE_RECORDINGS_DIR", settings.recordings_dir)
    if record in BY_THE_CARRIER and credentials(settings) is None:
        yield f"record={record!r} needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN: set them, or record by the node."


def unwritable(variable: str, folder: Path) -> Iterator[str]:
    """A sentence, if this folder cannot be made or written. Nothing is left there."""
    try:
        try_folder(folder)
    except OSError as error:
        why = error.strerror or type(error).__name__
        yield f"{variable}: {str(folder)!r} cannot be made or written ({why}): set it to another directory."


def advice(settings: Settings, agent: "Agent") -> list[str]:
    """What is hardly meant so, and starts all the same: of the environment, of where records go, of the agent."""
    return [
        *unknown_variables(), *record_faults(settings), *files_advice(settings), *agent.advice(),
        *unheeded(settings, agent),
    ]  # fmt: skip


def unheeded(settings: Settings, agent: "Agent") -> Iterator[str]:
    """A sentence, where a model is not told of settings that it does not have, and nobody else is."""
    variants = [(each.settings, each.call_settings(settings)) for each in agent.variants()]
    every_one = all(own.live for _, own in variants)
    found: dict[str, set[str]] = {}
    for given, own in variants:
        names = REALTIME_SETTINGS if every_one else REALTIME_SETTINGS & given.keys()
        told = {name for name in names if getattr(own, name) != Settings.model_fields[name].get_default()}
        if own.live and told:
            found.setdefault(own.model, set()).update(told)
    for model, told in found.items():
        yield f"{', '.join(sorted(variables(name)[0] for name in told))}: of no effect with {model}."


def files_advice(settings: Settings) -> Iterator[str]:
    """A sentence, where the carrier's files would have to go into a folder that cannot be. It need not be this node
    that puts them there."""
    with contextlib.suppress(ConfigError):
        folder = _folder_of_files(settings.recordings_url) if settings.recordings_url is not None else None
        if folder is not None:
            yield from unwritable("FASTBRIDGE_RECORDINGS_URL", folder)


def record_faults(settings: Settings) -> list[str]:
    """A sentence for each place at which no record can be kept. ConfigError for a database's address that is none.
    Blocks: see `unusable`."""
    return unusable(settings.database_url.get_secret_value(), settings.records_dir)


def _said(check: Callable[..., Any], *given: Any) -> Iterator[str]:
    try:
        check(*given)
    except ConfigError as error:
        yield str(error)
