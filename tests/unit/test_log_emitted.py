"""What docs/logging.md shows is what the product says: each line is found in the log of a call, or of a node, that was
made to say it. No scene calls a function of the vocabulary; and nobody else makes a line of a call."""

import asyncio
import json
import logging
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from budget_scene import budgets
from environment import clear_environment
from fastbridge import cli
from fastbridge.agent import Agent, CallContext
from fastbridge.call import assembly
from fastbridge.carrier.admission import Admission
from fastbridge.carrier.twilio import rest
from fastbridge.carrier.twilio.media_socket import CarrierSocket
from fastbridge.carrier.twilio.messages import Start
from fastbridge.config import load_settings
from fastbridge.model.realtime.errors import model_error
from fastbridge.net import arrival, descriptors, listening
from fastbridge.net.handover import line_pair
from fastbridge.net.http_socket import SeldomLogger
from fastbridge.net.tunnel import Tunnel
from fastbridge.node.server import announce, create_app
from fastbridge.node.switchboard import READY, Switchboard, WorkerProcess
from fastbridge.store.records import RecordStore
from front_desk import INCOMING, exchange, make_node, post
from helpers import LOUD, QUIET, SID
from longcall import LongCall
from machine_scenes import answering_machine
from outbound_scenes import calls_out, jobs, stored_recordings
from recording_scenes import recordings
from recording_transport import Transport
from transfer_rig import called_for
from tunnels import finder, stand_in
from virtual import RecordingModel, Rig

PACKAGE = Path(__file__).parents[2] / "src" / "fastbridge"
DOCUMENT = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| .* \| (DEBUG|INFO|WARNING|ERROR) \| `(.*)` \|$", DOCUMENT, re.MULTILINE)
SECOND = bytes(8000)
COMPLETED = "conversation.item.input_audio_transcription.completed"
ANY_FIELDS = ("CALL_METRICS",)
"""Events whose fields are told elsewhere: the document shows some."""


def shape(line: str) -> str:
    """A line without what differs from call to call: values, numbers and whatever is quoted."""
    line = re.sub(r'"[^"]*"', '""', line)
    line = re.sub(r"(\b\w+)=[^,()]*", r"\1=", line)
    return re.sub(r"\d+([.:]\d+)*", "#", line)


# --- the scenes ---


class Scene(Rig):
    """A Rig whose parties are not silent."""

    def hears(self, text: str, item_id: str = "caller_1") -> None:
        for kind in ("speech_started", "speech_stopped", "committed"):
            self.model({"type": f"input_audio_buffer.{kind}", "item_id": item_id})
        self.model({"type": COMPLETED, "item_id": item_id, "transcript": text})

    def error(self, code: str, **more: Any) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None, **more}
        self.model({"type": "error", "error": error})

    def leave(self) -> None:
        self.advance(1)
        self.carrier({"event": "stop", "streamSid": SID.decode()})
        self.call.stats.errors.clear()  # those that we made ourselves
        self.shut()


def conversation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A greeting, a tool that answers and one that fails, an interruption, a murmur; with every flag on."""
    agent = Agent(greeting="Hello!")

    @agent.on_start
    async def known(context: CallContext) -> None:
        context.customer_loaded("David")

    @agent.tool
    async def check_availability(context: CallContext, day: str, time: str) -> str:
        """Whether that time is free."""
        if time == "15:00":
            raise LookupError("no such time")
        context.appointment_created(77, f"{day} {time}")
        return "free"

    flags = {"log_realtime_events": True, "log_audio_chunks": True, "log_transcript_deltas": True, "debug_tx": True}
    rig = Scene(agent, enable_min_dsp=True, **flags).up()
    rig.respond(SECOND, 1, "Hello!")
    rig.advance(1.5)
    rig.echo_marks()
    rig.hears("I would like an appointment.")
    rig.begin("resp_2")
    for number, time in enumerate(("14:00", "15:00")):
        rig.tool_call(f"call_{number}", "check_availability", f'{{"day": "2024-01-25", "time": "{time}"}}', "resp_2")
    rig.done("resp_2")
    rig.advance(0.2)
    rig.begin("resp_broken")
    rig.tool_call_begins("call_9", "check_availability", "resp_broken")
    rig.done("resp_broken", "cancelled")
    rig.advance(0.2)
    rig.begin("resp_3", "item_3")
    delta = {"type": "response.output_audio_transcript.delta", "response_id": "resp_3", "item_id": "item_3"}
    rig.model({**delta, "delta": "There is"})
    rig.delta(SECOND * 8, "resp_3", "item_3")
    rig.advance(1)
    rig.caller_says(*[LOUD] * 7, *[QUIET] * 60)  # taken back
    rig.advance(1)
    rig.caller_says(*[LOUD] * 40)
    rig.leave()


def long_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Scene(max_call_seconds=60, silence_seconds=0).up()
    rig.advance(31)
    rig.leave()


def silence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody speaks, and the desk hangs up by REST."""
    rig = with_control(Rig(silence_seconds=5, silence_prompts=1)).up()
    for number in range(1, 4):
        rig.advance(8)
        rig.respond(SECOND, number, "Are you still there?")
        rig.advance(1.5)
        rig.echo_marks()
    rig.advance(5)
    assert rig.call.end_reason == "silence"
    rig.shut()


def departures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The agent refers the caller to nobody, then hangs up by REST."""
    agent = Agent(transfer_to={"reception": "+14155550188"})

    @agent.on_start
    async def leave(context: CallContext) -> None:
        assert not context.transfer("nobody")
        context.hang_up()

    rig = with_control(Rig(agent)).up()
    rig.advance(3)
    assert rig.call.end_reason == "agent_hangup"
    rig.shut()


class Control:
    """The carrier's API."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def hang_up(self, account_sid: str, call_sid: str) -> bool:
        return True

    async def connect(self, account_sid: str, call_sid: str, number: str) -> bool:
        await asyncio.sleep(self.seconds)
        return True


def with_control(rig: Rig, seconds: float = 0.0) -> Rig:
    rig.call.hangup._control = Control(seconds)
    return rig


def hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One look-up is late; one hook fails, then hangs."""
    agent = Agent()

    @agent.on_call
    async def look_up(context: CallContext) -> None:
        await asyncio.sleep(5)

    @agent.on_transcript
    async def noted(turn: Any) -> None:
        if turn.text == "fail":
            raise LookupError("nowhere")
        await asyncio.sleep(3600)

    rig = Scene(agent).connected()
    rig.advance(0.7)
    rig.up()
    rig.hears("fail")
    rig.hears("hang", "caller_2")
    rig.advance(11)
    rig.leave()


def session_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An agent whose settings no model takes together, and a model that asks by itself whether anybody is there."""
    agent = Agent()

    @agent.on_call
    def look_up(context: CallContext) -> Agent:
        return context.agent.changed(settings={"turn_detection": "semantic_vad", "vad_idle_ms": 6000})

    rig = Scene(agent).up()
    rig.model({"type": "input_audio_buffer.timeout_triggered", "item_id": "item_q"})
    rig.leave()


def model_troubles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that the model may say and do amiss in a session, and a bug of ours."""
    rig = Scene(Agent(greeting="Hello!"), enable_min_dsp=True, noise_reduction="near_field").connected()
    rig.model({"type": "session.created", "session": {"id": "sess_1"}})
    rig.error("unknown_parameter", param="session.audio.input.noise_reduction")
    rig.confirm("audio/pcm")
    rig.confirm()
    (create,) = rig.sent("response.create")
    rig.error("invalid_value", event_id=create["event_id"], param="response.voice")
    rig.error("something_new", param="voice")
    rig.error("response_cancel_not_active")
    rig.model({"type": "response.done"})
    failed = {"type": "conversation.item.input_audio_transcription.failed", "item_id": "item_u"}
    rig.model({**failed, "error": {"type": "error", "code": "audio_unintelligible", "message": "No."}})
    rig.carrier(b"{")
    rig.call.line.counters["safety_fuse"] += 1
    rig.carrier({"event": "start", "start": {}, "streamSid": SID.decode()})
    rig.call.dsp.last_output = float("nan")
    rig.advance(1.2)
    monkeypatch.setattr(rig.call.idle, "speech_started", lambda: 1 / 0)
    rig.model({"type": "input_audio_buffer.speech_started", "item_id": "item_x"})
    rig.call.stats.errors.clear()
    rig.call.line.counters["safety_fuse"] = 0
    rig.begin("resp_8")
    error = {"type": "requests", "code": "rate_limit_exceeded", "message": "No."}
    rig.done("resp_8", "failed", status_details={"error": error})
    rig.begin("resp_9")
    rig.advance(9)  # it makes no progress
    rig.leave()


def tools_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The caller hangs up while a tool is at work, and the tool ends all the same; another says how many it found."""
    agent, finish = Agent(), threading.Event()

    @agent.tool
    async def check_availability() -> dict[str, list[str]]:
        return {"available_slots": ["14:00", "14:30", "15:00"]}

    @agent.tool
    def book() -> str:
        finish.wait(10)
        return "Booked for 14:00"

    told: list[Any] = []
    rig = Scene(agent)
    rig.call.late_tools._told = lambda *what: told.append(what)
    rig.loop.threads_hold_time = False
    rig.up().begin("resp_1")
    rig.tool_call("call_1", "check_availability")
    rig.tool_call("call_2", "book")
    rig.done("resp_1")
    rig.advance(1)
    rig.carrier({"event": "stop", "streamSid": SID.decode()})
    finish.set()
    while not told:
        rig.loop.advance(0.001)
    rig.shut()


def late_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Scene().up()
    rig.respond(SECOND * 4)
    rig.advance(0.5)
    rig.loop.now_ns += 700_000_000
    rig.advance(1.5)
    rig.do(rig.call.carrier_watch.stalled, True)
    rig.leave()


def wrong_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lane with a bug: it says so itself, to whom it was told to."""
    told = []

    def lane(**options: Any) -> Any:
        told.append(options["on_bad_frame"])
        return made(**options)

    made = assembly.AssistantLane
    monkeypatch.setattr(assembly, "AssistantLane", lane)
    rig = Scene().up()
    rig.do(told[0], 3, 161)
    rig.leave()


def lines_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The model does not answer in time, is lost and found again, and in the end gives up for good."""
    rig = Scene().started()
    rig.refuse("connect_timeout")
    rig.advance(1)
    rig.connect()
    rig.open_session()
    rig.lose_model()
    rig.advance(0.2)
    rig.connect()
    rig.open_session(2)
    rig.advance(1)
    rig.error("insufficient_quota")
    rig.advance(12)
    rig.shut()


def timeouts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the node's own dialling tells it."""
    rig = Rig().started()
    rig.do(rig.attempt.on_model_failed, model_error(TimeoutError()))
    rig.advance(0.05)
    rig.shut()


def renewed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Rig(silence_seconds=0, session_renew_seconds=60, max_call_seconds=7200).up()
    rig.respond(SECOND, 1, "Hello.")
    rig.advance(60.1)
    rig.do(rig.attempt.on_model_failed, model_error(TimeoutError()))
    rig.advance(30.1)
    rig.model_link = RecordingModel(rig)
    rig.model_links.append(rig.model_link)
    rig.do(rig.attempt.on_model_connected, rig.model_link)
    both = {side: {"format": {"type": "audio/pcmu"}} for side in ("input", "output")}
    rig.do(rig.attempt.feed_message, b'{"type": "session.created", "session": {"id": "sess_2"}}')
    rig.do(rig.attempt.feed_message, json.dumps({"type": "session.updated", "session": {"audio": both}}).encode())
    rig.advance(0.2)
    rig.shut()


def not_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The model is given up, and Twilio takes too long to pass the caller on."""
    rig = with_control(Rig(fallback_number="+14155550177"), seconds=60).up()
    rig.do(rig.call.fallback.give_up, "model_lost")
    rig.advance(6)
    rig.echo_marks()
    rig.advance(7)
    rig.shut()


def dead_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Rig().up()
    rig.advance(7, line=False)
    rig.shut()


def ended_by_webhook(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for end in ("on_carrier_status", "on_stream_ended"):
        rig = Rig().up()
        rig.do(getattr(rig.call, end), *(["completed"] if end == "on_carrier_status" else []))
        rig.shut()


def front_desk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A webhook that takes long, and one that breaks."""
    node = make_node()
    times_ns = iter((0, 380_000_000, 413_000_000))
    monkeypatch.setattr(arrival, "time", SimpleNamespace(monotonic_ns=lambda: next(times_ns)))
    post(node, INCOMING)
    node.directory.admit = None
    monkeypatch.undo()
    post(node, INCOMING)


def node_life(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A node that starts, in which a task fails, and whose hang-up Twilio refuses."""
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(rest, "RETRY_SECONDS", 0)
    given = {"public_url": "https://voice.example.com", "openai_base_url": "http://127.0.0.1:9/v1", "metrics_port": 0}
    credentials = {"twilio_account_sid": "AC" + "0" * 32, "twilio_auth_token": "0" * 32}
    settings = load_settings(database_url="none", **given, **credentials)
    app = create_app(settings, Agent())

    async def scene() -> None:
        announce(settings)
        async with app.router.lifespan_context(app) as state:
            node = state["node"]
            refusing = httpx2.MockTransport(lambda request: httpx2.Response(500, json={"code": 20500}))
            node.rest._http = httpx2.AsyncClient(transport=refusing)
            sid = "CA" + "12" * 16
            admission = Admission(sid, "AC" + "0" * 32, "", "", "inbound", {}, 0, "token")
            node.begin_call(NoCarrier(), admission, Start("AC" + "0" * 32, sid, "MZ" + "5" * 32))
            await node.rest.hang_up("AC" + "0" * 32, sid)
            node.drain()
            node.cut()
            node.directory.on_lost(admission, "stream_refused", "the media format is not 8 kHz mono mu-law")
            node.spawn(fail())
            await asyncio.sleep(0)

    async def fail() -> None:
        raise ValueError("a bug")

    asyncio.run(scene())


def crowds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A node with too few descriptors for its calls, and somebody who opens one connection after the other."""
    clear_environment(monkeypatch, tmp_path)
    monkeypatch.setattr(descriptors, "raise_limit", lambda: 1024)
    settings = load_settings(public_url="https://voice.example.com", database_url="none")
    listening.prepare(settings.model_copy(update={"dev": True, "twilio_auth_token": None}), settings.max_calls)
    listening.say_closed([0, 2])
    store = RecordStore(f"sqlite:///{tmp_path}/none/there.db", None)
    store.put({"call_sid": "CA1", "started_at": "2024-01-21T19:30:26"})
    store.close()
    node = create_app(settings, Agent()).state.node
    node.connections.limit = 1
    for _ in range(2):
        node.connections.enter(Transport(), "192.0.2.7")


def strangers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stream that comes twice, one that a proxy has made a plain request of, and a number of no business."""
    clear_environment(monkeypatch, tmp_path)
    node = create_app(load_settings(public_url="https://voice.example.com", database_url="none"), Agent()).state.node
    socket = CarrierSocket(None, SimpleNamespace(connections=set()), {"node": node})  # type: ignore[arg-type]

    async def knock() -> None:
        socket.connection_made(Transport())
        upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        key = f"Sec-WebSocket-Key: {'A' * 22}==\r\n"
        socket.data_received(f"GET /media/x HTTP/1.1\r\nHost: x\r\n{upgrade}{key}\r\n".encode())

    asyncio.run(knock())
    logger = SeldomLogger(logging.getLogger("uvicorn.error"), node.connections, "192.0.2.7")
    logger.warning("Invalid HTTP request received.")
    desk = make_node()
    exchange(desk, "GET", "/media/x")
    desk.agent.for_business("456", greeting="Hi.")
    post(desk, f"{INCOMING}?business_id=457")


def lost_tunnel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A tunnel that opens and then ends by itself."""
    monkeypatch.chdir(tmp_path)
    with Tunnel(5050, find=finder(stand_in(tmp_path, "cloudflared", after="time.sleep(0.3); sys.exit(1)"))) as opened:
        opened._reader.join(10)


class NoCarrier:
    def write(self, frame: bytes) -> None:
        pass

    def close(self, code: int, reason: str) -> None:
        pass


def advised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`fastbridge serve` with a setting that is none, as far as the node's start."""
    clear_environment(monkeypatch, tmp_path)
    given = {"FASTBRIDGE_PROMTS_DIR": "/x", "OPENAI_API_KEY": "sk-x", "FASTBRIDGE_DEV": "1", "PORT": "0"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with monkeypatch.context() as patched:
        patched.setattr("fastbridge.node.server.serve", lambda settings, agent: None)
        patched.setattr("fastbridge.observe.log_policy.configure_from", lambda settings: None)
        cli.serve()


def switchboard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real worker process, which ends by itself."""
    clear_environment(monkeypatch, tmp_path)

    class Board(Switchboard):
        begun = 0

        async def _begin(self, number: int, *, again: bool = False) -> WorkerProcess:
            self.begun += 1
            process = await asyncio.create_subprocess_exec("true")
            ours, theirs = line_pair()
            theirs.close()
            worker = self._running[number] = WorkerProcess(number, process, ours)
            worker._on_message(READY, b"", None)
            worker._pinged_s = 1.0  # long ago
            return worker

    async def scene() -> None:
        board = Board(load_settings(workers=1, dev=True), None, Path("unused"))
        async with asyncio.timeout(20):
            await board.start()
            while board.begun < 2:  # noqa: ASYNC110 (another process tells nobody)
                await asyncio.sleep(0.01)
            await board.close()

    asyncio.run(scene())


def long_calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Calls that have more to say than there is room for."""
    logging.getLogger("fastbridge.events").setLevel(logging.INFO)
    LongCall(("tools", "drops"), turns=25).play()
    LongCall(("tools", "failing_tools", "complaints", "rubbish", "hooks", "drops", "own_lines"), turns=25).play()


SCENES = [
    advised,
    *(
        conversation,
        tools_left,
        long_one,
        budgets,
        silence,
        departures,
        called_for,
        hooks,
        model_troubles,
        late_frames,
        wrong_frames,
        lines_lost,
    ),
    session_options,
    answering_machine,
    *(timeouts, renewed, not_passed_on, dead_line, ended_by_webhook, front_desk, node_life, crowds, strangers),
    *(lost_tunnel, switchboard, calls_out, jobs, long_calls, recordings, stored_recordings),
]


class Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "fastbridge.events":
            self.said.append((record.levelname, record.getMessage()))


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """(level, line) of everything that was said in all scenes."""
    logger, listener = logging.getLogger("fastbridge.events"), Listener()
    logger.addHandler(listener)
    try:
        for scene in SCENES:
            with pytest.MonkeyPatch.context() as patch:
                logger.setLevel(logging.DEBUG)
                scene(patch, tmp_path_factory.mktemp(scene.__name__))
    finally:
        logger.removeHandler(listener)
        logger.setLevel(logging.NOTSET)
    return listener.said


@pytest.mark.parametrize(("event", "level", "line"), ROWS, ids=[row[0] for row in ROWS])
def test_what_is_documented_is_said(said, event, level, line):
    shapes = {shape(text) for at, text in said if at == level}
    if any(f"[{tag}]" in line for tag in ANY_FIELDS):
        (found,) = {each for each in shapes if each.startswith(line.partition(" ")[0])}
        assert set(re.findall(r"\w+=", shape(line))) <= set(re.findall(r"\w+=", found))
    else:
        assert shape(line) in shapes


BLOCKS = re.findall(r"^```\n(\[[A-Z].*?)```", DOCUMENT, re.MULTILINE | re.DOTALL)
SUMS, STEPS = (block.splitlines() for block in BLOCKS[:2])
FLAGS = re.findall(r"^\| `[A-Z_]+=1` \| `(.*?)`: ", DOCUMENT, re.MULTILINE)


def test_the_blocks_are_those_that_are_meant():
    assert [line.partition("]")[0] for line in SUMS] == ["[TRANSCRIPT", "[TOOL_CALL", "[REALTIME", "[HELD_BACK"]
    assert len(STEPS) == 8
    assert len(FLAGS) == 4


@pytest.mark.parametrize("line", STEPS)
def test_the_steps_of_an_interruption_are_said_in_development(said, line):
    shapes = {re.sub(r"resp_[\w#]+", "resp", shape(text)) for level, text in said if level == "DEBUG"}
    assert re.sub(r"resp_\w+", "resp", shape(f"{line}, call_sid=CA1")) in shapes


@pytest.mark.parametrize("line", FLAGS)
def test_what_the_flags_add_is_said(said, line):
    wanted = shape(line).partition(", …")[0]
    assert [text for level, text in said if level == "INFO" and shape(text).startswith(wanted)] != []


@pytest.mark.parametrize("line", SUMS)
def test_sums_are_said(said, line):
    wanted = "[HELD_BACK] " if line.startswith("[HELD_BACK]") else shape(line).partition(", ")[0]
    assert [text for _, text in said if shape(text).startswith(wanted)] != []


SPEAKERS = {"events", "call_log", "trace"}
"""Who may make a line of a call: the vocabulary, for what is documented; the trace, for what a flag or DEBUG shows."""


SOURCES = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "sim"]


@pytest.mark.parametrize("path", sorted(SOURCES), ids=str)
def test_a_line_of_a_call_is_one_of_the_vocabulary(path):
    source = path.read_text()
    if path.stem not in SPEAKERS:
        assert re.findall(r"(?:self\._?log|call\.log|\.journal)(?:\.debug|\.failure|\.say)?\(", source) == []
    if path.stem != "webhooks":  # of calls that it refuses
        assert re.findall(r"logger\.\w+\([^)]*call_sid", source) == []
