"""Lanes under any sequence of operations: the accounts balance, nothing is heard before it is sent, the twins agree."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from helpers import FOREIGN_SID, LOUD, MS, QUIET, SID, audio_of, base64_text, mark_json
from rigs import SILENCE, AssistantRig, CallerRig, audio, frames
from twins import Twin

ORACLE, COMPILED = Twin("oracle"), Twin("compiled")
Step = tuple[Any, ...]

caller_steps = st.lists(
    st.sampled_from(
        [("say",)] * 6
        + [("open",), ("open",), ("shut",), ("pause",), ("resume",), ("resume",), ("lock",), ("unlock",), ("unlock",)]
        + [
            ("foreign",),
            ("malformed",),
            ("too long",),
            ("reject",),
            ("message",),
            ("mark",),
            ("repeat",),
            ("unknown chunk",),
        ]
        + [("loud",)] * 3
        + [("lose", 1), ("lose", 3), ("lose", 700), ("silence", 2), ("speak",), ("clear",), ("listen",)]
    ),
    max_size=60,
)


def caller_rig(twin: Any, **bounds: int) -> CallerRig:
    rig = CallerRig(twin, detector=twin.bargein.Detector(frames=2), **bounds)
    rig.lane.start(SID)
    rig.assistant.start(SID, lambda data: None)
    rig.said = 0
    return rig


def caller_step(rig: CallerRig, step: Step) -> None:
    kind, *arguments = step
    lane = rig.lane
    if kind == "say":
        rig.said += 1
        rig.say_numbers(rig.said)
    elif kind in ("open", "reopen"):
        lane.open(rig.uplink.append)
    elif kind in ("shut", "pause", "resume", "lock", "unlock", "close"):
        getattr(lane, kind)()
    elif kind == "reject":
        lane.reject_media()
    elif kind == "lose":
        rig.lose(*arguments)
    elif kind == "silence":
        lane.send_silence(*arguments)
    else:
        caller_odd_step(rig, kind)


def caller_odd_step(rig: CallerRig, kind: str) -> None:
    lane = rig.lane
    odd: dict[str, Callable[[], object]] = {
        "loud": lambda: rig.say(LOUD),
        "foreign": lambda: rig.say(QUIET, sid=FOREIGN_SID),
        "malformed": lambda: lane.feed_media(SID, rig.chunk, 0, b"A"),
        "too long": lambda: lane.feed_media(SID, rig.chunk, 0, base64_text(bytes(8001))),
        "message": lambda: lane.feed_message(b'{"event":"stop"}'),
        "mark": lambda: lane.feed_message(mark_json(b"0:item_1:20")),
        "repeat": lambda: lane.feed_media(SID, max(rig.chunk, 1), 0, base64_text(SILENCE)),
        "unknown chunk": lambda: lane.feed_media(SID, 0, 0, base64_text(QUIET)),
        "speak": rig.speak,
        "clear": rig.assistant.clear,
        "listen": lambda: rig.clock.advance(300),
    }
    odd[kind]()


@given(caller_steps, st.integers(0, 6), st.integers(0, 6))
def test_every_caller_frame_has_one_outcome_or_waits(twin, steps, preroll, backlog):
    rig = caller_rig(twin, preroll_frames=preroll, backlog_frames=backlog)
    for step in [*steps, ("close",), ("say",)]:
        caller_step(rig, step)
        assert rig.lane.frames_in == sum(rig.lane.outcomes) + rig.lane.waiting
        assert rig.lane.waiting <= rig.lane.peak_waiting <= max(preroll, backlog)
        assert rig.lane.locked_frames == rig.lane.outcomes[twin.caller.GREETING_LOCK]
    assert rig.lane.waiting == 0


@given(caller_steps)
def test_what_is_forwarded_is_what_the_model_hears_in_order(twin, steps):
    rig = caller_rig(twin, preroll_frames=5, backlog_frames=5)
    for step in steps:
        caller_step(rig, step)
    rig.lane.open(rig.uplink.append)
    made_up = rig.lane.concealed_frames + rig.lane.silence_frames
    assert len(rig.sent) == rig.lane.outcomes[0] + made_up
    spoken = [int.from_bytes(frame[:4], "big") for frame in rig.heard if frame not in (LOUD, QUIET)]
    assert spoken == sorted(set(spoken))


@given(caller_steps, st.integers(1, 6))
def test_the_caller_lanes_agree(steps, bound):
    rigs = [caller_rig(twin, preroll_frames=bound, backlog_frames=bound) for twin in (ORACLE, COMPILED)]
    for step in steps:
        for rig in rigs:
            caller_step(rig, step)
        expected, got = (caller_state(rig) for rig in rigs)
        assert got == expected
    expected, got = ((rig.sent, rig.messages, rig.lane.concealed_frames) for rig in map(closed, rigs))
    assert got == expected


def caller_state(rig: CallerRig) -> list[Any]:
    lane = rig.lane
    counts = [lane.frames_in, lane.outcomes, lane.waiting, lane.peak_waiting, lane.silence_frames, lane.locked_frames]
    return [
        *counts,
        lane.last_media_ns,
        lane.last_voice_ns,
        lane.voice_frames,
        len(rig.uplink),
        rig.edges,
        rig.assistant.stale_marks,
    ]


def closed(rig: CallerRig) -> CallerRig:
    rig.lane.close()
    return rig


assistant_steps = st.lists(
    st.sampled_from(
        [("begin",), ("begin",), ("begin",), ("end",), ("end",), ("refuse",), ("clear",), ("pause",), ("unpause",)]
    )
    | st.sampled_from([("hold",), ("hold",), ("resume",), ("resume",)])
    | st.tuples(st.just("delta"), st.integers(0, 2000))
    | st.tuples(st.just("delta"), st.sampled_from([160, 320, 1600]))
    | st.tuples(st.just("tick"), st.integers(0, 120))
    | st.sampled_from(
        [("item",), ("late delta",), ("malformed",), ("echo",), ("echo",), ("stale",), ("event",), ("unread",)]
    ),
    max_size=50,
)


def assistant_rig(twin: Any, **options: Any) -> AssistantRig:
    rig = AssistantRig(twin, **options).started()
    rig.response = rig.item = 0
    return rig


def assistant_step(rig: AssistantRig, step: Step) -> None:
    kind, *arguments = step
    lane = rig.lane
    if kind == "begin":
        rig.response += 1
        rig.item += 1
        rig.begin(f"resp_{rig.response}")
    elif kind == "item":
        rig.item += 1
    elif kind == "delta":
        (size,) = arguments
        audio = bytes((rig.item + index) % 256 for index in range(size))
        rig.delta(audio, f"item_{rig.item}", f"resp_{rig.response}")
    elif kind == "end":
        lane.end_response(f"resp_{rig.response}")
    elif kind == "tick":
        rig.tick(*arguments)
    elif kind == "echo":
        echo_in_time(rig)
    elif kind in ("refuse", "clear", "pause", "unpause", "hold", "resume", "close"):
        getattr(lane, kind)()
    else:
        assistant_odd_step(rig, kind)


def echo_in_time(rig: AssistantRig) -> None:
    """The oldest mark comes back when its audio has been played; if that time is past, never."""
    while rig.due_echoes:
        name, due_ns = rig.due_echoes.pop(0)
        if due_ns >= rig.clock.now_ns:
            rig.tick((due_ns - rig.clock.now_ns) / MS)
            rig.echo(name)
            return


def assistant_odd_step(rig: AssistantRig, kind: str) -> None:
    lane = rig.lane
    odd: dict[str, Callable[[], object]] = {
        "late delta": lambda: rig.delta(bytes(160), "item_0", f"resp_{rig.response - 1}"),
        "malformed": lambda: lane.feed_delta(b"resp_%d" % rig.response, b"item_%d" % rig.item, b"A"),
        "stale": lambda: lane.mark(b"9:item_1:20"),
        "event": lambda: lane.feed_message(b'{"type":"response.done"}'),
        "unread": lambda: lane.feed_message(b'{"type":"response.output_text.delta","delta":"x"}'),
    }
    odd[kind]()


@given(assistant_steps, st.integers(0, 300), st.data())
def test_heard_is_sent_and_sent_is_received(twin, steps, lead, data):
    """Also with marks that come back early, late, twice or in another order."""
    rig = assistant_rig(twin, lead_ms=lead)
    heard = 0
    for step in [*steps, ("close",), ("tick", 500)]:
        assistant_step(rig, step)
        if rig.due_echoes and data.draw(st.booleans()):
            rig.echo(data.draw(st.sampled_from(rig.due_echoes))[0])
        rig.check()
        assert rig.lane.heard_bytes >= heard - (159 if step[0] == "resume" else 0)
        heard = rig.lane.heard_bytes
        assert rig.lane.deltas >= rig.lane.refused_deltas + rig.lane.malformed_deltas
        assert rig.lane.marks_played <= rig.lane.marks_sent
    assert rig.lane.frames_sent == rig.kinds.count("media")
    assert rig.lane.marks_sent == rig.kinds.count("mark")
    assert len(set(rig.first_frames)) == len(rig.first_frames)
    assert set(rig.played) <= set(rig.first_frames)
    assert all(later - earlier >= 18 * MS for earlier, later in pairwise(rig.frame_times))


@given(st.lists(st.lists(st.integers(0, 900), max_size=6), max_size=5), st.integers(0, 60))
def test_without_a_barge_in_every_byte_arrives_padded_only_at_the_end(twin, responses, pause):
    rig = assistant_rig(twin)
    expected = b""
    for sizes in responses:
        assistant_step(rig, ("begin",))
        for size in sizes:
            assistant_step(rig, ("delta", size))
            assistant_step(rig, ("tick", pause))
            expected += bytes((rig.item + index) % 256 for index in range(size))
        assistant_step(rig, ("end",))
        expected += b"\xff" * (-len(expected) % 160)
    rig.tick(25 * len(expected) // 160 + 100)
    assert b"".join(rig.heard) == expected
    assert (rig.lane.playing, rig.lane.unheard_ms, rig.lane.frames_unsent) == (False, 0, 0)
    for name, _ in rig.due_echoes:
        rig.echo(name)
    assert rig.played == rig.first_frames


@given(assistant_steps, st.sampled_from([0, 40, 160]))
@example([("begin",), ("delta", 160), ("tick", 20), ("begin",), ("delta", 160), ("tick", 0)], 0)
def test_the_assistant_lanes_agree(steps, lead):
    rigs = [assistant_rig(twin, lead_ms=lead) for twin in (ORACLE, COMPILED)]
    cleared = False
    for step in steps:
        for rig in rigs:
            assistant_step(rig, step)
        cleared = step[0] == "clear" or (cleared and step[0] != "delta")
        for state in (assistant_counts, assistant_playout) if cleared else (assistant_counts, assistant_playout, items):
            expected, got = (state(rig) for rig in rigs)
            assert got == expected
    expected, got = (list(zip(rig.write_times, rig.downlink, strict=True)) for rig in rigs)
    assert got == expected


@given(
    st.lists(st.tuples(st.integers(1, 400), st.integers(0, 700)), max_size=8), st.integers(1, 60), st.integers(0, 200)
)
def test_held_and_resumed_no_word_is_lost_or_said_twice(twin, holds, count, lead):
    """At the ear: after each hold it goes on with the frame that was cut off, or the next if none was."""
    rig = AssistantRig(twin, lead_ms=lead).started()
    rig.respond(audio(count))
    for before_ms, held_ms in holds:
        rig.tick(before_ms)
        rig.lane.hold()
        rig.tick(held_ms)
        rig.lane.resume()
        rig.check()
    rig.tick(25 * count + 100)
    expected, position = audio(count), 0
    for stretch in at_the_ear(rig):
        assert stretch == expected[position : position + len(stretch)]
        position += len(stretch)
        position -= position % 160  # the frame that was cut off is said again, from its start
    assert position == len(expected)


def at_the_ear(rig: AssistantRig) -> list[bytes]:
    """What a carrier plays that plays at once and in real time: the stretches between clears."""
    stretches, play_end_ns = [b""], 0
    for at_ns, message in zip(rig.write_times, rig.sent, strict=True):
        if message["event"] == "media":
            stretches[-1] += audio_of([message])
            play_end_ns = max(play_end_ns, at_ns) + 20 * MS
        elif message["event"] == "clear":
            unplayed = -(-max(play_end_ns - at_ns, 0) // 125_000)
            stretches[-1] = stretches[-1][: len(stretches[-1]) - unplayed]
            stretches.append(b"")
            play_end_ns = at_ns
    return stretches


def assistant_counts(rig: AssistantRig) -> dict[str, Any]:
    names = ["epoch", "frames_enqueued", "frames_sent", "frames_flushed", "frames_unsent", "deltas", "refused_deltas"]
    names += ["malformed_deltas", "ignored_events", "marks_sent", "marks_played", "stale_marks", "frames_cleared"]
    names += ["first_frame_bytes"]
    told = {"events": rig.events, "first_frames": rig.first_frames, "played": rig.played, "active": rig.pacer.active}
    return {name: getattr(rig.lane, name) for name in names} | told


def assistant_playout(rig: AssistantRig) -> dict[str, Any]:
    lane, schedule = rig.lane, rig.lane.schedule
    names = ["due_ns", "play_end_ns", "tx_late_frames", "tx_schedule_resets", "underruns", "interval_max_ms"]
    positions = ["heard_bytes", "sent_bytes", "received_bytes", "unheard_ms", "playing", "held", "frames_rewound"]
    return {name: getattr(schedule, name) for name in names} | {name: getattr(lane, name) for name in positions}


def items(rig: AssistantRig) -> list[tuple[str, str, int, int]]:
    return rig.lane.items()


def test_the_numbers_of_frames_tell_them_apart():
    assert len(set(frames(*range(1000)))) == 1000
