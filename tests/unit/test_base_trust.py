"""base.trust: a file of those who are trusted that is none is a sentence."""

from pathlib import Path

import pytest

from fastbridge.base.trust import require_trust, trust_faults
from fastbridge.errors import ConfigError
from fastbridge.sim.load_bridge import certificate


@pytest.mark.parametrize(
    ("file", "why"),
    [("missing.pem", "No such file or directory"), ("no.pem", "there is no certificate in it"), (".", "")],
)
def test_who_is_trusted_must_be_there_to_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str, why: str
) -> None:
    (tmp_path / "no.pem").write_text("nobody\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / file))
    with pytest.raises(ConfigError, match=rf"^SSL_CERT_FILE: '.*' cannot be used \({why}.*\): name a PEM file"):
        require_trust()


def test_a_certificate_is_enough_and_so_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")
    assert list(trust_faults()) == []
    with certificate() as folder:
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        assert list(trust_faults()) == []
