"""Records of credentials: what is there, when it is due, and what is destroyed with what."""

import msgspec
import pytest

from ironkeep.core.errors import IntegrityError, NotFound
from ironkeep.core.ids import MountUuid
from ironkeep.core.secret import Secret
from ironkeep.core.units import SECOND_NS
from ironkeep.credentials.connections import ConnectionId
from ironkeep.credentials.gone.removed import Removed
from ironkeep.credentials.rotation import observe, start
from ironkeep.credentials.rotation_actions import Prepared
from ironkeep.credentials.rotation_record import (
    Record,
    RotationState,
    Stage,
    Strategy,
    Version,
    adopt,
)
from ironkeep.credentials.store import (
    PASSWORD_LENGTH,
    Credential,
    CredentialId,
    CredentialStore,
    Material,
)
from tests.support.services import Services

WHICH = CredentialId(MountUuid("mount"), "static-creds/app")
ABOUT = Credential("main", "app", period_seconds=60, created_ns=1, rotated_ns=5)


class Bench:
    def __init__(self) -> None:
        self.services = Services()
        self.store = CredentialStore(self.services.store, self.services.entropy)
        self.tx = self.services.tx

    def take_in(self, about: Credential = ABOUT) -> Record:
        record = adopt("app", Strategy.SELF, epoch=1, refusals=9, current=1)
        self.store.write_about(self.tx, WHICH, about)
        self.store.write_secret(self.tx, WHICH, 1, Secret(b"first"), 1)
        self.store.write_record(self.tx, WHICH, record, 1)
        return record

    def due_ns(self) -> int | None:
        row = self.services.store(self.tx, WHICH.mount).row(WHICH.row)
        assert row is not None
        return row.due_ns


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_is_not_there_is_said(bench: Bench) -> None:
    assert bench.store.find(bench.tx, WHICH) is None
    for read in (bench.store.about, bench.store.record, bench.store.current):
        with pytest.raises(NotFound, match="static-creds/app"):
            read(bench.tx, WHICH)
    bench.take_in()
    with pytest.raises(NotFound, match="version 2"):
        bench.store.secret(bench.tx, WHICH, 2)


def test_a_credential_is_read_as_it_was_written(bench: Bench) -> None:
    record = bench.take_in()
    assert bench.store.find(bench.tx, WHICH) == ABOUT
    assert bench.store.record(bench.tx, WHICH) == record
    assert bench.store.current(bench.tx, WHICH) == 1
    assert bench.store.secret(bench.tx, WHICH, 1).equals(b"first")
    assert bench.store.connection_of(bench.tx, WHICH) == ConnectionId(WHICH.mount, "main")
    assert bench.store.paths(bench.tx, WHICH.mount, "static-creds") == ["app"]
    assert WHICH.version(7) == "secret:mount/static-creds/app@7"


def test_a_secret_that_is_missing_is_damage_and_not_absence(bench: Bench) -> None:
    bench.take_in()
    place = bench.services.store(bench.tx, WHICH.mount)
    place.delete("credential/material/static-creds/app/1")
    with pytest.raises(IntegrityError, match="version 1"):
        bench.store.secret(bench.tx, WHICH, 1)


def test_due_follows_from_where_the_rotation_stands(bench: Bench) -> None:
    record = bench.take_in()
    assert bench.due_ns() == 5 + 60 * SECOND_NS
    bench.store.write_record(bench.tx, WHICH, start(record, 1), 50)
    assert bench.due_ns() == 50, "under way: a crash leaves it to be found"
    prepared = observe(start(record, 1), Prepared(2), 50, 1)
    waiting = msgspec.structs.replace(prepared, not_before_ns=99, reason="away")
    bench.store.write_record(bench.tx, WHICH, waiting, 50)
    assert bench.due_ns() == 99
    lost = msgspec.structs.replace(prepared, state=RotationState.LOST)
    bench.store.write_record(bench.tx, WHICH, lost, 50)
    assert bench.due_ns() is None
    bench.store.write_about(bench.tx, WHICH, msgspec.structs.replace(ABOUT, period_seconds=0))
    bench.store.write_record(bench.tx, WHICH, record, 50)
    assert bench.due_ns() is None


def test_a_version_that_is_named_no_more_loses_its_secret(bench: Bench) -> None:
    record = bench.take_in()
    two = (Version(1, Stage.PREVIOUS), Version(2, Stage.CURRENT))
    bench.store.write_secret(bench.tx, WHICH, 2, Secret(b"second"), 2)
    both = msgspec.structs.replace(record, versions=two)
    bench.store.write_record(bench.tx, WHICH, both, 2)
    assert bench.store.secret(bench.tx, WHICH, 1).equals(b"first")
    bench.store.write_record(bench.tx, WHICH, msgspec.structs.replace(both, versions=two[1:]), 2)
    place = bench.services.store(bench.tx, WHICH.mount)
    assert place.list("credential/material/static-creds/app") == ["2"]


def test_the_instant_of_rotation_is_that_of_becoming_current_and_is_set_once(bench: Bench) -> None:
    record = bench.take_in()
    for now in (70, 80):
        committed = msgspec.structs.replace(record, state=RotationState.COMMITTED)
        bench.store.write_record(bench.tx, WHICH, committed, now)
        assert bench.store.about(bench.tx, WHICH).rotated_ns == 70
    bench.store.write_record(bench.tx, WHICH, record, 90)
    assert bench.store.about(bench.tx, WHICH).rotated_ns == 70


def test_removing_leaves_the_number_and_nothing_else(bench: Bench) -> None:
    assert bench.store.burnt(bench.tx, WHICH) == 0
    bench.take_in()
    bench.store.remove(bench.tx, WHICH, 90)
    assert bench.store.burnt(bench.tx, WHICH) == 1
    (batch,) = Removed(bench.services.store).after(bench.tx, WHICH.mount, 0)
    assert [(each.path, each.spans[-1].until_ns) for each in batch.gone] == [(WHICH.path, 90)]
    place = bench.services.store(bench.tx, WHICH.mount)
    assert list(place.walk()) == ["credential/burnt/static-creds/app"]


def test_passwords_are_random_long_and_plain(bench: Bench) -> None:
    made = {bench.store.new_secret().reveal() for _ in range(100)}
    assert len(made) == 100
    assert {len(each) for each in made} == {PASSWORD_LENGTH}
    assert all(each.isalnum() and each.isascii() for each in made)


def test_material_does_not_show_itself() -> None:
    assert "first" not in repr(Material(b"first", 1))
