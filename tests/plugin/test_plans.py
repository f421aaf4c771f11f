"""Plans are remembered as long as the mount table is the same, and keep no older table alive."""

import gc

from ironkeep.app import PLUGINS
from ironkeep.core.ports import Row
from ironkeep.testing.vault import Vault

MOUNTS = 40


def held() -> int:
    """Return the bytes of all rows that are in memory."""
    gc.collect()
    return sum(len(each.value) for each in gc.get_objects() if isinstance(each, Row))


def test_changes_of_the_mount_table_leave_one_table_behind() -> None:
    vault = Vault.started(PLUGINS)
    half = 0
    for number in range(MOUNTS):
        if number == MOUNTS // 2:
            half = held()
        vault.write(f"sys/mounts/kv{number}", {"type": "kv"})
        # A path of its own each time, so that its plan is never made anew.
        vault.read(f"kv{number}/a{number}")
    grown = (held() - half) / (MOUNTS // 2)
    # Each keeps its own rows, some of a fixed size; the table of 40 mounts has 10 KB by now.
    assert grown < 6_000


def test_a_plan_of_before_a_change_is_not_used_after_it() -> None:
    vault = Vault.started(PLUGINS)
    vault.write("sys/mounts/kv", {"type": "kv"})
    vault.write("kv/a", {"v": "1"})
    assert vault.read("kv/a").data == {"v": "1"}
    vault.write("sys/remount", {"from": "kv", "to": "moved"})
    assert vault.read("kv/a").error is not None
    assert vault.read("moved/a").data == {"v": "1"}
