"""Which people stand behind a session: the one place that knows, asked by every rule on people.

A token keeps for good whom it came from. It is worked out when the token is issued, never gets
smaller on the way, and lies in the session, so asking it costs nothing:

    people = own entity
           + people of the token that asked for it, and so of that one's, back to a login
           + people of every role, secret id, password or invitation that it stands on

and a role, a password or an invitation is of all the people of the session that wrote it. Two
tokens are one hand when any person stands behind both. For what is charged or ended at once, the
`holders` alone count: those who had the token, or what it was logged in with, in their hands. A
person who only wrote the role of a hundred machines is no holder: they could have had such a token,
so they are the same hand, but the reads are the machines' own. docs/adr/0025 has the reasons.

A token whose chain is empty (a root token, or what it made) names nobody: it approves nothing.
"""

from collections.abc import Collection, Iterable
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.ids import EntityId
from ironkeep.identity.entities import Identity
from ironkeep.identity.token_store import StoredToken
from ironkeep.plugin.token import Made, Session, TokenSpec
from ironkeep.store.state import Tx

MAX_PEOPLE: Final = 64
"""Behind one token or role. Each is looked up when a session is derived; real chains have a
handful, and one that is longer is a role to be written anew by somebody."""

APART: Final = (
    "the sign-in of people who decide for one another is to be made by different administrators, "
    "or with a root token (docs/access/approvals.md)"
)
"""What to do, after a refusal for one hand."""


def creator_of(session: Session | None) -> EntityId:
    """Return the person to be held to account for what session asks for, "" for nobody."""
    return EntityId("") if session is None or not session.payers else session.payers[0]


def made_by(session: Session | None, now_ns: int) -> Made:
    """Return what is kept of the people who write something now that gives tokens."""
    if session is None:
        return Made()
    return Made(tuple(sorted(session.people)), now_ns, session.payers)


def made_again(before: Made, by: Made) -> Made:
    """Return what is kept of something that is changed and not replaced: earlier hands stay."""
    people = tuple(sorted({*before.people, *by.people}))
    if len(people) > MAX_PEOPLE:
        raise InvalidRequest(
            f"more than {MAX_PEOPLE} people have written this: remove it and write it anew"
        )
    holders = tuple(dict.fromkeys((*before.holders, *by.holders)))
    return Made(people, by.at_ns, holders)


def with_chain(
    record: StoredToken,
    creator: Session | None,
    made: Iterable[Made] = (),
    makers: Iterable[EntityId] = (),
    set_up: Iterable[EntityId] = (),
) -> StoredToken:
    """Return a token's record with everybody who stands behind it; raise InvalidRequest past it.

    `creator` is the session that asks for it, `made` is what a login stands on; `makers` and
    `set_up` are of a token that it takes the place of.
    """
    asked = () if creator is None else creator.payers
    # Those of the token whose place this takes come first: it keeps its creator.
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
    # In order, the nearest first: budgets charge them so.
    rest = tuple(each for each in holders if each not in {first, record.entity})
    return msgspec.structs.replace(record, creator=first, makers=rest, set_up=behind)


def are_standing(identity: Identity, tx: Tx, people: Iterable[str], since_ns: int) -> bool:
    """Return whether what these people gave at a time is still good.

    It ends when one of them is disabled or removed, and when everything of theirs is ended.
    """
    for person in people:
        known = identity.get(tx, EntityId(person))
        if known is None or known.disabled or since_ns <= known.revoked_ns:
            return False
    return True


def people_of_spec(spec: TokenSpec, creator: Session | None) -> frozenset[EntityId]:
    """Return everybody who stands behind a token to be issued, but for its own person."""
    made = {person for each in spec.made for person in each.people}
    asked = creator.people if creator is not None else frozenset()
    return frozenset(made.union(spec.makers, asked))


def hand_of(identity: Identity, tx: Tx, person: str) -> frozenset[str]:
    """Return a person with everybody who ever stood behind a token of theirs."""
    known = identity.stored(tx, EntityId(person))[2] if person else None
    return frozenset({person} - {""}).union(() if known is None else known.hands)


def is_same_person(identity: Identity, tx: Tx, session: Session, person: str) -> bool:
    """Return whether a session may be a person: through them, or they through it.

    Ask this where "another person" decides. Who made somebody up is no other person.
    """
    return is_one_hand(session.people, hand_of(identity, tx, person))


def is_one_hand(some: Collection[str], others: Collection[str]) -> bool:
    """Return whether one person stands behind both."""
    return not set(some).isdisjoint(others)


def require_uncontained(identity: Identity, tx: Tx, made: Iterable[Made], entity: EntityId) -> None:
    """Raise PermissionDenied for a login through what a contained person wrote.

    They know the password, or could have made the role let them in. Another person who writes it
    again has looked at it. `entity` is who logs in: whether they may is asked elsewhere.
    """
    for each in made:
        for person in each.holders:
            known = identity.stored(tx, person)[2] if person != entity else None
            if known is not None and known.disabled and each.at_ns <= known.contained_ns:
                raise PermissionDenied(
                    "this login was set up by somebody who has been contained since: have another "
                    "person write its role, or set its password, again"
                )
