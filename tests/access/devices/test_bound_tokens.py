"""A copied token is refused on every declared route of a real server, and reported.

The routes are those of the plug-ins, so a new one is tried here by itself.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.ids import MountAccessor, MountUuid
from ironkeep.core.operation import Operation
from ironkeep.plugin.mount import Mount
from ironkeep.testing.server import ServerProcess
from ironkeep.testing.tls import make_tls
from tests.support.devices.device_server import DeviceServer
from tests.support.devices.tls_client import TlsClient

EXPIRED: Final = (str(Path(__file__).with_name("expired_server.py")),)
METHODS: Final = {
    Operation.READ: "GET", Operation.LIST: "LIST", Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH", Operation.DELETE: "DELETE",
}  # fmt: skip
PEOPLE: Final = {"ann": ["admin"], "bob": ["admin"]}


def routes(server: DeviceServer) -> Iterator[tuple[str, str]]:
    """Yield method and path of every declared route that takes a token, where it is mounted."""
    seen = set()
    for table, before in (("sys/mounts", ""), ("sys/auth", "auth/")):
        _, body = server.plain.send("GET", table, token=server.server.token)
        for path, each in body["data"].items():
            seen.add(each["type"])
            options = each["options"] or {}
            mount = Mount("", each["type"], MountUuid(""), MountAccessor(""), options=options)
            for route in PLUGINS[each["type"]].routes(mount):
                if not (route.open or route.login):
                    pattern = re.sub(r"\{\w+(\.\.\.)?\}", "x", route.pattern)
                    yield METHODS[route.op], f"{before}{path}{pattern}"
    assert seen == set(PLUGINS)


def mount_everything(server: DeviceServer) -> None:
    root = server.server.token
    for kind in PLUGINS:
        for table in ("sys/mounts", "sys/auth"):
            server.plain.send("POST", f"{table}/{kind}", {"type": kind}, root)
    server.plain.post("sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, root)


@pytest.mark.timeout(120)
def test_a_stolen_token_is_refused_on_every_route(tmp_path: Path) -> None:
    with (
        ServerProcess.configured(tmp_path, tls=make_tls(tmp_path)) as process,
        ready(process, tmp_path) as server,
    ):
        mount_everything(server)
        mine, other = server.enrol("ann"), server.enrol("bob")
        with server.client(mine) as client, server.client(other) as elsewhere:
            token = server.login("ann", client)
            made = client.post("auth/token/create", {"policies": ["admin"]}, token)
            child = made["auth"]["client_token"]
            client.post("cubbyhole/x", {"a": "b"}, token)
            tried = sorted(set(routes(server)))
            assert len(tried) > 100
            let_in = [
                (thief, method, path, status)
                for thief, how in (("nowhere", server.plain), ("another device", elsewhere))
                for stolen in (token, child)
                for method, path in tried
                for status, body in [how.send(method, path, {}, stolen)]
                if status != 403 or "the token is bound to" not in str(body)
            ]
            assert let_in == []
            assert client.send("GET", "cubbyhole/x", token=token)[0] == 200, "nothing happened"
        assert ("bound-token", mine.id) in alerts_of(server)


@pytest.mark.timeout(120)
def test_a_certificate_that_has_ended_is_good_for_nothing(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    with (
        ServerProcess.configured(tmp_path, tls=tls) as process,
        ready(process, tmp_path) as server,
    ):
        device = server.enrol("ann")
        with server.client(device) as client:
            token = server.login("ann", client)
            assert client.send("GET", "auth/token/lookup-self", token=token)[0] == 200
    with (
        ServerProcess.configured(tmp_path, tls=tls, program=EXPIRED) as process,
        DeviceServer(process, tmp_path) as server,
    ):
        process.api("PUT", "sys/unseal", {"key": (tmp_path / "share").read_text()})
        # It connects, as any certificate does, and is judged where the token is.
        with TlsClient(process.address, tls.ca, *server.certify(device)) as client:
            assert client.send("GET", "auth/token/lookup-self", token=token)[0] == 403
        assert server.plain.send("GET", "auth/token/lookup-self", token=token)[0] == 403


def ready(process: ServerProcess, folder: Path) -> DeviceServer:
    """Return a server that is open, with its people; its key share is in a file of the folder."""
    (folder / "share").write_text(process.initialise()[0])
    server = DeviceServer(process, folder)
    server.prepare({}, PEOPLE)
    return server


def alerts_of(server: DeviceServer) -> list[tuple[str, str]]:
    """Return kind and device of all alerts."""
    root = server.server.token
    _, listed = server.plain.send("LIST", "sys/alerts", token=root)
    return [(each["kind"], each["device"]) for each in listed["data"]["key_info"].values()]
