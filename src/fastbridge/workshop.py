"""`fastbridge demo`, `load` and `tune`: what they are given. What they do is in the workshop, `fastbridge.sim`.

It may not be installed, and is heavy: each imports its own part, when it is called.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fastbridge.errors import ConfigError
from fastbridge.node.agent_file import load_agent

Model = Literal["realtime", "live"]


def demo(
    agent: Annotated[str | None, typer.Argument(metavar="[module:agent]", help="Yours [default: the demo's].")] = None,
    out: Annotated[Path, typer.Option(help="Directory for what the demo writes.")] = Path("fastbridge-demo"),
    outbound: Annotated[bool, typer.Option("--outbound", help="A call out, to an answering machine.")] = False,
    model: Annotated[
        Model | None,
        typer.Option(help="What the model speaks, the Realtime API or GPT-Live [default: what the agent's does]."),
    ] = None,
    wav: Annotated[list[Path] | None, typer.Option(help="A recording for the caller's next line; repeatable.")] = None,
) -> None:
    """Hold a call with a simulated caller and a simulated model: no account, no network."""
    from fastbridge.config import speaks_live

    theirs = load_agent(agent) if agent else None  # what is wrong with it is told before anything starts
    if outbound and (agent or wav or model):
        raise ConfigError(
            "demo --outbound has its own agent, model and callee: leave out the agent, --model and --wav."
        )
    if theirs is not None and theirs.model and model is not None and (model == "live") != speaks_live(theirs.model):
        raise ConfigError(f"The agent has a model of its own, {theirs.model}: leave out --model {model}.")
    if outbound:
        from fastbridge.sim.demo_outbound import run as call_out

        raise typer.Exit(call_out(out))
    from fastbridge.sim.demo import run

    greeted = theirs is None or bool(theirs.greeting)
    raise typer.Exit(run(out=out, wav=wav or (), agent=agent, greeted=greeted, live=model == "live"))


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
    model: Annotated[
        Model, typer.Option(help="What the model speaks: the Realtime API, or GPT-Live, whose audio never pauses.")
    ] = "realtime",
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
        int, typer.Option(help="Where the model listens, on 127.0.0.1 [default: any free port].")
    ] = 0,
    auth_token: Annotated[str, typer.Option(help="Sign as Twilio would, for a bridge given by URL.")] = "",
    account_sid: Annotated[str, typer.Option(help="Whose the calls are, for a bridge that asks.")] = "",
    public_url: Annotated[str, typer.Option(help="The address that is signed, if it is not the bridge's.")] = "",
    webhook: Annotated[str, typer.Option(help="The voice webhook's path.")] = "/webhook/incoming_call",
    delta_bytes: Annotated[
        int | None,
        typer.Option(help="Audio in a delta of the model's [default: 3200; live 160].", min=1, max=48_000),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(help="How much faster than real time the model speaks [default: 6.7; live always 1].", min=0.5),
    ] = None,
) -> None:
    """Many calls at once through a bridge on this machine, measured: latency, pacing, loss, CPU. fastbridge runs as it
    does by itself, with TLS to the model and DSP. Exit code 1 if any audio was lost, altered or ill paced."""
    from fastbridge.sim.load import Options
    from fastbridge.sim.load_command import call_counts, main

    options = Options(
        calls=call_counts(calls),
        seconds=seconds,
        bridge=bridge,
        model=model,
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
