"""What the flags show, that they show it, and that without them nothing is in the way."""

import pytest

from fastbridge._websocket import TextSink
from helpers import QUIET, base64_text, delta_json
from live_rig import LiveRig
from virtual import Rig

WORDS = (
    b'{"type":"response.output_audio_transcript.delta","response_id":"resp_1","item_id":"item_1","delta":"hello you"}'
)
CALLERS = b'{"type":"conversation.item.input_audio_transcription.delta","item_id":"item_2","delta":"MARKER"}'


@pytest.fixture
def lines(caplog):
    caplog.set_level("INFO")
    return lambda words: [record.getMessage() for record in caplog.records if words in record.getMessage()]


def feed(rig, message):
    """As the socket does: to what it was told to feed."""
    sink = rig.call.trace.sink
    rig.do(rig.call.assistant.feed_message if isinstance(sink, TextSink) else sink, message)


def test_without_flags_the_socket_feeds_the_lane_itself(lines):
    rig = Rig().up()
    assert type(rig.call.trace.sink) is type(rig.call.assistant.sink)
    rig.caller_says(*[QUIET] * 400)
    feed(rig, WORDS)
    rig.shut()
    for words in ("chunk#", "event ", "delta", "AUDIO_DRAIN"):
        assert lines(words) == []


def test_log_audio_chunks_shows_every_hundredth_frame(lines):
    rig = Rig(log_audio_chunks=True).up()
    rig.caller_says(*[QUIET] * 420)
    rig.advance(1)
    rig.shut()
    found = [line.partition("chunk#")[2].partition(",")[0] for line in lines("sending audio TO OpenAI")]
    assert found == ["100", "200", "300", "400"]


def test_development_shows_the_first_three_frames_and_no_more(lines, caplog):
    caplog.set_level("DEBUG")
    rig = Rig().up()
    rig.caller_says(*[QUIET] * 1100)
    rig.shut()
    found = [line.partition("chunk#")[2].partition(",")[0] for line in lines("sending audio TO OpenAI")]
    assert found == ["1", "2", "3"]
    assert 2 <= len(lines("[RMS]")) <= 3


def test_log_realtime_events_shows_each_event_but_not_each_delta(lines):
    rig = Rig(log_realtime_events=True).up()
    rig.begin("resp_1", "item_1")
    for _ in range(50):
        feed(rig, delta_json("resp_1", "item_1", base64_text(bytes(800))))
        rig.loop.advance(0.02)
    feed(rig, WORDS)
    feed(rig, b'{"type":"response.output_item.done","event_id":"event_1","item":{}}')
    rig.done("resp_1")
    rig.shut()
    assert len(lines("event response.output_item.done, bytes=")) == 1
    assert len(lines("event response.output_audio.delta, bytes=")) == 1
    assert len(lines("event response.created, bytes=")) == 1
    assert len(lines("event session.updated, bytes=")) == 1
    assert rig.call.assistant.deltas == 50
    assert lines("hello") == []


@pytest.mark.parametrize("development", [False, True])
def test_what_the_model_behind_the_voice_does_is_shown_by_its_own_names(lines, caplog, development):
    """GPT-Live has them all within events of one name; a delta among them is one."""
    caplog.set_level("DEBUG")
    rig = LiveRig(log_realtime_events=not development).up()
    rig.delegates(("call_1", "order", "{}"))
    for _ in range(40):
        rig.works("response.output_text.delta", delta="nine")
    rig.works("nonsense, and 4155550123")
    rig.shut()
    found = [line.partition("event ")[2].partition(", bytes")[0] for line in lines("[REALTIME] event ")]
    assert found.count("response.event response.created") == 1
    assert found.count("response.event response.output_item.done") == 1
    assert found.count("response.event response.output_text.delta") == (0 if development else 1)
    assert found.count("response.event unknown") == 1
    assert "nine" not in caplog.text


def test_no_delta_is_parsed_for_the_level_alone(caplog, monkeypatch):
    caplog.set_level("DEBUG")
    parsed: list[bytes] = []
    monkeypatch.setattr("fastbridge.model.realtime.trace._kind", lambda message: str(parsed.append(message)))
    rig = Rig().up()
    rig.begin("resp_1", "item_1")
    feed(rig, delta_json("resp_1", "item_1", base64_text(bytes(800))))
    feed(rig, WORDS)
    rig.shut()
    assert parsed
    assert [message for message in parsed if b".delta" in message] == []


def test_log_transcript_deltas_shows_words_as_they_come(lines):
    rig = Rig(log_transcript_deltas=True).up()
    rig.begin("resp_1", "item_1")
    feed(rig, WORDS)
    feed(rig, CALLERS)
    assert rig.call.session.turns["item_1"].text == "hello you"
    rig.shut()
    assert [line.partition(", call_sid")[0] for line in lines("delta:")] == [
        '[TRANSCRIPT] delta: "hello you"',
        '[TRANSCRIPT] delta: "MARKER"',
    ]


def test_no_flag_shows_words_where_there_may_be_none(lines, caplog):
    caplog.set_level("DEBUG")
    rig = Rig(log_transcript_deltas=True, log_realtime_events=True, log_transcripts=False).up()
    feed(rig, CALLERS)
    rig.shut()
    assert lines("MARKER") == []
    assert len(lines('delta: "(6 characters)"')) == 1


def test_debug_tx_says_every_5_s_where_the_audio_is(lines):
    rig = Rig(debug_tx=True).up()
    rig.respond(bytes(8000 * 20))
    rig.advance(19.5)
    rig.shut()
    found = lines("[AUDIO_DRAIN]")
    assert len(found) == 4
    assert "tx=" in found[0]
    assert "tx_schedule_resets=0" in found[0]


def test_a_schedule_that_began_anew_is_a_warning(lines):
    rig = Rig().up()
    rig.respond(bytes(8000 * 4))
    rig.advance(0.5)
    rig.loop.now_ns += 700_000_000
    rig.advance(2)
    rig.shut()
    (line,) = lines("[TX_SLOW]")
    assert "frames left over 200ms late, tx_schedule_resets=1" in line


def test_a_delta_of_nothing_is_nothing(lines):
    rig = Rig(log_transcript_deltas=True).up()
    feed(rig, CALLERS.replace(b'"MARKER"', b"null"))
    rig.shut()
    assert [line.partition(", call_sid")[0] for line in lines("delta:")] == ['[TRANSCRIPT] delta: ""']


def test_a_filter_that_began_afresh_is_an_error_once(lines, caplog):
    rig = Rig(enable_min_dsp=True).up()
    for _ in range(3):
        rig.call.dsp.last_output = float("nan")
        rig.advance(1.1)
    rig.shut()
    assert [line.partition(", call_sid")[0] for line in lines("[DSP]")] == [
        "[DSP] enabled: highpass+limiter",
        "[DSP] ERROR: the filter began afresh - first occurrence",
        "[DSP] +2, error=2",
    ]
    assert [record.levelname for record in caplog.records if "[DSP]" in record.getMessage()] == [
        "INFO",
        "ERROR",
        "WARNING",
    ]


@pytest.mark.parametrize("message", [b"\xff.delta", b"[1]", b'{"type": 5, "a": ".delta"}', b'{".delta": 1}'])
def test_what_a_peer_sends_never_raises(message, caplog):
    caplog.set_level("DEBUG")
    rig = Rig(log_transcript_deltas=True, log_realtime_events=True).up()
    feed(rig, message)
    rig.call.trace.model_event(message)
    rig.shut()
