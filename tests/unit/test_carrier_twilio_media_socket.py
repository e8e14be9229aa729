"""The carrier's socket on a transport that only records, on virtual time: admission, deadlines, bounds, one end."""

import gc
import json
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode

from attacker import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL, new_call_sid, sign, start_message, wire
from environment import clear_environment
from fastbridge._pacing import Pacer
from fastbridge.agent import Agent, CallContext
from fastbridge.base.addresses import networks
from fastbridge.call.call import Call
from fastbridge.call.teardown import dismantle, take_apart
from fastbridge.carrier import watch as carrier_watch
from fastbridge.carrier.admission import Directory
from fastbridge.carrier.twilio import media_socket as sockets
from fastbridge.carrier.twilio.media_socket import CarrierSocket, Messages
from fastbridge.config import load_settings
from fastbridge.net.connections import Connections
from helpers import read_frames
from recording_transport import Transport
from virtual import VirtualLoop


@pytest.fixture
def loop():
    loop = VirtualLoop()
    yield loop
    loop.close()
    assert loop.failures == []


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    clear_environment(monkeypatch, tmp_path)


class FakeNode:
    """As much of a node as a socket needs; its calls are real, but they dial nobody."""

    def __init__(self, loop: VirtualLoop, **settings: Any) -> None:
        self.loop = loop
        self.settings = load_settings(public_url=PUBLIC_URL, twilio_auth_token=AUTH_TOKEN, **settings)
        self.directory = Directory(self.settings, loop.clock.now_ns)
        self.connections = Connections(99, 99, self.directory.refuse, proxies=networks(self.settings.trusted_proxies))
        self.reactor = None
        self.calls: list[Call] = []
        self.ended: list[Call] = []
        self.retired: list[tuple[object, ...]] = []

    def retire(self, *parts: object, at_once: bool = False) -> None:
        assert at_once == (not self.calls)
        self.retired.append(parts)

    def begin_call(self, carrier: CarrierSocket, admission: Any, start: Any) -> Call:
        call = Call(
            settings=self.settings,
            agent=Agent(),
            context=CallContext(admission.call_sid, "", "", "inbound", {}),
            stream_sid=start.stream_sid,
            carrier=carrier,
            pacer=Pacer(),
            clock=self.loop.clock,
            dial=lambda call: None,
            spawn=self.loop.create_task,
            ended=self.ended.append,
        )
        self.calls.append(call)
        return call


class Carrier:
    """One CarrierSocket and its transport."""

    def __init__(self, loop: VirtualLoop, **settings: Any) -> None:
        self.loop = loop
        self.node = FakeNode(loop, **settings)
        self.transport = Transport()
        self.call_sid = new_call_sid()
        admission = self.node.directory.admit(
            self.call_sid, ACCOUNT_SID, from_number="", to_number="", direction="inbound", parameters={}
        )
        self.path = f"/media/{admission.token}"
        self.server_state = SimpleNamespace(connections=set())
        self.socket: Any = CarrierSocket(None, self.server_state, {"node": self.node})
        loop.do(self.socket.connection_made, self.transport)

    def again(self) -> "Carrier":
        """Another socket to the same node."""
        self.lose()
        self.transport = Transport()
        self.socket = CarrierSocket(None, self.server_state, {"node": self.node})
        self.loop.do(self.socket.connection_made, self.transport)
        return self

    def knock(self, path: str = "", *, signature: str = "", extra: str = "") -> str:
        path = path or self.path
        signature = signature or sign("wss" + PUBLIC_URL.removeprefix("https") + path)
        head = (
            f"GET {path} HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            f"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"x-twilio-signature: {signature}\r\n{extra}\r\n"
        )
        self.loop.do(self.socket.data_received, head.encode())
        answer, self.transport.written = self.transport.written, b""
        return answer.split(b"\r\n")[0].decode()

    def accepted(self) -> "Carrier":
        assert self.knock() == "HTTP/1.1 101 Switching Protocols"
        return self

    def feed(self, data: bytes) -> None:
        self.loop.do(self.socket.data_received, data)

    def started(self) -> "Carrier":
        self.accepted().feed(wire(1, start_message(self.call_sid)))
        assert len(self.node.calls) == 1
        return self

    def lost(self) -> list[tuple[str, str, str]]:
        """The calls that will be missed, each with why."""
        told: list[tuple[str, str, str]] = []
        self.node.directory.on_lost = lambda admission, *why: told.append((admission.call_sid, *why))
        return told

    def lose(self) -> None:
        self.loop.do(self.socket.connection_lost, None)

    @property
    def frames(self) -> list[Frame]:
        return read_frames(self.transport.written, masked=False)

    @property
    def close_code(self) -> int | None:
        closes = [frame for frame in self.frames if frame.opcode is Opcode.CLOSE]
        assert len(closes) <= 1
        return Close.parse(closes[0].data).code if closes else None


@pytest.fixture
def carrier(loop):
    return Carrier(loop)


def test_a_closed_socket_is_retired_whole(carrier):
    carrier.started().lose()
    ((protocol, socket),) = carrier.node.retired
    assert socket is carrier.socket
    gc.collect()
    gc.disable()
    try:
        parts = [weakref.ref(part) for part in (protocol, socket)]
        take_apart(protocol, socket)
        dismantle(carrier.node.calls[0])
        del protocol, socket
        carrier.socket = None
        for kept in (carrier.node.retired, carrier.node.calls, carrier.node.ended):
            kept.clear()
        assert [part() for part in parts] == [None, None]
    finally:
        gc.enable()


# Messages


def test_messages_are_put_together_in_order():
    messages = Messages()
    assert messages.feed(Frame(Opcode.TEXT, b"whole")) == (True, b"whole")
    assert messages.feed(Frame(Opcode.BINARY, b"a", False)) is None
    assert messages.pending
    assert messages.feed(Frame(Opcode.CONT, b"b", False)) is None
    assert messages.fragments == 2
    assert messages.feed(Frame(Opcode.CONT, b"c")) == (False, b"abc")
    assert not messages.pending
    assert messages.fragments == 0


# The carrier's socket: handshake


def test_a_handshake(carrier):
    carrier.accepted()
    assert carrier.transport.high_water == sockets.CARRIER_BUFFER_BYTES
    assert carrier.server_state.connections == {carrier.socket}
    assert carrier.node.directory.pending == 1, "peeked at, not spent"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "/elsewhere"}, "404"),
        ({"path": "/media/unknown"}, "403"),
        ({"signature": "wrong"}, "403"),
        ({"extra": "x-twilio-signature: second\r\n"}, "403"),
        ({"extra": "sec-websocket-key: second\r\n"}, "400"),
        ({"extra": "content-length: 4\r\n"}, "400"),
        ({"extra": "no colon\r\n"}, "400"),
        ({"extra": "x: y\r\n" * 200}, "400"),
    ],
)
def test_a_refused_handshake_is_answered_and_closed(carrier, request_, status):
    assert carrier.knock(**request_).split()[1] == status
    assert carrier.transport.state == "closed"
    carrier.lose()
    assert carrier.node.directory._total_connections == 0
    assert carrier.server_state.connections == set()
    assert carrier.loop.pending_timers() == []


@pytest.mark.parametrize("fault", ["unknown", "spent", "expired"])
def test_a_token_that_is_worth_nothing_is_refused_and_said_now_and_then(carrier, fault, caplog):
    path = "/media/guess" if fault == "unknown" else carrier.path
    if fault == "spent":
        carrier.node.directory.abandon(carrier.call_sid)
    elif fault == "expired":
        carrier.loop.advance(31)
    assert carrier.knock(path).split()[1] == "403"
    carrier.again().knock(path)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line.startswith(f"[NODE] a media stream was refused: {sockets.TOKEN_FAULTS[f'token_{fault}']}")
    assert carrier.path.rpartition("/")[2] not in line
    assert carrier.node.directory.counters[f"token_{fault}"] == 2
    carrier.lose()


def test_in_dev_without_a_token_no_signature_is_asked_for(loop):
    carrier = Carrier(loop)
    carrier.node.settings = carrier.node.settings.model_copy(update={"twilio_auth_token": None})
    assert carrier.knock(signature="none").split()[1] == "101"


# The carrier's socket: before, during and after a call


def test_start_begins_the_call_and_ends_the_deadline(carrier):
    carrier.started()
    carrier.loop.advance(carrier.node.settings.start_deadline_seconds)
    assert carrier.node.directory.counters["start_deadline"] == 0
    assert carrier.node.directory.pending == 0


def test_no_start_in_time(carrier):
    carrier.accepted().loop.advance(carrier.node.settings.start_deadline_seconds + 0.01)
    assert carrier.close_code == 1008
    assert carrier.node.directory.counters["start_deadline"] == 1
    assert carrier.transport.eof
    carrier.loop.advance(sockets.CLOSE_GRACE_SECONDS)
    assert carrier.transport.state == "aborted"


def another(message: bytes, **changes: Any) -> bytes:
    """A start message, changed."""
    parsed = json.loads(message)
    return json.dumps({**parsed, "start": {**parsed["start"], **changes}}).encode()


ALAW = {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mediaFormat": ALAW}, "the media format is not 8 kHz mono mu-law"),
        ({"accountSid": "AC" + "9" * 32}, "it is another call's or account's"),
        ({"callSid": "CA" + "9" * 32}, "it is another call's or account's"),
        ({"callSid": None}, "a sid is missing or malformed"),
    ],
)
def test_a_start_that_is_refused_is_missed(carrier, changes, why):
    lost = carrier.lost()
    carrier.accepted().feed(wire(1, another(start_message(carrier.call_sid), **changes)))
    assert carrier.close_code == 1008
    assert lost == [(carrier.call_sid, "stream_refused", why)]
    carrier.lose()
    assert lost[1:] == []
    assert carrier.node.directory.pending == 0


@pytest.mark.parametrize("parameters", [None, {}, {"a": 1}, {"a": None}])
def test_parameters_are_no_reason_to_refuse_one(carrier, parameters):
    carrier.accepted().feed(wire(1, another(start_message(carrier.call_sid), customParameters=parameters)))
    assert len(carrier.node.calls) == 1


@pytest.mark.parametrize(
    ("ends", "why"),
    [("silent", "it sent no start"), ("closes", "it closed before its start")],
)
def test_a_stream_without_a_start_is_missed(carrier, ends, why):
    lost = carrier.lost()
    carrier.accepted()
    if ends == "silent":
        carrier.loop.advance(carrier.node.settings.start_deadline_seconds + 0.01)
    carrier.lose()
    assert lost == [(carrier.call_sid, "no_stream", why)]


def test_one_whose_handshake_was_refused_may_come_again(carrier):
    lost = carrier.lost()
    carrier.knock(signature="wrong")
    carrier.lose()
    assert (lost, carrier.node.directory.pending) == ([], 1)


def test_over_tls_which_has_no_half_closed_state_the_end_waits_for_the_peer_all_the_same(carrier, monkeypatch):
    def write_eof() -> None:
        raise NotImplementedError

    monkeypatch.setattr(carrier.transport, "can_write_eof", lambda: False)
    monkeypatch.setattr(carrier.transport, "write_eof", write_eof)
    carrier.accepted().loop.advance(carrier.node.settings.start_deadline_seconds + 0.01)
    assert (carrier.close_code, carrier.transport.state) == (1008, "open")
    carrier.loop.advance(sockets.CLOSE_GRACE_SECONDS)
    assert carrier.transport.state == "aborted"


def test_a_call_that_ends_closes_its_socket_and_waits_for_the_peer(carrier):
    carrier.started()
    carrier.loop.do(carrier.node.calls[0].close, "customer_hangup")
    assert (carrier.close_code, carrier.transport.state, carrier.transport.eof) == (1000, "open", False)
    carrier.feed(wire(1, b"{}") + wire(8, b"\x03\xe8"))
    assert carrier.transport.state == "closed"
    carrier.lose()
    assert carrier.node.ended == carrier.node.calls
    assert carrier.loop.pending_timers() == []


def test_a_peer_that_does_not_close_is_cut_off(carrier):
    carrier.started()
    carrier.loop.do(carrier.node.calls[0].close, "customer_hangup")
    carrier.loop.advance(sockets.CLOSE_GRACE_SECONDS + 0.01)
    assert carrier.transport.state == "aborted"


def test_after_close_nothing_is_heard_and_pings_are_bounded(carrier):
    carrier.accepted()
    carrier.loop.do(carrier.socket.close, 1000, "")
    start = start_message(carrier.call_sid)
    carrier.feed(wire(1, start) + wire(1, start[:5], fin=False) + wire(0, start[5:]))
    assert carrier.node.calls == []
    carrier.feed(wire(9, b"x") * 1000)
    assert len([frame for frame in carrier.frames if frame.opcode is Opcode.PONG]) <= sockets.MAX_CONTROL_PER_SECOND + 1
    carrier.feed(wire(8, b"\x03\xe8"))
    assert carrier.transport.state == "open", "too much was said: its close frame is not looked for any more"
    carrier.loop.advance(sockets.CLOSE_GRACE_SECONDS + 0.1)
    assert carrier.transport.state == "aborted"


def test_after_close_text_that_is_not_utf8_ends_the_listening(carrier):
    carrier.started()
    carrier.loop.do(carrier.node.calls[0].close, "customer_hangup")
    carrier.feed(wire(1, b"\xff") + wire(8, b"\x03\xe8"))
    assert (carrier.close_code, carrier.transport.state) == (1000, "open")
    assert carrier.transport.protocol is carrier.socket, "read in sips"
    carrier.loop.advance(sockets.CLOSE_GRACE_SECONDS + 0.1)
    assert carrier.transport.state == "aborted"


def parsed_bytes(carrier):
    """What the library is given from now on."""
    given: list[bytes] = []
    receive = carrier.socket._protocol.receive_data
    carrier.socket._protocol.receive_data = lambda data: (given.append(data), receive(data))[1]
    return given


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(
    "verdict",
    [
        wire(9) * (sockets.MAX_CONTROL_PER_SECOND + 1),
        wire(1, b"", fin=False) + wire(0, b"", fin=False) * sockets.MAX_FRAGMENTS,
        (wire(1, b"{", fin=False) + wire(0, b"}")) * (sockets.MAX_FRAMES_PER_SECOND // 2 + 1),
        wire(2, b"x"),
        wire(3, b""),
        wire(1, b"\xff"),
        wire(1, b"\xed\xa0 and more")[:9],
        wire(1, b"\xe2", fin=False) + wire(0, b"("),
    ],
    ids=["pings", "fragments", "short fragments", "binary", "no opcode", "not UTF-8", "begun so", "in fragments"],
)
def test_after_its_verdict_nothing_is_parsed(carrier, verdict, started):
    carrier.started() if started else carrier.accepted()
    carrier.feed(verdict + wire(9) * 500)
    assert carrier.close_code in (1002, 1003, 1007, 1008, 1009)
    given = parsed_bytes(carrier)
    carrier.feed((wire(9) + wire(10) + wire(0, b"", fin=False) + wire(8)) * 500)
    assert given == []
    assert carrier.socket._reader.pending_bytes == 0


def test_what_is_not_listened_to_is_read_a_piece_a_turn(carrier):
    carrier.started().feed(wire(2, b"x"))
    assert carrier.transport.protocol is carrier.socket, "uvloop asks anew for its method"
    carrier.feed(bytes(1000))
    assert not carrier.transport.reading
    carrier.loop.advance(2 * sockets.SIP_SECONDS)
    assert carrier.transport.reading


def test_a_stream_that_talks_and_does_not_start(carrier):
    lost = carrier.lost()
    carrier.accepted().feed(wire(1, b'{"event":"connected"}') * sockets.MAX_EARLY_MESSAGES)
    assert carrier.close_code is None
    carrier.feed(wire(1, b'{"event":"connected"}') + wire(1, start_message(carrier.call_sid)))
    assert carrier.close_code == 1008
    assert (carrier.node.calls, lost) == ([], [])
    assert carrier.node.directory.counters["bad_start"] == 1


def test_fragments_in_time_are_no_flood(carrier):
    carrier.started()
    for _ in range(4):
        carrier.feed((wire(1, b'{"event":', fin=False) + wire(0, b'"x"}')) * (sockets.MAX_FRAMES_PER_SECOND // 2))
        carrier.loop.advance(1.1)
    assert carrier.close_code is None


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (wire(8, b"\x03\xe8"), 1000, "customer_hangup"),
        (wire(2, b"x"), 1003, "carrier_protocol"),
        (wire(1, b"x", mask=False), 1002, "carrier_protocol"),
        (wire(1, b"", fin=False) + wire(0, b"", fin=False) * sockets.MAX_FRAGMENTS, 1009, "carrier_protocol"),
        (wire(9) * (sockets.MAX_CONTROL_PER_SECOND + 1), 1008, "carrier_protocol"),
        (wire(1, b"{", fin=False) + wire(8, b"\x03\xe9") + wire(0, b"}"), 1001, "customer_hangup"),
        (wire(1, b"{", fin=False) + wire(9) + wire(8, b"\x03"), 1002, "carrier_protocol"),
        (wire(8, b"\x03\xe8\xff"), 1007, "carrier_protocol"),
        (wire(8, b"\x03\xed"), 1002, "carrier_protocol"),
        (wire(1, b"x", reserved=4), 1002, "carrier_protocol"),
        (wire(9, b"x", reserved=1), 1002, "carrier_protocol"),
        (wire(9, fin=False), 1002, "carrier_protocol"),
        (wire(0, b"x"), 1002, "carrier_protocol"),
        (wire(1, b"x", fin=False) + wire(1, b"x"), 1002, "carrier_protocol"),
        (wire(1, b"\xff"), 1007, "carrier_protocol"),
        (wire(1, b'{"\xf4\x90 and more')[:-8], 1007, "carrier_protocol"),
        (wire(1, b"\xe2", fin=False) + wire(9) + wire(0, b"(", fin=False), 1007, "carrier_protocol"),
        (wire(1, b"\xe2", fin=False) + wire(0), 1007, "carrier_protocol"),
    ],
    ids=[
        *(
            "close",
            "binary",
            "unmasked",
            "fragments",
            "pings",
            "close between fragments",
            "half a code between fragments",
        ),
        *("close without UTF-8", "1005", "reserved bits", "of a ping", "ping in fragments", "nothing to continue"),
        *("not continued", "not UTF-8", "begun so", "in fragments", "unfinished"),
    ],
)
def test_why_a_call_ended(carrier, data, code, reason):
    carrier.started().feed(data)
    assert carrier.close_code == code
    assert [call.end_reason for call in carrier.node.ended] == [reason]


def test_short_fragments_have_a_bound_in_a_second(carrier):
    carrier.started()
    message = wire(1, b'{"event":', fin=False) + wire(0, b'"x"}')
    carrier.feed(message * (sockets.MAX_FRAMES_PER_SECOND // 2))
    assert carrier.close_code is None
    carrier.feed(message)
    assert carrier.close_code == 1008


@pytest.mark.parametrize("fragments", [1, 2])
def test_a_message_that_is_too_long(carrier, fragments):
    size = sockets.MAX_CARRIER_MESSAGE_BYTES
    carrier.started().feed(wire(1, b'{"event":"x"}'.ljust(size)))
    assert carrier.close_code is None
    if fragments == 1:
        carrier.feed(wire(1, b'{"event":"x"}'.ljust(size + 1)))
    else:
        carrier.feed(wire(1, b'{"event":"x"}', fin=False) + wire(0, b" " * (size - 12)))
    assert carrier.close_code == 1009


def test_what_the_reactor_reads_is_not_parsed_either_after_the_verdict(carrier):
    carrier.node.reactor = SimpleNamespace(adopt=lambda transport, reader, read_bytes: SimpleNamespace(release=int))
    carrier.started()
    carrier.loop.do(carrier.socket._reader.feed, wire(2, b"x"))
    assert carrier.close_code == 1003
    given = parsed_bytes(carrier)
    carrier.loop.do(carrier.socket._reader.feed, (wire(9) + wire(8)) * 500)
    assert (given, carrier.socket._reader.pending_bytes) == ([], 0)


def test_as_many_fragments_and_pings_as_are_allowed(carrier):
    carrier.started()
    for _ in range(3):
        carrier.feed(wire(9) * sockets.MAX_CONTROL_PER_SECOND)
        carrier.loop.advance(1.0)
    carrier.feed(wire(1, b"{", fin=False) + wire(0, b"", fin=False) * (sockets.MAX_FRAGMENTS - 1) + wire(0, b"}"))
    assert carrier.close_code is None


def test_an_end_of_stream_within_a_frame(carrier):
    carrier.started().feed(wire(1, b"half")[:7])
    assert carrier.loop.do(carrier.socket.eof_received) is False
    carrier.lose()
    assert [call.end_reason for call in carrier.node.ended] == ["customer_hangup"]


def test_back_pressure_reaches_the_call_and_only_a_call(carrier, monkeypatch):
    monkeypatch.setattr(carrier_watch, "SLOW_CARRIER_SECONDS", 2.0)
    carrier.accepted()
    carrier.loop.do(carrier.socket.pause_writing)
    carrier.loop.do(carrier.socket.resume_writing)
    carrier.feed(wire(1, start_message(carrier.call_sid)))
    carrier.loop.do(carrier.socket.pause_writing)
    for _ in range(4):
        carrier.loop.advance(1.0)
    assert carrier.node.calls[0].end_reason == "carrier_slow"


def test_shutdown_ends_the_call_by_name(carrier):
    carrier.started().loop.do(carrier.socket.shutdown)
    assert carrier.node.calls[0].end_reason == "shutdown"
    assert carrier.close_code == 1000


def test_shutdown_before_a_call(carrier):
    carrier.accepted().loop.do(carrier.socket.shutdown)
    assert carrier.close_code == 1001


def test_nothing_is_written_once_the_connection_is_lost(carrier):
    carrier.started().lose()
    carrier.transport.state = "closed"
    carrier.loop.do(carrier.socket.write, b"late")
    carrier.loop.do(carrier.socket.close, 1000, "")
    assert b"late" not in carrier.transport.written
