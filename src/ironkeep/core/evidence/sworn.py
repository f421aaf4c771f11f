"""The statements of people in a case, and whether two people stand behind each.

A record is *measured* when Ironkeep made it from an answer of a system, of the vault or of the log
itself, and *sworn* when it is a person's word. A statement that closes a claim takes a second
person: it is in force once two people vouch for it.

People vouch for a statement by making it and by confirming it (`records.Confirmed`). One person
counts once, whatever tokens they use: behind each record stand its entity and all `people` behind
the token that made it, and two records that share one of them count as one. A record made without
an entity counts for nobody, and so does one behind which anybody stands who was exposed.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.activity import actors_of
from ironkeep.core.evidence.casefile import CaseFile, Filed
from ironkeep.core.evidence.node import NodeKind, node

PEOPLE: Final = 2
"""The people who have to vouch for a statement."""

Stated = Filed[ev.Exempted] | Filed[ev.Explained] | Filed[ev.RootChecked] | Filed[ev.Revoked]
"""A record that takes a second person; a revocation or explanation only if it is not measured."""


class Basis(StrEnum):
    """How it is known that an exposed credential is dead, or why that does not matter now."""

    OPEN = "open"
    """It is not known: an item stands against the credential."""
    EXEMPT = "exempt"
    SWORN = "sworn by two"
    MEASURED = "measured"


def is_sworn(record: ev.Record) -> bool:
    """Return whether a record is a person's word."""
    if isinstance(record, ev.Revoked | ev.Explained):
        return not record.measured
    return isinstance(
        record,
        ev.Opened | ev.Widened | ev.Readmitted | ev.Exempted | ev.RootChecked | ev.Residue
        | ev.Delivered | ev.Confirmed,
    )  # fmt: skip


def in_force(file: CaseFile, stated: Stated) -> bool:
    """Return whether enough people vouch for a statement of the case."""
    return _count(file, stated) >= PEOPLE


def stated_by(stated: Stated) -> str:
    """Return the name of the person who made a statement, as its own entry states it."""
    entry = stated.entry
    name = entry.name or entry.entity
    return f"{NodeKind.PERSON} {name}" if entry.entity else "a token of nobody"


def lacking(file: CaseFile, stated: Stated, what: str) -> str:
    """Return in words who states `what`, which is not in force, and who has to confirm it."""
    if not _count(file, stated):
        rest = "two people have to confirm it"
    elif any(_behind(file, stated, stated.record.people)):
        rest = "a second person has to confirm it"
    else:
        rest = "one person has confirmed it, and a second one has to"
    return f"only {stated_by(stated)} states {what}: {rest}"


def _count(file: CaseFile, stated: Stated) -> int:
    """Return how many people vouch for a statement."""
    seen: set[str] = set()
    count = 0
    for people in _vouching(file, stated):
        if not people & seen:
            seen |= people
            count += 1
    return count


def _vouching(file: CaseFile, stated: Stated) -> Iterator[set[str]]:
    """Yield the people behind the statement, and behind each confirmation of it that counts."""
    yield from _behind(file, stated, stated.record.people)
    named = (stated.record.case, f"entry:{stated.index}")
    for each in file.confirmations.get(named, ()):
        if each.index > stated.index:
            yield from _behind(file, each, each.record.people)


def _behind(
    file: CaseFile, filed: Stated | Filed[ev.Confirmed], people: tuple[str, ...]
) -> Iterator[set[str]]:
    """Yield the people behind a record, unless it counts for nobody."""
    entity = filed.entry.entity
    everybody = {entity, *people} - {""}
    nodes = (*actors_of(filed.entry), *(node(NodeKind.PERSON, each) for each in everybody))
    if entity and not any(file.is_out(each, filed.index) for each in nodes):
        yield everybody
