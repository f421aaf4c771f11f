"""Evidence packs: what is forged, left out, moved or made anew is refused, by a named step."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import IntegrityError, InvalidRequest, NotFound
from ironkeep.core.evidence import records as ev
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
from ironkeep.core.evidence.verdict import Outcome
from ironkeep.incident.evidence.packer import make_pack
from ironkeep.incident.verifier.trust import MAX_PACK_KEYS, TrustedKeys
from ironkeep.incident.verifier.verifier import Level, verify_pack
from ironkeep.tlog.note import KeyType
from tests.support.incident.sample_case import (
    CASE,
    DATABASE,
    END_AT,
    OLD,
    Line,
    SampleCase,
    at,
    read_of,
    request,
    sample_case,
)
from tests.support.incident.sample_pack import SamplePack, replaced, sample_policy
from tests.support.log.sample_log import sample_key

SAMPLE = SamplePack()
RAW = SAMPLE.pack()
TRUST = SAMPLE.trust
READ_INDEX = 5
"""Where in the sample log Alice reads the password."""


def refused(raw: bytes, step: str, trust: TrustedKeys | None = TRUST) -> None:
    with pytest.raises(IntegrityError, match=rf"^step \({step}\)"):
        verify_pack(raw, trust)


def rewritten(
    change: Callable[[Pack], Pack],
    sample: SamplePack = SAMPLE,
    *,
    subject: str | None = None,
) -> bytes:
    """Return the pack changed and signed again by its own key, as a dishonest server would."""
    pack, digest = read_statement(dsse.decode(sample.pack()))
    assert isinstance(pack, Pack)
    payload = state(change(pack), subject or digest)
    vkey = sample.key.verifier_key(KeyType.ED25519).format()
    return dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: sample.key.private_key()}))


def with_log(change: Callable[[ShownLog], ShownLog]) -> Callable[[Pack], Pack]:
    return lambda pack: msgspec.structs.replace(pack, logs=(change(pack.logs[0]),))


def test_the_sample_is_verified_and_proven() -> None:
    report = verify_pack(RAW, TRUST)
    assert report.level is Level.VERIFIED
    assert report.proven
    assert report.cosigners == ("witness.example",)
    assert (report.withheld, report.earlier, report.later) == (0, 0, 0)
    assert report.disclosed == len(sample_case().lines)
    assert report.signer == SAMPLE.key.name


def test_without_pinned_keys_it_is_only_consistent() -> None:
    report = verify_pack(RAW, None)
    assert report.level is Level.SELF_CONSISTENT
    assert report.verdict.outcome is Outcome.PROVEN
    assert not report.proven


def test_the_same_evidence_gives_the_same_pack() -> None:
    assert SamplePack().pack() == RAW


def test_a_wholly_re_signed_pack_is_refused_under_pinned_keys() -> None:
    forged = SamplePack(
        sample_case(), origin="log.example/audit-forged", witnesses=("witness.forged",)
    )
    raw = forged.pack()
    assert verify_pack(raw, None).verdict.outcome is Outcome.PROVEN
    refused(raw, "2")
    # Even with the pack key stolen, the log and its witnesses are not the pinned ones.
    stolen = make_pack(CASE, at(END_AT), forged.shown(), SAMPLE.key)
    refused(stolen, "4")


def test_a_log_of_the_right_name_and_a_forged_witness_is_refused() -> None:
    forged = SamplePack(witnesses=("witness.forged",))
    refused(make_pack(CASE, at(END_AT), forged.shown(), SAMPLE.key), "4")


def test_a_head_that_no_witness_saw_is_refused() -> None:
    def strip(log: ShownLog) -> ShownLog:
        lines = log.checkpoint.splitlines(keepends=True)
        return msgspec.structs.replace(log, checkpoint="".join(lines[:-1]))

    refused(rewritten(with_log(strip)), "4")


def test_without_witnesses_nothing_is_proven() -> None:
    alone = SamplePack(witnesses=())
    report = verify_pack(alone.pack(), alone.trust)
    assert report.verdict.outcome is Outcome.NOT_PROVEN
    assert [item.subject for item in report.verdict.open_items()] == ["log:witnesses"]


def test_an_omitted_entry_is_refused() -> None:
    def omit(log: ShownLog) -> ShownLog:
        leaves = log.whole[0].leaves
        parts = (Stretch(0, leaves[:READ_INDEX]), Stretch(READ_INDEX + 1, leaves[READ_INDEX + 1 :]))
        return SAMPLE.completed(msgspec.structs.replace(log, whole=parts))

    refused(rewritten(with_log(omit)), "6")


def test_the_last_entries_cannot_be_cut_off() -> None:
    def cut(log: ShownLog) -> ShownLog:
        stretch = Stretch(0, log.whole[0].leaves[:-1])
        return SAMPLE.completed(msgspec.structs.replace(log, whole=(stretch,)))

    refused(rewritten(with_log(cut)), "6")


def test_swapped_entries_are_refused() -> None:
    def swap(log: ShownLog) -> ShownLog:
        leaves = log.whole[0].leaves
        return replaced(replaced(log, 5, leaves[6]), 6, leaves[5])

    refused(rewritten(with_log(swap)), "7")


def test_a_rewritten_entry_is_refused() -> None:
    def rewrite(log: ShownLog) -> ShownLog:
        leaf = log.whole[0].leaves[READ_INDEX]
        body = leaf.body.replace("alice", "other")
        return replaced(log, READ_INDEX, msgspec.structs.replace(leaf, body=body))

    refused(rewritten(with_log(rewrite)), "5")


def test_withheld_entries_are_counted_and_leave_the_case_open() -> None:
    def withhold(log: ShownLog) -> ShownLog:
        leaf = WindowLeaf(hash=SAMPLE.log.leaves[READ_INDEX])
        return SAMPLE.completed(replaced(log, READ_INDEX, leaf))

    refused(rewritten(with_log(withhold)), "8")
    report = verify_pack(SAMPLE.pack(withhold(SAMPLE.shown())), TRUST)
    assert report.withheld == 1
    assert report.verdict.outcome is Outcome.NOT_PROVEN


def test_an_entry_shown_without_its_salt_is_withheld() -> None:
    leaf = WindowLeaf(leaf=SAMPLE.log.entries[READ_INDEX])
    shown = replaced(SAMPLE.shown(), READ_INDEX, leaf)
    assert verify_pack(SAMPLE.pack(SAMPLE.completed(shown)), TRUST).withheld == 1


def test_a_leaf_both_withheld_and_shown_is_refused() -> None:
    def both(log: ShownLog) -> ShownLog:
        leaf = msgspec.structs.replace(log.whole[0].leaves[3], hash=SAMPLE.log.leaves[3])
        return replaced(log, 3, leaf)

    refused(rewritten(with_log(both)), "5")


def test_the_packs_own_conclusions_are_not_believed() -> None:
    open_case = SamplePack(sample_case().without("probed"))
    proven, _ = read_statement(dsse.decode(RAW))
    lie = rewritten(lambda pack: msgspec.structs.replace(pack, verdict=proven.verdict), open_case)
    refused(lie, "8", open_case.trust)

    def hide(pack: Pack) -> Pack:
        rest = pack.exposure.could_reach[:-1]
        exposure = msgspec.structs.replace(pack.exposure, could_reach=rest)
        return msgspec.structs.replace(pack, exposure=exposure)

    refused(rewritten(hide), "8")


def test_the_subject_is_the_entry_that_opened_the_case() -> None:
    refused(rewritten(lambda pack: pack, subject="00" * 32), "9")
    refused(rewritten(lambda pack: msgspec.structs.replace(pack, case="8")), "8")


def test_a_window_with_earlier_entries() -> None:
    # The estate (leaves 1 to 4) lies before the window, which begins with a request before T0.
    case = sample_case().with_lines(request(19, "before", "bob"))
    sample = SamplePack(case)
    shown = sample.shown(start=5, earlier=(1, 2, 3, 4))
    report = verify_pack(sample.pack(shown), sample.trust)
    assert report.proven
    assert report.earlier == 4


def test_an_earlier_entry_left_out_breaks_the_chain() -> None:
    case = sample_case().with_lines(request(19, "before", "bob"))
    sample = SamplePack(case)
    report = verify_pack(sample.pack(sample.shown(start=5, earlier=(1, 2, 3))), sample.trust)
    assert "scope:chain" in {item.subject for item in report.verdict.open_items()}


def test_a_window_that_begins_after_the_compromise_proves_nothing() -> None:
    shown = SAMPLE.shown(start=6, earlier=(1, 2, 3, 4))
    report = verify_pack(SAMPLE.pack(shown), TRUST)
    assert "log:window" in {item.subject for item in report.verdict.open_items()}


def test_an_earlier_entry_at_another_place_is_refused() -> None:
    shown = SAMPLE.shown(start=6, earlier=(1, 2, 3, 4))
    one, *rest = shown.entries
    moved = msgspec.structs.replace(one, index=0)
    for earlier in ((moved, *rest), (*rest, one), (one, one, *rest)):
        with pytest.raises(IntegrityError):
            SAMPLE.pack(msgspec.structs.replace(shown, entries=earlier))


def test_an_earlier_entry_inside_the_window_is_refused() -> None:
    with pytest.raises(IntegrityError, match="shown twice"):
        SAMPLE.shown(start=6, earlier=(1, 2, 3, 4, 6))


def test_a_dead_credential_that_worked_is_in_the_report() -> None:
    worked = ev.Watched(CASE, OLD, DATABASE, at(50), at(95), 1, 1, "database log")
    sample = SamplePack(sample_case().with_lines(Line(95, "used", worked)))
    report = verify_pack(sample.pack(), sample.trust)
    assert report.verdict.outcome is Outcome.DISPROVEN
    assert not report.proven


def test_a_verdict_of_an_earlier_time_says_how_much_came_later() -> None:
    later = sample_case().with_lines(request(200, "later", "bob", released=read_of(2)))
    sample = SamplePack(later)
    report = verify_pack(sample.pack(), sample.trust)
    assert report.verdict.outcome is Outcome.PROVEN
    assert (report.later, report.past, report.proven) == (1, True, False)
    assert "as of 2026-" in report.headline
    assert "(1 later entry exists)" in report.headline


def test_there_is_no_pack_of_a_case_that_the_log_does_not_know() -> None:
    with pytest.raises(NotFound):
        make_pack("8", at(END_AT), SAMPLE.shown(), SAMPLE.key)


def test_every_flipped_byte_is_refused() -> None:
    for position in range(0, len(RAW), 37):
        raw = bytearray(RAW)
        raw[position] ^= 0x01
        for trust in (TRUST, None):
            with pytest.raises(IntegrityError):
                verify_pack(bytes(raw), trust)


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_any_flipped_byte_is_refused(position: int, mask: int) -> None:
    raw = bytearray(RAW)
    raw[position] ^= mask
    with pytest.raises(IntegrityError):
        verify_pack(bytes(raw), TRUST)


@given(st.data())
def test_a_changed_payload_signed_again_is_refused_or_reads_the_same(data: st.DataObject) -> None:
    """A server that signs what it likes still cannot change a byte of what the log says."""
    payload = bytearray(dsse.decode(RAW).payload)
    payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    vkey = SAMPLE.key.verifier_key(KeyType.ED25519).format()
    raw = dsse.encode(dsse.sign(PAYLOAD_TYPE, bytes(payload), {vkey: SAMPLE.key.private_key()}))
    try:
        report = verify_pack(raw, TRUST)
    except IntegrityError:
        return
    # The server's own policy text is all that may differ: the pinned one rules.
    assert report == verify_pack(RAW, TRUST)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        verify_pack(data, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.data())
def test_any_other_value_in_the_statement_is_refused(data: st.DataObject) -> None:
    statement = msgspec.json.decode(dsse.decode(RAW).payload)
    parent, key = statement, data.draw(st.sampled_from(list(statement)))
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.integers(0, 3)):
        parent = parent[key]
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        key = data.draw(st.sampled_from(list(keys)))
    value = data.draw(JSON)
    if value == parent[key] or key == "policy":
        return
    parent[key] = value
    vkey = SAMPLE.key.verifier_key(KeyType.ED25519).format()
    payload = msgspec.json.encode(statement)
    raw = dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: SAMPLE.key.private_key()}))
    with pytest.raises(IntegrityError):
        verify_pack(raw, TRUST)


def test_trust_files() -> None:
    data = TRUST.serialise()
    assert TrustedKeys.parse(data) == TRUST
    assert TrustedKeys.parse(data).serialise() == data
    assert data.startswith(b"ironkeep-trust/v1\npack log.example/audit/cases+")


def test_how_many_pack_keys_there_may_be() -> None:
    key = SAMPLE.key.verifier_key(KeyType.ED25519)
    policy = sample_policy("log.example/audit", ())
    most = TrustedKeys((key,) * MAX_PACK_KEYS, policy)
    assert TrustedKeys.parse(most.serialise()) == most
    for count in (0, MAX_PACK_KEYS + 1):
        with pytest.raises(InvalidRequest):
            TrustedKeys.parse(TrustedKeys((key,) * count, policy).serialise())


def test_a_witness_key_is_no_pack_key() -> None:
    key = sample_key("witness.example").verifier_key(KeyType.COSIGNATURE)
    data = TrustedKeys((key,), TRUST.policy).serialise()
    with pytest.raises(InvalidRequest, match="Ed25519"):
        TrustedKeys.parse(data)


@given(
    st.binary(max_size=300)
    | st.integers(0, len(TRUST.serialise())).map(lambda cut: TRUST.serialise()[:cut])
)
def test_any_bytes_are_a_trust_file_or_an_invalid_request(data: bytes) -> None:
    try:
        keys = TrustedKeys.parse(data)
    except InvalidRequest:
        return
    assert keys.serialise() == data


def test_a_pack_of_no_case_at_all() -> None:
    empty = SamplePack(SampleCase((request(1, "read", "bob"),)))
    with pytest.raises(NotFound):
        empty.pack()


def test_an_entry_that_does_not_parse_is_refused() -> None:
    for body in (b"{}", b"[" * 5_000, b'{"kind":"effect","time_ns":1,"audited":{"incident":"x"}}'):
        sample = SamplePack()
        sample.log.append([sample._leaf_key.encrypt(len(sample.log.entries), body)])
        with pytest.raises(IntegrityError):
            sample.pack()


@pytest.mark.parametrize(
    ("step", "change"),
    [
        ("3", lambda raw: raw.replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v2")),
        ("3", lambda raw: raw.replace(b"evidence-pack:v3", b"evidence-pack:v2")),
        ("3", lambda raw: raw.replace(b'"version":3', b'"version":2')),
        ("3", lambda raw: raw.replace(b'"case/7"', b'"case/8"')),
        ("3", lambda raw: raw.replace(b'{"sha256":', b'{"sha512":')),
        ("3", lambda raw: raw.replace(b'"version":3', b'"version": 3')),
        ("3", lambda raw: raw.replace(b'"version":3', b'"version":3,"version":3')),
        ("3", lambda _: b"[" * 100_000),
    ],
)
def test_another_statement_is_refused(step: str, change: Callable[[bytes], bytes]) -> None:
    payload = change(dsse.decode(RAW).payload)
    vkey = SAMPLE.key.verifier_key(KeyType.ED25519).format()
    raw = dsse.encode(dsse.sign(PAYLOAD_TYPE, payload, {vkey: SAMPLE.key.private_key()}))
    refused(raw, step)


def test_another_payload_type_is_refused() -> None:
    vkey = SAMPLE.key.verifier_key(KeyType.ED25519).format()
    envelope = dsse.sign("text/plain", dsse.decode(RAW).payload, {vkey: SAMPLE.key.private_key()})
    refused(dsse.encode(envelope), "3")


@pytest.mark.parametrize("keyid", ["", "pack", "witness"])
def test_without_pinned_keys_the_pack_names_a_key_that_signed_it(keyid: str) -> None:
    if keyid == "witness":
        keyid = SAMPLE.key.verifier_key(KeyType.COSIGNATURE).format()
    keys = {keyid: SAMPLE.key.private_key()}
    raw = dsse.encode(dsse.sign(PAYLOAD_TYPE, dsse.decode(RAW).payload, keys))
    refused(raw, "2", None)
