"""Made traffic: the same from one seed, what a server would write, and its truth is true."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pytest

from ironkeep.app import PLUGINS
from ironkeep.core.event import Entry, encode
from ironkeep.core.evidence import records as ev
from ironkeep.core.evidence.leaf import is_key
from ironkeep.journal.entries import Reader
from ironkeep.journal.verify import verify_log
from ironkeep.plugin.entries import BEHIND
from ironkeep.seal.reading_key import audit_reader
from ironkeep.store.reserved import JOURNAL
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.testing.vault import Vault
from tests.support.traffic import (
    DAYS,
    READING_SECRET,
    Made,
    Term,
    Truth,
    open_directory,
    write_directory,
    write_traffic,
)

ENTRIES: Final = 30_000
DAY_NS: Final = 86_400 * 1_000_000_000


def made(seed: int, entries: int = 2_000) -> tuple[LogDisk, Made]:
    disk = LogDisk()
    return disk, write_traffic(MemoryLogFiles(disk), entries=entries, seed=seed)


@cache
def _sample() -> tuple[LogDisk, Made, list[tuple[int, Entry]]]:
    disk, sample = made(7, ENTRIES)
    reader = Reader(sample.journal.log, READING_SECRET)
    return disk, sample, list(reader.entries(0, sample.journal.log.size))


@pytest.fixture
def sample() -> Made:
    return _sample()[1]


@pytest.fixture
def entries() -> list[tuple[int, Entry]]:
    return _sample()[2]


def test_the_same_seed_gives_the_same_log() -> None:
    assert made(3)[0].files == made(3)[0].files


def test_another_seed_gives_another_log() -> None:
    assert made(3)[1].journal.log.leaf(1) != made(4)[1].journal.log.leaf(1)


def terms_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield what an entry is about, read off its fields."""
    yield "kind", entry.kind
    for term in ("entity", "accessor", "device", "issued"):
        if value := getattr(entry, term):
            yield term, value
    for entity in found if isinstance(found := entry.audited.get(BEHIND), list) else ():
        yield "behind", entity
    for released in entry.released:
        yield "released", f"{released.mount}/{released.path}"
    if entry.rule == "login":
        yield from login_of(entry)
    elif "secret_id_accessor" in entry.audited:
        yield "secret_id", str(entry.audited["secret_id_accessor"])
    verb, _, path = entry.path.partition("/")[2].partition("/")
    if (entry.op, verb) in {("update", "data"), ("update", "delete"), ("update", "destroy")}:
        yield "changed", f"{entry.mount}/{path}"


def login_of(entry: Entry) -> Iterator[tuple[str, str]]:
    if "role_name" in entry.audited:
        yield "role", f"{entry.mount}/{entry.audited['role_name']}"
        yield "secret_id", str(entry.audited["secret_id_accessor"])
    else:
        term = "username" if entry.outcome == "ok" else "refused_login"
        yield term, f"{entry.mount}/{entry.path.rpartition('/')[2]}"


def test_the_truth_is_what_a_scan_finds(sample: Made, entries: list[tuple[int, Entry]]) -> None:
    scanned: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for index, entry in entries:
        for term in terms_of(entry):
            scanned[term].append(index)
    assert truth_of(sample.truth) == scanned


def truth_of(truth: Truth) -> dict[tuple[str, str], list[int]]:
    terms: tuple[Term, ...] = get_args(Term)
    return {
        (term, value): truth.positions(term, value)
        for term in terms
        for value in truth.values(term)
    }


def test_what_a_person_did_includes_its_logins(
    sample: Made, entries: list[tuple[int, Entry]]
) -> None:
    person = sample.truth.people()[0]
    mount, name = person.login.split("/")
    login = f"auth/userpass/login/{name}"
    expected = [
        index
        for index, entry in entries
        if entry.entity == person.entity or (entry.mount == mount and entry.path == login)
    ]
    assert sample.truth.of(person) == expected
    assert len(expected) > ENTRIES / 200, "the busiest of 300 people"


def test_accessors_of_a_subject_are_those_issued_at_its_logins(
    sample: Made, entries: list[tuple[int, Entry]]
) -> None:
    issued = defaultdict(list)
    for _, entry in entries:
        if entry.rule == "login" and entry.issued:
            ((_, login), *_) = login_of(entry)
            issued[login].append(entry.issued)
    held = {each.login: each.accessors for each in sample.truth.subjects if each.accessors}
    assert held == issued


def test_numbers_of_the_truth(sample: Made, entries: list[tuple[int, Entry]]) -> None:
    truth = sample.truth
    assert truth.entries == len(entries)
    assert ENTRIES <= truth.entries < ENTRIES + 100
    assert truth.leaves == sample.journal.log.size
    assert truth.first_ns == entries[0][1].time_ns
    assert truth.last_ns == entries[-1][1].time_ns


def test_most_entries_are_reads_over_ninety_days(entries: list[tuple[int, Entry]]) -> None:
    reads = sum(bool(entry.released) and entry.op == "read" for _, entry in entries)
    assert 0.80 < reads / len(entries) < 0.90
    times = [entry.time_ns for _, entry in entries]
    assert times == sorted(times)
    assert DAYS - 1 < (times[-1] - times[0]) / DAY_NS <= DAYS


def test_people_work_by_day_and_a_few_secrets_are_read_most(
    entries: list[tuple[int, Entry]],
) -> None:
    by_day = Counter(
        9 <= entry.time_ns // (DAY_NS // 24) % 24 < 17 for _, entry in entries if entry.device
    )
    assert by_day[True] > 4 * by_day[False]
    secrets = Counter(
        (one.mount, one.path) for _, entry in entries for one in entry.released if one.version
    )
    assert len(secrets) > 5_000
    assert sum(count for _, count in secrets.most_common(100)) > secrets.total() / 10


def test_every_start_begins_a_run(sample: Made) -> None:
    starts = sample.truth.positions("kind", "start")
    assert len(starts) == 13, "one a week"
    assert all(is_key(sample.journal.log.leaf(start - 1)) for start in starts)


def test_the_log_verifies_and_its_checkpoint_covers_all() -> None:
    disk, sample, _ = _sample()
    verified = verify_log(MemoryLogFiles(disk, readonly=True), sample.journal.key)
    assert verified.checkpoint is not None
    assert verified.size == verified.checkpoint.size == sample.truth.leaves


def test_incident_records_form_the_chain_of_scope(entries: list[tuple[int, Entry]]) -> None:
    seq, chain, kinds = 0, ev.CHAIN_START, Counter[str]()
    for _, entry in entries:
        record = ev.record_of(entry)
        if isinstance(record, ev.Scope):
            seq += 1
            assert record == ev.chained(record, seq, chain)
            chain = record.chain
        kinds[type(record).__name__] += 1
    assert kinds["Opened"] == kinds["Contained"] == kinds["Readmitted"] == 3


def test_a_contained_person_does_nothing_until_readmitted(
    entries: list[tuple[int, Entry]],
) -> None:
    away: dict[str, set[str]] = {}
    for _, entry in entries:
        record = ev.record_of(entry)
        if isinstance(record, ev.Contained):
            assert record.sessions
            away[record.principal.removeprefix("person:")] = set(record.sessions)
        elif isinstance(record, ev.Readmitted):
            away.pop(record.principal.removeprefix("person:"))
        else:
            assert entry.entity not in away
            assert entry.audited.get(BEHIND) not in [[entity] for entity in away]
            assert not any(entry.accessor in ended for ended in away.values())


# Entries of a real vault, for comparison.

POLICY: Final = 'path "*" { capabilities = ["create", "read", "update", "list", "sudo"] }'
PASSWORD: Final = "correct horse battery"


def real_entries() -> list[Entry]:
    vault = Vault.started(PLUGINS)
    vault.write("sys/policies/acl/all", {"policy": POLICY})
    for method in ("userpass", "approle"):
        vault.write(f"sys/auth/{method}", {"type": method})
    user = {"password": PASSWORD, "token_policies": ["all"]}
    vault.write("auth/userpass/users/ann", user)
    vault.write("auth/approle/role/app", {"token_policies": ["all"]})
    login = {"password": PASSWORD}
    token = vault.write("auth/userpass/login/ann", login, token=None).token
    vault.write("auth/userpass/login/ann", {"password": "wrong"}, token=None)
    ids = vault.read("auth/approle/role/app/role-id").data["role_id"]
    wrapped = vault.write("auth/approle/role/app/secret-id", {}, token=token, wrap=60)
    inside = vault.write("sys/wrapping/unwrap", {}, token=wrapped.body["wrap_info"]["token"])
    app = {"role_id": ids, "secret_id": inside.data["secret_id"]}
    vault.write("auth/approle/login", app, token=None)
    for version in (1, 2):
        vault.write("secret/data/app/x", {"data": {"key": str(version)}}, token=token)
    vault.read("secret/data/app/x", token=token)
    vault.read("secret/data/app/none", token=token)
    vault.list("secret/metadata/", token=token)
    vault.write("secret/delete/app/x", {"versions": [1]}, token=token)
    vault.write("secret/destroy/app/x", {"versions": [1]}, token=token)
    vault.read("secret/data/app/x", token="hvs.unknown")
    vault.write("auth/token/create-orphan", {"policies": ["all"], "ttl": "1h"}, token=token)
    vault.read("auth/token/lookup-self", token=token)
    vault.write("auth/token/renew-self", {}, token=token)
    bare = vault.write("auth/token/create", {"policies": ["default"]}).token
    vault.read("secret/data/app/x", token=bare)
    vault.tick(seconds=100 * 86_400)
    reader = audit_reader(vault.journal.log, vault.house.store(vault.house.state.begin(), JOURNAL))
    return [entry for _, entry in reader.entries(0, vault.journal.log.size)]


def shape_of(entry: Entry) -> tuple[tuple[str, str, str, str], set[str], set[str]]:
    """Return the sort of act that an entry records, its fields that say something, and facts."""
    fields: dict[str, Any] = msgspec.json.decode(encode(entry))
    audited = set(fields.pop("audited", {})) - {BEHIND}
    sort = entry.path.replace("/", " ").split()
    where = " ".join(word for word in sort if word in WORDS)
    bare = bool(entry.accessor) and not entry.device
    # Whether a token has a person or a device differs from token to token.
    said = set(fields) - {"entity", "name", "accessor", "device"}
    if entry.kind == "request" and not bare and not entry.device:
        said |= {"no token"}
    return (entry.kind, entry.op, where, entry.outcome), said, audited


WORDS: Final = frozenset(
    {
        "auth", "userpass", "approle", "login", "role", "secret-id", "token", "create-orphan",
        "lookup-self", "renew-self", "data", "metadata", "delete", "destroy", "sys", "unseal",
        "seal-status",
    }
)  # fmt: skip


def test_entries_look_like_those_of_a_server(entries: list[tuple[int, Entry]]) -> None:
    real: dict[Any, list[tuple[set[str], set[str]]]] = defaultdict(list)
    for entry in real_entries():
        sort, said, audited = shape_of(entry)
        real[sort].append((said, audited))
    compared = Counter[str]()
    for _, entry in entries:
        sort, said, audited = shape_of(entry)
        if sort not in real:
            compared["no counterpart"] += 1
            assert entry.kind in {"effect", "notice", "refused", "tick"} or "incident" in entry.path
            continue
        compared["compared"] += 1
        assert any(said <= more and audited <= facts for more, facts in real[sort]), entry
    assert compared["compared"] > 0.98 * len(entries)


def test_a_directory_has_the_same_log_and_keeps_the_truth(tmp_path: Path) -> None:
    disk, expected = made(3)
    written = write_directory(tmp_path, entries=2_000, seed=3)
    written.journal.close()
    found = {
        path.relative_to(tmp_path / "log").as_posix(): path.read_bytes()
        for path in (tmp_path / "log").rglob("*")
        if path.is_file() and path.name != "lock"
    }
    assert found == disk.files
    again = open_directory(tmp_path)
    assert truth_of(again.truth) == truth_of(expected.truth)
    assert again.truth.subjects == expected.truth.subjects
    assert again.truth.leaves == again.journal.log.size
