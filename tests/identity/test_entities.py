"""Entities: made by logins, found by alias, remembered after their end."""

import msgspec
import pytest

from ironkeep.core.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from ironkeep.core.ids import EntityId, MountAccessor
from ironkeep.identity.entities import Alias, Entity
from tests.support.services import Services

MOUNT = MountAccessor("userpass_1")


def login(s: Services, name: str = "ann", **metadata: str) -> Entity:
    return s.identity.login(s.tx, MOUNT, name, metadata, s.now, s.entropy)


def test_the_first_login_makes_the_entity_and_the_next_finds_it() -> None:
    s = Services()
    first = login(s)
    assert login(s) == first
    assert login(s, "bob").id != first.id
    assert s.identity.by_alias(s.tx, MOUNT, "ann") == first
    assert s.identity.by_name(s.tx, first.name.upper()) == first
    assert len(s.identity.ids(s.tx)) == 2


def test_the_same_alias_at_another_mount_is_somebody_else() -> None:
    s = Services()
    other = s.identity.login(s.tx, MountAccessor("ldap_1"), "ann", {}, s.now, s.entropy)
    assert other.id != login(s).id


def test_alias_names_are_not_folders() -> None:
    s = Services()
    names = ["a", "a/b", "a%2Fb", "../a", "a/"]
    assert len({login(s, name).id for name in names}) == len(names)
    assert [login(s, name).aliases[0].name for name in names] == names


def test_alias_metadata_follows_the_login_and_reaches_templates() -> None:
    s = Services()
    login(s, team="red")
    entity = login(s, team="blue")
    assert entity.templates.aliases[MOUNT].metadata == {"team": "blue"}
    assert entity.templates.entity is not None
    assert entity.templates.entity.id == entity.id


def test_a_disabled_entity_cannot_log_in() -> None:
    s = Services()
    entity = login(s)
    s.identity.update(s.tx, msgspec.structs.replace(entity, disabled=True), s.now)
    with pytest.raises(PermissionDenied):
        login(s)


def test_a_deleted_entity_is_gone_and_its_next_login_is_a_new_one() -> None:
    s = Services()
    entity = login(s)
    s.identity.delete(s.tx, entity.id, s.now)
    assert s.identity.get(s.tx, entity.id) is None
    assert s.identity.by_name(s.tx, entity.name) is None
    assert s.identity.ids(s.tx) == []
    assert login(s).id != entity.id


def test_history_tells_what_an_entity_was() -> None:
    s = Services()
    entity = login(s)
    start = s.now
    s.clock.advance(seconds=10)
    s.identity.update(s.tx, msgspec.structs.replace(entity, policies=("ops",)), s.now)
    s.clock.advance(seconds=10)
    s.identity.delete(s.tx, entity.id, s.now)
    before = s.identity.at(s.tx, entity.id, start)
    between = s.identity.at(s.tx, entity.id, s.now - 1)
    assert before is not None
    assert before.policies == ()
    assert between is not None
    assert between.policies == ("ops",)
    assert s.identity.at(s.tx, entity.id, s.now) is None


def test_an_epoch_never_goes_back_not_even_by_an_update() -> None:
    s = Services()
    entity = login(s)
    s.identity.revoke_before(s.tx, entity.id, 500)
    s.identity.revoke_before(s.tx, entity.id, 400)
    updated = s.identity.update(s.tx, msgspec.structs.replace(entity, name="ann"), s.now)
    assert updated.revoked_ns == 500
    with pytest.raises(NotFound):
        s.identity.revoke_before(s.tx, EntityId("nobody"), 1)


def test_a_name_and_an_alias_belong_to_one_entity() -> None:
    s = Services()
    ann, bob = login(s, "ann"), login(s, "bob")
    with pytest.raises(Conflict):
        s.identity.update(s.tx, msgspec.structs.replace(bob, name=ann.name.upper()), s.now)
    with pytest.raises(Conflict):
        s.identity.create(s.tx, s.now, s.entropy, name=ann.name)
    stolen = Alias("id", MOUNT, "ann", s.now, s.now)
    with pytest.raises(Conflict):
        s.identity.update(s.tx, msgspec.structs.replace(bob, aliases=(stolen,)), s.now)


def test_renaming_and_taking_an_alias_away() -> None:
    s = Services()
    entity = login(s)
    s.identity.update(s.tx, msgspec.structs.replace(entity, name="Ann", aliases=()), s.now)
    assert s.identity.names(s.tx) == ["ann"]
    assert s.identity.by_name(s.tx, entity.name) is None
    assert s.identity.by_alias(s.tx, MOUNT, "ann") is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x" * 513},
        {"name": "a\nb"},
        {"metadata": {str(i): "" for i in range(65)}},
        {"metadata": {"k" * 129: ""}},
        {"metadata": {"k": "v" * 513}},
        {"metadata": {"": "v"}},
        {"policies": ("root",)},
        {"policies": ("a//b",)},
    ],
)
def test_limits(change: dict[str, object]) -> None:
    s = Services()
    entity = login(s)
    with pytest.raises(InvalidRequest):
        s.identity.update(s.tx, msgspec.structs.replace(entity, **change), s.now)


def test_at_the_limits() -> None:
    s = Services()
    full = {str(i): "v" * 512 for i in range(63)} | {"k" * 128: ""}
    entity = msgspec.structs.replace(login(s), name="x" * 512, metadata=full)
    assert s.identity.update(s.tx, entity, s.now).metadata == full
