"""The check of all rows beside the server's work: when it goes on, rests, and stops."""

from dataclasses import dataclass
from queue import Queue
from typing import cast

import pytest

from ironkeep.api.commit.committer import Committer
from ironkeep.core.ports import Row
from ironkeep.rowscan import LEAST_REST, LOOK_SECONDS, PASS_NS, RowScan, name_rows
from ironkeep.store.standing.guard import Guard
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault
from tests.support.tampering import Watched


@dataclass
class Desk:
    """What a scan uses of the committer."""

    trouble: str = ""
    nudges: int = 0

    def nudge(self) -> None:
        self.nudges += 1


@pytest.fixture
def vault() -> Vault:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/a", {"data": {"x": "1"}})
    return vault


def guard_of(vault: Vault) -> Guard:
    assert vault.house.ledger.guard is not None
    return vault.house.ledger.guard


def steps(scan: RowScan, desk: Desk, vault: Vault, passes: int) -> int:
    """Take steps until so many passes have ended; return how many it took."""
    taken = 0
    while guard_of(vault).passes < passes:
        assert scan.step(cast("Committer", desk)) >= LEAST_REST
        taken += 1
        assert taken < 10_000
    return taken


def test_a_pass_begins_with_the_unsealing_and_the_next_an_hour_later(vault: Vault) -> None:
    scan, desk = RowScan(vault.house), Desk()
    assert steps(scan, desk, vault, 1) > 10, "in small turns"
    for _ in range(3):
        assert scan.step(cast("Committer", desk)) == LOOK_SECONDS
    assert guard_of(vault).checked == 0
    vault.clock.advance(ns=PASS_NS)
    steps(scan, desk, vault, 2)
    assert desk.nudges == 0


def test_it_rests_while_sealed_and_while_the_disk_is_in_trouble(vault: Vault) -> None:
    scan = RowScan(vault.house)
    assert scan.step(cast("Committer", Desk(trouble="disk"))) == LOOK_SECONDS
    assert guard_of(vault).checked == 0
    vault.write("sys/seal")
    assert scan.step(cast("Committer", Desk())) == LOOK_SECONDS


def test_it_begins_anew_after_another_unsealing(vault: Vault) -> None:
    scan, desk = RowScan(vault.house), Desk()
    steps(scan, desk, vault, 1)
    vault.write("sys/seal")
    vault.unseal()
    steps(scan, desk, vault, 1)


def test_what_it_finds_seals_and_is_written(vault: Vault) -> None:
    watched, desk = Watched(vault), Desk()
    vault.storage.tamper(b"\x01" + bytes(40), Row(b"planted"))
    scan = RowScan(vault.house)
    while vault.house.barrier is not None:
        scan.step(cast("Committer", desk))
    assert desk.nudges == 1
    assert "does not verify" in watched.text


def test_buckets_that_a_scan_left_are_looked_at_between_passes(vault: Vault) -> None:
    scan, desk = RowScan(vault.house), Desk()
    steps(scan, desk, vault, 1)
    guard = guard_of(vault)
    guard._held.clear()
    guard.page()
    guard._budget = 0
    assert len(list(vault.house.state.scan(b"\x01"))) > 10
    if guard.urgent:
        scan.step(cast("Committer", desk))
        assert guard.passes == 1


def test_seal_status_says_how_far_it_is(vault: Vault) -> None:
    scan, desk = RowScan(vault.house), Desk()
    check = vault.read("sys/seal-status", token=None).body["row_check"]
    assert check == {"checked_percent": 0, "passes": 0, "last_pass": ""}
    steps(scan, desk, vault, 1)
    check = vault.read("sys/seal-status", token=None).body["row_check"]
    assert check == {"checked_percent": 0, "passes": 1, "last_pass": "2026-01-01T00:00:00Z"}
    vault.write("sys/seal")
    assert "row_check" not in vault.read("sys/seal-status", token=None).body


@pytest.mark.parametrize("named", [[], ["row 6161 was changed"]])
def test_what_differed_is_said_also_when_no_row_does(named: list[str]) -> None:
    """The database's index of due rows can lack a row whose content is right."""
    said: Queue[str] = Queue()
    name_rows(said.put, "the index of due rows lacks row 6161", lambda: named)
    assert said.get(timeout=10) == "sealed: the index of due rows lacks row 6161"
    last = said.get(timeout=10)
    if named:
        assert last == named[0]
    else:
        assert last.endswith("What differed: the index of due rows lacks row 6161")
    assert said.empty()
