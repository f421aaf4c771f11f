"""Each commit failed both ways: nothing acknowledged is lost, nothing happens without its entry."""

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ironkeep.core.event import Entry
from ironkeep.testing.memory import Fault
from ironkeep.testing.parts import number
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault

PATHS = st.sampled_from(["a", "b", "c/d"])


def versions(vault: Vault, path: str) -> int:
    reply = vault.read(f"secret/metadata/{path}")
    return 0 if reply.error else number(reply.data, "current_version")


def journalled_writes(vault: Vault, path: str) -> list[Entry]:
    return [
        entry
        for _, entry in vault.house.audit_reader().entries()
        if entry.path == f"secret/data/{path}" and entry.op in ("create", "update")
    ]


@pytest.mark.parametrize("fault", Fault)
def test_a_write_whose_commit_failed_is_whole_or_absent(fault: Fault) -> None:
    vault = Vault.started(PLUGINS)
    vault.storage.fail(fault)
    with pytest.raises(OSError, match=fault.name):
        vault.write("secret/data/a", {"data": {"x": "1"}})
    expected = 1 if fault is Fault.PERSISTED_ANYWAY else 0
    assert versions(vault, "a") == expected
    assert len(journalled_writes(vault, "a")) == expected
    again = vault.restarted()
    again.unseal()
    assert versions(again, "a") == expected


@pytest.mark.parametrize("fault", Fault)
def test_init_whose_commit_failed_can_be_tried_again_or_is_done(fault: Fault) -> None:
    vault = Vault(PLUGINS)
    vault.storage.fail(fault)
    with pytest.raises(OSError, match=fault.name):
        vault.initialise()
    done = fault is Fault.PERSISTED_ANYWAY
    assert vault.read("sys/init", token=None).body == {"initialized": done}
    if not done:
        vault.initialise()
        assert vault.unseal().body["sealed"] is False


@pytest.mark.parametrize("fault", Fault)
def test_a_seal_rotation_that_failed_leaves_a_key_that_works(fault: Fault) -> None:
    vault = Vault.started(PLUGINS)
    vault.write("secret/data/a", {"data": {"x": "1"}})
    vault.storage.fail(fault)
    with pytest.raises(OSError, match=fault.name):
        vault.write("sys/rotate")
    vault.write("secret/data/b", {"data": {"x": "2"}})
    again = vault.restarted()
    assert again.unseal().body["sealed"] is False
    assert again.read("secret/data/a").data["data"] == {"x": "1"}
    assert again.read("secret/data/b").data["data"] == {"x": "2"}


class Model(RuleBasedStateMachine):
    """A vault with failing commits and restarts, against a count of acknowledged writes."""

    def __init__(self) -> None:
        super().__init__()
        self.vault = Vault.started(PLUGINS)
        self.acknowledged: dict[str, int] = {}

    @rule(path=PATHS)
    def write(self, path: str) -> None:
        reply = self.vault.write(f"secret/data/{path}", {"data": {"n": "x"}})
        assert reply.error is None
        self.acknowledged[path] = self.acknowledged.get(path, 0) + 1

    @rule(path=PATHS, fault=st.sampled_from(Fault))
    def write_and_fail(self, path: str, fault: Fault) -> None:
        self.vault.storage.fail(fault)
        with pytest.raises(OSError, match=fault.name):
            self.vault.write(f"secret/data/{path}", {"data": {"n": "x"}})
        if fault is Fault.PERSISTED_ANYWAY:
            self.acknowledged[path] = self.acknowledged.get(path, 0) + 1

    @rule()
    def restart(self) -> None:
        self.vault = self.vault.restarted()
        assert self.vault.unseal().body["sealed"] is False

    @invariant()
    def every_write_is_there_and_journalled(self) -> None:
        for path, count in self.acknowledged.items():
            assert versions(self.vault, path) == count
            assert len(journalled_writes(self.vault, path)) == count


TestModel = Model.TestCase
TestModel.settings = settings(stateful_step_count=20)
