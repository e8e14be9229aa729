"""What the model says in a load run of GPT-Live: its messages as templates, for `fastbridge._loadlive`.

Written as `load_events` writes those of the Realtime API, with the same control characters; the shapes are those of the
simulated service (`live_wire`). A stream has no response, so nothing here has one's number.
"""

from fastbridge.sim import live_wire
from fastbridge.sim.load_events import DECIMAL, EVENT_ID, RAW, SESSION, bare
from fastbridge.sim.wire import Event, Json

_ID: Json = {"id": f"live_{SESSION}", "expires_at": 1_900_000_000, "status": "active"}
_CLIENT = f'"{RAW}":0,'
"""In place of `client_event_id`, which is only there where the client gave one."""


def scripts() -> dict[str, list[bytes]]:
    """For each occasion the message that it takes."""
    found = {name: bare(live_wire.encode(event, EVENT_ID)) for name, event in _occasions().items()}
    found["started"] = found["started"].removesuffix("}}") + f",{RAW}}}}}"
    found["audio"] = found["audio"].removesuffix('"}')
    return {name: [text.replace(_CLIENT, RAW).replace(f'"{RAW}"', RAW).encode()] for name, text in found.items()}


def _occasions() -> dict[str, Event]:
    acknowledged = {RAW: 0, "start_ms": DECIMAL, "end_ms": DECIMAL}
    fragment = {"delta": " word", "start_ms": DECIMAL, "end_ms": RAW}
    usage = {"usage": {"seconds": DECIMAL}}
    return {
        "started": Event("session.started", {"session": _ID}),
        "updated": Event("session.updated", {RAW: 0, "session": _ID}),
        "audio": live_wire.audio_delta(b""),
        "spoken": Event(live_wire.OUTPUT_TRANSCRIPT, fragment),
        "heard": Event(live_wire.INPUT_TRANSCRIPT, fragment),
        "commentary": Event("session.commentary.appended", acknowledged),
        "instructions": Event("session.instructions.appended", acknowledged),
        "thinking": Event("session.thinking.appended", acknowledged),
        "usage": Event("session.usage.updated", usage),
        "closed": Event("session.closed", {"reason": "close_requested", "session": _ID, **usage}),
    }
