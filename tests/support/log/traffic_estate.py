"""The people, machines and secrets of made traffic; everything follows from a seed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Final

from ironkeep.core.event import Released, Value
from ironkeep.core.ids import BASE62, uuid
from tests.support.log.traffic_truth import Positions, Subject, Truth

PEOPLE: Final = 300
ROLES: Final = 60
SECRETS: Final = 100_000
OWN: Final = 200
"""Secrets that one person or machine reads most of the time."""

_MOUNTS: Final = ("payments/", "platform/", "reports/", "mobile/", "shared/")
_KINDS: Final = (
    ("database", ("password", "username")),
    ("api", ("token",)),
    ("storage", ("access_key", "region", "secret_key")),
    ("signing", ("private_key",)),
    ("mail", ("host", "password", "username")),
)
_BLOCK: Final = 1_024
_STRIDE: Final = 7_919
"""A prime: the own secrets of two people overlap little."""


@dataclass(slots=True)
class Mount:
    """A mount of secrets, with the policy rule that lets requests read there."""

    path: str
    uuid: str
    rule: str


@dataclass(slots=True)
class Secret:
    """A secret at its newest version, with the positions of what happened to it."""

    mount: Mount
    path: str
    version: int
    fields: tuple[str, ...]
    read: Positions
    changed: Positions
    api_path: str = ""
    released: tuple[Released, ...] = ()

    def __post_init__(self) -> None:
        self.api_path = f"{self.mount.path}data/{self.path}"
        self.serve(self.version)

    def serve(self, version: int) -> None:
        """Make version the newest one."""
        self.version = version
        self.released = (Released(self.mount.uuid, self.path, version, self.fields),)


@dataclass(slots=True)
class Session:
    """A token, with the number of requests until its holder logs in again."""

    accessor: str
    entity: str
    name: str
    device: str
    remote: str
    uses: int
    marks: tuple[Positions, ...]
    audited: dict[str, Value] = field(default_factory=dict)
    """What every entry with this token records."""


@dataclass(slots=True)
class Actor:
    """A person or a machine. `own` is the first of the secrets that it mostly reads."""

    subject: Subject
    login: str
    name: str
    mount: str
    policies: list[str]
    addresses: tuple[str, ...]
    own: int
    sessions: dict[str, Session] = field(default_factory=dict)
    secret_id: str = ""
    contained: str = ""
    """The case in which it was cut off, until it may act again."""


def zipf(rng: Random, limit: int, power: float) -> Iterator[int]:
    """Yield numbers below limit without end: number n with a weight of 1 / (n + 1)^power."""
    sums = list(accumulate((n + 1) ** -power for n in range(limit)))
    while True:
        yield from rng.choices(range(limit), cum_weights=sums, k=_BLOCK)


class Estate:
    """Everything that requests are made by and about."""

    def __init__(self, rng: Random, truth: Truth) -> None:
        self.rng: Final = rng
        self.truth: Final = truth
        self.userpass, self.approle, self.tokens, self.database, self.incident = (
            self.uuid() for _ in range(5)
        )
        self.mounts: Final = [
            Mount(path, self.uuid(), f"{path[:-1]}:2 {path}*") for path in _MOUNTS
        ]
        self.people: Final = [self._person(number) for number in range(PEOPLE)]
        self.roles: Final = [self._role(number) for number in range(ROLES)]
        self.by_entity: Final = {each.subject.entity: each for each in (*self.people, *self.roles)}
        truth.subjects += [each.subject for each in self.by_entity.values()]
        self._secrets: Final[dict[int, Secret]] = {}
        self._everybodys: Final = zipf(rng, SECRETS, 1.0)
        self._own: Final = zipf(rng, OWN, 1.0)
        self._busy_people: Final = zipf(rng, PEOPLE, 0.9)
        self._busy_roles: Final = zipf(rng, ROLES, 0.9)

    def uuid(self) -> str:
        """Return a fresh UUID."""
        return uuid(self.rng.randbytes(16))

    def accessor(self) -> str:
        """Return a fresh accessor of a token."""
        return "".join(self.rng.choices(BASE62, k=24))

    def all_mounts(self) -> Iterator[tuple[str, str]]:
        """Yield (uuid, path) of every mount."""
        yield self.userpass, "auth/userpass/"
        yield self.approle, "auth/approle/"
        yield self.tokens, "auth/token/"
        yield self.database, "database/"
        yield self.incident, "incident/"
        for mount in self.mounts:
            yield mount.uuid, mount.path

    def person(self) -> Actor:
        """Return a person who may act, mostly a busy one."""
        while (found := self.people[next(self._busy_people)]).contained:
            pass
        return found

    def role(self) -> Actor:
        """Return a machine, mostly a busy one."""
        return self.roles[next(self._busy_roles)]

    def secret(self, actor: Actor) -> Secret:
        """Return a secret for actor to use: mostly one of its own, or one that everybody uses."""
        if self.rng.random() < 0.7:
            number = (actor.own + next(self._own) * _STRIDE) % SECRETS
        else:
            number = next(self._everybodys)
        found = self._secrets.get(number)
        return found or self._secrets.setdefault(number, self._make_secret(number))

    def _make_secret(self, number: int) -> Secret:
        mount = self.mounts[number % len(self.mounts)]
        kind, fields = _KINDS[number // 7 % len(_KINDS)]
        path = f"svc-{number % 997:03d}/{kind}-{number:06d}"
        value = f"{mount.uuid}/{path}"
        read, changed = self.truth.mark("released", value), self.truth.mark("changed", value)
        return Secret(mount, path, 1 + number % 9, fields, read, changed)

    def _person(self, number: int) -> Actor:
        username = f"person-{number:03d}"
        devices = tuple(self.uuid() for _ in range(self.rng.choices((1, 2, 3), (5, 4, 1))[0]))
        subject = Subject(True, self.uuid(), f"{self.userpass}/{username}", devices)
        addresses = tuple(f"10.{number // 250}.{number % 250}.{n + 2}" for n in range(len(devices)))
        return self._actor(subject, username, f"userpass-{username}", self.userpass, addresses)

    def _role(self, number: int) -> Actor:
        role = f"app-{number:02d}"
        subject = Subject(False, self.uuid(), f"{self.approle}/{role}", ())
        addresses = tuple(f"10.100.{number}.{n + 2}" for n in range(self.rng.randint(1, 4)))
        return self._actor(subject, role, "approle", self.approle, addresses)

    def _actor(
        self, subject: Subject, login: str, name: str, mount: str, addresses: tuple[str, ...]
    ) -> Actor:
        held = self.rng.sample(self.mounts, 2)
        policies = ["default", *sorted(each.path[:-1] for each in held)]
        own = self.rng.randrange(SECRETS)
        return Actor(subject, login, name, mount, policies, addresses, own)
