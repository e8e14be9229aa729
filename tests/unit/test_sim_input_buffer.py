from fastbridge.sim.input_buffer import InputBuffer
from fastbridge.sim.scenario import babble
from fastbridge.sim.session_object import SessionObject

PCMU = {"type": "audio/pcmu"}
SPEECH = babble("This is the caller speaking to you.")[: 800 * 8]


def session(detection: object = None) -> SessionObject:
    made = SessionObject("sess_1", "gpt-realtime-2.1", 0)
    audio = {"input": {"format": PCMU, "turn_detection": detection}}
    assert made.update({"audio": audio}, audio_was_sent=False) is None
    return made


def test_without_turn_detection_there_are_no_edges_only_audio() -> None:
    buffer = InputBuffer(session())
    assert buffer.append(SPEECH) == []
    assert (buffer.end_ms, buffer.pending_ms) == (800, 800.0)


def test_take_commits_and_moves_the_start() -> None:
    buffer = InputBuffer(session())
    buffer.append(SPEECH)
    buffer.begin(100)
    assert buffer.take(300) == SPEECH[800:2400]
    assert buffer.pending_ms == 500.0
    buffer.begin(200)
    assert buffer.start_ms == 300, "a turn never begins in audio that another has taken"


def test_cut_takes_everything_and_the_detector_listens_afresh() -> None:
    buffer = InputBuffer(session({"type": "server_vad"}))
    assert [edge.kind for edge in buffer.append(SPEECH)] == ["started"]
    assert buffer.cut() == SPEECH
    assert buffer.append(b"\xff" * 8000) == []


def test_settings_that_stay_do_not_disturb_the_speech_under_way() -> None:
    settings = session({"type": "server_vad", "silence_duration_ms": 200})
    buffer = InputBuffer(settings)
    buffer.append(SPEECH)
    settings.settings["instructions"] = "other"
    buffer.configure(settings)
    assert [edge.kind for edge in buffer.append(b"\xff" * 4000)] == ["stopped"]


def test_a_split_sample_survives_an_update() -> None:
    settings = SessionObject("sess_1", "gpt-realtime-2.1", 0)
    buffer = InputBuffer(settings)
    buffer.append(b"\x00" * 45)
    buffer.configure(settings)
    buffer.append(b"\x00" * 3)
    assert buffer.end_ms == 1


def test_new_settings_take_hold_where_the_audio_is_now() -> None:
    settings = session()
    buffer = InputBuffer(settings)
    buffer.append(b"\xff" * 8000)
    settings.input["turn_detection"] = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
    }
    settings.input["format"] = {"type": "audio/pcm", "rate": 24_000}
    buffer.configure(settings)
    buffer.append(b"\x00" * 48)
    assert buffer.end_ms == 1001
    settings.input["format"] = PCMU
    buffer.configure(settings)
    edges = buffer.append(SPEECH)
    assert [(edge.kind, edge.at_ms) for edge in edges] == [("started", 1000)]


def test_it_may_take_the_audio_for_what_it_is_not() -> None:
    """Before and after an update that says otherwise: six bytes of PCM to one of mu-law."""
    buffer = InputBuffer(settings := session(), {"type": "audio/pcm", "rate": 24_000})
    buffer.append(bytes(960))
    assert buffer.end_ms == 20
    buffer.configure(settings)
    buffer.append(bytes(960))
    assert buffer.end_ms == 40
