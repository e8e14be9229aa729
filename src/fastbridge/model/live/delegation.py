"""Work that the voice hands on: function calls of the model behind it, each answered once, and then it goes on.

The voice says that it delegates, not what; the calls come inside the events of the model behind it. A response of that
one has as many calls as it likes, which run side by side; when it has ended and all of them are answered it is asked
to go on, once, whatever else is at work. The request names no work: a service that refuses it beside the calls of other
work is asked when those are answered, too. Work that makes no progress is given up, so that nobody waits for ever.

Calls are known by call id and item, within a session: a call id may come again in another item. Work is known by its
delegation and its response, in whatever order the two are told of. What an earlier session was asked is told to the
next in words.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastbridge.base.clock import Clock, Deadline
from fastbridge.base.conversation import ToolCall
from fastbridge.base.json_text import id_of, id_text, object_of, text_of
from fastbridge.model.history import History

PATIENCE_SECONDS = 25.0
"""Without an event of the work, or an answer of ours: it is given up."""
END_SECONDS = 3.0
"""All calls of a response are answered, and nothing more is told of it, not even its end: it is taken for ended."""
REFUSED_SECONDS = 8.0
"""The model behind the voice may not go on, as long as a response of its is under way: that has so long to show."""
TELL_SECONDS = 1.5
"""Work has ended, and the voice says what came of it: it begins so soon."""
MAX_WORK = 16
"""Responses at work at once; with one more the oldest is forgotten."""
MAX_CALLS = 100
"""Between two answers of the model behind the voice; one more is answered with an error, for it waits for all."""
MAX_REMEMBERED = 256
"""Calls, work and responses that are known when they come again."""
COMPLETED = "response.completed"
ENDED = frozenset({COMPLETED, "response.failed", "response.incomplete", "response.cancelled"})

TOO_MANY = "too much was asked at once"
CUT_OFF = "it was cut off before it was complete"

GO_ON_ID = "go_on_"
"""How the names of our requests to go on begin."""

Called = Callable[[ToolCall], str]
NotRun = Callable[[str, str], object]


@dataclass
class Work:
    """A response of the model behind the voice. open_calls: not answered yet. told: under which ids of the voice's its
    calls were. goes_on: it was asked for, by us. again: and refused, so that it is to be asked for once more."""

    open_calls: list[ToolCall] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    called: bool = False
    ended: bool = False
    failed: bool = False
    goes_on: bool = False
    again: bool = False

    @property
    def ready(self) -> bool:
        """To go on."""
        return self.ended and not self.open_calls and (self.called or self.again)


class Delegation:
    """One call's. send(event): to the model, if there is a session. called(call): to be run; by which id of the voice's
    it is known. asked(id): all that is to be run under it was told. not_run(name, why): one that cannot be. gave_up():
    work made no progress, or has failed and the voice does not say so. done(): all of it has come to its end, and is
    about to be told. usage(tokens): of a response that ended."""

    def __init__(
        self,
        *,
        clock: Clock,
        history: History,
        counters: Counter[str],
        send: Callable[[dict[str, Any]], bool],
        called: Called,
        asked: Callable[[str], object],
        not_run: NotRun,
        gave_up: Callable[[], object],
        done: Callable[[], object],
        usage: Callable[[dict[str, Any]], object],
    ) -> None:
        self.stalls = 0
        """How often in a row work of this session was given up."""
        self._history = history
        self._counters = counters
        self._send = send
        self._called = called
        self._asked = asked
        self._not_run = not_run
        self._gave_up = gave_up
        self._done = done
        self._usage = usage
        self._works: dict[str, Work] = {}
        self._begun: dict[str, str] = {}  # delegations, and their responses, of which nothing has been seen yet
        self._asked_on: dict[str, list[str]] = {}  # requests to go on: with which work, until it begins to
        self._taken, self._taken_with = "", list[str]()  # the request that the response begun last was taken for
        self._calls = 0  # since it was last asked to go on
        self._asks = 0  # to go on
        self._together = False  # the service lets no work go on beside calls that are not answered
        self._seen: deque[tuple[str, str]] = deque(maxlen=MAX_REMEMBERED)  # (call id, item id, if it has one)
        self._known: deque[str] = deque(maxlen=MAX_REMEMBERED)  # delegations and responses that have begun
        self._over: deque[str] = deque(maxlen=MAX_REMEMBERED)  # responses that have ended
        self.failed = False
        """Work has, and nothing has been said of it since."""
        self._patience = Deadline(clock, self._stalled)
        self._end = Deadline(clock, self._take_for_ended)
        self._untold = Deadline(clock, self._unsaid)

    @property
    def at_work(self) -> bool:
        """Something was handed on, and what comes of it has not been told."""
        return bool(self._under_way or self._untold.pending)

    @property
    def _under_way(self) -> bool:
        return bool(self._works or self._begun or self._asked_on)

    @property
    def untold(self) -> bool:
        """Work has ended, and the voice is to say what came of it."""
        return self._untold.pending

    def wait_for_words(self) -> None:
        """It has spoken of something else, and says of work that has ended what there is to say from now on."""
        self._untold.set(TELL_SECONDS)

    def told(self) -> None:
        """The voice has begun to speak: nothing more is to be expected of work that has ended."""
        self._untold.clear()
        self.failed = False

    def _unsaid(self) -> None:
        """The voice says nothing of work that has ended. Of what has failed it has nothing to say."""
        failed, self.failed = self.failed, False
        if failed:
            self._counters["delegations_failed"] += 1
            self._gave_up()

    def created(self, delegation_id: str, response_id: str = "") -> None:
        """`session.delegation.created`. Its response may have been told of before, and it may be told of twice."""
        if delegation_id in self._begun or not {delegation_id, response_id}.isdisjoint(self._known):
            return
        self._counters["delegations"] += 1
        self._begun[delegation_id] = response_id
        if len(self._begun) > MAX_WORK:
            self._begun.pop(next(iter(self._begun)))
        self._patience.set(PATIENCE_SECONDS)

    def event(self, key: str, event: dict[str, Any]) -> None:
        """An event of the model behind the voice. key: the delegation's id, or nothing."""
        kind, response = text_of(event.get("type")), object_of(event.get("response"))
        response_id = id_text(response.get("id"))
        if response_id in self._over:  # it comes a second time
            return
        under_way = self._under_way
        if under_way:
            self._patience.set(PATIENCE_SECONDS)
        if self._end.pending:
            self._end.set(END_SECONDS)
        if kind == "response.created":
            self._work(key, response_id)
        elif kind == "response.output_item.done":
            item = object_of(event.get("item"))
            if item.get("type") == "function_call":
                self._call(key, item)
        elif kind in ENDED or (kind == "error" and under_way):
            if response_id:
                self._over.append(response_id)
            self._usage(object_of(response.get("usage")))
            self._ended(key, response_id, failed=under_way and kind != COMPLETED)

    def _begins(self, key: str, response_id: str) -> bool:
        """A response of this delegation: it is not waited for any more. One that nobody has told of is what was asked
        for (True); and one without a name is whichever there is."""
        self._patience.set(PATIENCE_SECONDS)
        self._known += [name for name in (key, response_id) if name]
        named = [each for each, its in self._begun.items() if each == key or (its and its == response_id)]
        if named:
            del self._begun[named[0]]
        elif self._asked_on:
            self._taken = self._asked_with(key)
            self._taken_with = self._asked_on.pop(self._taken)
            return True
        elif self._begun and not key:
            self._begun.pop(next(iter(self._begun)))
        return False

    def _asked_with(self, key: str) -> str:
        """The request to go on with this work; or the oldest, where it has none of its own."""
        own = (event_id for event_id, keys in self._asked_on.items() if key in keys)
        return next(own, next(iter(self._asked_on)))

    def _work(self, key: str, response_id: str = "") -> Work:
        work = self._works.get(key)
        if work is None or work.ended:
            goes_on = self._begins(key, response_id)
            if len(self._works) >= MAX_WORK:
                self._complete(self._works.pop(next(iter(self._works))))
            unanswered = work.open_calls if work is not None else []
            again = work is not None and work.again
            work = self._works[key] = Work(unanswered, called=bool(unanswered), goes_on=goes_on, again=again)
        return work

    def _call(self, key: str, item: dict[str, Any]) -> None:
        call_id, name = id_of(item.get("call_id")), text_of(item.get("name"))
        known = (call_id, id_text(item.get("id")))
        if known in self._seen:
            self._counters["duplicate_calls"] += 1
            return
        self._seen.append(known)
        work = self._work(key)
        call = self._history.add_call(call_id, name, text_of(item.get("arguments")))
        work.open_calls.append(call)
        work.called = True
        self._calls += 1
        status = text_of(item.get("status")) or "completed"
        if status == "completed" and name and self._calls <= MAX_CALLS:
            work.told.add(self._called(call))
            return
        why = TOO_MANY if self._calls > MAX_CALLS else CUT_OFF
        self.answer(call, f'{{"error": "not run: {why}"}}')
        self._not_run(name, why)

    def _ended(self, key: str, response_id: str, *, failed: bool) -> None:
        self.stalls = 0
        work = self._work(key, response_id)
        work.ended, work.failed = True, failed
        if failed and work.goes_on and not work.called and self._waits_for_others(work):
            work.again = self._together = True
        self._settle(key)
        self._complete(work)

    def _complete(self, work: Work) -> None:
        """Nothing more is called in it."""
        told, work.told = work.told, set()
        for response_id in told:
            self._asked(response_id)

    def answer(self, call: ToolCall, output: str) -> bool:
        """A call's result. False where this session knows of no such call."""
        call.output = output
        key = next((key for key, work in self._works.items() if call in work.open_calls), None)
        if key is None:
            return False
        self._works[key].open_calls.remove(call)
        item = {"type": "function_call_output", "call_id": call.call_id, "output": output}
        self._send({"type": "response.item.create", "item": item})
        self._settle(key)
        return True

    def _settle(self, key: str) -> None:
        """All is answered, and the response has ended: it goes on. Or it asked nothing: what it found is being said."""
        works, work = self._works, self._works[key]
        if not work.open_calls and not work.ended:
            self._end.set(END_SECONDS)
        if work.ended and not (work.called or work.again):
            del works[key]
            self.failed = self.failed or work.failed
            self._untold.set(TELL_SECONDS)
        ready = self._ready()
        if ready:
            for each in ready:
                del works[each]
            self._calls = 0
            self._asks += 1
            event_id = f"{GO_ON_ID}{self._asks}"
            self._asked_on[event_id] = ready
            self._send({"type": "response.create", "event_id": event_id})
        if self._under_way:
            self._patience.set(PATIENCE_SECONDS)
        else:
            self._patience.clear()
            self._end.clear()
            self._done()

    def _ready(self) -> list[str]:
        """The work that may be asked to go on."""
        works = self._works
        ready = [key for key, work in works.items() if work.ready]
        if self._together and len(ready) < len(works):
            return []
        is_busy = any(not work.ended for work in works.values())
        return [key for key in ready if not (is_busy and works[key].again)]

    def _waits_for_others(self, work: Work | None = None) -> bool:
        """Calls of other work are not answered yet."""
        return any(each.open_calls for each in self._works.values() if each is not work)

    def refused(self, event_id: str) -> None:
        """An error answers our request to go on. Another response is under way, or one that we took for ended: at its
        end it is asked for again. Or other work has calls without an answer, and it has to wait for those. Or there is
        nothing to go on with, and nothing will come."""
        keys = self._asked_on.pop(event_id, None)
        if keys is None and event_id == self._taken and self._works:  # what has begun was another's
            keys = self._taken_with
        if keys is None:
            return
        is_busy = bool(self._begun or self._asked_on) or any(not work.ended for work in self._works.values())
        self._together = self._together or (not is_busy and self._waits_for_others())
        for key in keys:
            work = self._works.setdefault(key, Work(ended=True))
            work.again = True
        self._patience.set(REFUSED_SECONDS)

    def _take_for_ended(self) -> None:
        taken = [key for key, work in self._works.items() if work.called and not work.open_calls]
        works = [self._works[key] for key in taken]
        for work in works:
            work.ended = True
        if taken:
            self._settle(taken[0])
        for work in works:
            self._complete(work)

    def _stalled(self) -> None:
        """Calls of ours that still run have their own deadlines, and what waits for those waits on; all else has been
        waited for long enough."""
        if self._waits_for_others():
            self._patience.set(PATIENCE_SECONDS)
            lost = [key for key, work in self._works.items() if not (work.open_calls or work.ready)]
            if not (lost or self._begun or self._asked_on):
                return
            works = [self._works.pop(key) for key in lost]
            self._begun.clear()
            self._asked_on.clear()
            for work in works:
                self._complete(work)
        else:
            self._drop()
        self._counters["delegations_stalled"] += 1
        self.stalls += 1
        self._gave_up()

    def forget(self) -> None:
        """Another session: it knows nothing of this one's work."""
        self.stalls = 0
        for known in (self._seen, self._known, self._over):
            known.clear()
        self._drop()

    def _drop(self) -> None:
        works, self._works = self._works, {}
        self._begun.clear()
        self._calls = 0
        self._asked_on.clear()
        self._together, self._taken = False, ""
        for work in works.values():
            self._complete(work)
        self.close()

    def close(self) -> None:
        self.told()
        self._patience.clear()
        self._end.clear()
