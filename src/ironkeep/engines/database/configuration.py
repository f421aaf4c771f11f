"""Connections: `config/`, `reset/`, `rotate-root/`. Source: the Vault HTTP API, secret/databases.

A connection is tried before it is stored. The same request takes a baseline of the accounts and
access paths of its system, because evidence has to be older than the incident. The administering
account's name cannot change afterwards: the versions of its password belong to that name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import msgspec

from ironkeep.access.second_person import require_another, waits
from ironkeep.core.credential.connector import Probe, endpoint_of
from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, UpstreamFailed
from ironkeep.core.operation import Operation
from ironkeep.core.secret import Secret
from ironkeep.credentials import baselines, jobs
from ironkeep.credentials.baselines import Baselines
from ironkeep.credentials.connections import Connection, ConnectionId, Hosts
from ironkeep.credentials.managed import Credentials, Rotated
from ironkeep.credentials.outcomes import Probed
from ironkeep.credentials.rotation_record import Strategy
from ironkeep.credentials.store import Credential
from ironkeep.engines.database.admission import stored
from ironkeep.engines.database.moving import Evidence, evidence
from ironkeep.engines.database.options import CONFIG, refuse_others
from ironkeep.engines.database.statements import check_statements
from ironkeep.engines.database.url import (
    ADDED_POOLER,
    DEFAULT_PORT,
    Whereabouts,
    parse_host,
    parse_poolers,
    parse_url,
    whereabouts,
)
from ironkeep.plugin.call import Call, Suspend
from ironkeep.plugin.effects.answer import Outside
from ironkeep.plugin.effects.effects import Steps, Turn, run, turn_of
from ironkeep.plugin.fields import CommaList
from ironkeep.plugin.response import Response, listing
from ironkeep.plugin.route import Route
from ironkeep.plugin.services import Services

CONNECTORS: Final[Mapping[str, str]] = {"postgresql-database-plugin": "postgresql"}
"""Connectors by Vault's plugin names."""

UNDECLARED: Final = (
    "name its poolers (poolers=host:port), or write poolers=none: until then no eviction is proven"
)

_ADVICE: Final = (
    ": give the password again to change where the connection leads, or write "
    "verify_connection=false for another person to approve it"
)

MAX_ALLOWED: Final = 1_000
MAX_USERNAME: Final = 63
"""Bytes; PostgreSQL truncates a longer name, and the password of another account would change."""


@dataclass(frozen=True)
class Configure:
    """A connection; omitted fields of an existing connection stay unchanged."""

    name: str
    plugin_name: str = ""
    connection_url: str = ""
    host: CommaList = field(default=(), metadata={"help": "instead of connection_url"})
    port: int = DEFAULT_PORT
    database: str = "postgres"
    sslmode: str = ""
    sslrootcert: str = ""
    username: str = ""
    password: Secret | None = None
    allowed_roles: CommaList | None = None
    verify_connection: bool = True
    poolers: CommaList | None = field(
        default=None, metadata={"help": "host:port of each pooler in front of the hosts, or none"}
    )
    root_rotation_statements: CommaList = ()
    password_policy: str = ""


@dataclass(frozen=True)
class Name:
    """The input that names a connection."""

    name: str


def id_of(call: Call, name: str) -> ConnectionId:
    """Return the id of a connection of this mount."""
    return ConnectionId(call.mount.uuid, name)


def configure(call: Call, given: Configure) -> Response | Suspend:
    """Try a connection, store it, and take the baseline of its system."""
    refuse_others(call, Configure, CONFIG)
    check_statements("root_rotation_statements", given.root_rotation_statements)
    if given.password_policy:
        raise InvalidRequest("password_policy is not supported: passwords are random")
    which = id_of(call, given.name)
    before = call.use(Credentials).connections.find(call.tx, which)
    if _evidence(before, _merged(before, given, call.now_ns), given) is Evidence.APPROVAL:
        answer = require_another(call)
        if waits(answer):
            return answer
    steps = _configure(call.services, turn_of(call), which, given)
    admin = call.use(Credentials).accounts.admin(which)
    by_hand = given.password is not None
    return run(call, steps, lambda later, words: stored(later, admin, words, by_hand=by_hand))


def _configure(
    services: Services, turn: Turn, which: ConnectionId, given: Configure
) -> Steps[list[str]]:
    credentials, kept = services.use(Credentials), services.use(Baselines)
    connections = credentials.connections
    before = connections.find(turn.tx, which)
    connection = _merged(before, given, turn.now_ns)
    password = given.password
    if password is None:
        password = credentials.accounts.admin_secret(turn.tx, which)
    account = jobs.Account(
        connections.connector(connection),
        connection.targets(password),
        connection.system,
        connection.username,
    )
    needed = _evidence(before, connection, given)
    if given.verify_connection or needed is not Evidence.NONE:
        bind = needed is Evidence.BOUND_PROOF
        shown_at = replace(account, targets=[replace(each, bind=bind) for each in account.targets])
        presented = partial(jobs.present, shown_at, password)
        turn, shown = yield Outside(presented, account.system)
        if shown.state is not Probe.ALIVE or shown.blocked:
            advice = _ADVICE if needed is not Evidence.NONE else ""
            raise InvalidRequest(f"error verifying connection: {shown.reason}{advice}")
    if given.verify_connection:
        turn, warnings = yield Outside(partial(jobs.cautions, account), account.system)
    else:
        warnings = []
    undeclared = [UNDECLARED] if connection.poolers is None else []
    moved = before is None or before.system != connection.system
    covered = set() if moved else kept.covered(turn.tx, which)
    targets = [
        replace(each, digest_key=kept.key(turn, which))
        for each in reversed(account.targets)
        if each.endpoint not in covered and not (each is account.targets[0] and "" in covered)
    ]
    if not targets:
        _keep(credentials, turn, which, (before, connection), given.password)
        return [*warnings, *undeclared]
    # Taken before the connection is stored, so that an error here leaves nothing behind.
    taken = partial(baselines.attempt, account.connector, targets)
    turn, stocks = yield Outside(taken, account.system)
    _keep(credentials, turn, which, (before, connection), given.password)
    for stock in stocks:
        if isinstance(stock, baselines.NotTaken):
            advice = f"write to baseline/{which.name} when it can be"
            warnings.append(f"no baseline was taken ({stock.reason}): {advice}")
        else:
            kept.add(turn, which, stock)
    return [*warnings, *undeclared]


def _keep(
    credentials: Credentials,
    turn: Turn,
    which: ConnectionId,
    change: tuple[Connection | None, Connection],
    password: Secret | None,
) -> None:
    """Store a connection after it was tried."""
    before, connection = change
    if credentials.connections.find(turn.tx, which) != before:
        raise Conflict("another request changed the connection meanwhile: try again")
    credentials.configure(turn, which, connection)
    admin = credentials.accounts.admin(which)
    if before is None:
        about = Credential(which.name, connection.username, created_ns=turn.now_ns)
        credentials.create(turn, admin, about, Strategy.SELF, password)
        return
    if password is not None:
        credentials.replace(turn, admin, password)
    if before.system != connection.system:
        credentials.relink(turn, which)


def _merged(before: Connection | None, given: Configure, now_ns: int) -> Connection:
    """Return the connection with the given fields applied; raise InvalidRequest."""
    where = _where(given)
    if before is None:
        return _new(given, where, now_ns)
    if given.username not in {"", before.username}:
        raise InvalidRequest("the username of a connection cannot change: create another one")
    if given.plugin_name and _connector(given.plugin_name) != before.connector:
        raise InvalidRequest("the plugin of a connection cannot change: create another one")
    changes: dict[str, Any] = {"verify": given.verify_connection}
    if given.poolers is not None:
        changes["poolers"] = parse_poolers(given.poolers)
        if given.password is None and set(changes["poolers"]) - set(before.poolers or ()):
            raise InvalidRequest(ADDED_POOLER)
    if given.allowed_roles is not None:
        changes["allowed"] = _allowed(given.allowed_roles)
    if where is not None:
        changes |= {
            "hosts": where.hosts,
            "database": where.database,
            "tls": where.tls,
            "ca_file": where.ca_file,
        }
    return msgspec.structs.replace(before, **changes)


def _evidence(before: Connection | None, after: Connection, given: Configure) -> Evidence:
    """Return the evidence that a change takes beyond what the request brings along."""
    return evidence(
        None if before is None else _of(before),
        _of(after),
        password=given.password is not None,
        verify=given.verify_connection,
    )


def _of(connection: Connection) -> Whereabouts:
    return Whereabouts(connection.hosts, connection.database, connection.tls, connection.ca_file)


def _new(given: Configure, where: Whereabouts | None, now_ns: int) -> Connection:
    connector = _connector(given.plugin_name)
    if where is None or not given.username or given.password is None:
        raise InvalidRequest("a connection needs connection_url (or host), username and password")
    check_username(given.username)
    return Connection(
        connector=connector,
        hosts=where.hosts,
        database=where.database,
        username=given.username,
        tls=where.tls,
        ca_file=where.ca_file,
        allowed=_allowed(given.allowed_roles or ()),
        verify=given.verify_connection,
        created_ns=now_ns,
        poolers=None if given.poolers is None else parse_poolers(given.poolers),
    )


def _connector(plugin: str) -> str:
    """Return the connector for one of Vault's plugin names; raise InvalidRequest."""
    if plugin not in CONNECTORS:
        raise InvalidRequest(f"plugin_name must be one of: {', '.join(CONNECTORS)}")
    return CONNECTORS[plugin]


def _where(given: Configure) -> Whereabouts | None:
    if given.connection_url and given.host:
        raise InvalidRequest("give connection_url or host, not both")
    if given.connection_url:
        return parse_url(given.connection_url)
    if not given.host:
        return None
    hosts = tuple(parse_host(host, given.port) for host in given.host)
    return whereabouts(hosts, given.database, given.sslmode, given.sslrootcert)


def _allowed(roles: CommaList) -> tuple[str, ...]:
    if len(roles) > MAX_ALLOWED:
        raise InvalidRequest(f"allowed_roles can name at most {MAX_ALLOWED} roles; use * for all")
    return roles


def check_username(username: str) -> None:
    """Raise InvalidRequest for a username that is empty, too long or not printable."""
    if not 1 <= len(username.encode("utf-8", "replace")) <= MAX_USERNAME or (
        not username.isprintable()
    ):
        raise InvalidRequest(f"a username must have 1 to {MAX_USERNAME} bytes, all printable")


def known(call: Call, name: str) -> tuple[ConnectionId, Connection]:
    """Return the id and the settings of a connection; raise NotFound."""
    which = id_of(call, name)
    connection = call.use(Credentials).connections.find(call.tx, which)
    if connection is None:
        raise NotFound("")
    return which, connection


def read(call: Call, given: Name) -> Response:
    """Return a connection without its password."""
    which, connection = known(call, given.name)
    plugin = next(name for name, kind in CONNECTORS.items() if kind == connection.connector)
    hosts = ",".join(connection.endpoints)
    url = (
        f"postgresql://{{{{username}}}}:{{{{password}}}}@{hosts}/{connection.database}"
        f"?sslmode={connection.tls}"
    )
    if connection.ca_file:
        url += f"&sslrootcert={connection.ca_file}"
    return Response(
        data={
            "plugin_name": plugin,
            "plugin_version": "",
            "allowed_roles": list(connection.allowed),
            "connection_details": {"connection_url": url, "username": connection.username},
            "poolers": ["none"] if connection.poolers == () else _shown(connection.poolers),
            "former_hosts": _shown(connection.former),
            "password_policy": "",
            "root_credentials_rotate_statements": [],
            "verify_connection": connection.verify,
            "system": connection.system,
            "baselines": call.use(Baselines).numbers(call.tx, which),
        }
    )


def _shown(hosts: Hosts | None) -> list[str] | None:
    return None if hosts is None else [endpoint_of(*each) for each in hosts]


def list_names(call: Call) -> Response:
    """Return the names of the connections."""
    return listing(call.use(Credentials).connections.names(call.tx, call.mount.uuid))


def delete(call: Call, given: Name) -> Response:
    """Remove a connection with its baselines; refused while roles use it."""
    which = id_of(call, given.name)
    if call.use(Credentials).connections.find(call.tx, which) is not None:
        call.use(Credentials).connections.remove(call.tx, which)
        call.use(Credentials).remove(turn_of(call), call.use(Credentials).accounts.admin(which))
        call.use(Baselines).remove(call.tx, which)
    return Response()


def reset(call: Call, given: Name) -> Response | Suspend:
    """Try the connection again; unlike in Vault, no pooled connection exists to be closed."""
    which = id_of(call, given.name)
    admin = call.use(Credentials).accounts.admin(which)
    current = call.use(Credentials).store.current(call.tx, admin)
    if current is None:
        raise NotFound("")
    accounts = call.use(Credentials).accounts
    steps = accounts.probe(turn_of(call), admin, current, everywhere=False)
    return run(call, steps, _reset)


def _reset(_call: Call, probed: Probed) -> Response:
    if probed.shown.state is not Probe.ALIVE:
        raise UpstreamFailed(f"the connection does not work: {probed.shown.reason}")
    return Response()


def rotate_root(call: Call, given: Name) -> Response | Suspend:
    """Give the administering account a new password that only the vault knows."""
    which = id_of(call, given.name)
    call.use(Credentials).connections.get(call.tx, which)
    steps = call.use(Credentials).rotate(turn_of(call), call.use(Credentials).accounts.admin(which))
    return run(call, steps, rotated)


def rotated(_call: Call, result: Rotated) -> Response:
    """Answer a finished rotation; else raise an error that states what happens next."""
    if result.lost:
        raise UpstreamFailed(
            f"LOST: {result.reason}. Somebody set another password there: treat it as an incident. "
            "Reset a role by break-glass/<name>, an administering account by writing its password "
            "to config/<name>"
        )
    if result.refused:
        raise InvalidRequest(f"nothing was stored: {result.reason}")
    if result.lagging:
        words = f"it is set and served, but not in force at every host yet: {result.reason}"
        return Response(audited={"version": result.current}, warnings=[words])
    if not result.done:
        raise UpstreamFailed(f"the rotation is unfinished and continues by itself: {result.reason}")
    return Response(audited={"version": result.current})


ROUTES: Final = (
    Route(
        Operation.UPDATE, "config/{name}", configure, Configure, makes=True,
        audited=("plugin_name", "allowed_roles", "verify_connection"),
        help="Configure a connection; its password is never returned.",
    ),
    Route(Operation.READ, "config/{name}", read, Name, help="A connection without its password."),
    Route(Operation.DELETE, "config/{name}", delete, Name, help="Remove a connection."),
    Route(Operation.LIST, "config/", list_names, help="The names of the connections."),
    Route(Operation.UPDATE, "reset/{name}", reset, Name, help="Try a connection again."),
    Route(
        Operation.UPDATE, "rotate-root/{name}", rotate_root, Name,
        help="Give the administering account a password that only the vault knows.",
    ),
)  # fmt: skip
