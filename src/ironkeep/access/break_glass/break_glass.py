"""The way in that needs no identity provider: k of n people with printed codes, loud and short.

    sys/break-glass : config        -> how many people, which policies, for how long
                      person / entity -> whether codes are to be fetched, hashes of the unused ones
                      case / id     -> who opened it, why, until when, and its token's accessor

A token that was issued so reads every class but custody without a touch or an approval, each read
an alert. Its path names it, and no engine or auth method can issue a token with that path.
"""

import hmac
from hashlib import sha256
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import EntityId, base62
from ironkeep.core.ports import Entropy
from ironkeep.core.secret import Secret
from ironkeep.plugin.token import Session
from ironkeep.store.barrier import Store
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf, escape_part, unescape_part
from ironkeep.store.state import Tx

PLACE: Final = "sys/break-glass"
"""The reserved place of this feature's records."""

PATH: Final = "sys/break-glass/open"
"""Of its tokens."""
BROKEN: Final = "break_glass"
"""In the metadata of its tokens: the id of the case."""
MAX_SECONDS: Final = 3_600
MIN_PEOPLE: Final = 2
MAX_PEOPLE: Final = 32
CODES: Final = 5
"""Printed for each person: one is used up by every opening that they take part in."""
CODE: Final = 24
"""Base62 characters: 142 bits, so a hash without salt or cost is enough."""
MAX_NAME: Final = 128


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """How it is opened; without policies it is not."""

    threshold: int = MIN_PEOPLE
    policies: tuple[str, ...] = ()
    ttl_seconds: int = MAX_SECONDS
    set_by: tuple[str, ...] = ()
    """All people behind whoever set it last; none of them holds codes."""


class Codes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hashes (SHA-256) of one person's unused codes.

    `waiting` until that person has fetched them. `named_by` are the people behind whoever named the
    holder. Codes from before holders were people of the vault have no entity.
    """

    hashes: tuple[bytes, ...] = ()
    entity: EntityId = EntityId("")
    waiting: bool = False
    named_by: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Codes({len(self.hashes)})"


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One opening. Times are POSIX nanoseconds; `first` is where the journal stood.

    `hands` are all people behind those who opened it, as they were then: holders may be voided, or
    named anew, before anybody asks what was replaced.
    """

    id: str
    reason: str
    people: tuple[str, ...]
    opened_ns: int
    until_ns: int
    accessor: str
    first: int
    hands: tuple[str, ...] = ()


_CONFIG: Final = Codec(Config)
_CODES: Final = Codec(Codes)
_CASE: Final = Codec(Case)


class BreakGlass:
    """Keeps all that; decides nothing."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def config(self, tx: Tx) -> Config:
        """Return how it is opened."""
        raw = self._store(tx).get("config")
        return Config() if raw is None else _CONFIG.decode(raw)

    def set_config(self, tx: Tx, config: Config) -> None:
        """Set how it is opened; raise InvalidRequest past the limits."""
        check_config(config)
        self._store(tx).put("config", _CONFIG.encode(config))

    def people(self, tx: Tx) -> list[str]:
        """Return the names of those who hold codes, sorted."""
        return sorted(unescape_part(name) for name in self._store(tx).list("person"))

    def left(self, tx: Tx, name: str) -> int | None:
        """Return how many codes a person has left, None for nobody."""
        raw = self._store(tx).get(_person(name))
        return None if raw is None else len(_CODES.decode(raw).hashes)

    def holder(self, tx: Tx, name: str) -> Codes | None:
        """Return what is kept of a holder, or None."""
        raw = self._store(tx).get(_person(name)) if 0 < len(name) <= MAX_NAME else None
        return None if raw is None else _CODES.decode(raw)

    def name(self, tx: Tx, name: str, entity: EntityId, named_by: tuple[str, ...]) -> None:
        """Let a person fetch codes, of whom earlier ones are void; raise InvalidRequest."""
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidRequest(f"a name has 1 to {MAX_NAME} printable characters")
        if self.left(tx, name) is None and len(self.people(tx)) >= MAX_PEOPLE:
            raise InvalidRequest(f"at most {MAX_PEOPLE} people hold codes")
        codes = Codes((), entity, waiting=True, named_by=named_by)
        self._store(tx).put(_person(name), _CODES.encode(codes))

    def issue(self, tx: Tx, entity: EntityId, entropy: Entropy) -> tuple[str, list[Secret]] | None:
        """Return the name and the codes of a person who is to fetch some, once; None for others."""
        for name in self.people(tx):
            known = self.holder(tx, name)
            if known is not None and known.waiting and known.entity == entity:
                return name, self._issue(tx, name, known, entropy)
        return None

    def _issue(self, tx: Tx, name: str, known: Codes, entropy: Entropy) -> list[Secret]:
        codes = [base62(entropy.token(2 * CODE), CODE).encode() for _ in range(CODES)]
        hashes = tuple(sha256(code).digest() for code in codes)
        fresh = msgspec.structs.replace(known, hashes=hashes, waiting=False)
        self._store(tx).put(_person(name), _CODES.encode(fresh))
        return [Secret(code) for code in codes]

    def remove(self, tx: Tx, name: str) -> None:
        """Make a person's codes void; nobody is fine."""
        self._store(tx).delete(_person(name))

    def use(self, tx: Tx, name: str, code: Secret) -> bool:
        """Return whether a code is one of a person's, and use it up."""
        raw = self._store(tx).get(_person(name)) if len(name) <= MAX_NAME else None
        known = Codes() if raw is None else _CODES.decode(raw)
        given = sha256(code.reveal()).digest()
        # All are compared, so that time tells nothing of which.
        same = [hmac.compare_digest(each, given) for each in known.hashes]
        if not any(same):
            return False
        left = tuple(each for each, is_it in zip(known.hashes, same, strict=True) if not is_it)
        fresh = msgspec.structs.replace(known, hashes=left)
        self._store(tx).put(_person(name), _CODES.encode(fresh))
        return True

    def put_case(self, tx: Tx, case: Case) -> None:
        """Remember an opening."""
        self._store(tx).put(f"case/{case.id}", _CASE.encode(case))

    def case(self, tx: Tx, name: str) -> Case | None:
        """Return an opening, or None."""
        raw = self._store(tx).get(f"case/{name}") if name.isalnum() else None
        return None if raw is None else _CASE.decode(raw)

    def cases(self, tx: Tx) -> list[str]:
        """Return the ids of all openings, sorted."""
        return self._store(tx).names("case")

    def _store(self, tx: Tx) -> Store:
        return self._stores(tx, PLACE)


def check_config(config: Config) -> None:
    """Raise InvalidRequest for what is past the limits."""
    if not MIN_PEOPLE <= config.threshold <= MAX_PEOPLE:
        raise InvalidRequest(f"threshold is {MIN_PEOPLE} to {MAX_PEOPLE} people")
    if not 0 < config.ttl_seconds <= MAX_SECONDS:
        raise InvalidRequest(f"ttl is at most {MAX_SECONDS} seconds")
    if "root" in config.policies:
        raise InvalidRequest("name policies, not root: what it opens is to be known before")


def is_break_glass(session: Session) -> bool:
    """Return whether a session's token was issued by breaking the glass."""
    return session.record.path == PATH


def _person(name: str) -> str:
    return f"person/{escape_part(name)}"
