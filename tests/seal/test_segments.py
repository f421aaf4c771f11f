"""Segments against a model: whatever is done in whatever order, only what is open answers."""

from typing import Final

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ironkeep.access.segments.routes import SegmentEngine
from ironkeep.core.errors import InvalidRequest, NotFound, Sealed
from ironkeep.plugin.route import Plugin
from ironkeep.seal.segment_record import MAX_SEGMENTS, Segment, Stored, table_of
from ironkeep.store.keyring import SegmentId
from ironkeep.testing.plugins import PLUGINS as BASE
from ironkeep.testing.vault import Vault

PLUGINS: Final[dict[str, Plugin]] = {**BASE, "segment": SegmentEngine()}
ONE: Final = {"secret_shares": 1, "secret_threshold": 1}
NAMES: Final = st.sampled_from(["a", "b", "c"])


class Model(RuleBasedStateMachine):
    """Makes, fills, seals, opens, cuts, destroys and restarts."""

    @initialize()
    def start(self) -> None:
        self.vault = Vault.started(PLUGINS)
        self.shares: dict[str, str] = {}
        self.state: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.count = 0

    @rule(name=NAMES)
    def make(self, name: str) -> None:
        made = self.vault.write(f"segment/segments/{name}", ONE)
        if name in self.state:
            gone = self.state[name] == "gone"
            assert made.error is (NotFound if gone else None)
            return
        self.shares[name] = made.keys[0]
        self.state[name] = "sealed"
        options = {"version": "1", "segment": name}
        assert self.vault.write(f"sys/mounts/{name}", {"type": "kv", "options": options}).error is (
            None
        )
        self.vault.write(f"segment/flows/house/{name}", {})

    @rule(name=NAMES)
    def unseal(self, name: str) -> None:
        key = self.shares.get(name, "00" * 33)
        reply = self.vault.write(f"segment/segments/{name}/unseal", {"key": key})
        if self.state.get(name, "gone") == "gone":
            assert reply.error is NotFound
        else:
            assert reply.data["sealed"] is False
            self.state[name] = "open"

    @rule(name=NAMES, other=NAMES)
    def unseal_with_another_s_share(self, name: str, other: str) -> None:
        if name != other and self.state.get(name) == "sealed" and other in self.shares:
            key = {"key": self.shares[other]}
            reply = self.vault.write(f"segment/segments/{name}/unseal", key)
            assert reply.error is InvalidRequest

    @rule(name=NAMES, deed=st.sampled_from(["seal", "cut"]))
    def close(self, name: str, deed: str) -> None:
        reply = self.vault.write(f"segment/segments/{name}/{deed}")
        if self.state.get(name, "gone") == "gone":
            assert reply.error is NotFound
        else:
            assert reply.error is None
            self.state[name] = "sealed"

    @rule(name=NAMES)
    def destroy(self, name: str) -> None:
        reply = self.vault.write(f"segment/segments/{name}/destroy", {"confirm": name})
        if self.state.get(name, "gone") == "gone":
            assert reply.error is NotFound
        else:
            self.state[name] = "gone"
            self.values.pop(name, None)

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        self.count += 1
        reply = self.vault.write(f"{name}/x", {"v": str(self.count)})
        if self.state.get(name) == "open":
            assert reply.error is None
            self.values[name] = str(self.count)
        else:
            assert reply.error in (Sealed, NotFound)

    @rule()
    def seal_the_house(self) -> None:
        self.vault.write("sys/seal")
        self.vault.unseal()
        self._all_sealed()

    @rule()
    def restart(self) -> None:
        self.vault = self.vault.restarted()
        assert self.vault.unseal().error is None
        self._all_sealed()

    @rule()
    def tick(self) -> None:
        self.vault.tick()

    def _all_sealed(self) -> None:
        for name, state in self.state.items():
            if state == "open":
                self.state[name] = "sealed"

    @invariant()
    def only_what_is_open_answers(self) -> None:
        for name, state in self.state.items():
            reply = self.vault.read(f"{name}/x")
            if state == "sealed":
                assert reply.error is Sealed
            elif state == "gone" or name not in self.values:
                assert reply.error is NotFound
            else:
                assert reply.data == {"v": self.values[name]}
        assert self.vault.defects == []


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_there_are_only_so_many_segments_in_the_life_of_a_house() -> None:
    vault = Vault.started(PLUGINS)
    for number in range(MAX_SEGMENTS):
        assert vault.write(f"segment/segments/s{number}", ONE).error is None
    refused = vault.write("segment/segments/one-more", ONE)
    assert refused.error is not None
    assert issubclass(refused.error, InvalidRequest)
    table = vault.house.segments.table(vault.house.state.begin())
    spaces = [each.space for each in table.by_name.values()]
    assert len(set(spaces)) == MAX_SEGMENTS
    assert b"\x00" not in spaces
    assert b"\x01" not in spaces


@pytest.mark.parametrize("state", ["destroying", "destroyed"])
def test_the_networks_of_what_is_destroyed_place_nobody(state: str) -> None:
    segment = Segment(
        "prod", 2, SegmentId("x"), 1, networks=("10.0.0.0/8",), state=state,  # type: ignore[arg-type]
    )  # fmt: skip
    assert table_of(Stored((segment,))).networks == ()
