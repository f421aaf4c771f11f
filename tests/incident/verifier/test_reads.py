"""Statements of the reads of a secret: complete, small, and refused once anything is changed."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core.errors import IntegrityError, TooLarge
from ironkeep.core.event import CLOCK_STEP, NODE
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import PAYLOAD_TYPE, ShownLog
from ironkeep.incident.evidence import excerpt
from ironkeep.incident.verifier.reads import Answer, ReadsReport, verify_reads
from ironkeep.incident.verifier.statement import VERSION, Reads, is_reads, read_reads, state_reads
from ironkeep.incident.verifier.verifier import Level
from ironkeep.index.positions import RUN
from ironkeep.tlog.merkle import subtree_root
from ironkeep.tlog.multiproof import multiproof
from ironkeep.tlog.note import KeyType
from tests.support.incident.indexed_case import WITNESS, IndexedCase, busy
from tests.support.incident.sample_case import (
    END_AT,
    MOUNT,
    NEW,
    OLD,
    Line,
    SampleCase,
    at,
    read_of,
    request,
)
from tests.support.incident.sample_pack import sample_policy
from tests.support.log.sample_index import advance
from tests.support.log.sample_log import sample_cosigner

FAMILY = f"secret:{MOUNT}/orders/password@*"
NEVER = f"secret:{MOUNT}/never/read@*"


@cache
def sample() -> IndexedCase:
    return IndexedCase(node=NODE)


def shown(secret: str, start: int = 20, case: IndexedCase | None = None) -> ShownLog:
    case = case or sample()
    about = {"secret": secret, "from_ns": at(start), "size": case.leaves.size}
    answer = case.ask(excerpt.reads, **about)
    note = case.log.signed(cosigners=[sample_cosigner(WITNESS)])
    return msgspec.structs.replace(
        msgspec.msgpack.decode(answer, type=ShownLog),
        policy=sample_policy(case.leaves.origin, [WITNESS]).text.decode(),
        checkpoint=note.serialise().decode(),
    )


def signed(reads: Reads) -> bytes:
    key = sample().key
    vkey = key.verifier_key(KeyType.ED25519).format()
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, state_reads(reads), {vkey: key.private_key()}))


@cache
def statement(secret: str, start: int = 20) -> Reads:
    return Reads(VERSION, secret, "orders/password", at(start), at(END_AT), (shown(secret, start),))


def report(secret: str, start: int = 20) -> ReadsReport:
    return verify_reads(signed(statement(secret, start)), sample().trust)


def test_each_read_is_named() -> None:
    found = report(FAMILY)
    assert found.level is Level.VERIFIED
    assert found.answer is Answer.READ
    assert [(each.name, each.version) for each in found.reads] == [("alice", 1), ("bob", 2)]
    assert found.open == ()


@pytest.mark.parametrize(("version", "names"), [(OLD, ["alice"]), (NEW, ["bob"])])
def test_one_version(version: str, names: list[str]) -> None:
    assert [each.name for each in report(version).reads] == names


def test_that_nobody_read_it_is_proven_in_little_space() -> None:
    found = report(NEVER)
    assert (found.answer, found.reads, found.open) == (Answer.NOT_READ, (), ())
    proof = b"".join(statement(NEVER).logs[0].index)
    assert len(proof) < 5_000


def test_reads_before_the_span_do_not_count() -> None:
    assert [each.name for each in report(FAMILY, 50).reads] == ["bob"]


def test_a_span_from_before_the_log_begins_at_its_first_leaf() -> None:
    """Leaf 0 carries a key: there is no entry to begin with."""
    found = report(NEVER, start=-1_000)
    assert (found.answer, found.open) == (Answer.NOT_READ, ())
    assert statement(NEVER, start=-1_000).logs[0].start == 0


def test_a_secret_that_is_read_all_the_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excerpt, "MAX_READS", 100)
    with pytest.raises(TooLarge, match="shorter"):
        shown(f"secret:{MOUNT}/other/1@*")


def test_without_pinned_keys_it_is_only_consistent() -> None:
    assert verify_reads(signed(statement(FAMILY)), None).level is Level.SELF_CONSISTENT


Change = Callable[[Reads], Reads]


def in_log(**values: Any) -> Change:
    def change(reads: Reads) -> Reads:
        (log,) = reads.logs
        given = {name: value(getattr(log, name)) for name, value in values.items()}
        return msgspec.structs.replace(reads, logs=(msgspec.structs.replace(log, **given),))

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda reads: msgspec.structs.replace(reads, secret=NEVER),
        lambda reads: msgspec.structs.replace(reads, secret="person:alice"),
        lambda reads: msgspec.structs.replace(reads, secret="secret:x"),
        lambda reads: msgspec.structs.replace(reads, version=2),
        in_log(entries=lambda entries: entries[:-1]),
        in_log(entries=lambda entries: entries[1:]),
        in_log(whole=lambda whole: whole[:-1]),
        in_log(index=lambda _index: ()),
        in_log(index=lambda index: (*index, *index)),
        in_log(hashes=lambda hashes: hashes[:-1]),
    ],
)
def test_a_changed_statement_is_refused(change: Change) -> None:
    with pytest.raises(IntegrityError):
        verify_reads(signed(change(statement(FAMILY))), sample().trust)


def test_a_span_that_begins_before_the_window_is_not_proven() -> None:
    longer = msgspec.structs.replace(statement(NEVER, 60), from_ns=at(5))
    found = verify_reads(signed(longer), sample().trust)
    assert found.answer is Answer.NOT_PROVEN
    assert found.open == ("the proven window begins after the span",)


def test_a_window_that_is_said_to_begin_later_proves_nothing() -> None:
    moved = in_log(start=lambda start: start + 1)(statement(NEVER))
    assert verify_reads(signed(moved), sample().trust).answer is Answer.NOT_PROVEN


def test_a_span_after_the_witnesses_is_not_proven() -> None:
    later = msgspec.structs.replace(statement(NEVER), until_ns=at(100_000_000))
    assert verify_reads(signed(later), sample().trust).answer is Answer.NOT_PROVEN


def answer(case: IndexedCase, secret: str) -> ReadsReport:
    """Return what a statement of the reads of a secret from 60 s on proves."""
    log = shown(secret, 60, case)
    reads = Reads(VERSION, secret, "orders/password", at(60), at(END_AT), (log,))
    return verify_reads(signed(reads), case.trust)


def in_turn(node: int, *parts: Sequence[Line]) -> IndexedCase:
    """Return a log with an index, to which each part was added in the order of its times."""
    case = IndexedCase(SampleCase(()), 0, is_indexed=False)
    for part in parts:
        entries = SampleCase(tuple(part)).entries()
        case.append(*(msgspec.structs.replace(each, node=node) for each in entries))
    advance(case.index, case.leaves)
    return case


def test_a_clock_that_ran_back_hides_no_read() -> None:
    """Gains: what was stolen after the clock was put back is said not to have been read."""
    theft = request(45, "theft", "mallory", released=read_of(1, path="never/read"))
    case = in_turn(0, busy(2 * RUN, 1, 80), [*busy(3 * RUN, 40, 70), theft], busy(RUN, 70, 95))
    found = answer(case, NEVER)
    assert found.answer is Answer.NOT_PROVEN
    assert "begins at an entry of an earlier release" in found.open[0]
    assert "a read, states a time before the span" in found.open[1]


@pytest.mark.parametrize("seconds", [30, 80])
def test_a_step_of_the_clock_in_or_before_the_span_leaves_it_open(seconds: int) -> None:
    """Gains: a clock put back by an hour while the server was down moves a read out of the span."""
    fields = {"kind": "notice", "op": CLOCK_STEP, "audited": {"offset_ns": -3_600 * 10**9}}
    step = Line(seconds, "step", None, fields)
    case = in_turn(NODE, [*busy(3 * RUN, 1, 95), step])
    found = answer(case, NEVER)
    assert found.answer is Answer.NOT_PROVEN
    assert len(found.open) == 1
    assert "the clock was moved by -3600 s" in found.open[0]
    assert answer(in_turn(NODE, busy(3 * RUN, 1, 95)), NEVER).answer is Answer.NOT_READ


def test_a_step_in_the_span_cannot_be_left_out() -> None:
    fields = {"kind": "notice", "op": CLOCK_STEP, "audited": {"offset_ns": -3_600 * 10**9}}
    case = in_turn(NODE, [*busy(3 * RUN, 1, 95), Line(61, "step", None, fields)])
    log = shown(NEVER, 60, case)
    (step,) = [each for each in log.entries if CLOCK_STEP in each.body]
    kept = tuple(each for each in log.entries if each is not step)
    places = [each.index for each in kept]
    for each in log.whole:
        places += range(each.start, each.start + len(each.leaves))
    read = case.log.read
    hashes = multiproof(sorted(places), case.leaves.size, lambda a, b: subtree_root(a, b, read))
    less = msgspec.structs.replace(log, entries=kept, hashes=tuple(hashes))
    reads = Reads(VERSION, NEVER, "orders/password", at(60), at(END_AT), (less,))
    with pytest.raises(IntegrityError, match="is not shown"):
        verify_reads(signed(reads), case.trust)


@settings(max_examples=40)
@given(st.data())
def test_any_flipped_byte_is_refused(data: st.DataObject) -> None:
    raw = bytearray(signed(statement(NEVER)))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        verify_reads(bytes(raw), sample().trust)


def test_a_statement_is_told_from_a_pack() -> None:
    envelope = dsse.decode(signed(statement(NEVER)))
    assert is_reads(envelope)
    assert read_reads(envelope) == statement(NEVER)
    assert not is_reads(dsse.decode(sample().pack()))
