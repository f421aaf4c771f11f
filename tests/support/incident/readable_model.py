"""What somebody could have read, by brute force over a history of events.

The slow model for the survey: it knows nothing of rows, tombstones or spans. It replays all events
up to each instant of the window, and asks for each secret that exists then, and each set of
policies that the person has or could log in with then, whether a read would be granted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Event(NamedTuple):
    """One thing that happened: its kind, and what it is about."""

    at_ns: int
    kind: str
    about: tuple[object, ...]


@dataclass
class State:
    """The world between two events."""

    policies: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    mounts: dict[str, str] = field(default_factory=dict)
    """The path of each mount, by its uuid."""
    keys: dict[tuple[str, str], dict[int, None]] = field(default_factory=dict)
    """The versions of each key, by mount and name."""
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    users: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tokens: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    """Policies and expiry of each token of the person."""
    own: tuple[str, ...] = ()
    """Policies of the person, which each token has on top."""

    def apply(self, event: Event) -> None:
        """Let an event happen."""
        getattr(self, f"_{event.kind}")(*event.about)

    def _policy(self, name: str, rules: tuple[tuple[str, str], ...]) -> None:
        self.policies[name] = rules

    def _no_policy(self, name: str) -> None:
        self.policies.pop(name, None)

    def _mount(self, uuid: str, path: str) -> None:
        self.mounts[uuid] = path

    def _no_mount(self, uuid: str) -> None:
        del self.mounts[uuid]
        for key in [each for each in self.keys if each[0] == uuid]:
            del self.keys[key]

    def _limit(self, uuid: str, name: str, limit: int) -> None:
        self.keys.setdefault((uuid, name), {})
        self.limits[uuid, name] = limit

    def _write(self, uuid: str, name: str) -> None:
        versions = self.keys.setdefault((uuid, name), {})
        number = self.numbers.get((uuid, name), 0) + 1
        self.numbers[uuid, name] = number
        versions[number] = None
        while len(versions) > self.limits.get((uuid, name), 10):
            del versions[min(versions)]

    def _no_key(self, uuid: str, name: str) -> None:
        self.keys.pop((uuid, name), None)
        self.limits.pop((uuid, name), None)
        self.numbers.pop((uuid, name), None)

    def _user(self, name: str, policies: tuple[str, ...]) -> None:
        self.users[name] = policies

    def _no_user(self, name: str) -> None:
        self.users.pop(name, None)

    def _token(self, accessor: str, policies: tuple[str, ...], expires_ns: int) -> None:
        self.tokens[accessor] = policies, expires_ns

    def _person(self, policies: tuple[str, ...]) -> None:
        self.own = policies

    def readable(self, user: str, at_ns: int) -> Iterator[tuple[str, str, int]]:
        """Yield (mount, key, version) of everything that the person could read now."""
        held = [policies for policies, until_ns in self.tokens.values() if at_ns < until_ns]
        held += [self.users[user]] if user in self.users else []
        for (uuid, name), versions in self.keys.items():
            path = f"{self.mounts[uuid]}data/{name}"
            if any(self._allows((*each, *self.own), path) for each in held):
                yield from ((uuid, name, number) for number in versions)

    def _allows(self, policies: tuple[str, ...], path: str) -> bool:
        """Decide as documented: the longest pattern decides, an exact one first; deny wins."""
        rules = [rule for name in policies for rule in self.policies.get(name, ())]
        exact = [said for pattern, said in rules if pattern == path]
        if exact:
            return "deny" not in exact
        fits = [
            (len(pattern), said)
            for pattern, said in rules
            if pattern.endswith("*") and path.startswith(pattern[:-1])
        ]
        longest = max((length for length, _ in fits), default=0)
        said = [each for length, each in fits if length == longest]
        return bool(said) and "deny" not in said


def could_read(
    events: Iterable[Event], user: str, from_ns: int, until_ns: int
) -> set[tuple[str, str, int]]:
    """Return all that a person could read at some instant in [from_ns, until_ns]."""
    history = sorted(events, key=lambda event: event.at_ns)
    expiries = {int(str(event.about[2])) for event in history if event.kind == "token"}
    moments = {from_ns, *(event.at_ns for event in history)}
    moments |= {each - 1 for each in expiries}
    found: set[tuple[str, str, int]] = set()
    for moment in sorted(each for each in moments if from_ns <= each <= until_ns):
        state = State()
        for event in history:
            if event.at_ns <= moment:
                state.apply(event)
        found.update(state.readable(user, moment))
    return found
