import json
from base64 import b64encode

import pytest

from helpers import SID, delta_json, mark_json, media_json

PAYLOAD = b64encode(bytes(range(160)))
SILENT_PAYLOAD = b64encode(b"\xff" * 160)
MEDIA = media_json(101, PAYLOAD, timestamp_ms=2088)
MARK = mark_json(b"3:item_ab-C:160.5")
DELTA = delta_json("resp_Aa0-_", "item_1", PAYLOAD, "event_1")
OBFUSCATED = DELTA[:-1] + b',"obfuscation":"z9A9dJucSf1J"}'

TWILIO_CAPTURES = [
    b'{"event":"connected","protocol":"Call","version":"1.0.0"}',
    b'{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC%s","streamSid":"%s","callSid":"CA%s","tracks":["inbound"],'
    b'"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"FirstName":"Jane"}},'
    b'"streamSid":"%s"}' % (b"0" * 32, SID, b"1" * 32, SID),
    b'{"event":"dtmf","streamSid":"%s","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"1"}}' % SID,
    b'{"event":"stop","sequenceNumber":"5","stop":{"accountSid":"AC00","callSid":"CA00"},"streamSid":"%s"}' % SID,
    b'{"event":"mark","sequenceNumber":"4","streamSid":"%s","mark":{"name":"my label"}}' % SID,
]
REALTIME_CAPTURES = [
    b'{"type":"input_audio_buffer.speech_started","event_id":"event_1","audio_start_ms":1236,"item_id":"item_u"}',
    b'{"type":"response.output_audio_transcript.done","event_id":"event_1","response_id":"resp_1","transcript":"Sure!"}',
    b'{"type":"response.done","event_id":"event_1","response":{"id":"resp_1","status":"completed","output":[]}}',
    b'{"type":"error","event_id":"event_1","error":{"type":"invalid_request_error","code":null,"message":"no"}}',
    b'{"type":"response.function_call_arguments.done","event_id":"event_1","arguments":"{}"}',
]
UNREAD = [
    b'{"type":"response.function_call_arguments.delta","event_id":"event_1","response_id":"resp_1","item_id":"item_a",'
    b'"output_index":0,"call_id":"call_1","delta":"{\\"a\\":"}',
    b'{"type":"response.output_text.delta","event_id":"event_1","response_id":"resp_1","delta":"Hi"}',
    b'{"type":"conversation.item.input_audio_transcription.delta","event_id":"event_1","item_id":"item_u","delta":"Hi"}',
    b'{"type":"response.output_audio.done","event_id":"event_1","response_id":"resp_1","item_id":"item_a","output_index":0,'
    b'"content_index":0}',
    b'{"type":"response.content_part.added","event_id":"event_1","response_id":"resp_1","part":{"type":"audio"}}',
    b'{"type":"response.content_part.done","event_id":"event_1","response_id":"resp_1","part":{"type":"audio"}}',
    b'{"type":"conversation.item.done","event_id":"event_1","previous_item_id":null,"item":{"id":"item_a"}}',
]
WORDS = DELTA.replace(b"output_audio.delta", b"output_audio_transcript.delta").replace(PAYLOAD, b" Sure, 5 o'clock?")
NOT_JSON_OBJECTS = [
    b"",
    b"{",
    b"}",
    b"{}",
    b"[]",
    b"null",
    b"1",
    b'""',
    b"\xff\xfe",
    b"\0",
    b'{"event":',
    b'{"type":"',
    b"{" * 5000,
]


def replaced(message: bytes, old: bytes, new: bytes) -> bytes:
    assert message.count(old) == 1, "a near-miss must differ in one place"
    return message.replace(old, new)


MEDIA_NEAR_MISSES = [
    MEDIA + b" ",
    MEDIA + b"\n",
    MEDIA + b"\0",
    MEDIA + b"}",
    MEDIA + MEDIA,
    b" " + MEDIA,
    b"\xef\xbb\xbf" + MEDIA,
    replaced(MEDIA, b'"event":"media"', b'"event": "media"'),
    replaced(MEDIA, b'"event":"media"', b'"event":"Media"'),
    replaced(MEDIA, b'"event":"media"', b'"event":"\\u006dedia"'),
    replaced(MEDIA, b'"sequenceNumber":"102"', b'"sequenceNumber":102'),
    replaced(MEDIA, b'"sequenceNumber":"102"', b'"sequenceNumber":""'),
    replaced(MEDIA, b'"sequenceNumber":"102"', b'"sequenceNumber":"1234567890123456789"'),
    replaced(MEDIA, b'"track":"inbound"', b'"track":"outbound"'),
    replaced(MEDIA, b'"track":"inbound"', b'"track":"inbound","x":1'),
    replaced(MEDIA, b'"track":"inbound",', b""),
    replaced(MEDIA, b'"chunk":"101"', b'"chunk":"-101"'),
    replaced(MEDIA, b'"chunk":"101"', b'"chunk":" 101"'),
    replaced(MEDIA, b'"chunk":"101"', b'"chunk":"1_0"'),
    replaced(MEDIA, b'"chunk":"101"', '"chunk":"\u0661\u0660\u0661"'.encode()),
    replaced(MEDIA, b'"chunk":"101"', b'"chunk":"1234567890123456789"'),
    replaced(MEDIA, b'"chunk":"101"', b'"chunk":101'),
    replaced(MEDIA, b'"timestamp":"2088"', b'"timestamp":"2088.5"'),
    replaced(MEDIA, b'"timestamp":"2088"', b'"timestamp":"2e3"'),
    replaced(MEDIA, b'"timestamp":"2088"', b'"timestamp":null'),
    replaced(MEDIA, PAYLOAD, PAYLOAD[:8] + b"\\/" + PAYLOAD[8:]),
    replaced(MEDIA, PAYLOAD, PAYLOAD[:8] + b"-" + PAYLOAD[9:]),
    replaced(MEDIA, PAYLOAD, PAYLOAD[:8] + b"\n" + PAYLOAD[9:]),
    replaced(MEDIA, PAYLOAD, PAYLOAD[:8] + b"\xff" + PAYLOAD[9:]),
    replaced(MEDIA, b'"payload":"' + PAYLOAD + b'"', b'"payload":null'),
    replaced(MEDIA, b'"streamSid":"' + SID, b'"streamSid":"'),
    replaced(MEDIA, b'"streamSid":"' + SID, b'"streamSid":"' + b"M" * 65),
    replaced(MEDIA, b'"streamSid":"' + SID, b'"streamSid":"MZ-1'),
    replaced(MEDIA, b',"streamSid"', b',"streamSid":"MZ1","streamSid"'),
    replaced(MEDIA, b',"streamSid":"' + SID + b'"', b""),
    replaced(MEDIA, b'"media":{', b'"media":{"chunk":"1",'),
    b'{"streamSid":"%s",%s}' % (SID, replaced(MEDIA, b',"streamSid":"' + SID + b'"', b"")[1:-1]),
    b'{"event":"start","x":%s}' % json.dumps(MEDIA.decode()).encode(),
    b'{"event":"start","x":%s}' % MEDIA,
]
MARK_NEAR_MISSES = [
    MARK + b" ",
    replaced(MARK, b'"mark":{', b'"mark": {'),
    replaced(MARK, b"item_ab", b"item ab"),
    replaced(MARK, b"item_ab", b"item\\u005fab"),
    replaced(MARK, b"item_ab", "itém_ab".encode()),
    replaced(MARK, b"3:item_ab-C:160.5", b""),
    replaced(MARK, b"3:item_ab-C:160.5", b"x" * 129),
    replaced(MARK, b'"name"', b'"x":1,"name"'),
    replaced(MARK, b'"sequenceNumber":"4",', b""),
    replaced(MARK, b'"sequenceNumber":"4"', b'"sequenceNumber":"4a"'),
]
DELTA_NEAR_MISSES = [
    DELTA + b" ",
    DELTA + b"\0",
    b" " + DELTA,
    replaced(
        DELTA,
        b'{"type":"response.output_audio.delta","event_id":"event_1"',
        b'{"event_id":"event_1","type":"response.output_audio.delta"',
    ),
    replaced(DELTA, b"output_audio.delta", b"audio.delta"),
    replaced(DELTA, b"event_1", b""),
    replaced(DELTA, b"event_1", b"e" * 65),
    replaced(DELTA, b"event_1", b"event.1"),
    replaced(DELTA, b"resp_Aa0-_", b"resp 1"),
    replaced(DELTA, b'"resp_Aa0-_"', b"null"),
    replaced(DELTA, b"item_1", b"item\\/1"),
    replaced(DELTA, b'"output_index":0', b'"output_index":00'),
    replaced(DELTA, b'"output_index":0', b'"output_index":-0'),
    replaced(DELTA, b'"output_index":0', b'"output_index":0.0'),
    replaced(DELTA, b'"output_index":0', b'"output_index":0e0'),
    replaced(DELTA, b'"output_index":0', b'"output_index":true'),
    replaced(DELTA, b'"output_index":0', b'"output_index":"0"'),
    replaced(DELTA, b'"content_index":0', b'"content_index":1234567890'),
    replaced(DELTA, b'"content_index":0', b'"content_index":01'),
    replaced(DELTA, b'"content_index":0', b'"content_index":'),
    replaced(DELTA, PAYLOAD, PAYLOAD[:4] + b"\\/" + PAYLOAD[6:]),
    replaced(DELTA, PAYLOAD, PAYLOAD[:4] + b" " + PAYLOAD[5:]),
    replaced(DELTA, b'"delta":"', b'"delta":"AAAA","delta":"'),
    DELTA[:-1] + b',"x":1}',
    DELTA[:-1] + b',"obfuscation":"a b"}',
    DELTA[:-1] + b',"obfuscation":"a\\"b"}',
    DELTA[:-1] + b',"obfuscation":null}',
    OBFUSCATED[:-1] + b',"obfuscation":"again"}',
    replaced(DELTA, b',"delta"', b',"obfuscation":"z","delta"'),
    b'{"type":"response.done","x":%s}' % json.dumps(DELTA.decode()).encode(),
    b'{"type":"response.done","x":%s}' % DELTA,
]


def test_kinds_are_told_apart(framing):
    assert len({framing.OTHER, framing.MEDIA, framing.MARK, framing.DELTA, framing.IGNORED, framing.WORDS}) == 6


class TestTwilio:
    def test_media(self, framing):
        assert framing.scan_twilio(MEDIA) == (framing.MEDIA, SID, 101, 2088, PAYLOAD)

    def test_media_has_the_size_of_the_capture(self, framing):
        message = media_json(101, SILENT_PAYLOAD, timestamp_ms=2088)
        assert len(message) == 379
        assert framing.scan_twilio(message)[0] == framing.MEDIA

    @pytest.mark.parametrize("payload", [b"", b"AAAA", b"A=A=", b"=", b"/+==", b"A" * 100_000])
    def test_payload_characters_are_checked_and_padding_is_not(self, framing, payload):
        assert framing.scan_twilio(media_json(7, payload)) == (framing.MEDIA, SID, 7, 140, payload)

    def test_eighteen_digits_fit(self, framing):
        most = b'"%s"' % (b"9" * 18)
        message = replaced(replaced(MEDIA, b'"101"', most), b'"2088"', most)
        assert framing.scan_twilio(replaced(message, b'"102"', most))[2:4] == (10**18 - 1, 10**18 - 1)

    def test_leading_zeros_are_digits(self, framing):
        assert framing.scan_twilio(replaced(MEDIA, b'"101"', b'"007"'))[2] == 7

    @pytest.mark.parametrize("sid", [b"M", b"M" * 64, b"0Az9"])
    def test_stream_sids(self, framing, sid):
        assert framing.scan_twilio(media_json(1, PAYLOAD, sid))[1] == sid
        assert framing.scan_twilio(mark_json(b"m", sid)) == (framing.MARK, sid, b"m")

    def test_mark(self, framing):
        assert framing.scan_twilio(MARK) == (framing.MARK, SID, b"3:item_ab-C:160.5")
        assert framing.scan_twilio(mark_json(b"n" * 128))[2] == b"n" * 128

    @pytest.mark.parametrize("message", [*TWILIO_CAPTURES, *NOT_JSON_OBJECTS, DELTA])
    def test_other(self, framing, message):
        assert framing.scan_twilio(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", MEDIA_NEAR_MISSES)
    def test_media_near_misses_are_other(self, framing, message):
        assert framing.scan_twilio(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", MARK_NEAR_MISSES)
    def test_mark_near_misses_are_other(self, framing, message):
        assert framing.scan_twilio(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", [MEDIA, MARK])
    def test_every_prefix_is_other(self, framing, message):
        for size in range(len(message)):
            assert framing.scan_twilio(message[:size]) == (framing.OTHER,)

    @pytest.mark.parametrize("message", [MEDIA, MARK])
    @pytest.mark.parametrize("junk", [b" ", b"\0", b"\\", b'"'])
    def test_a_byte_put_in_anywhere_makes_it_other(self, framing, message, junk):
        for place in range(len(message) + 1):
            assert framing.scan_twilio(message[:place] + junk + message[place:]) == (framing.OTHER,)


class TestRealtime:
    def test_delta(self, framing):
        assert framing.scan_realtime(DELTA) == (framing.DELTA, b"event_1", b"resp_Aa0-_", b"item_1", 0, PAYLOAD)

    def test_delta_with_obfuscation(self, framing):
        assert framing.scan_realtime(OBFUSCATED) == framing.scan_realtime(DELTA)
        assert framing.scan_realtime(DELTA[:-1] + b',"obfuscation":""}') == framing.scan_realtime(DELTA)

    @pytest.mark.parametrize("delta", [b"", b"=", b"AAA=AAA", b"A" * 100_000])
    def test_delta_characters_are_checked_and_padding_is_not(self, framing, delta):
        assert framing.scan_realtime(delta_json("r", "i", delta))[5] == delta

    def test_indices(self, framing):
        message = replaced(DELTA, b'"output_index":0,"content_index":0', b'"output_index":10,"content_index":999999999')
        assert framing.scan_realtime(message)[4] == 999_999_999

    def test_longest_ids(self, framing):
        assert framing.scan_realtime(delta_json("r" * 64, "i" * 64, b""))[2:4] == (b"r" * 64, b"i" * 64)

    def test_words(self, framing):
        said = (framing.WORDS, b"event_1", b"resp_Aa0-_", b"item_1", 0, b" Sure, 5 o'clock?")
        assert framing.scan_realtime(WORDS) == said
        assert framing.scan_realtime(WORDS[:-1] + b',"obfuscation":"z9A9dJucSf1J"}') == said

    @pytest.mark.parametrize(
        "words",
        [
            "",
            "\x7f",
            "\x80",
            "\u07ff",
            "\u0800",
            "\ud7ff",
            "\ue000",
            "\uffff",
            "\U00010000",
            "\U0010ffff",
            "שלום, é 😀",
        ],
    )
    def test_words_of_any_script(self, framing, words):
        assert framing.scan_realtime(replaced(WORDS, b" Sure, 5 o'clock?", words.encode()))[5] == words.encode()

    @pytest.mark.parametrize(
        "words",
        [b'\\"', b"\xc2 ", b"\\n", b"\\u05d0", b"\n", b"\0", b"\x1f", b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf",
         b"\xc2", b"\xe0\x9f\xbf", b"\xe0\xa0", b"\xed\xa0\x80", b"\xef\xbf", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80",
         b"\xff", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xe1\x80\xc0", b"\xf1\x80\x80\xc0"],
    )  # fmt: skip
    def test_words_with_escapes_or_not_utf8_are_other(self, framing, words):
        assert framing.scan_realtime(replaced(WORDS, b" Sure, 5 o'clock?", words)) == (framing.OTHER,)

    @pytest.mark.parametrize("message", UNREAD)
    def test_ignored(self, framing, message):
        assert framing.scan_realtime(message) == (framing.IGNORED,)

    @pytest.mark.parametrize("message", UNREAD)
    def test_ignored_only_by_the_leading_type(self, framing, message):
        fields = json.loads(message)
        kind = fields.pop("type")
        message = json.dumps({"event_id": fields["event_id"], "type": kind}, separators=(",", ":")).encode()
        assert framing.scan_realtime(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", UNREAD)
    def test_a_longer_type_is_another_type(self, framing, message):
        longer = message.replace(b'","event_id"', b'2","event_id"', 1)
        assert framing.scan_realtime(longer) == (framing.OTHER,)

    @pytest.mark.parametrize("message", [*REALTIME_CAPTURES, *NOT_JSON_OBJECTS, MEDIA])
    def test_other(self, framing, message):
        assert framing.scan_realtime(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", DELTA_NEAR_MISSES)
    def test_near_misses_are_other(self, framing, message):
        assert framing.scan_realtime(message) == (framing.OTHER,)

    @pytest.mark.parametrize("message", [DELTA, OBFUSCATED, WORDS, *UNREAD])
    def test_every_prefix_is_other(self, framing, message):
        for size in range(len(message)):
            if not message[:size].endswith(b"}"):
                assert framing.scan_realtime(message[:size]) == (framing.OTHER,)

    @pytest.mark.parametrize("message", [DELTA, OBFUSCATED])
    @pytest.mark.parametrize("junk", [b" ", b"\0", b"\\", b'"'])
    def test_a_byte_put_in_anywhere_makes_it_other(self, framing, message, junk):
        for place in range(len(message) + 1):
            assert framing.scan_realtime(message[:place] + junk + message[place:]) == (framing.OTHER,)


class TestMessages:
    def test_append(self, framing):
        assert framing.append_message(b"AAA=") == b'{"type":"input_audio_buffer.append","audio":"AAA="}'

    def test_media(self, framing):
        expected = b'{"event":"media","streamSid":"%s","media":{"payload":"%s"}}' % (SID, SILENT_PAYLOAD)
        assert framing.media_message(SID, b"\xff" * 160) == expected

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 159, 160, 161, 2000])
    def test_media_of_any_size(self, framing, size):
        frame = bytes(index % 256 for index in range(size))
        message = json.loads(framing.media_message(SID, frame))
        assert message["media"] == {"payload": b64encode(frame).decode()}

    def test_mark(self, framing):
        expected = b'{"event":"mark","streamSid":"%s","mark":{"name":"0:item_1:160"}}' % SID
        assert framing.mark_message(SID, b"0:item_1:160") == expected

    def test_clear(self, framing):
        assert framing.clear_message(SID) == b'{"event":"clear","streamSid":"%s"}' % SID
