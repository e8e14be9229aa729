"""fastbridge.net.tls: records come and go as they do with the library's own objects, and who is not trusted is not."""

import inspect
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastbridge.net.tls import client_context
from fastbridge.sim.load_bridge import certificate


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with certificate() as folder:
        yield folder


@pytest.fixture
def trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))


class Pair:
    """A client's end, and a server's, without a network between."""

    def __init__(self, folder: Path, name: str = "127.0.0.1") -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client_context().wrap_bio(down, up, server_hostname=name)
        self.server = context.wrap_bio(up, down, server_side=True)

    def shake_hands(self) -> None:
        left = [self.client, self.server]
        for _ in range(10):
            for end in list(left):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                left.remove(end)
        assert left == []


@pytest.mark.usefixtures("trusted")
def test_what_is_written_is_read_at_the_other_end(folder):
    pair = Pair(folder)
    pair.shake_hands()
    assert pair.client.write(b"to the model") == 12
    assert pair.server.read(100) == b"to the model"
    pair.server.write(b"from the model, and more")
    assert pair.client.read(14) == b"from the model"
    assert pair.client.pending() == 10
    buffer = bytearray(100)
    assert pair.client.read(100, buffer) == 10
    assert buffer[:10] == b", and more"
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.read(100)


@pytest.mark.usefixtures("trusted")
def test_no_python_function_is_in_between(folder):
    client = Pair(folder).client
    assert all(inspect.isbuiltin(method) for method in (client.read, client.write, client.pending))


@pytest.mark.usefixtures("trusted")
def test_another_name_is_refused(folder):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        Pair(folder, "127.0.0.2").shake_hands()


def test_who_is_not_trusted_is_refused(folder):
    with pytest.raises(ssl.SSLCertVerificationError):
        Pair(folder).shake_hands()
