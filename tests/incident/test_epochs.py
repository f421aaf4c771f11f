"""Cases across a break of the log: what an older log holds is not claimed by the new one."""

import pytest

from ironkeep.core.event import Entry
from ironkeep.incident.verifier.verifier import Level, verify_pack
from ironkeep.journal.epochs import begin_epoch, start_from
from ironkeep.seal.reading_key import reading_key_of
from ironkeep.testing.memory import SeededEntropy
from ironkeep.testing.memory_log import LogDisk, MemoryLogFiles
from ironkeep.testing.parts import tables, text
from tests.support.incident.incident_estate import Estate

EPOCH_2 = "vault.example/audit/node-1/2"


def after_a_break(estate: Estate) -> None:
    """Let the estate's vault go on in the next epoch of its log."""
    estate.witness()
    old = estate.vault
    assert old.journal.log.cosigned is not None
    start = start_from(old.storage, old.journal.log.cosigned.note.serialise())
    notice = Entry(kind="notice", time_ns=old.clock.now_ns(), op="epoch", reason="x")
    disk, entropy = LogDisk(), SeededEntropy(7)
    public = reading_key_of(old.storage, entropy).public
    begin_epoch(MemoryLogFiles(disk), entropy, EPOCH_2, public, start, notice).close()
    vault = old.restarted(disk=disk, origin=EPOCH_2)
    assert vault.unseal().body["sealed"] is False
    vars(estate).update(vault=vault)


@pytest.fixture
def estate() -> Estate:
    return Estate.fresh()


def test_a_case_that_reaches_back_before_the_break_is_not_proven(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    after_a_break(estate)
    case = estate.open_case("person:engineer", start="60s")
    estate.on(case, "contain")
    estate.state(case)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    words = {item["check"]: item["words"] for item in tables(verdict, "open_items")}
    assert f"before {EPOCH_2} is in the log of an earlier epoch" in text(words["starts too late"])
    assert "scope record 1 is missing" in text(words["scope cut"])
    report = verify_pack(estate.pack(case), estate.trust())
    assert (report.level, report.proven, report.origin) == (Level.VERIFIED, False, EPOCH_2)


def test_a_case_that_begins_after_the_break_misses_the_scope_of_before(estate: Estate) -> None:
    after_a_break(estate)
    estate.vault.clock.advance(seconds=100)
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="3s")
    estate.on(case, "contain")
    estate.state(case)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    checks = {item["check"] for item in tables(verdict, "open_items")}
    assert "scope cut" in checks
    assert "starts too late" not in checks


def test_a_case_of_before_the_break_is_opened_again(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="3s")
    after_a_break(estate)
    verdict = estate.verdict(case)
    assert verdict["outcome"] == "NOT PROVEN"
    assert "case not opened" in {item["check"] for item in tables(verdict, "open_items")}


def test_a_case_of_before_the_break_has_no_empty_exposure(estate: Estate) -> None:
    token = estate.login("engineer")
    estate.read_password(token)
    case = estate.open_case("person:engineer", start="3s")
    assert tables(estate.get(f"incident/cases/{case}/exposure", estate.responder), "did_read")
    after_a_break(estate)
    refused = estate.vault.read(f"incident/cases/{case}/exposure")
    assert "open a case of an earlier epoch again" in refused.errors[0]
