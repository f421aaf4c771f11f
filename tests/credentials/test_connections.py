"""Connections: kept, limited, given to one credential an account."""

import msgspec
import pytest

from ironkeep.core.credential.connector import Tls
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound
from ironkeep.core.ids import MountUuid
from ironkeep.core.secret import Secret
from ironkeep.credentials import connections as module
from ironkeep.credentials.connections import (
    MAX_NAME,
    Connection,
    ConnectionId,
    Connections,
    check_name,
)
from tests.support.credentials.simulated import SimulatedSystem
from tests.support.services import Services

WHICH = ConnectionId(MountUuid("mount"), "main")
CONNECTION = Connection(
    connector="simulated",
    hosts=(("db.example", 5432), ("::1", 6000)),
    database="app",
    username="keeper",
    tls=Tls.DISABLE,
    allowed=("app", "web"),
)


class Bench:
    def __init__(self) -> None:
        self.services = Services()
        self.system = SimulatedSystem()
        self.connections = Connections(self.services.store, {"simulated": self.system})
        self.tx = self.services.tx

    def put(self, which: ConnectionId = WHICH, connection: Connection = CONNECTION) -> None:
        self.connections.put(self.tx, which, connection)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_connection_is_read_as_it_was_written(bench: Bench) -> None:
    with pytest.raises(NotFound, match="main"):
        bench.connections.get(bench.tx, WHICH)
    bench.put()
    assert bench.connections.get(bench.tx, WHICH) == CONNECTION
    assert bench.connections.names(bench.tx, WHICH.mount) == ["main"]
    assert bench.connections.connector(CONNECTION) is bench.system


def test_every_host_is_a_target_and_the_first_names_the_system() -> None:
    first, second = CONNECTION.targets(Secret(b"kept"), Secret(b"earlier"))
    assert (first.endpoint, second.endpoint) == ("db.example:5432", "[::1]:6000")
    assert (second.database, second.admin_username, second.tls) == ("app", "keeper", Tls.DISABLE)
    assert second.admin_password.equals(b"kept")
    assert CONNECTION.system == "system:simulated/db.example:5432"
    assert not any(secret in repr(second) for secret in ("kept", "earlier'", "b'earlier"))
    # Passwords are set at the first host; only the others can lag behind.
    assert first.earlier_passwords == ()
    assert [each.equals(b"earlier") for each in second.earlier_passwords] == [True]


def test_roles_are_allowed_by_name_or_all_of_them() -> None:
    assert CONNECTION.allows("web")
    assert not CONNECTION.allows("we")
    assert msgspec.structs.replace(CONNECTION, allowed=("*",)).allows("anything")
    assert not msgspec.structs.replace(CONNECTION, allowed=()).allows("app")


def test_what_no_connector_speaks_to_is_refused(bench: Bench) -> None:
    unknown = msgspec.structs.replace(CONNECTION, connector="oracle")
    with pytest.raises(InvalidRequest, match="oracle"):
        bench.put(WHICH, unknown)


def test_connections_of_a_mount_are_limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)
    bench.put()
    bench.put(ConnectionId(WHICH.mount, "second"))
    bench.put()
    with pytest.raises(InvalidRequest, match="at most 2"):
        bench.put(ConnectionId(WHICH.mount, "third"))
    bench.put(ConnectionId(MountUuid("other"), "third"))


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * (MAX_NAME + 1)])
def test_a_name_is_one_short_printable_segment(bench: Bench, name: str) -> None:
    with pytest.raises(InvalidRequest):
        bench.put(ConnectionId(WHICH.mount, name))


def test_a_name_of_the_greatest_length_is_fine() -> None:
    check_name("x" * MAX_NAME)


def test_an_account_belongs_to_one_credential_until_it_leaves(bench: Bench) -> None:
    bench.put()
    for name in ("app", "strange/name"):
        bench.connections.take_account(bench.tx, WHICH, name, "static-creds/app")
        bench.connections.take_account(bench.tx, WHICH, name, "static-creds/app")
        with pytest.raises(Conflict, match="static-creds/app"):
            bench.connections.take_account(bench.tx, WHICH, name, "static-creds/other")
    assert set(bench.connections.accounts(bench.tx, WHICH).values()) == {"static-creds/app"}
    bench.connections.leave_account(bench.tx, WHICH, "app")
    bench.connections.take_account(bench.tx, WHICH, "app", "static-creds/other")


def test_a_connection_goes_with_its_own_account_and_not_with_those_of_others(
    bench: Bench,
) -> None:
    bench.put()
    bench.connections.take_account(bench.tx, WHICH, "keeper", "config/main")
    bench.connections.take_account(bench.tx, WHICH, "app", "static-creds/app")
    with pytest.raises(Conflict, match="remove them first"):
        bench.connections.remove(bench.tx, WHICH)
    bench.connections.leave_account(bench.tx, WHICH, "app")
    bench.connections.remove(bench.tx, WHICH)
    assert list(bench.services.store(bench.tx, WHICH.mount).walk()) == []
