"""Connections: the addresses of another system, and the account that administers it.

    <mount> : connection / name              -> the connection
              account / name / username      -> the path of the credential that is this account

The administering account's password is an ordinary managed credential, `config/<name>`, with
versions and rotations of its own. Records lie in the mount that owns them, and are destroyed with
it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec

from ironkeep.core.credential.connector import Connector, Target, Tls
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound
from ironkeep.core.evidence.node import NodeId, NodeKind, node
from ironkeep.core.ids import MountUuid
from ironkeep.core.secret import Secret
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf, escape_part
from ironkeep.store.state import Tx

MAX_NAME: Final = 128
MAX_CONNECTIONS: Final = 1_000
"""Connections of one mount: each causes regular inventories of a whole system."""


class ConnectionId(NamedTuple):
    """Identifies a connection by the mount that owns it and its name there."""

    mount: MountUuid
    name: str


Hosts = tuple[tuple[str, int], ...]


class Connection(msgspec.Struct, frozen=True, omit_defaults=True):
    """One system. Changes go to the first of `hosts`; credentials are verified at all of them.

    `connector` names one of House.connectors. `allowed` lists the roles that may use it, or "*".
    `poolers` are in front of the hosts; None if nobody has said whether there are any. `former` are
    hosts and poolers that were removed from the configuration: they may still accept passwords.
    """

    connector: str
    hosts: Hosts
    database: str
    username: str
    tls: Tls = Tls.VERIFY_FULL
    ca_file: str = ""
    allowed: tuple[str, ...] = ()
    verify: bool = True
    created_ns: int = 0
    poolers: Hosts | None = None
    former: Hosts = ()

    @property
    def system(self) -> NodeId:
        """Return the system's node, which is the same in every connection to it."""
        return node(NodeKind.SYSTEM, f"{self.connector}/{self.endpoints[0]}")

    @property
    def endpoints(self) -> list[str]:
        """Return host:port of every host."""
        return [target.endpoint for target in self.targets(Secret(b""))]

    def targets(self, password: Secret, *earlier: Secret) -> list[Target]:
        """Return every host as a connector's target, administered by password.

        Passwords are set at the first host. The others may follow it later, and may still ask for
        an `earlier` password.
        """
        first, *others = (self._target(each, password) for each in self.hosts)
        return [first, *(replace(each, earlier_passwords=earlier) for each in others)]

    def everywhere(self, password: Secret, *earlier: Secret) -> list[Target]:
        """Return every place that may accept a password: hosts, former ones, and poolers."""
        poolers = [self._target(each, password, pooler=True) for each in self.poolers or ()]
        former = [self._target(each, password) for each in self.former]
        return [*self.targets(password, *earlier), *former, *poolers]

    def _target(self, at: tuple[str, int], password: Secret, *, pooler: bool = False) -> Target:
        return Target(
            *at,
            self.database,
            self.username,
            password,
            self.tls,
            self.ca_file,
            pooler=pooler,
        )

    def allows(self, role: str) -> bool:
        """Return whether a role may use this connection."""
        return "*" in self.allowed or role in self.allowed


_CONNECTION: Final = Codec(Connection)


class Connections:
    """Stores the connections of every mount."""

    def __init__(self, stores: StoreOf, connectors: Mapping[str, Connector]) -> None:
        self._stores: Final = stores
        self._connectors: Final = connectors

    def get(self, tx: Tx, which: ConnectionId) -> Connection:
        """Return a connection; raise NotFound."""
        found = self.find(tx, which)
        if found is None:
            raise NotFound(f"there is no connection {which.name!r}")
        return found

    def find(self, tx: Tx, which: ConnectionId) -> Connection | None:
        """Return a connection, or None."""
        raw = self._stores(tx, which.mount).get(f"connection/{which.name}")
        return None if raw is None else _CONNECTION.decode(raw)

    def put(self, tx: Tx, which: ConnectionId, connection: Connection) -> None:
        """Write a connection; raise InvalidRequest for an unknown connector or past the limit."""
        check_name(which.name)
        self.connector(connection)
        if self.find(tx, which) is None and len(self.names(tx, which.mount)) >= MAX_CONNECTIONS:
            raise InvalidRequest(f"a mount holds at most {MAX_CONNECTIONS} connections")
        before = self.find(tx, which)
        if before is not None:
            connection = msgspec.structs.replace(connection, former=_former(before, connection))
        store = self._stores(tx, which.mount)
        store.put(f"connection/{which.name}", _CONNECTION.encode(connection))

    def remove(self, tx: Tx, which: ConnectionId) -> None:
        """Remove a connection; raise Conflict while accounts other than its own use it."""
        if any(not path.startswith("config/") for path in self.accounts(tx, which).values()):
            raise Conflict(f"roles still use {which.name!r}: remove them first")
        store = self._stores(tx, which.mount)
        for path in list(store.walk(f"account/{which.name}")):
            store.delete(path)
        store.delete(f"connection/{which.name}")

    def names(self, tx: Tx, mount: MountUuid) -> list[str]:
        """Return the names of a mount's connections, sorted."""
        return self._stores(tx, mount).list("connection")

    def connector(self, connection: Connection) -> Connector:
        """Return the connector for the connection's system; raise InvalidRequest if unknown."""
        found = self._connectors.get(connection.connector)
        if found is None:
            raise InvalidRequest(f"this server has no connector {connection.connector!r}")
        return found

    def take_account(self, tx: Tx, which: ConnectionId, username: str, path: str) -> None:
        """Assign an account to one credential; raise Conflict when another one has it.

        Two credentials that rotate one account would undo each other's changes.
        """
        store = self._stores(tx, which.mount)
        key = f"account/{which.name}/{escape_part(username)}"
        owner = store.get(key)
        if owner is not None and owner != path.encode():
            raise Conflict(f"{owner.decode()} already holds that account: use it, or remove it")
        store.put(key, path.encode())

    def leave_account(self, tx: Tx, which: ConnectionId, username: str) -> None:
        """Release an account from its credential."""
        self._stores(tx, which.mount).delete(f"account/{which.name}/{escape_part(username)}")

    def accounts(self, tx: Tx, which: ConnectionId) -> dict[str, str]:
        """Return the path of the credential of each account, by its record's name."""
        store = self._stores(tx, which.mount)
        found = {}
        for name in store.list(f"account/{which.name}"):
            raw = store.get(f"account/{which.name}/{name}")
            if raw is not None:
                found[name] = raw.decode()
        return found


def _former(before: Connection, now: Connection) -> Hosts:
    """Return the places that were configured once and are not now."""
    ever = dict.fromkeys((*before.former, *before.hosts, *(before.poolers or ())))
    return tuple(each for each in ever if each not in {*now.hosts, *(now.poolers or ())})


def check_name(name: str) -> None:
    """Raise InvalidRequest unless name is one short, printable path segment."""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or "/" in name:
        raise InvalidRequest(f"a name takes 1 to {MAX_NAME} printable characters and no slash")
