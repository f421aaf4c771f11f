"""The class of each secret: a table of prefixes, in which the strictest match counts.

    sys/classes : table -> every rule

A rule names a mount by its uuid and a prefix of the path below it in whole path segments. So a
remount does not affect it, and a rule for `prod` does not match `production`. One record contains
all rules: they are evaluated on every read of a secret, and a few hundred are already many.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.ids import MountUuid
from ironkeep.core.policy.secret_class import BY_TEXT, Demand, SecretClass
from ironkeep.core.ports import Row
from ironkeep.core.text.spelling import folded
from ironkeep.store.barrier import Store
from ironkeep.store.history import History
from ironkeep.store.record import Codec
from ironkeep.store.reserved import StoreOf
from ironkeep.store.state import Tx

PLACE: Final = "sys/classes"
"""The reserved place of this feature's records."""

MAX_RULES: Final = 1_024
"""Largest number of rules: they are one record, which is looked up again after any change in the
store."""
MAX_PREFIX: Final = 1_024
MAX_APPROVALS: Final = 10
"""Approvals that one read may take: more people will not respond within 15 minutes."""
KIND: Final = "classes"

_TABLE: Final = "table"


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """One prefix below one mount; "" is the whole mount.

    `secret_class` is the class. If it requires approval, that many (`approvals`) other people have
    to approve, each of whom holds the policy `group`.
    """

    mount: MountUuid
    prefix: str
    secret_class: str = msgspec.field(name="guard")
    approvals: int = 1
    group: str = ""


class Table(msgspec.Struct, frozen=True, omit_defaults=True):
    """All rules."""

    rules: tuple[Rule, ...] = ()


_CODEC: Final = Codec(Table)


class Classes:
    """Stores the table, and evaluates its rules."""

    def __init__(self, stores: StoreOf, history: History) -> None:
        self._stores: Final = stores
        self._history: Final = history
        self._stamp = 0
        self._row: Row | None = None
        self._table = Table()
        self.one_form: Callable[[Tx, MountUuid, str], str] = _as_written
        """Returns the canonical form of a path below a mount; older versions stored other forms."""

    def table(self, tx: Tx) -> Table:
        """Return the table: the same object until its row changes."""
        stamp = tx.stamp()
        if stamp and stamp == self._stamp:
            return self._table
        store = self._stores(tx, PLACE)
        row = store.row(_TABLE)
        if row is not self._row:
            self._table = Table() if row is None else self._opened(tx, store, row)
            self._row = row
        self._stamp = stamp
        return self._table

    def _opened(self, tx: Tx, store: Store, row: Row) -> Table:
        table = _CODEC.decode(store.open_row(store.key_of(_TABLE), row))
        replace = msgspec.structs.replace
        forms = [(rule, self.one_form(tx, rule.mount, rule.prefix)) for rule in table.rules]
        return Table(tuple(replace(rule, prefix=prefix) for rule, prefix in forms))

    def of(self, tx: Tx, mount: MountUuid, path: str) -> SecretClass:
        """Return the class of the secret at a path below a mount."""
        rules = self.table(tx).rules
        if not rules:
            return SecretClass.OPEN
        return max(
            (BY_TEXT[rule.secret_class] for rule in rules if _matches(rule, mount, path)),
            default=SecretClass.OPEN,
        )

    def demand(self, tx: Tx, mount: MountUuid, path: str) -> Demand:
        """Return the demand of all rules that match a secret."""
        return demand_of(self.table(tx).rules, mount, path)

    def below(self, tx: Tx, mount: MountUuid) -> Demand:
        """Return the strictest demand of a mount's rules in each dimension."""
        return _all_of(rule for rule in self.table(tx).rules if rule.mount == mount)

    def rule(self, tx: Tx, mount: MountUuid, prefix: str) -> Rule | None:
        """Return the rule for exactly that prefix, or None."""
        for rule in self.table(tx).rules:
            if (rule.mount, rule.prefix) == (mount, prefix):
                return rule
        return None

    def put(self, tx: Tx, rule: Rule, now_ns: int) -> None:
        """Add a rule, or replace the one for its prefix; raise InvalidRequest past the limits."""
        self._save(tx, self.with_rule(tx, rule), now_ns)

    def delete(self, tx: Tx, mount: MountUuid, prefix: str, now_ns: int) -> None:
        """Remove a rule; an absent one is fine."""
        self._save(tx, self.without(tx, mount, prefix), now_ns)

    def forget(self, tx: Tx, mount: MountUuid, now_ns: int) -> None:
        """Remove all rules of a mount, because its secrets have been destroyed."""
        rules = self.table(tx).rules
        left = tuple(rule for rule in rules if rule.mount != mount)
        if left != rules:
            self._save(tx, left, now_ns)

    def with_rule(self, tx: Tx, rule: Rule) -> tuple[Rule, ...]:
        """Return the rules as they would be with `rule`; raise InvalidRequest past the limits."""
        if rule.secret_class not in BY_TEXT:
            raise InvalidRequest(f"a class is one of {', '.join(BY_TEXT)}")
        if len(rule.prefix) > MAX_PREFIX:
            raise InvalidRequest(f"a prefix has at most {MAX_PREFIX} characters")
        if not 1 <= rule.approvals <= MAX_APPROVALS:
            raise InvalidRequest(f"approvals is 1 to {MAX_APPROVALS}")
        others = self.without(tx, rule.mount, rule.prefix)
        if len(others) >= MAX_RULES:
            raise InvalidRequest(f"there are at most {MAX_RULES} rules: use shorter prefixes")
        return (*others, rule)

    def without(self, tx: Tx, mount: MountUuid, prefix: str) -> tuple[Rule, ...]:
        """Return the rules as they would be without the one for exactly that prefix."""
        rules = self.table(tx).rules
        return tuple(rule for rule in rules if (rule.mount, rule.prefix) != (mount, prefix))

    def _save(self, tx: Tx, rules: tuple[Rule, ...], now_ns: int) -> None:
        raw = _CODEC.encode(Table(tuple(sorted(rules, key=lambda r: (r.mount, r.prefix)))))
        self._stores(tx, PLACE).put(_TABLE, raw)
        self._history.record(tx, KIND, _TABLE, raw, now_ns)


def demand_of(rules: Iterable[Rule], mount: MountUuid, path: str) -> Demand:
    """Return the demand of those of the rules that match a secret."""
    return _all_of(rule for rule in rules if _matches(rule, mount, path))


def weakened(
    before: Iterable[Rule], after: Iterable[Rule], mount: MountUuid, prefix: str
) -> Demand | None:
    """Return the demand of `before` wherever a change of the rule for `prefix` makes it weaker.

    None if it is weaker nowhere. The rules that match a path are the one for the deepest matching
    prefix and those for prefixes above it. So it is enough to compare the demands at the changed
    prefix and at every prefix below it.
    """
    was, now = tuple(before), tuple(after)
    below = {
        rule.prefix
        for rule in (*was, *now)
        if rule.mount == mount and _is_below(prefix, rule.prefix)
    }
    lost = [
        demand
        for place in {prefix, *below}
        if demand_of(now, mount, place).is_weaker_than(demand := demand_of(was, mount, place))
    ]
    return most(lost) if lost else None


def most(demands: Sequence[Demand]) -> Demand:
    """Return the strictest of some demands in each dimension."""
    return Demand(
        max(each.secret_class for each in demands),
        max(each.approvals for each in demands),
        frozenset().union(*(each.groups for each in demands)),
    )


def _all_of(rules: Iterable[Rule]) -> Demand:
    secret_class, approvals, groups = SecretClass.OPEN, 1, set[str]()
    for rule in rules:
        secret_class = max(secret_class, BY_TEXT[rule.secret_class])
        approvals = max(approvals, rule.approvals)
        groups.add(folded(rule.group))  # older versions stored the group as it was typed
    return Demand(secret_class, approvals, frozenset(groups - {""}))


def _matches(rule: Rule, mount: MountUuid, path: str) -> bool:
    return rule.mount == mount and _is_below(rule.prefix, path)


def _is_below(prefix: str, path: str) -> bool:
    """Return whether a path is at or below a prefix, by whole segments."""
    return not prefix or path == prefix or path.startswith(prefix + "/")


def _as_written(_tx: Tx, _mount: MountUuid, path: str) -> str:
    return path
