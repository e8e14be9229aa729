"""Public addresses, in one form: what signatures are made of, and what Twilio is told."""

import ipaddress
import re
from urllib.parse import urlsplit

MEDIA_PATH = "/media/"
"""Where streams come to: behind it stands their token."""
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def normalised_url(text: str) -> str:
    """An origin and optional path prefix: lower case, no default port, no trailing slash. A bare host means https.

    Raises ValueError for anything else: user names, queries and fragments would silently break every signature.
    """
    parts = urlsplit(text if "://" in text else f"https://{text}")
    scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    if scheme not in ("http", "https") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("not a public address")
    if ":" in host:
        host = f"[{ipaddress.IPv6Address(host)}]"
    elif not _HOST.fullmatch(host):
        raise ValueError("not a host name")
    default = {"http": 80, "https": 443}[scheme]
    suffix = "" if port in (None, default) else f":{port}"
    return f"{scheme}://{host}{suffix}{parts.path.rstrip('/')}"


def is_local(url: str) -> bool:
    """Whether its host, by its looks, is one that nobody on the internet reaches: this machine, or its own network."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith((".local", ".localhost", ".internal", ".lan"))


def is_loopback(url: str | None) -> bool:
    """Whether it leads to this machine itself."""
    host = urlsplit(url or "").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
