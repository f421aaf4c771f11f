"""Explanations: after what they explain, from somebody not exposed, for as long as it is there."""

from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.verdict import decide
from tests.support.incident.sample_case import CASE, DATABASE, Line, at, request, sample_case

HOOK = "hook trigger audit"


def found(*lines: Line) -> set[tuple[str, str]]:
    items = decide(sample_case().with_lines(*lines).evidence())[0].open_items()
    return {(item.check, item.subject) for item in items}


def swept(seconds: int, *added: str) -> Line:
    record = ev.Swept(CASE, DATABASE, "aa", "bb", at(seconds), added, (), ("key role app",), (), ())
    return Line(seconds, f"swept at {seconds}", record)


def explained(seconds: int, item: str = HOOK, **fields: object) -> Line:
    system = "" if item.startswith("entry:") else DATABASE
    record = ev.Explained(CASE, system, item, "carol", "it is ours")
    return Line(seconds, f"explained at {seconds}", record, dict(fields))


def test_a_difference_is_explained_after_a_sweep_found_it() -> None:
    open_item = ("not explained", f"{DATABASE}#{HOOK}")
    assert found(swept(75, HOOK), explained(76)) == set()
    assert open_item in found(explained(74), swept(75, HOOK))


def test_an_explanation_holds_while_every_sweep_finds_the_difference() -> None:
    assert found(swept(75, HOOK), explained(76), swept(77, HOOK)) == set()
    back_again = (swept(75, HOOK), explained(76), swept(77), swept(78, HOOK))
    assert ("not explained", f"{DATABASE}#{HOOK}") in found(*back_again)
    assert found(*back_again, explained(79)) == set()


def test_somebody_exposed_explains_nothing() -> None:
    policy = request(35, "policy", "alice", op="update", path="sys/policies/acl/mine")
    assert found(policy, explained(95, "entry:6")) == set()
    items = found(policy, explained(95, "entry:6", entity="alice-entity"))
    assert ("foothold in vault", "entry:6") in items


def test_a_change_is_explained_after_it_was_made() -> None:
    policy = request(35, "policy", "alice", op="update", path="sys/policies/acl/mine")
    assert ("foothold in vault", "entry:7") in found(explained(34, "entry:7"), policy)
