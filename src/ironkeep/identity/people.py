"""The people behind a session. Every rule about people uses this module.

A token records its people when it is issued. The set never shrinks as tokens make other tokens, and
the session carries it, so that reading it costs nothing:

    people = own entity
           + people of the token that requested it, and of that token's, back to a login
           + people of every role, secret id, password or invitation that the login relied on

The people of a role, a password or an invitation are those of the sessions that wrote it. Two
tokens count as one hand (the same person) when any person is behind both. Budgets, revocation and
disabling only reach the `holders`: people who had the token, or the credential that it was logged
in with, in their hands. A person who only wrote the role of a hundred machines is no holder: they
could have obtained such a token, so they count as the same person, but the reads are the machines'
own. docs/adr/0025 has the reasons.

A token without people (a root token, or one made by it) is unattributed and cannot approve.

Beside its people, a token records its *origins*: the sessions, roles, devices and mounts that acted
so that it came to be, each with the time of its last such act. A session, a role or a device has no
person whom a containment could end. When one of them is contained, everything is void that goes
back to an act of it since the earliest possible compromise: tokens, and logins that rest on what it
wrote, until that is written again.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import EntityId
from ironkeep.identity.entities import Identity
from ironkeep.identity.token_store import LOST, StoredToken, TokenStore, origins_of, person_origin
from ironkeep.plugin.token import Made, Origin, Session, TokenSpec
from ironkeep.store.state import Tx

MAX_PEOPLE: Final = 64
"""People behind one token or role. Each is looked up when a session is derived. Real chains have a
handful; a role with more must be removed and written again by one person."""

MAX_ORIGINS: Final = 64
"""Origins of one token or role. Sessions that write roles which they log in by again make endless
chains. Past this number the oldest are left out: the containment of anything, since a time before
the last of these, then counts as theirs."""
MAX_CARRIED: Final = 8
"""Origins of a batch token, which carries them."""
MAX_MAKERS: Final = 128
"""Makers named in the entry of a login."""
_ACTORS: Final = frozenset({"session", "person", "device", LOST})
"""The kinds of origins that can be exposed in a case."""

APART: Final = (
    "people who approve each other's requests must have sign-ins set up by different "
    "administrators, or with a root token (docs/access/approvals.md)"
)
"""The advice after a refusal because requester and approver count as the same person."""


def creator_of(session: Session | None) -> EntityId:
    """Return the person accountable for what session creates; "" if it is unattributed."""
    return EntityId("") if session is None or not session.payers else session.payers[0]


def made_by(session: Session | None, now_ns: int) -> Made:
    """Return the authors to record for a login credential or role that session writes now."""
    if session is None:
        return Made()
    return Made(tuple(sorted(session.people)), now_ns, session.payers, acts_of(session, now_ns))


def acts_of(session: Session, now_ns: int) -> tuple[Origin, ...]:
    """Return the origins of what session makes now."""
    return joined(session.origins, ((name, now_ns) for name in origins_of(session.record)))


def joined(*groups: Iterable[Origin], limit: int = MAX_ORIGINS) -> tuple[Origin, ...]:
    """Return the origins of several groups, each once with its latest act, the latest first."""
    found: dict[str, int] = {}
    for name, acted_ns in (each for group in groups for each in group):
        found[name] = max(acted_ns, found.get(name, 0))
    if len(found) > limit:
        lost_ns = found.pop(LOST, 0)
        latest = sorted(found.items(), key=_latest_first)
        found = dict(latest[: limit - 1])
        found[LOST] = max(lost_ns, latest[limit - 1][1])
    return tuple(sorted(found.items(), key=_latest_first))


def makers_of(made: Iterable[Made]) -> list[str]:
    """Return the makers of what a login relies on, as its entry names them under MADE_BY.

    Each is `NAME@ACTED@WRITTEN`: a session, person or device, when it last acted, and when what it
    acted on was last written, in POSIX nanoseconds. A verdict tells from these what an exposed
    principal passed on. Past MAX_MAKERS the name of the oldest is lost.
    """
    found: dict[tuple[str, int, int], None] = {}
    for each in made:
        # Rows of earlier releases know the people alone.
        people = ((person_origin(person), each.at_ns) for person in each.people)
        for name, acted_ns in each.origins or people:
            if name.partition("/")[0] in _ACTORS:
                found[name, acted_ns, each.at_ns] = None
    latest = sorted(found, key=lambda maker: maker[1], reverse=True)
    kept = latest[:MAX_MAKERS]
    kept += [(LOST, acted_ns, 0) for _, acted_ns, _ in latest[MAX_MAKERS:][:1]]
    return [f"{name}@{acted_ns}@{written_ns}" for name, acted_ns, written_ns in kept]


def handed_out(people: Iterable[str], now_ns: int) -> list[str]:
    """Return people who hand out a token now as its makers; see `makers_of`."""
    return [f"{person_origin(EntityId(each))}@{now_ns}@{now_ns}" for each in sorted(people)]


def _latest_first(origin: Origin) -> tuple[int, str]:
    return -origin[1], origin[0]


def made_again(before: Made, by: Made) -> Made:
    """Return the authors of something that is changed and not replaced: earlier ones remain."""
    people = tuple(sorted({*before.people, *by.people}))
    if len(people) > MAX_PEOPLE:
        raise InvalidRequest(
            f"more than {MAX_PEOPLE} people have written this: remove it and write it again"
        )
    holders = tuple(dict.fromkeys((*before.holders, *by.holders)))
    return Made(people, by.at_ns, holders, joined(before.origins, by.origins))


def with_chain(
    record: StoredToken,
    creator: Session | None,
    made: Iterable[Made] = (),
    makers: Iterable[EntityId] = (),
    set_up: Iterable[EntityId] = (),
) -> StoredToken:
    """Return a token's record with all people behind it; raise InvalidRequest past `MAX_PEOPLE`.

    `creator` is the session that requests it, `made` are the authors of what a login relies on;
    `makers` and `set_up` are those of a token that this one replaces. The origins in `record` stay.
    """
    made = tuple(made)
    asked = () if creator is None else creator.payers
    # The people of a replaced token come first: the new token keeps its creator.
    holders = dict.fromkeys((*makers, *asked))
    known = {record.entity, *holders}
    others = {person for each in made for person in each.people} | set(set_up)
    if creator is not None:
        others |= creator.people
    behind = tuple(sorted(others - known))
    if len(holders) + len(behind) > MAX_PEOPLE:
        raise InvalidRequest(
            f"more than {MAX_PEOPLE} people would stand behind this token: log in instead"
        )
    first = next(iter(holders), EntityId(""))
    # The nearest comes first, because budgets charge them in this order.
    rest = tuple(each for each in holders if each not in {first, record.entity})
    acts = () if creator is None else acts_of(creator, record.issued_ns)
    origins = joined(record.origins, acts, *(each.origins for each in made))
    return msgspec.structs.replace(
        record, creator=first, makers=rest, set_up=behind, origins=origins
    )


def are_standing(identity: Identity, tx: Tx, people: Iterable[str], since_ns: int) -> bool:
    """Return whether a decision that these people made at since_ns is still valid.

    It ends when one of them is disabled or removed, or has their tokens revoked.
    """
    for person in people:
        known = identity.get(tx, EntityId(person))
        if known is None or known.disabled or since_ns <= known.revoked_ns:
            return False
    return True


def people_of_spec(spec: TokenSpec, creator: Session | None) -> frozenset[EntityId]:
    """Return all people behind a token to be issued, except its own entity."""
    made = {person for each in spec.made for person in each.people}
    asked = creator.people if creator is not None else frozenset()
    return frozenset(made.union(spec.makers, asked))


def hand_of(identity: Identity, tx: Tx, person: str) -> frozenset[str]:
    """Return a person and all people who ever stood behind one of their tokens."""
    known = identity.stored(tx, EntityId(person))[2] if person else None
    return frozenset({person} - {""}).union(() if known is None else known.hands)


def is_same_person(identity: Identity, tx: Tx, session: Session, person: str) -> bool:
    """Return whether any person is behind both session and person.

    Rules that need "another person" use it: the author of a person's login does not count as one.
    """
    return is_one_hand(session.people, hand_of(identity, tx, person))


def is_one_hand(some: Collection[str], others: Collection[str]) -> bool:
    """Return whether any person is behind both."""
    return not set(some).isdisjoint(others)


def require_uncontained(
    identity: Identity, store: TokenStore, tx: Tx, made: Iterable[Made], entity: EntityId
) -> None:
    """Raise PermissionDenied for a login that relies on something that was contained since.

    A contained person, session, role or device that wrote it knows the password, or could have
    changed the role to be let in. Writing it again counts as another person's review. The holder
    `entity`, who logs in, is checked elsewhere.
    """
    for each in made:
        if store.is_ended(tx, each.origins, each.at_ns, closed=True):
            raise PermissionDenied(
                "a session, role or device that set up this login has been contained since: write "
                "its role, or set its password, again from elsewhere"
            )
        for person in each.holders:
            known = identity.stored(tx, person)[2] if person != entity else None
            if known is not None and known.disabled and each.at_ns <= known.contained_ns:
                raise PermissionDenied(
                    "the person who set up this login has been contained since: have another "
                    "person write its role, or set its password, again"
                )
