"""Little calls at random: what the model does, in which order, how it ends; what the caller does, and when. Nobody is
left in silence, no line stays open, the books balance, no tool runs twice, and our code raises nothing.

FASTBRIDGE_STRANGERS_CALLS is how many, FASTBRIDGE_STRANGERS_SEED where they begin; a call's seed is all there is to it
but the time of the machine.
"""

import asyncio
import os
import re
from collections import Counter
from random import Random

from e2e.dialects import both
from e2e.strangers.sound import FRAME, FRAME_MS

HOUSE = "operator and random"
CALLS = int(os.environ.get("FASTBRIDGE_STRANGERS_CALLS", "14"))
CALLS_IN_A_STREAM = int(os.environ.get("FASTBRIDGE_STRANGERS_CALLS", "8"))
FIRST = int(os.environ.get("FASTBRIDGE_STRANGERS_SEED", "1"))
AT_ONCE = int(os.environ.get("FASTBRIDGE_STRANGERS_AT_ONCE", "24"))
WAIT_MS = 4000
OVER_MS = 1000
HALF = "This is only half of"
OURS = re.compile("internal error|never retrieved|ACCOUNTING_ERROR|LOCK_ERROR|SAFETY_FUSE")

CUTS = [
    ("incomplete", "max_output_tokens"),
    ("incomplete", "content_filter"),
    ("cancelled", "turn_detected"),
    ("cancelled", "client_cancelled"),
    ("failed", None),
]
WORK = [
    ("look_up", {"what": "x"}),
    ("look_up", {}),
    ("look_up", ""),
    ("look_up", "null"),
    ("look_up", "[]"),
    ("look_up", '{"what":'),
    ("slow", {"seconds": 0.3}),
    ("slow", {"seconds": 2.5}),
    ("slow", {"seconds": "x"}),
    ("remind", {"seconds": 1.0, "text": "Remember."}),
    ("failing", {}),
    ("nothing", {}),
]
LATE = [
    ("response.output_audio.delta", {"content_index": 0, "delta": "//////8="}),
    ("response.output_audio.delta", {"content_index": 0, "delta": ""}),
    ("response.output_audio.done", {"content_index": 0}),
    ("response.output_audio_transcript.delta", {"content_index": 0, "delta": "late"}),
    ("response.of_a_new_kind", {}),
]


LATE_IN_A_STREAM = [
    ("session.output_transcript.delta", {"delta": " late", "start_ms": 0, "end_ms": 200}),
    ("session.input_transcript.delta", {"delta": " late", "start_ms": 0, "end_ms": 200}),
    ("session.output_transcript.delta", {"delta": "", "start_ms": 1, "end_ms": 1}),
    ("session.output_audio.delta", {"delta": ""}),
    ("session.output_audio.delta", {"delta": "no base64"}),
    ("session.usage.updated", {"usage": {"seconds": -1}}),
    ("session.usage.updated", {"usage": None}),
    ("session.delegation.created", {"offset_ms": 0, "delegation": {"id": "dlg_x", "target": "client"}}),
    ("response.event", {"delegation_id": "dlg_of_nobody", "event": {"type": "response.completed"}}),
    ("response.event", {"delegation_id": None, "event": {}}),
    ("session.of_a_new_kind", {}),
    ("info", {"code": "x", "message": "y"}),
]


NEEDED = {"session.input_transcript.delta", "response.event"}
"""Of these none is lost: nobody could tell what the caller said without words, or that a call waits for its output."""


def as_it_is(kind):
    return [0.0]


async def speaks(r, random):
    words = " ".join(random.choice(["red", "green", "blue", "white"]) for _ in range(random.randint(1, 9)))
    ms = random.randrange(200, 2600, 20)
    pace = random.choice([0, 0.05, 0.05, 0.24, 0.3])
    await r.say(f"{words} {r.number}.", ms, pace=pace)


async def is_cut(r, random):
    if random.random() < 0.5 and not r.session.case.live:  # whose voice ends as it does
        await r.say(HALF, 1200, part=random.choice([0, 0.2, 0.7]))
    if random.random() < 0.3:
        await r.call("look_up", '{"what": "x', finish=False, part=random.choice([0, 5, 99]))
    error = {"type": "server_error", "code": random.choice(["rate_limit_exceeded", "server_error"]), "message": "no"}
    status, reason = random.choice(CUTS)
    r.stop(status, reason, error if status == "failed" else None)


async def works(r, random):
    if random.random() < 0.4:
        await speaks(r, random)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        name, arguments = random.choice(WORK)
        await r.call(name, arguments, call_id=random.choice(["", "", f"call_{len(r.output)}"]))
    if random.random() < 0.2:
        await speaks(r, random)


async def babbles(r, random):
    """Events twice, too late, of nothing."""
    if r.session.case.live:
        await r.say("Again and again.", 800)
        for _ in range(random.randint(1, 4)):
            kind, extra = random.choice(LATE_IN_A_STREAM)
            r.emit(kind, **extra)
        if random.random() < 0.5:
            r.session.error(random.choice(["", "server_error", "invalid_value"]), "An error that ends nothing.")
        return
    item = await r.say("Again and again.", 800)
    done = {"item": {"id": item["id"], "type": "message", "status": "completed"}}
    ended = {"response": {"id": r.id, "status": "completed", "output": []}}
    for _ in range(random.randint(1, 4)):
        kind, extra = random.choice([*LATE, ("response.output_item.done", done), ("response.done", ended)])
        r.emit(kind, item, **extra)
    if random.random() < 0.5:
        r.session.error(random.choice([None, "server_error", "invalid_value"]), "An error that ends nothing.")


async def ends_the_call(r, random):
    await speaks(r, random)
    if r.cause != "work":
        await r.call("hang_up")


async def loses_the_line(r, random):
    await r.say(HALF, 1600, part=random.choice([0, 0.5]))
    reason = random.choice(["", "", "expired", "content", "connection_lost"])
    if r.session.case.live and reason:
        await r.session.close(reason)
    else:
        await r.session.drop(random.choice([1000, 1001, 1011]))


async def says_nothing(r, random):
    await asyncio.sleep(random.choice([0, 0.5, 2]))


async def hangs(r, random):
    await r.say("I am thinking", 400, part=random.choice([0, 1.0]))
    await r.hold()


PLAYS = [(speaks, 10), (works, 5), (is_cut, 4), (babbles, 2), (ends_the_call, 0.5), (loses_the_line, 0.5)]
PLAYS += [(says_nothing, 0.7), (hangs, 0.4)]


def shuffles(random):
    """Events that are late, come twice or not at all, in one call of three, once the greeting has been said."""
    if random.random() < 0.67:
        return as_it_is
    share = random.choice([0.02, 0.1])
    begun = []

    def mangle(kind):
        if kind in ("response.done", "session.output_transcript.delta"):
            begun.append(kind)
        if not begun or kind in ("session.created", "session.updated", "session.started") or random.random() > share:
            return [0.0]
        late = random.choice([0.02, 0.2, 0.7])
        ways = [[late], [0.0, late], [late, late], []]
        return random.choice(ways[:3] if kind in NEEDED else ways)

    return mangle


def streams(random):
    """How its audio comes: in deltas of what size, how late."""
    sizes = random.choice([[FRAME], [3 * FRAME], [10 * FRAME], [1, 37, 161, 999, 2400]])
    late = random.choice([0.0, 0.0, 0.05, 0.15])
    words_late = random.choice([0.0, 0.0, 0.3, 0.9])
    delta, delay = Random(random.random()), Random(random.random())
    return {
        "delta_bytes": lambda: delta.choice(sizes),
        "late": lambda: delay.random() * late,
        "words_late": words_late,
    }


async def calls_and_talks(call, random):
    phone = call.phone
    if random.random() < 0.8:
        await phone.hears("Good morning.")
    for _ in range(random.randint(2, 5)):
        if phone.ended_by:
            return
        match random.randrange(8):
            case 0 | 1 | 2 | 3:
                await phone.speak(random.randrange(400, 2400, 20))
            case 4:
                await phone.press(random.choice(["1", "12#", "*", "1234567#"]))
            case 5:
                await phone.speak(random.randrange(20, 300, 20))
            case 6:
                phone.noisy = True
                await phone.rest(random.randrange(40, 900, 20))
                phone.noisy = False
            case 7:
                await asyncio.gather(phone.speak(1600), phone.press("7"))
        await phone.rest(random.choice([60, 400, 900, 1500, 3000, 5000]))


async def one(house, seed, faults):
    random = Random(seed)
    model, caller = Random(random.random()), Random(random.random())
    plays, weights = zip(*PLAYS, strict=True)
    played = []

    async def answer(r):
        [play] = model.choices(plays, weights)
        played.append(play.__name__)
        await play(r, model)

    words = [caller.choice([None, "", "Yes.", "What do you have on Friday?"]) for _ in range(20)]
    if house.live:  # what becomes no words is no turn
        words = [said or "Hm." for said in words]
    ending = caller.choice(["hangs up", "hangs up", "vanishes", "talks on", "waits"])
    fault = ""
    try:
        kind, lag, mangle = "silent" if ending == "waits" else "", model.choice([0, 0, 0.3]), shuffles(model)
        stream = streams(model) if house.live else {}
        async with house.call(answer, kind=kind, words=words, lag=lag, mangle=mangle, **stream) as call:
            await calls_and_talks(call, caller)
            if ending == "waits":
                await call.phone.over(90)
            elif ending == "vanishes":
                await call.phone.vanish()
            elif ending == "talks on":
                call.phone.talking = True
                await call.phone.rest(300)
            fault = silence_in(call.phone) or spoken_over(call.phone) or twice(call)
            fault = fault or (torn(call) if mangle is as_it_is and not house.live else "")
            assert not fault, fault
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", []))
        faults.append((seed, ending, played, f"{type(error).__name__}: {str(error)[:400]}", notes))


def twice(call):
    """Tools that ran more often than the model called them."""
    items = [item for session in call.model.sessions for item in session.items.values()]
    called = Counter(item["name"] for item in items if item["type"] == "function_call")
    ran = Counter(name.split(" ")[0] for name in call.ran)
    return ", ".join(f"{name} ran {ran[name]} times of {called[name]}" for name in ran if ran[name] > called[name])


def torn(call):
    """A frame of an answer that came before its turn, or twice but for the one at which playback was held."""
    last = {}
    for tick, heard in enumerate(call.phone.heard):
        if heard.kind == "answer":
            before = last.get(heard.what, -1)
            if heard.index not in (0, before, before + 1):
                return f"frame {heard.index} of an answer after {before}, at {tick * FRAME_MS} ms"
            last[heard.what] = heard.index
    return ""


def spoken_over(phone):
    """How long the assistant went on while the caller was in the middle of a sentence, where that is too long."""
    spoken = over = 0
    for tick in range(phone.first_heard("Good morning.") + 60, min(len(phone.heard), len(phone.spoke))):
        spoken = spoken + 1 if phone.spoke[tick] and not phone.noisy else 0
        heard = phone.heard[tick]
        over = over + 1 if spoken > 45 and heard.kind and "apology" not in str(heard.what) else over if spoken else 0
        if over * FRAME_MS > OVER_MS:
            return f"{OVER_MS} ms over his words, at {tick * FRAME_MS} ms"
    return ""


def silence_in(phone):
    """How long a caller had to wait for a sound, where that is too long: after he spoke, and after half an answer."""
    spoken, patience = 0, WAIT_MS // FRAME_MS
    for tick in range(phone.first_heard("Good morning.") + 40, min(len(phone.heard), len(phone.spoke)) - patience):
        spoken = spoken + 1 if phone.spoke[tick] else 0
        has_spoken = spoken >= 20 and not phone.spoke[tick + 1]
        half = HALF in phone.names.get(phone.heard[tick].what, "")
        if (has_spoken or half) and phone.silence_ms(tick + 1, tick + 1 + patience) >= WAIT_MS:
            what = "half an answer" if half else "he spoke"
            return f"no sound for {WAIT_MS} ms after {what}, at {tick * FRAME_MS} ms"
    return ""


@both
async def test_little_calls_at_random(house):
    gate = asyncio.Semaphore(AT_ONCE)
    calls = CALLS_IN_A_STREAM if house.live else CALLS
    faults = []

    async def next_one(seed):
        async with gate:
            await one(house, seed, faults)

    await asyncio.gather(*(next_one(seed) for seed in range(FIRST, FIRST + calls)))
    told = "\n\n".join(
        f"--- seed {seed}, {ending}, {played}: {fault}\n{story}" for seed, ending, played, fault, story in faults
    )
    assert not faults, f"{len(faults)} of {calls} calls\n{told}"
    log = house.node.log()
    assert not [line for line in log.splitlines() if OURS.search(line)]
    assert log.count("Traceback") == log.count("    RuntimeError: the till is on fire\n")
