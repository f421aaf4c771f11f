"""Alerts: a change is one each time; refusals of one subject are counted, and accounted for."""

import ast
from pathlib import Path

import ironkeep
from ironkeep.access.alerts.alerts import MAX_SUBJECTS, NAMED, REPEAT_NS, Alert
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

SECOND_NS = 1_000_000_000


def kept(vault: Vault) -> list[Alert]:
    tx = vault.house.state.begin()
    found = (
        vault.house.features.alerts.get(tx, name) for name in vault.house.features.alerts.names(tx)
    )
    return [each for each in found if each is not None]


def refuse(vault: Vault, subject: str, path: str) -> None:
    tx = vault.house.state.begin()
    vault.house.features.alerts.repeated(
        tx, "guard", "refused", vault.clock.now_ns(), subject=subject, entity="e", path=path
    )
    tx.merge()


def test_a_change_is_an_alert_each_time() -> None:
    vault = Vault.started(PLUGINS)
    for _ in range(3):
        tx = vault.house.state.begin()
        vault.house.features.alerts.raise_(
            tx, "class", "weaker", vault.clock.now_ns(), entity="e", path="x"
        )
        tx.merge()
    assert [each.text for each in kept(vault)] == ["weaker"] * 3


def test_refusals_of_one_subject_are_counted_and_named_when_the_minute_is_over() -> None:
    vault = Vault.started(PLUGINS)
    refuse(vault, "token", "first")
    for number in range(NAMED + 2):
        refuse(vault, "token", f"path{number}")
    assert [(each.path, each.repeats) for each in kept(vault)] == [("first", 0)]
    vault.tick(REPEAT_NS // SECOND_NS)
    _, counted = kept(vault)
    assert (counted.repeats, counted.path) == (NAMED + 2, f"path{NAMED + 1}")
    assert counted.paths == tuple(f"path{number}" for number in range(NAMED))
    assert counted.text == f"refused ({NAMED + 2} more times in a minute)"
    vault.tick(REPEAT_NS // SECOND_NS)
    assert len(kept(vault)) == 2


def test_another_subject_is_not_held_back() -> None:
    vault = Vault.started(PLUGINS)
    for subject in ("a", "b", "a"):
        refuse(vault, subject, subject)
    assert [each.path for each in kept(vault)] == ["a", "b"]


def test_what_was_counted_is_said_before_the_next_of_the_same() -> None:
    vault = Vault.started(PLUGINS)
    for _ in range(3):
        refuse(vault, "token", "x")
    vault.clock.advance(seconds=REPEAT_NS // SECOND_NS)
    refuse(vault, "token", "y")
    assert [(each.path, each.repeats) for each in kept(vault)] == [("x", 0), ("x", 2), ("y", 0)]


def test_beyond_the_subjects_that_are_counted_each_is_an_alert() -> None:
    vault = Vault.started(PLUGINS)
    for number in range(MAX_SUBJECTS):
        refuse(vault, f"s{number}", "x")
    before = len(kept(vault))
    for _ in range(2):
        refuse(vault, "one more", "last")
    assert [each.path for each in kept(vault)][-2:] == ["last"] * 2
    assert len(kept(vault)) <= before + 2


def test_only_refusals_and_failures_are_counted() -> None:
    """Whoever adds a call says here that what it speaks of was refused, and changed nothing."""
    root = Path(ironkeep.__file__).parent
    kinds = set()
    for path in root.rglob("*.py"):
        for each in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute)):
                continue
            if each.func.attr == "repeated" and len(each.args) > 1:
                kind = each.args[1]
                kinds.add(kind.value if isinstance(kind, ast.Constant) else ast.unparse(kind))
    assert kinds == {
        "approval", "authenticator copied", "bound-token", "break-glass", "budget",
        "device-proof", "device-refused", "FAILED", "flow", "guard", "irrevocable-lease", "jwks",
        "posture-forged",
    }  # fmt: skip
