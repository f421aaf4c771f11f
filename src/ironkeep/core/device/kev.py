"""CISA's catalogue of Known Exploited Vulnerabilities, and its use with the posture rules.

Source: known_exploited_vulnerabilities.json, schema 1.x (cisa.gov/kev; CC0). An entry names a
product but no versions. So a newer catalogue adds no rule by itself: it shows the entries for
products in use that still need a rule. Version ranges are never guessed.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from ironkeep.core.device.posture_rules import Cve, Day, Rules, plain
from ironkeep.core.errors import InvalidRequest, TooLarge

MAX_CATALOGUE: Final = 16 * 2**20
"""Bytes of the file: ten times its size in 2025."""
MAX_ENTRIES: Final = 6_000
"""Entries, 1,404 in 2025; shortened as `Entry`, this many stay well below a record's limit."""

_SHORT: Final = 80
_WORD: Final = re.compile(r"[a-z0-9]+")


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """The stored fields of one entry, shortened."""

    cve: str
    vendor: str
    product: str
    added: str


class Catalogue(msgspec.Struct, frozen=True):
    """A catalogue with shortened entries; `released` is its day."""

    version: str
    released: str
    entries: tuple[Entry, ...]


class _Vulnerability(msgspec.Struct, rename="camel"):
    cve_id: Cve = msgspec.field(name="cveID")
    vendor_project: Annotated[str, msgspec.Meta(max_length=512)]
    product: Annotated[str, msgspec.Meta(max_length=512)]
    date_added: Day


class _File(msgspec.Struct, rename="camel"):
    catalog_version: Annotated[str, msgspec.Meta(max_length=32)]
    date_released: Annotated[str, msgspec.Meta(min_length=10, max_length=40)]
    count: int
    vulnerabilities: list[_Vulnerability]


_DECODER: Final = msgspec.json.Decoder(_File)
_DAY: Final = msgspec.json.Decoder(Day)


def parse(raw: bytes) -> Catalogue:
    """Return the catalogue in CISA's file.

    Raise InvalidRequest if it is malformed or incomplete, TooLarge past a limit.
    """
    if len(raw) > MAX_CATALOGUE:
        raise TooLarge(f"a KEV catalogue has at most {MAX_CATALOGUE} bytes")
    try:
        file = _DECODER.decode(raw)
        raw.decode()
        released = _DAY.decode(msgspec.json.encode(file.date_released[:10]))
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidRequest(f"not a KEV catalogue: {error}") from None
    if file.count != len(file.vulnerabilities):
        raise InvalidRequest("the KEV catalogue's count differs from its number of entries")
    if len(file.vulnerabilities) > MAX_ENTRIES:
        raise TooLarge(f"a KEV catalogue has at most {MAX_ENTRIES} entries")
    entries = tuple(
        Entry(each.cve_id, each.vendor_project[:_SHORT], each.product[:_SHORT], each.date_added)
        for each in file.vulnerabilities
    )
    return Catalogue(file.catalog_version, released, entries)


def joined(rules: Rules, catalogue: Catalogue) -> Rules:
    """Return rules with the catalogue's data on their CVEs and its day.

    Raise InvalidRequest for a CVE that is not in it: either it is not known to be exploited, or the
    catalogue is too old for these rules.
    """
    by_cve = {each.cve: each for each in catalogue.entries}
    software = []
    for rule in rules.software:
        if rule.cve is None:
            software.append(rule)
            continue
        known = by_cve.get(rule.cve)
        if known is None:
            raise InvalidRequest(f"rule {rule.id}: {rule.cve} is not in the catalogue")
        software.append(
            msgspec.structs.replace(
                rule, kev_vendor=known.vendor, kev_product=known.product, kev_added=known.added
            )
        )
    return msgspec.structs.replace(rules, data_as_of=catalogue.released, software=tuple(software))


def unruled(catalogue: Catalogue, rules: Rules, names: Iterable[str]) -> list[Entry]:
    """Return the entries on programs in use that are newer than every rule for the product.

    A program is in use if its name contains all words of an entry's product, which must have more
    than one letter. A rule for a product covers its entries up to the day of the rule's own entry,
    because the fixed version in the rule came with the newest of them.
    """
    in_use = [set(_WORD.findall(plain(name))) for name in names]
    covered: dict[tuple[str, str], str] = {}
    for rule in rules.software:
        if rule.kev_added:
            key = rule.kev_vendor, rule.kev_product
            covered[key] = max(covered.get(key, ""), rule.kev_added)
    found = []
    for entry in catalogue.entries:
        if entry.added <= covered.get((entry.vendor, entry.product), ""):
            continue
        words = set(_WORD.findall(plain(entry.product)))
        if len("".join(words)) > 1 and any(words <= name for name in in_use):
            found.append(entry)
    return found
