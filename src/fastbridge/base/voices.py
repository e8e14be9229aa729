"""The voices that OpenAI's Realtime API has. Another service has its own, of which nothing is known here. Imports
nothing of ours."""

from urllib.parse import urlsplit

VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
OWN_VOICE = "voice_"
"""What the id of a voice of one's own begins with."""
HOSTS = ("openai.com", "azure.com")


def usable(voice: str, base_url: str | None) -> bool:
    """Whether the service at this address may have such a voice. base_url: None for OpenAI's."""
    return voice in VOICES or (voice.startswith(OWN_VOICE) and voice != OWN_VOICE) or (bool(voice) and _other(base_url))


def _other(base_url: str | None) -> bool:
    host = urlsplit(base_url or "").hostname or HOSTS[0]
    return not any(host == each or host.endswith(f".{each}") for each in HOSTS)
