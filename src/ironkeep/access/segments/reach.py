"""Reachability: whether anybody of one segment can reach another, computed for each question.

A caller belongs to a segment by a device, by the auth method of the login, or by the address. From
there another segment is reached in one of these ways:

    rule       the flow matrix has a rule
    device     a device is in both, or also in one that a rule lets through
    network    address ranges of both overlap
    person     a person of the one also has a device, or a login, of the other

and in addition by a policy that grants anything on a mount of the other. The answer errs on the
safe side: a policy counts even if nobody holds it now, because a login may give it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from typing import Any, Final

import msgspec

from ironkeep.access.devices.devices import DeviceRecord, Devices
from ironkeep.access.segments.flow_table import FlowTable
from ironkeep.core.errors import InvalidRequest, PermissionDenied
from ironkeep.core.policy.acl import compile_acl
from ironkeep.core.policy.builtin import ROOT_POLICY_NAME
from ironkeep.core.policy.flows import HOUSE, FlowRule
from ironkeep.core.policy.policy import Policy, parse_policy
from ironkeep.core.policy.template import TemplateContext
from ironkeep.identity.entities import Entity, Identity
from ironkeep.identity.policies import Policies
from ironkeep.identity.tokens import Tokens
from ironkeep.plugin.call import Call
from ironkeep.plugin.cidr import parse_cidrs
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import SINGLETONS, Mounts
from ironkeep.seal.segments import OPTION, Segments
from ironkeep.store.reserved import MOUNTS

MAX_SUBJECTS: Final = 5_000
"""Policies, people and tokens examined, of each: some 0.3 s. `complete` is false if there are more
policies or people."""


class Way(msgspec.Struct, frozen=True):
    """A way across; with `policies` only for their holders, with `entity` only for that person."""

    kind: str
    detail: str
    policies: tuple[str, ...] = ()
    entity: str = ""


class Found(msgspec.Struct, frozen=True):
    """One subject that gets through, and the policy rule that lets it."""

    subject: str
    way: str
    detail: str
    rule: str
    mount: str


@dataclass(slots=True)
class Reach:
    """The findings on one pair of segments."""

    source: str
    target: str
    ways: list[Way]
    found: list[Found] = field(default_factory=list)
    complete: bool = True

    def shape(self) -> dict[str, Any]:
        """Return the findings in the form of the answer."""
        return {
            "from": self.source,
            "to": self.target,
            "reaches": bool(self.found),
            "complete": self.complete,
            "ways": [{"kind": way.kind, "detail": way.detail} for way in self.ways],
            "who": [msgspec.structs.asdict(each) for each in self.found],
        }


class Survey:
    """The devices, people, policies and segments of the vault, loaded once for one request."""

    def __init__(self, call: Call) -> None:
        self._call: Final = call
        tx = call.tx
        self._table: Final = call.use(Segments).table(tx)
        self._rules: Final = call.use(FlowTable).rules(tx)
        mounts = call.use(Mounts).table(call.services.store(tx, MOUNTS)).by_path
        self._mounts: Final = [mounts[path] for path in sorted(mounts)]
        found = (call.use(Devices).get(tx, each) for each in call.use(Devices).ids(tx))
        self._devices: Final = [each for each in found if each is not None and _counts(each)]
        ids = call.use(Identity).ids(tx)
        self._complete = len(ids) <= MAX_SUBJECTS
        people = (call.use(Identity).get(tx, each) for each in ids[:MAX_SUBJECTS])
        self._people: Final = [each for each in people if each is not None and not each.disabled]
        names = [name for name in call.use(Policies).names(tx) if name != ROOT_POLICY_NAME]
        self._complete &= len(names) <= MAX_SUBJECTS
        self._policies: Final = names[:MAX_SUBJECTS]
        self._granted: Final[dict[str, list[tuple[str, str]]]] = {}

    def reach(self, source: str, target: str) -> Reach:
        """Return how source reaches target, and by which policies; raise NotFound."""
        for name in (source, target):
            if name != HOUSE:
                self._call.use(Segments).find(self._call.tx, name)
        if source == target:
            raise InvalidRequest("flows inside one segment need no rule: name two segments")
        result = Reach(source, target, list(self._ways(source, target)), complete=self._complete)
        mounts = [mount for mount in self._mounts if _segment_of(mount) == target]
        for way, mount in product(result.ways, mounts):
            result.found += self._through(way, mount)
        return result

    def _ways(self, source: str, target: str) -> Iterator[Way]:
        for rule in self._rules:
            if (rule.source, rule.target) == (source, target):
                yield Way("rule", _words(rule), rule.policies)
        for device in self._devices:
            if source in _segments_of(device):
                yield from self._by_device(device, target)
        yield from self._by_network(source, target)
        for person in self._people:
            places = self._places_of(person)
            if source in places and target in places and source != HOUSE:
                detail = f"{person.name} is also of {target}"
                yield Way("person", detail, entity=person.id)

    def _by_device(self, device: DeviceRecord, target: str) -> Iterator[Way]:
        """Yield the ways by which a device of several segments reaches target."""
        segments = _segments_of(device)
        if target in segments:
            detail = f"device {device.id} is of {', '.join(sorted(segments))}"
            yield Way("device", detail, entity=device.owner)
            return
        for rule in self._rules:
            if len(segments) > 1 and rule.source in segments and rule.target == target:
                detail = f"device {device.id}, by {_words(rule)}"
                yield Way("device", detail, rule.policies, device.owner)

    def _by_network(self, source: str, target: str) -> Iterator[Way]:
        ours, theirs = (self._table.by_name.get(name) for name in (source, target))
        if ours is None or theirs is None:
            return
        for one, other in product(parse_cidrs(ours.networks), parse_cidrs(theirs.networks)):
            if one.version == other.version and one.overlaps(other):
                yield Way("network", f"{one} of {source} overlaps {other} of {target}")

    def _places_of(self, person: Entity) -> set[str]:
        """Return the segments of a person's devices and logins."""
        by_login = {
            self._table.by_accessor[alias.mount].name
            for alias in person.aliases
            if alias.mount in self._table.by_accessor
        }
        owned = (_segments_of(each) for each in self._devices if each.owner == person.id)
        return by_login.union(*owned)

    def _through(self, way: Way, mount: Mount) -> Iterator[Found]:
        """Yield the subjects that can do anything on mount after crossing by way."""
        if mount.path not in self._granted:
            self._granted[mount.path] = list(self._granting(mount))
        for policy, rule in self._granted[mount.path]:
            held = [each.name for each in self._people if self._holds(each, policy)]
            allowed = not way.policies or policy in way.policies
            if way.entity:
                allowed = allowed and self._may_hold(way.entity, policy)
            if allowed:
                subject = f"policy {policy}" + (f" ({', '.join(held[:8])})" if held else "")
                yield Found(subject, way.kind, way.detail, rule, mount.path)
        if not way.policies and not way.entity:
            for accessor in self._roots():
                detail = f"{ROOT_POLICY_NAME} *"
                yield Found(f"token {accessor}", way.kind, way.detail, detail, mount.path)

    def _granting(self, mount: Mount) -> Iterator[tuple[str, str]]:
        """Yield (policy, rule) for every policy that grants anything on a mount or below it."""
        tx, policies = self._call.tx, self._call.use(Policies)
        for name in self._policies:
            parsed = parse_policy(name, policies.text(tx, name) or "")
            for rule in parsed.rules:
                # A template can expand to anything, so it counts as a match.
                template = not rule.path.is_literal
                if template or _reaches(Policy(name, (rule,)), mount.path):
                    yield name, str(rule.origin)
                    break

    def _holds(self, person: Entity, policy: str) -> bool:
        return policy in self._held(person)

    def _held(self, person: Entity) -> frozenset[str]:
        """Return the policies of a person and of their live tokens."""
        store = self._call.use(Tokens).store
        names = set(person.policies)
        for token in store.owned(self._call.tx, person.id):
            record = store.load(self._call.tx, token)
            names.update(record.policies if record is not None else ())
        return frozenset(names)

    def _may_hold(self, entity: str, policy: str) -> bool:
        """Return whether a person holds a policy, or logs in where it may be given.

        Only the auth method knows which policies a login gives, so a person who can log in may hold
        any of them.
        """
        person = next((each for each in self._people if each.id == entity), None)
        return person is not None and (bool(person.aliases) or self._holds(person, policy))

    def _roots(self) -> Iterator[str]:
        """Yield the accessors of live root tokens."""
        tx, tokens, now = self._call.tx, self._call.use(Tokens), self._call.now_ns
        for accessor in islice(tokens.accessors(tx), MAX_SUBJECTS):
            found = tokens.find_accessor(tx, accessor, now)
            if found is not None and ROOT_POLICY_NAME in found[1].policies:
                yield accessor


def _counts(device: DeviceRecord) -> bool:
    return device.state == "active"


def _segments_of(device: DeviceRecord) -> frozenset[str]:
    return frozenset(device.segments) or frozenset({HOUSE})


def _segment_of(mount: Mount) -> str:
    """Return the segment of a mount; "" for a mount outside the matrix."""
    name = mount.options.get(OPTION, HOUSE)
    outside = mount.type in SINGLETONS or mount.path.startswith("auth/")
    return "" if name == HOUSE and outside else name


def _words(rule: FlowRule) -> str:
    return f"rule {rule}" + (f": {rule.reason}" if rule.reason else "")


def _reaches(policy: Policy, folder: str) -> bool:
    try:
        return compile_acl([policy], TemplateContext()).reaches(folder)
    except (InvalidRequest, PermissionDenied):
        return True
