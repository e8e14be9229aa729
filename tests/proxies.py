"""Reverse proxies for tests: the real programs, with the configurations of docs/reverse-proxies.md.

A certificate of our own, other ports and other folders are put into the text; all else is as it is shown there.
"""

import contextlib
import os
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from attacker import HOST, eventually
from fastbridge.sim.node import free_port

DOCUMENT = (Path(__file__).parents[1] / "docs" / "reverse-proxies.md").read_text(encoding="utf-8")
CERTIFICATE = "/etc/ssl/private/voice.example.com.pem"
LANGUAGES = {"nginx": "nginx", "caddy": "caddyfile", "haproxy": "haproxy"}
CA = """[ca]
default_ca = own
[own]
database = {database}
serial = {database}.serial
new_certs_dir = {folder}
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""
PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def make_certificate(file: Path, name: str = HOST, *, not_after: str = "") -> Path:
    """A certificate signed by itself, and its key. not_after: `20200101000000Z`, for one that is over."""
    request = f"openssl req -newkey rsa:2048 -nodes -subj /CN={name} -addext subjectAltName=DNS:{name}"
    if not not_after:
        command = f"{request} -x509 -days 2 -keyout {file} -out {file}.crt"
        subprocess.run(command.split(), capture_output=True, check=True)
    else:
        folder, config = file.parent, file.with_suffix(".cnf")
        config.write_text(CA.format(database=file.with_suffix(".txt"), folder=folder))
        file.with_suffix(".txt").write_text("")
        file.with_suffix(".txt.serial").write_text("01")
        sign = f"openssl ca -batch -selfsign -notext -config {config} -keyfile {file} -in {file}.csr"
        for command in (
            f"{request} -keyout {file} -out {file}.csr",
            f"{sign} -startdate 20190101000000Z -enddate {not_after} -out {file}.crt",
        ):
            subprocess.run(command.split(), capture_output=True, check=True)
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


class Proxy:
    """One of the programs, with what the document tells it, before a node."""

    def __init__(
        self,
        program: str,
        node_port: int,
        certificate: Path,
        folder: Path,
        *,
        port: int = 0,
        changed: Callable[[str], str] = str,
    ) -> None:
        """port: to listen on; 0: any. changed: what is put into the document's text."""
        self.address = ("127.0.0.1", port or free_port())
        (text,) = re.findall(rf"^```{LANGUAGES[program]}\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
        text = changed(text).replace("127.0.0.1:5050", f"127.0.0.1:{node_port}").replace(CERTIFICATE, str(certificate))
        self._config, self._log = folder / f"{program}.conf", folder / "log"
        self._command = getattr(self, f"_{program}")(text, certificate, folder)
        self._environment = os.environ | {
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "HOME": str(folder),
        }

    def _nginx(self, text: str, certificate: Path, folder: Path) -> list[str]:
        folders = "".join(
            f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.address[1]} ssl;")
        self._config.write_text(text.replace("http {", f"http {{ access_log off; {folders}", 1))
        own = f"daemon off; pid {folder}/nginx.pid; user {os.environ.get('USER', 'root')};" if os.getuid() == 0 else ""
        own = own or f"daemon off; pid {folder}/nginx.pid;"
        return ["nginx", "-c", str(self._config), "-p", str(folder), "-e", "stderr", "-g", own]

    def _haproxy(self, text: str, certificate: Path, folder: Path) -> list[str]:
        self._config.write_text(text.replace("bind :443", f"bind 127.0.0.1:{self.address[1]}"))
        return ["haproxy", "-db", "-f", str(self._config)]

    def _caddy(self, text: str, certificate: Path, folder: Path) -> list[str]:
        text = text.replace("{\n", "{\n\tadmin off\n\tauto_https disable_redirects\n", 1)
        tls = f"\tbind 127.0.0.1\n\ttls {certificate} {certificate}"
        site = f"https://voice.example.com:{self.address[1]} {{\n{tls}"
        self._config.write_text(text.replace("voice.example.com {", site))
        return ["caddy", "run", "--adapter", "caddyfile", "--config", str(self._config)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment | {"PATH": PATH})
        try:
            assert eventually(self._listens, 10), self._log.read_text()
            yield
        finally:
            process.terminate()
            process.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(self.address) == 0

    def dial(self, source: str) -> socket.socket:
        """A connection by TLS, from this address."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock = socket.create_connection(self.address, 5, (source, 0))
        return context.wrap_socket(sock, server_hostname=HOST)
