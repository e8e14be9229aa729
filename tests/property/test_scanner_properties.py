"""A scan is `json.loads` or it is OTHER: on messages of every shape, regular ones, and regular ones gone wrong."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

import oracle.framing
from helpers import delta_json, mark_json, media_json

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
ALNUM = BASE64[:62]

digits = st.from_regex(r"[0-9]{1,18}", fullmatch=True)
base64_texts = st.text(BASE64, max_size=40)
sids = st.text(ALNUM, min_size=1, max_size=64)
names = st.text(ALNUM + "_:.-", min_size=1, max_size=128)
ids = st.text(ALNUM + "_-", min_size=1, max_size=64)
indices = st.integers(0, 999_999_999)

media_objects = st.builds(
    lambda sequence, chunk, timestamp, payload, sid: {
        "event": "media",
        "sequenceNumber": sequence,
        "media": {"track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": payload},
        "streamSid": sid,
    },
    *(digits, digits, digits, base64_texts, sids),
)
mark_objects = st.builds(
    lambda sequence, sid, name: {"event": "mark", "sequenceNumber": sequence, "streamSid": sid, "mark": {"name": name}},
    *(digits, sids, names),
)
delta_objects = st.builds(
    lambda event_id, response_id, item_id, output_index, content_index, delta, obfuscation: {
        "type": "response.output_audio.delta",
        "event_id": event_id,
        "response_id": response_id,
        "item_id": item_id,
        "output_index": output_index,
        "content_index": content_index,
        "delta": delta,
        **({} if obfuscation is None else {"obfuscation": obfuscation}),
    },
    *(ids, ids, ids, indices, indices, base64_texts, st.none() | st.text(ALNUM + "_-", max_size=20)),
)
words = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\x7f\x85"), max_size=20)
word_objects = st.builds(
    lambda fields, text: fields | {"type": "response.output_audio_transcript.delta", "delta": text},
    delta_objects,
    words,
)
objects = media_objects | mark_objects | delta_objects | word_objects

scalars = st.none() | st.booleans() | st.integers(-5, 10**19) | st.floats() | st.text(max_size=8)
look_alikes = objects.map(lambda fields: json.dumps(fields, separators=(",", ":")))
anything = st.recursive(
    scalars | look_alikes | objects,
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(max_size=6), deeper, max_size=3),
    max_leaves=6,
)


def compact(fields: Any) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def parsed(message: bytes) -> Any:
    try:
        return json.loads(message.decode())
    except ValueError:
        return None


def check(framing: Any, message: bytes) -> None:
    """Every field that a scan gives is what json.loads gives; and both twins say the same."""
    check_twilio(framing, message)
    check_realtime(framing, message)
    for scan in ("scan_twilio", "scan_realtime"):
        assert named(framing, getattr(framing, scan)(message)) == named(
            oracle.framing, getattr(oracle.framing, scan)(message)
        )


def named(framing: Any, result: tuple[Any, ...]) -> tuple[Any, ...]:
    kinds = {getattr(framing, name): name for name in ("OTHER", "MEDIA", "MARK", "DELTA", "IGNORED", "WORDS")}
    return kinds[result[0]], *result[1:]


def check_twilio(framing: Any, message: bytes) -> None:
    kind, *fields = framing.scan_twilio(message)
    truth = parsed(message)
    if kind == framing.MEDIA:
        sid, chunk, timestamp_ms, payload = fields
        assert truth["event"] == "media"
        assert truth["streamSid"].encode() == sid
        assert (int(truth["media"]["chunk"]), int(truth["media"]["timestamp"])) == (chunk, timestamp_ms)
        assert truth["media"]["payload"].encode() == payload
        assert truth["media"]["track"] == "inbound"
    elif kind == framing.MARK:
        assert truth["event"] == "mark"
        assert [truth["streamSid"].encode(), truth["mark"]["name"].encode()] == fields
    else:
        assert kind == framing.OTHER


def check_realtime(framing: Any, message: bytes) -> None:
    kind, *fields = framing.scan_realtime(message)
    truth = parsed(message)
    if kind in (framing.DELTA, framing.WORDS):
        event_id, response_id, item_id, content_index, delta = fields
        what = "output_audio" if kind == framing.DELTA else "output_audio_transcript"
        assert truth["type"] == f"response.{what}.delta"
        ids = [truth[key].encode() for key in ("event_id", "response_id", "item_id")]
        assert ids == [event_id, response_id, item_id]
        assert [truth["content_index"], truth["delta"].encode()] == [content_index, delta]
    elif kind == framing.IGNORED:
        assert fields == []
        assert message.startswith(b'{"type":"')
    else:
        assert kind == framing.OTHER


@given(media_objects)
def test_regular_media_is_always_recognised(framing, fields):
    assert framing.scan_twilio(compact(fields))[0] == framing.MEDIA
    check(framing, compact(fields))


@given(mark_objects)
def test_regular_marks_are_always_recognised(framing, fields):
    assert framing.scan_twilio(compact(fields))[0] == framing.MARK
    check(framing, compact(fields))


@given(delta_objects)
def test_regular_deltas_are_always_recognised(framing, fields):
    assert framing.scan_realtime(compact(fields))[0] == framing.DELTA
    check(framing, compact(fields))


@given(word_objects)
def test_words_are_recognised_unless_they_need_an_escape(framing, fields):
    needs = any(character in '"\\' for character in fields["delta"])
    assert framing.scan_realtime(compact(fields))[0] == (framing.OTHER if needs else framing.WORDS)
    check(framing, compact(fields))


@given(word_objects, st.data())
def test_words_of_bytes(framing, fields, data):
    """Any bytes for one of them: UTF-8 or OTHER."""
    message = bytearray(compact(fields))
    place = data.draw(st.integers(message.index(b'"delta":"') + 9, len(message) - 1))
    message[place : place + 1] = data.draw(st.binary(min_size=1, max_size=4))
    check(framing, bytes(message))


@given(st.data(), objects)
def test_written_in_another_way_it_is_the_same_or_other(framing, data, fields):
    """Whitespace, escapes and key order that JSON allows."""
    separators = data.draw(st.sampled_from([(",", ":"), (", ", ": "), (",\n", ":"), (" ,", ":")]))
    keys = data.draw(st.permutations(list(fields)))
    text = json.dumps({key: fields[key] for key in keys}, separators=separators)
    if data.draw(st.booleans()):
        text = text.replace("/", "\\/")
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + f"\\u{ord(text[place]):04x}" + text[place + 1 :]
    check(framing, text.encode())


@given(st.data(), objects, st.text(max_size=6), anything)
def test_extra_and_changed_keys(framing, data, fields, key, value):
    fields = json.loads(json.dumps(fields))
    target = data.draw(st.sampled_from([fields, *(inner for inner in fields.values() if isinstance(inner, dict))]))
    key = data.draw(st.sampled_from([key, *target]))
    if data.draw(st.booleans()):
        target[key] = value
    else:
        target.pop(key, None)
    check(framing, compact(fields))


@given(anything)
def test_anything_json_can_say(framing, value):
    check(framing, compact(value))


@given(objects, objects)
def test_one_message_within_another(framing, outer, inner):
    for key in outer:
        check(framing, compact({**outer, key: inner}))
        check(framing, compact({**outer, key: compact(inner).decode()}))
    check(framing, compact(outer) + compact(inner))


@given(objects, st.data())
def test_a_key_said_twice(framing, fields, data):
    text = compact(fields)
    key = data.draw(st.sampled_from(list(fields)))
    again = b'"%s":%s' % (key.encode(), compact(data.draw(st.sampled_from([fields[key], "0", 0, {}]))))
    check(framing, text[:-1] + b"," + again + b"}")
    check(framing, b"{" + again + b"," + text[1:])


@given(st.data(), objects)
def test_damaged_messages(framing, data, fields):
    """Bytes changed, taken out, put in, or swapped: whatever is left is still json.loads or OTHER."""
    message = bytearray(compact(fields))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(message) - 1))
        junk = data.draw(st.sampled_from(list(b'"\\{}[]:,=/ 019azAZ_-.\x00\x7f\xff')) | st.integers(0, 255))
        action = data.draw(st.sampled_from(["change", "insert", "delete", "truncate"]))
        if action == "change":
            message[place] = junk
        elif action == "insert":
            message.insert(place, junk)
        elif action == "delete" and len(message) > 1:
            del message[place]
        elif action == "truncate" and place:
            del message[place:]
    check(framing, bytes(message))


@given(st.binary(max_size=200))
@example(b"")
@example(media_json(0, b""))
@example(mark_json(b"n" * 129))
@example(delta_json("r", "i", b"")[:-1])
def test_any_bytes(framing, message):
    check(framing, message)
