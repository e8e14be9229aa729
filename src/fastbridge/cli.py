"""The `fastbridge` command: thin. Every command imports its own heavy modules, so that `--help` answers at once.

What the user can put right ends in one sentence on stderr and exit code 2, before which stands what Python says of the
user's own lines; a bug of ours in a traceback.
"""

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastbridge import require_compiled
from fastbridge.errors import AgentError, ConfigError
from fastbridge.node.agent_file import choose_agent, load_agent
from fastbridge.outbound import commands

if TYPE_CHECKING:
    from fastbridge.agent.definition import Agent
    from fastbridge.config import Settings

__all__ = ["app", "choose_agent", "load_agent", "main"]

app = typer.Typer(
    help="Put a speech AI on your phone line: Twilio Media Streams to the OpenAI Realtime API.",
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


@app.command()
def demo(
    agent: Annotated[str | None, typer.Argument(metavar="[module:agent]", help="Yours [default: the demo's].")] = None,
    out: Annotated[Path, typer.Option(help="Directory for what the demo writes.")] = Path("fastbridge-demo"),
    outbound: Annotated[bool, typer.Option("--outbound", help="A call out, to an answering machine.")] = False,
    wav: Annotated[list[Path] | None, typer.Option(help="A recording for the caller's next line; repeatable.")] = None,
) -> None:
    """Hold a call with a simulated caller and a simulated model: no account, no network."""
    greeted = not agent or bool(load_agent(agent).greeting)  # what is wrong with it is told before anything starts
    if outbound and (agent or wav):
        raise ConfigError("demo --outbound has its own agent and its own callee: leave out the agent and --wav.")
    if outbound:
        from fastbridge.sim.demo_outbound import run as call_out

        raise typer.Exit(call_out(out))
    from fastbridge.sim.demo import run

    raise typer.Exit(run(out=out, wav=wav or (), agent=agent, greeted=greeted))


@app.command()
def load(
    calls: Annotated[str, typer.Option(help="How many calls at once; several numbers for several runs.")] = "50,100",
    seconds: Annotated[float, typer.Option(help="How long to measure, once all calls are up.")] = 20.0,
    bridge: Annotated[
        str,
        typer.Option(
            metavar="fastbridge|baseline|URL",
            help="What to load: a node started here, bench/baseline of a checkout, or a bridge that runs on this "
            "machine: http://127.0.0.1:5050 (asked by webhook) or ws://127.0.0.1:5050/media-stream.",
        ),
    ] = "fastbridge",
    json: Annotated[Path | None, typer.Option(help="Write everything measured to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this file (.png, .svg).")] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", help="TLS between bridge and model [default: yes, where we start the bridge]."),
    ] = None,
    barge: Annotated[bool, typer.Option("--barge", help="Every caller interrupts every response.")] = False,
    dsp: Annotated[
        bool | None,
        typer.Option(
            "--dsp/--no-dsp",
            help="The bridge treats the caller's audio [default: yes for fastbridge, no for any other].",
        ),
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Wait for each message instead of looking once a millisecond.")
    ] = False,
    warm: Annotated[bool, typer.Option("--warm", help="Keep the CPUs from sleeping, for figures that repeat.")] = False,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Bridge and players go before all else on their CPUs (needs root).")
    ] = False,
    pid: Annotated[int, typer.Option(help="The process of a bridge given by URL, to measure what it costs.")] = 0,
    model_port: Annotated[
        int, typer.Option(help="Where the model listens (ws://127.0.0.1:PORT/v1/realtime) [default: any free port].")
    ] = 0,
    auth_token: Annotated[str, typer.Option(help="Sign as Twilio would, for a bridge given by URL.")] = "",
    account_sid: Annotated[str, typer.Option(help="Whose the calls are, for a bridge that asks.")] = "",
    public_url: Annotated[str, typer.Option(help="The address that is signed, if it is not the bridge's.")] = "",
    webhook: Annotated[str, typer.Option(help="The voice webhook's path.")] = "/webhook/incoming_call",
    delta_bytes: Annotated[int, typer.Option(help="Audio in a delta of the model's.", min=1, max=48_000)] = 3200,
    speed: Annotated[float, typer.Option(help="How much faster than real time the model speaks.", min=0.5)] = 6.7,
) -> None:
    """Many calls at once through a bridge on this machine, measured: latency, pacing, loss, CPU. fastbridge runs as it
    does by itself, with TLS to the model and DSP. Exit code 1 if any audio was lost, altered or ill paced."""
    from fastbridge.sim.load import Options
    from fastbridge.sim.load_command import call_counts, main

    options = Options(
        calls=call_counts(calls),
        seconds=seconds,
        bridge=bridge,
        tls=tls,
        barge=barge,
        dsp=dsp,
        eager=eager,
        warm=warm,
        realtime=realtime,
        pid=pid,
        model_port=model_port,
        auth_token=auth_token,
        account_sid=account_sid,
        public_url=public_url,
        webhook=webhook,
        delta_bytes=delta_bytes,
        speed=speed,
    )
    raise typer.Exit(main(options, json_path=json, plot_path=plot))


@app.command()
def tune(
    recording: Annotated[
        Path,
        typer.Argument(metavar="FILE.wav", help="The caller's side; or both: the caller left, the assistant right."),
    ],
    assistant: Annotated[
        Path | None,
        typer.Option(help="What the assistant said in the same time. Default: the right channel, or silence."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Draw the picture here, as a PNG.")] = None,
    frames: Annotated[int | None, typer.Option(min=1, max=50, help="As BARGE_IN_FRAMES.")] = None,
    threshold_dbfs: Annotated[float | None, typer.Option(min=-90, max=0, help="As BARGE_IN_THRESHOLD_DBFS.")] = None,
    sensitivity_db: Annotated[float | None, typer.Option(min=-20, max=20, help="As BARGE_IN_SENSITIVITY_DB.")] = None,
    echo: Annotated[bool | None, typer.Option("--echo/--no-echo", help="As BARGE_IN_ECHO.")] = None,
) -> None:
    """Show where the barge-in detector would have fired in a recording, and why not elsewhere."""
    from fastbridge.config import load_settings
    from fastbridge.sim.tune import run

    given = {"frames": frames, "threshold_dbfs": threshold_dbfs, "sensitivity_db": sensitivity_db, "echo": echo}
    settings = load_settings(**{f"barge_in_{name}": value for name, value in given.items() if value is not None})
    run(
        recording,
        assistant,
        out,
        min_level_dbfs=settings.barge_in_threshold_dbfs,
        sensitivity_db=settings.barge_in_sensitivity_db,
        frames=settings.barge_in_frames,
        echo=settings.barge_in_echo,
    )


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
