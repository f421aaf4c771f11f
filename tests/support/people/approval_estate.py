"""A vault with a secret of class two-person, somebody who reads it, and others who approve."""

import re
from dataclasses import dataclass
from typing import Final

from ironkeep.app import PLUGINS
from ironkeep.core.event import Entry
from ironkeep.testing.vault import Reply, Vault
from tests.support.people.people import Person, person

SECRET: Final = "secret/data/prod/db"
OTHER: Final = "secret/data/prod/backup"
VALUE: Final = "hunter2"

READER: Final = """
path "secret/data/*" { capabilities = ["read"] }
path "sys/classes/*" { capabilities = ["read", "update", "delete", "sudo"] }
path "approval/*" { capabilities = ["read", "update", "list"] }
path "sys/control-group/authorize" { capabilities = ["update"] }
"""
APPROVER: Final = """
path "sys/control-group/authorize" { capabilities = ["update"] }
path "approval/*" { capabilities = ["read", "update", "list"] }
"""


@dataclass
class Estate:
    """The vault and its people."""

    vault: Vault
    reader: Person
    ann: Person
    ben: Person


def estate(**rule: object) -> Estate:
    """Return the estate; rule is more of the class rule: approvals, group."""
    vault = Vault.started(PLUGINS)
    vault.write("sys/auth/userpass", {"type": "userpass"})
    for path in (SECRET, OTHER):
        vault.write(path, {"data": {"password": VALUE}})
    vault.write("sys/policies/acl/reader", {"policy": READER})
    vault.write("sys/policies/acl/approver", {"policy": APPROVER})
    done = vault.write("sys/classes/secret/data/prod", {"class": "two-person", **rule})
    assert done.error is None, done.body
    return Estate(
        vault,
        person(vault, "reader", ["reader"]),
        person(vault, "ann", ["approver"]),
        person(vault, "ben", ["approver"]),
    )


@dataclass
class Ask:
    """What the requester is told."""

    token: str
    accessor: str
    number: int


def ask(vault: Vault, who: Person, path: str = SECRET) -> Ask:
    """Read what takes approval."""
    reply = vault.read(path, token=who.token)
    assert reply.error is None, reply.body
    return told(reply)


def told(reply: Reply) -> Ask:
    """Return what an answer says to who asked."""
    info = reply.body["wrap_info"]
    found = re.search(r"number (\d{3})\b", " ".join(reply.body["warnings"]))
    assert found is not None
    return Ask(info["token"], info["accessor"], int(found[1]))


def approve(vault: Vault, who: Person | str, asked: Ask, number: int | None = None) -> Reply:
    """Approve with the right number, or another."""
    token = who if isinstance(who, str) else who.token
    given = asked.number if number is None else number
    data = {"accessor": asked.accessor, "number": given}
    return vault.write("sys/control-group/authorize", data, token=token)


def unwrap(vault: Vault, who: Person | str, asked: Ask) -> Reply:
    """Open what was approved."""
    token = who if isinstance(who, str) else who.token
    return vault.write("sys/wrapping/unwrap", {"token": asked.token}, token=token)


def entries(vault: Vault) -> list[Entry]:
    """Return the whole journal."""
    return [entry for _, entry in vault.house.audit_reader().entries()]


def alerts(vault: Vault) -> list[str]:
    """Return the texts of all alerts."""
    return [str(e.audited["text"]) for e in entries(vault) if e.op == "alert"]
