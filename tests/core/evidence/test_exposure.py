"""The exposure graph: times, parts and wholes, dead credentials, explanations, size."""

from time import process_time

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.evidence.exposure import Exposure, expose
from ironkeep.core.evidence.node import (
    MAX_NODE,
    NodeId,
    NodeKind,
    family_of,
    is_family,
    kind_of,
    name_of,
    node,
    parse_node,
    secret_family,
    secret_version,
)
from ironkeep.core.evidence.reach import FOREVER, Edge, EdgeKind, Graph, Reasons, Seed, spread

ANN = NodeId("person:ann")
TEAM = NodeId("group:team")
FILE = NodeId("document:file")
KEY = NodeId("secret:m/key@1")
WRAPPING = NodeId("secret:m/wrapping@1")
ACCESS = NodeId("secret:m/access@1")
DATA = NodeId("store:data")
HOST = NodeId("system:host")
BOTH = NodeId("all-of:both")
E = EdgeKind


def exposure(
    edges: list[Edge],
    *seeds: Seed,
    needs: dict[NodeId, int] | None = None,
    closed: dict[NodeId, int] | None = None,
    as_of: int = 1_000,
) -> Exposure:
    graph = Graph(tuple(edges), needs or {}, closed or {})
    return expose(graph, {"case": seeds}, "case", as_of)


def times(found: Exposure) -> dict[NodeId, tuple[int, int]]:
    return {row.node: (row.exposed_ns, row.in_clear_ns) for row in found.could_reach}


def test_the_three_answers_stand_side_by_side() -> None:
    edges = [
        Edge(ANN, E.DID_READ, KEY, 20, 21, "entry 4"),
        Edge(ANN, E.MEMBER_OF, TEAM, 0),
        Edge(TEAM, E.MAY_READ, ACCESS, 0, 50, "policy team"),
        Edge(KEY, E.OPENS, HOST),
        Edge(HOST, E.HOLDS, WRAPPING),
    ]
    found = exposure(edges, Seed(ANN, 10))
    assert [row.node for row in found.did_read] == [KEY]
    assert [row.node for row in found.could_read] == [ACCESS]
    assert {row.node for row in found.could_reach} == {ANN, TEAM, KEY, ACCESS, HOST, WRAPPING}
    assert [step.evidence for step in found.did_read[0].why] == ["entry 4"]
    assert [step.kind for step in found.could_read[0].why] == [E.MEMBER_OF, E.MAY_READ]


def test_what_a_stolen_credential_may_read_was_reached_and_not_readable() -> None:
    token = NodeId("session:token")
    edges = [Edge(FILE, E.HOLDS, token), Edge(token, E.MAY_READ, KEY)]
    found = exposure(edges, Seed(FILE, 5))
    assert found.could_read == ()
    assert times(found)[KEY] == (5, 5)


@pytest.mark.parametrize(
    ("from_ns", "until_ns", "reached"),
    [(0, 10, None), (0, 11, 10), (15, 16, 15), (30, 31, None), (29, 99, 29), (1_001, 2_000, None)],
)
def test_an_edge_is_taken_only_while_it_and_its_source_are_open(
    from_ns: int, until_ns: int, reached: int | None
) -> None:
    found = exposure([Edge(ANN, E.MAY_READ, KEY, from_ns, until_ns)], Seed(ANN, 10, 30))
    assert times(found).get(KEY) == (None if reached is None else (reached, reached))


def test_control_ends_with_its_source_but_knowledge_stays() -> None:
    edges = [
        Edge(ANN, E.MEMBER_OF, TEAM),
        Edge(TEAM, E.MAY_READ, KEY, 40, 50),
        Edge(ANN, E.HOLDS, FILE),
        Edge(FILE, E.HOLDS, WRAPPING, 40, 50),
    ]
    found = times(exposure(edges, Seed(ANN, 10, 30)))
    assert KEY not in found
    assert found[WRAPPING] == (40, 40)


def test_a_second_loss_of_the_same_person_is_seen() -> None:
    edges = [Edge(ANN, E.MAY_READ, KEY, 40, 50)]
    assert KEY not in times(exposure(edges, Seed(ANN, 10, 30)))
    assert times(exposure(edges, Seed(ANN, 10, 30), Seed(ANN, 45, 60)))[KEY] == (45, 45)


def wrapped() -> tuple[list[Edge], dict[NodeId, int]]:
    edges = [
        Edge(FILE, E.WRAPS, KEY),
        Edge(FILE, E.DECRYPTS, BOTH),
        Edge(WRAPPING, E.DECRYPTS, BOTH),
        Edge(BOTH, E.DECRYPTS, KEY),
        Edge(KEY, E.OPENS, DATA),
    ]
    return edges, {BOTH: 2}


def test_an_encrypted_key_is_exposed_in_may_and_used_in_august() -> None:
    edges, needs = wrapped()
    may = exposure(edges, Seed(FILE, 5), needs=needs)
    assert times(may) == {FILE: (5, 5), KEY: (5, 0)}
    august = exposure(edges, Seed(FILE, 5), Seed(WRAPPING, 8), needs=needs)
    assert times(august)[KEY] == (5, 8)
    assert times(august)[DATA] == (8, 8)
    why = next(row.why for row in august.could_reach if row.node == DATA)
    assert [step.source for step in why] == [FILE, WRAPPING, BOTH, KEY]
    assert [step.at_ns for step in why] == [5, 8, 8, 8]


def test_a_wrapping_key_without_a_copy_exposes_nothing_else() -> None:
    edges, needs = wrapped()
    assert set(times(exposure(edges, Seed(WRAPPING, 5), needs=needs))) == {WRAPPING}


def test_a_dead_wrapping_key_still_decrypts() -> None:
    edges, needs = wrapped()
    seeds = Seed(FILE, 5), Seed(WRAPPING, 8)
    found = exposure(edges, *seeds, needs=needs, closed={WRAPPING: 6})
    assert times(found)[KEY] == (5, 8)


def test_a_dead_credential_opens_nothing_but_stays_exposed() -> None:
    edges, needs = wrapped()
    seeds = Seed(FILE, 5), Seed(WRAPPING, 8)
    found = times(exposure(edges, *seeds, needs=needs, closed={KEY: 8}))
    assert found[KEY] == (5, 8)
    assert DATA not in found


def test_what_an_encrypted_document_holds_is_exposed_in_part() -> None:
    inner = NodeId("document:inner")
    edges = [Edge(FILE, E.WRAPS, inner), Edge(inner, E.HOLDS, KEY), Edge(KEY, E.OPENS, DATA)]
    assert times(exposure(edges, Seed(FILE, 5))) == {FILE: (5, 5), inner: (5, 0), KEY: (5, 0)}


@pytest.mark.parametrize(("have", "reached"), [(1, False), (2, True), (3, True)])
def test_two_of_three_shares_make_the_key(have: int, reached: bool) -> None:
    shares = [NodeId(f"part:{number}") for number in range(3)]
    edges = [Edge(share, E.DECRYPTS, BOTH) for share in shares]
    edges += [Edge(share, E.WRAPS, KEY) for share in shares]
    edges.append(Edge(BOTH, E.DECRYPTS, KEY))
    seeds = [Seed(share, 5 + number) for number, share in enumerate(shares[:have])]
    row = times(exposure(edges, *seeds, needs={BOTH: 2}))[KEY]
    assert row == (5, 6 if reached else 0)


def test_one_share_twice_is_one_share() -> None:
    edges = [Edge(KEY, E.DECRYPTS, BOTH), Edge(KEY, E.DECRYPTS, BOTH, 3)]
    edges.append(Edge(BOTH, E.DECRYPTS, DATA))
    assert DATA not in times(exposure(edges, Seed(KEY, 1), needs={BOTH: 2}))


@pytest.mark.parametrize(("closed", "reached"), [(7, False), (9, True)])
def test_a_live_input_counts_only_while_it_is_accepted(closed: int, reached: bool) -> None:
    edges = [
        Edge(ACCESS, E.OPENS, BOTH),
        Edge(KEY, E.DECRYPTS, BOTH),
        Edge(BOTH, E.OPENS, DATA),
    ]
    seeds = Seed(ACCESS, 1), Seed(KEY, 8)
    found = times(exposure(edges, *seeds, needs={BOTH: 2}, closed={ACCESS: closed}))
    assert (DATA in found) is reached


def test_the_explanation_is_the_shortest_among_the_earliest() -> None:
    far = [NodeId(f"document:{number}") for number in range(3)]
    edges = [Edge(one, E.HOLDS, other) for one, other in zip([ANN, *far[:-1]], far, strict=True)]
    edges += [Edge(far[-1], E.HOLDS, KEY), Edge(ANN, E.HOLDS, FILE), Edge(FILE, E.HOLDS, KEY)]
    found = exposure(edges, Seed(ANN, 5))
    why = next(row.why for row in found.could_reach if row.node == KEY)
    assert [step.source for step in why] == [ANN, FILE]


def test_a_cycle_ends() -> None:
    edges = [Edge(KEY, E.OPENS, HOST), Edge(HOST, E.HOLDS, KEY)]
    assert times(exposure(edges, Seed(KEY, 5))) == {KEY: (5, 5), HOST: (5, 5)}


def test_a_case_answers_for_what_it_brings_about_or_forward() -> None:
    edges, needs = wrapped()
    other = [Edge(ANN, E.HOLDS, HOST)]
    graph = Graph((*edges, *other), needs)
    cases = {"may": [Seed(FILE, 5)], "august": [Seed(WRAPPING, 8)], "else": [Seed(ANN, 1)]}
    may = times(expose(graph, cases, "may", 99))
    august = times(expose(graph, cases, "august", 99))
    assert may == {FILE: (5, 5), KEY: (5, 8), DATA: (8, 8)}
    assert august == {WRAPPING: (8, 8), KEY: (5, 8), DATA: (8, 8)}
    assert times(expose(graph, cases, "else", 99)) == {ANN: (1, 1), HOST: (1, 1)}
    assert expose(graph, cases, "unheard of", 99) == Exposure()


NODES = [NodeId(f"document:{number}") for number in range(6)]
NODES += [NodeId(f"all-of:{number}") for number in range(2)]
EDGES = st.builds(
    Edge,
    st.sampled_from(NODES),
    st.sampled_from(list(EdgeKind)),
    st.sampled_from(NODES),
    st.integers(0, 20),
    st.sampled_from([5, 15, FOREVER]),
)
SEEDS = st.builds(
    Seed, st.sampled_from(NODES[:6]), st.integers(0, 20), st.sampled_from([8, FOREVER])
)
NEEDS = {NODES[6]: 1, NODES[7]: 2}


@given(st.lists(EDGES, max_size=20), st.lists(SEEDS, max_size=3), st.lists(EDGES, max_size=3))
def test_more_links_never_expose_less_or_later(
    edges: list[Edge], seeds: list[Seed], more: list[Edge]
) -> None:
    before = times(exposure(edges, *seeds, needs=NEEDS))
    after = times(exposure(edges + more, *seeds, needs=NEEDS))
    for known, (exposed, usable) in before.items():
        assert after[known][0] <= exposed
        assert not usable or 0 < after[known][1] <= usable


@given(st.lists(EDGES, max_size=20), st.lists(SEEDS, max_size=3), SEEDS)
def test_more_seeds_never_expose_less_or_later(
    edges: list[Edge], seeds: list[Seed], more: Seed
) -> None:
    before = times(exposure(edges, *seeds, needs=NEEDS))
    after = times(exposure(edges, *seeds, more, needs=NEEDS))
    assert all(after[known][0] <= exposed for known, (exposed, _) in before.items())


@given(st.lists(EDGES, max_size=15), st.lists(SEEDS, min_size=1, max_size=3))
def test_every_explanation_starts_at_a_seed_and_uses_given_edges(
    edges: list[Edge], seeds: list[Seed]
) -> None:
    found = spread(Graph(tuple(edges), NEEDS), seeds, 50)
    given_edges = {(edge.source, edge.kind, edge.target) for edge in edges}
    lost = {seed.node for seed in seeds}
    for held in (*found.in_clear.values(), *found.in_part.values()):
        reached = set(lost)
        for step in held.why():
            assert (step.source, step.kind, step.target) in given_edges
            assert step.source in reached
            reached.add(step.target)
        assert held.node in reached


@given(st.lists(EDGES, max_size=20), st.lists(SEEDS, min_size=1, max_size=3))
def test_reasons_that_share_their_beginning_are_those_of_each_hold(
    edges: list[Edge], seeds: list[Seed]
) -> None:
    found, reasons = spread(Graph(tuple(edges), NEEDS), seeds, 50), Reasons()
    taken = (held for some in found.taken.values() for held in some.values())
    for held in (*found.in_clear.values(), *found.in_part.values(), *taken):
        assert reasons.why(held) == held.why()


def test_ten_thousand_nodes_and_fifty_thousand_edges_take_no_time() -> None:
    # Some 0.3 s; the bound leaves room for coverage. What grows as a square takes minutes.
    count, fan = 10_000, 5
    names = [NodeId(f"secret:m/{number}@1") for number in range(count)]
    edges = [
        Edge(names[number], E.HOLDS, names[(number * 7 + step) % count], step)
        for number in range(count)
        for step in range(fan)
    ]
    started = process_time()
    found = exposure(edges, Seed(names[1], 1))
    assert process_time() - started < 5
    assert len(found.could_reach) == count


def test_names_of_nodes() -> None:
    version = secret_version("uuid", "a/b@c", 3)
    assert version == "secret:uuid/a/b@c@3"
    assert family_of(version) == secret_family("uuid", "a/b@c") == "secret:uuid/a/b@c@*"
    assert is_family(secret_family("uuid", "a"))
    assert family_of(ANN) is None
    assert (kind_of(ANN), name_of(ANN)) == (NodeKind.PERSON, "ann")
    assert parse_node("person:ann") == ANN


@pytest.mark.parametrize("text", ["", "ann", "person", "person:", "robot:r", "person:a\nb"])
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_node(text)


def test_the_longest_name_of_a_node() -> None:
    longest = "x" * (MAX_NODE - len("system:"))
    assert len(node(NodeKind.SYSTEM, longest)) == MAX_NODE
    with pytest.raises(InvalidRequest):
        node(NodeKind.SYSTEM, longest + "x")
