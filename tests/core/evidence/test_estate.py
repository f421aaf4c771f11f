"""The estate: links in time, families of versions, gates, the chain of its records."""

import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.event import Entry, Value
from ironkeep.core.evidence import estate as module, records as ev
from ironkeep.core.evidence.activity import Activity
from ironkeep.core.evidence.estate import Estate
from ironkeep.core.evidence.node import NodeId, secret_family, secret_version
from ironkeep.core.evidence.reach import FOREVER, EdgeKind
from tests.support.incident.sample_case import UNPLACED

FAMILY = secret_family("m", "db")
ONE, TWO = secret_version("m", "db", 1), secret_version("m", "db", 2)
HOST = NodeId("system:host")
FILE = NodeId("document:file")


def estate(*records: ev.Scope) -> Estate:
    made, chain = Estate(), ev.CHAIN_START
    for number, record in enumerate(records, start=1):
        placed = ev.chained(record, number, chain)
        chain = placed.chain
        made.take(number * 10, number * 100, placed)
    return made


def link(source: str, kind: EdgeKind, *targets: str, until_ns: int = 0) -> ev.Linked:
    return ev.Linked(*UNPLACED, source, kind, targets, 5, "metadata", until_ns)


def gate(need: int = 1, kind: EdgeKind = EdgeKind.OPENS, *known: str) -> ev.Gated:
    return ev.Gated(*UNPLACED, "gate", need, known or (ONE,), (TWO,), kind, HOST, 5, "bucket")


def test_a_link_says_where_it_is_written() -> None:
    (edge,) = estate(link(ONE, EdgeKind.OPENS, HOST, until_ns=9)).edges()
    assert (edge.source, edge.kind, edge.target) == (ONE, EdgeKind.OPENS, HOST)
    assert (edge.from_ns, edge.until_ns, edge.evidence) == (5, 9, "entry 10: metadata")


def test_a_link_ends_with_the_entry_that_takes_it_away() -> None:
    gone = ev.Unlinked(*UNPLACED, ONE, EdgeKind.OPENS, (HOST,))
    first, second = estate(
        link(ONE, EdgeKind.OPENS, HOST), gone, link(ONE, EdgeKind.OPENS, HOST)
    ).edges()
    assert (first.until_ns, second.until_ns) == (200, FOREVER)


def test_a_link_of_a_family_holds_for_each_version_on_record() -> None:
    made = estate(link(FAMILY, EdgeKind.OPENS, HOST), link(FILE, EdgeKind.HOLDS, FAMILY, ONE))
    made.meet(TWO)
    found = {(edge.source, edge.target) for edge in made.edges()}
    assert found == {(ONE, HOST), (TWO, HOST), (FILE, ONE), (FILE, TWO)}
    assert made.verifiers(TWO) == (HOST,)


def test_a_family_without_a_version_on_record_stands_for_itself() -> None:
    (edge,) = estate(link(FILE, EdgeKind.HOLDS, FAMILY)).edges()
    assert edge.target == FAMILY


def test_all_inputs_of_an_opening_gate_have_its_target_as_verifier() -> None:
    made = estate(gate(2))
    assert made.verifiers(ONE) == made.verifiers(TWO) == (HOST,)
    assert made.needs == {NodeId("all-of:gate"): 2}
    kinds = {edge.source: edge.kind for edge in made.edges() if edge.target != HOST}
    assert kinds == {ONE: EdgeKind.DECRYPTS, TWO: EdgeKind.OPENS}


def test_a_decrypting_gate_has_no_verifier() -> None:
    made = estate(gate(2, EdgeKind.DECRYPTS))
    assert made.verifiers(ONE) == ()
    assert made.protects(ONE, before_ns=101)
    assert not made.protects(ONE, before_ns=100)


def test_a_link_that_was_ended_before_protects_nothing() -> None:
    ended = ev.Unlinked(*UNPLACED, FILE, EdgeKind.DECRYPTS, (HOST,))
    made = estate(link(FILE, EdgeKind.DECRYPTS, HOST), ended)
    assert made.protects(FILE, before_ns=200)
    assert not made.protects(FILE, before_ns=201)
    assert not made.protects(FILE, before_ns=100)


@pytest.mark.parametrize(
    "record",
    [
        gate(0),
        gate(3),
        gate(2, EdgeKind.OPENS, TWO),
        gate(1, EdgeKind.HOLDS),
        gate(1, EdgeKind.OPENS, FAMILY),
        link("host", EdgeKind.OPENS, HOST),
        link(ONE, EdgeKind.OPENS, "host"),
        ev.Baselined(*UNPLACED, "host", "aa", 1, ()),
    ],
)
def test_what_makes_no_sense_is_refused(record: ev.Scope) -> None:
    with pytest.raises(IntegrityError, match="entry 10"):
        estate(record)


def test_a_gate_has_a_name_of_its_own() -> None:
    with pytest.raises(IntegrityError, match="needs a new name"):
        estate(gate(), gate())


def test_too_many_links(monkeypatch: pytest.MonkeyPatch) -> None:
    made = estate(link(ONE, EdgeKind.OPENS, HOST), link(TWO, EdgeKind.OPENS, HOST))
    monkeypatch.setattr(module, "MAX_EDGES", 2)
    assert len(list(made.edges())) == 2
    monkeypatch.setattr(module, "MAX_EDGES", 1)
    with pytest.raises(IntegrityError, match="links"):
        list(made.edges())


def test_the_chain_tells_what_is_missing_changed_or_moved() -> None:
    records = [ev.Mounted(*UNPLACED, f"m{number}", "secret/") for number in range(3)]
    placed, chain = [], ev.CHAIN_START
    for number, record in enumerate(records, start=1):
        placed.append(ev.chained(record, number, chain))
        chain = placed[-1].chain
    changed = ev.Mounted(placed[1].seq, placed[1].chain, "m1", "other/")
    for shown, whole in (
        (placed, True),
        (placed[1:], False),
        (placed[::2], False),
        ([placed[1], placed[0], placed[2]], False),
        ([placed[0], changed, placed[2]], False),
        ([placed[0], *placed], False),
    ):
        made = Estate()
        for index, one in enumerate(shown):
            made.take(index, index, one)
        assert (made.breaks == []) is whole


def test_words_for_people() -> None:
    made = estate(ev.Mounted(*UNPLACED, "m", "secret/"))
    made.names[NodeId("person:8f0c")] = "alice"
    assert made.label("person:8f0c#password set") == "person alice#password set"
    assert made.label("system:db#8f0c") == "system db#8f0c"
    assert made.label(ONE) == "secret/db version 1"
    assert made.label("secret:unknown/db@1") == "unknown/db version 1"
    assert made.label("person:8f0c") == "person alice"
    assert made.label(HOST) == "system host"
    assert made.label("entry:7") == "entry:7"


def test_only_effects_carry_records_and_malformed_ones_are_refused() -> None:
    audited = ev.to_audited(ev.Residue("7", "words"))
    assert audited == {"incident": "residue", "case": "7", "words": "words"}
    assert ev.record_of(Entry("effect", 1, audited=audited)) == ev.Residue("7", "words")
    assert ev.record_of(Entry("request", 1, audited=audited)) is None
    assert ev.record_of(Entry("effect", 1, audited={"rotated": "db"})) is None
    flaws: list[dict[str, Value]] = [
        {"incident": "unheard of"},
        {**audited, "more": 1},
        {"incident": "residue"},
    ]
    for flaw in flaws:
        with pytest.raises(IntegrityError):
            ev.record_of(Entry("effect", 1, audited=flaw))


def test_a_login_belongs_to_its_person_who_holds_the_session() -> None:
    ada, session = NodeId("person:ada"), NodeId("session:s1")
    login = Entry("request", 7, op="update", path="auth/userpass/login/ada", rule="login",
                  entity="ada", issued="s1")  # fmt: skip
    activity = Activity()
    activity.take(1, login)
    assert [act.index for act in activity.by(ada)] == [1]
    assert activity.by_nobody() == []
    (edge,) = activity.edges()
    assert (edge.source, edge.kind, edge.target, edge.from_ns) == (
        ada, EdgeKind.HOLDS, session, 7
    )  # fmt: skip


def test_a_login_of_an_earlier_version_belongs_to_nobody() -> None:
    activity = Activity()
    activity.take(1, Entry("request", 7, op="update", rule="login", issued="s1"))
    assert [act.index for act in activity.by_nobody()] == [1]
    assert list(activity.edges()) == []


def test_a_session_that_renews_itself_is_no_holder_of_itself() -> None:
    """Such a hold would begin anew with the renewal, and outlast the session's containment."""
    renewal = Entry("request", 7, op="update", path="auth/token/renew-self", rule="p",
                    entity="ada", accessor="s1", issued="s1")  # fmt: skip
    activity = Activity()
    activity.take(1, renewal)
    edges = [(edge.source, edge.kind, edge.target) for edge in activity.edges()]
    assert edges == [("person:ada", EdgeKind.HOLDS, "session:s1")]
