"""Stand-ins for cloudflared and ngrok: programs that take their options and print what they are documented to print."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

CLOUDFLARED = """
import signal, sys, time
assert sys.argv[1:4] == ["tunnel", "--no-autoupdate", "--url"], sys.argv
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say = lambda text: print(f"2024-01-21T19:30:26Z {text}", file=sys.stderr, flush=True)
say("INF Thank you for trying Cloudflare Tunnel. Doing so, without a Cloudflare account, is a quick way to experiment "
    "(https://www.cloudflare.com/website-terms/)")
say("INF Requesting new quick Tunnel on trycloudflare.com...")
open("target", "w").write(sys.argv[4])
%(before)s
say("INF +--------------------------------------------------------------------------------------------+")
say("INF |  Your quick Tunnel has been created! Visit it at (it may take some time to be reachable):  |")
say("INF |  https://seasonal-deck-organisms-sf.trycloudflare.com                                      |")
say("INF +--------------------------------------------------------------------------------------------+")
%(after)s
while True:
    time.sleep(0.05)
"""
NGROK = """
import signal, sys, time
assert sys.argv[1:6] == ["http", "--log", "stdout", "--log-format", "logfmt"], sys.argv
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
say = lambda text: print(f"t=2024-01-21T19:30:26+0000 lvl=info {text}", flush=True)
say('msg="no configuration paths supplied"')
say('msg="starting web service" obj=web addr=127.0.0.1:4040 allow_hosts=[]')
open("target", "w").write(sys.argv[6])
%(before)s
say(f'msg="started tunnel" obj=tunnels name=command_line addr={sys.argv[6]} url=https://84c5df439d74.ngrok-free.app')
%(after)s
while True:
    time.sleep(0.05)
"""
CLOUDFLARED_URL = "https://seasonal-deck-organisms-sf.trycloudflare.com"
NGROK_URL = "https://84c5df439d74.ngrok-free.app"


def stand_in(folder: Path, program: str, *, before: str = "", after: str = "") -> Path:
    """An executable of that name in the folder. before, after: what it does before and after it has an address."""
    text = {"cloudflared": CLOUDFLARED, "ngrok": NGROK}[program] % {"before": before, "after": after}
    path = folder / program
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def finder(*paths: Path) -> Callable[[str], str | None]:
    """As `shutil.which`, where these alone are installed."""
    return lambda name: next((os.fspath(path) for path in paths if path.name == name), None)
