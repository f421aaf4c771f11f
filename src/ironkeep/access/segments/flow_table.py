"""The flow matrix in force, and whether a request may cross from one segment into another.

    sys/segments : flows -> every rule, in one record

Up to three facts tell where a caller comes from: its device, its address, and the auth methods that
issued its token and the parents of its token. Each known fact must allow the request (see
core/policy/flows.py). The vault's own mounts (`sys/`, `auth/`, …) are outside the matrix: everybody
logs in there, and a wrong matrix can be corrected there.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from ironkeep.access.devices.devices import Devices
from ironkeep.core.errors import InvalidRequest, TooLarge
from ironkeep.core.ids import DeviceId
from ironkeep.core.policy.decision import Deny, denied
from ironkeep.core.policy.flows import HOUSE, FlowRule, Origin, class_refusal, flow_refusal
from ironkeep.core.ports import Row
from ironkeep.core.text.goformat import rfc3339
from ironkeep.identity.sessions import MAX_ANCESTORS
from ironkeep.identity.token_store import TokenStore
from ironkeep.plugin.cidr import parse_address
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import SINGLETONS
from ironkeep.plugin.token import Session
from ironkeep.seal.segment_record import Segment, Table
from ironkeep.seal.segments import OPTION, Segments
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import SEGMENTS, StoreOf
from ironkeep.store.state import Tx

MAX_RULES: Final = 1_000
"""Rules in the matrix: they are in one record, and a request across segments tries them all."""
MAX_POLICIES: Final = 64
MAX_REASON: Final = 512
MAX_LOCATED: Final = 4_096
"""Addresses whose segments are cached; the cache is emptied when full."""
KIND: Final = "flows"
"""The kind, and the only name, under which the history keeps the matrix."""

_FLOWS: Final = "flows"


class Flows(msgspec.Struct, frozen=True):
    """The record of all rules."""

    rules: tuple[FlowRule, ...] = ()


_CODEC: Final = Codec(Flows)


class FlowTable:
    """Stores the rules, and judges requests by them."""

    def __init__(
        self,
        stores: StoreOf,
        history: History,
        segments: Segments,
        devices: Devices,
        tokens: TokenStore,
    ) -> None:
        self._stores: Final = stores
        self._history: Final = history
        self._segments: Final = segments
        self._devices: Final = devices
        self._tokens: Final = tokens
        self._derived: tuple[Row | None, tuple[FlowRule, ...]] = (None, ())

    def rules(self, tx: Tx) -> tuple[FlowRule, ...]:
        """Return the rules in force, by source and target."""
        store = self._stores(tx, SEGMENTS)
        row = store.row(_FLOWS)
        if row is not self._derived[0]:
            raw = store.get(_FLOWS)
            self._derived = (row, () if raw is None else _CODEC.decode(raw).rules)
        return self._derived[1]

    def allow(self, tx: Tx, rule: FlowRule) -> None:
        """Add a rule, or replace the one of the same source and target.

        Raise NotFound for an unknown segment, InvalidRequest for a rule inside one segment or with
        a reason that is too long or not printable, TooLarge past a limit.
        """
        for name in (rule.source, rule.target):
            if name != HOUSE:
                self._segments.find(tx, name)
        if rule.source == rule.target:
            raise InvalidRequest("flows inside one segment need no rule: name two segments")
        if len(rule.reason) > MAX_REASON or not rule.reason.isprintable():
            raise InvalidRequest(f"a reason has at most {MAX_REASON} printable characters")
        if len(rule.policies) > MAX_POLICIES:
            raise TooLarge(f"a rule names at most {MAX_POLICIES} policies")
        others = self._others(tx, rule.source, rule.target)
        if len(others) >= MAX_RULES:
            raise TooLarge(f"there are {MAX_RULES} rules already")
        self._save(tx, (*others, rule), rule.since_ns)

    def forbid(self, tx: Tx, source: str, target: str, now_ns: int) -> None:
        """Remove the rule from source to target; an absent one is fine."""
        others = self._others(tx, source, target)
        if len(others) != len(self.rules(tx)):
            self._save(tx, others, now_ns)

    def refusal(
        self, tx: Tx, mount: Mount, session: Session | None, remote: str, now_ns: int
    ) -> Deny | None:
        """Return the refusal if this caller may not use this mount, None if it may.

        Every caller may while there are no segments. `now_ns` is the time of the request.
        """
        table = self._segments.table(tx)
        if not table.by_name:
            return None
        issuers = tuple(self._issuers(tx, table, session)) if table.by_accessor else ()
        for segment, issued_ns in issuers:
            if issued_ns <= segment.cut_ns <= now_ns:
                return denied(
                    f"the token was issued through segment {segment.name}, which was cut off "
                    f"{rfc3339(segment.cut_ns)}: log in again"
                )
            if not self._segments.keys.is_open(segment):
                return denied(
                    f"the token was issued through {self._segments.keys.why_closed(segment)}"
                )
        target = mount.options.get(OPTION, HOUSE)
        if target == HOUSE and (mount.type in SINGLETONS or mount.path.startswith("auth/")):
            return None
        device = session.record.device if session is not None else ""
        if target == HOUSE and not (device or issuers or table.networks):
            return None
        policies = frozenset(session.policies) if session is not None else frozenset[str]()
        origins = self._origins(tx, table, session, remote, issuers, target)
        refused = flow_refusal(origins, target, self.rules(tx), policies)
        return refused or self._refused_device(tx, table, session, target)

    def _origins(
        self,
        tx: Tx,
        table: Table,
        session: Session | None,
        remote: str,
        issuers: tuple[tuple[Segment, int], ...],
        target: str,
    ) -> Iterator[Origin]:
        """Yield the origin of a caller by each known fact."""
        device = session.record.device if session is not None else DeviceId("")
        if device:
            record = self._devices.get(tx, device)
            named = frozenset(record.segments) if record is not None else frozenset[str]()
            yield Origin("device", named or frozenset({HOUSE}))
        around = located(table, remote)
        bounded = target in table.by_name and bool(table.by_name[target].networks)
        if around or bounded:
            yield Origin("network", around or frozenset({HOUSE}))
        for segment, _ in issuers:
            yield Origin("login", frozenset({segment.name}))

    def _issuers(
        self, tx: Tx, table: Table, session: Session | None
    ) -> Iterator[tuple[Segment, int]]:
        """Yield the segments whose auth methods issued a token or a parent of it, and when."""
        record = session.record if session is not None else None
        for _ in range(MAX_ANCESTORS + 1):
            if record is None:
                return
            segment = table.by_accessor.get(record.mount)
            if segment is not None:
                yield segment, record.issued_ns
            record = self._tokens.load(tx, record.parent) if record.parent else None

    def _refused_device(
        self, tx: Tx, table: Table, session: Session | None, target: str
    ) -> Deny | None:
        segment = table.by_name.get(target)
        if segment is None or not segment.devices:
            return None
        device = session.record.device if session is not None else DeviceId("")
        record = self._devices.get(tx, device) if device else None
        classes: frozenset[str] = frozenset()
        if record is not None:
            owner, kind = record.ownership, record.key_kind
            classes = frozenset({owner, kind, f"{owner}/{kind}"})
        return class_refusal(target, segment.devices, classes)

    def _others(self, tx: Tx, source: str, target: str) -> tuple[FlowRule, ...]:
        pair = (source, target)
        return tuple(rule for rule in self.rules(tx) if (rule.source, rule.target) != pair)

    def _save(self, tx: Tx, rules: tuple[FlowRule, ...], now_ns: int) -> None:
        ordered = tuple(sorted(rules, key=lambda rule: (rule.source, rule.target)))
        raw = _CODEC.encode(Flows(ordered))
        self._stores(tx, SEGMENTS).put(_FLOWS, raw)
        self._history.record(tx, KIND, KIND, raw, now_ns)


def decode(raw: bytes) -> tuple[FlowRule, ...]:
    """Return the rules in a record, as the history keeps it; raise IntegrityError."""
    return _CODEC.decode(raw).rules


def located(table: Table, remote: str) -> frozenset[str]:
    """Return the segments whose networks contain remote's address, with or without a port."""
    if not table.networks:
        return frozenset()
    address = parse_address(remote)
    if address is None:
        return frozenset()
    known = table.located.get(address)
    if known is None:
        known = frozenset(
            name for name, ranges in table.networks if any(address in each for each in ranges)
        )
        if len(table.located) >= MAX_LOCATED:
            table.located.clear()
        table.located[address] = known
    return known
