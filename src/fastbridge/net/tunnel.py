"""`fastbridge serve --tunnel`: a public address for this run, by what is installed: cloudflared, or else ngrok.

The tunnel is a process of ours, in a session of its own, so that a terminal's Ctrl-C does not end it before the calls
have ended. What it prints is read to its end and not shown; only its address is taken from it. Sources: Cloudflare,
"Quick Tunnels"; ngrok, "ngrok http" and "Agent API".
"""

import contextlib
import json
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fastbridge.errors import ConfigError
from fastbridge.observe import notices
from fastbridge.observe.log_format import clean

OPEN_SECONDS = 30.0
STOP_SECONDS = 3.0
NGROK_API = "http://127.0.0.1:4040/api/tunnels"
COMMANDS = {
    "cloudflared": ["tunnel", "--no-autoupdate", "--url"],
    "ngrok": ["http", "--log", "stdout", "--log-format", "logfmt"],
}
"""In the order of preference. Behind stands the address that is passed on to."""
_ADDRESS = {
    "cloudflared": re.compile(r"https://(?!api\.)[a-z0-9-]+\.trycloudflare\.com\b"),
    "ngrok": re.compile(r"msg=\"started tunnel\".* url=(https://\S+)"),
}
NONE_INSTALLED = "--tunnel needs cloudflared or ngrok: install one, or set PUBLIC_URL to an address of yours."
PLACEHOLDER = "https://tunnel.invalid"
"""The public address before there is one, so that all else can be checked."""
ANY_HOST = ("", "0.0.0.0", "::")
UNSIGNED = "--tunnel lets the whole world in: set TWILIO_AUTH_TOKEN first, without which anybody could open calls."


class Tunnel:
    """`with Tunnel(port) as tunnel`: `tunnel.url` leads to this port here. ConfigError where it cannot be."""

    def __init__(self, port: int, host: str = "", *, find: Callable[[str], str | None] = shutil.which) -> None:
        found = [(name, path) for name in COMMANDS if (path := find(name)) is not None]
        if not found:
            raise ConfigError(NONE_INSTALLED)
        self.program, self._path = found[0]
        self.url = ""
        self._port = port
        self._host = "127.0.0.1" if host in ANY_HOST else f"[{host}]" if ":" in host else host
        self._last = ""  # line that it has printed, should it fail
        self._open = threading.Event()
        self._stopping = False

    def __enter__(self) -> Self:
        target = f"http://{self._host}:{self._port}"
        self._process = subprocess.Popen(
            [self._path, *COMMANDS[self.program], target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._printed = self._process.stdout
        self._reader = threading.Thread(target=self._read, name="tunnel", daemon=True)
        self._reader.start()
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def told(self) -> str:
        """For whoever has started it, who wants a number to call this address, too."""
        return (
            f"fastbridge: {self.program} leads {self.url} here, until this run ends. In a second terminal "
            f"PUBLIC_URL={self.url} fastbridge doctor --fix examines it, and lets your number call it."
        )

    def stop(self) -> None:
        """End it, with grace and then without."""
        self._stopping = True
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)

    def _wait(self) -> None:
        deadline_s = time.monotonic() + OPEN_SECONDS
        while not self._open.wait(0.2) and not self.url:
            if self._process.poll() is not None:
                self._reader.join(1.0)
                said = clean(self._last) or f"exit code {self._process.returncode}"
                raise ConfigError(f"{self.program} opened no tunnel: {said}")
            if time.monotonic() > deadline_s:
                told = f"within {OPEN_SECONDS:.0f} s: see what it says by itself"
                raise ConfigError(f"{self.program} opened no tunnel {told}.")
            if self.program == "ngrok":
                self.url = self.url or ngrok_address(self._port)
        self._open.set()

    def _read(self) -> None:
        """What it prints, to its end: a pipe that nobody reads would stop it."""
        with self._printed as lines:
            for line in lines:
                found = _ADDRESS[self.program].search(line)
                if found is not None and not self.url:
                    self.url = found[found.re.groups]
                    self._open.set()
                self._last = " ".join(line.split()) or self._last
        if self._open.is_set() and not self._stopping:
            notices.tunnel_ended(self.program, self.url)


def ngrok_address(port: int, api: str = "") -> str:
    """As ngrok's own API tells it, for a tunnel to this port; nothing where it tells none."""
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        with urllib.request.urlopen(api or NGROK_API, timeout=1.0) as answer:
            listed = json.load(answer)["tunnels"]
        for each in listed:
            leads_to, url = str(each["config"]["addr"]), str(each["public_url"])
            if leads_to.endswith(f":{port}") and url.startswith("https://"):
                return url
    return ""
