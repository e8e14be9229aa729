"""The voices that OpenAI has, for each dialect its own. Another service has others, of which nothing is known here.
Imports nothing of ours."""

from urllib.parse import urlsplit

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
LIVE_VOICES = (
    *("alloy", "ash", "ballad", "beacon", "bossa", "cedar", "cinder", "coral", "delta", "echo", "gleam", "marin"),
    *("meridian", "quartz", "ripple", "sage", "shida", "shimmer", "stone", "tempo", "verse", "vesper", "willow"),
)
"""Of GPT-Live: all of the Realtime API's, and more."""
OWN_VOICE = "voice_"
"""What the id of a voice of one's own begins with."""
HOSTS = ("openai.com", "azure.com")


def voices_of(*, live: bool) -> tuple[str, ...]:
    return LIVE_VOICES if live else VOICES


def usable(voice: str, base_url: str | None, *, live: bool) -> bool:
    """Whether the service at this address may have such a voice in that dialect. base_url: None for OpenAI's."""
    return (
        voice in voices_of(live=live)
        or (voice.startswith(OWN_VOICE) and voice != OWN_VOICE)
        or (bool(voice) and _other(base_url))
    )


def _other(base_url: str | None) -> bool:
    host = urlsplit(base_url or "").hostname or HOSTS[0]
    return not any(host == each or host.endswith(f".{each}") for each in HOSTS)
