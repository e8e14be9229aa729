"""What the fault tests say in the words of both dialects: moments, faults and events by what they mean.

A test of them runs in each dialect, unless it is in `ONLY`, with the reason why it cannot.
"""

from fastbridge.sim import faults, live_faults
from fastbridge.sim.disruption import Disruption, Moment, On
from fastbridge.sim.faults import ALWAYS, Fault

REALTIME = "realtime"
LIVE = "live"
DIALECTS = (REALTIME, LIVE)
MODELS = {REALTIME: "gpt-realtime", LIVE: "gpt-live-1"}

SHARED: tuple[Fault, ...] = (
    faults.unreachable(),
    faults.unreachable("dns", ALWAYS),
    faults.connect_hangs(),
    faults.refused(429, "rate_limit_exceeded"),
    faults.refused(500),
    faults.refused(401, "invalid_api_key", ALWAYS),
    faults.endless_speech(),
    faults.unanswered(),
    faults.empty_transcripts(),
    faults.call_ids_repeat(),
    faults.speaks_pcm(),
    faults.hears_pcm(),
    faults.dropped(live_faults.IDLE),
    faults.dropped(live_faults.CALLER_SPEAKING, 1011, "internal error"),
    faults.dropped(live_faults.ASSISTANT_SPEAKING),
    faults.stalled(live_faults.ASSISTANT_SPEAKING),
    faults.upload_blocked(live_faults.CALLER_SPEAKING),
)
"""Of Realtime's faults those that GPT-Live can have, too."""
CATALOGUES = {REALTIME: faults.CATALOGUE, LIVE: (*live_faults.CATALOGUE, *SHARED)}
