"""TwiML, as a call obeys it: verb after verb, until the call ends or an order of the REST API leads it elsewhere.

It opens no socket: `Phone` is the call, with its webhooks and its media stream, `Exchange` the other calls, conferences
and queues. Without an exchange, what would lead to one is only noted, and speech takes no time.

Source: Twilio, "TwiML for Programmable Voice".
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import urljoin
from xml.etree import ElementTree

from fastbridge.sim.media_line import LineError

MAX_VERBS = 20
"""Of TwiML followed in one call: a document that leads back to itself ends."""
CHARACTERS_A_SECOND = 15.0
"""Of <Say>."""
PLAY_SECONDS = 2.0
"""Of a recording, which nobody fetches."""
GATHER_SECONDS = 5.0

_T = TypeVar("_T")


class Document(NamedTuple):
    """TwiML, and the address it came from, which its own are relative to."""

    root: ElementTree.Element
    url: str = ""


class StreamEnd(NamedTuple):
    """by: caller or server."""

    by: str
    stream_sid: str


class Phone(Protocol):
    """The call that obeys."""

    call_sid: str
    account_sid: str
    from_number: str

    def note(self, kind: str, text: str = "") -> None: ...
    def press(self) -> str:
        """The keys at this <Gather>; empty for none."""

    async def fetch(self, url: str, fields: Mapping[str, str], method: str = "POST") -> Document:
        """LineError for anything but TwiML."""

    async def stream(self, url: str, parameters: dict[str, str]) -> StreamEnd:
        """One media stream, to its end."""

    def stop_stream(self, by: str) -> bool:
        """False if there is none."""


class Exchange(Protocol):
    """What calls meet in. Both wait until the call is alone again, are cancelled when it goes elsewhere, and return
    what the verb's action is told."""

    async def dial(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]: ...
    async def enqueue(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]: ...


class _EndedError(Exception):
    """The call is over."""


class _GotoError(Exception):
    def __init__(self, document: Document) -> None:
        self.document = document


def parsed(text: str, url: str = "") -> Document:
    """LineError with Twilio's code for what is no TwiML."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise LineError(f"12100 TwiML cannot be parsed: {error}") from None
    if root.tag != "Response":
        raise LineError(f"12100 TwiML begins with <{root.tag}>, not <Response>")
    return Document(root, url)


class Follower:
    """One call's way through its documents. `ended_by`: caller, server, or nobody so far."""

    def __init__(self, phone: Phone, exchange: Exchange | None = None) -> None:
        self.ended_by = "nobody"
        self.over = False
        self._phone = phone
        self._exchange = exchange
        self._verbs = 0
        self._order: dict[str, str] | None = None
        self._ordered = asyncio.Event()

    def order(self, form: dict[str, str]) -> bool:
        """Of the REST API: `Status` ends the call, `Twiml` or `Url` is what it goes on with. False where it is over,
        or already under orders."""
        if self.over or self._order is not None:
            return False
        self._order = form
        self._ordered.set()
        self._phone.stop_stream("server")
        return True

    def hang_up(self) -> None:
        """The person at the telephone has had enough."""
        if not self.over:
            self._order = {}
            self._ordered.set()
            self._phone.stop_stream("caller")

    async def follow(self, first: Coroutine[Any, Any, Document]) -> None:
        """From the first document to the end of the call. LineError where it breaks."""
        try:
            await self._to_the_end(first)
        except _EndedError:
            pass
        finally:
            self.over = True

    async def _to_the_end(self, first: Coroutine[Any, Any, Document]) -> None:
        step = self._goto(first)
        while True:
            try:
                await step
                break
            except _GotoError as goto:
                step = self._document(goto.document)
        self._end("server")
        self._phone.note("hang_up", "by the node's TwiML")

    async def _document(self, document: Document) -> None:
        for verb in document.root:
            self._verbs += 1
            if self._verbs > MAX_VERBS:
                raise LineError(f"more than {MAX_VERBS} TwiML verbs in one call")
            if verb.tag in ("Hangup", "Reject"):
                return
            await self._verb(verb, document.url)
            if self._order is not None:
                await self._obey()

    async def _verb(self, verb: ElementTree.Element, url: str) -> None:
        if verb.tag == "Connect":
            await self._connect(verb, url)
        elif verb.tag == "Redirect":
            target = urljoin(url, (verb.text or "").strip())
            await self._goto(self._phone.fetch(target, {"CallStatus": "in-progress"}, verb.get("method", "POST")))
        else:
            self._phone.note(verb.tag.lower(), "".join(verb.itertext()).strip())
            if self._exchange is not None:
                await self._timed(self._exchange, verb, url)

    async def _timed(self, exchange: Exchange, verb: ElementTree.Element, url: str) -> None:
        """What takes its time, or leads to somebody else."""
        if verb.tag == "Gather":
            await self._gather(verb, url)
        elif verb.tag == "Dial":
            await self._leave_to(verb, url, exchange.dial(self._phone, verb, url))
        elif verb.tag == "Enqueue":
            await self._leave_to(verb, url, exchange.enqueue(self._phone, verb, url))
        else:
            await self._unless_ordered(asyncio.sleep(seconds_of(verb)))

    async def _connect(self, verb: ElementTree.Element, url: str) -> None:
        stream = verb.find("Stream")
        if stream is None or not stream.get("url"):
            raise LineError("12100 <Connect> without <Stream url>")
        parameters = {item.get("name", ""): item.get("value", "") for item in stream.findall("Parameter")}
        end = await self._phone.stream(stream.get("url", ""), parameters)
        if self._order is not None:
            await self._obey()
        hung_up = end.by == "caller"
        fields = {"CallStatus": "completed" if hung_up else "in-progress", "StreamSid": end.stream_sid}
        if hung_up:
            self._end("caller")
            if verb.get("action"):
                await self._fetch(verb, url, fields)
            raise _EndedError
        if verb.get("action"):
            await self._goto(self._fetch(verb, url, fields))

    async def _gather(self, verb: ElementTree.Element, url: str) -> None:
        await self._unless_ordered(asyncio.sleep(sum(seconds_of(each) for each in verb)))
        digits = "" if self._order is not None else self._phone.press()
        if not digits:
            await self._unless_ordered(asyncio.sleep(float(verb.get("timeout", GATHER_SECONDS))))
        if self._order is None and (digits or verb.get("actionOnEmptyResult") == "true"):
            await self._goto(self._fetch(verb, url, {"CallStatus": "in-progress", "Digits": digits}))

    async def _leave_to(
        self, verb: ElementTree.Element, url: str, meeting: Coroutine[Any, Any, dict[str, str]]
    ) -> None:
        fields = await self._unless_ordered(meeting)
        if self._order is None and verb.get("action"):
            await self._goto(self._fetch(verb, url, {"CallStatus": "in-progress", **(fields or {})}))

    def _fetch(self, verb: ElementTree.Element, url: str, fields: Mapping[str, str]) -> Coroutine[Any, Any, Document]:
        """The verb's action; the document's own address, where it has none."""
        return self._phone.fetch(urljoin(url, verb.get("action", "")), fields, verb.get("method", "POST"))

    async def _goto(self, fetched: Coroutine[Any, Any, Document]) -> None:
        document = await self._unless_ordered(fetched)
        if document is None:
            await self._obey()
        else:
            raise _GotoError(document)

    async def _obey(self) -> None:
        """The order: the call goes on elsewhere, or is over."""
        order, self._order = self._order or {}, None
        self._ordered.clear()
        if not order:
            self._end("caller")
            raise _EndedError
        self._phone.note("rest", ", ".join(sorted(order)))
        if "Twiml" in order:
            raise _GotoError(parsed(order["Twiml"]))
        if "Url" in order:
            fields = {"CallStatus": "in-progress"}
            await self._goto(self._phone.fetch(order["Url"], fields, order.get("Method", "POST")))
        self._end("server")
        self._phone.note("hang_up", "by the node's request")
        raise _EndedError

    async def _unless_ordered(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """What it returns; None where an order came first, and the work was broken off."""
        task, ordered = asyncio.ensure_future(work), asyncio.ensure_future(self._ordered.wait())
        try:
            await asyncio.wait({task, ordered}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() and self._order is None else None
        finally:
            ordered.cancel()
            task.cancel()
            await asyncio.wait({task, ordered})

    def _end(self, by: str) -> None:
        if self.ended_by == "nobody":
            self.ended_by = by


def seconds_of(verb: ElementTree.Element) -> float:
    """How long a verb keeps the line; 0 for one that is only an order."""
    if verb.tag == "Say":
        return len("".join(verb.itertext()).strip()) / CHARACTERS_A_SECOND
    if verb.tag == "Pause":
        return float(verb.get("length", "1"))
    return PLAY_SECONDS if verb.tag == "Play" else 0.0
