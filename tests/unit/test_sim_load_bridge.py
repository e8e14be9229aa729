import asyncio
import os
import ssl
import sys

import pytest

from fastbridge.config import Settings
from fastbridge.errors import ConfigError
from fastbridge.sim import load_bridge

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="load runs on Linux")


def test_a_bridge_gets_room_for_its_calls():
    given = load_bridge.settings(400, dsp=True, greeting=False)
    known = {str(name) for field in Settings.model_fields.values() for name in field.validation_alias.choices}
    room = {name for name in given if "MAX" in name}
    assert room <= known
    assert all(int(given[name]) > 400 for name in room)
    assert given["ENABLE_MIN_DSP"] == "1"
    assert given["FASTBRIDGE_GREETING"] == ""
    assert given["FASTBRIDGE_GREETING_LOCK"] == "0"
    assert load_bridge.settings(4, dsp=False, greeting=True)["FASTBRIDGE_GREETING_LOCK"] == "1"
    assert "FASTBRIDGE_MODEL" not in given


def test_a_bridge_for_gpt_live_is_told_its_model_and_locks_no_greeting():
    given = load_bridge.settings(4, dsp=False, greeting=True, live=True)
    assert (given["FASTBRIDGE_MODEL"], given["FASTBRIDGE_GREETING_LOCK"]) == ("gpt-live-1", "0")


def test_the_baseline_needs_a_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load_bridge, "__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    with pytest.raises(ConfigError, match="runs from a checkout"):
        load_bridge.baseline_script()
    script = tmp_path / load_bridge.BASELINE
    script.parent.mkdir(parents=True)
    script.touch()
    assert load_bridge.baseline_script() == script


def test_a_certificate_is_trusted_by_its_authority_and_goes_with_its_folder():
    with load_bridge.certificate() as folder:
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        assert handshake(context, server) == "127.0.0.1"
        trusted = ssl.create_default_context(cafile=str(folder / "trusted.pem"))
        assert handshake(trusted, server) == "127.0.0.1"
        assert len(trusted.get_ca_certs()) == len(ssl.create_default_context().get_ca_certs()) + 1
    assert not folder.exists()


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> str:
    """Both ends in memory; the address that the client has proof of."""
    wires = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(wires[0], wires[1], server_hostname="127.0.0.1")
    theirs = server.wrap_bio(wires[1], wires[0], server_side=True)
    done = set()
    for _ in range(10):
        for end in (ours, theirs):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                continue
    assert len(done) == 2
    [(kind, address)] = ours.getpeercert()["subjectAltName"]
    assert kind == "IP Address"
    return address


def test_without_openssl_it_says_so(monkeypatch):
    monkeypatch.setattr(load_bridge.shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="install openssl"), load_bridge.certificate():
        pass


def test_a_helper_ends_with_its_run():
    async def whole() -> int | None:
        async with load_bridge.helper("-c", "print(1, flush=True); input()", cpus={0}) as process:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"1\n"
            assert process.returncode is None
        return process.returncode

    assert asyncio.run(whole()) == -9


def test_a_helper_takes_no_share_of_the_cpu_as_a_session_of_its_own_would():
    async def scene() -> None:
        async with load_bridge.helper("-c", "print(1, flush=True); input()", cpus={0}) as process:
            assert process.stdout is not None
            await process.stdout.readline()
            assert os.getsid(process.pid) == os.getsid(0)
            assert os.getpgid(process.pid) == process.pid, "Ctrl-C is not for it"

    asyncio.run(scene())


def test_cpus_are_kept_awake_only_if_wanted(monkeypatch):
    async def whole(wanted: bool) -> None:
        async with load_bridge.kept_awake(wanted):
            pass

    started = []

    def helper(*arguments, cpus):
        started.append(cpus)
        return load_bridge.contextlib.nullcontext()

    monkeypatch.setattr(load_bridge, "helper", helper)
    asyncio.run(whole(False))
    assert started == []
    asyncio.run(whole(True))
    assert set().union(*started) == load_bridge.os.sched_getaffinity(0)
