"""`fastbridge call` and `fastbridge campaign`: what they are given, and what is shown of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fastbridge.errors import ConfigError

Node = Annotated[
    str | None, typer.Option(metavar="URL", help="The node that places it [default: one on this machine, at PORT].")
]
From = Annotated[str | None, typer.Option("--from", help="The number to call from [env TWILIO_PHONE_NUMBER].")]
Business = Annotated[str | None, typer.Option(help="Which of the agent's businesses calls.")]
RingSeconds = Annotated[int, typer.Option(help="How long it may ring.", min=5, max=600)]
Machine = Annotated[bool, typer.Option("--machine", help="Have Twilio find out whether a machine answers, too.")]


def call(
    to: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom to call, such as +14155550123.")],
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="module:agent",
            help="Who talks: a node of this agent's is started for the call [default: the node that runs].",
        ),
    ] = None,
    variable: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable of the call's; again for the next.")
    ] = None,
    business: Business = None,
    from_number: From = None,
    timeout: RingSeconds = 60,
    machine: Machine = False,
    node: Node = None,
) -> None:
    """Call somebody, and tell what came of it. Exit code 0 if there was a conversation, 1 if not."""
    from fastbridge.outbound.one_call import run

    if agent is not None and node is not None:
        raise ConfigError("--agent starts a node of its own, and --node asks another: give one of them.")
    request = _request(business, from_number, timeout, machine)
    parameters = dict(_pair(each) for each in variable or ())
    if parameters:
        request["parameters"] = parameters
    raise typer.Exit(run({"to": to, **request}, agent=agent, node=node))


def campaign(
    callees: Annotated[
        Path, typer.Argument(metavar="LIST.csv", help="Whom to call: a column `to`, and one for each variable.")
    ],
    rate: Annotated[float, typer.Option(help="Calls a second.", min=0.01, max=100)] = 1.0,
    at_once: Annotated[int, typer.Option(help="Calls at once.", min=1, max=1000)] = 10,
    retry: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUTCOME:TIMES:SECONDS",
            help="Try again what ended so, so often, so much later [default: busy:2:300 no-answer:1:3600].",
        ),
    ] = None,
    hours: Annotated[
        str, typer.Option(metavar="FROM-TO", help="When to call, by the clocks of those who are called; or any.")
    ] = "08:00-21:00",
    name: Annotated[
        str | None,
        typer.Option(help="Of this campaign: what it has called it does not call again [default: the list's]."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="What came of it, as CSV [default: LIST.results.csv].")] = None,
    business: Business = None,
    from_number: From = None,
    timeout: RingSeconds = 60,
    machine: Machine = False,
    node: Node = None,
) -> None:
    """Call everybody in a list. Broken off and run again it goes on where it was, and calls nobody twice. Exit code 1
    if some call did not become a conversation."""
    from fastbridge.outbound.callees import parse_hours, parse_retries, read_callees
    from fastbridge.outbound.campaign_run import run

    within = parse_hours(hours)
    common = _request(business, from_number, timeout, machine)
    found = read_callees(callees, common=common, with_zones=within is not None)
    retries = parse_retries(("busy:2:300", "no-answer:1:3600") if retry is None else retry)
    raise typer.Exit(
        run(
            name or callees.name,
            found,
            out or callees.with_suffix(".results.csv"),
            per_second=rate,
            at_once=at_once,
            retries=retries,
            hours=within,
            node=node,
        )
    )


def _request(business: str | None, from_number: str | None, timeout: int, machine: bool) -> dict[str, Any]:
    given = {"business_id": business, "from": from_number, "machine": machine or None}
    return {**{name: value for name, value in given.items() if value is not None}, "timeout": timeout}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError(f"--variable must be NAME=VALUE, such as name=Dana, not {text!r}.")
    return name, value
