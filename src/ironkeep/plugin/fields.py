"""Parses request data into a route's declared input, with Vault's weak typing.

The CLI sends every value as a string, other clients send any JSON type, and all of them rely on
conversion: "5" is an int, "true" a bool, "1h30m" and 90 are durations, "a,b" and ["a", "b"] the
same list. A route declares its fields once, as a frozen dataclass; this module derives the parser,
the list of unknown names, and the help text from it. Source: field types of the Vault API (HTTP API
docs, "fields").
"""

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Final, TypeVar

from ironkeep.core.errors import InvalidRequest
from ironkeep.core.policy.parameters import Reader, Readers
from ironkeep.core.secret import Secret
from ironkeep.core.text.naming import names_nothing
from ironkeep.core.text.spelling import folded, tidied
from ironkeep.plugin.cidr import parse_cidrs

T = TypeVar("T")

Duration = Annotated[int, "duration"]
"""Whole seconds; accepts an int, "90", "1h30m", "1d". Never negative."""
CommaList = Annotated[tuple[str, ...], "comma list"]
"""Strings; accepts a list, or one string with commas."""
PolicyNames = Annotated[tuple[str, ...], "policy names"]
"""Policy names: converted to lower case and stripped of blanks, as they are stored."""
FoldedText = Annotated[str, "folded text"]
"""A case-insensitive name: converted to lower case."""
FolderText = Annotated[str, "folder"]
"""A path on which empty segments have no meaning: they are removed."""
CidrList = Annotated[tuple[str, ...], "address ranges"]
"""Address ranges, stored as typed; policy rules compare the addresses that they contain."""
LeaseLength = Annotated[str, "length of leases"]
"""A duration, or a word for one; stored as typed, and compared by its seconds."""
EngineType = Annotated[str, "type of an engine"]
"""An engine's or auth method's type; rules about an engine also match its names in `ENGINES`."""
IntList = Annotated[tuple[int, ...], "int list"]
"""Ints; accepts a list of ints or digits, or one string with commas."""
KvPairs = Annotated[dict[str, str], "key=value pairs"]
"""Strings by name; accepts an object, a list of "k=v", or one "k=v"."""

MAX_SECONDS: Final = 100 * 366 * 86_400
"""A hundred years: longer durations are mistakes, and soon overflow as nanoseconds."""

MAX_LIST: Final = 4_096
"""Items in one list field; more is an attack or a mistake."""

_UNITS: Final = {
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}
ENGINES: Final = {"kv-v1": "kv", "kv-v2": "kv", "generic": "kv"}
"""The engine of each type name that includes a version."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|s|m|h|d)")
_MAX_TEXT: Final = 64
"""Characters in a duration; longer text is refused."""


def check_named(name: str, value: str | Secret) -> None:
    """Raise InvalidRequest if the field that names what to end or revoke is empty or blank.

    Routes that end the thing named in their body, and succeed if it does not exist, call this: an
    unset variable in a script must not pass as success.
    """
    text = value if isinstance(value, str) else value.reveal().decode(errors="replace")
    if names_nothing(text):
        raise InvalidRequest(f"{name} must be specified")


_NO_DURATION: Final = "a duration is seconds or text like 1h30m"


def duration(value: object) -> int:
    """Return value as whole seconds; raise InvalidRequest when it is not a duration."""
    seconds: float
    if isinstance(value, bool):
        raise InvalidRequest(_NO_DURATION)
    if isinstance(value, int | float):
        seconds = value
    elif isinstance(value, str) and len(value) <= _MAX_TEXT:
        text = value.strip()
        if text == "":
            seconds = 0
        elif re.fullmatch(r"\d+", text, re.ASCII):
            seconds = int(text)
        elif re.fullmatch(rf"(?:{_PART.pattern})+", text, re.ASCII):
            seconds = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))
        else:
            raise InvalidRequest(_NO_DURATION)
    else:
        raise InvalidRequest(_NO_DURATION)
    if not 0 <= seconds <= MAX_SECONDS:
        raise InvalidRequest(f"a duration is between 0 and {MAX_SECONDS} seconds")
    return int(seconds)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    raise InvalidRequest("expected a string")


def _secret(value: object) -> Secret:
    return Secret(_text(value).encode("utf-8", "surrogatepass"))


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = value.lower() if isinstance(value, str) else value
    if text in ("1", "t", "true", 1):
        return True
    if text in ("0", "f", "false", "", 0):
        return False
    raise InvalidRequest("expected true or false")


def _int(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        return _int(int(value))
    raise InvalidRequest("expected a whole number")


def _items(value: object) -> list[object]:
    items: list[object]
    if isinstance(value, str):
        if value.count(",") > MAX_LIST:
            # Count before splitting: the text may be megabytes of commas.
            raise InvalidRequest(f"a list holds at most {MAX_LIST} items")
        items = [part.strip() for part in value.split(",") if part.strip()]
    else:
        items = value if isinstance(value, list) else [value]
    if len(items) > MAX_LIST:
        raise InvalidRequest(f"a list holds at most {MAX_LIST} items")
    return items


def _comma_list(value: object) -> tuple[str, ...]:
    return tuple(_text(item) for item in _items(value))


def _policy_names(value: object) -> tuple[str, ...]:
    names = (folded(name.strip()) for name in _comma_list(value))
    return tuple(name for name in names if name)


def _cidr_list(value: object) -> tuple[str, ...]:
    return _comma_list(value)


def _lease_length(value: object) -> str:
    return _text(value)


def _engine(value: object) -> str:
    return _text(value)


def _folded(value: object) -> str:
    return folded(_text(value))


def _folder(value: object) -> str:
    return tidied(_text(value))


def _int_list(value: object) -> tuple[int, ...]:
    return tuple(_int(item) for item in _items(value))


def _pairs(value: object) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(name): _text(item) for name, item in value.items()}
    pairs = [_text(item).partition("=") for item in _items(value)]
    if not all(equals for _, equals, _ in pairs):
        raise InvalidRequest("expected key=value pairs")
    return {name: item for name, _, item in pairs}


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise InvalidRequest("expected an object")


def _anything(value: object) -> object:
    return value


_BY_TYPE: Final[Mapping[object, Callable[[object], object]]] = {
    str: _text,
    bool: _flag,
    int: _int,
    Secret: _secret,
    Any: _anything,
    dict: _mapping,
    Duration: duration,
    CommaList: _comma_list,
    CidrList: _cidr_list,
    LeaseLength: _lease_length,
    EngineType: _engine,
    PolicyNames: _policy_names,
    FoldedText: _folded,
    FolderText: _folder,
    IntList: _int_list,
    KvPairs: _pairs,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One declared field: its name, parser, help text and aliases."""

    name: str
    parse: Callable[[object], object]
    required: bool
    help: str
    aliases: tuple[str, ...]
    names: tuple[str, ...] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", (self.name, *self.aliases))

    @property
    def is_int(self) -> bool:
        """Return whether the field is a whole number."""
        return self.parse is _int

    def parts(self, value: object) -> tuple[object, ...]:
        """Return the parts of value that policy compares; raise InvalidRequest as `parse` does."""
        read = self.parse(value)
        compared = _COMPARED.get(self.parse)
        if compared is not None:
            return compared(read)
        return read if isinstance(read, tuple) else (read,)


def _secret_parts(read: Any) -> tuple[object, ...]:
    return (read.reveal().decode("utf-8", "surrogatepass"),)


def _pair_parts(read: Any) -> tuple[object, ...]:
    return tuple(f"{name}={item}" for name, item in read.items())


def _range_parts(read: Any) -> tuple[object, ...]:
    return tuple(str(each) for each in parse_cidrs(read))


def _length_parts(read: Any) -> tuple[object, ...]:
    return (duration(read),)


def _engine_parts(read: Any) -> tuple[object, ...]:
    return (ENGINES[read], read) if read in ENGINES else (read,)


_COMPARED: Final[Mapping[Callable[[object], object], Callable[[Any], tuple[object, ...]]]] = {
    _secret: _secret_parts,
    _pairs: _pair_parts,
    _cidr_list: _range_parts,
    _lease_length: _length_parts,
    _engine: _engine_parts,
}
"""The parts that policy compares of values which are stored as typed, by the field's parser."""


@cache
def fields_of(declaration: Hashable) -> tuple[Field, ...]:
    """Return the fields of a declaration; raise TypeError for an unsupported annotation."""
    assert isinstance(declaration, type)
    hints = typing.get_type_hints(declaration, include_extras=True)
    return tuple(_field(item, hints[item.name]) for item in dataclasses.fields(declaration))


@cache
def readers_of(declaration: Hashable) -> Readers:
    """Return the readers of a declaration's fields, by every name and alias."""
    return {
        name: Reader(item.name, item.parts)
        for item in fields_of(declaration)
        for name in item.names
    }


def _field(item: "dataclasses.Field[Any]", hint: object) -> Field:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    kind = dict if typing.get_origin(hint) is dict else hint
    parse = _BY_TYPE.get(kind)
    if parse is None:
        raise TypeError(f"no weak parser for {hint!r} of {item.name}")
    required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    aliases = tuple(item.metadata.get("alias", ()))
    return Field(item.name, parse, required, str(item.metadata.get("help", "")), aliases)


def parse(declaration: type[T], data: Mapping[str, Any]) -> T:
    """Return data as an instance of declaration.

    A null counts as absent. Raise InvalidRequest naming the missing or malformed field; the message
    never contains the value.
    """
    values: dict[str, object] = {}
    for item in fields_of(typing.cast(Hashable, declaration)):
        for name in item.names:
            given = data.get(name)
            if given is None:
                continue
            value = _parse_one(item, given)
            if item.name in values and _differ(values[item.name], value):
                raise InvalidRequest(f"{item.name} and {name} are one field: give one of them")
            values.setdefault(item.name, value)
        if item.required and item.name not in values:
            raise InvalidRequest(f"missing {item.name}")
    return declaration(**values)


def _differ(one: object, other: object) -> bool:
    if isinstance(one, Secret) and isinstance(other, Secret):
        return one.reveal() != other.reveal()
    return one != other


def _parse_one(item: Field, given: object) -> object:
    try:
        return item.parse(given)
    except InvalidRequest as error:
        raise InvalidRequest(f"error converting input for field {item.name!r}: {error}") from None


def unknown(declaration: type, data: Mapping[str, Any]) -> list[str]:
    """Return the names in data that are not fields of declaration, sorted."""
    return sorted(data.keys() - readers_of(declaration).keys())
