"""Twilio's signatures: whether it has sent this, and signing as it does. Reads no socket, clock or setting.

The arithmetic is a keyed hash, held by the tests to Twilio's own library; the difficult part is which URL was signed.
It is always made of the configured public one: no header of the request has a say. Source: Twilio's "Security".
"""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qs, urlparse

Params = list[tuple[str, str]]
"""Decoded form fields as they came: order, duplicates, blanks and white space kept."""

_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}


def valid_webhook(
    auth_token: str,
    public_url: str,
    path_and_query: str,
    params: Params,
    body: bytes,
    content_type: str,
    signature: str,
) -> bool:
    """Whether Twilio signed this request to `public_url` + `path_and_query` (raw, as received).

    A form's fields are signed one by one (`params`; none for GET). A JSON body is signed by its hash in the URL, and is
    worth nothing without one.
    """
    if not path_and_query.startswith("/"):
        return False
    url = public_url + path_and_query
    if _media_type(content_type) == "application/json":
        signed_hash = parse_qs(urlparse(url).query).get("bodySHA256", [""])[0]
        if not _same(hashlib.sha256(body).hexdigest(), signed_hash):
            return False
        params = []
    return _signed(auth_token, _with_and_without_port(url), params, signature)


def valid_handshake(auth_token: str, public_url: str, path: str, signature: str) -> bool:
    """Whether Twilio signed this WebSocket handshake for `path` (raw, as received).

    Twilio signs the wss:// URL and is known to add a slash or the port; the https:// form is accepted too. A node whose
    public URL is http:// (a test, a simulated caller) also takes the ws:// and http:// forms.
    """
    if not path.startswith("/"):
        return False
    scheme, rest = public_url.split("://", 1)
    schemes = ["wss", "https"] if scheme == "https" else ["ws", "http", "wss", "https"]
    twin = path[:-1] if path.endswith("/") else path + "/"
    urls = [f"{each}://{rest}{form}" for each in schemes for form in (path, twin)]
    return _signed(auth_token, [form for url in urls for form in _with_and_without_port(url)], [], signature)


def sign(auth_token: str, url: str, params: Mapping[str, str]) -> str:
    """A signature as Twilio makes it: of a form's fields, each there once; of a handshake or a GET there are none."""
    return _signature(auth_token, url, params.items())


def _signature(auth_token: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """HMAC-SHA1 of the URL and, sorted, each field's name and value, each pair once; in base64."""
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    return base64.b64encode(hmac.digest(auth_token.encode(), signed.encode(), "sha1")).decode("ascii")


def _signed(auth_token: str, urls: Iterable[str], params: Params, signature: str) -> bool:
    try:
        return any(_same(_signature(auth_token, url, params), signature) for url in urls)
    except UnicodeEncodeError:  # a lone surrogate: Twilio signs UTF-8, so it did not sign this
        return False


def _with_and_without_port(url: str) -> list[str]:
    """The two forms Twilio may have signed: it drops the port, or adds the default one, depending on the product."""
    parsed = urlparse(url)
    if parsed.port:
        bare = parsed.netloc.rpartition(":")[0]
        full = parsed.netloc
    else:
        bare = parsed.netloc
        full = f"{parsed.netloc}:{_DEFAULT_PORTS[parsed.scheme]}"
    return [parsed._replace(netloc=netloc).geturl() for netloc in (bare, full)]


def _same(ours: str, theirs: str) -> bool:
    """Equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "replace"))


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
