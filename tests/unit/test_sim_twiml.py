"""TwiML on virtual time: verbs in their order, what they wait for, and orders in between."""

import asyncio
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import pytest

import loops
from fastbridge.sim.media_line import LineError
from fastbridge.sim.twiml import Document, Follower, StreamEnd, parsed, seconds_of

pytestmark = pytest.mark.usefixtures("virtual_loops")
STREAM = '<Connect{}><Stream url="wss://ours.example/media"><Parameter name="a" value="b"/></Stream></Connect>'


class Phone:
    """A call that writes down. Its stream lasts until it is stopped, or `stream_seconds`, and then `by` ended it."""

    call_sid = "CA1"
    account_sid = "AC1"
    from_number = "+1"

    def __init__(self, documents: Mapping[str, str], digits: list[str], stream_seconds: float, by: str) -> None:
        self.notes: list[tuple[float, str, str]] = []
        self.fetched: list[tuple[str, dict[str, str], str]] = []
        self.streamed: list[tuple[str, dict[str, str]]] = []
        self._documents = documents
        self._digits = digits
        self._end = (stream_seconds, by)
        self._stopped: asyncio.Future[str] | None = None
        self._began = asyncio.get_running_loop().time()

    def note(self, kind: str, text: str = "") -> None:
        self.notes.append((round(asyncio.get_running_loop().time() - self._began, 1), kind, text))

    def press(self) -> str:
        return self._digits.pop(0) if self._digits else ""

    async def fetch(self, url: str, fields: Mapping[str, str], method: str = "POST") -> Document:
        self.fetched.append((url, dict(fields), method))
        await asyncio.sleep(0.5)
        if url not in self._documents:
            raise LineError(f"11200 {url}")
        return parsed(f"<Response>{self._documents[url]}</Response>", url)

    async def stream(self, url: str, parameters: dict[str, str]) -> StreamEnd:
        self.streamed.append((url, parameters))
        self._stopped = asyncio.get_running_loop().create_future()
        try:
            return StreamEnd(await asyncio.wait_for(self._stopped, self._end[0]), "MZ1")
        except TimeoutError:
            return StreamEnd(self._end[1], "MZ1")

    def stop_stream(self, by: str) -> bool:
        if self._stopped is None or self._stopped.done():
            return False
        self._stopped.set_result(by)
        return True


class Exchange:
    """Others: a dial lasts ten seconds, a queue twenty."""

    def __init__(self) -> None:
        self.broken_off = 0

    async def dial(self, phone: Any, verb: Any, url: str) -> dict[str, str]:
        return await self._last(10, {"DialCallStatus": "completed"})

    async def enqueue(self, phone: Any, verb: Any, url: str) -> dict[str, str]:
        return await self._last(20, {"QueueResult": "bridged"})

    async def _last(self, seconds: float, told: dict[str, str]) -> dict[str, str]:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.broken_off += 1
            raise
        return told


class Play:
    """What came of a document. orders: after so many seconds; an empty one is the person's, who hangs up."""

    def __init__(
        self,
        twiml: str,
        *,
        documents: Mapping[str, str] | None = None,
        digits: tuple[str, ...] = (),
        alone: bool = False,
        orders: Mapping[float, dict[str, str]] | None = None,
        stream_seconds: float = 5.0,
        by: str = "server",
        url: str = "https://ours.example/voice",
    ) -> None:
        self.loop = loops.virtual()
        self.exchange = Exchange()
        self.taken: list[bool] = []
        self.error = ""
        self.seconds = 0.0
        told = (documents or {}, list(digits), stream_seconds, by)
        self.loop.run_until_complete(self._run(parsed(f"<Response>{twiml}</Response>", url), told, alone, orders or {}))

    async def _run(self, document: Document, told: Any, alone: bool, orders: Mapping[float, dict[str, str]]) -> None:
        self.phone = Phone(*told)
        self.follower = Follower(self.phone, None if alone else self.exchange)
        for at, order in orders.items():
            self.loop.call_later(at, self._order, order)
        began = self.loop.time()
        try:
            await self.follower.follow(self._first(document))
        except LineError as error:
            self.error = str(error)
        self.seconds = round(self.loop.time() - began, 1)

    def _order(self, order: dict[str, str]) -> None:
        if order:
            self.taken.append(self.follower.order(order))
        else:
            self.follower.hang_up()

    async def _first(self, document: Document) -> Document:
        return document

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.phone.notes]


def test_verbs_take_their_time_one_after_the_other() -> None:
    play = Play("<Say>Thirty characters, exactly 30.</Say><Pause length='3'/><Play>x.mp3</Play><Hangup/><Say>x</Say>")
    assert [(at, kind) for at, kind, _ in play.phone.notes] == [
        (0, "say"),
        (2, "pause"),
        (5, "play"),
        (7, "hang_up"),
    ]
    assert (play.follower.ended_by, play.follower.over) == ("server", True)


def test_none_where_there_is_no_exchange() -> None:
    play = Play("<Say>Good morning.</Say><Dial>+14155550109</Dial>", alone=True)
    assert play.seconds == 0
    assert [(kind, text) for _, kind, text in play.phone.notes[:2]] == [
        ("say", "Good morning."),
        ("dial", "+14155550109"),
    ]


@pytest.mark.parametrize(("by", "status"), [("server", "in-progress"), ("caller", "completed")])
def test_behind_a_stream_the_action_decides(by: str, status: str) -> None:
    action = {"https://ours.example/after": "<Say>Bye.</Say>"}
    play = Play(STREAM.format(' action="/after"') + "<Play/>", documents=action, by=by)
    assert play.phone.streamed == [("wss://ours.example/media", {"a": "b"})]
    assert play.phone.fetched == [("https://ours.example/after", {"CallStatus": status, "StreamSid": "MZ1"}, "POST")]
    assert play.kinds == (["say", "hang_up"] if by == "server" else [])
    assert play.follower.ended_by == by


def test_or_the_next_verb() -> None:
    assert Play(STREAM.format("") + "<Play/>").kinds == ["play", "hang_up"]
    assert Play(STREAM.format("") + "<Play/>", by="caller").kinds == []


@pytest.mark.parametrize("order", [{"Status": "completed"}, {"Twiml": "<Response><Play/></Response>"}, {}])
@pytest.mark.parametrize(
    "verb",
    [
        STREAM.format(' action="/after"'),
        "<Dial action='/after'>+1</Dial>",
        "<Pause length='9'/>",
        "<Gather timeout='9'/>",
        "<Enqueue action='/after'>q</Enqueue>",
        "<Redirect>/slow</Redirect>",
    ],
)
def test_an_order_breaks_off_whatever_goes_on(verb: str, order: dict[str, str]) -> None:
    play = Play(verb, orders={0.3: order})
    assert play.error == ""
    assert play.seconds == (2.3 if "Twiml" in order else 0.3)
    assert play.follower.ended_by == ("server" if order else "caller")
    tail = {"Twiml": ["rest", "play", "hang_up"], "Status": ["rest", "hang_up"]}.get("".join(order), [])
    assert play.kinds[len(play.kinds) - len(tail) :] == tail
    assert play.exchange.broken_off == ("Dial" in verb or "Enqueue" in verb)
    assert all("after" not in url for url, *_ in play.phone.fetched)


def test_by_address_it_is_fetched() -> None:
    documents = {"https://ours.example/else": "<Play/>"}
    play = Play(
        "<Pause length='9'/>", documents=documents, orders={1: {"Url": "https://ours.example/else", "Method": "GET"}}
    )
    assert play.phone.fetched == [("https://ours.example/else", {"CallStatus": "in-progress"}, "GET")]
    assert play.seconds == 3.5


def test_one_order_at_a_time_and_none_behind_the_end() -> None:
    at_once = 1 + 1e-10
    orders = {1: {"Url": "https://x/"}, at_once: {"Twiml": "x"}, 1.2: {"Status": "completed"}}
    play = Play("<Pause length='9'/>", orders=orders)
    assert play.taken == [True, False, True], "the first is being carried out when the last comes"
    assert not play.follower.order({"Status": "completed"})
    assert play.follower.ended_by == "server"


def test_dial_and_queue_tell_their_action() -> None:
    documents = {"https://ours.example/after": "<Hangup/>"}
    play = Play("<Dial action='after'>+1</Dial>", documents=documents)
    assert play.phone.fetched[0][1] == {"CallStatus": "in-progress", "DialCallStatus": "completed"}
    play = Play("<Enqueue action='after' method='GET'>q</Enqueue>", documents=documents)
    assert play.phone.fetched[0][1:] == ({"CallStatus": "in-progress", "QueueResult": "bridged"}, "GET")
    assert Play("<Dial>+1</Dial><Play/>").kinds == ["dial", "play", "hang_up"]


def test_keys_go_to_the_action_or_to_the_same_address_again() -> None:
    documents = {"https://ours.example/keys": "<Play/>", "https://ours.example/voice": "<Hangup/>"}
    play = Play("<Gather action='/keys'><Say>Press one.</Say></Gather>", documents=documents, digits=("1",))
    assert play.phone.fetched == [("https://ours.example/keys", {"CallStatus": "in-progress", "Digits": "1"}, "POST")]
    assert Play("<Gather/>", documents=documents, digits=("1",)).phone.fetched[0][0] == "https://ours.example/voice"


def test_no_keys() -> None:
    play = Play("<Gather timeout='3' action='/keys'/><Play/>")
    assert (play.phone.fetched, play.seconds) == ([], 5)
    documents = {"https://ours.example/keys": ""}
    play = Play("<Gather actionOnEmptyResult='true' action='/keys'/>", documents=documents)
    assert play.phone.fetched[0][1]["Digits"] == ""


def test_a_document_leads_to_another() -> None:
    play = Play("<Redirect method='GET'>other?a=b</Redirect><Play/>", documents={"https://ours.example/other?a=b": ""})
    assert play.phone.fetched == [("https://ours.example/other?a=b", {"CallStatus": "in-progress"}, "GET")]
    assert play.kinds == ["hang_up"]


def test_but_not_in_a_circle() -> None:
    play = Play("<Redirect/>", documents={"https://ours.example/voice": "<Redirect/>"})
    assert play.error == "more than 20 TwiML verbs in one call"


@pytest.mark.parametrize(
    ("twiml", "error"),
    [
        ("<Connect/>", "12100 <Connect> without <Stream url>"),
        ("<Redirect>/gone</Redirect>", "11200 https://ours.example/gone"),
    ],
)
def test_where_it_breaks(twiml: str, error: str) -> None:
    play = Play(twiml)
    assert (play.error, play.follower.over) == (error, True)


def test_an_order_that_is_no_twiml() -> None:
    assert Play("<Pause length='9'/>", orders={1: {"Twiml": "<Say/>"}}).error.startswith(
        "12100 TwiML begins with <Say>"
    )


@pytest.mark.parametrize("text", ["", "<Response>", "<Say/>"])
def test_what_is_no_twiml(text: str) -> None:
    with pytest.raises(LineError, match="12100"):
        parsed(text)


@pytest.mark.parametrize(
    ("verb", "seconds"),
    [
        ("<Say>123456789012345</Say>", 1),
        ("<Pause/>", 1),
        ("<Pause length='4'/>", 4),
        ("<Play>x</Play>", 2),
        ("<X/>", 0),
    ],
)
def test_how_long_a_verb_is(verb: str, seconds: float) -> None:
    assert seconds_of(ElementTree.fromstring(verb)) == seconds


def test_an_order_that_comes_with_the_answer_comes_first() -> None:
    documents = {"https://ours.example/next": STREAM.format("")}
    play = Play("<Redirect>/next</Redirect>", documents=documents, orders={0.5: {"Status": "completed"}})
    assert (play.phone.streamed, play.seconds) == ([], 0.5)
