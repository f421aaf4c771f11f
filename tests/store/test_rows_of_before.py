"""Rows that an older release wrote, which knew fewer fields, open with every codec of this one."""

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest
from msgspec import inspect

import ironkeep
from ironkeep.core.errors import IntegrityError
from ironkeep.store.record import VERSION, Codec

SPELLED_OUT = {
    "Finding": {"cve", "source", "until_ns"},
    "Sums": {"slots"},
    "Flows": {"rules"},
    "Stored": {"segments"},
    "Statement": {"v"},
    "Version": {"deleted_ns", "destroyed"},
}
"""Fields with a default that every row has, since their struct writes defaults out. A new field
takes `omit_defaults=True`: what is added here would make rows of before unreadable."""


def codecs() -> dict[str, Codec[Any]]:
    """Return every codec of a module by the struct it is for."""
    found = {}
    for module in pkgutil.walk_packages(ironkeep.__path__, "ironkeep."):
        if ".testing" in module.name or module.name.endswith("__main__"):
            continue
        try:
            names = vars(importlib.import_module(module.name))
        except ImportError:  # an extra that is not installed; none of them keeps records
            continue
        for each in names.values():
            if isinstance(each, Codec):
                struct = each._decoder.type
                found[f"{struct.__module__}.{struct.__name__}"] = each
    return found


CODECS = codecs()


PLAIN: dict[Any, Any] = {
    inspect.BytesType: b"x",
    inspect.StrType: "x",
    inspect.IntType: 1,
    inspect.BoolType: True,
    inspect.FloatType: 1.5,
    inspect.NoneType: None,
}


def sample(kind: Any) -> Any:
    """Return the plainest value of a type; of a struct, a map without its optional fields."""
    if isinstance(kind, inspect.StructType):
        out = SPELLED_OUT.get(kind.cls.__name__, set())
        row = {
            f.encode_name: sample(f.type) for f in kind.fields if f.required or f.encode_name in out
        }
        return [*row.values()] if kind.array_like else row
    if isinstance(kind, inspect.UnionType):
        return sample(max(kind.types, key=lambda each: isinstance(each, inspect.StructType)))
    if isinstance(kind, inspect.LiteralType):
        return kind.values[0]
    if isinstance(kind, inspect.EnumType):
        return next(iter(kind.cls)).value
    if isinstance(kind, inspect.DictType):
        return {sample(kind.key_type): sample(kind.value_type)}
    if isinstance(kind, inspect.TupleType):
        return [sample(each) for each in kind.item_types]
    return PLAIN[type(kind)] if type(kind) in PLAIN else [sample(kind.item_type)]


def test_the_enumeration_finds_them_all() -> None:
    names = {name.rpartition(".")[2] for name in CODECS}
    assert {"Lease", "StoredToken", "SecretId", "User", "Kept", "DeviceRecord", "Role"} <= names
    assert len(CODECS) > 50


@pytest.mark.parametrize("name", CODECS)
def test_a_row_from_before_any_optional_field_opens(name: str) -> None:
    codec = CODECS[name]
    row = sample(inspect.type_info(codec._decoder.type))
    raw = VERSION + msgspec.msgpack.encode(row)
    value = codec.decode(raw)
    assert codec.decode(codec.encode(value)) == value


Short = msgspec.defstruct(
    "Short", ["first", *((f"f{n}", int, 0) for n in range(14))], omit_defaults=True
)
Long = msgspec.defstruct(
    "Long", ["first", *((f"f{n}", int, 0) for n in range(20))], omit_defaults=True
)


def test_the_sixteenth_field_leaves_rows_of_before_readable() -> None:
    before, now = Codec(Short), Codec(Long)
    assert now.encode(Long(1, 2)) != before.encode(Short(1, 2))
    assert now.decode(before.encode(Short(1, 2))) == Long(1, 2)


@pytest.mark.parametrize(
    "body",
    [
        b"\x82\xa5first\x01\xa5first\x01",
        b"\x82\xa5first\x01\xa2f0\x00",
        b"\xdf\x00\x00\x00\x01\xa5first\x01",
        b"\x81\xa5first\xcc\x01",
        b"\x82\xa2f0\x02\xa5first\x01",
    ],
    ids=["a field twice", "a default", "a longer length", "a longer number", "another order"],
)
def test_a_long_struct_takes_no_other_spelling(body: bytes) -> None:
    with pytest.raises(IntegrityError):
        Codec(Long).decode(VERSION + body)
