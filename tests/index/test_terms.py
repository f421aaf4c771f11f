"""The terms of entries."""

import pytest

from ironkeep.core.event import Entry, Released, Value
from ironkeep.index.terms import MAX_FOLDERS, Kind, Term, What, kind, release, secret, terms_of


def test_a_read_is_found_by_its_actors_its_secret_and_its_folders() -> None:
    """Person, session, device, secret, path and folders each have a term."""
    entry = Entry(
        "request", 1, path="kv/data/a/b", entity="e", accessor="a", device="d",
        released=(Released("m", "a/b", 3, ("password",)),),
    )  # fmt: skip
    assert set(terms_of(entry)) == {
        Term(What.ACTOR, "person:e"), Term(What.ACTOR, "session:a"),
        Term(What.ACTOR, "device:d"), secret("m", "a/b"), release("m", "a/b", 3),
        Term(What.PATH, "kv/data/a/b"),
        Term(What.PATH, "kv/"), Term(What.PATH, "kv/data/"), Term(What.PATH, "kv/data/a/"),
    }  # fmt: skip


def test_a_login_is_found_by_its_name_and_by_the_token_that_it_issued() -> None:
    """A login carries no accessor of its own."""
    entry = Entry(
        "request", 1, op="update", rule="login", mount="m", issued="t", audited={"username": "ann"}
    )
    assert set(terms_of(entry)) == {
        Term(What.ACTOR, "login:m/ann"), Term(What.THING, "session:t")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry("commit", 1), {"commit"}),
        (Entry("notice", 1, op="clock-step"), {"notice", Kind.CLOCK}),
        (Entry("notice", 1, op="journal-read"), {"notice"}),
        (
            Entry("request", 1, op="update", path="auth/x/login/a", rule="login", accessor="a"),
            set(),
        ),
        (Entry("effect", 1, audited={"incident": "opened"}), {"effect", Kind.RECORD}),
        (Entry("request", 1, op="read", outcome="denied", accessor="a"), {Kind.REFUSED}),
        (Entry("request", 1, op="update", path="sys/mounts/x", accessor="a"), {Kind.ACCESS_CHANGE}),
        (Entry("request", 1, op="update", path="kv/x", rule="p"), {Kind.NOBODY}),
        (Entry("request", 1, op="update", path="kv/x", rule="login"), set()),
        (Entry("request", 1, op="update", path="kv/x", accessor="a", outcome="pending"), set()),
        (Entry("request", 1, op="read", path="kv/x", released=(Released("m", "x"),)), {"nobody"}),
        (Entry("request", 1, op="update", path="x", rule="open", issued="a"), set()),
        (
            Entry("request", 1, path="x", rule="open", issued="a", audited={"handed_out": True}),
            {"nobody"},
        ),
        (Entry("request", 1, op="update", path="x", rule="login", issued="a"), set()),
    ],
)
def test_rare_entries_are_found_by_their_kind(entry: Entry, expected: set[str]) -> None:
    """Ordinary reads and writes have no kind; everything else has."""
    assert {each.value for each in terms_of(entry) if each.what is What.KIND} == expected


def test_a_deep_path_has_a_bounded_number_of_terms() -> None:
    """A path of a thousand folders has terms for the first ones and for itself."""
    entry = Entry("tick", 1, path="x/" * 1_000)
    assert len(list(terms_of(entry))) == MAX_FOLDERS + 2
    assert kind("tick") in terms_of(entry)


@pytest.mark.parametrize(
    ("audited", "term"),
    [
        ({"behind": ["e", "f"]}, Term(What.ACTOR, "behind:f")),
        ({"role": "r"}, Term(What.ACTOR, "role:m/r")),
        ({"secret_id_accessor": "s"}, Term(What.THING, "secret-id:s")),
        ({"lease_id": "a/b"}, Term(What.THING, "lease:a/b")),
        ({"incident": "opened", "case": "c"}, Term(What.THING, "case:c")),
        ({"incident": "contained", "principal": "person:e"}, Term(What.THING, "person:e")),
        ({"incident": "opened", "subjects": ["person:e"]}, Term(What.THING, "person:e")),
    ],
)
def test_an_entry_is_found_by_what_it_names(audited: dict[str, Value], term: Term) -> None:
    """Things made and used, the people behind a token, the nodes of a record."""
    assert term in terms_of(Entry("request", 1, op="read", mount="m", entity="x", audited=audited))
    assert term not in terms_of(Entry("request", 1, op="read", mount="m", entity="x"))
