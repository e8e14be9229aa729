"""Sound of our own in the assistant's lane: a response beside the model's, paced, counted and heard like all else.

It never stands in the middle of a response of the model's, unless that has stalled; and what the model begins to say
cuts it off.
"""

from base64 import b64encode

from fastbridge._assistant import AssistantLane
from fastbridge.model.port import LOCAL_ID, Model

SILENCE, FRAME_BYTES = b"\xff", 160


def play(lane: AssistantLane, session: Model, local_id: str, audio: bytes) -> None:
    """audio: mu-law as base64. local_id: begins with LOCAL_ID, and is new."""
    response_id = session.responses.response_id
    active = response_id if session.responses.running else None
    item_id = local_id.encode()
    session.local_deltas += 1
    if active is not None and any(known == active for _, known, _, _ in lane.items()):
        # Its audio has stalled: the rest will follow behind, in the same response.
        session.stalled()
        lane.feed_delta(active.encode(), item_id, audio)
        begun = (lane.received_bytes - lane.sent_bytes) % FRAME_BYTES
        if begun:  # or a few bytes of it would be sent, alone, when the response ends, and pass for a sound
            session.local_deltas += 1
            lane.feed_delta(active.encode(), item_id, b64encode(SILENCE * (FRAME_BYTES - begun)))
        return
    lane.begin_response(local_id)
    lane.feed_delta(item_id, item_id, audio)
    lane.end_response(local_id)
    if active is not None:  # begun, and silent so far
        lane.begin_response(active)


def plays(lane: AssistantLane, prefix: str) -> bool:
    """Whether what is heard last is sound of this kind."""
    items = lane.items()
    return lane.playing and bool(items) and items[-1][0].startswith(prefix)


def give_way(lane: AssistantLane, prefix: str, response_id: str) -> None:
    """The model begins to be heard: sound of this kind that is still playing is cut off."""
    if not response_id.startswith(LOCAL_ID) and plays(lane, prefix):
        lane.clear()
        lane.begin_response(response_id)
