"""Packs of earlier releases are read for good, and judged by the rules of this one.

golden/ has a pack of each version that is made no more. Version 1: its two packs were made by
releases 00613dc and before. Version 2: the sample incident in a log with an index, by release
e62063c.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ironkeep.core.errors import IntegrityError
from ironkeep.core.evidence.node import NodeId
from ironkeep.core.evidence.packing import dsse
from ironkeep.core.evidence.packing.pack import (
    PAYLOAD_TYPE,
    IndexedPack,
    LogEvidence,
    ShownLog,
    WindowPack,
    read_statement,
    state,
)
from ironkeep.core.evidence.verdict import Outcome
from ironkeep.incident.verifier import older
from ironkeep.incident.verifier.trust import TrustedKeys
from ironkeep.incident.verifier.verifier import Level, Report, verify_pack
from ironkeep.index.closure import END, wanted
from ironkeep.index.terms import Term, actor
from ironkeep.tlog.note import KeyType
from tests.support.log.sample_log import sample_key

GOLDEN: Final = Path(__file__).with_name("golden")
NAMES: Final = ("version-1", "version-1-step", "version-2")


def raw_of(name: str) -> bytes:
    return (GOLDEN / f"{name}.pack").read_bytes()


def trust_of(name: str) -> TrustedKeys:
    return TrustedKeys.parse((GOLDEN / f"{name}.trust").read_bytes())


def judged(name: str) -> Report:
    return verify_pack(raw_of(name), trust_of(name))


def subjects(report: Report) -> set[str]:
    return {item.subject for item in report.verdict.open_items()}


def unanswered(report: Report) -> int:
    """Return how many questions of today's rules a pack does not answer."""
    words = [item.words for item in report.verdict.open_items() if item.subject == "log:pack"]
    return int(words[0].partition(" ")[0]) if words else 0


def signed_again(raw: bytes, change: Callable[[Any], Any]) -> bytes:
    """Return a pack with another log, signed by a key of its own: without pins it is consistent."""
    pack, digest = read_statement(dsse.decode(raw))
    assert isinstance(pack, WindowPack | IndexedPack)
    if isinstance(pack, WindowPack):
        changed: WindowPack | IndexedPack = msgspec.structs.replace(pack, log=change(pack.log))
    else:
        changed = msgspec.structs.replace(pack, logs=(change(pack.logs[0]),))
    key = sample_key("another.example/cases")
    vkey = key.verifier_key(KeyType.ED25519).format()
    envelope = dsse.sign(PAYLOAD_TYPE, state(changed, digest), {vkey: key.private_key()})
    return dsse.encode(envelope)


@pytest.mark.parametrize(
    ("name", "stated", "counts"),
    [
        ("version-1", "PROVEN", (1, 4, 0, 0)),
        ("version-1-step", "NOT PROVEN", (1, 0, 0, 0)),
        ("version-2", "PROVEN", (2, 4, 0, 7226)),
    ],
)
def test_the_evidence_of_an_older_pack_is_read(
    name: str, stated: str, counts: tuple[int, ...]
) -> None:
    report = judged(name)
    assert (report.level, report.stated) == (Level.VERIFIED, stated)
    assert (report.version, report.earlier, report.withheld, report.indexed) == counts


@pytest.mark.parametrize("name", ["version-1", "version-2"])
def test_what_one_person_stated_then_is_sworn_by_one_now(name: str) -> None:
    verdict = judged(name).verdict
    checks = {item.check for item in verdict.open_items()}
    assert {"revocation sworn by one", "root check sworn by one", "still current"} <= checks
    assert (verdict.tally.measured, verdict.tally.sworn) == (0, 0)
    assert verdict.tally.open == len(verdict.credentials) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_is_refused(name: str) -> None:
    raw = raw_of(name)
    for position in range(0, len(raw), 211):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(IntegrityError):
            verify_pack(bytes(changed), trust_of(name))


def test_the_clock_of_an_older_pack_is_judged_by_the_present_rules() -> None:
    """The clock of this log was put back by 10 seconds over a restart, within the window.

    The rules of its time tolerated 300 seconds.
    """
    report = judged("version-1-step")
    assert "clock ran back" in {item.check for item in report.verdict.open_items()}


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, leaves=(*log.leaves[:5], *log.leaves[6:])),
        lambda log: replace(log, leaves=log.leaves[:-1]),
        lambda log: replace(log, leaves=(*log.leaves[:3], log.leaves[4], log.leaves[3])),
        lambda log: replace(log, earlier=log.earlier[::-1]),
        lambda log: replace(log, earlier=(*log.earlier, log.earlier[-1])),
        lambda log: replace(log, left=log.left[:-1]),
        lambda log: replace(log, start=log.start + 1),
    ],
)
def test_a_changed_window_of_version_1_is_refused(
    change: Callable[[LogEvidence], LogEvidence],
) -> None:
    raw = raw_of("version-1")
    assert verify_pack(signed_again(raw, lambda log: log), None).level is Level.SELF_CONSISTENT
    with pytest.raises(IntegrityError, match=r"^step \([67]\)"):
        verify_pack(signed_again(raw, change), None)


def replace(log: Any, **values: Any) -> Any:
    return msgspec.structs.replace(log, **values)


def test_a_question_of_today_that_an_older_pack_does_not_answer_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = unanswered(judged("version-2"))

    def more(file: Any) -> dict[Term, int]:
        return {**wanted(file), actor(NodeId("person:robot3-entity")): END}

    monkeypatch.setattr(older, "wanted", more)
    report = judged("version-2")
    assert unanswered(report) == before + 1
    assert report.verdict.outcome is Outcome.NOT_PROVEN


@pytest.mark.parametrize(
    "change",
    [
        lambda log: replace(log, index=log.index[:0]),
        lambda log: replace(log, whole=log.whole[:0]),
        lambda log: replace(log, entries=log.entries[:-1]),
    ],
)
def test_what_is_cut_from_a_pack_of_version_2_never_makes_it_better(
    change: Callable[[ShownLog], ShownLog],
) -> None:
    raw = signed_again(raw_of("version-2"), change)
    try:
        report = verify_pack(raw, None)
    except IntegrityError:
        return
    assert "log:pack" in subjects(report)


def test_an_outcome_that_no_release_knew_is_refused() -> None:
    pack, digest = read_statement(dsse.decode(raw_of("version-1")))
    assert isinstance(pack, WindowPack)
    odd = msgspec.structs.replace(pack, verdict=msgspec.Raw(b'{"outcome":"FINE"}'))
    key = sample_key("another.example/cases")
    vkey = key.verifier_key(KeyType.ED25519).format()
    raw = dsse.encode(dsse.sign(PAYLOAD_TYPE, state(odd, digest), {vkey: key.private_key()}))
    with pytest.raises(IntegrityError, match=r"^step \(3\)"):
        verify_pack(raw, None)
