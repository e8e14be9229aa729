"""The hot messages of both dialects, read and written."""

from helpers import SID


def bench_scan_twilio_media(twin, each, media_messages):
    each(twin.framing.scan_twilio, media_messages)


def bench_scan_realtime_delta(twin, each, delta_messages):
    each(twin.framing.scan_realtime, delta_messages)


def bench_append_message(twin, each, payloads):
    each(twin.framing.append_message, payloads)


def bench_media_message(twin, each, frames):
    media_message = twin.framing.media_message
    each(lambda frame: media_message(SID, frame), frames)
