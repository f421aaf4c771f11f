"""Other explanations of a refused password, found by an administrative connection.

PostgreSQL answers 28P01 to a wrong password, and also to a right one when the role is past its
VALID UNTIL, which ALTER ROLE can undo. And a role that one database refuses may still have access
to another one, which pg_hba.conf lets it enter from this host without a password.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, LiteralString

import msgspec

from ironkeep.connectors.postgresql.link import Link, Value
from ironkeep.core.credential.connector import Rejected, Unreachable

_EXPIRED: Final[LiteralString] = """
    SELECT rolvaliduntil <= clock_timestamp(), rolreplication FROM pg_roles WHERE rolname = %s"""

_RULES: Final[LiteralString] = """
    SELECT array_to_json(database)::text, array_to_json(user_name)::text, address, netmask,
        auth_method
    FROM pg_hba_file_rules WHERE error IS NULL AND type LIKE 'host%'"""

_GROUPS: Final[LiteralString] = """
    SELECT rolname FROM pg_roles WHERE pg_has_role(%s, oid, 'MEMBER')"""

_HERE: Final[LiteralString] = "SELECT host(inet_client_addr())"

_ALL: Final = "all"
_REPLICATION: Final = frozenset({"replication"})
_OWN: Final = frozenset({"samehost", "samenet"})


class Rule(msgspec.Struct, frozen=True):
    """One line of pg_hba.conf for connections over a network."""

    databases: frozenset[str]
    users: frozenset[str]
    address: str
    netmask: str
    method: str


def doubt(link: Link, username: str) -> str | None:
    """Return why the refusal of username's password proves nothing about it; None if it does."""
    expired = link.rows(_EXPIRED, username, width=2)
    if expired and expired[0][0]:
        return "the role is past its VALID UNTIL, where the server refuses every password"
    try:
        rules = [_rule(row) for row in link.rows(_RULES, width=5)]
    except Rejected:
        return None  # reading pg_hba.conf requires a superuser or a grant: see the documentation
    if not (expired and expired[0][1]):
        rules = [rule for rule in rules if rule.databases != _REPLICATION]
    groups = {f"+{row[0]}" for row in link.rows(_GROUPS, username, width=1)} if expired else set()
    here = str(link.value(_HERE) or "")
    found = trusted(rules, {_ALL, username, *groups}, here)
    if found is None:
        return None
    return f"pg_hba.conf lets the role into {found} from here without any password"


def trusted(rules: Iterable[Rule], names: set[str], here: str) -> str | None:
    """Return as text the databases that a client at `here` can enter as one of names by `trust`.

    The first matching line decides, so a line for every database ends the search. A condition that
    cannot be evaluated here (a host name, a pattern) counts as a match for `trust` lines only.
    """
    asked: set[str] = set()
    for rule in rules:
        trust = rule.method == "trust"
        matches = _matches_user(rule, names, unsure=trust) and _matches_address(
            rule, here, unsure=trust
        )
        if not matches:
            continue
        if trust and not rule.databases <= asked:
            return " and ".join(sorted(rule.databases - asked))[:200]
        if _ALL in rule.databases:
            return None
        asked |= rule.databases
    return None


def _rule(row: Sequence[Value]) -> Rule:
    databases, users, address, netmask, method = (str(each or "") for each in row)
    return Rule(_names(databases), _names(users), address, netmask, method)


def _names(text: str) -> frozenset[str]:
    try:
        return frozenset(msgspec.json.decode(text or "[]", type=list[str]))
    except msgspec.DecodeError:
        raise Unreachable("PostgreSQL sent a malformed line of pg_hba.conf") from None


def _matches_user(rule: Rule, names: set[str], *, unsure: bool) -> bool:
    return bool(rule.users & names) or (unsure and any(user[:1] == "/" for user in rule.users))


def _matches_address(rule: Rule, here: str, *, unsure: bool) -> bool:
    if rule.address == _ALL:
        return True
    try:
        client = ip_address(here)
        network = ip_network(f"{rule.address}/{_prefix(rule.netmask)}", strict=False)
    except ValueError:
        return unsure and (rule.address not in _OWN or _is_local(here))
    return client in network


def _prefix(netmask: str) -> str:
    """Return a netmask as its number of bits, the only form that ipaddress accepts for IPv6."""
    return str(int(ip_address(netmask)).bit_count()) if netmask else ""


def _is_local(here: str) -> bool:
    """Return whether a client's address may be one of the server's own host or network."""
    try:
        return ip_address(here).is_private
    except ValueError:
        return True
