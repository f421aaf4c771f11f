"""Where the entries of made traffic are in their log: what an index of the log must answer."""

from array import array
from heapq import merge
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

Term = Literal[
    "kind", "entity", "accessor", "device", "behind", "issued", "username", "role",
    "refused_login", "secret_id", "released", "changed",
]  # fmt: skip
"""What an entry is about.

kind, entity, accessor, device: the fields of these names. behind: an entity that handed out the
token of the entry. issued: the accessor of a token that the entry issued or renewed. username and
role: a login, as `<mount uuid>/<name>`; refused_login: one of a user with a wrong password.
secret_id: the accessor of a secret id that was issued, or used for a login. released and changed: a
secret, as `<mount uuid>/<record path>`.
"""


Positions: TypeAlias = "array[int]"
"""Positions in a log. Python 3.11 has no array[int] at run time."""


class Subject(msgspec.Struct):
    """A person, or a machine that logs in with a role; `accessors` are all its tokens, in order.

    `login` is its value of the term "username" for a person, "role" for a machine.
    """

    person: bool
    entity: str
    login: str
    devices: tuple[str, ...]
    accessors: list[str] = []


class Truth:
    """The positions of entries in a log, ascending, by term and value."""

    def __init__(self) -> None:
        self._positions: Final[dict[Term, dict[str, Positions]]] = {}
        self.subjects: list[Subject] = []
        """The most active one first, of each kind."""
        self.entries = 0
        self.leaves = 0
        self.first_ns = 0
        self.last_ns = 0

    def mark(self, term: Term, value: str) -> Positions:
        """Return the positions of a value, to append further ones to."""
        values = self._positions.setdefault(term, {})
        found = values.get(value)
        if found is None:
            found = values[value] = array("I")
        return found

    def positions(self, term: Term, value: str) -> list[int]:
        """Return the positions of a value; empty if the log does not have it."""
        return list(self._positions.get(term, {}).get(value, ()))

    def values(self, term: Term) -> list[str]:
        """Return the values of a term that at least one entry has."""
        return [value for value, found in self._positions.get(term, {}).items() if found]

    def of(self, subject: Subject) -> list[int]:
        """Return all that a subject did: its entries and its logins, also refused ones."""
        terms: tuple[Term, ...] = ("username", "role", "refused_login")
        logins = [self.positions(term, subject.login) for term in terms]
        return list(merge(self.positions("entity", subject.entity), *logins))

    def people(self) -> list[Subject]:
        """Return the people, the most active one first."""
        return [each for each in self.subjects if each.person]

    def save(self, path: Path) -> None:
        """Write everything into a file."""
        whole = _Stored(
            {
                term: {value: found.tobytes() for value, found in values.items()}
                for term, values in self._positions.items()
            },
            self.subjects,
            (self.entries, self.leaves, self.first_ns, self.last_ns),
        )
        path.write_bytes(msgspec.msgpack.encode(whole))

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Return what `save` wrote on a machine of the same byte order."""
        whole = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
        truth = cls()
        for term, values in whole.positions.items():
            for value, raw in values.items():
                truth.mark(term, value).frombytes(raw)
        truth.subjects = whole.subjects
        truth.entries, truth.leaves, truth.first_ns, truth.last_ns = whole.numbers
        return truth


class _Stored(msgspec.Struct, array_like=True):
    positions: dict[Term, dict[str, bytes]]
    subjects: list[Subject]
    numbers: tuple[int, int, int, int]
