"""Certificates on a real server: a stranger's costs no connection, a renewed one no unsealing."""

import os
import shutil
import signal
import ssl
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import Tls, make_tls

SECONDS: Final = 60.0


def make(folder: Path) -> Tls:
    folder.mkdir()
    return make_tls(folder)


def asked(server: ServerProcess, path: str, ca: Path, client: Tls | None = None) -> int:
    context = ssl.create_default_context(cafile=ca)
    if client is not None:
        context.load_cert_chain(client.client_cert, client.client_key)
    headers = {"X-Vault-Token": server.token}
    request = urllib.request.Request(f"{server.address}/v1/{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
        status: int = answer.status
    return status


@pytest.mark.timeout(180)
def test_an_unrelated_client_certificate_beside_a_good_token_costs_no_connection(
    tmp_path: Path,
) -> None:
    ours, other = make(tmp_path / "ours"), make(tmp_path / "other")
    with ServerProcess.configured(tmp_path, tls=ours) as server:
        server.initialise()
        role = {"certificate": ours.ca.read_text(), "token_policies": "default"}
        server.api("POST", "sys/auth/cert", {"type": "cert"})
        server.api("POST", "auth/cert/certs/web", role)
        for path in ("sys/health", "sys/mounts", "auth/token/lookup-self", "sys/auth"):
            for client in (None, ours, other):
                assert asked(server, path, ours.ca, client) == 200, (path, client)
        # The login looks at the certificate, and no role takes this one.
        with pytest.raises(urllib.error.HTTPError) as refused:
            login(server, ours.ca, other)
        with refused.value as error:
            assert error.code == 400


def login(server: ServerProcess, ca: Path, client: Tls) -> None:
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(client.client_cert, client.client_key)
    request = urllib.request.Request(f"{server.address}/v1/auth/cert/login", b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=SECONDS, context=context):
        pass


@pytest.mark.timeout(180)
def test_a_renewed_certificate_is_shown_after_sighup_and_nothing_is_sealed(tmp_path: Path) -> None:
    first, renewed = make(tmp_path / "first"), make(tmp_path / "renewed")
    with ServerProcess.configured(tmp_path, tls=first) as server:
        server.initialise()
        shutil.copy(renewed.cert, first.cert)
        hang_up(server, "keeps its present certificate")
        assert asked(server, "sys/health", first.ca) == 200
        shutil.copy(renewed.key, first.key)
        hang_up(server, "now presents the certificate in")
        assert asked(server, "sys/health", renewed.ca) == 200


@pytest.mark.timeout(180)
@pytest.mark.parametrize("broken", ["pipe", "folder", "garbage"])
def test_a_certificate_file_that_is_broken_is_named_and_stops_nobody(
    broken: str, tmp_path: Path
) -> None:
    """A pipe that nobody writes to would be waited for, and everybody with it."""
    tls = make(tmp_path / "tls")
    good = tls.cert.read_bytes()
    with ServerProcess.configured(tmp_path, tls=tls) as server:
        tls.cert.unlink()
        if broken == "pipe":
            os.mkfifo(tls.cert)
        elif broken == "folder":
            tls.cert.mkdir()
        else:
            tls.cert.write_bytes(b"no certificate")
        hang_up(server, "keeps its present certificate")
        assert str(tls.cert) in (server.home / "server.err").read_text()
        assert asked(server, "sys/health?uninitcode=200", tls.ca) == 200
        if tls.cert.is_dir():
            tls.cert.rmdir()
        else:
            tls.cert.unlink(missing_ok=True)
        tls.cert.write_bytes(good)
        hang_up(server, "now presents the certificate in")


def hang_up(server: ServerProcess, words: str) -> None:
    """Send SIGHUP and wait until the server has said words."""
    os.kill(server.pid, signal.SIGHUP)
    until = time.monotonic() + SECONDS
    while words not in (server.home / "server.err").read_text():
        assert time.monotonic() < until
        threading.Event().wait(0.05)
