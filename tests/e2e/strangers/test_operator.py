"""What the operator reads afterwards: the log's lines of a call, and its record."""

import asyncio
import re

import pytest

from e2e.dialects import both
from e2e.strangers.phone import until

HOUSE = "operator and random"
LONG = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen and the end."
INTERRUPTIONS = 20


async def odd_event(r):
    """The model's events at their oddest."""
    match r.number:
        case 3:
            await r.call("look_up", {"what": "today"})
        case 5:
            await r.call("failing")
        case 7:
            r.session.error(None, "Something odd happened.")
        case 9 if not r.session.case.live:
            r.stop("failed", error={"type": "server_error", "code": "rate_limit_exceeded", "message": "Too many."})
        case 11:
            await r.call("no_such_tool")


@both
async def test_a_busy_call_is_told_in_ten_to_thirty_lines(house):
    async def answer(r):
        await odd_event(r)
        await r.say(LONG, 8000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(400)
        for count in range(INTERRUPTIONS):
            heard = call.phone.ms_of(LONG)
            await until(lambda: call.phone.ms_of(LONG) > heard + 150, 8, f"answer {count}")  # noqa: B023
            if count % 6 == 5:
                await call.phone.press(f"{count % 10}#")
            await call.phone.speak(240)
        await call.phone.rest(1500)
    lines = call.lines
    assert 10 <= len(lines) <= 30, len(lines)
    assert len(call.phone.clears) >= INTERRUPTIONS - 2
    story = "\n".join(lines)
    assert re.search(r"ERROR .*failing", story)
    assert house.live or re.search(r"(WARNING|ERROR) .*(rate_limit_exceeded|Too many)", story)
    assert re.search(r"(WARNING|ERROR) .*Something odd happened", story)
    assert re.search("no_such_tool", story)
    record = await call.record()
    assert sum(barge_in["outcome"] == "committed" for barge_in in record["barge_ins"]) >= INTERRUPTIONS - 2


@both
async def test_what_was_not_heard_of_an_answer_is_not_in_the_log(house):
    async def answer(r):
        await r.say(LONG if r.number == 1 else "Yes?", 6000 if r.number == 1 else 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears(LONG, ms=1500)
        await call.phone.speak(800)
        await call.phone.hears("Yes?")
    told = [line for line in call.lines if "[TRANSCRIPT] AI" in line and "One two" in line]
    assert len(told) == 1, told
    assert "(interrupted)" in told[0], told
    assert "three" in told[0], told
    assert "the end" not in told[0], told
    turn = next(turn for turn in (await call.record())["turns"] if "One two" in (turn["text"] or ""))
    assert turn["text"] in LONG
    assert "the end" not in turn["text"]
    assert 1000 < turn["heard_ms"] < 3500


def calls_with_null(r):
    """A call whose arguments are null, from its first event to its last."""
    item = {"id": "item_null", "type": "function_call", "name": "look_up", "call_id": "call_null"}
    item |= {"arguments": None, "status": "completed"}
    r.session.items["item_null"] = item
    if r.session.case.live:
        work = r.delegate()
        work.open_calls.add("call_null")
        emit, place = work.emit, {"output_index": 0}
    else:
        r.output.append(item)
        emit, place = r.session.emit, {"response_id": r.id, "output_index": 0}
    emit("response.output_item.added", **place, item=item | {"status": "in_progress"})
    called = {"item_id": "item_null", "call_id": "call_null", "name": "look_up"}
    emit("response.function_call_arguments.delta", **place, **called, delta=None)
    emit("response.function_call_arguments.done", **place, **called, arguments=None)
    emit("response.output_item.done", **place, item=item)
    if r.session.case.live:
        work.end()


@both
async def test_null_is_nothing_and_no_word(house):
    async def answer(r):
        if r.number == 1:
            calls_with_null(r)
        elif house.live:
            at = {"start_ms": r.session.ms, "end_ms": r.session.ms + 100}
            r.session.emit("session.output_transcript.delta", delta=None, **at)
            r.session.emit("session.output_audio.delta", delta=None)
            await r.say("Here I am.", 800)
        else:
            item = await r.say("Here I am.", 800, part=0.4)
            r.emit("response.output_audio_transcript.delta", item, content_index=0, delta=None)
            r.emit("response.output_audio.delta", item, content_index=0, delta=None)
            r.emit("response.output_audio_transcript.done", item, content_index=0, transcript=None)

    async with house.call(answer, words=[None] * 9) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await until(lambda: "item_null" in call.model.session.items, 8, "the first answer")
        if house.live:
            at = {"start_ms": 0, "end_ms": 100}
            call.model.session.emit("session.input_transcript.delta", delta=None, **at)
        else:
            heard = "conversation.item.input_audio_transcription."
            turn = next(item["id"] for item in call.model.session.items.values() if item.get("role") == "user")
            call.model.session.emit(heard + "delta", item_id=turn, content_index=0, delta=None)
            call.model.session.emit(heard + "completed", item_id=turn, content_index=0, transcript=None)
        await call.phone.hears("Here I am.")
        assert call.model.outputs("call_null")
        assert call.ran == ["look_up"]
    assert not [line for line in call.lines if re.search(r"\bNone\b", line) and "[CALL_METRICS]" not in line]
    record = await call.record()
    assert not [turn for turn in record["turns"] if turn["text"] == "None" or "None" in (turn["text"] or "")]


@both
async def test_an_error_without_a_code_is_one_line_that_says_what_it_was(house):
    async def answer(r):
        r.session.error(None, "Something odd happened.")
        await r.say("Yes?", 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears("Yes?")
        told = await until(lambda: [line for line in call.lines if "Something odd happened" in line], 5, "the line")
        assert len(told) == 1
        assert "invalid_request_error" in told[0]
        assert "None" not in told[0]
        assert re.search(" (WARNING|ERROR) ", told[0])


@both
async def test_what_a_tool_gave_back_is_in_its_line(house):
    async def answer(r):
        if r.number == 1:
            await r.call("look_up", {"what": "today"})
        else:
            await r.say("Three rooms.", 600)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await call.phone.hears("Three rooms.")
    told = [line for line in call.lines if "[TOOL_RESULT]" in line]
    assert len(told) == 1
    assert "Three rooms are free" in told[0], told


@both
async def test_the_metrics_of_a_call_add_up(house):
    async def answer(r):
        await r.say(LONG, 4000)

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        for _ in range(2):
            await call.phone.speak(600)
            await call.phone.hears(LONG, ms=500)
    [line] = [line for line in call.lines if "[CALL_METRICS]" in line]
    numbers = {key: int(value) for key, value in re.findall(r"(\w+)=(-?\d+)(?=,|$| )", line)}
    places = {key: value for key, value in numbers.items() if key.startswith("flushed_")}
    assert numbers["frames_enqueued"] == numbers["tx"] + numbers["flushed"], line
    assert numbers["flushed"] == sum(places.values()) > (0 if house.live else 50), line
    assert numbers["safety_fuse"] == 0


@both
async def test_a_tool_at_work_when_the_caller_hangs_up_is_in_the_record(house):
    async def answer(r):
        await r.call("slow", {"seconds": 6})

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(800)
        await until(lambda: call.model.sessions and call.model.session.calls(), 8, "the tool")
        await call.phone.rest(1000)
    record = await call.record()
    assert [(tool["name"], tool["outcome"]) for tool in record["tools"]] == [("slow", "abandoned")]


@both
@pytest.mark.parametrize("ends", ["by the caller", "by a dead line", "by the model's goodbye"])
async def test_every_ending_is_told_once(house, ends):
    async def answer(r):
        if r.cause != "work":
            await r.say("Goodbye.", 600)
            if ends == "by the model's goodbye":
                await r.call("hang_up")

    async with house.call(answer) as call:
        await call.phone.hears("Good morning.")
        await call.phone.speak(600)
        await call.phone.hears("Goodbye.")
        if ends == "by a dead line":
            await call.phone.vanish()
        elif ends == "by the caller":
            await call.phone.hang_up()
        else:
            await call.phone.over(8)
        record = await call.record()
        await asyncio.sleep(0.5)
    reason = "agent_hangup" if ends == "by the model's goodbye" else "customer_hangup"
    assert record["end_reason"] == reason
    for tag in ("[CALL_START]", "[CALL_METRICS]", "[CALL_END]", "Frame accounting OK"):
        assert len([line for line in call.lines if tag in line]) == 1, tag
    rows = await until(lambda: call.node.stored(call.phone.call_sid), 8, "the row in the database")
    assert len(rows) == 1
