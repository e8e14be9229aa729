"""The Queues of an account: calls that wait in them, and who takes the first one out.

Source: Twilio, "Queue resource", "Member resource", "TwiML <Enqueue>".
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urljoin
from xml.etree import ElementTree

from fastbridge.sim.media_line import LineError
from fastbridge.sim.twilio_call import API_VERSION, rfc2822, sid
from fastbridge.sim.twilio_calls import Calls
from fastbridge.sim.twilio_form import METHOD, TWIML_URL, check, text, whole
from fastbridge.sim.twilio_http import Request
from fastbridge.sim.twilio_page import filters, page
from fastbridge.sim.twilio_reply import BAD_REQUEST, QUEUE_NAME_TAKEN, RefusedError, Reply, bad, not_found
from fastbridge.sim.twilio_services import Services
from fastbridge.sim.twiml import Phone, seconds_of

MAX_SIZE = 5000
DEFAULT_MAX_SIZE = 1000
FRONT = "Front"
WAIT_SECONDS = 1.0
"""At least so long is a wait document played, before it is asked for again."""
QUEUE = {"FriendlyName": text(64), "MaxSize": whole(0, MAX_SIZE)}
DEQUEUE = {"Url": TWIML_URL, "Method": METHOD}


@dataclass(slots=True)
class Member:
    """One call that waits. `taken`: somebody talks to it; `released`: with what result its waiting is over."""

    call_sid: str
    since: float
    taken: bool = False
    released: asyncio.Future[str] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self, result: str) -> None:
        if not self.released.done():
            self.released.set_result(result)


class Queue:
    """First come, first served."""

    def __init__(self, account_sid: str, name: str, max_size: int, now: Callable[[], float]) -> None:
        self.sid = sid("QU")
        self.account_sid = account_sid
        self.name = name
        self.max_size = max_size
        self.members: list[Member] = []
        self.created = now()
        self._now = now
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self.members) >= self.max_size

    def add(self, call_sid: str) -> Member:
        member = Member(call_sid, self._now())
        self.members.append(member)
        self._changed.set()
        return member

    def remove(self, member: Member) -> None:
        member.gone.set()
        self.members.remove(member)

    def position(self, member: Member) -> int:
        """From 1."""
        return self.members.index(member) + 1

    def find(self, who: str) -> Member | None:
        """By call sid, or the one at the front."""
        return next((each for each in self.members if not each.taken and who in (FRONT, each.call_sid)), None)

    async def front(self) -> Member:
        """The first to be taken, when there is one."""
        while (member := self.find(FRONT)) is None:
            self._changed.clear()
            await self._changed.wait()
        return member

    def waited(self, member: Member) -> int:
        return round(self._now() - member.since)

    def average_wait(self) -> int:
        return round(sum(map(self.waited, self.members)) / len(self.members)) if self.members else 0

    def told(self, member: Member) -> dict[str, str]:
        """Of the request for what is played meanwhile."""
        return {
            "QueueSid": self.sid,
            "QueuePosition": str(self.position(member)),
            "QueueTime": str(self.waited(member)),
            "AvgQueueTime": str(self.average_wait()),
            "CurrentQueueSize": str(len(self.members)),
        }

    @property
    def path(self) -> str:
        return f"/{API_VERSION}/Accounts/{self.account_sid}/Queues/{self.sid}"

    def view(self) -> dict[str, object]:
        """The resource."""
        return {
            "sid": self.sid,
            "account_sid": self.account_sid,
            "friendly_name": self.name,
            "current_size": len(self.members),
            "max_size": self.max_size,
            "average_wait_time": self.average_wait(),
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.created),
            "uri": f"{self.path}.json",
            "subresource_uris": {"members": f"{self.path}/Members.json"},
        }

    def member_view(self, member: Member) -> dict[str, object]:
        return {
            "call_sid": member.call_sid,
            "queue_sid": self.sid,
            "date_enqueued": rfc2822(member.since),
            "position": self.position(member),
            "wait_time": self.waited(member),
            "uri": f"{self.path}/Members/{member.call_sid}.json",
        }


class Queues:
    """calls: where a member's call is, to be led elsewhere."""

    def __init__(self, services: Services, calls: Calls) -> None:
        self._services = services
        self._calls = calls
        self._queues: dict[str, Queue] = {}

    async def enqueue(self, phone: Phone, verb: ElementTree.Element, url: str) -> dict[str, str]:
        """<Enqueue>: there until somebody takes the call, or it leaves."""
        queue = self._named(phone.account_sid, (verb.text or "default").strip())
        if queue.full:
            return {"QueueResult": "queue-full", "QueueSid": queue.sid, "QueueTime": "0"}
        member = queue.add(phone.call_sid)
        wait = asyncio.ensure_future(self._wait(phone, queue, member, verb, url))
        try:
            result = await member.released
            return {"QueueResult": result, "QueueSid": queue.sid, "QueueTime": str(queue.waited(member))}
        finally:
            wait.cancel()
            await asyncio.wait([wait])
            queue.remove(member)

    async def serve(self, phone: Phone, noun: ElementTree.Element) -> dict[str, str]:
        """<Dial><Queue>: talk to the one at the front, until either leaves."""
        queue = self._named(phone.account_sid, (noun.text or "").strip())
        member = await queue.front()
        member.taken = True
        try:
            await member.gone.wait()
        finally:
            member.release("bridged")
        return {"DialCallStatus": "completed", "DialCallSid": member.call_sid}

    # Requests

    def listed(self, request: Request, account_sid: str) -> Reply:
        filters(request, set())
        return page(
            request, "queues", [each.view() for each in self._queues.values() if each.account_sid == account_sid]
        )

    def create(self, request: Request, account_sid: str) -> Reply:
        fields = check(request.form, QUEUE)
        name = fields.get("FriendlyName")
        if name is None:
            raise bad(BAD_REQUEST, "FriendlyName is required")
        if self._known(account_sid, name) is not None:
            raise bad(QUEUE_NAME_TAKEN, f"There is a queue of the name {name}")
        return Reply(201, self._made(account_sid, name, int(fields.get("MaxSize", DEFAULT_MAX_SIZE))).view())

    def fetch(self, request: Request, account_sid: str, queue_sid: str) -> Reply:
        return Reply(200, self._find(request, account_sid, queue_sid).view())

    def update(self, request: Request, account_sid: str, queue_sid: str) -> Reply:
        queue, fields = self._find(request, account_sid, queue_sid), check(request.form, QUEUE)
        queue.name = fields.get("FriendlyName", queue.name)
        queue.max_size = int(fields.get("MaxSize", queue.max_size))
        return Reply(200, queue.view())

    def delete(self, request: Request, account_sid: str, queue_sid: str) -> Reply:
        queue = self._find(request, account_sid, queue_sid)
        if queue.members:
            raise bad(BAD_REQUEST, f"Queue {queue_sid} is not empty")
        del self._queues[queue_sid]
        return Reply(204, {})

    def members(self, request: Request, account_sid: str, queue_sid: str) -> Reply:
        queue = self._find(request, account_sid, queue_sid)
        return page(request, "queue_members", [queue.member_view(member) for member in queue.members])

    def fetch_member(self, request: Request, account_sid: str, queue_sid: str, who: str) -> Reply:
        queue, member = self._member(request, account_sid, queue_sid, who)
        return Reply(200, queue.member_view(member))

    def dequeue(self, request: Request, account_sid: str, queue_sid: str, who: str) -> Reply:
        """The call goes on with what is at `Url`."""
        fields = check(request.form, DEQUEUE)
        if "Url" not in fields:
            raise bad(BAD_REQUEST, "Url is required")
        queue, member = self._member(request, account_sid, queue_sid, who)
        if not self._calls.line(member.call_sid).update(fields):
            raise RefusedError(404, 20404, f"Call {member.call_sid} is not in progress", mistake=False)
        member.taken = True
        return Reply(200, queue.member_view(member))

    async def _wait(self, phone: Phone, queue: Queue, member: Member, verb: ElementTree.Element, url: str) -> None:
        """What is played meanwhile, again and again, unless it leads out of the queue."""
        wait_url = verb.get("waitUrl")
        while wait_url:
            told = {"CallStatus": "in-progress", **queue.told(member)}
            try:
                document = await phone.fetch(urljoin(url, wait_url), told, verb.get("waitUrlMethod", "POST"))
            except LineError as error:
                self._services.fail(str(error))
                return
            for each in document.root:
                if each.tag == "Leave":
                    member.release("leave")
                    return
            await asyncio.sleep(max(WAIT_SECONDS, sum(map(seconds_of, document.root))))

    def _known(self, account_sid: str, name: str) -> Queue | None:
        found = (each for each in self._queues.values() if (each.account_sid, each.name) == (account_sid, name))
        return next(found, None)

    def _named(self, account_sid: str, name: str) -> Queue:
        """TwiML makes the queues it names."""
        return self._known(account_sid, name) or self._made(account_sid, name, DEFAULT_MAX_SIZE)

    def _made(self, account_sid: str, name: str, max_size: int) -> Queue:
        queue = Queue(account_sid, name, max_size, self._services.now)
        self._queues[queue.sid] = queue
        return queue

    def _find(self, request: Request, account_sid: str, queue_sid: str) -> Queue:
        queue = self._queues.get(queue_sid)
        if queue is None or queue.account_sid != account_sid:
            raise not_found(request.path)
        return queue

    def _member(self, request: Request, account_sid: str, queue_sid: str, who: str) -> tuple[Queue, Member]:
        queue = self._find(request, account_sid, queue_sid)
        member = queue.find(who)
        if member is None:
            raise not_found(request.path)
        return queue, member
