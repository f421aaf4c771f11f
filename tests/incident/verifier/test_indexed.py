"""Packs by the index: nothing that matters is missing, and no part of the proof can be changed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ironkeep.core import event
from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import (
    PAYLOAD_TYPE,
    Pack,
    ShownLog,
    Stretch,
    WindowLeaf,
    read_statement,
    state,
)
from ironkeep.core.evidence.verdict import Outcome, decide
from ironkeep.incident.verifier.verifier import Level, verify_pack
from ironkeep.index.positions import RUN
from ironkeep.index.proof import decode_proof, encode_proof
from ironkeep.tlog.merkle import subtree_root
from ironkeep.tlog.multiproof import multiproof
from ironkeep.tlog.note import KeyType
from tests.support.incident.indexed_case import IndexedCase, busy
from tests.support.incident.sample_case import (
    END_AT,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)


@cache
def sample() -> IndexedCase:
    return IndexedCase()


@cache
def raw() -> bytes:
    return sample().pack()


def refused(data: bytes, step: str) -> None:
    with pytest.raises(IntegrityError, match=rf"^step \({step}\)"):
        verify_pack(data, sample().trust)


def rewritten(change: Callable[[ShownLog], ShownLog]) -> bytes:
    """Return the pack with its log changed, signed again by its own key: a dishonest server's."""
    pack, digest = read_statement(dsse.decode(raw()))
    assert isinstance(pack, Pack)
    changed = msgspec.structs.replace(pack, logs=(change(pack.logs[0]),))
    key = sample().key
    vkey = key.verifier_key(KeyType.ED25519).format()
    payload = state(changed, digest)
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: key.private_key()}))


def replace(log: ShownLog, **values: Any) -> ShownLog:
    return msgspec.structs.replace(log, **values)


def test_the_pack_proves_what_the_whole_log_proves() -> None:
    report = verify_pack(raw(), sample().trust)
    assert (report.level, report.proven) == (Level.VERIFIED, True)
    whole, _ = decide(sample().whole())
    assert report.verdict.outcome is whole.outcome is Outcome.PROVEN
    assert report.indexed > RUN
    assert report.withheld == 0
    assert report.disclosed < sample().leaves.size - RUN
    assert len(raw()) < 6_000_000


def test_reads_of_other_people_are_not_disclosed() -> None:
    """A run of the index shows none of its entries but those that matter."""
    shown = sample().shown()
    names = {event.decode(each.body.encode()).name for each in shown.entries}
    assert "alice" in names
    # The entry before the window may be anybody's: it tells when the window begins.
    strangers = [each for each in shown.entries if "robot" in each.body]
    assert len(strangers) <= 3


def spoilt(*lines: Line) -> IndexedCase:
    return IndexedCase(sample_case().with_lines(*lines))


@pytest.mark.parametrize(
    ("line", "check"),
    [
        (request(60, "again", "alice", op="update", path="sys/policies/acl/x"), "acts again"),
        (request(45, "early", "bob", released=read_of(2)), "delivered early"),
        (
            request(60, "unwrapped", "", entity="", accessor="", released=read_of(2)),
            "unattributed record",
        ),
        (request(60, "child", "eve", entity="", accessor="alice-accessor"), "ended session worked"),
    ],
)
def test_what_matters_is_found_in_a_busy_log(line: Line, check: str) -> None:
    case = spoilt(line)
    report = verify_pack(case.pack(), case.trust)
    found = {item.check for item in report.verdict.open_items()}
    assert check in found
    assert found == {item.check for item in decide(case.whole())[0].open_items()}


def test_a_log_without_an_index_is_shown_whole() -> None:
    case = IndexedCase(reads=500, is_indexed=False)
    report = verify_pack(case.pack(), case.trust)
    assert report.proven
    assert report.indexed == 0


def test_an_index_that_was_made_late_leaves_the_case_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless its run is shown whole: then nothing rests on the index."""
    case = IndexedCase()
    # Entries behind the first run's end, before its index leaf, make that leaf late.
    monkeypatch.setattr("ironkeep.index.leaf.MAX_DELAY", 100)
    assert verify_pack(case.pack(), case.trust).proven
    monkeypatch.setattr("ironkeep.incident.evidence.window.WHOLE", RUN)
    report = verify_pack(case.pack(), case.trust)
    assert [item.subject for item in report.verdict.open_items()] == ["log:index"]
    assert report.verdict.outcome is Outcome.NOT_PROVEN


def less(place: int, *, rehash: bool) -> Callable[[ShownLog], ShownLog]:
    """Leave one entry out; with rehash, with the hashes for the others."""

    def change(log: ShownLog) -> ShownLog:
        entries = (*log.entries[:place], *log.entries[place + 1 :])
        if not rehash:
            return replace(log, entries=entries)
        leaves = {each.index for each in entries}
        for stretch in log.whole:
            leaves |= set(range(stretch.start, stretch.start + len(stretch.leaves)))
        read, size = sample().log.read, sample().leaves.size
        proof = multiproof(sorted(leaves), size, lambda low, high: subtree_root(low, high, read))
        return replace(log, entries=entries, hashes=tuple(proof))

    return change


def test_no_entry_can_be_left_out() -> None:
    for place in range(len(sample().shown().entries)):
        refused(rewritten(less(place, rehash=False)), "7")


def test_an_entry_left_out_with_matching_hashes_is_named() -> None:
    """The places are right, but the index has a position that the pack does not show."""
    log = sample().shown()
    found = set[str]()
    for place, shown in enumerate(log.entries):
        entry = event.decode(shown.body.encode())
        matters = "incident" in entry.audited or entry.name == "alice"
        if shown.index < log.start or not matters:
            continue
        with pytest.raises(IntegrityError) as error:
            verify_pack(rewritten(less(place, rehash=True)), sample().trust)
        found.add(str(error.value)[:8])
    assert found <= {"step (6)", "step (8)"}
    assert "step (6)" in found


def test_a_part_shown_whole_cannot_be_cut() -> None:
    def cut(log: ShownLog) -> ShownLog:
        last = log.whole[-1]
        shorter = Stretch(last.start, last.leaves[:-1])
        return replace(log, whole=(*log.whole[:-1], shorter))

    refused(rewritten(cut), "7")


def test_a_withheld_entry_is_counted_and_leaves_the_case_open() -> None:
    def withhold(log: ShownLog) -> ShownLog:
        last = log.whole[-1]
        place = next(n for n, each in enumerate(last.leaves) if "robot" in each.body)
        hidden = WindowLeaf(hash=sample().log.leaves[last.start + place])
        leaves = (*last.leaves[:place], hidden, *last.leaves[place + 1 :])
        return replace(log, whole=(*log.whole[:-1], Stretch(last.start, leaves)))

    refused(rewritten(withhold), "8")
    report = verify_pack(sample().pack(withhold), sample().trust)
    assert report.withheld == 1
    assert report.verdict.outcome is Outcome.NOT_PROVEN


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, index=log.index[:-1]),
        lambda log: replace(log, index=(*log.index, log.index[0])),
        lambda log: replace(log, index=tuple(reversed(log.index))),
        lambda log: replace(log, index=()),
        lambda log: replace(log, start=log.start + 1),
        lambda log: replace(log, start=0),
        lambda log: replace(log, start=1 << 40),
        lambda log: replace(log, whole=()),
        lambda log: replace(log, whole=(*log.whole, log.whole[-1])),
        lambda log: replace(log, entries=(*log.entries, log.entries[-1])),
        lambda log: replace(log, entries=tuple(reversed(log.entries))),
        lambda log: replace(log, hashes=(*log.hashes, b"\x00" * 32)),
        lambda log: replace(log, hashes=log.hashes[1:]),
    ],
)
def test_a_changed_part_is_refused(change: Callable[[ShownLog], ShownLog]) -> None:
    with pytest.raises(IntegrityError):
        verify_pack(rewritten(change), sample().trust)


@pytest.mark.parametrize("field", ["position", "leaf", "records", "hashes"])
def test_a_changed_run_of_the_index_is_refused(field: str) -> None:
    def change(log: ShownLog) -> ShownLog:
        proof = decode_proof(log.index[0])
        run = proof.runs[0]
        other: Any = getattr(run, field)
        if field == "position":
            other += 1
        elif field == "leaf":
            other = bytes([*other[:-1], other[-1] ^ 1])
        else:
            other = other[:-1]
        runs = (msgspec.structs.replace(run, **{field: other}), *proof.runs[1:])
        made = encode_proof(msgspec.structs.replace(proof, runs=runs))
        return replace(log, index=(made, *log.index[1:]))

    refused(rewritten(change), "6")


def test_the_index_of_another_log_is_refused() -> None:
    other = spoilt(request(30, "other", "carol", released=read_of(1)))
    taken = other.shown().index
    refused(rewritten(lambda log: replace(log, index=taken)), "6")


def test_a_wrong_term_key_is_refused() -> None:
    def change(log: ShownLog) -> ShownLog:
        proof = decode_proof(log.index[0])
        keys = (bytes(32), *proof.keys[1:])
        made = encode_proof(msgspec.structs.replace(proof, keys=keys))
        return replace(log, index=(made, *log.index[1:]))

    refused(rewritten(change), "6")


@settings(max_examples=60)
@given(st.data())
def test_any_flipped_byte_of_a_proof_is_refused(data: st.DataObject) -> None:
    def change(log: ShownLog) -> ShownLog:
        which = data.draw(st.integers(0, len(log.index) - 1))
        flipped = bytearray(log.index[which])
        flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= data.draw(st.integers(1, 255))
        proofs = list(log.index)
        proofs[which] = bytes(flipped)
        return replace(log, index=tuple(proofs))

    refused(rewritten(change), "6")


@settings(max_examples=25)
@given(st.data())
def test_any_flipped_byte_of_the_pack_is_refused(data: st.DataObject) -> None:
    flipped = bytearray(raw())
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        verify_pack(bytes(flipped), sample().trust)


def test_two_logs_are_refused() -> None:
    pack, digest = read_statement(dsse.decode(raw()))
    assert isinstance(pack, Pack)
    double = msgspec.structs.replace(pack, logs=(*pack.logs, *pack.logs))
    key = sample().key
    vkey = key.verifier_key(KeyType.ED25519).format()
    payload = state(double, digest)
    signed = dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: key.private_key()}))
    refused(signed, "3")


def test_entries_after_the_index_are_part_of_the_window() -> None:
    case = IndexedCase()
    entry = request(99, "late", "alice", op="update", path="sys/policies/acl/x")
    case.append(*SampleCase((entry,)).entries())
    report = verify_pack(case.pack(), case.trust)
    assert "acts again" in {item.check for item in report.verdict.open_items()}


def test_a_verdict_of_an_earlier_time() -> None:
    case = spoilt(request(200, "later", "alice", op="update", path="sys/policies/acl/x"))
    report = verify_pack(case.pack(), case.trust)
    assert report.verdict.outcome is Outcome.PROVEN
    assert (report.past, report.proven) == (True, False)
    assert report.later >= 1
    assert case.whole().as_of_ns == at(END_AT)
    assert busy(1)
