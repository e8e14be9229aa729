"""The dialects' hot messages: recognised by their whole, exact layout, or left to a JSON parser.

A scan never raises and never guesses: the message either has byte for byte the layout the service sends
(compact JSON, known keys, known order), or it is OTHER. So every field a scan returns equals what
`json.loads` returns for the same message.
"""

OTHER: int
"""Not a hot message, or not in the exact layout: parse it as JSON."""
MEDIA: int
"""Twilio `media`, track inbound."""
MARK: int
"""Twilio `mark` (an echo)."""
DELTA: int
"""OpenAI `response.output_audio.delta`."""
IGNORED: int
"""An OpenAI event that nobody reads (`...input_audio_transcription.delta`, `function_call_arguments.delta`,
`output_text.delta`, `content_part.added` and `.done`, `output_audio.done`, `conversation.item.done`): known by its
leading `type` key.
"""
WORDS: int
"""OpenAI `response.output_audio_transcript.delta`."""

def scan_twilio(message: bytes) -> tuple[object, ...]:
    """(MEDIA, stream_sid, chunk, timestamp_ms, payload) | (MARK, stream_sid, name) | (OTHER,).

    MEDIA:
    {"event":"media","sequenceNumber":"D","media":{"track":"inbound","chunk":"D","timestamp":"D","payload":"B"},"streamSid":"S"}
    MARK:  {"event":"mark","sequenceNumber":"D","streamSid":"S","mark":{"name":"N"}}
    D is 1 to 18 ASCII digits; B base64 text, its alphabet only (characters are checked, padding is not); S 1 to 64 of
    [A-Za-z0-9];
    N 1 to 128 bytes of [A-Za-z0-9_:.-]. Strings come back as bytes, chunk and timestamp_ms as int.
    """

def scan_realtime(message: bytes) -> tuple[object, ...]:
    """(DELTA or WORDS, event_id, response_id, item_id, content_index, delta) | (IGNORED,) | (OTHER,).

    {"type":"response.output_audio.delta","event_id":"I","response_id":"I","item_id":"I","output_index":N,"content_index":N,"delta":"B"}
    with an optional ,"obfuscation":"O" before the final brace. I: 1 to 64 of [A-Za-z0-9_-]; N: 1 to 9 digits without a
    leading zero (or 0); B base64 alphabet and '=' only, may be empty; O: [A-Za-z0-9_-]*. WORDS is the same with
    `output_audio_transcript` and UTF-8 without any escape for B.
    """

def scan_live(message: bytes) -> tuple[object, ...]:
    """(DELTA, delta) | (OTHER,), of the dialect whose stream never pauses.

    {"type":"session.output_audio.delta","delta":"B"}, with an optional "event_id":"I" before or behind the delta. B and
    I as above.
    """

def append_message(payload: bytes) -> bytes:
    """{"type":"input_audio_buffer.append","audio":"<payload>"} for base64 text."""

def live_append_message(payload: bytes) -> bytes:
    """{"type":"session.input_audio.append","audio":"<payload>"} for base64 text."""

def media_message(stream_sid: bytes, frame: bytes) -> bytes:
    """{"event":"media","streamSid":"...","media":{"payload":"<base64 of frame>"}}"""

def mark_message(stream_sid: bytes, name: bytes) -> bytes:
    """{"event":"mark","streamSid":"...","mark":{"name":"..."}}"""

def clear_message(stream_sid: bytes) -> bytes:
    """{"event":"clear","streamSid":"..."}"""
