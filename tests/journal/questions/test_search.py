"""A search finds exactly what looking at every entry finds, through the index or past it."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ironkeep.core.event import Entry, Released, decode
from ironkeep.index.positions import RUN
from ironkeep.journal.entries import Reader
from ironkeep.journal.index.index import Index
from ironkeep.journal.journal import Journal
from ironkeep.journal.log import Log
from ironkeep.journal.questions import STRETCH, Context, Steps, stretches
from ironkeep.journal.questions.search import MAX_BYTES, Query, read, search
from ironkeep.journal.questions.session import session
from ironkeep.testing.memory import START_NS, SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.tlog.merkle import HashReader
from tests.support.log.sample_journal import (
    READING_SECRET,
    SAMPLE_ORIGIN,
    flush,
    open_sample,
)

PEOPLE = ("ada", "ben", "eve")
MOUNT = "mount-1"
LOGIN = "mount-2"


def traffic(seed: int, count: int) -> list[Entry]:
    """Return entries as a server writes them: logins old and new, reads, changes, refusals."""
    chosen = random.Random(seed)
    found: list[Entry] = []
    sessions: dict[str, list[str]] = {person: [] for person in PEOPLE}
    for number in range(count):
        person = chosen.choice(PEOPLE)
        time_ns = START_NS + number * 1_000
        base: dict[str, Any] = {
            "kind": "request",
            "time_ns": time_ns,
            "mount": MOUNT,
            "path": "secret/data/x",
        }
        kind = chosen.randrange(10)
        if not sessions[person] or kind == 0:
            accessor = f"{person}-{number}"
            sessions[person].append(accessor)
            path = f"auth/userpass/login/{person}"
            login = {**base, "mount": LOGIN, "path": path, "op": "update", "issued": accessor}
            style = chosen.randrange(3)
            if style == 0:
                login["entity"] = person
            elif style == 1:
                login["audited"] = {"username": person}
            found.append(Entry(**login))
            continue
        who: dict[str, Any] = {"entity": person, "accessor": chosen.choice(sessions[person]),
               "device": f"laptop-{person}"}  # fmt: skip
        path = f"app/{chosen.randrange(5)}"
        if kind < 6:
            released = (Released(MOUNT, path, chosen.randrange(3), ("a",)),)
            got = {"path": f"secret/data/{path}", "op": "read", "released": released}
            found.append(Entry(**{**base, **who, **got}))
        elif kind < 8:
            found.append(Entry(**{**base, **who, "path": f"secret/data/{path}", "op": "update"}))
        elif kind == 8:
            refused = {"path": f"sys/policies/acl/{number}", "outcome": "permission_denied"}
            found.append(Entry(**{**base, **who, **refused, "op": "update"}))
        else:
            found.append(Entry(kind="commit", time_ns=time_ns, op="commit"))
    return found


def no_hashes() -> HashReader:
    raise AssertionError("a search proves nothing")


class Asked:
    """A log with some traffic, and what questions read of it."""

    def __init__(self, entries: list[Entry], *, index: bool = True) -> None:
        self.journal: Journal = open_sample(LogDisk(), file_bytes=1 << 20)
        for number, entry in enumerate(entries, 1):
            self.journal.append(entry)
            if number % 500 == 0:
                flush(self.journal)
        flush(self.journal)
        reader = Reader(self.journal.log, READING_SECRET)
        periods = ((0, READING_SECRET),)
        made = Index(self.journal.log, MemoryLogFiles(LogDisk()), SeededEntropy(1), periods)
        if index:
            for _ in made.advance():
                pass
        self.all = list(reader.entries(0, self.size))
        log = self.journal.log
        self.context = Context(log, reader, lambda: made, no_hashes, lambda _origin: None)

    @property
    def size(self) -> int:
        return self.journal.durable_size

    def answer(self, **about: Any) -> dict[str, Any]:
        query = Query(**{"first": 0, "last": self.size, "limit": 10**6, **about})
        answer: dict[str, Any] = run(search(self.context, msgspec.to_builtins(query)))
        return answer

    def positions(self, **about: Any) -> list[int]:
        return [each["index"] for each in msgspec.json.decode(self.answer(**about)["entries"])]


def run(steps: Steps) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module", params=[True, False], ids=["indexed", "not indexed"])
def asked(request: pytest.FixtureRequest) -> Asked:
    return Asked(traffic(1, RUN + 500), index=request.param)


def of_person(asked: Asked, person: str) -> list[int]:
    """Return a person's entries with all logins, found by looking at every entry."""
    own = {entry.accessor for _, entry in asked.all if entry.entity == person}
    return [
        index
        for index, entry in asked.all
        if entry.entity == person
        or entry.audited.get("username") == person
        or (entry.issued and entry.issued in own)
    ]


def test_a_person_is_found_with_the_logins_of_every_version(asked: Asked) -> None:
    for person in PEOPLE:
        expected = of_person(asked, person)
        found = asked.positions(person=person, logins=(f"{LOGIN}/{person}",))
        # A session that was never used tells nobody's name.
        assert found == expected
    assert asked.positions(person="nobody") == []


@pytest.mark.parametrize(
    ("about", "holds"),
    [
        ({"device": "laptop-ada"}, lambda e: e.device == "laptop-ada"),
        ({"path": "secret/data/app/1"}, lambda e: e.path == "secret/data/app/1"),
        ({"path": "secret/"}, lambda e: e.path.startswith("secret/")),
        ({"path": "sys/policies/"}, lambda e: e.path.startswith("sys/policies/")),
        ({"outcome": "permission_denied"}, lambda e: e.outcome == "permission_denied"),
        ({"op": "update"}, lambda e: e.op == "update"),
        (
            {"device": "laptop-ben", "op": "read", "path": "secret/data/app/"},
            lambda e: (
                e.device == "laptop-ben" and e.op == "read" and e.path.startswith("secret/data/app")
            ),
        ),
        (
            {"secret": (MOUNT, "app/2"), "writes": ("secret/data/app/2",)},
            lambda e: (
                any(each.path == "app/2" for each in e.released) or e.path == "secret/data/app/2"
            ),
        ),
        ({"since_ns": START_NS + 3_000_000}, lambda e: e.time_ns >= START_NS + 3_000_000),
        (
            {"until_ns": START_NS + 5_000_000, "op": "read"},
            lambda e: e.time_ns < START_NS + 5_000_000 and e.op == "read",
        ),
    ],
)
def test_conditions_find_what_a_look_at_everything_finds(
    asked: Asked, about: dict[str, Any], holds: Any
) -> None:
    expected = [index for index, entry in asked.all if holds(entry)]
    assert expected
    assert asked.positions(**about) == expected
    assert asked.positions(**about, newest=True) == expected
    assert asked.positions(**about, limit=7) == expected[:7]
    assert asked.positions(**about, limit=7, newest=True) == expected[-7:]


def test_an_accessor_is_found_from_its_login_on(asked: Asked) -> None:
    accessor = next(entry.issued for _, entry in asked.all if entry.issued)
    expected = [index for index, entry in asked.all if accessor in (entry.accessor, entry.issued)]
    assert asked.positions(accessor=accessor) == expected
    assert asked.answer(accessor="none")["known"] is False
    assert asked.answer(accessor=accessor, first=asked.size)["known"] is True


@pytest.mark.parametrize("newest", [False, True])
def test_pages_give_everything_once(asked: Asked, newest: bool) -> None:
    about: dict[str, Any] = {"path": "secret/", "limit": 700, "newest": newest}
    found: list[int] = []
    while True:
        answer = asked.answer(**about)
        page = [each["index"] for each in msgspec.json.decode(answer["entries"])]
        found = [*page, *found] if newest else [*found, *page]
        if answer["next"] is None:
            break
        about["last" if newest else "first"] = answer["next"]
    assert found == asked.positions(path="secret/")


def test_a_deep_folder_is_found_through_one_above_it() -> None:
    deep = "a/b/c/d/e/f/g/h/i/j/"
    paths = [f"{deep}x", f"{deep[:-2]}z/x", "a/b/c/d/e/f/g/h/y"]
    entries = [Entry(kind="request", time_ns=START_NS, path=path, op="read") for path in paths]
    asked = Asked(entries)
    assert [asked.all[0][0]] == asked.positions(path=deep)
    assert len(asked.positions(path="a/b/c/d/e/f/g/h/")) == 3
    assert asked.positions(path=f"{deep}x") == [asked.all[0][0]]


def test_an_entry_of_a_clock_that_was_put_back_stays_in_its_place() -> None:
    times = [10, 20, 5, 30, 40]
    entries = [Entry(kind="request", time_ns=START_NS + t, path=str(t), op="read") for t in times]
    asked = Asked(entries)
    found = msgspec.json.decode(asked.answer(since_ns=START_NS + 15)["entries"])
    assert [each["path"] for each in found] == ["20", "5", "30", "40"]


def test_an_answer_is_bounded_in_bytes() -> None:
    entries = [
        Entry(kind="request", time_ns=START_NS, path="x", audited={"reason": "r" * 30_000})
        for _ in range(200)
    ]
    asked = Asked(entries)
    for newest in (False, True):
        answer = asked.answer(path="x", newest=newest)
        assert len(answer["entries"]) <= MAX_BYTES + 200
        assert 0 < answer["count"] < 200
        assert answer["next"] is not None


def test_reading_on_gives_every_entry_once(asked: Asked) -> None:
    at, found = 0, []
    while at < asked.size:
        about = {"origin": SAMPLE_ORIGIN, "first": at, "last": asked.size, "limit": 999}
        answer = run(read(asked.context, about))
        found += [each["index"] for each in msgspec.json.decode(answer["entries"])]
        assert answer["end"] > at
        at = answer["end"]
    assert found == [index for index, _ in asked.all]
    other = {"origin": "vault.example/audit/other/1", "first": 0, "last": None, "limit": 9}
    assert run(read(asked.context, other)) is None


def test_work_is_cut_into_steps(asked: Asked) -> None:
    """A search that matches nothing takes no step longer than one stretch of the log."""
    steps = search(
        asked.context, msgspec.to_builtins(Query(first=0, last=asked.size, limit=5, op="none"))
    )
    assert sum(1 for _ in steps) >= asked.size // RUN


def test_stretches_cover_a_range() -> None:
    assert list(stretches(3, 10, width=3)) == [(3, 6), (6, 9), (9, 10)]
    assert list(stretches(3, 10, width=3, newest=True)) == [(7, 10), (4, 7), (3, 4)]
    backwards = [last - first for first, last in stretches(0, 4_000, width=1_024, newest=True)]
    assert backwards == [256, 512, 1_024, 1_024, 1_024, 160]
    assert list(stretches(3, 3)) == []


def test_a_session_is_told_with_the_later_writes_of_the_secrets_that_it_was_given(
    asked: Asked,
) -> None:
    accessor = next(entry.accessor for _, entry in asked.all if entry.released)
    first = asked.size // 2
    own = [(i, e) for i, e in asked.all if i >= first and e.accessor == accessor]
    given = {f"secret/data/{one.path}" for _, entry in own for one in entry.released}
    expected = [(i, e) for i, e in asked.all if (i, e) in own or e.path in given]
    about = {"accessor": accessor, "first": first, "writes": {MOUNT: ["secret/", "secret/data/"]}}
    found = [(index, decode(body)) for index, body in run(session(asked.context, about))]
    assert given
    assert found == [each for each in expected if each[0] >= first]


def test_a_session_that_was_given_nothing_has_no_writes(asked: Asked) -> None:
    about = {"accessor": "nobody", "first": 0, "writes": {MOUNT: ["secret/data/"]}}
    assert run(session(asked.context, about)) == []


class Counted:
    """A log that counts the leaves which are read of it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.origin, self.read = log.origin, 0

    @property
    def size(self) -> int:
        return self._log.size

    def leaves(self, first: int, last: int) -> list[bytes]:
        self.read += last - first
        return self._log.leaves(first, last)


@pytest.mark.parametrize("since_ns", [0, START_NS + 21_000_000])
def test_no_step_reads_more_than_a_stretch_of_a_log_without_an_index(since_ns: int) -> None:
    """After a restore the index is millions of entries behind; a question can be cancelled then."""
    asked = Asked(traffic(1, 6 * RUN), index=False)
    log = Counted(asked.journal.log)
    reader = Reader(log, READING_SECRET)
    index = Index(log, MemoryLogFiles(LogDisk()), SeededEntropy(1), ((0, READING_SECRET),))
    context = Context(log, reader, lambda: index, no_hashes, lambda _origin: None)
    about = Query(0, log.size, 10, accessor="none", since_ns=since_ns)
    most, before, steps = 0, 0, search(context, msgspec.to_builtins(about))
    answer: dict[str, Any] = {}

    def answered() -> Iterator[None]:
        answer.update((yield from steps))

    for _ in answered():
        most, before = max(most, log.read - before), log.read
    assert answer["known"] is False
    assert log.read > 6 * RUN
    assert most <= 4 * STRETCH + RUN
