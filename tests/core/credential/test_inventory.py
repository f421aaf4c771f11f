"""Inventories: one encoding each, and a diff that names every change and every blind spot."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.credential.inventory import (
    HEADER,
    MAX_ENCODED_BYTES,
    Changed,
    Inventory,
    InventoryItem,
    Kind,
    collect,
    decode,
    diff,
    encode,
    item,
)
from ironkeep.core.errors import IntegrityError, InvalidRequest, TooLarge

texts = st.text(max_size=12)
items_ = st.builds(
    item,
    st.sampled_from(Kind),
    texts,
    texts,
    st.dictionaries(texts, texts, max_size=3),
)
inventories = st.builds(
    collect,
    st.just("postgresql"),
    texts,
    texts,
    st.lists(items_, max_size=8, unique_by=lambda each: each.identity),
    st.lists(texts, max_size=3),
)


@given(inventories)
def test_the_encoding_comes_back_whole(inventory: Inventory) -> None:
    raw = encode(inventory)
    assert raw.startswith(HEADER)
    assert decode(raw) == inventory


@given(inventories, st.data())
def test_one_changed_byte_is_another_inventory_or_none(
    inventory: Inventory, data: st.DataObject
) -> None:
    raw = bytearray(encode(inventory))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert encode(decode(bytes(raw))) == bytes(raw)
    except IntegrityError:
        return
    assert decode(bytes(raw)) != inventory


@given(st.binary(max_size=100))
def test_hostile_bytes_only_raise_integrity_errors(raw: bytes) -> None:
    for each in (raw, HEADER + raw):
        with pytest.raises(IntegrityError):
            decode(each)


ROLE = item(Kind.PRINCIPAL, "role", "app", {"superuser": "false", "login": "true"})
GRANT = item(Kind.GRANT, "membership", "app in rw", {})


def taken(*items: InventoryItem, gaps: tuple[str, ...] = ()) -> Inventory:
    return collect("postgresql", "db:5432", "16.2", items, gaps)


@given(st.permutations([ROLE, GRANT, item(Kind.KEY, "password", "app", {})]))
def test_the_order_of_finding_does_not_matter(items: list[InventoryItem]) -> None:
    assert encode(taken(*items)) == encode(taken(*sorted(items)))


def test_the_encoding_is_this() -> None:
    assert encode(taken(ROLE, GRANT, gaps=("hba",))) == (
        b"ironkeep-inventory/v1\n"
        b'["postgresql","db:5432","16.2",["hba"]]\n'
        b'["grant","membership","app in rw",[]]\n'
        b'["principal","role","app",[["login","true"],["superuser","false"]]]\n'
    )


def test_diff_names_what_came_went_and_changed() -> None:
    risen = item(Kind.PRINCIPAL, "role", "app", {"superuser": "true", "login": "true"})
    second = item(Kind.PRINCIPAL, "role", "app2", {})
    found = diff(taken(ROLE, GRANT), taken(risen, second))
    assert found.added == (second,)
    assert found.removed == (GRANT,)
    assert found.changed == (Changed(ROLE, risen),)
    assert not found.empty


def test_equal_inventories_differ_in_nothing() -> None:
    assert diff(taken(ROLE), taken(ROLE)).empty


@pytest.mark.parametrize("blind", [0, 1])
def test_a_place_nobody_saw_is_not_called_clean(blind: int) -> None:
    pair = [taken(ROLE), taken(ROLE)]
    pair[blind] = taken(ROLE, gaps=("hba",))
    found = diff(*pair)
    assert found.gaps == ("hba",)
    assert not found.empty


def test_inventories_of_different_connectors_are_not_compared() -> None:
    with pytest.raises(InvalidRequest):
        diff(taken(ROLE), collect("mariadb", "db:3306", "11", (), ()))


def test_two_items_of_one_identity_are_refused() -> None:
    with pytest.raises(InvalidRequest):
        taken(ROLE, item(Kind.PRINCIPAL, "role", "app", {}))


@pytest.mark.parametrize(
    "attributes", [(("b", "1"), ("a", "1")), (("a", "1"), ("a", "2"))], ids=["order", "double"]
)
def test_attributes_out_of_order_are_refused(attributes: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InvalidRequest):
        taken(InventoryItem(Kind.KEY, "s", "n", attributes))


def test_an_inventory_has_a_limit() -> None:
    with pytest.raises(TooLarge):
        encode(taken(item(Kind.KEY, "s", "x" * MAX_ENCODED_BYTES, {})))
    with pytest.raises(IntegrityError):
        decode(HEADER + b" " * MAX_ENCODED_BYTES)
