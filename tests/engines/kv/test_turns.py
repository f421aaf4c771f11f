"""Changes of a key in turns, with others in between: no version has the data of another one."""

from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ironkeep.core.errors import NotFound
from ironkeep.core.operation import Operation
from ironkeep.credentials.listing import Kept
from ironkeep.engines.kv import kept, metadata as meta, versions as module
from ironkeep.plugin.effects.answer import Waiting
from ironkeep.testing.memory import Fault
from ironkeep.testing.parts import part, table
from ironkeep.testing.plugins import PLUGINS
from ironkeep.testing.vault import Vault
from tests.engines.kv.test_versions import of_before, store_of

KEY = "f/app"
DATA = f"secret/data/{KEY}"
BACK = st.lists(st.integers(-1, 12), min_size=1, max_size=9)
"""How far versions are behind the newest."""


class Turns(RuleBasedStateMachine):
    """A key whose every version says who wrote it, and requests that have not ended.

    A value is used once, so the values that were ever written under a number tell what it may be.
    """

    @initialize(before=st.sampled_from([0, 0, 7, 30]))
    def start(self, before: int) -> None:
        self.patch = pytest.MonkeyPatch()
        for name, value in (("CHUNK", 4), ("CHANGED", 2), ("LISTED", 3), ("AT_ONCE", 2)):
            self.patch.setattr(module, name, value)
        self.vault = Vault.started(PLUGINS)
        if before:
            of_before(self.vault, KEY, before, max_versions=before + 2)
        else:
            # Enough writes that versions have taken the places of others.
            self.vault.write(f"secret/metadata/{KEY}", {"max_versions": 3})
        self.values = {number: {str(number)} for number in range(1, before + 1)}
        self.written = 1_000
        self.begun: list[Waiting] = []
        self.wrapped: list[tuple[str, int, str]] = []
        self.surveyed: list[Kept] = []
        if not before:
            self.write(Operation.UPDATE, 5)

    def teardown(self) -> None:
        """Start again, which checks that the rows are those of all the commits."""
        if hasattr(self, "patch"):
            while self.begun:
                self.turn(0)
            self.restart()
            self.right()
            assert self.vault.delete(f"secret/metadata/{KEY}").error is None
            assert list(store_of(self.vault).walk()) == []
            self.patch.undo()

    def begin(self, op: Operation, path: str, data: dict[str, Any]) -> None:
        """Run the first turn of a request; the others come between those of others."""
        outcome = self.vault.pipeline.handle(self.vault.asked(op, path, data, "root"))
        self.vault.flush()
        if isinstance(outcome, Waiting):
            self.begun.append(outcome)

    @rule(op=st.sampled_from([Operation.UPDATE, Operation.PATCH]), times=st.integers(1, 5))
    def write(self, op: Operation, times: int) -> None:
        for _ in range(times):
            self.written += 1
            self.begin(op, DATA, {"data": {"a": str(self.written)}})
            self.note()

    @rule(limit=st.sampled_from([1, 2, 4, 7, 12, 30]))
    def set_limit(self, limit: int) -> None:
        self.vault.write(f"secret/metadata/{KEY}", {"max_versions": limit})

    @rule(verb=st.sampled_from(["delete", "undelete", "destroy"]), back=BACK)
    def change(self, verb: str, back: list[int]) -> None:
        key = meta.load(store_of(self.vault), KEY)
        numbers = [max(0, (key.current if key else 3) - each) for each in back]
        self.begin(Operation.UPDATE, f"secret/{verb}/{KEY}", {"versions": numbers})

    @rule()
    def remove(self) -> None:
        self.begin(Operation.DELETE, f"secret/metadata/{KEY}", {})

    @rule()
    def list(self) -> None:
        self.begin(Operation.READ, f"secret/metadata/{KEY}", {})

    @rule(which=st.integers(0, 5))
    def turn(self, which: int) -> None:
        if not self.begun:
            return
        waiting = self.begun.pop(which % len(self.begun))
        outcome = waiting.finish(waiting.work())
        self.vault.flush()
        if isinstance(outcome, Waiting):
            self.begun.append(outcome)
        self.note()

    @rule()
    def survey(self) -> None:
        self.surveyed += kept.second(store_of(self.vault))

    @rule(back=st.integers(0, 6))
    def wrap(self, back: int) -> None:
        key = meta.load(store_of(self.vault), KEY)
        number = max(1, (key.current if key else 1) - back)
        asked = {"version": str(number)}
        found = self.vault.read(DATA, data=asked)
        if found.error is None and not found.answer.absent:
            reply = self.vault.request(Operation.READ, DATA, asked, wrap=600)
            token = str(part(reply.body, "wrap_info", "token"))
            self.wrapped.append((token, number, str(part(found.data, "data", "a"))))

    @rule()
    def unwrap(self) -> None:
        for token, number, value in self.wrapped:
            data = self.vault.write("sys/wrapping/unwrap", token=token).data
            assert (part(data, "metadata", "version"), data["data"]) == (number, {"a": value})
        self.wrapped.clear()

    @rule()
    def restart(self) -> None:
        """A crash between two turns: the requests are forgotten, what they did is kept."""
        self.begun.clear()
        self.vault = self.vault.restarted()
        assert self.vault.unseal().body["sealed"] is False

    @rule(fault=st.sampled_from(Fault))
    def crash(self, fault: Fault) -> None:
        """A commit that fails, in the midst of a write that replaces two rows."""
        self.written += 1
        self.vault.storage.fail(fault)
        with pytest.raises(OSError, match="made to fail"):
            self.vault.write(DATA, {"data": {"a": str(self.written)}})
        self.restart()
        self.note()

    def note(self) -> None:
        """Remember what the newest version is, if the last turn wrote it."""
        read = self.vault.read(DATA)
        if read.error is None and not read.answer.absent:
            number = int(str(part(read.data, "metadata", "version")))
            value = str(part(read.data, "data", "a"))
            others = set().union(*(v for n, v in self.values.items() if n != number))
            assert value not in others
            self.values.setdefault(number, set()).add(value)

    @invariant()
    def right(self) -> None:
        """Each version has its own data or none, and nothing else is stored."""
        store = store_of(self.vault)
        key = meta.load(store, KEY)
        if key is None:
            assert list(store.walk()) in ([], ["config"])
            assert self.vault.read(DATA).error is NotFound
            return
        versions = dict(module.every(store, KEY, key))
        assert sorted(versions) == list(range(key.oldest, key.current + 1)) or not versions
        for number in range(1, key.current + 3):
            self.one(number, versions.get(number))
        there = [n for n, version in versions.items() if not version.destroyed]
        data = {module.data_path(KEY, key, number) for number in there}
        assert len(data) == len(there)
        chunks = {module.chunk_path(KEY, n) for n in versions if n <= key.spilled}
        assert set(store.walk()) == {f"meta/{KEY}", *data, *chunks}
        (now,) = kept.second(store)
        assert [each.number for each in now.versions] == sorted(versions)
        assert {n for n in versions if now.fields(n)} == set(there)
        self.of_surveys()

    def one(self, number: int, version: meta.Version | None) -> None:
        read = self.vault.read(DATA, data={"version": str(number)})
        if version is None:
            assert read.error is NotFound
            return
        gone = version.destroyed or version.deleted_ns > 0
        assert read.answer.absent is gone
        assert part(read.data, "metadata", "version") == number
        if not gone:
            assert part(read.data, "data", "a") in self.values[number]
            keys = self.vault.read(f"secret/subkeys/{KEY}", data={"version": str(number)}).data
            assert table(keys, "subkeys") == {"a": None}

    def of_surveys(self) -> None:
        for found in self.surveyed:
            for each in found.versions:
                texts = {text.reveal().decode() for _, text in found.fields(each.number)}
                assert texts <= self.values.get(each.number, set())


Turns.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestTurns = Turns.TestCase
