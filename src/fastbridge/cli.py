"""The `fastbridge` command: thin. Every command imports its own heavy modules, so that `--help` answers at once.

What the user can put right ends in one sentence on stderr and exit code 2, before which stands what Python says of the
user's own lines; a bug of ours in a traceback.
"""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastbridge import require_compiled, workshop
from fastbridge.errors import AgentError, ConfigError
from fastbridge.node.agent_file import choose_agent, load_agent
from fastbridge.outbound import commands

if TYPE_CHECKING:
    from fastbridge.agent.definition import Agent
    from fastbridge.config import Settings

__all__ = ["app", "choose_agent", "load_agent", "main"]

app = typer.Typer(
    help="Put a speech AI on your phone line: Twilio Media Streams to the OpenAI Realtime API or GPT-Live.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich costs half of what --help may take
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The console script's entry point."""
    require_compiled()
    try:
        app(prog_name="fastbridge")
    except ConfigError as error:
        log = sys.modules.get("fastbridge.observe.log_policy")  # imported only by what has something to log
        if log is not None:
            log.flush()  # what was logged before stands before it
        if isinstance(error, AgentError):
            print(error.trace, end="", file=sys.stderr)
        print(f"fastbridge: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command()
def serve(
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="[module:agent]",
            help="Your agent: an importable module or a .py file, and its name there "
            "[env FASTBRIDGE_AGENT, default: the built-in one].",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on [env FASTBRIDGE_HOST, default 0.0.0.0; without an auth token 127.0.0.1]."
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port for webhooks, media and health [env PORT, default 5050].")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that share the port, for more calls than one core can [env FASTBRIDGE_WORKERS, default 1]."
        ),
    ] = None,
    tunnel: Annotated[
        bool,
        typer.Option(
            "--tunnel", help="Open a public address for this run, by cloudflared or ngrok, whichever is there."
        ),
    ] = False,
) -> None:
    """Answer calls."""
    from fastbridge.net.listening import fill_standard_descriptors

    closed = fill_standard_descriptors()
    given = {"host": host, "port": port, "workers": workers}
    options = {name: value for name, value in given.items() if value is not None}
    if tunnel:
        _serve_through_tunnel(agent, options, closed)
    else:
        _serve(agent, options, closed)


def _serve_through_tunnel(agent: str | None, options: dict[str, Any], closed: list[int]) -> None:
    """The tunnel comes from this machine itself: where nobody says otherwise, nobody else need reach the port."""
    import os
    import signal

    from fastbridge.config import load_settings
    from fastbridge.net.listening import check_port
    from fastbridge.net.tunnel import PLACEHOLDER, UNSIGNED, Tunnel

    settings = load_settings(**options, public_url=PLACEHOLDER)
    if settings.twilio_auth_token is None:
        raise ConfigError(UNSIGNED)
    settings.require_serving()
    if "host" not in settings.model_fields_set:
        options["host"] = "127.0.0.1"
    check_port(options.get("host", settings.host), settings.port)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until there is a server; the tunnel ends with us
    try:
        with Tunnel(settings.port, options.get("host", settings.host)) as opened:
            os.environ["PUBLIC_URL"] = opened.url  # for the workers, too
            print(opened.told, file=sys.stderr)
            _serve(agent, options, closed)
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(agent: str | None, options: dict[str, Any], closed: list[int]) -> None:
    """options: of the settings, by name. closed: standard descriptors that were."""
    from fastbridge.config import load_settings
    from fastbridge.net.listening import check_port, port_error, say_closed
    from fastbridge.node.fitness import WORKERS_NEED_LINUX
    from fastbridge.observe import log_policy as log

    settings = load_settings(**options)
    settings.require_serving()
    check_port(settings.host, settings.port)
    if settings.workers > 1:
        if sys.platform != "linux":
            raise ConfigError(WORKERS_NEED_LINUX)
        from fastbridge.node.switchboard import serve as run_switchboard

        raise typer.Exit(run_switchboard(settings, agent, closed))
    log.configure_from(settings)
    say_closed(closed)
    chosen = choose_agent(agent, settings)
    _advise(chosen, settings)

    from fastbridge.node.server import serve as run_server

    try:
        run_server(settings, chosen)
    except OSError as error:  # the port was taken between our look and the server's
        if error.errno != errno.EADDRINUSE:
            raise
        raise port_error(settings.host, settings.port, error) from None


@app.command("serve-worker", hidden=True)
def serve_worker(
    number: Annotated[int, typer.Option()],
    line: Annotated[int, typer.Option()],
    log_lock: Annotated[Path, typer.Option()],
    agent: Annotated[str | None, typer.Argument()] = None,
    again: Annotated[bool, typer.Option("--again")] = False,
) -> None:
    """One of `serve --workers`, which starts it."""
    from fastbridge.config import load_settings
    from fastbridge.observe import log_policy as log

    settings = load_settings()
    log.configure_from(settings, lock=log_lock)
    chosen = choose_agent(agent, settings)
    if number == 0 and not again:  # it goes first, and speaks for all
        _advise(chosen, settings)

    from fastbridge.node.worker import run

    run(settings, chosen, number=number, line=line, again=again)


@app.command()
def worker(
    agent: Annotated[str | None, typer.Argument(metavar="[module:agent]", help="Whose jobs, as for serve.")] = None,
) -> None:
    """Do the agent's jobs for calls that are over: beside the nodes, on the same database."""
    from fastbridge.config import load_settings
    from fastbridge.jobs.worker import run
    from fastbridge.observe import log_policy as log

    settings = load_settings()
    log.configure_from(settings)
    run(settings, choose_agent(agent, settings))


def _advise(chosen: "Agent", settings: "Settings") -> None:
    """Say what is hardly meant so."""
    from fastbridge.node import fitness
    from fastbridge.observe import notices

    for sentence in fitness.advice(settings, chosen):
        notices.advice(sentence)


AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command()
def doctor(
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="module:agent", help="The agent to examine, as for serve [default: what serve would take]."
        ),
    ] = None,
    as_json: AsJson = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Set the number's webhooks to this node; shows what changes, and asks.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")] = False,
) -> None:
    """Check settings, agent, keys, number, webhook, media stream and clock, and say what to do about each fault. Exit
    code 1 if there is any."""
    if yes and not fix:
        raise ConfigError("--yes is the answer to what --fix asks: give --fix, too.")
    from fastbridge.node.doctor import main as examine

    raise typer.Exit(examine(lambda settings: choose_agent(agent, settings), json=as_json, fix=fix, yes=yes))


calls = typer.Typer(
    help="List the calls of the past; `fastbridge calls show CALL_SID` shows one.", invoke_without_command=True
)
app.add_typer(calls, name="calls")


@calls.callback()
def list_calls(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20,
    business: Annotated[str | None, typer.Option(help="Only those of this business_id.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the calls of the past."""
    if context.invoked_subcommand is None:
        from fastbridge.node.browse import show_calls

        show_calls(_database_url(), limit=limit, business_id=business, as_json=as_json)


@calls.command("show")
def show_call(
    call_sid: Annotated[str, typer.Argument(help="The call's sid, or the beginning of it.")], as_json: AsJson = False
) -> None:
    """Show one call: its times, what was said, its books."""
    from fastbridge.node import browse

    browse.show_call(_database_url(), call_sid, as_json=as_json)


def _database_url() -> str:
    from fastbridge.config import load_settings

    return load_settings().database_url.get_secret_value()


app.command()(commands.call)
app.command()(commands.campaign)
app.command()(workshop.demo)
app.command()(workshop.load)
app.command()(workshop.tune)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"fastbridge {version('fastbridge')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Options before the command; --version acts in its callback."""
