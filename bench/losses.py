"""What a call costs that loses its model's session every twenty seconds, in either dialect.

    python bench/losses.py                                # ten minutes; both dialects side by side
    python bench/losses.py --dialect live --minutes 2 --calls 4
    python bench/losses.py --start-ms 200                 # a service that takes so long to start a session

Real sockets, a real node in a process of its own, the simulated caller and model. Between node and model stands a relay
that resets the connection of each call in turn at any moment, in the middle of an answer and in the middle of a tool,
and notes when what passed. The call is without its assistant from the reset until a new session is confirmed, hears the
caller and, where the dialect has a stream that never pauses, has begun it. Of that the node's own is the time until it
has connected again; what lies behind is for the most part the model's, and this process's: relay, model and callers are
in it, and how late it was meanwhile is printed beside the longest.

Every word of an answer has sound of its own, so that one that is heard twice is seen; every tool notes that it ran.
"""

import argparse
import asyncio
import contextlib
import re
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fastbridge.sim import (
    AfterAssistant,
    CallTool,
    HangUp,
    ModelServer,
    NodeProcess,
    Say,
    Scenario,
    SimulatedCaller,
    Speak,
)
from fastbridge.sim.audio import FRAME_BYTES
from fastbridge.sim.ear import waits
from fastbridge.sim.report import CallReport
from fastbridge.sim.scenario import ResponseRequest, Turn, babble
from fastbridge.sim.script import Step
from recovery import answer_waits_ms, percentiles

AGENT = '''
import asyncio
from pathlib import Path

from fastbridge import Agent, CallContext

agent = Agent(
    instructions="You answer the phone. case={case}", greeting="Good morning.", variables={"case": ""},
    greeting_lock=False,
)


@agent.on_call
def case(context: CallContext) -> dict[str, str]:
    return {"case": context.parameters["case"]}


@agent.tool
async def look_up(context: CallContext, number: int) -> str:
    """Look it up."""
    with (Path(__file__).parent / "ran").open("a") as file:
        file.write(f"{context.parameters['case']} {number}\\n")
    await asyncio.sleep(1.5)
    return f"found-{number}"
'''
MODELS = {"realtime": "gpt-realtime-2.1", "live": "gpt-live-1"}
SETTINGS = {"FASTBRIDGE_SILENCE_SECONDS": "0"}
EVERY_SECONDS = 20.0
WORDS = 12
WORD_BYTES = 2560
MARK_BYTES = 2 * FRAME_BYTES
TURN_SECONDS = 10.5
"""A question, its answer and a pause, about: for how many questions there are."""
LONGEST_WAIT_MS = 4000
AGAIN = Say("I did not hear you, once more please.")
TYPE = re.compile(r'"type": ?"([^"]+)"')
ANSWERING = {"response.created", "session.output_transcript.delta"}
CONFIRMED = {"session.updated", "session.started"}
HEARD = {"input_audio_buffer.append", "session.input_audio.append"}
AUDIO = "session.output_audio.delta"
WHEN = ("at any moment", "in an answer", "in a tool")
LOOK_SECONDS = 0.005
AFTER_SECONDS = 0.7
"""The middle of an answer and of a tool, from its beginning."""


class Lateness:
    """How late a timer of this process was at most."""

    def __init__(self) -> None:
        self.most = 0.0

    async def watch(self) -> None:
        while True:
            due = time.monotonic() + LOOK_SECONDS
            await asyncio.sleep(LOOK_SECONDS)
            self.most = max(self.most, time.monotonic() - due)


class Loss(NamedTuple):
    """One reset: when it was, seconds until the node had connected again, and until the next session was confirmed,
    heard the caller, and streamed. late: this process, at most."""

    when: str
    connected: float
    late: float
    confirmed: float
    heard: float
    streamed: float

    @property
    def without(self) -> float:
        return max(self.confirmed, self.heard, self.streamed)


class Line:
    """A call's way to the model, over all its connections."""

    def __init__(self, streams: bool, lateness: Lateness) -> None:
        self.losses: list[Loss] = []
        self.connection: ServerConnection | None = None
        self.began = asyncio.Event()
        self._streams = streams
        self._lateness = lateness
        self._wanted = ""
        self._lost = 0.0
        self._cause = ""
        self._seen: dict[str, float] = {}

    def lose(self, cause: str) -> None:
        """Reset the connection, if there is one that is not the result of a reset just now."""
        if self.connection is None or self._lost:
            return
        self._lost, self._cause, self._seen = time.monotonic(), cause, {}
        self._lateness.most = 0.0
        raw = self.connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()
        self.connection = None

    def connected(self, connection: ServerConnection, at: float) -> None:
        """Another connection of the call's, which came then."""
        self.connection = connection
        if self._lost:
            self._seen.setdefault("connected", at - self._lost)

    def want(self, what: str) -> None:
        """The next time an answer or a tool begins, `began` is set."""
        self.began.clear()
        self._wanted = what

    def passed(self, connection: ServerConnection, text: str) -> None:
        """A message, either way."""
        found = TYPE.search(text, 0, 200)
        kind = found[1] if found is not None else ""
        if (self._wanted == WHEN[1] and kind in ANSWERING) or (self._wanted == WHEN[2] and _is_call(kind, text)):
            self.began.set()
        if self._lost and connection is self.connection:
            self._note(kind)

    def _note(self, kind: str) -> None:
        now = time.monotonic() - self._lost
        for name, kinds in (("confirmed", CONFIRMED), ("heard", HEARD), ("streamed", {AUDIO})):
            if kind in kinds and (name == "confirmed" or "confirmed" in self._seen):
                self._seen.setdefault(name, now)
        if "heard" in self._seen and (not self._streams or "streamed" in self._seen):
            self.losses.append(Loss(self._cause, late=self._lateness.most, **{"streamed": 0.0, **self._seen}))
            self._lost = 0.0


def _is_call(kind: str, text: str) -> bool:
    done = kind == "response.output_item.done" or '"type":"response.output_item.done"' in text
    return done and '"function_call"' in text


class Relay:
    """Between node and model. `lines`: by the case that the session's instructions name."""

    def __init__(self, model: ModelServer, streams: bool, lateness: Lateness) -> None:
        self._model_url = model.base_url
        self._streams = streams
        self._lateness = lateness
        self.lines: dict[str, Line] = {}

    async def __aenter__(self) -> str:
        self._server = await serve(self._talk, "127.0.0.1", 0, compression=None, max_size=None, ping_interval=None)
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, node: ServerConnection) -> None:
        came, request = time.monotonic(), node.request
        assert request is not None
        url = self._model_url.removesuffix("/v1").replace("http", "ws", 1) + request.path
        key = {"Authorization": request.headers["Authorization"]}
        options: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None, "proxy": None}
        async with connect(url, additional_headers=key, **options) as model:
            back = asyncio.create_task(self._pass(model, node, node, came))
            await self._pass(node, model, node, came)
            back.cancel()

    async def _pass(
        self,
        source: ServerConnection | ClientConnection,
        sink: ServerConnection | ClientConnection,
        node: ServerConnection,
        came: float,
    ) -> None:
        line = None
        with contextlib.suppress(ConnectionClosed):
            async for text in source:
                assert isinstance(text, str)
                line = line or self._line_of(source, node, text, came)
                if line is not None:
                    line.passed(node, text)
                await sink.send(text)

    def _line_of(self, source: object, node: ServerConnection, text: str, came: float) -> Line | None:
        if source is not node:
            return next((line for line in self.lines.values() if line.connection is node), None)
        named = re.search(r"case=(\w+)", text)
        if named is None:
            return None
        line = self.lines.setdefault(named[1], Line(self._streams, self._lateness))
        line.connected(node, came)
        return line


class Play:
    """The model's side of one dialect's calls: who is asked what, and what has been said of it. Told by the case that
    the session was given."""

    def __init__(self) -> None:
        self.callers: dict[str, SimulatedCaller] = {}
        self.marks: dict[str, bytes] = {}
        self.asked: list[str] = []
        """Every call of a tool, `case number`."""
        self._said: dict[str, str] = {}
        self._looked_up: set[str] = set()
        self._found: dict[str, int] = {}

    def answer_for(self, case: str, request: ResponseRequest) -> Turn:
        if request.is_greeting:
            return Say("Good morning.")
        number = self.callers[case].conversation.lines
        given = str(request.params.get("instructions") or request.params.get("content") or "")
        if "did not hear them" in given:
            return AGAIN
        if "Go on from exactly there" in given:
            return self._rest(case, given)
        if "what you were told last" in given:
            number = self._found.get(case, number)
        question = f"{case} {number}"
        if number % 2 == 0 and question not in self._looked_up:
            self._looked_up.add(question)
            self._found[case] = number
            self.asked.append(question)
            return CallTool("look_up", {"number": number})
        self._said[case] = " ".join(f"{case}w{number}x{index}" for index in range(WORDS))
        return self._say(self._said[case])

    def _rest(self, case: str, given: str) -> Turn:
        """From the word behind the last that the caller is said to have heard."""
        words = self._said.get(case, "").split(" ")
        quoted = re.search(r'last: "(.*?)"', given, re.DOTALL)
        heard = quoted[1].split() if quoted is not None else []
        known = [index for index, word in enumerate(words) if heard and heard[-1].endswith(word)]
        rest = words[known[0] + 1 :] if known else words
        return self._say(" ".join(rest)) if rest else Say("And that is all.")

    def _say(self, text: str) -> Say:
        return Say(text, b"".join(self._sound(word) for word in text.split(" ")))

    def _sound(self, word: str) -> bytes:
        """All words are of one length, each with an end of its own: where it was heard, all of the word was."""
        mark = self.marks.setdefault(word, Random(word).randbytes(MARK_BYTES))
        vowel = (babble("a long vowel, and more of it") * 2)[:WORD_BYTES]
        return vowel[: WORD_BYTES - MARK_BYTES] + mark


class Run:
    """One dialect: some calls through one node."""

    def __init__(self, dialect: str, calls: int, minutes: float, start_ms: float, lateness: Lateness) -> None:
        self.dialect = dialect
        self.reports: list[CallReport] = []
        self.records: list[dict[str, Any]] = []
        self.losses: list[Loss] = []
        self.ran: list[str] = []
        self.alarms: list[str] = []
        self.play = Play()
        self._lateness = lateness
        self._calls, self._seconds, self._start_ms = calls, minutes * 60, start_ms

    async def hold(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            agent = Path(folder) / "desk.py"
            agent.write_text(AGENT)
            settings = {
                "FASTBRIDGE_MODEL": MODELS[self.dialect],
                **SETTINGS,
                "FASTBRIDGE_MAX_CALL_SECONDS": str(int(self._seconds) + 120),
            }
            # One model for each call: a session's script must know whose it is before anything was said in it.
            async with contextlib.AsyncExitStack() as stack:
                held = [await self._open(stack, f"{agent}:agent", settings, str(n)) for n in range(self._calls)]
                await asyncio.gather(*(self._call(*each) for each in held))
            self.ran = (Path(folder) / "ran").read_text().splitlines()

    async def _open(
        self, stack: contextlib.AsyncExitStack, agent: str, settings: dict[str, str], case: str
    ) -> tuple[str, ModelServer, Relay, NodeProcess]:
        def script(request: ResponseRequest) -> Turn:
            return self.play.answer_for(case, request)

        model = await stack.enter_async_context(ModelServer(Scenario(script=script, update_ms=self._start_ms)))
        relay = Relay(model, self.dialect == "live", self._lateness)
        url = await stack.enter_async_context(relay)
        return case, model, relay, await stack.enter_async_context(NodeProcess(url, agent, settings=settings))

    async def _call(self, case: str, model: ModelServer, relay: Relay, node: NodeProcess) -> None:
        question = babble("And what about this, for instance?")
        count = int(self._seconds / TURN_SECONDS)
        script: list[Step] = [*[Speak(question, AfterAssistant(2500))] * count, HangUp(AfterAssistant(2500))]
        caller = self.play.callers[case] = SimulatedCaller(
            node.url,
            script,
            auth_token=node.auth_token,
            account_sid=node.account_sid,
            query=f"case={case}",
            limit_seconds=self._seconds * 2 + 60,
            patience_ms=60_000,
        )
        losing = asyncio.create_task(lose_again_and_again(relay, case))
        report = await caller.call()
        losing.cancel()
        record = await node.record(report.call_sid)
        if report.errors or model.errors or record is None or report.ended_by != "caller":
            raise SystemExit(
                f"{self.dialect}: a call went wrong: {report.errors or model.errors}\n{node.log()[-4000:]}"
            )
        self.reports.append(report)
        self.records.append(record)
        self.losses += relay.lines[case].losses
        self.alarms += [line for line in node.log().splitlines() if " ERROR " in line or "Traceback" in line]

    def print(self) -> None:
        """What it has cost."""
        print(f"{self.dialect}: {len(self.losses)} sessions lost in {self._calls} calls of {self._seconds / 60:g} min")
        for when in ("", *WHEN):
            of = [loss for loss in self.losses if not when or loss.when == when]
            if of:
                name = f"{when or 'all'} ({len(of)})"
                print(f"  without the assistant, ms, {name}: {percentiles([1000 * loss.without for loss in of])}")
        if self.losses:
            when, *parts = max(self.losses, key=lambda loss: loss.without)
            told = ", ".join(f"{name} {1000 * part:.0f}" for name, part in zip(Loss._fields[1:], parts, strict=True))
            print(f"  the longest was {when}: {told}")
        for name in ("connected", "confirmed", "heard", "streamed"):
            print(f"    until {name}, ms: {percentiles([1000 * getattr(loss, name) for loss in self.losses])}")
        ran, heard = Counter(self.ran), b"".join(report.heard for report in self.reports)
        counts = Counter(min(heard.count(mark), 2) for mark in self.play.marks.values())
        print(f"  tools asked for {len(self.play.asked)}, run {len(ran)}, twice {sum(n > 1 for n in ran.values())}")
        print(f"  words made {len(self.play.marks)}, heard once {counts[1]}, twice {counts[2]}, not {counts[0]}")
        slow = [wait for report in self.reports for wait in waits(report.said, report.heard, LONGEST_WAIT_MS)]
        print(
            f"  waits of the caller over {LONGEST_WAIT_MS / 1000:g} s: {len(slow)}; lines of alarm {len(self.alarms)}"
        )
        print(f"  waits for an answer, ms: {percentiles([w for r in self.reports for w in answer_waits_ms(r)])}")
        reasons = Counter[str]()
        for record in self.records:
            reasons.update(record["accounting"]["by_reason"])
        print(f"  reconnects {sum(each['model_line']['reconnects'] for each in self.records)}; frames dropped", end=" ")
        print({reason: count for reason, count in reasons.items() if count})


async def lose_again_and_again(relay: Relay, case: str) -> None:
    """Every so often, in turn at any moment, in an answer and in a tool, where there is one in time."""
    began = last = time.monotonic()
    for number, when in enumerate(cycle(WHEN), 1):
        due = max(began + number * EVERY_SECONDS, last + EVERY_SECONDS / 2)
        await asyncio.sleep(due - time.monotonic())
        line = relay.lines[case]
        if when != WHEN[0]:
            line.want(when)
            try:
                await asyncio.wait_for(line.began.wait(), EVERY_SECONDS - 3 * AFTER_SECONDS)
            except TimeoutError:
                when = WHEN[0]
            else:
                await asyncio.sleep(AFTER_SECONDS)
            line.want("")
        line.lose(when)
        last = time.monotonic()


async def play(dialects: Sequence[str], calls: int, minutes: float, start_ms: float) -> None:
    lateness = Lateness()
    runs = [Run(dialect, calls, minutes, start_ms, lateness) for dialect in dialects]
    watching = asyncio.create_task(lateness.watch())
    await asyncio.gather(*(run.hold() for run in runs))
    watching.cancel()
    for run in runs:
        run.print()


def main() -> None:
    parser = argparse.ArgumentParser(description="What a call costs whose session is lost again and again.")
    parser.add_argument("--dialect", choices=list(MODELS), help="one of the two (default: both)")
    parser.add_argument("--calls", type=int, default=1, help="calls at once of each dialect (default: 1)")
    parser.add_argument("--minutes", type=float, default=10, help="of each call, about (default: 10)")
    parser.add_argument(
        "--start-ms", type=float, default=25, help="from a session's settings to its start (default: 25)"
    )
    given = parser.parse_args()
    asyncio.run(play([given.dialect] if given.dialect else list(MODELS), given.calls, given.minutes, given.start_ms))


if __name__ == "__main__":
    main()
