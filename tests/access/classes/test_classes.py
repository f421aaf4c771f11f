"""What a change of a class rule makes weaker: a pure function, held against every path."""

from itertools import product

from hypothesis import given, strategies as st

from ironkeep.access.classes.classes import Rule, demand_of, weakened
from ironkeep.core.ids import MountUuid
from ironkeep.core.policy.secret_class import BY_TEXT, Demand, SecretClass

MOUNT = MountUuid("m")
PATHS = ("", "a", "a/b", "a/b/c", "ab", "z")

rules = st.builds(
    Rule,
    st.just(MOUNT),
    st.sampled_from(PATHS),
    st.sampled_from(sorted(BY_TEXT)),
    st.integers(1, 3),
    st.sampled_from(["", "g1", "g2"]),
)
tables = st.lists(rules, max_size=6, unique_by=lambda rule: rule.prefix).map(tuple)


def lowered(before: Demand, after: Demand) -> bool:
    """Say it dimension by dimension."""
    if before.secret_class is SecretClass.OPEN:
        return False
    lost = before.groups - after.groups
    return (
        after.secret_class < before.secret_class or after.approvals < before.approvals or bool(lost)
    )


@given(tables, st.sampled_from(PATHS), rules | st.none())
def test_a_change_is_weaker_when_any_path_loses_anything(
    before: tuple[Rule, ...], prefix: str, fresh: Rule | None
) -> None:
    others = tuple(rule for rule in before if rule.prefix != prefix)
    after = others
    if fresh is not None:
        after = (*others, Rule(MOUNT, prefix, fresh.secret_class, fresh.approvals, fresh.group))
    places = {*PATHS, *(f"{path}/x" for path in PATHS)}
    loses = any(
        lowered(demand_of(before, MOUNT, path), demand_of(after, MOUNT, path)) for path in places
    )
    found = weakened(before, after, MOUNT, prefix)
    assert (found is not None) == loses
    if found is not None:
        lost = [demand_of(before, MOUNT, path) for path in places]
        assert found.secret_class in {each.secret_class for each in lost}


def test_each_dimension_alone_is_weaker_whatever_the_others_do() -> None:
    was = Demand(SecretClass.TWO_PERSON, 2, frozenset({"g"}))
    for secret_class, approvals, groups in product(
        SecretClass, (1, 2, 3), ({"g"}, {"g", "h"}, {"h"})
    ):
        now = Demand(secret_class, approvals, frozenset(groups))
        lower = secret_class < SecretClass.TWO_PERSON or approvals < 2 or "g" not in groups
        assert now.is_weaker_than(was) is lower
