"""Break-glass records: access by printed codes of k of n people, without an identity provider.

    sys/break-glass : config        -> number of people, policies, lifetime of the token
                      person / name -> hashes of the unused codes, or that they are to be fetched
                      case / id     -> holders, reason, end, and the accessor of the token

It alerts on use, and its tokens are short-lived. They read every class but custody without a touch
or an approval, and each such read raises an alert. A break-glass token is recognised by its path
(`PATH`), with which no engine or auth method can issue a token.
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
"""The path of break-glass tokens."""
BROKEN: Final = "break_glass"
"""The key in a token's metadata whose value is the id of its case."""
MAX_SECONDS: Final = 3_600
MIN_PEOPLE: Final = 2
MAX_PEOPLE: Final = 32
CODES: Final = 5
"""Codes printed for each person; each opening that the person takes part in uses up one."""
CODE: Final = 24
"""Base62 characters: 142 bits, so a hash without salt or cost is enough."""
MAX_NAME: Final = 128


class Config(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings; without policies break-glass cannot be opened."""

    threshold: int = MIN_PEOPLE
    policies: tuple[str, ...] = ()
    ttl_seconds: int = MAX_SECONDS
    set_by: tuple[str, ...] = ()
    """All people behind the token that wrote this last; none of them may hold codes."""


class Codes(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hashes (SHA-256) of one person's unused codes.

    `waiting` is true until that person has fetched them. `named_by` are all people behind the token
    that named the holder. Records of older versions, which did not tie holders to entities, have
    no entity.
    """

    hashes: tuple[bytes, ...] = ()
    entity: EntityId = EntityId("")
    waiting: bool = False
    named_by: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Codes({len(self.hashes)})"


class Case(msgspec.Struct, frozen=True, omit_defaults=True):
    """One opening. Times are POSIX nanoseconds; `first` is the next journal index at that time.

    `hands` are all people behind the holders who opened it, as they were then: a holder may be
    voided or named again before anybody asks which secrets were replaced.
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
    """Stores settings, codes and cases; makes no decisions."""

    def __init__(self, stores: StoreOf) -> None:
        self._stores: Final = stores

    def config(self, tx: Tx) -> Config:
        """Return the settings."""
        raw = self._store(tx).get("config")
        return Config() if raw is None else _CONFIG.decode(raw)

    def set_config(self, tx: Tx, config: Config) -> None:
        """Replace the settings; raise InvalidRequest past the limits."""
        check_config(config)
        self._store(tx).put("config", _CONFIG.encode(config))

    def people(self, tx: Tx) -> list[str]:
        """Return the names of the holders of codes, sorted."""
        return sorted(unescape_part(name) for name in self._store(tx).list("person"))

    def left(self, tx: Tx, name: str) -> int | None:
        """Return how many codes a person has left, None if the person is no holder."""
        raw = self._store(tx).get(_person(name))
        return None if raw is None else len(_CODES.decode(raw).hashes)

    def holder(self, tx: Tx, name: str) -> Codes | None:
        """Return the record of a holder, or None."""
        raw = self._store(tx).get(_person(name)) if 0 < len(name) <= MAX_NAME else None
        return None if raw is None else _CODES.decode(raw)

    def name(self, tx: Tx, name: str, entity: EntityId, named_by: tuple[str, ...]) -> None:
        """Let a person fetch codes and void earlier ones; raise InvalidRequest past the limits."""
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidRequest(f"a name has 1 to {MAX_NAME} printable characters")
        if self.left(tx, name) is None and len(self.people(tx)) >= MAX_PEOPLE:
            raise InvalidRequest(f"at most {MAX_PEOPLE} people hold codes")
        codes = Codes((), entity, waiting=True, named_by=named_by)
        self._store(tx).put(_person(name), _CODES.encode(codes))

    def issue(self, tx: Tx, entity: EntityId, entropy: Entropy) -> tuple[str, list[Secret]] | None:
        """Make codes for a person who was named; return name and codes, once. None for others."""
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
        """Void a person's codes; a name without any is fine."""
        self._store(tx).delete(_person(name))

    def use(self, tx: Tx, name: str, code: Secret) -> bool:
        """Use up one of a person's codes; return whether it was one."""
        raw = self._store(tx).get(_person(name)) if len(name) <= MAX_NAME else None
        known = Codes() if raw is None else _CODES.decode(raw)
        given = sha256(code.reveal()).digest()
        # Compare with all of them, so that the time does not tell which one matched.
        same = [hmac.compare_digest(each, given) for each in known.hashes]
        if not any(same):
            return False
        left = tuple(each for each, is_it in zip(known.hashes, same, strict=True) if not is_it)
        fresh = msgspec.structs.replace(known, hashes=left)
        self._store(tx).put(_person(name), _CODES.encode(fresh))
        return True

    def put_case(self, tx: Tx, case: Case) -> None:
        """Store an opening."""
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
    """Raise InvalidRequest for settings past the limits."""
    if not MIN_PEOPLE <= config.threshold <= MAX_PEOPLE:
        raise InvalidRequest(f"threshold is {MIN_PEOPLE} to {MAX_PEOPLE} people")
    if not 0 < config.ttl_seconds <= MAX_SECONDS:
        raise InvalidRequest(f"ttl is at most {MAX_SECONDS} seconds")
    if "root" in config.policies:
        raise InvalidRequest("name policies, not root: decide now what break-glass may open")


def is_break_glass(session: Session) -> bool:
    """Return whether a session's token was issued by break-glass."""
    return session.record.path == PATH


def _person(name: str) -> str:
    return f"person/{escape_part(name)}"
