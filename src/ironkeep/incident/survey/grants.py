"""The policies that a principal could act with, and when: of its tokens, and of every login.

A login counts whether it happened or not: a person could have logged in by each role and user that
an alias of theirs was good for in the window, with what it yielded at each moment. The history of
the person, of the mounts and of the roles says so (identity/roles.py).
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

from ironkeep.core.ids import EntityId, MountAccessor
from ironkeep.identity import entities as identity
from ironkeep.identity.entities import Entity
from ironkeep.identity.policies import normalise_names
from ironkeep.identity.roles import Admitting
from ironkeep.identity.token_params import LOGIN, LOGINS
from ironkeep.incident.evidence.brief import Grant
from ironkeep.kernel.house import House
from ironkeep.plugin.call import Call
from ironkeep.plugin.effects.effects import Steps, pause
from ironkeep.plugin.mounts import Stood
from ironkeep.store.barrier import Store

IN_A_TURN: Final = 64
"""Rows of the history looked at in one turn: less than a millisecond."""

Timeline = list[tuple[int, Entity | None]]
"""A person at each instant of a change; None while they were absent or disabled."""


class Span(NamedTuple):
    """The time [from_ns, until_ns); until_ns 0 means that it goes on."""

    from_ns: int
    until_ns: int


class Logins:
    """Finds the grants of all logins by which a person could have come in since an instant."""

    def __init__(self, call: Call, from_ns: int) -> None:
        self._call: Final = call
        self._house: Final[House] = call.use(House)
        self._from_ns: Final = from_ns
        self.unknown: Final[list[str]] = []
        """What is not known, in words."""

    def timeline(self, person: str) -> Timeline:
        """Return the person as of the start, and at each later change."""
        house, tx = self._house, self._call.tx
        found: Timeline = []
        for start, _ in house.history.since(tx, identity.KIND, person, self._from_ns):
            known = house.identity.at(tx, EntityId(person), start)
            found.append((start, None if known is None or known.disabled else known))
        return found or [(0, house.identity.get(tx, EntityId(person)))]

    def grants(self, timeline: Timeline) -> Steps[set[Grant]]:
        """Return what logins by the aliases of a person would have granted."""
        found: set[Grant] = set()
        mounts: dict[MountAccessor, list[Stood]] | None = None
        for (mount, alias), spans in _aliases(timeline).items():
            if mounts is None:
                mounts = yield from self._auth_mounts()
            stood = mounts.get(mount, [])
            if stood:
                person = next(e.id for _, e in timeline if e is not None)
                found |= yield from self._by_alias(stood, alias, person, spans)
        return found

    def _auth_mounts(self) -> Steps[dict[MountAccessor, list[Stood]]]:
        """Return the auth methods that stood since the start, also those removed since."""
        found: dict[MountAccessor, list[Stood]] = {}
        for number, uuid in enumerate(self._house.mounts.each_uuid(self._call.tx), start=1):
            stood = self._house.mounts.stood(self._call.tx, uuid, self._from_ns)
            if stood and stood[-1].mount.path.startswith("auth/"):
                found[stood[-1].mount.accessor] = stood
            if number % IN_A_TURN == 0:
                yield from pause()
        return found

    def _by_alias(
        self, stood: list[Stood], alias: str, person: str, spans: list[Span]
    ) -> Steps[set[Grant]]:
        """Return the grants of an alias at a mount; what role it has may only be known by name."""
        mount, tx = stood[-1].mount, self._call.tx
        plugin: Any = self._house.plugins.get(mount.type)
        exists = Span(stood[0].from_ns, stood[-1].until_ns)
        store = None if exists.until_ns else self._house.mount_store(tx, mount)
        names = _names(plugin, store, alias)
        if names is None:
            names = yield from self._every_name(mount.accessor)
        found: set[Grant] = set()
        for number, name in enumerate(names, start=1):
            if number % IN_A_TURN == 0:
                yield from pause()
            yielded = list(self._yielded(mount.accessor, name))
            unchanged = all(each.from_ns <= self._from_ns for each, _ in yielded)
            if store is not None and unchanged and _excludes(plugin, store, alias, name):
                continue
            found |= {
                Grant(policies, person, both.from_ns, both.until_ns)
                for span, policies in yielded
                for own in spans
                for both in overlaps(span, own, exists)
            }
        return found

    def _every_name(self, accessor: MountAccessor) -> Steps[list[str]]:
        """Return every role or user that a mount ever had."""
        found: list[str] = []
        prefix = f"{accessor}/"
        for number, name in enumerate(self._house.history.each_name(self._call.tx, LOGIN), start=1):
            if name.startswith(prefix):
                found.append(name.removeprefix(prefix))
            if number % IN_A_TURN == 0:
                yield from pause()
        return found

    def _yielded(self, accessor: str, name: str) -> Iterator[tuple[Span, tuple[str, ...]]]:
        """Yield what a role or user gave, with the time in which it did."""
        history, tx = self._house.history, self._call.tx
        # A name without a history, such as that of an alias made in advance, yields nothing.
        changes = [*history.since(tx, LOGIN, f"{accessor}/{name}", self._from_ns), (0, b"")]
        for (start, raw), (end, _) in pairwise(changes):
            if raw:
                params = LOGINS.decode(raw)
                add_default = not params.token_no_default_policy
                policies = normalise_names(params.token_policies, add_default=add_default)
                yield Span(start, end), policies


def overlaps(*spans: Span) -> Iterator[Span]:
    """Yield the time that all spans have in common, if there is any."""
    start = max(each.from_ns for each in spans)
    end = min((each.until_ns for each in spans if each.until_ns), default=0)
    if not end or start < end:
        yield Span(start, end)


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, with those joined that touch or overlap."""
    found: list[Span] = []
    for span in sorted(spans):
        last = found[-1] if found else None
        if last is None or (last.until_ns and last.until_ns < span.from_ns):
            found.append(span)
        elif last.until_ns:
            end = max(last.until_ns, span.until_ns) if span.until_ns else 0
            found[-1] = Span(last.from_ns, end)
    return found


def _aliases(timeline: Timeline) -> dict[tuple[MountAccessor, str], list[Span]]:
    """Return the aliases of a person, with the times at which they had them."""
    found: dict[tuple[MountAccessor, str], list[Span]] = {}
    ends = [*(start for start, _ in timeline[1:]), 0]
    for (start, entity), end in zip(timeline, ends, strict=True):
        for alias in entity.aliases if entity is not None else ():
            spans = found.setdefault((alias.mount, alias.name), [])
            if spans and spans[-1].until_ns == start:
                spans[-1] = Span(spans[-1].from_ns, end)
            else:
                spans.append(Span(start, end))
    return found


def _names(plugin: Any, store: Store | None, alias: str) -> Iterable[str] | None:
    """Return the roles of an alias; None for possibly any, as where the mount is gone."""
    if store is None or not isinstance(plugin, Admitting):
        return None
    return plugin.login_names(store, alias)


def _excludes(plugin: Any, store: Store, alias: str, name: str) -> bool:
    return isinstance(plugin, Admitting) and plugin.excludes(store, alias, name)
