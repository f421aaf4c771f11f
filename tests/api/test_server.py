"""Listeners on real sockets: TLS, its versions and client certificates, and clients that reset."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ironkeep.api.callers import Callers
from ironkeep.api.commit.committer import Committer, Owner
from ironkeep.api.listening import bind
from ironkeep.api.server import Servers
from ironkeep.api.service import Service
from ironkeep.api.tls import load, tls_context
from ironkeep.app import PLUGINS
from ironkeep.config.settings import Listener
from ironkeep.core.errors import InvalidRequest, Unavailable
from ironkeep.kernel.pipeline import Pipeline
from ironkeep.testing.tls import Tls, make_tls
from ironkeep.testing.vault import Vault
from tests.support.edge import request

ANY = Listener("127.0.0.1", 0)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/app", {"data": {"password": "p"}})
    return vault


def serve(
    vault: Vault, listener: Listener, scenario: Callable[[Servers, int], Awaitable[None]]
) -> None:
    """Run scenario with servers and a port on which they answer."""

    async def main() -> None:
        errors: list[BaseException] = []
        loop = asyncio.get_running_loop()
        committer = Committer(vault.house.ledger, loop, Owner(errors.append, errors.append))
        callers = Callers(names=["vault.example", "x", "localhost"])
        service = Service(Pipeline(vault.house), committer, errors.append, callers)
        servers = Servers(service, (listener,))
        running = asyncio.create_task(servers.run())
        port = int(servers.addresses[0].rpartition(":")[2])
        try:
            async with asyncio.timeout(20):
                await scenario(servers, port)
        finally:
            servers.stop()
            await running
            await asyncio.to_thread(committer.close)
        assert errors == []

    uvloop.run(main())


async def ask(port: int, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None
    )
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return head + body


def trusting(tls: Tls, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(tls.ca))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def listener(tls: Tls, **rest: Any) -> Listener:
    return Listener("127.0.0.1", 0, tls.cert, tls.key, **rest)


def test_a_plain_listener_answers(vault: Vault) -> None:
    async def scenario(_: Servers, port: int) -> None:
        found = await ask(port, request("GET", "secret/data/app", vault.root))
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"strict-transport-security" not in found
        assert b'"password":"p"' in found

    serve(vault, ANY, scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("path", ["secret/data/app", "secret/data/app?version=1"])
def test_tls(vault: Vault, tls: Tls, version: ssl.TLSVersion, path: str) -> None:
    async def scenario(_: Servers, port: int) -> None:
        found = await ask(port, request("GET", path, vault.root), trusting(tls, version=version))
        assert found.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"strict-transport-security: max-age=31536000" in found

    serve(vault, listener(tls), scenario)


def refused_by(context: ssl.SSLContext, server: ssl.SSLContext) -> bool:
    """Return whether a handshake between both fails; it runs in memory."""
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        context.wrap_bio(pipes[0], pipes[1], server_hostname="localhost"),
        server.wrap_bio(pipes[1], pipes[0], server_side=True),
    ]
    done = [False, False]
    for _ in range(10):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done[number] = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                return True
    assert done == [True, True]
    try:
        ends[0].read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return False


def test_old_versions_and_weak_ciphers_are_refused(tls: Tls) -> None:
    server = tls_context(listener(tls))
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    names = [cipher["name"] for cipher in server.get_ciphers()]
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)
    assert not any(word in name for name in names for word in ("CBC", "SHA1", "RC4", "3DES"))
    static = trusting(tls, version=ssl.TLSVersion.TLSv1_2)
    static.set_ciphers("AES256-GCM-SHA384")
    assert refused_by(static, server)
    only_13 = tls_context(listener(tls, min_version="tls13"))
    assert refused_by(trusting(tls, version=ssl.TLSVersion.TLSv1_2), only_13)
    assert not refused_by(trusting(tls, version=ssl.TLSVersion.TLSv1_3), only_13)


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_client_certificates(tls: Tls, *, required: bool, given: bool) -> None:
    server = tls_context(listener(tls, client_ca_file=tls.ca, require_client_cert=required))
    context = trusting(tls)
    if given:
        context.load_cert_chain(tls.client_cert, tls.client_key)
    assert refused_by(context, server) == (required and not given)


@pytest.mark.parametrize("required", [False, True])
def test_a_client_certificate_of_somebody_else_is_refused_only_where_one_is_required(
    tls: Tls, tmp_path: Path, required: bool
) -> None:
    """A browser or a library sends the certificate that it has, whoever it talks to."""
    other = make_tls(tmp_path)
    server = tls_context(listener(tls, client_ca_file=tls.ca, require_client_cert=required))
    context = trusting(tls)
    context.load_cert_chain(other.client_cert, other.client_key)
    assert refused_by(context, server) == required


def test_a_renewed_certificate_is_shown_and_a_broken_one_changes_nothing(
    tls: Tls, tmp_path: Path
) -> None:
    renewed = make_tls(tmp_path)
    cert, key = tmp_path / "shown.pem", tmp_path / "shown.key"
    cert.write_bytes(tls.cert.read_bytes())
    key.write_bytes(tls.key.read_bytes())
    given = Listener("127.0.0.1", 0, cert, key)
    server = tls_context(given)
    assert not refused_by(trusting(tls), server)
    cert.write_bytes(renewed.cert.read_bytes())
    for broken in (tls.key.read_bytes(), b"", b"-----BEGIN PRIVATE KEY-----\n"):
        # The key has not been copied yet, or only in part.
        key.write_bytes(broken)
        with pytest.raises(InvalidRequest, match="cannot load the listener's certificate"):
            load(server, given)
        assert not refused_by(trusting(tls), server)
    key.write_bytes(renewed.key.read_bytes())
    load(server, given)
    assert not refused_by(trusting(renewed), server)
    assert refused_by(trusting(tls), server)


def test_a_missing_certificate_is_said(tls: Tls, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot load the listener's certificate"):
        tls_context(Listener("127.0.0.1", 0, tmp_path / "no.pem", tls.key))


def test_an_address_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}"):
            bind(Listener("127.0.0.1", port))


def test_clients_that_reset_cost_nobody_an_answer(vault: Vault) -> None:
    data = request("GET", "secret/data/app", vault.root)
    slow = request("GET", "secret/data/app?version=1", vault.root)

    async def scenario(_: Servers, port: int) -> None:
        for number in range(40):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.sendall(slow if number % 2 else data)
            # Linger of zero: close sends a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
            if number % 8 == 0:
                assert (await ask(port, data)).startswith(b"HTTP/1.1 200")
        found = await asyncio.gather(*(ask(port, slow) for _ in range(8)))
        assert all(raw.startswith(b"HTTP/1.1 200") for raw in found)

    serve(vault, ANY, scenario)


def test_stopping_answers_what_is_under_way(vault: Vault) -> None:
    data = request("POST", "secret/data/last", vault.root, body=b'{"data":{"a":1}}')

    async def scenario(servers: Servers, port: int) -> None:
        asking = [asyncio.create_task(ask(port, data)) for _ in range(8)]
        # Once one is answered, the others have been sent too.
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        servers.stop()
        found = await asyncio.gather(*asking)
        assert all(raw.startswith(b"HTTP/1.1 200") for raw in found)

    serve(vault, ANY, scenario)
